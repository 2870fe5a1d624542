"""How a restored file is read: whatever its permissions are, and without the time that holes would take."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import stat

from s3napback.capabilities import is_bound_by_modes

_BLOCK = 1 << 20  # bytes
_OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def digest_of(name: str | bytes, folder: int | None = None) -> tuple[bytes, int]:
    """What tells a file's content from others, wherever its holes are, and how many bytes that is.

    Args:
        name: of the file.
        folder: descriptor of the folder in which it lies, which is nobody's but ours; None if the name is a path.

    Raises:
        OSError: it cannot be read.
    """
    digest = hashlib.sha256()
    with os.fdopen(_opened(name, folder), "rb", buffering=0) as file:
        place, size = 0, os.fstat(file.fileno()).st_size
        while (data := _next_data(file.fileno(), place)) is not None:
            # Blocks begin at the same places in each file, and those of zeros do not count, be they holes or not.
            place = data - data % _BLOCK
            block = _block(file, place)
            place += len(block)
            if block.strip(b"\0"):
                digest.update(b"%d:" % place)
                digest.update(block)
            if len(block) < _BLOCK:
                size = place
                break
    digest.update(b"%d" % size)
    return digest.digest(), size


def _opened(name: str | bytes, folder: int | None) -> int:
    try:
        return os.open(name, _OPEN_FILE, dir_fd=folder)
    except PermissionError:
        if folder is None or not is_bound_by_modes():
            raise
    mode = stat.S_IMODE(os.lstat(name, dir_fd=folder).st_mode)
    os.chmod(name, mode | stat.S_IRUSR, dir_fd=folder)
    try:
        return os.open(name, _OPEN_FILE, dir_fd=folder)
    finally:
        os.chmod(name, mode, dir_fd=folder)


def _next_data(descriptor: int, place: int) -> int | None:
    """Where a file has content again, from a place on; None if there is no more."""
    try:
        return os.lseek(descriptor, place, os.SEEK_DATA)
    except OSError as error:
        if error.errno == errno.ENXIO:
            return None
        if error.errno == errno.EINVAL:
            return place
        raise


def _block(file: io.FileIO, place: int) -> bytes:
    file.seek(place)
    parts, missing = [], _BLOCK
    while missing and (part := file.read(missing)):
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)
