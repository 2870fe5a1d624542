"""What people read: nothing in it is a command, and what is meant to be pasted is the same for a shell."""

from __future__ import annotations

import os
import subprocess
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3napback.formatting import (
    LONGEST_LINE,
    counted,
    human_bytes,
    human_time,
    printable,
    readable,
    shell_command,
    shell_word,
    shown,
)

UNSAFE_CATEGORIES = ("Cc", "Cf", "Cs", "Zl", "Zp")
ANY_TEXT = st.text(st.characters(exclude_categories=()))


def test_every_character_that_a_terminal_may_obey_is_escaped() -> None:
    for code in range(sys.maxunicode + 1):
        character = chr(code)
        if unicodedata.category(character) in UNSAFE_CATEGORIES:
            assert printable(f"a{character}b").isascii()


@given(ANY_TEXT)
def test_what_is_shown_is_one_printable_line_and_shown_again_the_same(text: str) -> None:
    once = printable(text)
    assert once.isprintable()
    assert len(once.splitlines()) <= 1
    assert printable(once) == once


@pytest.mark.parametrize("text", ["", "plain", "grün 日本 “…” 🙂 e\u0301", "back\\slash", "[bold]"])
def test_harmless_text_stays_as_it_is(text: str) -> None:
    assert printable(text) == text
    assert readable(text.encode()) == text


def test_escapes_can_be_read() -> None:
    assert printable("\x1b\n\x85\u202e\U000e0041\udcff\ud800") == r"\x1b\n\x85\u202e\U000e0041\xff\ud800"


def test_a_tools_line_is_decoded_and_cut_between_characters() -> None:
    assert readable(b"a\xffb\r") == r"a\xffb"
    assert readable(b"a\rb\r\r") == r"a\rb"
    assert readable(b"x" * LONGEST_LINE) == "x" * LONGEST_LINE
    assert readable(b"x" * (LONGEST_LINE + 1)) == "x" * LONGEST_LINE + "…"
    assert readable("ü".encode() * 3, longest=3) == "ü…"


def test_a_quotation_is_cut() -> None:
    assert shown("\n" * 9, 6) == r"\n\n\n…"
    assert shown("short", 6) == "short"


@given(st.lists(ANY_TEXT.filter(lambda text: "\0" not in text and not any("\ud800" <= c <= "\udfff" for c in text))))
def test_a_command_is_one_printable_line_and_the_same_for_a_shell(words: list[str]) -> None:
    line = shell_command(["printf", "%s\\0", *words])
    assert line.isprintable()
    done = subprocess.run(["bash", "-c", line], capture_output=True, check=True, env={**os.environ, "LC_ALL": "C"})
    assert done.stdout == b"".join(os.fsencode(word) + b"\0" for word in words) or not words


def test_a_word_is_quoted_only_as_much_as_it_must_be() -> None:
    assert shell_word("plain/word") == "plain/word"
    assert shell_word("two words") == "'two words'"
    assert shell_word("it's\n\\\udcff") == r"$'it\'s\012\\\377'"


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (99_900, "99.9 kB"),
        (123_456, "123 kB"),
        (999_499, "999 kB"),
        # not 1000 kB
        (999_500, "1.0 MB"),
        (1_234_567_890, "1.2 GB"),
        (2 * 10**12, "2.0 TB"),
        (5 * 10**15, "5.0 PB"),
        (5 * 10**18, "5000 PB"),
    ],
)
def test_bytes_have_decimal_units_and_three_digits_or_so(count: int, text: str) -> None:
    assert human_bytes(count) == text


@given(st.integers(0, 10**18), st.integers(0, 10**18))
def test_more_bytes_never_look_like_fewer(one: int, other: int) -> None:
    units = ["bytes", "kB", "MB", "GB", "TB", "PB"]

    def value(count: int) -> float:
        number, unit = human_bytes(count).split(" ")
        return float(number) * float(1000 ** units.index(unit))

    less, more = sorted((one, other))
    assert value(less) <= value(more)
    assert abs(value(more) - more) <= 0.06 * more


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"),
        (2.14, "2.1 s"),
        (60, "0:01:00"),
        (3723.4, "1:02:03"),
        (90_000, "1 day, 1:00:00"),
        (1e308, "115740740 days, 17:46:40"),
    ],
)
def test_times_are_seconds_or_hours_minutes_and_seconds(seconds: float, text: str) -> None:
    assert human_time(seconds) == text


def test_one_is_singular_and_all_else_plural() -> None:
    assert [counted(count, "source") for count in (0, 1, 2)] == ["0 sources", "1 source", "2 sources"]
