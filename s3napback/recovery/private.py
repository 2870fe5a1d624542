"""Folders that nobody but the caller reaches, made in folders of others, and gone afterwards."""

from __future__ import annotations

import errno
import logging
import os
import secrets
import shlex
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from s3napback.ending import deferred_signals
from s3napback.formatting import printable
from s3napback.recovery.file_flags import APPEND_ONLY, flags_of
from s3napback.recovery.folders import NEW_ONES_LIST, exists, names_in, opened_anew, unchanged, walk
from s3napback.recovery.passing import OPEN_FOLDER
from s3napback.recovery.path_opening import UnusableFolder

logger = logging.getLogger("s3napback")

_known: set[str] = set()
"""Names, which are random, of such folders that are ours and at work, or were told of as left by others."""


@contextmanager
def private_folder(parent: int, prefix: str) -> Iterator[tuple[str, int]]:
    """A new folder for nobody but the caller, gone afterwards with all in it.

    Args:
        parent: descriptor of the folder that it is made in; may belong to others.
        prefix: how its name begins.

    Yields:
        Its name and its descriptor.

    Raises:
        OSError: it cannot be made.
        UnusableFolder: somebody has put another folder in its place.
    """
    with ExitStack() as stack:
        # A signal between the two would leave it behind, and so would one that came while it is removed.
        with deferred_signals():
            name, descriptor = _made(parent, prefix)
            stack.callback(_remove, name, descriptor, parent)
        yield name, descriptor


def _made(parent: int, prefix: str) -> tuple[str, int]:
    """Make such a folder: its name and its descriptor."""
    if flags_of("", parent) & APPEND_ONLY:
        raise OSError(errno.EPERM, "it is append-only (chattr +a), and nothing that is made in it could be removed")
    name = f"{prefix}{secrets.token_hex(8)}"
    _known.add(name)
    with unchanged(parent):
        os.mkdir(name, 0o700, dir_fd=parent)
        try:
            descriptor = os.open(name, OPEN_FOLDER, dir_fd=parent)
        except OSError as error:
            raise UnusableFolder(f"{name}, just made, was taken away by somebody: {error.strerror}") from error
    if not _is_private(descriptor, parent) or names_in(descriptor):
        os.close(descriptor)
        raise UnusableFolder(f"{name}, just made, was replaced by another folder: somebody is at work here")
    if os.fstat(descriptor).st_mode & stat.S_IRWXU != stat.S_IRWXU:
        # What folders get from a default list of the one above: it would take rights from us at any depth.
        with suppress(OSError):
            os.removexattr(descriptor, NEW_ONES_LIST)
            os.fchmod(descriptor, 0o700)
    return name, descriptor


@deferred_signals()
def _remove(name: str, folder: int, parent: int) -> None:
    """Close the folder, and remove it with all in it; of what is left is told.

    The file system may not be there any more, or may have become read-only. That is not what a run that fails for it
    ends with.
    """
    is_told = False
    try:
        own = os.fstat(folder)
        with unchanged(parent):
            empty(folder)
            # It may bear another name by now, and this one may be somebody else's.
            try:
                os.rmdir(name, dir_fd=parent)
            except OSError as error:
                _tell_of_rest(name, parent, own, error)
                is_told = True
    except OSError as error:
        if not is_told:
            logger.warning("%s is left, and cannot be removed: %s", printable(_path(name, parent)), error.strerror)
    finally:
        with suppress(OSError):
            os.close(folder)


def _tell_of_rest(name: str, parent: int, own: os.stat_result, error: OSError) -> None:
    is_own = exists(name, parent) and os.path.samestat(os.lstat(name, dir_fd=parent), own)
    reason = error.strerror if is_own else "it was moved or replaced by somebody"
    logger.warning("%s is left, and cannot be removed: %s", printable(_path(name, parent)), reason)


def tell_of_leftovers(folder: int, prefix: str) -> None:
    """Warn of what others of our runs have left in a folder, because they were ended by force; once of each.

    Args:
        folder: its descriptor.
        prefix: how the names of what is private begin.
    """
    with suppress(OSError):
        with opened_anew(folder) as again, os.scandir(again) as entries:
            found = sorted(each.name for each in entries if each.name.startswith(prefix))
        for name in found:
            if name not in _known and os.lstat(name, dir_fd=folder).st_uid == os.geteuid():
                _known.add(name)
                path = _path(name, folder)
                logger.warning(
                    "%s was left by a restore that was ended by force, unless that is still at work; remove it with: "
                    "rm -rf -- %s",
                    *(printable(path), printable(shlex.quote(path))),
                )


def _path(name: str, folder: int) -> str:
    return os.path.join(os.readlink(f"/proc/self/fd/{folder}"), name)  # noqa: PTH115, PTH118


def _is_private(folder: int, parent: int) -> bool:
    """Whether a folder that we made is for us alone, or as much so as its file system lets anything be."""
    status = os.fstat(folder)
    if status.st_uid == os.geteuid() and not status.st_mode & 0o077:
        return True
    # FAT, SMB and the like give all that is made there to one user, with the same permissions. A file that is made, and
    # not opened if there is one already, tells that; nobody else can have put it there.
    name = f".s3napback-{secrets.token_hex(8)}"
    descriptor = os.open(
        name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=parent
    )
    try:
        usual = os.fstat(descriptor)
    finally:
        os.close(descriptor)
        with suppress(OSError):
            os.unlink(name, dir_fd=parent)
    return status.st_uid == usual.st_uid and not status.st_mode & 0o077 & ~usual.st_mode & 0o066


def empty(top: int) -> None:
    """Remove all that a folder of the caller's own holds. What cannot be removed stays.

    Args:
        top: its descriptor.
    """
    for step in walk(top, stays_open=True, refused=lambda _name, _error: None):
        with suppress(OSError):
            if step.left:
                os.rmdir(step.left, dir_fd=step.place.descriptor)
        for name in step.others:
            with suppress(OSError):
                os.unlink(name, dir_fd=step.place.descriptor)
