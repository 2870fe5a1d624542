"""A directory tree looked at by descriptors, so that no symbolic link leads out of it; and who can change its shape."""

from __future__ import annotations

import os
import stat
from contextlib import ExitStack

from s3napback.records import dataclass
from s3napback.scarcity import require_means
from s3napback.streams.tar_headers import HARD_LINK, REGULAR, Member

_OPENING = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_TYPES = {
    stat.S_IFREG: b"0",
    stat.S_IFLNK: b"2",
    stat.S_IFCHR: b"3",
    stat.S_IFBLK: b"4",
    stat.S_IFIFO: b"6",
}
_NANOSECONDS = 1_000_000_000
_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


@dataclass(frozen=True)
class Folder:
    """One directory of the tree.

    Attributes:
        descriptor: for looking at what lies in it; None if it cannot be reached without following a link.
        users: whoever can put something else in its place, or in that of a folder above it; root not counted.
        is_open: so can others, whom its modes let in.
    """

    descriptor: int | None
    users: frozenset[int] = frozenset()
    is_open: bool = False

    @property
    def is_roots_alone(self) -> bool:
        """Nobody but root can."""
        return not self.users and not self.is_open

    @property
    def user(self) -> int | None:
        """The one user who can, besides root; None if there are none or several."""
        return next(iter(self.users)) if len(self.users) == 1 and not self.is_open else None


class LiveTree:
    """What lies below a directory, at the moment of looking. A context manager."""

    def __init__(self, path: str, since_ns: int) -> None:
        """Describe it.

        Args:
            path: absolute, without symbolic links.
            since_ns: nanoseconds since 1970; what has been changed since may differ from its member.
        """
        self._path = path
        self._since_ns = since_ns
        self._stack = ExitStack()
        self._opened = ExitStack()
        self.top = Folder(None)

    def __enter__(self) -> LiveTree:
        root = os.open("/", _OPENING)
        self._stack.callback(os.close, root)
        self.top = self._walk(root, os.fsencode(self._path), Folder(root), self._stack)
        return self

    def __exit__(self, *_error: object) -> None:
        self._opened.close()
        self._stack.close()

    def folder(self, path: bytes) -> Folder:
        """A directory by its path below the tree's; the one asked for before is closed."""
        self._opened.close()
        if self.top.descriptor is None:
            return self.top
        return self._walk(self.top.descriptor, path, self.top, self._opened)

    def _walk(self, start: int, path: bytes, above: Folder, stack: ExitStack) -> Folder:
        descriptor, users, is_open = start, set(above.users), above.is_open
        for name in path.split(b"/"):
            if name in (b"", b"."):
                continue
            try:
                inner = os.open(name, _OPENING, dir_fd=descriptor)
            except OSError as error:
                require_means(error)
                return Folder(None, frozenset(users), is_open)
            # A user can nest more folders than a process may have files open.
            stack.close()
            stack.callback(os.close, inner)
            descriptor = inner
            status = os.fstat(descriptor)
            if status.st_uid:
                users.add(status.st_uid)
            # In a sticky folder everybody may rename only what is the own.
            is_open = is_open or bool(status.st_mode & _WRITABLE_BY_OTHERS and not status.st_mode & stat.S_ISVTX)
        return Folder(descriptor, frozenset(users), is_open)

    def holds(self, folder: Folder, name: bytes, member: Member) -> bool:
        """Whether a folder holds what an archive's member was made of.

        What was written to since the backup began only has to be of the same type, owner and mode.
        """
        if folder.descriptor is None:
            return False
        try:
            status = os.lstat(name, dir_fd=folder.descriptor)
        except OSError:
            return False
        if (status.st_uid, stat.S_IMODE(status.st_mode)) != (member.owner, member.permissions):
            return False
        if member.type not in (HARD_LINK, _TYPES.get(stat.S_IFMT(status.st_mode))):
            return False
        if status.st_mtime_ns >= self._since_ns:
            return True
        has_size = member.type == REGULAR
        return status.st_mtime_ns == _modified_ns(member) and (not has_size or status.st_size == _real_size(member))


def _modified_ns(member: Member) -> int:
    text = member.records.get(b"mtime")
    if text is None:
        return int(member.header.block[136:147], 8) * _NANOSECONDS
    seconds, _, fraction = text.lstrip(b"-").partition(b".")
    value = int(seconds) * _NANOSECONDS + int(fraction.ljust(9, b"0")[:9])
    return -value if text.startswith(b"-") else value


def _real_size(member: Member) -> int:
    for keyword in (b"GNU.sparse.realsize", b"GNU.sparse.size"):
        if keyword in member.records:
            return int(member.records[keyword])
    return member.size


def identity(path: str) -> tuple[int, int] | None:
    """Device and inode number of a directory; None if it is not there."""
    try:
        status = os.stat(path)  # noqa: PTH116 - a path as text, as everywhere here
    except OSError:
        return None
    return status.st_dev, status.st_ino
