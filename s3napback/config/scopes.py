"""Settings in force in a block: its own, and what it inherits from around it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path

from s3napback.config.descriptions import (
    AbsolutePath,
    DirectiveContext,
    DirectiveDescription,
    Enumeration,
    Integer,
    Switch,
    Text,
    Tolerance,
    WordList,
)
from s3napback.config.settings import Position
from s3napback.config.values import Value
from s3napback.records import dataclass


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
    place: DirectiveContext


@dataclass(frozen=True)
class Scope:
    """Settings by the name of the directive, as the table writes it.

    Attributes:
        place: the kind of block; what is written at ``place`` is the block's own.
        own: written in the block itself.
        outer: the scope around it.
        position: of the block's tag.
    """

    place: DirectiveContext
    position: Position
    own: Mapping[str, Setting] = field(default_factory=dict)
    outer: Scope | None = None

    def find(self, directive: DirectiveDescription) -> Setting | None:
        """The setting in force; the innermost wins."""
        setting = self.own.get(directive.name)
        if setting is None and self.outer is not None:
            return self.outer.find(directive)
        return setting

    def at(self, directive: DirectiveDescription) -> Position:
        """Where the setting in force is written; the block itself if it is left out."""
        setting = self.find(directive)
        return self.position if setting is None else setting.position

    def text(self, directive: Text | Enumeration) -> str:
        """A setting that is a text or a choice, or its default."""
        setting = self.find(directive)
        return str(setting.value) if setting else directive.value

    def integer(self, directive: Integer | Tolerance) -> int:
        """A setting that is a number, or stands for one, or its default."""
        setting = self.find(directive)
        return setting.value if setting and isinstance(setting.value, int) else directive.value

    def switch(self, directive: Switch) -> bool:
        """A setting that is on or off, or its default."""
        setting = self.find(directive)
        return bool(setting.value) if setting else directive.value

    def path(self, directive: AbsolutePath) -> Path | None:
        """A setting that is a path."""
        setting = self.find(directive)
        return setting.value if setting and isinstance(setting.value, Path) else None

    def words(self, directive: WordList) -> tuple[str, ...]:
        """A setting that is several words."""
        setting = self.find(directive)
        return setting.value if setting and isinstance(setting.value, tuple) else ()

    def all_words(self, directive: WordList) -> tuple[str, ...]:
        """The words of every scope from the outermost inwards, each once."""
        outer = self.outer.all_words(directive) if self.outer else ()
        own = self.own.get(directive.name)
        words = own.value if own and isinstance(own.value, tuple) else ()
        return tuple(dict.fromkeys((*outer, *words)))
