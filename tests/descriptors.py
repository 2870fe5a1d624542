"""A process that may have few files open, whatever else it has open already."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count, islice
from pathlib import Path


@contextmanager
def descriptors_left(number: int) -> Iterator[None]:
    """Let this process open ``number`` more files at a time.

    A process that has run many tests holds servers, logs and files of its own; how many says nothing of what is tried.
    """
    # The one that lists them is gone by then.
    taken = {int(entry.name) for entry in Path("/proc/self/fd").iterdir() if entry.exists()}
    free = (descriptor for descriptor in count() if descriptor not in taken)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (next(islice(free, number, None)), before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
