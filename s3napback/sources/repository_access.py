"""With whose rights a Subversion repository is read, and what in it its tools must not be let near.

``svnadmin`` and ``svnlook`` open what lies in a repository, and follow links. With root's rights that would show its
owner the secrets of others; and Berkeley DB, which opens its files for writing even when it is only read, could be made
to overwrite any file of the machine. So root reads a repository as its owner, and one that is root's own, but that
others can write to as well, as nobody with the repository's group.
"""

from __future__ import annotations

import os
import posixpath
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

from s3napback.environment import NOBODY, User, user_of
from s3napback.errors import SourceError
from s3napback.kinds import SUBVERSION, SourceName
from s3napback.records import dataclass

_BERKELEY_DB = b"bdb"
_LONGEST_TYPE = 64  # bytes; that are read of the file which tells the kind of a repository
_MOST_LINKS = 40  # as many as the kernel follows


@dataclass(frozen=True)
class Access:
    """How the tools are to reach a repository.

    Attributes:
        user: whose rights they have; None are ours.
        directory: where they are started; None is where we are. From within a repository its owner need not have the
            right to come there from outside.
        name: what the repository is called there.
        reason: why they have that user's rights, as a clause.
    """

    user: User | None
    directory: str | None
    name: str
    reason: str = ""


def repository_access(path: str, caller: int) -> Access:
    """Look at a repository without opening what lies in it, and tell how it can be read.

    Args:
        path: an absolute path, of something that is there.
        caller: number of the user whose rights we have.

    Raises:
        SourceError: it cannot be read without a risk: something in it is no file, or a link of somebody else's, or it
            is of Berkeley DB and others than the reader can write to it.
    """
    try:
        survey = _Survey(path, caller)
        survey.look()
        return survey.access()
    except OSError as error:
        raise SourceError(f"{_named(path)} cannot be looked at: {error.strerror}: {error.filename}") from error


