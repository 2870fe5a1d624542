"""The scratch folder of one proof: for nobody but us and what is tried in it, and gone afterwards, however it ended."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import secrets
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from s3napback.environment import NOBODY, User, user_of
from s3napback.errors import S3napbackError
from s3napback.formatting import human_bytes
from s3napback.records import dataclass
from s3napback.recovery.clearing import remove
from s3napback.recovery.folders import cursor

logger = logging.getLogger("s3napback")

PREFIX = ".s3napback-drill-"
_LIVE_MARKS = ("ibdata1", "PG_VERSION", "mysqld.pid", "postmaster.pid")
"""Files that stand in the data folder of a server of databases."""

_LONGEST_SOCKET = 107
"""Bytes of a socket's path (unix(7))."""

_PATIENCE = 5.0  # seconds for a killed process to be gone


class UnusableScratch(S3napbackError):
    """Nothing can be tried there."""

    exit_code = 2


@dataclass(frozen=True)
class Scratch:
    """A scratch folder.

    Attributes:
        path: of it, without symbolic links.
        descriptor: of it.
        user: whose rights what is tried in it has; None are ours.
    """

    path: Path
    descriptor: int
    user: User | None = None

    def socket(self, name: str) -> Path:
        """The path of a socket in it.

        Raises:
            UnusableScratch: that would be too long a path.
        """
        path = self.path / name
        if len(os.fsencode(path)) > _LONGEST_SOCKET:
            raise UnusableScratch(f"{self.path} is too long a path for a server's socket: name another with --scratch")
        return path


@contextmanager
def scratch_in(parent: Path, needed: int = 0, user: User | None = None, *, keeps: bool = False) -> Iterator[Scratch]:
    """A scratch folder, after those that drills left there which were ended by force are gone.

    Args:
        parent: the folder to make it in.
        needed: bytes that there has to be room for.
        user: whose it shall be, and whose rights what is tried in it has; None are ours.
        keeps: it stays when all is over, and bears a name then by which people find it.

    Raises:
        UnusableScratch: it cannot be made, is too small, or belongs to a live server.
    """
    with ExitStack() as stack:
        try:
            parent = parent.resolve(strict=True)
            _refuse_live(parent)
            remove_leftovers(parent)
            _require_room(parent, needed)
            if user is not None:
                _require_way(parent, user)
            path = parent / f"{PREFIX}{secrets.token_hex(4)}"
            path.mkdir(mode=0o700)
            stack.callback(_keep if keeps else _remove, path)
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            stack.callback(os.close, descriptor)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if user is not None:
                os.fchown(descriptor, user.uid, user.gid)
        except OSError as error:
            where = f"nothing can be tried in {parent}"
            if user is not None and error.errno in (errno.EINVAL, errno.EPERM):
                # It is the answer of a user namespace that has root alone.
                where += f" as {user}: this container, or service, has no such user, or lets nobody become it"
            raise UnusableScratch(f"{where}: {error.strerror}") from error
        yield Scratch(path, descriptor, user)


def _remove(path: Path) -> None:
    with suppress(OSError):
        _clear(path)
    shutil.rmtree(path, ignore_errors=True)


def _clear(path: Path) -> None:
    """Remove it with what was restored there, however deep, also in folders that their permissions close to us."""
    parent = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        with cursor(parent, is_own=True, stays_open=True) as place:
            remove(place, path.name, is_folder=True)
    finally:
        os.close(parent)


def _keep(path: Path) -> None:
    kept = path.with_name(f"s3napback-drill-{time.strftime('%Y%m%d-%H%M%S')}{path.name.removeprefix(PREFIX)}")
    path.rename(kept)
    logger.info("what was restored is kept in %s", kept)


def nobody() -> User | None:
    """Whose rights a program has that works on what a thief may have made; for whoever is not root they are ours."""
    return user_of(NOBODY) if os.geteuid() == 0 else None


def _refuse_live(parent: Path) -> None:
    for folder in (parent, *parent.parents):
        for mark in _LIVE_MARKS:
            if os.path.lexists(folder / mark):
                raise UnusableScratch(
                    f"{folder} holds {mark}: it is the data folder of a server of databases, and nothing is tried "
                    "there; name another folder with --scratch"
                )


def _require_way(parent: Path, user: User) -> None:
    for folder in (parent, *parent.parents):
        status = folder.stat()
        if not status.st_mode & (0o100 if status.st_uid == user.uid else 0o001):
            raise UnusableScratch(
                f"what is tried has the rights of {user}, who cannot enter {folder}: name another folder with --scratch"
            )


def _require_room(parent: Path, needed: int) -> None:
    room = os.statvfs(parent)
    free = room.f_bavail * room.f_frsize
    if room.f_blocks and free < needed:
        raise UnusableScratch(
            f"{parent} has room for {human_bytes(free)}, and at least {human_bytes(needed)} are needed: name another "
            "folder with --scratch"
        )


def remove_leftovers(parent: Path) -> None:
    """End and remove what drills that were ended by force have left in a folder."""
    for path in parent.glob(f"{PREFIX}*"):
        with suppress(OSError):
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                owner = os.fstat(descriptor).st_uid
                if owner not in (os.geteuid(), NOBODY) or (owner == NOBODY and os.geteuid()):
                    continue
                # Whoever is still at work holds this lock.
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _end_processes_in(path)
                _clear(path)
                logger.info("removed %s, which a drill left that was ended by force", path)
            finally:
                os.close(descriptor)


def _end_processes_in(folder: Path) -> None:
    """Kill those that work in a folder of ours, and wait for their ends."""
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline and (found := list(_processes_in(folder))):
        for number in found:
            with suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        time.sleep(0.05)


def _processes_in(folder: Path) -> Iterator[int]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError):
                place = Path(os.readlink(entry / "cwd"))  # noqa: PTH115 - it must not be followed
                if place == folder or folder in place.parents:
                    yield int(entry.name)
