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

logger = logging.getLogger("s3napback")

_MOST_SHOWN = 20


@dataclass
class Powers:
    """What was found.

    Attributes:
        found: the first of them, each with what it is.
        count: of all.
    """

    found: list[str] = field(default_factory=list)
    count: int = 0

    def note(self, path: str, power: str) -> None:
        """Take in one, by its path in the restored tree."""
        self.count += 1
        if len(self.found) < _MOST_SHOWN:
            self.found.append(f"{printable(path)} ({power})")

    def tell(self, where: Path) -> None:
        """Say what lies below WHERE now; nothing if there is nothing."""
        if self.count:
            shown = ", ".join(f"{where}/{each}" for each in self.found)
            more = f", and {self.count - len(self.found)} more" if self.count > len(self.found) else ""
            logger.warning("programs with rights of their owners, or devices, were restored: %s%s", shown, more)


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
        return "device"
    if not stat.S_ISREG(mode):
        return ""
    if mode & SET_ID:
        return "setuid or setgid"
    return "capabilities" if _has_capabilities(f"/proc/self/fd/{folder}/{name}") else ""


def _has_capabilities(path: str) -> bool:
    try:
        return CAPABILITY.decode() in os.listxattr(path, follow_symlinks=False)
    except OSError:
        # There are none where the file system knows no attributes.
        return False
