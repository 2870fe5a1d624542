"""Whose archives, of which source, and as of when."""

from __future__ import annotations

from datetime import timedelta

import pytest

from s3napback.catalogue.contents import CataloguedArchive
from s3napback.kinds import SourceName
from s3napback.recovery.choosing import (
    NothingToRestore,
    chain_of_keys,
    choose,
    own_archives,
    source_of,
)
from s3napback.recovery.moments import Moment
from tests.catalogues import EPOCH, archive, catalogue, group, keys, nameless


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


@pytest.mark.parametrize("lost", [1, 2], ids=["one", "two in a row"])
def test_what_was_of_the_day_and_is_gone_is_told_by_what_builds_on_it(lost: int) -> None:
    found = group("etc", 0, 100, 5)
    del found[1 : 1 + lost]
    choice = choose(catalogue(found), found, Moment("that day", day=100 + lost))
    assert keys(choice.archives) == ["etc-0-FULL"]
    [note] = choice.notes
    assert note.startswith(f"what etc-{1 + lost}-DIFF of 1970-04-{12 + lost} builds on is no longer in the store")
    assert note.endswith("newer than etc-0-FULL of 1970-04-11, which is taken for that day")
    instant = EPOCH + timedelta(days=100 + lost)
    assert choose(catalogue(found), found, Moment("then", instant=instant)).notes


def test_what_is_gone_and_cannot_be_what_is_asked_for_is_not_told() -> None:
    found = group("etc", 0, 100, 6)
    del found[3]
    there = catalogue(found)
    assert not choose(there, found, Moment("the first", day=100)).notes
    assert not choose(there, found, Moment("of the very day", day=102)).notes
    assert not choose(there, found, Moment("before", instant=EPOCH + timedelta(days=101))).notes
    assert choose(there, found, Moment("between", day=103)).notes


def test_what_the_rotation_has_replaced_is_not_told_as_lost() -> None:
    old = group("etc", 0, 100, 4)
    found = [*group("etc", 7, 93, 2), *old[2:], *group("etc", 0, 104, 2)]
    choice = choose(catalogue(found), found, Moment("long ago", day=101))
    assert (keys(choice.archives), choice.notes) == (["etc-7-FULL", "etc-8-DIFF"], ())


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


def test_keys_of_which_one_does_not_build_on_the_one_before_it_are_no_chain() -> None:
    found = [*group("etc", 0, 100, 3), archive("etc", 3, 90, parent="gone")]
    assert not chain_of_keys(catalogue(found), ["etc-0-FULL", "etc-1-DIFF", "etc-2-DIFF"]).gaps
    for named, gaps in (
        (["etc-2-DIFF"], ["etc-2-DIFF is a DIFF, and no FULL is named before it"]),
        (["etc-0-FULL", "etc-2-DIFF"], ["etc-2-DIFF builds on etc-1-DIFF, and not on etc-0-FULL"]),
        (["etc-0-FULL", "etc-3-DIFF"], ["etc-3-DIFF builds on an archive that is not in the store, and not on"]),
    ):
        choice = chain_of_keys(catalogue(found), named)
        assert keys(choice.archives) == named
        assert [each[: len(gap)] for each, gap in zip(choice.gaps, gaps, strict=True)] == gaps
        assert not choice.notes


def test_of_keys_without_metadata_what_they_are_called_tells_what_is_no_chain() -> None:
    found = [nameless(f"etc-{end}", "etc") for end in ("0-FULL", "1-DIFF", "2-DIFF", "4-FULL")]
    found += [nameless("srv-1-DIFF", "srv"), nameless("MySQL/wiki-3", "MySQL/wiki")]

    def told(*named: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        choice = chain_of_keys(catalogue(found), [f"etc-{each}" for each in named])
        return choice.gaps, choice.notes

    assert told("0-FULL", "1-DIFF", "2-DIFF") == told("4-FULL") == ((), ())
    assert told("1-DIFF")[0] == ("etc-1-DIFF is a DIFF, and no FULL is named before it",)
    assert told("0-FULL", "2-DIFF", "1-DIFF") == (
        ("etc-1-DIFF cannot build on etc-2-DIFF, which has no lower slot",),
        (),
    )
    gaps, notes = told("0-FULL", "2-DIFF")
    assert not gaps
    assert notes[0].startswith("etc-1-DIFF may belong between etc-0-FULL and etc-2-DIFF")
    # The wrong FULL: the one that lies between is that of the DIFF.
    found.append(nameless("etc-5-DIFF", "etc"))
    gaps, notes = told("0-FULL", "5-DIFF")
    assert not gaps
    assert notes[0].startswith("etc-1-DIFF, etc-2-DIFF, etc-4-FULL may belong between etc-0-FULL and etc-5-DIFF")
    assert told("4-FULL", "5-DIFF") == ((), ())
    assert not chain_of_keys(catalogue(found), ["MySQL/wiki-3"]).gaps
