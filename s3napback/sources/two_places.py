"""Whether one folder has two places in a source for good: by a mount, by a link that is followed, or by a number.

tar, which knows a folder by its device and inode number, takes it for one that was renamed meanwhile. In a snapshot
Btrfs shows an empty folder in place of each subvolume that lies within what was taken, and gives all of these one
number. Of files that have several names tar knows by these numbers, too, which are one; what shows several file systems
as one (bindfs, virtiofs, 9p) may give different files the same number, and different folders, as the topmost ones.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection

from s3napback.records import dataclass
from s3napback.sources.kept_out import KEPT_OUT

NOT_WHAT_LIES_THERE = (
    f"{KEPT_OUT}, or its file system gives it the number of another file (TarOptions --hard-dereference)"
)
"""Of a member that is not what lies there, behind its path."""


@dataclass(frozen=True)
class TwoPlaces:
    """Judges pairs of paths, as they stand in the archive, normalised.

    Attributes:
        mounts: paths at which something is mounted.
        follows: tar archives what links lead to.
        doubts: a file system is read that may give different files one number.
    """

    mounts: Collection[bytes] = ()
    follows: bool = False
    doubts: bool = False

    def have(self, one: bytes, other: bytes) -> bool:
        """Whether a folder that was met at both is there for good; one of them may be empty, for none."""
        if any(_is_at_or_below(path, mount) for path in (one, other) for mount in self.mounts):
            return True
        return (self.follows or self.doubts) and bool(one and other) and self._are_one(one, other)

    def are_two_files(self, one: bytes, other: bytes) -> bool:
        """Whether two names, which tar takes for those of one file, are of different ones."""
        if not self.doubts:
            return False
        try:
            first, second, again = (_described(self._look(path)) for path in (one, other, one))
        except OSError:
            return False
        # Unless it is just being changed.
        return first == again != second

    def _are_one(self, one: bytes, other: bytes) -> bool:
        """Whether both are there, and have one number: neither is what the other was renamed to."""
        try:
            return os.path.samestat(self._look(one), self._look(other))
        except OSError:
            return False

    def _look(self, path: bytes) -> os.stat_result:
        look = os.stat if self.follows else os.lstat
        return look(b"/" + path)

    @staticmethod
    def are_empty(one: bytes, other: bytes) -> bool:
        """Whether both are there for good, as one folder with nothing in it: of such a one nothing can be missing."""
        try:
            found = _identity_of_empty(one)
            return bool(one and other and found) and found == _identity_of_empty(other)
        except OSError:
            return False


def _identity_of_empty(path: bytes) -> tuple[int, int] | None:
    """None is of what is no folder, or not empty."""
    status = os.lstat(b"/" + path)
    if not stat.S_ISDIR(status.st_mode):
        return None
    with os.scandir(b"/" + path) as entries:
        return None if any(entries) else (status.st_dev, status.st_ino)


def _described(status: os.stat_result) -> tuple[int, ...]:
    return status.st_mode, status.st_uid, status.st_gid, status.st_size, status.st_mtime_ns


def _is_at_or_below(path: bytes, folder: bytes) -> bool:
    return path == folder or path.startswith(folder + b"/")
