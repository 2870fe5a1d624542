"""What is foreseen is what the nights then do."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3napback.chains import History, Link, SourceState
from s3napback.config.settings import Job
from s3napback.deciding.facts import RunFacts
from s3napback.foresight.calendar import Foreseen, Night, foresee, nights
from s3napback.foresight.plain import plain_text
from s3napback.rotation import ArchiveType, HanoiCycle, Schedule, SimpleCycle, day_date
from tests.catalogues import HOST, job
from tests.deciding.test_simulated_nights import SimulatedSource, cycles_with_diffs

RUN = RunFacts(HOST, 20_454)


def fresh(source: Job) -> SourceState:
    return SourceState(source.name, source.source, source.cycle)


def foreseen(schedule: Schedule, day: int, count: int, history: History | None = None) -> list[Night]:
    source = job(schedule=schedule)
    state = replace(fresh(source), history=history or History())
    return list(nights(state, source, replace(RUN, day=day), count))


HANOI = st.builds(HanoiCycle, st.integers(1, 3), discs=st.integers(1, 5), archive_oldest_disc=st.booleans())
ANY = st.one_of(cycles_with_diffs(), st.builds(SimpleCycle, st.integers(1, 3), fulls=st.integers(1, 5)), HANOI)


@settings(deadline=None)
@given(ANY, st.integers(10_000, 30_000), st.integers(0, 30))
def test_each_night_fills_the_foreseen_slot_and_leaves_the_foreseen_days(
    schedule: Schedule, first: int, before: int
) -> None:
    """Also where nights have passed already: then by what is remembered."""
    source = SimulatedSource(schedule)
    for day in range(first - before, first):
        if source.is_due(day):
            source.back_up(day)
    remembered = {schedule.period(link.day) for link in source.history.chain}
    # Of what was made before this chain nothing is remembered.
    unknown = source.store.restorable_periods() - remembered
    expected = {night.day: night for night in foreseen(schedule, first, 40, source.history)}
    for day in range(first, first + 40):
        assert source.is_due(day) == (day in expected)
        if day in expected:
            source.back_up(day)
            made, night = source.history.chain[-1], expected[day]
            assert (made.slot, made.type) == (night.slot, night.type)
            assert set(map(schedule.period, night.restorable)) == source.store.restorable_periods() - unknown


@settings(deadline=None)
@given(ANY, st.integers(10_000, 30_000))
def test_a_slot_is_filled_anew_on_the_foreseen_day_and_not_before(schedule: Schedule, day: int) -> None:
    slot, refilled = schedule.slot(day), schedule.refilled(day)
    last = day + 200 if refilled is None else refilled
    due = [each for each in range(day + 1, last + 1) if schedule.is_due(each)]
    filled = [each for each in due if schedule.slot(each) == slot and schedule.period(each) > schedule.period(day)]
    assert filled == ([] if refilled is None else [refilled])


@settings(deadline=None)
@given(ANY)
def test_how_far_one_can_go_back_once_the_rotation_is_complete(schedule: Schedule) -> None:
    reach = schedule.reach()
    made = foreseen(schedule, 20_000, 3 * reach.after_days + 2 * schedule.frequency)
    steady = [each for each in made if each.day >= made[0].day + reach.after_days]
    counts = [len(night.restorable) for night in steady]
    if isinstance(schedule, HanoiCycle) and schedule.archive_oldest_disc:
        assert min(counts) >= reach.least_backups
        return
    assert (min(counts), max(counts)) == (reach.least_backups, reach.most_backups)
    ages = [night.day - night.restorable[0] for night in steady]
    # The last night's oldest archive gets older until the next backup.
    assert (min(ages), max(ages) + schedule.frequency - 1) == (reach.least_age, reach.most_age)


def test_what_is_done_today_already_is_not_foreseen_again() -> None:
    schedule = SimpleCycle(diffs=6, fulls=2)
    link = Link("x", "etc-0-FULL", 0, ArchiveType.FULL, 20_454)
    made = foreseen(schedule, 20_454, 3, History((link,), schedule.describe(), {"GpgRecipient": []}))
    assert [(night.day, night.slot, night.type) for night in made] == [
        # without what a DIFF needs the next one is a FULL
        (20_455, 1, ArchiveType.FULL),
        (20_456, 2, ArchiveType.DIFF),
    ]
    assert made[0].why == "what a DIFF on the last archive needs was not kept"
    assert made[0].restorable == (20_454, 20_455)


@pytest.mark.parametrize("name", ["GpgRecipient", "GpgSignKey"])
def test_keys_that_were_not_looked_up_are_taken_to_be_those_of_before(name: str) -> None:
    schedule = SimpleCycle(diffs=6, fulls=2)
    (first,) = foreseen(schedule, 20_454, 1)
    source = SimulatedSource(schedule)
    source.back_up(20_454)
    before = {**source.history.content, name: ["AB"] if name == "GpgRecipient" else "AB"}
    made = foreseen(schedule, 20_455, 2, replace(source.history, content=before))
    assert [night.type for night in (first, *made)] == [ArchiveType.FULL, ArchiveType.DIFF, ArchiveType.DIFF]


def test_only_what_lies_ahead_is_told_and_alike_sources_stand_together() -> None:
    daily, weekly = SimpleCycle(diffs=6), SimpleCycle(7)
    jobs = [
        job("etc", daily),
        job("home", daily, source="Directory /home"),
        job("srv", weekly, source="Directory /srv"),
    ]
    first, second = foresee([(each, fresh(each)) for each in jobs], RUN, RUN.day + 10, 5)
    assert [str(source) for source in first.sources] == ["Directory /etc", "Directory /home"]
    assert [night.day - RUN.day for night in first.nights] == [10, 11, 12, 13, 14]
    assert first.nights[0].restorable == tuple(range(RUN.day, RUN.day + 11))
    assert [night.day - RUN.day for night in second.nights] == [14]


def seconds(work: Callable[[], object]) -> float:
    clock = time.process_time()
    work()
    return time.process_time() - clock


def test_a_year_of_fifty_sources_of_which_no_two_are_alike_is_foreseen_in_half_a_second() -> None:
    cycles = [SimpleCycle(diffs=n % 7, fulls=n + 2) for n in range(40)]
    jobs = [job(f"s{n}", cycle, source=f"Directory /s{n}") for n, cycle in enumerate(cycles)]
    jobs += [job(f"h{n}", HanoiCycle(discs=n), source=f"Directory /h{n}") for n in range(1, 11)]

    def whole() -> tuple[list[Foreseen], list[str]]:
        told = foresee([(each, fresh(each)) for each in jobs], RUN, RUN.day, 365)
        return told, plain_text(day_date(RUN.day), day_date(RUN.day + 364), told)

    def known_work() -> object:
        """0.08 seconds where the whole takes 0.3: a machine that others load is slow at both."""
        return {f"{n % 1000}": (n, str(n)) for n in range(300_000)}

    # Each in turn, so that both have had quiet moments.
    known, took = map(min, zip(*((seconds(known_work), seconds(whole)) for _ in range(7)), strict=True))
    assert took < 0.5 * max(1, known / 0.08)
    told, lines = whole()
    assert len(told) == 50
    assert len(lines) > 365 * 50
