"""What a target does where others do nothing: to what is renamed, to what links lead to, to a file with a new name."""

from __future__ import annotations

import os
from contextlib import suppress

from s3napback.records import dataclass
from s3napback.recovery.folders import names_in
from s3napback.recovery.passing import OPEN_FOLDER
from s3napback.recovery.times import are_close

_INNER = "inner"

_AGO = 1_000_000_000_900_000_000
"""Nanoseconds since 1970, in 2001, and no whole second."""


@dataclass(frozen=True)
class Manners:
    """Those of a file system.

    Attributes:
        one_by_one: what is renamed, or lies in a folder that is, has other times then, as with EncFS, or is gone, as
            with fusefat.
        follows_links: who gives a link an owner or times gives them to what it leads to, were it elsewhere: sshfs.
        dates_names: a file that gets another name has the time of that then, as in a mount of SeaweedFS.
    """

    one_by_one: bool = False
    follows_links: bool = False
    dates_names: bool = False

    def __or__(self, other: Manners) -> Manners:
        one_by_one, follows_links = self.one_by_one or other.one_by_one, self.follows_links or other.follows_links
        return Manners(one_by_one, follows_links, self.dates_names or other.dates_names)


USUAL_MANNERS = Manners()


def manners_of(folder: int) -> Manners:
    """Try with files that are gone afterwards; what fails tells nothing.

    Args:
        folder: descriptor of one of the caller's own.
    """
    found = []
    for is_so, word in _TRIALS:
        # Names that nobody else has had: a mount of a server may learn late that one is gone.
        one, other = f"{word}-one", f"{word}-other"
        found.append(False)
        with suppress(OSError):
            found[-1] = is_so(folder, one, other)
        for name in (f"{one}/{_INNER}", f"{other}/{_INNER}", one, other):
            with suppress(OSError):
                os.unlink(name, dir_fd=folder)
        for name in (one, other):
            with suppress(OSError):
                os.rmdir(name, dir_fd=folder)
    return Manners(*found)


def _is_touched_by_renaming(folder: int, one: str, other: str) -> bool:
    os.mkdir(one, 0o700, dir_fd=folder)
    before = _made(f"{one}/{_INNER}", folder)
    os.rename(one, other, src_dir_fd=folder, dst_dir_fd=folder)
    renamed = os.open(other, OPEN_FOLDER, dir_fd=folder)
    try:
        # Looked at by its name, it would be there as far as the kernel remembers.
        is_there = _INNER in names_in(renamed)
    finally:
        os.close(renamed)
    return not is_there or not are_close(_time(f"{other}/{_INNER}", folder), before)


def _is_reached_by_links(folder: int, one: str, other: str) -> bool:
    before = _made(one, folder)
    os.symlink(one, other, dir_fd=folder)
    os.utime(other, ns=(0, 0), dir_fd=folder, follow_symlinks=False)
    return not are_close(_time(one, folder), before)


def _is_touched_by_naming(folder: int, one: str, other: str) -> bool:
    before = _made(one, folder)
    os.link(one, other, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    # A mount of SeaweedFS may still tell of one what it knew before.
    return not all(are_close(_time(name, folder), before) for name in (other, one))


_TRIALS = ((_is_touched_by_renaming, "renamed"), (_is_reached_by_links, "linked"), (_is_touched_by_naming, "named"))


def _made(name: str, folder: int) -> int:
    """Make a file; returns its time."""
    os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=folder))
    os.utime(name, ns=(_AGO, _AGO), dir_fd=folder)
    return _time(name, folder)


def _time(name: str, folder: int) -> int:
    # The kernel tells what it knew of FUSE's files until it asks anew, which this makes it do.
    with suppress(OSError):
        os.chmod(name, 0o600, dir_fd=folder)
    return os.lstat(name, dir_fd=folder).st_mtime_ns
