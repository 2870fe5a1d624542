"""As of when: each form has one meaning, and what has several is refused."""

from __future__ import annotations

import time
from datetime import date, datetime, timezone

import pytest

from s3napback.recovery.moments import Moment, UnclearMoment, read_moment, read_time
from s3napback.rotation import day_number

TODAY = date(2026, 3, 10)


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2026-03-01", date(2026, 3, 1)),
        (" 2026-03-01 ", date(2026, 3, 1)),
        ("2024-02-29", date(2024, 2, 29)),
        ("today", TODAY),
        ("yesterday", date(2026, 3, 9)),
        ("Yesterday", date(2026, 3, 9)),
        ("1 day ago", date(2026, 3, 9)),
        ("3 days ago", date(2026, 3, 7)),
        ("10  days  ago", date(2026, 2, 28)),
        ("2 weeks ago", date(2026, 2, 24)),
    ],
)
def test_a_date_means_a_day(text: str, day: date) -> None:
    assert read_moment(text, (), today=TODAY) == Moment(text, day=day_number(day))


@pytest.mark.parametrize(
    "text",
    ["2026-03-01T00:00:00Z", "2026-03-01 01:00:00+01:00", "2026-02-28 20:00:00 -0400", "2026-03-01 01:00:00.000000+01"],
)
def test_a_time_means_a_moment_even_at_midnight(text: str) -> None:
    assert read_moment(text, (), today=TODAY).instant == datetime(2026, 3, 1, tzinfo=timezone.utc)


@pytest.mark.parametrize("text", ["2026-03-01 04:20Z", "2026-03-01T05:20 +0100"])
def test_a_time_without_seconds_means_all_of_its_minute(text: str) -> None:
    """An archive that was begun at 04:20:01 is shown by list as begun at 04:20, and is the one that is meant."""
    instant = read_moment(text, (), today=TODAY).instant
    assert instant == datetime(2026, 3, 1, 4, 20, 59, 999_999, tzinfo=timezone.utc)


def test_a_time_without_a_zone_is_local(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        moment = read_moment("2026-03-01 09:00:00", (), today=TODAY)
    finally:
        monkeypatch.undo()
        time.tzset()
    assert moment.instant == datetime(2026, 3, 1, tzinfo=timezone.utc)


@pytest.mark.parametrize("hour", ["2026-10-25 02:30", "2026-03-29 02:30"])
def test_a_time_that_clocks_show_twice_or_never_is_refused_without_a_zone(
    monkeypatch: pytest.MonkeyPatch, hour: str
) -> None:
    """The archive that list shows as begun then may be of the second one; an older state would come back."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        with pytest.raises(UnclearMoment, match=r"\+0[12]:00 or \+0[12]:00"):
            read_moment(hour, (), today=TODAY)
        assert read_moment(f"{hour}:00+01:00", (), today=TODAY).instant == read_time(f"{hour}+01:00")
        assert read_time("2026-10-25 03:00") == datetime(2026, 10, 25, 2, tzinfo=timezone.utc)
    finally:
        monkeypatch.undo()
        time.tzset()


def test_the_latest_is_the_newest() -> None:
    assert read_moment("latest", (), today=TODAY) == Moment("latest")


@pytest.mark.parametrize(
    "text",
    ["soon", "2026-13-01", "2026-02-30", "etc-0-FULL", "9" * 30, "2026-03-01 10:00 NOWHERE", "05.11.2026", "24.11.2026",
     "11/05/2026", "5", "17", "2026", "2026-11", "20260301", "1 March 2026", "March 1", "Mon 2026-03-02", "", " ",
     "now", "2026-03-01 25:00", "2026-03-01 10", "10:00", "tomorrow", "-1 days ago", "3 days", "last night",
     "2026-3-1", "\u0662026-03-01", "2026-W10", "2026-060"],
)  # fmt: skip
def test_what_has_several_meanings_or_none_is_refused_as_a_mistake_of_the_command_line(text: str) -> None:
    with pytest.raises(UnclearMoment, match="neither an archive's key nor a moment") as raised:
        read_moment(text, (), today=TODAY)
    assert raised.value.exit_code == 2
    assert "--at" not in f"{raised.value}"  # the DAYs of diff are read here, too


def test_a_key_is_known_with_and_without_the_prefix_whatever_it_looks_like() -> None:
    found = ["a/b/2026-01-01-0-FULL"]
    for text in ("a/b/2026-01-01-0-FULL", "2026-01-01-0-FULL"):
        assert read_moment(text, found, "a/b", today=TODAY).key == "a/b/2026-01-01-0-FULL"
