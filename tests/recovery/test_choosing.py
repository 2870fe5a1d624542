"""Whose archives, of which source, and as of when."""

from __future__ import annotations

import pytest

from s3napback.catalogue.contents import CataloguedArchive
from s3napback.kinds import SourceName
from s3napback.recovery.choosing import (
    NothingToRestore,
    choose,
    own_archives,
    source_of,
)
from s3napback.recovery.moments import Moment
from tests.catalogues import archive, catalogue, group, keys, nameless


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