class _Survey:
    """One look at a repository.

    Attributes:
        reader: number of the user with whose rights it is read, as far as owners tell.
        is_shared: others than root and the reader can write to it, or put something else in its place.
    """

    def __init__(self, path: str, caller: int) -> None:
        self._path = path
        self._caller = caller
        self._owner = _stat(path).st_uid
        database = _stat_if_there(self._inner("db"))
        # Where root has made a repository, the one who uses it is often given what lies in it only.
        self.reader = caller or self._owner or (database.st_uid if database else 0)
        self._group = database.st_gid if database else 0
        self.is_shared = False

    def look(self) -> None:
        """Look at everything that the tools may open.

        Raises:
            SourceError: see ``repository_access``.
        """
        for step in _steps_to(self._path):
            self._look_at_step(step)
        for name in ("", "format", "db", "locks"):
            self._look_at(self._inner(name))
        for name in ("db", "locks"):
            for entry in _entries(self._inner(name)):
                self._look_at(entry.path)
        # Only these hold so many files that it matters to look at no more than their type.
        for name in ("revs", "revprops"):
            self._walk(self._inner("db", name))
        if self._is_berkeley_db():
            self._require_safe_berkeley_db()

    def access(self) -> Access:
        """What follows from it."""
        if self._caller or not (self.reader or self.is_shared):
            return Access(None, None, self._path)
        if self.reader:
            return Access(user_of(self.reader), self._path, ".", "whose it is")
        # Too much of the machine is readable for root's own group.
        nobody = replace(user_of(NOBODY), gid=self._group or NOBODY, groups=())
        return Access(nobody, self._path, ".", "since others than root can write to it or to a folder above it")

    def _inner(self, *names: str) -> str:
        return posixpath.join(self._path, *names) if any(names) else self._path

    def _look_at_step(self, step: str) -> None:
        status = _lstat(step)
        if stat.S_ISLNK(status.st_mode):
            self._require_trusted_link(step, status)
        elif not status.st_mode & stat.S_ISVTX:
            self._note(status)

    def _walk(self, folder: str) -> None:
        for entry in _entries(folder):
            if entry.is_dir(follow_symlinks=False):
                self._look_at(entry.path)
                self._walk(entry.path)
            elif not entry.is_file(follow_symlinks=False):
                self._look_at(entry.path)

    def _look_at(self, path: str) -> None:
        # What is being committed may vanish; what is missing, the tools report.
        with suppress(FileNotFoundError):
            status = _lstat(path)
            if stat.S_ISLNK(status.st_mode):
                self._require_trusted_link(path, status)
                status = _stat(path)
            if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
                raise SourceError(
                    f"{_named(self._path)}: {path} is neither a file nor a folder, and svnadmin could wait for it "
                    "for ever. It is no part of a repository; remove it"
                )
            self._note(status)

    def _note(self, status: os.stat_result) -> None:
        by_group = status.st_mode & stat.S_IWGRP and status.st_gid != 0
        if status.st_uid not in (0, self.reader) or by_group or status.st_mode & stat.S_IWOTH:
            self.is_shared = True

    def _require_trusted_link(self, link: str, status: os.stat_result) -> None:
        if status.st_uid in (0, self.reader):
            return
        raise SourceError(
            f"{_named(self._path)}: {link} is a symbolic link of {user_of(status.st_uid)}'s, and the repository is "
            f"read as {user_of(self.reader)}: it could lead to what only that user may read. Remove it, or make root "
            "its owner (chown -h root)"
        )

    def _is_berkeley_db(self) -> bool:
        """Without the file that tells the kind, a repository is one of Berkeley DB (Subversion's ``fs-loader.c``)."""
        try:
            descriptor = os.open(self._inner("db", "fs-type"), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return _stat_if_there(self._inner("db")) is not None
        with os.fdopen(descriptor, "rb") as file:
            return file.read(_LONGEST_TYPE).strip() == _BERKELEY_DB

    def _require_safe_berkeley_db(self) -> None:
        if self._caller == 0 and self.is_shared and not self.reader:
            whose = "others than root can write to it"
        elif self._caller not in (0, self._owner):
            whose = f"it belongs to {user_of(self._owner)}, and s3napback runs as {user_of(self._caller)}"
        else:
            return
        raise SourceError(
            f"{_named(self._path)} is of Berkeley DB, which writes to a repository's files even when it is read, "
            f"and {whose}: whoever put links there could have other files overwritten. Let its owner convert it: "
            f"svnadmin create NEW && svnadmin dump {self._path} | svnadmin load NEW"
        )


def _named(path: str) -> SourceName:
    return SourceName(SUBVERSION.name, path)


def _steps_to(path: str) -> Iterator[str]:
    """Every folder and symbolic link that is passed on the way to ``path``, without where it ends."""
    followed = 0
    done, left = "/", path.split("/")
    while left:
        part = left.pop(0)
        if part in ("", "."):
            continue
        yield done
        step = posixpath.dirname(done) if part == ".." else posixpath.join(done, part)
        if not stat.S_ISLNK(_lstat(step).st_mode):
            done = step
            continue
        yield step
        followed += 1
        if followed > _MOST_LINKS:
            raise SourceError(f"{_named(path)}: there are too many symbolic links on the way")
        target = os.readlink(step)  # noqa: PTH115 - any bytes, and slashes as they are
        left = target.split("/") + left
        done = "/" if target.startswith("/") else done


def _lstat(path: str) -> os.stat_result:
    return os.stat(path, follow_symlinks=False)  # noqa: PTH116 - Path would not keep every name as it is


def _stat(path: str) -> os.stat_result:
    return os.stat(path)  # noqa: PTH116


def _stat_if_there(path: str) -> os.stat_result | None:
    with suppress(FileNotFoundError, NotADirectoryError):
        return _stat(path)
    return None


def _entries(folder: str) -> Iterator[os.DirEntry[str]]:
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        yield from entries
