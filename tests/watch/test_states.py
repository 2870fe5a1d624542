"""The table of states: what is OK, a warning, critical, or not known."""

from __future__ import annotations

from datetime import timedelta

import pytest

from s3napback.rotation import SimpleCycle
from s3napback.watch.keys import Place
from s3napback.watch.overview import Standing, StoreContents, Wordless, overall, standings, standings_of
from s3napback.watch.states import Heard, State, judge_run, judge_source
from s3napback.watch.word import Dropped, SourceWord, Word
from tests.catalogues import job
from tests.watch.words import DAY, NOW, TODAY, source_word, word

SIZES = {"etc-5-DIFF": 20, "etc-4-FULL": 100}
PLACE = Place("", "atlas", "nightly")
LATE = {"expected_by": NOW - DAY, "critical_by": NOW + DAY}
VERY_LATE = {"expected_by": NOW - 3 * DAY, "critical_by": NOW - DAY}


@pytest.mark.parametrize(
    ("said", "state", "why"),
    [
        (source_word(), State.OK, ""),
        (source_word(outcome="skipped"), State.OK, ""),
        (source_word(outcome="failed", error="tool"), State.WARNING, "the last run failed (tool)"),
        (source_word(outcome="failed"), State.WARNING, "the last run failed"),
        (source_word(warnings=1), State.WARNING, "gave 1 warning"),
        (source_word(warnings=2), State.WARNING, "gave 2 warnings"),
        (source_word(**LATE), State.WARNING, "late: the last backup is of 2026-11-26, the next was due by"),
        (
            source_word(key=None, size=None, last_good=None, **LATE),
            State.WARNING,
            "late: there never was a backup, and",
        ),
        (source_word(outcome="failed", **LATE), State.WARNING, "late"),
        (source_word(**VERY_LATE), State.CRITICAL, "no backup since 2026-11-26"),
        (source_word(outcome="skipped", **VERY_LATE), State.CRITICAL, "no backup since"),
        (source_word(key="etc-6-DIFF"), State.CRITICAL, "its newest archive etc-6-DIFF is not in the store"),
        (source_word(size=21), State.CRITICAL, "has 20 bytes, and had 21"),
        (source_word(chain=("etc-3-FULL",)), State.CRITICAL, "etc-3-FULL, which its newest archive builds on"),
        (source_word(chain_size=121), State.CRITICAL, "has another size than it had"),
        (source_word(chain=(), chain_size=0), State.OK, ""),
        (source_word(key=None, size=None, last_good=None), State.WARNING, "there is no backup yet"),
        (source_word(key=None, size=None, chain=(), chain_size=0), State.OK, ""),
        (
            source_word(key=None, size=None, last_good=None, **VERY_LATE),
            State.CRITICAL,
            "there never was a backup, and it was due by",
        ),
        (source_word(expected_by=None, critical_by=None), State.OK, ""),
    ],
    ids=range(20),
)
def test_a_source_is_judged_by_its_deadlines_its_last_run_and_what_lies_in_the_store(
    said: SourceWord, state: State, why: str
) -> None:
    verdict = judge_source(said, "", SIZES, NOW)
    assert verdict.state is state
    assert why in "; ".join(verdict.reasons)
    assert bool(verdict.reasons) == (state is not State.OK)
    below = {f"p/{key}": size for key, size in SIZES.items()}
    assert judge_source(said, "p", below, NOW) == verdict


