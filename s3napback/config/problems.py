"""What is wrong with a configuration, collected so that all of it is told at once."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from s3napback.config.settings import Position
from s3napback.errors import ConfigurationError
from s3napback.records import dataclass


@dataclass(frozen=True)
class Change:
    """Something written as the original tool took it, and how it is written today.

    Attributes:
        position: of the directive or tag.
        message: what is different, and what to write.
        text: what stands in its place today; nothing where it is left out.
        is_at_end: ``text`` comes after the last line of the file, and what is at the position stays.
    """

    position: Position
    message: str
    text: str = ""
    is_at_end: bool = False


_MOST_OF_A_LIST = 10
"""Warnings that are told one by one of what a configuration may have thousands of."""


class Problems:
    """Errors and warnings of one configuration, each said once, in the order of files and lines.

    Attributes:
        includes: the files that each ``Include`` has brought.
    """

    def __init__(self) -> None:
        self._changes: dict[Change, None] = {}
        self.includes: dict[Position, list[Path]] = {}
        self._files: dict[str, int] = {}
        self._errors: dict[tuple[Position, str], None] = {}
        self._warnings: dict[tuple[Position, str], str] = {}

    def open_file(self, file: str) -> None:
        """Remember that ``file`` is read now: what is wrong in it is told before what is wrong in later ones."""
        self._files.setdefault(file, len(self._files))

    def error(self, position: Position, message: str) -> None:
        """Remember something that makes the configuration unusable."""
        self.open_file(position.file)
        self._errors[position, message] = None

    def warning(self, position: Position, message: str, *, of_a_list: str = "") -> None:
        """Remember something that is allowed and probably not meant.

        Args:
            of_a_list: what is wrong, as a clause, where a configuration may have thousands of that kind: the first of
                them are told one by one.
        """
        self.open_file(position.file)
        self._warnings[position, message] = of_a_list

    def outdated(self, change: Change, *, is_told: bool = True) -> None:
        """Remember something that only the original's files have.

        Args:
            change: what it is, and what to write in its place.
            is_told: whether it is a warning.
        """
        if is_told:
            self.warning(change.position, change.message)
        self._changes[change] = None

    @property
    def changes(self) -> tuple[Change, ...]:
        """What only the original's files have, in the order in which it was found."""
        return tuple(self._changes)

    def raise_errors(self) -> None:
        """End here if there was any error.

        Raises:
            ConfigurationError: with every error in it.
        """
        if self._errors:
            raise ConfigurationError([f"{position}: {message}" for position, message in self._in_order(self._errors)])

    @property
    def warnings(self) -> tuple[str, ...]:
        """Every warning as ``file:line: message``; of a long list the first ones, and how many more there are."""
        told: list[str] = []
        lists: dict[str, list[Position]] = {}
        for position, message in self._in_order(self._warnings):
            kind = self._warnings[position, message]
            lists.setdefault(kind, []).append(position)
            if not kind or len(lists[kind]) <= _MOST_OF_A_LIST:
                told.append(f"{position}: {message}")
        for kind, positions in lists.items():
            if kind and (rest := positions[_MOST_OF_A_LIST:]):
                told.append(f"{rest[0]}: {kind}, here and in {len(rest) - 1:,} more places, up to {rest[-1]}")
        return tuple(told)

    def _in_order(self, found: Iterable[tuple[Position, str]]) -> list[tuple[Position, str]]:
        return sorted(found, key=lambda entry: (self._files[entry[0].file], entry[0].line))
