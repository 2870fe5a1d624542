"""What of the restored gives powers to whoever reaches it: programs with other rights than his own, and devices."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import field
from pathlib import Path

from s3napback.formatting import printable
from s3napback.records import dataclass
from s3napback.recovery.folders import Cursor, cursor, go_to_parent, walk
from s3napback.recovery.members import CAPABILITY, SET_ID
from s3napback.recovery.refusals import Aspect, Refusals

logger = logging.getLogger("s3napback")

_MOST_SHOWN = 20
_MOST_KNOWN = 10_000
_DEVICE, _SET_ID, _CAPABILITIES = "device", "setuid or setgid", "capabilities"
_GIVEN_BY = {_SET_ID: Aspect.POWER, _CAPABILITIES: Aspect.CAPABILITIES}


@dataclass
class Powers:
    """What was found.

    Attributes:
        found: the first of them by their paths in the restored tree, each with what it is.
        more: so many others were found.
    """

    found: list[tuple[str, str]] = field(default_factory=list)
    more: int = 0

    def note(self, path: str, power: str) -> None:
        """Take in one."""
        if len(self.found) < _MOST_KNOWN:
            self.found.append((path, power))
        else:
            self.more += 1

    def tell(self, where: Path, refusals: Refusals) -> None:
        """Say what lies below WHERE now, which has not taken everything; nothing if there is nothing."""
        found = [each for each in self.found if not _lacks(refusals, *each)]
        there = [f"{printable(str(where / path))} ({power})" for path, power in found]
        if there or self.more:
            hidden = len(there[_MOST_SHOWN:]) + self.more
            more = f", and {hidden} more" if hidden else ""
            shown = ", ".join(there[:_MOST_SHOWN])
            logger.warning("programs with rights of their owners, or devices, were restored: %s%s", shown, more)


def _lacks(refusals: Refusals, path: str, power: str) -> bool:
    return refusals.lacks(os.fsencode(path), *((_GIVEN_BY[power],) if power in _GIVEN_BY else ()))


def powers_in(tree: int, names: Sequence[str]) -> Powers:
    """Look through what was restored, and not only at what the archives said of it: a program can have several names.

    Args:
        tree: descriptor of the folder that was extracted into.
        names: what will be published of it, as archives name it.

    Raises:
        OSError: a folder cannot be looked into.
    """
    powers = Powers()
    for name in names:
        with cursor(tree, is_own=True) as place:
            if (last := go_to_parent(place, name)) is not None:
                for path, power in _powers_at(last, place.descriptor):
                    powers.note("/".join((*place.names, path)), power)
    return powers


def _powers_at(name: str, folder: int) -> Iterator[tuple[str, str]]:
    """What is found at a name, or below it; for ``.`` in the whole folder."""

    def is_meant(place: Cursor, entered: str) -> bool:
        return bool(place.depth) or name in (".", entered)

    for step in walk(folder, enters=is_meant):
        for other in sorted(step.others):
            if (step.place.depth or name in (".", other)) and (power := _power(other, step.place.descriptor)):
                yield "/".join((*step.place.names, other)), power


def _power(name: str, folder: int) -> str:
    mode = os.lstat(name, dir_fd=folder).st_mode
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        return _DEVICE
    if not stat.S_ISREG(mode):
        return ""
    if mode & SET_ID:
        return _SET_ID
    return _CAPABILITIES if _has_capabilities(f"/proc/self/fd/{folder}/{name}") else ""


def _has_capabilities(path: str) -> bool:
    try:
        return CAPABILITY.decode() in os.listxattr(path, follow_symlinks=False)
    except OSError:
        # There are none where the file system knows no attributes.
        return False
