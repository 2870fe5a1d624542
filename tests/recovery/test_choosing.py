"""Whose archives, of which source, and as of when."""

from __future__ import annotations

import time
from datetime import date, datetime, timezone

import pytest

from s3napback.catalogue.contents import CataloguedArchive
from s3napback.kinds import SourceName
from s3napback.recovery.choosing import (
    Moment,
    NothingToRestore,
    choose,
    own_archives,
    read_moment,
    source_of,
)
from tests.catalogues import archive, catalogue, group, keys, nameless

TODAY = date(2026, 3, 10)
EMPTY = catalogue([])


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2026-03-01", 20513),
        ("1 March 2026", 20513),
        ("20260301", 20513),
        ("March 1", 20513),
        ("Mon 2026-03-02", 20514),
    ],
)
def test_a_date_means_a_day(text: str, day: int) -> None:
    assert read_moment(text, EMPTY, today=TODAY) == Moment(text, day=day)


@pytest.mark.parametrize(
    "text", ["2026-03-01T00:00:00Z", "2026-03-01 01:00+01:00", "Sun, 1 Mar 2026 00:00:00 GMT", "2026-02-28 20:00 -0400"]
)
def test_a_time_means_a_moment_even_at_midnight(text: str) -> None:
    assert read_moment(text, EMPTY, today=TODAY).instant == datetime(2026, 3, 1, tzinfo=timezone.utc)


def test_a_time_without_a_zone_is_local(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        moment = read_moment("2026-03-01 09:00", EMPTY, today=TODAY)
    finally:
        monkeypatch.undo()
        time.tzset()
    assert moment.instant == datetime(2026, 3, 1, tzinfo=timezone.utc)


@pytest.mark.parametrize("text", ["soon", "2026-13-01", "etc-0-FULL", "9" * 30, "2026-03-01 10:00 NOWHERE"])
def test_what_is_neither_is_refused(text: str) -> None:
    with pytest.raises(NothingToRestore, match="neither an archive's key nor a date"):
        read_moment(text, EMPTY, today=TODAY)


def test_a_key_is_known_with_and_without_the_prefix() -> None:
    found = catalogue([archive("a/b/2026-01-01", 0, 1)])
    for text in ("a/b/2026-01-01-0-FULL", "2026-01-01-0-FULL"):
        assert read_moment(text, found, "a/b", today=TODAY).key == "a/b/2026-01-01-0-FULL"


def chosen(found: list[CataloguedArchive], **moment: object) -> list[str]:
    return keys(choose(catalogue(found), found, Moment("x", **moment)).archives)  # type: ignore[arg-type]


def test_the_newest_archive_of_the_day_or_before_it_is_taken_from_all_cycles() -> None:
    found = [*group("daily/etc", 0, 100, 3), *group("weekly/etc", 0, 101, 1)]
    assert chosen(found) == ["daily/etc-0-FULL", "daily/etc-1-DIFF", "daily/etc-2-DIFF"]
    assert chosen(found, day=100) == ["daily/etc-0-FULL"]
    assert chosen(found, day=500) == ["daily/etc-0-FULL", "daily/etc-1-DIFF", "daily/etc-2-DIFF"]
    assert chosen(found[:2] + found[3:], day=105) in (["weekly/etc-0-FULL"], ["daily/etc-0-FULL", "daily/etc-1-DIFF"])


def test_a_broken_newest_archive_is_passed_over_for_an_older_one_and_said() -> None:
    found = group("etc", 0, 100, 3)
    del found[1]
    choice = choose(catalogue(found), found)
    assert keys(choice.archives) == ["etc-0-FULL"]
    assert "etc-2-DIFF" in choice.notes[0]
    with pytest.raises(NothingToRestore, match="etc-2-DIFF"):
        choose(catalogue(found), found, Moment("etc-2-DIFF", key="etc-2-DIFF"))


def test_nothing_old_enough_names_the_oldest_day() -> None:
    found = group("etc", 0, 100, 3)
    with pytest.raises(NothingToRestore, match="the oldest is of 1970-04-11"):
        choose(catalogue(found), found, Moment("long ago", day=99))


def test_own_archives_come_before_anybody_elses() -> None:
    ours, theirs, others = (
        archive("a", 0, 1, host="us"),
        archive("b", 0, 2, host="them"),
        archive("c", 0, 3, host="others"),
    )
    assert own_archives([ours, theirs], "us", host_is_configured=False) == ([ours], "")
    chosen, note = own_archives([theirs], "us", host_is_configured=False)
    assert chosen == [theirs]
    assert "them" in note
    for found, configured in (([theirs], True), ([theirs, others], False)):
        with pytest.raises(NothingToRestore, match="HostName"):
            own_archives(found, "us", host_is_configured=configured)


@pytest.mark.parametrize(
    ("word", "source"),
    [
        ("/etc/", "Directory /etc"),
        ("MySQL/all", "MySQL all"),
        ("postgresql shop", "PostgreSQL shop"),
        ("Subversion /srv/svn", "Subversion /srv/svn"),
        ("Subversion/srv/svn", "Subversion /srv/svn"),
    ],
)
def test_without_metadata_the_word_tells_what_an_archive_holds(word: str, source: str) -> None:
    assert source_of(word, [nameless("etc-0-FULL", "etc")]) == SourceName.parse(source)


@pytest.mark.parametrize("word", ["MySQL/a//b", "PostgreSQL @shop", "/etc\n"])
def test_a_word_that_can_name_no_source_is_refused_where_the_archives_say_nothing(word: str) -> None:
    with pytest.raises(NothingToRestore, match="names no source"):
        source_of(word, [nameless("etc-0-FULL", "etc")])


def test_a_word_without_a_kind_is_refused_where_the_archives_say_nothing() -> None:
    with pytest.raises(NothingToRestore, match="write it as"):
        source_of("etc", [nameless("etc-0-FULL", "etc")])
