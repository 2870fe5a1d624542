"""Until when archives are locked: over many nights, in every cycle, whatever is missed, forced or changed.

The store here knows nothing but dates. What must be locked, and for how long, is told from the nights themselves.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3napback.archives import slot_keys
from s3napback.chains import History, Link, Memory, extended_chain
from s3napback.deciding.facts import BackupOptions
from s3napback.deciding.plans import is_due
from s3napback.locks import (
    LONGEST,
    Lock,
    LockedArchive,
    locked_until,
    moment_of,
    renewals,
    restorable,
    whole_day,
)
from s3napback.rotation import LAST_DAY, HanoiCycle, Schedule, SimpleCycle
from tests.deciding.facts import imagined, plan_of

START = 20_700
NIGHTS = 400
LOCK_DAYS = 14
OUTAGE = 10


def schedules() -> st.SearchStrategy[Schedule]:
    simple = st.integers(1, 8).flatmap(
        lambda frequency: st.builds(
            SimpleCycle,
            st.just(frequency),
            st.integers(0, frequency - 1),
            st.integers(0, 6),
            st.integers(1, 5),
            st.integers(0, 9),
        )
    )
    return st.one_of(simple, st.builds(HanoiCycle, st.integers(1, 6), st.integers(1, 6), st.booleans()))


def filled_next(schedule: Schedule, slot: int, day: int, spans: int = 3) -> int | None:
    """The day on which a slot is filled after the period of a day, found by asking every single one of some spans."""
    last = day + spans * schedule.span + 1
    after = (each for each in range(day + 1, last) if schedule.period(each) > schedule.period(day))
    return next((each for each in after if schedule.is_due(each) and schedule.slot(each) == slot), None)


@given(schedules(), st.integers(0, 40), st.integers(0, 30_000))
def test_when_a_slot_is_filled_next_is_what_the_days_say(schedule: Schedule, slot: int, day: int) -> None:
    found = schedule.next_filled(slot, day)
    if found is None or found <= day + 3 * schedule.span:
        assert found == filled_next(schedule, slot, day)
    else:
        assert schedule.is_due(found)
        assert schedule.slot(found) == slot


@given(schedules(), st.integers(0, 30_000))
def test_the_slots_that_a_cycle_is_going_to_fill_are_those_of_one_span(schedule: Schedule, day: int) -> None:
    days = [each for each in range(day, day + schedule.span) if schedule.is_due(each)]
    assert len(days) * schedule.frequency == schedule.span
    for each in days:
        refilled = schedule.refilled(each)
        archived = isinstance(schedule, HanoiCycle) and schedule.archive_oldest_disc
        assert (refilled is not None and refilled - each <= schedule.span) or archived


@given(schedules(), st.integers(1, 30_000))
def test_what_a_backup_needs_stays_as_long_as_is_said(schedule: Schedule, first: int) -> None:
    """The newest backup, and what it builds on, until the first of these slots is filled anew."""
    stays = []
    for newest in (each for each in range(first, first + schedule.span) if schedule.is_due(each)):
        diffs = schedule.slot(newest) % (schedule.diffs + 1) if isinstance(schedule, SimpleCycle) else 0
        chain = [newest - schedule.frequency * step for step in range(diffs + 1)]
        refilled = [day for each in chain if (day := schedule.next_filled(schedule.slot(each), newest)) is not None]
        stays += [min(refilled) - newest] if refilled else []
    assert not stays or min(stays) == schedule.least_stay


@given(st.integers(0, LAST_DAY - 3))
def test_a_moment_is_that_of_its_day(day: int) -> None:
    assert whole_day(moment_of(day)) == day
    assert moment_of(day).utcoffset() is not None


def test_a_day_is_over_when_it_is_everywhere() -> None:
    assert moment_of(0) == datetime(1970, 1, 2, 12, tzinfo=timezone.utc)
    assert whole_day(datetime(1970, 1, 2, 11, 59, tzinfo=timezone.utc)) == -1


def test_a_lock_lasts_no_longer_than_stores_take_it() -> None:
    slow = SimpleCycle(36_500, fulls=100)
    assert locked_until(slow, 5, START, START, 14) == START + LONGEST
    assert moment_of(LAST_DAY).year == 9999


def test_what_builds_on_something_that_is_gone_needs_no_lock() -> None:
    ledger = {
        "full": LockedArchive("a", "", 0, START),
        "diff": LockedArchive("b", "a", 1, START + 1),
        "lost": LockedArchive("d", "c", 2, START + 2),
        "ring": LockedArchive("e", "f", 3, START + 2),
        "other ring": LockedArchive("f", "e", 4, START + 2),
    }
    assert list(restorable(ledger)) == ["full", "diff"]


def test_a_help_is_locked_once() -> None:
    """Whose lock did not take, of that it is asked for again."""
    ledger = {"k": LockedArchive("a", "", 0, START, {"k": Lock("", 1), "help": Lock("", 1), "other help": Lock()})}
    found = renewals(ledger, SimpleCycle(), START, LOCK_DAYS, is_help=lambda key: key.endswith("help"))
    assert [each.key for each in found] == ["k", "other help"]


# --- four hundred days ---


@dataclass
class LockingStore:
    """What each key holds now, and until when it is locked.

    Attributes:
        ledger: as a machine's DiffDir has it.
        requests: by day, how many locks were made longer.
    """

    ledger: dict[str, LockedArchive] = field(default_factory=dict)
    requests: dict[int, int] = field(default_factory=dict)

    def unlocked(self, day: int) -> list[str]:
        return [key for key in restorable(self.ledger) if self.ledger[key].objects[key].until < day]


@dataclass
class Machine:
    """Backs up one source, and locks what it makes."""

    schedule: Schedule
    lock_days: int = LOCK_DAYS
    relocks: bool = True
    history: History = field(default_factory=History)
    store: LockingStore = field(default_factory=LockingStore)
    made: int = 0

    def run(self, day: int, *, force: bool = False, full: bool = False, fails: bool = False) -> None:
        newest = self.history.chain[-1] if self.history.chain else None
        due = is_due(self.schedule, day, newest) and not (newest and newest.day == day)
        if (due or force) and not fails:
            self.back_up(day, BackupOptions(force=force, full=full))
        if self.relocks:
            self.renew(day)

    def back_up(self, day: int, options: BackupOptions) -> None:
        plan = plan_of(imagined(day, self.schedule, self.history, options=options))
        self.made += 1
        link = Link(f"archive {self.made}", plan.key, plan.slot, plan.type, day, memory=Memory())
        for each in slot_keys("", "Directory", "etc", plan.slot):
            self.store.ledger.pop(each, None)
        until = locked_until(self.schedule, plan.slot, day, day, self.lock_days)
        self.require_no_longer(plan.slot, day, day, until)
        parent = plan.parent.id if plan.parent else ""
        self.store.ledger[plan.key] = LockedArchive(link.id, parent, plan.slot, day, {plan.key: Lock("", until)})
        self.history = History(extended_chain(plan.base, link), self.schedule.describe(), plan.content)

    def renew(self, day: int) -> None:
        found = renewals(self.store.ledger, self.schedule, day, self.lock_days, is_help=lambda _key: False)
        for each in found:
            archive = self.store.ledger[each.archive]
            assert each.until > archive.objects[each.key].until, "a lock was made shorter, or asked for in vain"
            self.require_no_longer(archive.slot, archive.day, day, each.until)
            self.store.ledger[each.archive] = replace(archive, objects={each.key: Lock("", each.until)})
        self.store.requests[day] = len(found)

    def require_no_longer(self, slot: int, made: int, day: int, until: int) -> None:
        """As the rule says, told from the days."""
        if (filled := filled_next(self.schedule, slot, max(day, made), 2)) is not None:
            assert until == filled + self.lock_days
        else:
            step = max(self.schedule.span, self.lock_days)
            assert until >= made + 2 * step
            assert (until - made) % step == 0
            assert until == made + 2 * step or until - day < self.lock_days + step


CYCLES: Sequence[Schedule] = (
    SimpleCycle(),
    SimpleCycle(diffs=6, fulls=4),
    SimpleCycle(diffs=1, fulls=1),
    SimpleCycle(frequency=7, phase=3, diffs=3, fulls=2, offset=1),
    SimpleCycle(frequency=30, fulls=12),
    HanoiCycle(),
    HanoiCycle(frequency=3, discs=4),
    HanoiCycle(discs=1),
    HanoiCycle(discs=5, archive_oldest_disc=True),
    HanoiCycle(frequency=2, discs=1, archive_oldest_disc=True),
)


def changed(schedule: Schedule, chance: random.Random) -> Schedule:
    """The cycle with one of its settings another, or another cycle altogether."""
    if chance.random() < 0.2:
        return chance.choice(CYCLES)
    if isinstance(schedule, HanoiCycle):
        return chance.choice(
            [
                replace(schedule, frequency=chance.randint(1, 5)),
                replace(schedule, discs=chance.randint(1, 6)),
                replace(schedule, archive_oldest_disc=not schedule.archive_oldest_disc),
            ]
        )
    return chance.choice(
        [
            replace(schedule, frequency=schedule.frequency + chance.randint(1, 5)),
            replace(schedule, frequency=1, phase=0),
            replace(schedule, diffs=chance.randint(0, 6)),
            replace(schedule, fulls=chance.randint(1, 5)),
        ]
    )


def simulate(machine: Machine, chance: random.Random, *, changes: bool = True, outages: bool = True) -> list[str]:
    """Let four hundred days pass; returns what was unlocked on which of them, and could have been restored.

    However outages and missed nights come together, no more than LockDays pass without a run.
    """
    away, missed, unlocked = 0, 0, list[str]()
    for day in range(START, START + NIGHTS):
        unlocked += [f"{key} on day {day - START}" for key in machine.store.unlocked(day)]
        if outages and not away and chance.random() < 0.02:
            away = OUTAGE
        away -= away > 0
        if missed < LOCK_DAYS and (away or (outages and chance.random() < 0.05)):
            missed += 1
            continue
        missed = 0
        if changes and chance.random() < 0.01:
            machine.schedule = changed(machine.schedule, chance)
        force, full, fails = (chance.random() < likely for likely in (0.03, 0.03, 0.04 if outages else 0.0))
        machine.run(day, force=force, full=full, fails=fails)
        if force and chance.random() < 0.5:
            machine.run(day, force=True)
    return unlocked


@pytest.mark.parametrize("schedule", CYCLES, ids=lambda schedule: schedule.describe().replace(" ", "-"))
def test_nothing_that_can_be_restored_is_ever_unlocked_and_nothing_is_locked_for_longer(
    schedule: Schedule, request: pytest.FixtureRequest
) -> None:
    for seed in range(request.config.getoption("--lock-rounds")):
        assert simulate(Machine(schedule), random.Random(seed)) == [], f"seed {seed}"


@pytest.mark.parametrize("schedule", CYCLES[:8], ids=lambda schedule: schedule.describe().replace(" ", "-"))
def test_where_no_night_is_missed_and_nothing_changed_no_lock_has_to_be_renewed(schedule: Schedule) -> None:
    machine = Machine(schedule, lock_days=1)
    assert simulate(machine, random.Random(1), changes=False, outages=False) == []
    assert not any(machine.store.requests.values())


def test_without_renewing_and_with_few_days_the_simulation_finds_what_is_unlocked() -> None:
    """What the other tests would be worth nothing without."""
    assert simulate(Machine(SimpleCycle(diffs=6, fulls=4), relocks=False), random.Random(0))
    assert simulate(Machine(SimpleCycle(diffs=6, fulls=4), lock_days=1), random.Random(0))
    assert simulate(Machine(HanoiCycle(archive_oldest_disc=True), relocks=False), random.Random(0), outages=False)
