"""Cycles, watched over many simulated nights.

The tests keep shelves: a slot holds whatever was put there last. What a shelf must hold is told from the order of the
nights alone, never from the formulas of the module under test.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3napback.rotation import ArchiveType, HanoiCycle, Schedule, SimpleCycle, day_date, day_number
from tests.rotations import guaranteed

DATES = st.dates(min_value=date(1970, 1, 1), max_value=date(2200, 12, 31))
AN_EPOCHAL_NIGHT = date(1999, 12, 20)  # New Year, a century's end and a leap day (2000 is one) are near


@st.composite
def simple_cycles(draw: st.DrawFn) -> SimpleCycle:
    frequency = draw(st.integers(1, 40))
    return SimpleCycle(
        frequency=frequency,
        phase=draw(st.integers(0, frequency - 1)),
        diffs=draw(st.integers(0, 8)),
        fulls=draw(st.integers(1, 7)),
    )


@st.composite
def hanoi_cycles(draw: st.DrawFn, *, archive_oldest_disc: bool = False) -> HanoiCycle:
    return HanoiCycle(draw(st.integers(1, 10)), draw(st.integers(1, 6)), archive_oldest_disc)


def due_nights(schedule: Schedule, first_night: date, backups: int) -> Iterator[date]:
    """The calendar dates of the next ``backups`` backups, found by asking every single night."""
    night = first_night
    while backups:
        if schedule.is_due(day_number(night)):
            yield night
            backups -= 1
        night += timedelta(days=1)


@dataclass(frozen=True)
class Backup:
    """One simulated archive, which knows what it needs for being restored."""

    night: date
    type: ArchiveType
    parent: Backup | None

    def is_restorable(self, shelf: dict[int, Backup]) -> bool:
        present = any(kept is self for kept in shelf.values())
        return present and (self.parent is None or self.parent.is_restorable(shelf))


def nightly_shelves(cycle: SimpleCycle, first_night: date, backups: int) -> Iterator[dict[int, Backup]]:
    """The shelf after each backup: a DIFF builds on the night before it, a FULL on nothing."""
    shelf: dict[int, Backup] = {}
    latest = None
    for night in due_nights(cycle, first_night, backups):
        day = day_number(night)
        archive_type = cycle.type(day)
        latest = Backup(night, archive_type, latest if archive_type is ArchiveType.DIFF else None)
        shelf[cycle.slot(day)] = latest
        yield shelf


# Days


@given(DATES)
def test_a_date_survives_the_way_to_its_day_number_and_back(night: date) -> None:
    assert day_date(day_number(night)) == night
    assert day_number(night + timedelta(days=1)) == day_number(night) + 1


def test_days_are_counted_from_the_first_of_january_1970() -> None:
    assert day_number(date(1970, 1, 1)) == 0
    assert day_number(date(2000, 3, 1)) == 11_017  # date -u -d 2000-03-01 +%s, divided by 86,400
    assert day_date(11_016) == date(2000, 2, 29)


# SimpleCycle


@given(simple_cycles(), DATES)
def test_each_new_backup_replaces_the_oldest(cycle: SimpleCycle, first_night: date) -> None:
    kept: dict[int, date] = {}
    for night in due_nights(cycle, first_night, 3 * cycle.slots):
        slot = cycle.slot(day_number(night))
        if len(kept) == cycle.slots:
            assert kept[slot] == min(kept.values())
        else:
            assert slot not in kept, "a slot was used again while others had never been"
        kept[slot] = night
    assert sorted(kept) == list(range(cycle.fulls * (cycle.diffs + 1)))


@given(simple_cycles(), DATES)
def test_backups_are_exactly_frequency_days_apart(cycle: SimpleCycle, first_night: date) -> None:
    nights = list(due_nights(cycle, first_night, 2 * cycle.slots))
    assert (nights[0] - first_night).days < cycle.frequency
    assert {(later - earlier).days for earlier, later in pairwise(nights)} == {cycle.frequency}


@pytest.mark.parametrize("turn_of_year", [date(1999, 12, 31), date(2023, 12, 31), date(2024, 12, 31)])
def test_new_year_and_leap_days_leave_the_order_of_slots_alone(turn_of_year: date) -> None:
    cycle = SimpleCycle(diffs=6, fulls=2)
    first_night = turn_of_year - timedelta(days=400)  # and 800 nights on: each has a 29 February
    slots = [cycle.slot(day_number(first_night + timedelta(days=night))) for night in range(801)]
    expected = [(slots[0] + night) % 14 for night in range(801)]
    assert slots == expected


def test_a_rotation_longer_than_a_year_uses_every_slot_in_order() -> None:
    cycle = SimpleCycle(frequency=7, phase=3, diffs=12, fulls=9)  # 117 slots, more than two years
    nights = list(due_nights(cycle, AN_EPOCHAL_NIGHT, 3 * 117))
    assert {(later - earlier).days for earlier, later in pairwise(nights)} == {7}
    slots = [cycle.slot(day_number(night)) for night in nights]
    assert all(later == (earlier + 1) % 117 for earlier, later in pairwise(slots))
    assert slots[:117] == slots[117:234]


@given(st.integers(1, 40), DATES)
def test_the_phases_of_a_frequency_share_the_days_out(frequency: int, night: date) -> None:
    due = [SimpleCycle(frequency=frequency, phase=phase).is_due(day_number(night)) for phase in range(frequency)]
    assert sum(due) == 1


@given(simple_cycles(), DATES)
def test_every_group_is_a_full_and_then_its_diffs(cycle: SimpleCycle, first_night: date) -> None:
    days = [day_number(night) for night in due_nights(cycle, first_night, 3 * cycle.slots)]
    first_full = next(index for index, day in enumerate(days) if cycle.type(day) is ArchiveType.FULL)
    length = cycle.diffs + 1
    assert first_full < length
    for start in range(first_full, len(days) - length, length):
        group = days[start : start + length]
        assert [cycle.type(day) for day in group] == [ArchiveType.FULL] + [ArchiveType.DIFF] * cycle.diffs
        assert [cycle.slot(day) - cycle.slot(group[0]) for day in group] == list(range(length))


@given(simple_cycles(), DATES)
def test_a_group_has_a_number_of_its_own_over_all_rotations(cycle: SimpleCycle, first_night: date) -> None:
    number = None
    seen: set[int] = set()
    for night in due_nights(cycle, first_night, 3 * cycle.slots):
        day = day_number(night)
        if number is not None and cycle.type(day) is ArchiveType.DIFF:
            assert cycle.group(day) == number
        else:
            assert cycle.group(day) not in seen
        number = cycle.group(day)
        seen.add(number)


@given(simple_cycles(), DATES)
def test_guaranteed_is_the_least_number_of_restorable_backups(cycle: SimpleCycle, first_night: date) -> None:
    counts = []
    for number, shelf in enumerate(nightly_shelves(cycle, first_night, 4 * cycle.slots), start=1):
        if number >= 2 * cycle.slots:
            counts.append(sum(backup.is_restorable(shelf) for backup in shelf.values()))
    assert min(counts) == guaranteed(cycle)


def test_the_manuals_example_of_daily_diffs_and_two_weekly_fulls_keeps_eight_days() -> None:
    cycle = SimpleCycle(diffs=6, fulls=2)
    assert guaranteed(cycle) == 8
    for number, shelf in enumerate(nightly_shelves(cycle, AN_EPOCHAL_NIGHT, 100)):
        if number >= 28:
            newest = max(backup.night for backup in shelf.values())
            restorable = {(newest - backup.night).days for backup in shelf.values() if backup.is_restorable(shelf)}
            assert set(range(8)) <= restorable, "one of the newest eight days cannot be restored"


@given(simple_cycles())
def test_sources_that_are_always_full_count_fulls_slots(cycle: SimpleCycle) -> None:
    full_cycle = cycle.always_full()
    nights = list(due_nights(full_cycle, AN_EPOCHAL_NIGHT, 3 * cycle.fulls))
    days = [day_number(night) for night in nights]
    assert nights == list(due_nights(cycle, AN_EPOCHAL_NIGHT, 3 * cycle.fulls)), "other nights than the block's"
    assert {full_cycle.slot(day) for day in days} == set(range(cycle.fulls))
    assert {full_cycle.type(day) for day in days} == {ArchiveType.FULL}
    assert guaranteed(full_cycle) == cycle.fulls


def test_settings_that_are_left_out_mean_a_full_every_day_and_four_kept() -> None:
    nights = list(due_nights(SimpleCycle(), AN_EPOCHAL_NIGHT, 12))
    assert nights == [AN_EPOCHAL_NIGHT + timedelta(days=number) for number in range(12)]
    assert {SimpleCycle().slot(day_number(night)) for night in nights} == {0, 1, 2, 3}
    assert {SimpleCycle().type(day_number(night)) for night in nights} == {ArchiveType.FULL}


@given(simple_cycles())
def test_settings_that_order_slots_otherwise_are_described_otherwise(cycle: SimpleCycle) -> None:
    others = (
        replace(cycle, frequency=cycle.frequency + 1),
        replace(cycle, phase=cycle.phase + 1),
        replace(cycle, diffs=cycle.diffs + 1),
        replace(cycle, fulls=cycle.fulls + 1),
    )
    assert len({schedule.describe() for schedule in (cycle, *others)}) == 5


# Nights that were missed


@given(simple_cycles(), DATES)
def test_a_late_backup_fills_the_slot_of_the_night_that_was_missed(cycle: SimpleCycle, first_night: date) -> None:
    for due_night in due_nights(cycle, first_night, 2 * cycle.slots):
        due_day = day_number(due_night)
        for late_day in range(due_day + 1, due_day + cycle.frequency):
            assert not cycle.is_due(late_day)
            assert cycle.period(late_day) == cycle.period(due_day)
            assert cycle.slot(late_day) == cycle.slot(due_day)
            assert cycle.type(late_day) == cycle.type(due_day)
            assert cycle.group(late_day) == cycle.group(due_day)
        assert cycle.period(due_day + cycle.frequency) == cycle.period(due_day) + 1


@given(simple_cycles(), DATES, st.lists(st.booleans(), min_size=30, max_size=120))
def test_missed_nights_cost_their_own_backups_only(
    cycle: SimpleCycle, first_night: date, machine_was_on: list[bool]
) -> None:
    kept: dict[int, int] = {}
    for turn, night in enumerate(due_nights(cycle, first_night, len(machine_was_on))):
        if machine_was_on[turn]:
            slot = cycle.slot(day_number(night))
            if slot in kept:
                assert turn - kept[slot] >= cycle.slots, "a backup was replaced before a whole rotation had passed"
            kept[slot] = turn
            within_a_rotation = [
                other for other in range(max(0, turn - cycle.slots + 1), turn + 1) if machine_was_on[other]
            ]
            assert set(within_a_rotation) <= set(kept.values())


@given(hanoi_cycles(), DATES)
def test_a_late_hanoi_backup_fills_the_slot_of_the_night_that_was_missed(cycle: HanoiCycle, first_night: date) -> None:
    for due_night in due_nights(cycle, first_night, 20):
        due_day = day_number(due_night)
        for late_day in range(due_day + 1, due_day + cycle.frequency):
            assert not cycle.is_due(late_day)
            assert cycle.period(late_day) == cycle.period(due_day)
            assert cycle.slot(late_day) == cycle.slot(due_day)
        assert cycle.period(due_day + cycle.frequency) == cycle.period(due_day) + 1


# HanoiCycle

STEADY = 3  # rotations after which every disc has been written


@given(hanoi_cycles(), DATES)
def test_the_ages_of_discs_are_powers_of_two(cycle: HanoiCycle, first_night: date) -> None:
    """Until the next backup, the disc that is nth from the newest is between 2 ** (n - 1) and 2 ** n periods old."""
    rotation = 2 ** (cycle.discs - 1)
    written: dict[int, int] = {}
    for turn, night in enumerate(due_nights(cycle, first_night, 3 * STEADY * rotation)):
        written[cycle.slot(day_number(night))] = turn
        if turn >= STEADY * rotation:
            ages = sorted(turn - writing for writing in written.values())
            assert len(ages) == cycle.discs == guaranteed(cycle)
            assert ages[0] == 0
            for nth, age in enumerate(ages[1:], start=1):
                assert 2 ** (nth - 1) <= age < 2**nth


def test_five_discs_keep_an_oldest_backup_of_eight_to_sixteen_days() -> None:
    cycle = HanoiCycle(discs=5)
    written: dict[int, date] = {}
    oldest_by_day, oldest_by_night = set(), set()
    for number, night in enumerate(due_nights(cycle, AN_EPOCHAL_NIGHT, 500)):
        if number > 50:
            oldest_by_night.add((night - min(written.values())).days)
        written[cycle.slot(day_number(night))] = night
        if number > 50:
            oldest_by_day.add((night - min(written.values())).days)
    assert (min(oldest_by_day), max(oldest_by_day)) == (8, 15)
    assert (min(oldest_by_night), max(oldest_by_night)) == (9, 16)


@given(hanoi_cycles(), DATES)
def test_the_oldest_disc_is_replaced_when_the_ages_are_exactly_the_powers(cycle: HanoiCycle, first_night: date) -> None:
    rotation = 2 ** (cycle.discs - 1)
    written: dict[int, date] = {}
    seen = 0
    for turn, night in enumerate(due_nights(cycle, first_night, 3 * STEADY * rotation)):
        slot = cycle.slot(day_number(night))
        if turn >= STEADY * rotation and slot == cycle.discs - 1:
            ages = sorted((night - writing).days for writing in written.values())
            assert ages == [cycle.frequency * 2**disc for disc in range(cycle.discs)]
            seen += 1
        written[slot] = night
    assert seen == 2 * STEADY


@given(hanoi_cycles(archive_oldest_disc=True), DATES)
def test_archived_discs_are_never_written_again(cycle: HanoiCycle, first_night: date) -> None:
    rotation = 2 ** (cycle.discs - 1)
    ordinary = replace(cycle, archive_oldest_disc=False)
    archived: set[int] = set()
    for night in due_nights(cycle, first_night, 8 * rotation):
        slot = cycle.slot(day_number(night))
        assert slot not in archived
        if ordinary.slot(day_number(night)) == cycle.discs - 1:
            archived.add(slot)
        else:
            assert slot == ordinary.slot(day_number(night)), "a disc other than the oldest was moved"
    assert len(archived) == 8


def test_archived_discs_are_sixteen_days_apart_and_the_younger_ones_stay() -> None:
    cycle = HanoiCycle(discs=5, archive_oldest_disc=True)
    written: dict[int, date] = {}
    ages_when_archiving = []
    for night in due_nights(cycle, AN_EPOCHAL_NIGHT, 160):
        slot = cycle.slot(day_number(night))
        if slot > 3:
            ages_when_archiving.append(sorted((night - writing).days for writing in written.values()))
        written[slot] = night
    assert ages_when_archiving[-1][:7] == [1, 2, 4, 8, 16, 32, 48]
    assert ages_when_archiving[-1][7:] == list(range(64, 16 * len(ages_when_archiving), 16))


@given(hanoi_cycles(archive_oldest_disc=True), DATES)
def test_archiving_loses_nothing_that_the_plain_cycle_keeps(cycle: HanoiCycle, first_night: date) -> None:
    plain = replace(cycle, archive_oldest_disc=False)
    archiving_shelf: dict[int, date] = {}
    plain_shelf: dict[int, date] = {}
    for night in due_nights(cycle, first_night, 5 * 2 ** (cycle.discs - 1)):
        archiving_shelf[cycle.slot(day_number(night))] = night
        plain_shelf[plain.slot(day_number(night))] = night
        assert set(plain_shelf.values()) <= set(archiving_shelf.values())


@given(hanoi_cycles(), DATES)
def test_hanoi_backups_are_full_and_exactly_frequency_days_apart(cycle: HanoiCycle, first_night: date) -> None:
    nights = list(due_nights(cycle, first_night, 40))
    assert (nights[0] - first_night).days < cycle.frequency
    assert {(later - earlier).days for earlier, later in pairwise(nights)} == {cycle.frequency}
    assert {cycle.type(day_number(night)) for night in nights} == {ArchiveType.FULL}
    assert cycle.always_full() == cycle


def test_hanoi_settings_that_order_slots_otherwise_are_described_otherwise() -> None:
    cycles = (HanoiCycle(), HanoiCycle(2), HanoiCycle(1, 6), HanoiCycle(1, 5, archive_oldest_disc=True), SimpleCycle())
    assert len({cycle.describe() for cycle in cycles}) == 5


@pytest.mark.parametrize("offset", range(7))
def test_an_offset_chooses_the_day_of_the_week_of_fulls(offset: int) -> None:
    cycle = SimpleCycle(diffs=6, fulls=2, offset=offset)
    days = range(day_number(date(2026, 1, 1)), day_number(date(2026, 12, 31)))
    fulls = {day_date(day).strftime("%A") for day in days if cycle.type(day) is ArchiveType.FULL}
    week = ["Thursday", "Wednesday", "Tuesday", "Monday", "Sunday", "Saturday", "Friday"]
    assert fulls == {week[offset]}
    assert all(cycle.group(day) == cycle.group(day + 6) for day in days if cycle.type(day) is ArchiveType.FULL)
    assert (" Offset" in cycle.describe()) == bool(offset)
