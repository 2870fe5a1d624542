"""How a list of what a program may be given is looked up. Pure.

Only options known to be harmless are let through, spelt in full: these programs take abbreviations, prefixes such as
``--loose-`` and several short options in one word, so that a list of forbidden names could be walked around.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import field

from s3napback.records import dataclass
from s3napback.regexes import regex

UNKNOWN = "not known to be harmless here (options are to be spelt in full)"


WHOLE_PATH = (regex("/.*", re.DOTALL), "write the whole path of the file, from the root directory on")
"""Shape of a value that names a file: a relative one would mean a file of the current folder."""


@dataclass(frozen=True)
class Rules:
    """What one directive accepts.

    Attributes:
        flags: options without a value, long and short.
        values: options that need a value.
        attached: those of ``values`` to which it must be attached with ``=``; the others' may be the next word.
        shapes: of some values, what they must be, and the reason where they are not.
        reasons: why another option is refused, by its full name.
        has_underscores: ``--a_b`` means ``--a-b``.
    """

    flags: frozenset[str]
    values: frozenset[str]
    attached: frozenset[str] = frozenset()
    shapes: Mapping[str, tuple[re.Pattern[str], str]] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)
    has_underscores: bool = False

    def problems(self, words: Sequence[str]) -> list[tuple[str, str]]:
        """The options that must not be given, without their values, each with the reason."""
        found = []
        left = list(words)
        while left:
            word = left.pop(0)
            name, value = self._split(word)
            if name in self.values and value is None and name not in self.attached and left:
                # Another option is no value: one that looks like it would hide what comes after.
                value = None if left[0].startswith("-") else left.pop(0)
            if reason := self._problem(word, name, value):
                found.append((name, reason))
                # What follows may be its value, and a secret.
                if value is None and word.startswith("-") and left and not left[0].startswith("-"):
                    left.pop(0)
        return found

    def name_of(self, word: str) -> str:
        """An option's name, without the value that may be attached to it."""
        return self._split(word)[0]

    def chosen(self, words: Sequence[str], names: frozenset[str]) -> list[str]:
        """Those of the words that are one of these options, or the value of one."""
        found = []
        left = list(words)
        while left:
            word = left.pop(0)
            name, value = self._split(word)
            own = [word]
            if name in self.values and value is None and name not in self.attached and left:
                own.append(left.pop(0))
            found += own if name in names else []
        return found

    def values_of(self, words: Sequence[str], *names: str) -> list[str]:
        """All values of an option, whatever it is called, in order."""
        left = self.chosen(words, frozenset(names))
        values = []
        while left:
            _, value = self._split(left.pop(0))
            values.append(value if value is not None else left.pop(0) if left else "")
        return values

    def reason_for(self, name: str) -> str:
        """Why an option is refused."""
        return self.reasons.get(name, UNKNOWN)

    def _split(self, word: str) -> tuple[str, str | None]:
        """An option's name, and its value if it is attached."""
        if word.startswith("--"):
            name, equals, value = word.partition("=")
            return (name.replace("_", "-") if self.has_underscores else name), value if equals else None
        if word.startswith("-"):
            return word[:2], word[2:] or None
        return word, None

    def _problem(self, word: str, name: str, value: str | None) -> str:
        if not word.startswith("-") or word in ("-", "--"):
            return "this is not an option; options begin with a dash"
        if name in self.flags and value is None:
            return ""
        if name in self.values:
            return self._value_problem(name, value)
        if name in self.flags:
            return "it takes no value" if word.startswith("--") else "write each option as a word of its own"
        return self.reason_for(name)

    def _value_problem(self, name: str, value: str | None) -> str:
        if not value:
            return "it needs a value, attached with “=”" if name.startswith("--") else "it needs a value"
        shape, reason = self.shapes.get(name, (None, ""))
        return "" if shape is None or shape.fullmatch(value) else reason


def options(text: str) -> frozenset[str]:
    """Options as a table holds them, from a text in which blanks separate them."""
    return frozenset(text.split())


def refused(reason: str, text: str) -> dict[str, str]:
    """A part of ``Rules.reasons``."""
    return dict.fromkeys(text.split(), reason)
