"""Whose doing it is that something cannot be read: what any user can bring about must not cost the others their night.

A user can let paths vanish, nest folders deeper than a path can say, hold a file by a lease (``F_SETLEASE``; tar opens
without waiting, and gets EAGAIN), lock an encrypted folder (fscrypt(7)), and mount a file system of his own with FUSE,
into which the kernel lets not even root look unless it is told to (fuse(8), ``allow_other``), and whose answers are
his. Nothing but such a mount denies a look to root with all its powers, on a file system of this machine.
"""

from __future__ import annotations

import errno
import os
import posixpath
import stat
import time
from collections.abc import Callable, Sequence
from dataclasses import field

from s3napback.capabilities import DAC_OVERRIDE, DAC_READ_SEARCH, effective_capabilities
from s3napback.mounts import (
    Mount,
    current_mounts,
    is_made_by_the_kernel,
    is_of_another_user,
    is_of_this_machine,
    mount_of,
)
from s3napback.owners import knows_all_users
from s3napback.records import dataclass

TOO_LONG = b"File name too long"
VANISHED = frozenset(
    {
        b"No such file or directory",
        b"Not a directory",
        b"Too many levels of symbolic links",
        b"No such device or address",
        b"No such process",  # below /proc
    }
)
STALE = b"Stale file handle"
"""Removed by another client of a network file system; of all that is mounted there, it is no more served."""

_HELD_BY_A_USER = frozenset({b"Resource temporarily unavailable", b"Required key not available"})
_DENIED = frozenset({b"Permission denied", b"Operation not permitted", b"Transport endpoint is not connected"})
_FAILED = b"Input/output error"
_MOST_LOOKS = 1000
_COARSEST_NS = 2_000_000_000
"""Steps in which file systems keep times (FAT)."""


def reads_everything() -> bool:
    """Whether we are root with all that lets it read every file: not one of a user namespace, nor without powers."""
    reads = effective_capabilities() & (DAC_READ_SEARCH | DAC_OVERRIDE)
    return os.geteuid() == 0 and knows_all_users() and bool(reads)


@dataclass
class Blame:
    """Judges what tar says of paths below one directory, while the file systems are mounted that it speaks of.

    Attributes:
        member: of the directory, normalised, as in the archive.
        top: the same in the tree, absolute, without symbolic links.
        is_almighty: tar may read every file of this machine.
        look: tells what is mounted now.
        since_ns: nanoseconds since 1970, before tar began.
    """

    member: bytes
    top: str
    is_almighty: bool
    look: Callable[[], Sequence[Mount]] = current_mounts
    since_ns: int = field(default_factory=time.time_ns)

    def __post_init__(self) -> None:
        self._user = os.geteuid()
        self._looks = 0
        self._mounts: Sequence[Mount] = ()

    def is_a_users(self, path: bytes, reason: bytes) -> bool:
        """Whether any user can bring it about that a path cannot be read for this reason (the C library's text)."""
        if reason == TOO_LONG or reason in VANISHED or reason in _HELD_BY_A_USER:
            return True
        place = self._place(path)
        mount = mount_of(place, self._now_mounted())
        if reason == STALE:
            return mount.point != place
        if is_of_another_user(mount, self._user) or is_made_by_the_kernel(mount):
            return True
        return self.is_almighty and reason in _DENIED and is_of_this_machine(mount)

    def leads_nowhere(self, path: bytes) -> bool:
        """Whether a path is a symbolic link now that leads nowhere: tar says of one that it follows that it is gone."""
        place = self._place(path)
        # Path.is_symlink() raises where a file system does not let look.
        return os.path.islink(place) and not os.access(place, os.F_OK)  # noqa: PTH114

    def reason_of_end(self, path: bytes, lacking: int) -> bytes:
        """Why a file ended too early that nobody has changed since tar began (the C library's text).

        A read that comes to a bad place of a disk gives what lies before it, and tar takes such a file for one that
        became shorter, although the next read would fail (1.34 and 1.35, ``dump_regular_file``).

        Args:
            path: as in the archive.
            lacking: bytes of it that did not come.

        Returns:
            Nothing if it was changed, has gone, or has no more bytes than came, as files of the kernel's may.
        """
        try:
            found = os.open(self._place(path), os.O_PATH | os.O_CLOEXEC)
        except OSError as error:
            reason = _text(error)
            # tar, which opens a file in its folder, comes further down than a path can say.
            return b"" if reason == TOO_LONG or reason in VANISHED else reason
        try:
            status = os.fstat(found)
            changed = max(status.st_mtime_ns, status.st_ctime_ns)
            if not stat.S_ISREG(status.st_mode) or changed >= self.since_ns - _COARSEST_NS:
                return b""
            return _reason_at(found, max(0, status.st_size - lacking))
        except OSError as error:
            return _text(error)
        finally:
            os.close(found)

    def _place(self, path: bytes) -> str:
        below = path if self.member == b"." else path[len(self.member) :].lstrip(b"/")
        return posixpath.normpath(posixpath.join(self.top, os.fsdecode(below)))

    def _now_mounted(self) -> Sequence[Mount]:
        # What a user has mounted may be gone a moment later, so each look counts; but not a million of them.
        if self._looks < _MOST_LOOKS:
            self._looks += 1
            self._mounts = self.look()
        return self._mounts


def _reason_at(found: int, place: int) -> bytes:
    """Why a file that was looked at cannot be read at a place; if it can be now, it is a disk that fails at times."""
    try:
        # What was looked at, and nothing that has taken its name: to open a device can do something.
        descriptor = os.open(f"/proc/self/fd/{found}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return _FAILED
    try:
        return _FAILED if os.pread(descriptor, 1, place) else b""
    except OSError as error:
        return _text(error)
    finally:
        os.close(descriptor)


def _text(error: OSError) -> bytes:
    return os.strerror(error.errno or errno.EIO).encode()
