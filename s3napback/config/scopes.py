"""Settings in force in a block: its own, and what it inherits from around it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from s3napback.config.directives import Place
from s3napback.config.settings import Position
from s3napback.config.values import Value


@dataclass(frozen=True)
class Setting:
    """One directive's value.

    Attributes:
        value: converted.
        position: where it is written, the last time if its values add up.
        place: in what it is written.
    """

    value: Value
    position: Position
    place: Place


@dataclass(frozen=True)
class Scope:
    """Settings by directive name in lower case.

    Attributes:
        place: the kind of block; what is written at ``place`` is the block's own.
        own: written in the block itself.
        outer: the scope around it.
        position: of the block's tag.
    """

    place: Place
    position: Position
    own: Mapping[str, Setting] = field(default_factory=dict)
    outer: Scope | None = None

    def find(self, name: str) -> Setting | None:
        """The setting in force; the innermost wins."""
        setting = self.own.get(name)
        if setting is None and self.outer is not None:
            return self.outer.find(name)
        return setting

    def at(self, name: str) -> Position:
        """Where the setting in force is written; the block itself if it is left out."""
        setting = self.find(name)
        return self.position if setting is None else setting.position

    def text(self, name: str, default: str = "") -> str:
        """A setting that is a text or a choice."""
        setting = self.find(name)
        return str(setting.value) if setting else default

    def integer(self, name: str, default: int) -> int:
        """A setting that is a number."""
        setting = self.find(name)
        return setting.value if setting and isinstance(setting.value, int) else default

    def switch(self, name: str) -> bool:
        """A setting that is on or off, off being the default."""
        setting = self.find(name)
        return bool(setting and setting.value)

    def path(self, name: str) -> Path | None:
        """A setting that is a path."""
        setting = self.find(name)
        return setting.value if setting and isinstance(setting.value, Path) else None

    def words(self, name: str) -> tuple[str, ...]:
        """A setting that is several words."""
        setting = self.find(name)
        return setting.value if setting and isinstance(setting.value, tuple) else ()

    def all_words(self, name: str) -> tuple[str, ...]:
        """The words of every scope from the outermost inwards, each once."""
        outer = self.outer.all_words(name) if self.outer else ()
        own = self.own.get(name)
        words = own.value if own and isinstance(own.value, tuple) else ()
        return tuple(dict.fromkeys((*outer, *words)))
