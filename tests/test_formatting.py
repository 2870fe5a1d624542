"""Numbers and names as people read them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3napback.formatting import counted, human_bytes, human_time, printable


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
    [(0, "0.0 s"), (2.14, "2.1 s"), (60, "0:01:00"), (3723.4, "1:02:03"), (90_000, "1 day, 1:00:00")],
)
def test_times_are_seconds_or_hours_minutes_and_seconds(seconds: float, text: str) -> None:
    assert human_time(seconds) == text


def test_one_is_singular_and_all_else_plural() -> None:
    assert [counted(count, "source") for count in (0, 1, 2)] == ["0 sources", "1 source", "2 sources"]


@given(st.text(st.characters(codec=None, categories=None)))
def test_nothing_that_is_printed_drives_a_terminal(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    shown.encode()


def test_what_people_write_is_left_as_it_is() -> None:
    assert printable("/srv/Müller & 山田/plan 1.txt") == "/srv/Müller & 山田/plan 1.txt"
    assert printable("a\x1b[31mb\nc\udcff") == "a\\x1b[31mb\\nc\\udcff"
