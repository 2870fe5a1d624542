"""Cycles: pure functions from a calendar day to a slot.

A day is a whole number, the days since 1970-01-01. Days are counted without a break, so that no New Year, leap day or
length of cycle disturbs the order in which slots are used. Nothing here knows a clock.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from enum import Enum

from s3napback.records import dataclass

EPOCH = date(1970, 1, 1)
LAST_DAY = (date.max - EPOCH).days
"""The day number of the last date that can be written: 31 December 9999."""


class ArchiveType(Enum):
    """Whether an archive stands by itself (FULL) or builds on a parent (DIFF)."""

    FULL = "FULL"
    DIFF = "DIFF"


def day_number(calendar_date: date) -> int:
    """Days from 1970-01-01 to ``calendar_date``."""
    return (calendar_date - EPOCH).days


def day_date(day: int) -> date:
    """The calendar date of a day number."""
    return date.fromordinal(EPOCH.toordinal() + day)


@dataclass(frozen=True)
class Reach:
    """How far one can go back in a cycle of which no backup has failed.

    Attributes:
        least_backups: that can be restored at any time.
        most_backups: that can be restored at times.
        least_age: in days; the oldest of them is never younger.
        most_age: in days; nor does it get older.
        after_days: that it takes until this holds.
    """

    least_backups: int
    most_backups: int
    least_age: int
    most_age: int
    after_days: int


@dataclass(frozen=True)
class SimpleCycle:
    """Backups at fixed intervals, in groups of one FULL and ``diffs`` DIFFs.

    Attributes:
        frequency: days from one backup to the next.
        phase: shifts the days on which backups fall; 0 ≤ phase < frequency.
        diffs: DIFFs after each FULL.
        fulls: groups kept.
        offset: slots by which the rotation is ahead; it chooses on which backup FULLs fall.
    """

    frequency: int = 1
    phase: int = 0
    diffs: int = 0
    fulls: int = 4
    offset: int = 0

    def period(self, day: int) -> int:
        """Number of the backup interval that ``day`` lies in; slots follow it."""
        return (day + self.phase) // self.frequency

    def is_due(self, day: int) -> bool:
        """Whether a period begins on ``day``."""
        return (day + self.phase) % self.frequency == 0

    def slot(self, day: int) -> int:
        """The slot that the period of ``day`` fills."""
        return self._turn(day) % self.slots

    def type(self, day: int) -> ArchiveType:
        """FULL in the first slot of a group, DIFF in the others."""
        return ArchiveType.FULL if self.slot(day) % (self.diffs + 1) == 0 else ArchiveType.DIFF

    def group(self, day: int) -> int:
        """Number of the group that ``day`` lies in, counted over all rotations."""
        return self._turn(day) // (self.diffs + 1)

    def _turn(self, day: int) -> int:
        return self.period(day) + self.offset

    @property
    def slots(self) -> int:
        """How many slots one rotation has."""
        return self.fulls * (self.diffs + 1)

    @property
    def span(self) -> int:
        """Days after which the rotation has filled each of its slots and begins anew."""
        return self.slots * self.frequency

    @property
    def least_stay(self) -> int:
        """Days from any backup for which it, and all that it builds on, stays in its slots."""
        return (self.slots - self.diffs) * self.frequency

    def next_filled(self, slot: int, day: int) -> int | None:
        """The first day after the period of ``day`` on which a slot is filled; None if it never is."""
        if not 0 <= slot < self.slots:
            return None
        periods = 1 + (slot - self._turn(day) - 1) % self.slots
        return (self.period(day) + periods) * self.frequency - self.phase

    def refilled(self, day: int) -> int | None:
        """The day on which the slot that ``day`` fills is filled anew."""
        return self.next_filled(self.slot(day), day)

    def reach(self) -> Reach:
        """How far one can go back once all slots are filled."""
        least = (self.fulls - 1) * (self.diffs + 1) + 1
        oldest = self.slots * self.frequency - 1
        return Reach(least, self.slots, (least - 1) * self.frequency, oldest, self.slots * self.frequency)

    def always_full(self) -> SimpleCycle:
        """The same cycle for sources that have no DIFFs: ``fulls`` slots."""
        return replace(self, diffs=0)

    def describe(self) -> str:
        """The settings that decide the order of slots, as one line; a chain does not outlive a change of it."""
        ahead = f" Offset {self.offset}" if self.offset else ""
        return f"SimpleCycle Frequency {self.frequency} Phase {self.phase} Diffs {self.diffs} Fulls {self.fulls}{ahead}"


@dataclass(frozen=True)
class HanoiCycle:
    """FULL backups on a decaying schedule: the ages of the discs are powers of two.

    Attributes:
        frequency: days from one backup to the next.
        discs: slots in the rotation.
        archive_oldest_disc: keep every archive of the oldest disc, each in a slot of its own.
    """

    frequency: int = 1
    discs: int = 5
    archive_oldest_disc: bool = False

    def period(self, day: int) -> int:
        """Number of the backup interval that ``day`` lies in."""
        return day // self.frequency

    def is_due(self, day: int) -> bool:
        """Whether a period begins on ``day``."""
        return day % self.frequency == 0

    def slot(self, day: int) -> int:
        """The disc of the day's period, or the slot that keeps an archived oldest disc for good."""
        turns, turn = divmod(self.period(day), self._turns)
        disc = _trailing_zeros(turn + 1)
        if self.archive_oldest_disc and disc == self.discs - 1:
            return disc + turns
        return disc

    def type(self, day: int) -> ArchiveType:  # noqa: ARG002 - as SimpleCycle's
        """Always FULL."""
        return ArchiveType.FULL

    def group(self, day: int) -> int:
        """Number of the group that ``day`` lies in: each archive is one by itself."""
        return self.period(day)

    @property
    def span(self) -> int:
        """Days after which the rotation has filled each of its slots and begins anew."""
        return self._turns * self.frequency

    @property
    def least_stay(self) -> int:
        """Days from any backup for which it stays in its slot: those of the disc that is filled most often."""
        return min(2, self._turns) * self.frequency

    def next_filled(self, slot: int, day: int) -> int | None:
        """The first day after the period of ``day`` on which a slot is filled; None if it never is."""
        period, last = self.period(day), self.discs - 1
        if slot < last:
            step = 1 << (slot + 1)
            return (period + 1 + (step // 2 - period - 2) % step) * self.frequency
        if self.archive_oldest_disc:
            filled = (slot - last + 1) * self._turns - 1
            return filled * self.frequency if filled > period else None
        return (period + 1 + (-period - 2) % self._turns) * self.frequency if slot == last else None

    def refilled(self, day: int) -> int | None:
        """The day on which the slot that ``day`` fills is filled anew; None for one that is kept for good."""
        return self.next_filled(self.slot(day), day)

    @property
    def _turns(self) -> int:
        return 1 << (self.discs - 1)

    def reach(self) -> Reach:
        """How far one can go back once all discs are filled; what is archived of the oldest one apart."""
        turns = self._turns
        return Reach(
            self.discs, self.discs, turns // 2 * self.frequency, turns * self.frequency - 1, turns * self.frequency
        )

    def always_full(self) -> HanoiCycle:
        """The same cycle: it has no DIFFs."""
        return self

    def describe(self) -> str:
        """The settings that decide the order of slots, as one line."""
        archive = " ArchiveOldestDisc" if self.archive_oldest_disc else ""
        return f"HanoiCycle Frequency {self.frequency} Discs {self.discs}{archive}"


Schedule = SimpleCycle | HanoiCycle


def _trailing_zeros(number: int) -> int:
    return (number & -number).bit_length() - 1
