"""How one goes into a folder: by those of others that may only be passed, and into those of one's own in any case."""

from __future__ import annotations

import os
import stat
from pathlib import Path

OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_PASS_FOLDER = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_ALL = stat.S_IRWXU | stat.S_IRWXG | stat.S_IRWXO
_LOOKING = stat.S_IRUSR | stat.S_IXUSR


def passable(name: str, folder: int) -> int:
    """A folder's descriptor, which is good for going through only if its owner lets us do no more (``/home``, 0711)."""
    try:
        return os.open(name, OPEN_FOLDER, dir_fd=folder)
    except PermissionError:
        inner = os.open(name, _PASS_FOLDER, dir_fd=folder)
        if os.fstat(inner).st_uid == os.geteuid():
            os.close(inner)
            raise
        return inner


def opened_to_us(name: str, folder: int) -> int | None:
    """Let the caller into a folder in a tree that nobody else gets to; returns its permissions if they were changed.

    A root whom they bind has folders there that he has given to others already.
    """
    status = os.lstat(name, dir_fd=folder)
    mode = stat.S_IMODE(status.st_mode)
    wanted = stat.S_IRWXU if status.st_uid == os.geteuid() else _ALL
    if not stat.S_ISDIR(status.st_mode) or mode & wanted == wanted:
        return None
    os.chmod(name, mode | wanted, dir_fd=folder)
    return mode


def opened(name: str, folder: int) -> tuple[int, int | None]:
    """A folder's descriptor, and the permissions that it had if it is ours and had to be opened to us for that.

    Others may change the tree meanwhile: what is opened is the folder that was looked at.
    """
    found = os.open(name, _PASS_FOLDER, dir_fd=folder)
    try:
        status, way = os.fstat(found), f"/proc/self/fd/{found}"
        mode = stat.S_IMODE(status.st_mode)
        if status.st_uid != os.geteuid() or mode & _LOOKING == _LOOKING:
            return passable(name, folder), None
        Path(way).chmod(mode | _LOOKING)
        try:
            return os.open(way, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC), mode
        except OSError:
            Path(way).chmod(mode)
            raise
    finally:
        os.close(found)
