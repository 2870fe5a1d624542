"""What is foreseen as text of 80 columns. Pure.

A Hanoi rotation is a grid of days and discs, in which each cell is the age of what lies on the disc: so one sees at
a glance to which days one can go back. Backups of a SimpleCycle follow each other, and a range tells as much.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from functools import lru_cache

from s3napback.foresight.calendar import Foreseen, Night
from s3napback.formatting import counted, printable
from s3napback.locks import LockForecast, LockTerms
from s3napback.rotation import LAST_DAY, HanoiCycle, Schedule, day_date

WIDTH = 80
_INDENT = "  "
_MOST_RANGES = 8


def plain_text(first: date, last: date, foreseen: Sequence[Foreseen], terms: LockTerms | None = None) -> list[str]:
    """The calendars, one below the other, each below what holds for the sources that it is of.

    Args:
        terms: of locks; None where nothing can be locked.
    """
    parts = [[f"From {first} to {last}, if every backup succeeds and no setting changes."]]
    parts += [[*_heading(each, terms), "", *_indented(_calendar(each))] for each in foreseen]
    return [line for part in parts for line in ("", *part)][1:]


def _heading(each: Foreseen, terms: LockTerms | None) -> Iterator[str]:
    yield printable(f"{f'Cycle {each.cycle}: ' if each.cycle else ''}{each.schedule.describe()}")
    yield from _indented(_wrapped(printable(", ".join(map(str, each.sources)))))
    yield from _indented(_wrapped(_reach(each.schedule)))
    if terms is not None:
        yield from _indented(_wrapped(_locks(terms.forecast(each.schedule))))


def _locks(found: LockForecast) -> str:
    longer = f"until it is replaced and {counted(found.days, 'day')} longer"
    newest = _between(found.newest_least, found.newest_most, "day")
    if found.is_ruled:
        return f"Each archive is locked {longer}; if the machine dies, the newest backup for {newest}."
    return (
        f"In a bucket with Object Lock, a default retention of {counted(found.retention, 'day')} locks each archive "
        f"{longer}; if the machine dies, the newest backup for {newest}."
    )


def _reach(schedule: Schedule) -> str:
    reach = schedule.reach()
    backups = _between(reach.least_backups, reach.most_backups, "backup")
    start = f"After {counted(reach.after_days, 'day')}"
    if isinstance(schedule, HanoiCycle) and schedule.archive_oldest_disc:
        return f"{start} at least {backups} can be restored at any time; what the oldest disc has held stays for good."
    ages = _between(reach.least_age, reach.most_age, "day")
    return f"{start} {backups} can be restored at any time, and the oldest is {ages} old."


def _between(least: int, most: int, noun: str) -> str:
    return counted(least, noun) if least == most else f"{least} to {counted(most, noun)}"


def _calendar(each: Foreseen) -> list[str]:
    if not each.nights:
        return ["No backup falls into these days."]
    if isinstance(each.schedule, HanoiCycle):
        grid = _grid(each.schedule, each.nights)
        if max(map(len, grid)) + len(_INDENT) <= WIDTH:
            return grid
    return _list(each)


def _list(each: Foreseen) -> list[str]:
    lines = [_row(("DAY", "SLOT", "TYPE", "REPLACES", "REFILLED"), "ONE CAN GO BACK TO")]
    for night in each.nights:
        days = _shown(night.replaced), _shown(night.refilled)
        cells = (_weekday(night.day), f"{night.slot}", night.type.value, *days)
        first, *others = _ranges(each.schedule, night.restorable)
        lines += [_row(cells, first), *(_row(("",) * len(cells), other) for other in others), *_reason(night)]
    return lines


def _row(cells: Sequence[str], days: str) -> str:
    day, slot, kind, replaces, refilled = cells
    return f"{day:<14}{slot:>6}  {kind:<4}  {replaces:<10}  {refilled:<10}  {days}"


def _grid(cycle: HanoiCycle, nights: Sequence[Night]) -> list[str]:
    discs = range(cycle.discs - (1 if cycle.archive_oldest_disc else 0))
    rows: list[list[str]] = []
    for night in nights:
        held = {cycle.slot(day): day for day in night.restorable}
        rows.append([_weekday(night.day), *(_cell(held.get(disc), night.day) for disc in discs)])
        if cycle.archive_oldest_disc:
            rows[-1].append(_good(cycle, night))
        rows[-1] += [f"{night.day - night.restorable[0]}", _shown(night.refilled)]
    headings = [
        "DAY",
        *map(str, discs),
        *(["KEPT FOR GOOD"] if cycle.archive_oldest_disc else []),
        "OLDEST",
        "REFILLED",
    ]
    legend = "Age in days of what lies on each disc; F is made that night, and . is empty."
    return [*_wrapped(legend), "", *_columns([headings, *rows])]


def _good(cycle: HanoiCycle, night: Night) -> str:
    kept = [day for day in night.restorable if cycle.slot(day) >= cycle.discs - 1]
    made = f"F, slot {night.slot}; " if night.slot >= cycle.discs - 1 else ""
    return f"{made}{len(kept)}"


def _cell(day: int | None, today: int) -> str:
    return "." if day is None else "F" if day == today else f"{today - day}"


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Cells below each other, the first ones on the left and all others on the right of their columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        row[0].ljust(widths[0])
        + "".join(f"  {cell.rjust(width)}" for cell, width in zip(row[1:], widths[1:], strict=True))
        for row in rows
    ]


def _reason(night: Night) -> list[str]:
    return _wrapped(f"a FULL in the place of a DIFF: {night.why}", indent=" " * 16) if night.why else []


def _ranges(schedule: Schedule, days: Sequence[int]) -> list[str]:
    """Days of backups that follow each other as a range of days; of many ranges the newest."""
    ranges = list(_runs(schedule, days))
    shown = [_shown(first) if first == last else f"{_shown(first)} to {_shown(last)}" for first, last in ranges]
    left_out = len(shown) - _MOST_RANGES
    return shown if left_out <= 1 else [f"{shown[0]}, {left_out} more", *shown[left_out + 1 :]]


def _runs(schedule: Schedule, days: Sequence[int]) -> Iterator[tuple[int, int]]:
    """First and last of the days that follow each other.

    Args:
        days: in order, none of them twice.
    """
    if days and days[-1] - days[0] == len(days) - 1:
        # No day is left out, as is usual of very many.
        yield days[0], days[-1]
        return
    first = last = None
    for day in days:
        if first is None or last is None:
            first = day
        elif schedule.period(day) > schedule.period(last) + 1:
            yield first, last
            first = day
        last = day
    if first is not None and last is not None:
        yield first, last


@lru_cache(maxsize=10_000)
def _shown(day: int | None) -> str:
    """A day; a dash also for one that no calendar has any more."""
    return "-" if day is None or day > LAST_DAY else f"{day_date(day)}"


@lru_cache(maxsize=10_000)
def _weekday(day: int) -> str:
    return f"{day_date(day):%a %Y-%m-%d}"


def _wrapped(text: str, indent: str = "") -> list[str]:
    width = WIDTH - len(_INDENT)
    return textwrap.wrap(
        text, width, initial_indent=indent, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"{_INDENT}{line}".rstrip() for line in lines]
