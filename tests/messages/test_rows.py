"""Every message that tells of something wrong has its row in the manual: what it means, and what to do."""

from __future__ import annotations

import re
from functools import cache

import pytest

from s3napback.config.naming import all_blocks, all_directives
from s3napback.topics import MOST_ROWS, MessageFamily, families, families_of, passage
from tests import manual
from tests.messages import collecting
from tests.messages.collecting import troubles

HARMLESS = collecting.HARMLESS.read_text(encoding="utf-8").splitlines()

DESCRIPTIONS = {each.help for each in all_directives()} | {each.help for each in all_blocks()}


def as_printed(text: str) -> str:
    """A text with something in each of its places."""
    return re.sub(r"%\(\w+\)\w|%[.\d]*[a-z]|\{[^{}]*\}", "…", text)


TOLD = sorted(troubles() - DESCRIPTIONS)


@cache
def rows_of(text: str) -> list[MessageFamily]:
    return families_of(as_printed(text))


def test_every_message_has_exactly_one_row() -> None:
    """Of several the one counts that has the most of its words; no two may have as many."""
    lacking, unclear = [], []
    for text in TOLD:
        rows = rows_of(text)
        if not rows and text not in HARMLESS:
            lacking.append(text)
        if len(rows) > 1 and len({row.words_in(as_printed(text)) for row in rows[:2]}) == 1:
            unclear.append((text, [row.phrases[0] for row in rows[:2]]))
    assert lacking == [], "s3napback/manual/messages.md needs rows for these; what is no trouble goes into harmless.lst"
    assert unclear == []
    assert len(TOLD) - len(HARMLESS) > 1100


def test_every_phrase_is_said() -> None:
    said = [as_printed(text) for text in TOLD]
    for family in families():
        for phrase in family.phrases:
            pattern = re.compile(".*?".join(map(re.escape, phrase.split("…"))))
            assert any(pattern.search(text) for text in said), phrase


def test_what_is_harmless_is_said_and_has_no_row() -> None:
    assert sorted(HARMLESS) == HARMLESS
    assert [text for text in HARMLESS if text not in TOLD] == []
    assert [text for text in HARMLESS if rows_of(text)] == []


def test_every_row_is_whole_and_no_phrase_is_of_two() -> None:
    lines = re.findall(r"^\| (?!The message says|---).*", manual.topic("messages"), re.MULTILINE)
    assert len(lines) == len(families()) > 120
    phrases = [phrase for family in families() for phrase in family.phrases]
    assert len(phrases) == len(set(phrases))
    assert all(len(phrase.replace("…", "").strip()) > 4 for phrase in phrases)
    for family in families():
        assert family.phrases
        assert family.meaning.endswith((".", ")"))
        assert family.remedy.endswith((".", ")"))


@pytest.mark.parametrize(
    ("message", "means"),
    [
        (
            "s3://b/etc-0-FULL cannot be decoded: it is encrypted to a key that is not here, or that gpg could not",
            "The secret key or its passphrase is missing here.",
        ),
        ("site.conf:3: Diffs takes a whole number, not “x”", "A directive got a value that it does not take."),
        ("another run is at work with /var/lib/s3napback: process 12", "The lock in DiffDir is taken"),
        ("disk not mounted, or another", "probably not mounted"),
    ],
)
def test_the_words_of_a_message_find_its_row(message: str, means: str) -> None:
    shown = passage(message) or ""
    assert means in shown
    assert "What to do: " in shown
    assert shown.count("What to do: ") <= MOST_ROWS


def test_words_of_no_message_find_nothing() -> None:
    assert passage("the moon is made of cheese") is None
    assert passage("disk") is None