@pytest.mark.parametrize(
    ("said", "hours", "state", "why"),
    [
        (word(), 1, State.OK, ""),
        (word(ran=False, exit=2, missed=1, error="key"), 1, State.WARNING, "nothing was begun (key): exit 2"),
        (word(ran=False, exit=2, missed=2), 1, State.CRITICAL, "nothing was begun, 2 times running: exit 2"),
        (word(dropped=(Dropped("srv", TODAY, TODAY),)), 1, State.WARNING, "srv is not backed up any more; its last"),
        (word(dropped=(Dropped("srv", None, TODAY),)), 1, State.WARNING, "any more; there never was a backup of it"),
        (word(), 2.1, State.WARNING, "its clock and the store's differ"),
        (word(), -0.1, State.WARNING, "its clock and the store's differ"),
        (word(ended=NOW + timedelta(days=9)), -24 * 9, State.WARNING, "which is still to come here"),
        (word(), 1.9, State.OK, ""),
        (word(other_instance=True), 1, State.WARNING, "another machine or DiffDir"),
        (word(source_word(**LATE), locks_until=NOW + 13 * DAY), 1, State.WARNING, "locked until 2026-12-09"),
        (word(source_word(**LATE), locks_until=NOW + 15 * DAY), 1, State.OK, ""),
        (word(source_word(), locks_until=NOW + 13 * DAY), 1, State.OK, ""),
    ],
    ids=range(13),
)
def test_a_run_is_judged_as_a_whole(said: Word, hours: float, state: State, why: str) -> None:
    verdict = judge_run(said, NOW - timedelta(hours=hours), NOW)
    assert verdict.state is state
    assert why in "; ".join(verdict.reasons)


def heard(said: Word | None, place: Place = PLACE, flaw: str = "") -> Heard:
    return Heard(place, NOW - timedelta(hours=1), said, flaw)


def shown(found: list[Standing]) -> list[tuple[str, str, str]]:
    return [(each.verdict.state.name, str(each.place), each.source) for each in found]


def test_the_worst_stands_first_and_nothing_stands_for_what_is_well() -> None:
    late = word(source_word(source="Directory /b", **VERY_LATE), source_word(source="Directory /a", warnings=1))
    stored = StoreContents(SIZES, [heard(late), heard(None, Place("p", "bad", "x"), "it makes no sense")])
    found = standings(stored, [Wordless("old", "q", ("etc", "srv"))], NOW)
    assert shown(found) == [
        ("CRITICAL", "atlas/nightly", "Directory /b"),
        ("UNKNOWN", "bad/x", ""),
        ("UNKNOWN", "old/-", ""),
        ("WARNING", "atlas/nightly", "Directory /a"),
    ]
    assert overall(found) is State.CRITICAL
    assert overall([]) is State.OK
    assert shown(standings(StoreContents(SIZES, [heard(word(source_word()))]), [], NOW)) == [
        ("OK", "atlas/nightly", "Directory /etc")
    ]


def test_one_configuration_is_asked_for_what_it_names() -> None:
    jobs = [job("etc", SimpleCycle()), job("srv", SimpleCycle(), source="Directory /srv")]
    stored = StoreContents(SIZES, [heard(word(source_word()))])
    assert shown(standings_of(jobs, PLACE, stored, NOW)) == [
        ("WARNING", "atlas/nightly", "Directory /srv"),
        ("OK", "atlas/nightly", "Directory /etc"),
    ]
    assert shown(standings_of(jobs, PLACE, StoreContents(SIZES), NOW)) == [("UNKNOWN", "atlas/nightly", "")]


def test_who_is_gone_on_purpose_is_not_asked_for() -> None:
    gone = heard(word(source_word(**VERY_LATE), forgotten=True))
    assert standings(StoreContents({}, [gone]), [], NOW) == []


def test_names_that_no_run_speaks_of_are_found_below_every_prefix() -> None:
    said = word(source_word(name="etc"), dropped=(Dropped("srv", TODAY, TODAY),))
    keys = ["p/etc-0-FULL", "p/etc-0-FULL.sha256", "p/srv-1-DIFF", "etc-0-FULL", "p/home-2-FULL", "p/notes.txt"]
    stored = StoreContents(dict.fromkeys(keys, 1), [heard(said, Place("p", "atlas", "nightly"))])
    assert stored.unspoken == {"etc": "etc-0-FULL", "p/home": "p/home-2-FULL"}


def test_a_store_in_which_there_is_nothing_at_all_is_not_one_in_which_all_is_well() -> None:
    """A wrong Prefix, or a folder in which nothing is mounted."""
    (found,) = standings(StoreContents({}, []), [], NOW)
    assert found.verdict.state is State.UNKNOWN
    assert "are Bucket and Prefix the right ones?" in found.verdict.reasons[0]
