"""Where an SQLite database lies, and with whose rights it is copied.

SQLite opens what lies beside a database by its name, and a journal of somebody else's making decides which files are
written to, and which are deleted. With root's rights that would be any file of the machine. So root copies a database
as its owner. One that is root's own, but that lies where others can put something beside it, is copied as nobody, with
the database's group.

The way to it is walked by descriptors. A symbolic link on it must be root's or the reader's: another one could lead to
what only the reader may read.
"""

from __future__ import annotations

import grp
import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import field, replace

from s3napback.environment import NOBODY, User, user_of
from s3napback.errors import SourceError
from s3napback.records import dataclass

_LOOK = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_MOST_LINKS = 40  # as many as the kernel follows


@dataclass(frozen=True)
class DatabaseLocation:
    """Where a database is.

    Attributes:
        folder: descriptor of the folder in which it lies.
        name: in that folder.
        path: the same without symbolic links.
        status: of its file.
        user: whose rights are to be used; None are ours.
        is_shared: others than root and that user can put something beside it.
    """

    folder: int
    name: str
    path: str
    status: os.stat_result
    user: User | None
    is_shared: bool


@dataclass
class _Way:
    path: str
    folder: int
    names: list[str] = field(default_factory=list)
    folders: list[os.stat_result] = field(default_factory=list)
    links: list[tuple[str, int]] = field(default_factory=list)


@contextmanager
def reached(path: str, caller: int) -> Iterator[DatabaseLocation]:
    """Walk to a database, without opening it.

    Args:
        path: absolute.
        caller: number of the user whose rights we have.

    Raises:
        SourceError: it is not there, is no file, cannot be looked at, or is not to be reached without a risk.
    """
    with ExitStack() as opened:
        try:
            way, name, status = _walk(path, opened)
        except (FileNotFoundError, NotADirectoryError):
            raise SourceError(f"{path} does not exist") from None
        except OSError as error:
            raise SourceError(f"{path} cannot be looked at: {error.strerror}") from error
        if not stat.S_ISREG(status.st_mode):
            raise SourceError(f"{path} is not a regular file, and no database")
        yield _judged(way, name, status, caller)


def first_bytes(place: DatabaseLocation, count: int) -> bytes:
    """How a database's file begins.

    Raises:
        OSError: it cannot be read.
    """
    with os.fdopen(os.open(place.name, _READ, dir_fd=place.folder), "rb") as file:
        return file.read(count)


def _walk(path: str, opened: ExitStack) -> tuple[_Way, str, os.stat_result]:
    way = _Way(path, _open("/", None, opened))
    way.folders.append(os.fstat(way.folder))
    left = [part for part in path.split("/") if part not in ("", ".")]
    while True:
        name = left.pop(0)
        status = os.lstat(name, dir_fd=way.folder)
        if stat.S_ISLNK(status.st_mode):
            left = _followed(way, name, status, opened) + left
        elif not left:
            return way, name, status
        else:
            way.folder = _open(name, way.folder, opened)
            way.names = way.names[:-1] if name == ".." else [*way.names, name]
            way.folders.append(os.fstat(way.folder))


def _followed(way: _Way, name: str, status: os.stat_result, opened: ExitStack) -> list[str]:
    way.links.append(("/".join(["", *way.names, name]), status.st_uid))
    if len(way.links) > _MOST_LINKS:
        raise SourceError(f"{way.path}: there are too many symbolic links on the way")
    target = os.readlink(name, dir_fd=way.folder)
    if target.startswith("/"):
        way.folder, way.names = _open("/", None, opened), []
    parts = [part for part in target.split("/") if part not in ("", ".")]
    if not parts:
        raise SourceError(f"{way.path} is a folder, and no database")
    return parts


def _open(name: str, folder: int | None, opened: ExitStack) -> int:
    descriptor = os.open(name, _LOOK, dir_fd=folder)
    opened.callback(os.close, descriptor)
    return descriptor


def _judged(way: _Way, name: str, status: os.stat_result, caller: int) -> DatabaseLocation:
    last = way.folders[-1]
    reader = caller or status.st_uid or last.st_uid
    for link, owner in way.links:
        if owner not in (0, reader):
            raise SourceError(
                f"{way.path}: {link} is a symbolic link of {user_of(owner)}'s, and the database is read as "
                f"{user_of(reader)}: it could lead to what only that user may read. Write the path without it, or make "
                "root its owner (chown -h root)"
            )
    # Who has a folder in common with others can still not exchange what is theirs in it, but can put a journal there.
    above = [each for each in way.folders[:-1] if not each.st_mode & stat.S_ISVTX]
    is_shared = any(_is_open(each, reader) for each in (*above, last, status))
    path = "/".join(["", *way.names, name])
    return DatabaseLocation(way.folder, name, path, status, _user(reader, caller, is_shared, status, last), is_shared)


def _is_open(status: os.stat_result, reader: int) -> bool:
    by_group = bool(status.st_mode & stat.S_IWGRP) and status.st_gid != 0 and not _is_own_group(status.st_gid, reader)
    return status.st_uid not in (0, reader) or by_group or bool(status.st_mode & stat.S_IWOTH)


def _is_own_group(group: int, reader: int) -> bool:
    """Whether a group is the private one of a user, which bears the user's name."""
    user = user_of(reader)
    with suppress(KeyError):
        return user.gid == group and grp.getgrgid(group).gr_name == user.name
    return False


def _user(
    reader: int,
    caller: int,
    is_shared: bool,
    status: os.stat_result,
    folder: os.stat_result,
) -> User | None:
    if caller or not (reader or is_shared):
        return None
    if reader:
        return user_of(reader)
    # Too much of the machine is readable for root's own group.
    return replace(user_of(NOBODY), gid=status.st_gid or folder.st_gid or NOBODY, groups=())
