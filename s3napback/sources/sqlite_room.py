"""A private room in TempDir, in which this process works with a user's rights and reaches nothing but what it is for.

Where root may mount (``confinement.py``), it sees two folders and nothing else: the one in which the database lies, and
the room. So it does not matter whether the user has a way to either of them from ``/``, as with the volumes of a
container, and nothing beside a database leads out of its folder. Elsewhere it uses their paths.

Another process keeps our rights, waits until the work has ended, however it ends, and takes the room away.
"""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NoReturn

from s3napback.environment import User
from s3napback.errors import SourceError
from s3napback.formatting import printable
from s3napback.records import dataclass
from s3napback.sources.sqlite_access import DatabaseLocation, reached
from s3napback.streams.confinement import end_with_parent, enter_own_mounts, mount_empty, mount_folder

PREFIX = "s3napback-sqlite-"
_INNER = "copy"
_SOURCE = "source"
_STALE = 3600  # seconds after which a room is not one that is just being made
_LOOK = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FAILED = 1
_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)


@dataclass(frozen=True)
class View:
    """What is seen from within the room.

    Attributes:
        folder: path in which files may be made.
        source: path of the database; empty if there is none.
        place: the same, as it was reached; None if there is none.
    """

    folder: str
    source: str = ""
    place: DatabaseLocation | None = None


Work = Callable[[View], None]
"""What is to be done; it raises ``SourceError`` if it fails."""


def run_in_room(temp_dir: str, user: User | None, path: str, work: Work) -> int:
    """Do some work with a user's rights, in a room that is gone afterwards. This process keeps them to its end.

    What is imported later may not be found any more.

    Args:
        temp_dir: where the room is made.
        user: None is to keep ours.
        path: of the database that is to be seen; empty is none.
        work: what is to be done.

    Returns:
        The exit status.

    Raises:
        SourceError: the room cannot be made.
    """
    _sweep(temp_dir)
    # They are sent to all of the group; from the beginning of the room on, somebody must be there who tidies up.
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    room, descriptor = _made(temp_dir, user)
    over, working = os.pipe()
    cleaner = os.fork()
    if cleaner == 0:
        _clean_up_afterwards(over, working, room, descriptor, user)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)
    os.close(over)
    os.close(descriptor)
    status = _worked(room, user, path, work)
    os.close(working)
    os.waitpid(cleaner, 0)
    return status


def _clean_up_afterwards(over: int, working: int, room: str, descriptor: int, user: User | None) -> NoReturn:
    try:
        for inherited in (working, 0, 1, 2):
            os.close(inherited)
        os.read(over, 1)
        _remove(room, descriptor, user)
    finally:
        os._exit(0)


def _say(text: str) -> None:
    sys.stderr.write(f"{printable(text)}\n")
    sys.stderr.flush()


def _made(temp_dir: str, user: User | None) -> tuple[str, int]:
    """A new room: its path, and a descriptor that is locked as long as it is in use."""
    try:
        room = tempfile.mkdtemp(prefix=PREFIX, dir=temp_dir)
        descriptor = os.open(room, _LOOK)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if user is None:
            os.mkdir(_INNER, 0o700, dir_fd=descriptor)
        else:
            # Who has not the right to give files away can still let their owner make them.
            os.fchmod(descriptor, 0o1777)
            with _acting_as(user, descriptor):
                os.mkdir(_INNER, 0o700)  # noqa: PTH102 - as everything here, without pathlib: any bytes
            os.fchmod(descriptor, 0o711)
    except OSError as error:
        raise SourceError(f"nothing can be made in {temp_dir}: {error.strerror}; set TempDir") from error
    return room, descriptor


def _remove(room: str, descriptor: int, user: User | None) -> None:
    with suppress(OSError):
        inner = os.open(_INNER, _LOOK, dir_fd=descriptor)
        try:
            with _acting_as(user, inner):
                for name in os.listdir("."):  # noqa: PTH208 - it is where we are
                    os.unlink(name)  # noqa: PTH108
        finally:
            os.close(inner)
        os.rmdir(_INNER, dir_fd=descriptor)
    with suppress(OSError):
        os.rmdir(room)  # noqa: PTH106


def _sweep(temp_dir: str) -> None:
    """Remove rooms that were left by runs which could not tidy up, as when the power failed."""
    with suppress(OSError), os.scandir(temp_dir) as entries:
        for entry in entries:
            if not entry.name.startswith(PREFIX):
                continue
            with suppress(OSError), ExitStack() as stack:
                descriptor = os.open(entry.path, _LOOK)
                stack.callback(os.close, descriptor)
                status = os.fstat(descriptor)
                if status.st_uid == os.geteuid() and time.time() - status.st_mtime > _STALE:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    _remove(entry.path, descriptor, None)


@contextmanager
def _acting_as(user: User | None, folder: int) -> Iterator[None]:
    """Be in a folder, with a user's rights, for a moment."""
    own = os.geteuid(), os.getegid(), os.getgroups()
    os.fchdir(folder)
    try:
        if user is not None:
            os.setgroups(user.groups)
            os.setegid(user.gid)
            os.seteuid(user.uid)
        yield
    finally:
        if user is not None:
            os.seteuid(own[0])
            os.setegid(own[1])
            os.setgroups(own[2])
        os.chdir("/")


def _worked(room: str, user: User | None, path: str, work: Work) -> int:
    """Do the work; returns the exit status."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    os.umask(0o077)
    try:
        with ExitStack() as stack:
            work(_view(room, user, path, stack))
    except SourceError as error:
        for line in error.lines:
            _say(line)
        return _FAILED
    except OSError as error:
        _say(f"{error.strerror}: {error.filename}" if error.filename else str(error.strerror))
        return _FAILED
    return 0


def _view(room: str, user: User | None, path: str, stack: ExitStack) -> View:
    with suppress(OSError):
        end_with_parent()
    may_mount = user is not None
    if may_mount:
        try:
            enter_own_mounts()
        except OSError:
            may_mount = False
    # Descriptors of before would belong to the mounts of before.
    place = stack.enter_context(reached(path, os.geteuid())) if path else None
    if place is not None and place.user != user:
        raise SourceError(f"{path} was exchanged while it was looked at")
    inner = os.path.join(room, _INNER)  # noqa: PTH118
    view = View(inner, place.path if place else "", place)
    if user is None:
        return view
    if may_mount:
        view = _narrowed(room, place, view, stack)
    os.setgroups(user.groups)
    os.setresgid(user.gid, user.gid, user.gid)
    os.setresuid(user.uid, user.uid, user.uid)
    with suppress(OSError):
        end_with_parent()
    if not os.access(view.folder, os.W_OK | os.X_OK):
        raise SourceError(
            f"{user}, with whose rights the database is read, cannot enter {Path(room).parent}: let others enter that "
            "folder (chmod o+x, for each on the way to it), or set TempDir to another one, such as /var/tmp"
        )
    return view


def _narrowed(room: str, place: DatabaseLocation | None, view: View, stack: ExitStack) -> View:
    """See the room and the database's folder, and nothing else."""
    inner = os.open(view.folder, _LOOK)
    stack.callback(os.close, inner)
    try:
        mount_empty(room)
    except OSError:
        return view
    for name, folder in ((_INNER, inner), (_SOURCE, place.folder if place else None)):
        if folder is not None:
            target = os.path.join(room, name)  # noqa: PTH118
            os.mkdir(target)  # noqa: PTH102
            mount_folder(folder, target)
    os.chroot(room)
    os.chdir("/")
    return View(f"/{_INNER}", f"/{_SOURCE}/{place.name}" if place else "", place)
