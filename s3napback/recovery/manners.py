"""What a target does where others do nothing: to what is renamed, to what links lead to, to a file with a new name."""

from __future__ import annotations

import os
from contextlib import suppress

from s3napback.records import dataclass
from s3napback.recovery.times import are_close

_PROBE = "probe"
_OTHER = "other"
_INNER = f"{_PROBE}/{_PROBE}"
_MOVED = f"{_OTHER}/{_PROBE}"

_AGO = 1_000_000_000_900_000_000
"""Nanoseconds since 1970, in 2001, and no whole second."""


@dataclass(frozen=True)
class Manners:
    """Those of a file system.

    Attributes:
        one_by_one: what is renamed, or lies in a folder that is, has other times then, as with EncFS.
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
    for is_so in (_is_touched_by_renaming, _is_reached_by_links, _is_touched_by_naming):
        found.append(is_so(folder))
        for name in (_INNER, _MOVED, _PROBE, _OTHER):
            with suppress(OSError):
                os.unlink(name, dir_fd=folder)
        for name in (_PROBE, _OTHER):
            with suppress(OSError):
                os.rmdir(name, dir_fd=folder)
    return Manners(*found)


def _is_touched_by_renaming(folder: int) -> bool:
    with suppress(OSError):
        os.mkdir(_PROBE, 0o700, dir_fd=folder)
        before = _made(_INNER, folder)
        os.rename(_PROBE, _OTHER, src_dir_fd=folder, dst_dir_fd=folder)
        return not are_close(_time(_MOVED, folder), before)
    return False


def _is_reached_by_links(folder: int) -> bool:
    with suppress(OSError):
        before = _made(_PROBE, folder)
        os.symlink(_PROBE, _OTHER, dir_fd=folder)
        os.utime(_OTHER, ns=(0, 0), dir_fd=folder, follow_symlinks=False)
        return not are_close(_time(_PROBE, folder), before)
    return False


def _is_touched_by_naming(folder: int) -> bool:
    with suppress(OSError):
        before = _made(_PROBE, folder)
        os.link(_PROBE, _OTHER, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
        return not are_close(_time(_PROBE, folder), before)
    return False


def _made(name: str, folder: int) -> int:
    """Make a file; returns its time."""
    os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=folder))
    os.utime(name, ns=(_AGO, _AGO), dir_fd=folder)
    return _time(name, folder)


def _time(name: str, folder: int) -> int:
    # The kernel tells what it knew of FUSE's files until it asks anew, which this makes it do.
    os.chmod(name, 0o600, dir_fd=folder)
    return os.lstat(name, dir_fd=folder).st_mtime_ns
