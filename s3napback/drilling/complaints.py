"""What a client says while it loads a dump: what is wrong with the dump, and what only this machine cannot do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from typing import Protocol

from s3napback.records import dataclass

_MOST = 10  # of each, that are told


class Complaints(Protocol):
    """What was said so far.

    Attributes:
        flaws: of the dump, one line each.
        not_here: what the machine cannot do for the dump, whatever it is; one line each.
        has_died: the server was lost.
    """

    flaws: list[str]
    not_here: list[str]
    has_died: bool


@dataclass
class ClientWords:
    """A ``Review`` that takes note of what a client said.

    What it quotes of a dump is left out of it: that is nobody's business who reads a report.

    Attributes:
        flaws: see ``Complaints``.
        not_here: see ``Complaints``.
        has_died: see ``Complaints``.
        lacks: what was there where the dump was made, and is not in it.
    """

    flaws: list[str] = field(default_factory=list)
    not_here: list[str] = field(default_factory=list)
    has_died: bool = False
    lacks: dict[str, None] = field(default_factory=dict)
    asides: None = None

    def excuses(self, status: int) -> bool:  # noqa: ARG002
        """See ``Review``."""
        return False

    @property
    def complaint(self) -> str:
        """See ``Review``."""
        return ""

    @property
    def warnings(self) -> list[str]:
        """See ``Review``."""
        return []

    def note(self, found: list[str], words: str) -> None:
        """Take in a line, unless it is known, or enough are."""
        if len(found) < _MOST and words not in found:
            found.append(words)

    def note_lack(self, what: str) -> None:
        """Take in what is missing."""
        if len(self.lacks) < 100 * _MOST:
            self.lacks[what] = None


def in_short(lines: Sequence[str]) -> tuple[str, ...]:
    """Lines as the tail of a message."""
    return tuple(f"  {line}" for line in lines)
