"""How directives and blocks are described in their table, one class for each type of value.

A description is also the key by which its setting is read, so that a misspelt one, or one of another type, is noticed
by mypy, and by Python at the first use.
"""

from __future__ import annotations

from enum import Enum
from typing import ClassVar

from s3napback.records import dataclass


class DirectiveContext(Enum):
    """Where a directive may be written."""

    FILE = "at file level"
    CYCLE = "in a <Cycle>"
    SOURCE = "in a source's block"


class Type(Enum):
    """What a directive takes."""

    TEXT = "text"
    PATH = "absolute path"
    INTEGER = "whole number"
    TOLERANCE = "fail or warn"
    SWITCH = "On or Off"
    CHOICE = "one of"
    WORDS = "words"
    SOURCE = "source"
    FILES = "files"


@dataclass(frozen=True)
class DirectiveDescription:
    """One directive.

    Attributes:
        name: as the manual writes it; any case is understood.
        places: where it may stand.
        help: one line.
        otherwise: what holds when it is left out, for people, where that is no value it could be given.
        cycle: the CycleType it belongs to; empty for both.
        kinds: the kinds of source it has an effect on; empty for all.
        adds_up: repeating it adds values.
        is_needed: a block of its kinds cannot do without it.
        type: what it takes.
    """

    name: str
    places: frozenset[DirectiveContext]
    help: str
    otherwise: str = ""
    cycle: str = ""
    kinds: tuple[str, ...] = ()
    adds_up: bool = False
    is_needed: bool = False
    type: ClassVar[Type]

    @property
    def default(self) -> str:
        """What holds when it is left out, for people."""
        return self.otherwise

    @property
    def takes(self) -> str:
        """What it takes, for people: ``whole number, 1–64``, ``gzip, zstd or none``."""
        return str(self.type.value)


@dataclass(frozen=True)
class Text(DirectiveDescription):
    """Takes a text; left out, it is empty."""

    type = Type.TEXT
    value: ClassVar[str] = ""


@dataclass(frozen=True)
class AbsolutePath(DirectiveDescription):
    """Takes a path; left out, there is none."""

    type = Type.PATH


@dataclass(frozen=True)
class Integer(DirectiveDescription):
    """Takes a whole number.

    Attributes:
        value: when it is left out.
        minimum: least number.
        maximum: greatest number.
    """

    value: int = 0
    minimum: int = 0
    maximum: int = 0
    type = Type.INTEGER

    @property
    def default(self) -> str:
        """What holds when it is left out, for people."""
        return self.otherwise or str(self.value)

    @property
    def takes(self) -> str:
        """What it takes, for people."""
        return f"{self.type.value}, {self.minimum:,}–{self.maximum:,}"


@dataclass(frozen=True)
class Tolerance(DirectiveDescription):
    """Takes ``fail``, which is 0, or ``warn`` with the number up to which something is only warned of.

    Attributes:
        value: when it is left out.
        warned: the number where ``warn`` stands alone.
        minimum: least number.
        maximum: greatest number.
    """

    value: int = 0
    warned: int = 0
    minimum: int = 1
    maximum: int = 0
    type = Type.TOLERANCE

    @property
    def default(self) -> str:
        """What holds when it is left out, for people."""
        return self.shown(self.value)

    @property
    def takes(self) -> str:
        """What it takes, for people."""
        return f"fail, warn, or warn and a whole number, {self.minimum:,}–{self.maximum:,}"

    def shown(self, number: int) -> str:
        """A value as it is written."""
        return f"warn {number}" if number else "fail"


@dataclass(frozen=True)
class Switch(DirectiveDescription):
    """Takes On or Off.

    Attributes:
        value: when it is left out.
    """

    value: bool = False
    type = Type.SWITCH

    @property
    def default(self) -> str:
        """What holds when it is left out, for people."""
        return "On" if self.value else "Off"


@dataclass(frozen=True)
class Enumeration(DirectiveDescription):
    """Takes one of a few words.

    Attributes:
        value: when it is left out; empty if no choice is made then.
        choices: as messages show them.
    """

    value: str = ""
    choices: tuple[str, ...] = ()
    type = Type.CHOICE

    @property
    def default(self) -> str:
        """What holds when it is left out, for people."""
        return self.otherwise or self.value

    @property
    def takes(self) -> str:
        """What it takes, for people."""
        return f"{', '.join(self.choices[:-1])} or {self.choices[-1]}"


@dataclass(frozen=True)
class WordList(DirectiveDescription):
    """Takes words, again and again; left out, there are none."""

    adds_up: bool = True
    type = Type.WORDS


@dataclass(frozen=True)
class Sources(DirectiveDescription):
    """Takes sources of one kind."""

    adds_up: bool = True
    type = Type.SOURCE


@dataclass(frozen=True)
class Files(DirectiveDescription):
    """Takes files that are read in its place."""

    adds_up: bool = True
    type = Type.FILES


@dataclass(frozen=True)
class BlockDescription:
    """One kind of block.

    Attributes:
        name: as the manual writes it; any case is understood.
        value: what its tag's one value is.
        places: where it may stand.
        help: one line.
    """

    name: str
    value: str
    places: frozenset[DirectiveContext]
    help: str
