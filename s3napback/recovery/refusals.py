"""What the target of a restore did not take: by path, with the reason once and a count."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import field
from enum import Enum
from pathlib import Path

from s3napback.errors import S3napbackError
from s3napback.formatting import counted, printable, shortened
from s3napback.records import dataclass

_MOST_SHOWN = 50
REMEMBERED_BYTES = 1 << 24
"""Of paths; of more only the number is known."""


class Aspect(Enum):
    """What of a path was not taken, as a report names it."""

    ENTRY = "not made"
    NAME = "there by a shorter name"
    CONTENT = "too large to be written, and left out"
    LINK = "not made, another name of a file"
    COPY = "made as a copy, not as another name of the same file"
    OWNER = "owner and group not set"
    MODE = "permissions not set"
    TIMES = "times not set"
    ATTRIBUTES = "extended attributes not set"
    CAPABILITIES = "capabilities not set"
    ACCESS = "list of access rights (ACL) not set"
    POWER = "setuid and setgid permissions not set"
    STATE = "not looked at"


NOT_THERE = frozenset({Aspect.ENTRY, Aspect.CONTENT, Aspect.LINK})
"""Of these nothing is in the restored tree."""


class Incomplete(S3napbackError):
    """Everything was restored that the target could take, and it could not take all."""


@dataclass
class Refusals:
    """What was refused. Paths are bytes, as archives name them.

    Attributes:
        rounded: the target keeps a time less exactly than it was, which is told of all at once.
    """

    rounded: bool = False
    _found: dict[bytes, dict[Aspect, str]] = field(default_factory=dict)
    _more: dict[tuple[Aspect, str], int] = field(default_factory=dict)
    _room: int = REMEMBERED_BYTES

    def __bool__(self) -> bool:
        return bool(self._found or self._more)

    def note(self, path: bytes, aspect: Aspect, reason: str) -> None:
        """Take in one."""
        known = self._found.get(path)
        if known is not None:
            known[aspect] = reason
        elif self._room >= len(path):
            self._room -= len(path)
            self._found[path] = {aspect: reason}
        else:
            self._more[aspect, reason] = self._more.get((aspect, reason), 0) + 1

    def forget(self, path: bytes) -> None:
        """Forget a path: another archive brings it anew, or knows it gone."""
        self._found.pop(path, None)

    def copied(self, path: bytes) -> None:
        """Take in that a path that was not made, another name of a file, is a copy of it now."""
        found = self._found.get(path, {})
        if Aspect.LINK in found:
            found[Aspect.COPY] = found.pop(Aspect.LINK)

    def hand_on(self, path: bytes, name: bytes) -> None:
        """Take in that what is there by a path, and lacks something, is kept by another name alone."""
        if self.is_there(path) and self.is_there(name):
            for aspect, reason in self._found.get(path, {}).items():
                self.note(name, aspect, reason)

    def add(self, others: Refusals) -> None:
        """Take in all that another one holds."""
        self.rounded = self.rounded or others.rounded
        for path, aspects in others._found.items():
            for aspect, reason in aspects.items():
                self.note(path, aspect, reason)
        for what, count in others._more.items():
            self._more[what] = self._more.get(what, 0) + count

    def keep(self, is_meant: Callable[[bytes], bool]) -> None:
        """Forget all paths but those of which this is true."""
        self._found = {path: aspects for path, aspects in self._found.items() if is_meant(path)}

    def paths(self, *aspects: Aspect) -> Iterator[bytes]:
        """All remembered paths, or those of which one of some aspects was refused."""
        for path, found in self._found.items():
            if not aspects or any(aspect in found for aspect in aspects):
                yield path

    def reason(self, path: bytes) -> str:
        """Why nothing is in the restored tree by this path; empty if nothing says so."""
        found = self._found.get(path, {})
        return next((reason for aspect, reason in found.items() if aspect in NOT_THERE), "")

    def is_there(self, path: bytes) -> bool:
        """Whether nothing says that the path is not in the restored tree."""
        return not NOT_THERE & self._found.get(path, {}).keys()

    def lacks(self, path: bytes, *aspects: Aspect) -> bool:
        """Whether a path is not in the restored tree, or a folder above it is not, or it has not what is asked for."""
        if self._found.get(path, {}).keys() & set(aspects):
            return True
        while path and self.is_there(path):
            path = path.rpartition(b"/")[0]
        return bool(path)

    def lines(self, where: Path) -> Iterator[str]:
        """What to tell people: a heading for each aspect and reason, below it the first paths."""
        groups: dict[tuple[Aspect, str], list[bytes]] = {what: [] for what in self._more}
        for path, aspects in self._found.items():
            for aspect, reason in aspects.items():
                groups.setdefault((aspect, reason), []).append(path)
        order = list(Aspect)
        for (aspect, reason), paths in sorted(groups.items(), key=lambda item: (order.index(item[0][0]), item[0][1])):
            more = self._more.get((aspect, reason), 0)
            yield f"{counted(len(paths) + more, 'path')}: {aspect.value} ({reason})"
            for path in sorted(paths)[:_MOST_SHOWN]:
                yield f"  {shortened(printable(str(where / os.fsdecode(path))))}"
            if more := more + max(0, len(paths) - _MOST_SHOWN):
                yield f"  and {more} more"
