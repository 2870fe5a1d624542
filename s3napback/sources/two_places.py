"""Whether one folder has two places in a source for good: by a mount, by a link that is followed, or by a number.

tar, which knows a folder by its device and inode number, takes it for one that was renamed meanwhile. In a snapshot
Btrfs shows an empty folder in place of each subvolume that lies within what was taken, and gives all of these one
number.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection
from pathlib import Path

from s3napback.records import dataclass


@dataclass(frozen=True)
class TwoPlaces:
    """Judges pairs of paths, as they stand in the archive, normalised.

    Attributes:
        mounts: paths at which something is mounted.
        follows: tar archives what links lead to.
    """

    mounts: Collection[bytes] = ()
    follows: bool = False

    def have(self, one: bytes, other: bytes) -> bool:
        """Whether a folder that was met at both is there for good; one of them may be empty, for none."""
        if any(_is_at_or_below(path, mount) for path in (one, other) for mount in self.mounts):
            return True
        return self.follows and bool(one and other) and _are_one(one, other)

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


def _are_one(one: bytes, other: bytes) -> bool:
    try:
        return Path(os.fsdecode(b"/" + one)).samefile(os.fsdecode(b"/" + other))
    except OSError:
        return False


def _is_at_or_below(path: bytes, folder: bytes) -> bool:
    return path == folder or path.startswith(folder + b"/")
