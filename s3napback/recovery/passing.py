"""How one goes into a folder: by those of others that may only be passed, and into those of one's own in any case."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from s3napback.capabilities import is_bound_by_modes, is_deprived_root
from s3napback.records import dataclass

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


@dataclass(frozen=True)
class Before:
    """What a folder was like before it was opened to the caller.

    Attributes:
        mode: its permissions.
        user: whom it belonged to.
    """

    mode: int
    user: int

    def bring_back(self, folder: int) -> None:
        """Give that to the folder again, by its descriptor."""
        os.fchmod(folder, self.mode)
        if os.fstat(folder).st_uid != self.user:
            os.fchown(folder, self.user, -1)


def opened_to_us(name: str, folder: int) -> Before | None:
    """Let the caller into a folder in a tree that nobody else gets to; returns what it was like if it was changed.

    A root whom permissions bind has folders there that he has given to others already. Where he can do nothing with
    what belongs to others but give it away, he takes them back as long as that.
    """
    if not (is_bound_by_modes() or is_deprived_root()):
        return None
    status, user = os.lstat(name, dir_fd=folder), os.geteuid()
    mode = stat.S_IMODE(status.st_mode)
    if not stat.S_ISDIR(status.st_mode):
        return None
    is_taken = status.st_uid != user and is_deprived_root() and _takes(name, folder)
    wanted = stat.S_IRWXU if is_taken or status.st_uid == user else _ALL
    if mode & wanted != wanted:
        os.chmod(name, mode | wanted, dir_fd=folder)
    elif not is_taken:
        return None
    return Before(mode, status.st_uid)


def _takes(name: str, folder: int) -> bool:
    with suppress(PermissionError):
        os.chown(name, os.geteuid(), -1, dir_fd=folder, follow_symlinks=False)
        return True
    return False


def opened(name: str, folder: int) -> tuple[int, Before | None]:
    """A folder's descriptor, and what it was like if it is ours and had to be opened to us for that.

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
            return os.open(way, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC), Before(mode, status.st_uid)
        except OSError:
            Path(way).chmod(mode)
            raise
    finally:
        os.close(found)
