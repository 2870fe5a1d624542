"""Whether a drill that came to no good end speaks of the archive, or of the machine on which it was tried. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from s3napback.errors import PipelineError, S3napbackError
from s3napback.original.renames import UnclearRenames
from s3napback.recovery.opening.failures import OF_THIS_MACHINE, Changed, Damaged, Unable, Untrusted
from s3napback.recovery.subversion import NotLoaded
from s3napback.streams.culprits import Culprit, ElementsFailed
from s3napback.streams.dumpdirs import MalformedArchive
from s3napback.streams.receiving import ReceiverFailed
from s3napback.streams.transformations import Feed

_OF_ARCHIVES = (Damaged, Changed, Untrusted, NotLoaded, MalformedArchive, UnclearRenames)

_NO_ROOM = ("No space left on device", "Disk quota exceeded", "Errcode: 28", "errno: 28", "Disk full", "disk is full")
"""What the system, and servers of databases, say of a disk that is full."""

_OF_MACHINES = (
    *("was killed by", "silent for", "cannot start "),
    # What keeps gpg from a key that is good for the archive.
    *("No secret key", "Bad passphrase", "No passphrase given", "Operation cancelled", "No pinentry"),
    *("Inappropriate ioctl", "cannot open passphrase"),
    *OF_THIS_MACHINE,
)


def lacks_room(lines: Iterable[str]) -> bool:
    """Whether words tell of a disk that is full."""
    return any(sign in line for line in lines for sign in _NO_ROOM)


def speaks_of_archive(error: S3napbackError) -> bool:
    """Whether a failure says that an archive is not what it should be; in doubt it says nothing of it.

    A store that does not answer, a server that is missing, a full disk and a killed program say nothing.
    """
    if lacks_room(error.lines) or isinstance(error, Unable):
        return False
    cause = error.__cause__
    if isinstance(cause, ReceiverFailed) and cause.was_killed:
        return False
    if isinstance(error, _OF_ARCHIVES):
        return True
    if isinstance(cause, ElementsFailed):
        return isinstance(error, PipelineError) and _is_spoilt(cause.culprits[0])
    return False


def _is_spoilt(culprit: Culprit) -> bool:
    """Whether it is the stream that a part of a pipeline could not cope with."""
    if isinstance(culprit.element, Feed):
        return isinstance(culprit.error, _OF_ARCHIVES)
    return culprit.has_worked and not any(sign in line for line in culprit.lines for sign in _OF_MACHINES)
