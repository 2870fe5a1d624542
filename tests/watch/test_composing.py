"""What a run says of itself, where only a rare state of things shows it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from s3napback.chains import History, Link, SourceState
from s3napback.config.settings import Job
from s3napback.rotation import ArchiveType, SimpleCycle, day_number
from s3napback.watch.composing import Attempt, Kept, Run, compose
from s3napback.watch.keys import Place
from s3napback.watch.word import SourceWord
from tests.catalogues import job
from tests.watch.words import DAY, NOW, TODAY, source_word, word

RUN = Run(Place("p", "atlas", "nightly"), "1", "ab", NOW, NOW, TODAY, ran=True, error=None, exit=0)
ETC: Job = job(schedule=SimpleCycle())
EMPTY = SourceState(ETC.name, ETC.source, ETC.cycle)


def composed(state: SourceState | None, attempt: Attempt, before: SourceWord | None, run: Run = RUN) -> SourceWord:
    previous = None if before is None else word(before)
    (source,) = compose(run, [Kept(ETC, state, attempt)], previous).sources
    return source


def backed_up(day: int, size: int = 20) -> SourceState:
    link = Link("x", "p/etc-3-FULL", 3, ArchiveType.FULL, day, size)
    return replace(EMPTY, history=History((link,)))


def test_a_source_of_which_only_a_failure_is_remembered_is_not_expected_anew() -> None:
    first = composed(EMPTY, Attempt("failed", "store"), None)
    later = replace(RUN, today=TODAY + timedelta(days=3))
    assert composed(EMPTY, Attempt("failed", "store"), first, later) == first
    assert first.expected_by is not None


def test_what_is_current_is_as_good_as_backed_up_and_stays_so_while_it_is_not_due() -> None:
    state = backed_up(day_number(TODAY) - 5)
    current = composed(state, Attempt("skipped", is_current=True), None)
    assert current.last_good == TODAY
    later = replace(RUN, today=TODAY + timedelta(days=1))
    assert composed(state, Attempt("skipped"), current, later).last_good == TODAY


def test_what_is_done_is_told_also_if_it_cannot_be_remembered() -> None:
    for before in (None, source_word(key="etc-2-FULL", last_good=TODAY - DAY)):
        said = composed(None, Attempt("done", read=10), before)
        assert (said.outcome, said.key, said.last_good) == ("done", None, TODAY)
        assert said.expected_by is not None and said.expected_by > NOW
    assert composed(None, Attempt("failed", "store"), said).last_good == TODAY


def test_the_word_before_is_not_believed_where_it_speaks_of_the_future_or_of_another_archive() -> None:
    state = backed_up(day_number(TODAY) - 5)
    known = TODAY - timedelta(days=5)
    for before in (
        source_word(key="etc-3-FULL", size=20, last_good=TODAY + timedelta(days=9)),
        source_word(key="etc-3-FULL", size=21),
        source_word(key="etc-2-FULL", size=20),
    ):
        assert composed(state, Attempt("skipped"), before).last_good == known


def test_a_diff_dir_that_was_lost_takes_nothing_from_what_was_said() -> None:
    before = source_word(last_good=TODAY - DAY)
    failed = composed(None, Attempt("failed", "tool"), before)
    assert failed == replace(before, outcome="failed", error="tool")


def test_a_new_name_of_the_same_source_is_not_one_that_is_missing() -> None:
    renamed = replace(ETC, name="nightly/etc")
    said = compose(RUN, [Kept(renamed, None, Attempt("done"))], word(source_word(source=str(ETC.source))))
    assert said.dropped == ()
    other = replace(ETC, name="srv", target="/srv")
    said = compose(RUN, [Kept(other, None, Attempt("done"))], word(source_word(source=str(ETC.source))))
    assert [each.name for each in said.dropped] == ["etc"]
