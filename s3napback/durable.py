"""Files that are whole and on disk before anything relies on them, whatever a crash or a lost current leaves behind.

A new file is written beside the place that it is meant for, flushed, and renamed into it, and then the folder is
flushed that holds the name: until then a name may be lost, or be there before the content is (fsync(2)). Every function
raises OSError where the system refuses; what is half done then is left to the caller, who knows what it is called, but
for a file that could not be filled: it is removed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path


def create_private(path: Path) -> int:
    """Create a file that did not exist, for its owner alone, and return its descriptor."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def write_private(path: Path, data: bytes) -> None:
    """Create a file that did not exist, for its owner alone, and have its content on disk; its name may not be yet."""
    descriptor = create_private(path)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
    except OSError:
        with suppress(OSError):
            path.unlink()
        raise
    finally:
        os.close(descriptor)


def put_in_place(new: Path, place: Path, *, before: Path, after: Sequence[Path]) -> None:
    """Rename a file that is on disk to the name that it is meant for, in the place of what bears it.

    Args:
        new: on the same file system as ``place``.
        before: a folder whose names must be on disk before that, since what is put in place refers to them.
        after: folders whose names must be on disk when this returns: that of ``place``, and others that it concerns.
    """
    sync_folder(before)
    new.replace(place)
    for folder in after:
        sync_folder(folder)


@contextmanager
def closing_quietly(descriptor: int) -> Iterator[None]:
    """Close a file afterwards, whether that succeeds or not: where a mount has died, it fails."""
    try:
        yield
    finally:
        with suppress(OSError):
            os.close(descriptor)


def overwrite_if_possible(descriptor: int, text: str) -> None:
    """Give a file other content, on which nothing relies, in the place of its own."""
    with suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, text.encode(errors="backslashreplace"), 0)


def sync_file(path: Path) -> None:
    """Have the content of a file on disk that another process has written."""
    _sync(path, os.O_NOFOLLOW)


def sync_folder(path: Path) -> None:
    """Have the names in a folder on disk."""
    _sync(path, os.O_DIRECTORY)


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
