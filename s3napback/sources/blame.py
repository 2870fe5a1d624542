"""Whose doing it is that something cannot be read: what any user can bring about must not cost the others their night.

A user can let paths vanish, nest folders deeper than a path can say, hold a file by a lease (``F_SETLEASE``; tar opens
without waiting, and gets EAGAIN), lock an encrypted folder (fscrypt(7)), and mount a file system of his own with FUSE,
into which the kernel lets not even root look unless it is told to (fuse(8), ``allow_other``), and whose answers are
his. Nothing but such a mount denies a look to root with all its powers, on a file system of this machine.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable, Sequence
from pathlib import Path

from s3napback.capabilities import DAC_OVERRIDE, DAC_READ_SEARCH, effective_capabilities
from s3napback.records import dataclass
from s3napback.sources.mounts import (
    Mount,
    current_mounts,
    is_made_by_the_kernel,
    is_of_another_user,
    is_of_this_machine,
    mount_of,
)

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
_MOST_LOOKS = 1000
_ALL_USERS = ["0", "0", "4294967295"]


def reads_everything() -> bool:
    """Whether we are root with all that lets it read every file: not one of a user namespace, nor without powers."""
    try:
        users = Path("/proc/self/uid_map").read_text("ascii", "replace")
    except OSError:
        return False
    reads = effective_capabilities() & (DAC_READ_SEARCH | DAC_OVERRIDE)
    return os.geteuid() == 0 and users.split() == _ALL_USERS and bool(reads)


@dataclass
class Blame:
    """Judges what tar says of paths below one directory, while the file systems are mounted that it speaks of.

    Attributes:
        member: of the directory, normalised, as in the archive.
        top: the same in the tree, absolute, without symbolic links.
        is_almighty: tar may read every file of this machine.
        look: tells what is mounted now.
    """

    member: bytes
    top: str
    is_almighty: bool
    look: Callable[[], Sequence[Mount]] = current_mounts

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
        place = Path(self._place(path))
        return place.is_symlink() and not os.access(place, os.F_OK)

    def _place(self, path: bytes) -> str:
        below = path if self.member == b"." else path[len(self.member) :].lstrip(b"/")
        return posixpath.normpath(posixpath.join(self.top, os.fsdecode(below)))

    def _now_mounted(self) -> Sequence[Mount]:
        # What a user has mounted may be gone a moment later, so each look counts; but not a million of them.
        if self._looks < _MOST_LOOKS:
            self._looks += 1
            self._mounts = self.look()
        return self._mounts
