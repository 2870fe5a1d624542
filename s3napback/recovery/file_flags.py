"""Flags of files and folders by which the kernel keeps even root from changing them, and what is mounted on them."""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from s3napback.mounts import unescaped

_NO_FOLLOW, _NO_AUTOMOUNT, _EMPTY_PATH = 0x100, 0x800, 0x1000
IMMUTABLE, APPEND_ONLY, ENCRYPTED, MOUNT_ROOT = 0x10, 0x20, 0x800, 0x2000
"""Attributes that ``statx(2)`` tells (``<linux/stat.h>``); the first two are those of chattr(1)."""

_ATTRIBUTES_AT = 8
_MOUNT_ID, _MOUNT_ID_AT = 0x1000, 0x90
_STATX_SIZE = 256


@lru_cache(1)
def _statx() -> Callable[[int, bytes, int, int], bytes]:
    """What tells of an entry of an open folder, by its name, flags and mask; nothing if that cannot be told."""
    import ctypes  # noqa: PLC0415 - loaded only where it is used

    statx = getattr(ctypes.CDLL(None, use_errno=True), "statx", None)

    def told(folder: int, name: bytes, flags: int, mask: int) -> bytes:
        buffer = ctypes.create_string_buffer(_STATX_SIZE)
        return b"" if statx is None or statx(folder, name, flags, mask, buffer) else buffer.raw

    return told


def flags_of(name: str, folder: int) -> int:
    """Flags of an entry, or of the folder itself; none where the C library or the kernel do not tell."""
    return _told(name, folder, 0, _ATTRIBUTES_AT)


def mount_number(folder: int) -> int:
    """Which mount a folder is reached by, as the first field in the kernel's list; 0 where that is not told."""
    return _told("", folder, _MOUNT_ID, _MOUNT_ID_AT)


def is_sealed(folder: int) -> bool:
    """Whether a folder is encrypted (``fscrypt``), and its key is not there: nothing can be made in it."""
    if not flags_of("", folder) & ENCRYPTED:
        return False
    try:
        os.close(os.open(".", os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600, dir_fd=folder))
    except OSError as error:
        return error.errno == errno.ENOKEY
    return False


def _told(name: str, folder: int, mask: int, place: int) -> int:
    flags = _NO_FOLLOW | _NO_AUTOMOUNT | (0 if name else _EMPTY_PATH)
    found = _statx()(folder, os.fsencode(name), flags, mask)
    return int(struct.unpack_from("=Q", found, place)[0]) if found else 0


def swapped_to() -> frozenset[tuple[int, int]]:
    """Files that the system swaps to, which cannot be replaced meanwhile: their devices and inodes (``proc(5)``)."""
    found = set()
    with suppress(OSError):
        for line in Path("/proc/swaps").read_text("utf-8", "surrogateescape").splitlines()[1:]:
            with suppress(OSError):
                status = Path(unescaped(line.split()[0])).stat()
                found.add((status.st_dev, status.st_ino))
    return frozenset(found)
