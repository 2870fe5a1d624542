"""A process that may have few files open, whatever else it has open already."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def descriptors_left(number: int) -> Iterator[None]:
    """Let this process open ``number`` descriptors above its highest one, and no more than those and gaps below.

    A process that has run many tests holds servers, logs and files of its own; how many says nothing of what is tried.
    """
    highest = max(int(entry.name) for entry in Path("/proc/self/fd").iterdir())
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1 + number, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
