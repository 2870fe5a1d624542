"""Slots are a format on disk: tables of them, written down once, by hand, and not to be changed.

Whoever changes how a day becomes a slot has every store and every DiffDir in the world against them: the archive that
a slot holds would be replaced out of turn. The tables begin on day 20,454, which is 1 January 2026.
"""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from s3napback.rotation import HanoiCycle, Schedule, SimpleCycle, day_number

FIRST_DAY = date(2026, 1, 1)

TABLES: list[tuple[Schedule, str]] = [
    # 20,454 is a multiple of 7; 20,454 / 7 = 2,922 is even, so that a rotation of two weeks begins here, too
    (
        SimpleCycle(diffs=6, fulls=2),
        "0F 1D 2D 3D 4D 5D 6D 7F 8D 9D 10D 11D 12D 13D 0F 1D 2D 3D 4D 5D 6D 7F 8D 9D 10D 11D 12D 13D 0F 1D",
    ),
    # 20,454 = 28 × 730 + 14
    (
        SimpleCycle(diffs=6, fulls=4),
        "14F 15D 16D 17D 18D 19D 20D 21F 22D 23D 24D 25D 26D 27D 0F 1D 2D 3D 4D 5D 6D 7F 8D",
    ),
    # the same, four slots ahead: the first of January 2026 is a Thursday, so FULLs fall on Sundays
    (
        SimpleCycle(diffs=6, fulls=4, offset=4),
        "18D 19D 20D 21F 22D 23D 24D 25D 26D 27D 0F 1D 2D 3D 4D 5D 6D 7F 8D",
    ),
    # 20,454 = 4 × 5,113 + 2
    (SimpleCycle(), "2F 3F 0F 1F 2F 3F 0F 1F 2F"),
    # every other day: 20,454 / 2 = 10,227 = 4 × 2,556 + 3
    (SimpleCycle(frequency=2, diffs=1, fulls=2), "3D - 0F - 1D - 2F - 3D - 0F -"),
    # the days in between: (20,455 + 1) / 2 = 10,228
    (SimpleCycle(frequency=2, phase=1, diffs=1, fulls=2), "- 0F - 1D - 2F - 3D - 0F"),
    # weekly, moved by three days: (20,458 + 3) / 7 = 2,923 = 3 × 974 + 1
    (SimpleCycle(frequency=7, phase=3, fulls=3), "- - - - 1F - - - - - - 2F - - - - - - 0F - - - - - -"),
    # 20,454 = 16 × 1,278 + 6: the seventh turn of sixteen, of which disc 4 takes the last, disc 3 the eighth
    (
        HanoiCycle(discs=5),
        "0F 3F 0F 1F 0F 2F 0F 1F 0F 4F 0F 1F 0F 2F 0F 1F 0F 3F 0F 1F 0F 2F 0F 1F 0F 4F 0F 1F 0F 2F 0F 1F 0F 3F",
    ),
    # its last turns come in rotations 1,278 and 1,279, counted from 0: slots 4 + 1,278 and 4 + 1,279
    (
        HanoiCycle(discs=5, archive_oldest_disc=True),
        "0F 3F 0F 1F 0F 2F 0F 1F 0F 1282F 0F 1F 0F 2F 0F 1F 0F 3F 0F 1F 0F 2F 0F 1F 0F 1283F 0F 1F 0F 2F 0F 1F 0F 3F",
    ),
    # every third day: 20,454 / 3 = 6,818 = 4 × 1,704 + 2
    (HanoiCycle(frequency=3, discs=3), "0F - - 2F - - 0F - - 1F - - 0F - - 2F - -"),
    (HanoiCycle(frequency=3, discs=3, archive_oldest_disc=True), "0F - - 1706F - - 0F - - 1F - - 0F - - 1707F - -"),
    # one disc is the oldest, too
    (HanoiCycle(discs=1), "0F 0F 0F"),
    (HanoiCycle(discs=1, archive_oldest_disc=True), "20454F 20455F 20456F"),
]

FROM_THE_BEGINNING: list[tuple[Schedule, str]] = [
    (SimpleCycle(diffs=2, fulls=2), "0F 1D 2D 3F 4D 5D 0F 1D 2D"),
    (HanoiCycle(discs=4), "0F 1F 0F 2F 0F 1F 0F 3F 0F 1F 0F 2F 0F 1F 0F 3F 0F"),
    (HanoiCycle(discs=4, archive_oldest_disc=True), "0F 1F 0F 2F 0F 1F 0F 3F 0F 1F 0F 2F 0F 1F 0F 4F 0F"),
]


def table(schedule: Schedule, first_day: date, days: int) -> str:
    """Slot and type for each of so many days, a dash for those that are not due."""
    numbers = [day_number(first_day + timedelta(days=each)) for each in range(days)]
    return " ".join(
        f"{schedule.slot(day)}{schedule.type(day).value[0]}" if schedule.is_due(day) else "-" for day in numbers
    )


@pytest.mark.parametrize(("schedule", "slots"), TABLES, ids=lambda value: getattr(value, "describe", str)())
def test_each_day_has_the_slot_that_it_always_had(schedule: Schedule, slots: str) -> None:
    assert table(schedule, FIRST_DAY, len(slots.split())) == slots


@pytest.mark.parametrize(("schedule", "slots"), FROM_THE_BEGINNING, ids=lambda value: getattr(value, "describe", str)())
def test_the_first_of_january_1970_begins_every_cycle(schedule: Schedule, slots: str) -> None:
    assert table(schedule, date(1970, 1, 1), len(slots.split())) == slots


def test_a_period_that_is_made_up_has_its_own_slot_on_all_of_its_days() -> None:
    weekly = SimpleCycle(frequency=7, phase=3, fulls=3)
    assert [weekly.slot(day_number(FIRST_DAY) + day) for day in range(12)] == [0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 2]
    oldest = HanoiCycle(frequency=3, discs=3, archive_oldest_disc=True)
    assert [oldest.slot(day_number(FIRST_DAY) + day) for day in range(7)] == [0, 0, 0, 1706, 1706, 1706, 0]
