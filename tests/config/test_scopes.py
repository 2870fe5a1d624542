"""Settings are read by the rows of the table: inherited, typed, and never by a name that may be misspelt."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from s3napback.config.descriptions import (
    AbsolutePath,
    DirectiveContext,
    DirectiveDescription,
    Enumeration,
    Integer,
    Switch,
    Text,
    WordList,
)
from s3napback.config.scopes import Scope, Setting
from s3napback.config.settings import Position
from s3napback.config.values import Value

ANYWHERE = frozenset(DirectiveContext)
NUMBER = Integer("Number", ANYWHERE, "A number.", value=7, maximum=9)
ON = Switch("On", ANYWHERE, "On by default.", value=True)
OFF = Switch("Off", ANYWHERE, "Off by default.")
COLOUR = Enumeration("Colour", ANYWHERE, "One of two.", value="red", choices=("red", "green"))
NOTE = Text("Note", ANYWHERE, "A text.", otherwise="none")
FOLDER = AbsolutePath("Folder", ANYWHERE, "A path.", otherwise="none")
WORDS = WordList("Words", ANYWHERE, "Words.", otherwise="none")

READERS: list[tuple[Callable[[Scope], object], object, Value, DirectiveDescription]] = [
    (lambda scope: scope.integer(NUMBER), 7, 0, NUMBER),
    (lambda scope: scope.switch(ON), True, False, ON),
    (lambda scope: scope.switch(OFF), False, True, OFF),
    (lambda scope: scope.text(COLOUR), "red", "green", COLOUR),
    (lambda scope: scope.text(NOTE), "", "a text", NOTE),
    (lambda scope: scope.path(FOLDER), None, Path("/srv"), FOLDER),
    (lambda scope: scope.words(WORDS), (), ("a", "b"), WORDS),
]


def at(line: int) -> Position:
    return Position("x.conf", line)


@pytest.mark.parametrize(("read", "default", "value", "directive"), READERS)
def test_the_innermost_value_counts_and_then_the_tables(
    read: Callable[[Scope], object], default: object, value: Value, directive: DirectiveDescription
) -> None:
    empty = Scope(DirectiveContext.FILE, at(1))
    inner = Scope(DirectiveContext.CYCLE, at(3), {directive.name: Setting(value, at(4), DirectiveContext.CYCLE)}, empty)
    innermost = Scope(DirectiveContext.SOURCE, at(5), {}, inner)
    assert read(empty) == default
    assert read(inner) == read(innermost) == value
    assert (empty.at(directive), innermost.at(directive)) == (at(1), at(4))
    assert empty.find(directive) is None


def test_words_of_all_scopes_are_put_together_each_once() -> None:
    outer = Scope(DirectiveContext.FILE, at(1), {"Words": Setting(("a", "b"), at(2), DirectiveContext.FILE)})
    inner = Scope(DirectiveContext.CYCLE, at(3), {"Words": Setting(("c", "a"), at(4), DirectiveContext.CYCLE)}, outer)
    assert inner.words(WORDS) == ("c", "a")
    assert inner.all_words(WORDS) == ("a", "b", "c")


@pytest.mark.parametrize(
    ("directive", "default", "takes"),
    [
        (NUMBER, "7", "whole number, 0–9"),
        (ON, "On", "On or Off"),
        (OFF, "Off", "On or Off"),
        (COLOUR, "red", "red or green"),
        (NOTE, "none", "text"),
        (
            Integer("Level", ANYWHERE, "A level.", otherwise="a fast one", minimum=1, maximum=1000),
            "a fast one",
            "1–1,000",
        ),
        (
            Enumeration("Class", ANYWHERE, "A class.", otherwise="the bucket's", choices=("a", "b", "c")),
            "the bucket's",
            "a, b or c",
        ),
    ],
)
def test_the_text_for_people_follows_from_the_value(directive: DirectiveDescription, default: str, takes: str) -> None:
    assert directive.default == default
    assert takes in directive.takes
