"""The days of a source as a calendar: a row for each month, a cell for each day. Pure.

A FULL fills its cell, a DIFF half of it, what cannot be restored is an empty box that is crossed out, and a day without
any is a dash. So they are told apart without colour, and each row says in words what it shows.
"""

from __future__ import annotations

import calendar
from collections.abc import Iterable, Mapping
from datetime import date
from enum import Enum

from s3napback.listing.report import runs
from s3napback.page.facts import Past
from s3napback.page.markup import Html, tag, together
from s3napback.rotation import ArchiveType, day_date, day_number

MOST_MONTHS = 6
_CELL, _HEIGHT, _DAYS = 10, 20, 31


class Cell(Enum):
    """What a day holds, the best of it; the value says it in words."""

    FULL = "FULL"
    DIFF = "DIFF"
    BROKEN = "cannot be restored"
    NONE = "no backup"


def cells(past: Past, today: int) -> dict[int, Cell]:
    """What each day holds, from the oldest archive on until today."""
    found: dict[int, Cell] = {}
    order = list(Cell)
    for night in past.nights:
        good = Cell.FULL if night.type is ArchiveType.FULL else Cell.DIFF
        cell = Cell.BROKEN if night.problem else good
        found[night.day] = min(cell, found.get(night.day, cell), key=order.index)
    first = min(found, default=today + 1)
    begin = max(first, today - _DAYS * (MOST_MONTHS + 1))
    return {**dict.fromkeys(range(begin, today + 1), Cell.NONE), **found}


def timeline(past: Past, today: date) -> Html:
    """The newest months, each in a row."""
    found = cells(past, day_number(today))
    months: dict[tuple[int, int], dict[int, Cell]] = {}
    for day, cell in found.items():
        when = day_date(day)
        months.setdefault((when.year, when.month), {})[when.day] = cell
    shown = sorted(months)[-MOST_MONTHS:]
    rows = [_row(year, month, months[year, month], today) for year, month in shown]
    scale = tag("div", *(_scale(day) for day in (1, 8, 15, 22, 29)), class_="scale", aria_hidden="true")
    return tag("div", scale, *rows, class_="calendar")


def _scale(day: int) -> Html:
    return tag("span", f"{day}", style=f"left:{(day - 1) / _DAYS:.2%}")


def _row(year: int, month: int, days: Mapping[int, Cell], today: date) -> Html:
    label = f"{calendar.month_abbr[month]} {year}"
    length = calendar.monthrange(year, month)[1]
    paths = [tag("path", d=f"M0 0h{length * _CELL}v{_HEIGHT}h-{length * _CELL}z", class_="track")]
    paths += [tag("path", d=_drawn(cell, days), class_=cell.name.lower()) for cell in Cell if cell in days.values()]
    if (today.year, today.month) == (year, month):
        paths.append(tag("path", d=f"M{(today.day - 1) * _CELL} 0h{_CELL}v{_HEIGHT}h-{_CELL}z", class_="today"))
    box = f"0 0 {_DAYS * _CELL} {_HEIGHT}"
    svg = tag("svg", *paths, viewBox=box, preserveAspectRatio="none", role="img", aria_label=f"{label}: {_words(days)}")
    return tag("div", tag("span", label, aria_hidden="true"), svg, class_="month")


def _drawn(cell: Cell, days: Mapping[int, Cell]) -> str:
    return "".join(_SHAPES[cell].format(x=(day - 1) * _CELL) for day, each in sorted(days.items()) if each is cell)


_SHAPES = {
    Cell.FULL: "M{x} 1m1 0h8v18h-8z",
    Cell.DIFF: "M{x} 11m1 0h8v8h-8z",
    Cell.BROKEN: "M{x} 2m1.5 0h7v16h-7zl7 16m0-16l-7 16",
    Cell.NONE: "M{x} 18m3 0h4",
}


def _words(days: Mapping[int, Cell]) -> str:
    told = [
        f"{cell.value} {ranges(day for day, each in days.items() if each is cell)}"
        for cell in Cell
        if cell in days.values()
    ]
    return "; ".join(told)


def ranges(days: Iterable[int]) -> str:
    """``1–7, 9``."""
    return ", ".join(f"{first}–{last}" if last > first else f"{first}" for first, last in runs(days))


def day_ranges(days: Iterable[int], most: int = 4) -> str:
    """The newest ranges of days, the oldest of them first: ``2026-11-01 to 2026-11-26``, and how many are older."""
    found = runs(days)
    shown = [f"{day_date(first)}" if first == last else f"{day_date(first)} to {day_date(last)}"
             for first, last in found[-most:]]  # fmt: skip
    older = sum(last - first + 1 for first, last in found[:-most])
    return ", ".join([f"{older} older", *shown] if older else shown)


def legend() -> Html:
    """What the cells mean."""
    items = [tag("li", _sample(cell), f" {words}") for cell, words in _LEGEND.items()]
    return tag("ul", *items, class_="legend", aria_label="What the calendar shows")


_LEGEND = {
    Cell.FULL: "FULL, restorable by itself",
    Cell.DIFF: "DIFF, restorable with its chain",
    Cell.BROKEN: "cannot be restored: its chain is broken",
    Cell.NONE: "no backup kept of that day",
}


def _sample(cell: Cell) -> Html:
    paths = tag("path", d=f"M0 0h{_CELL}v{_HEIGHT}h-{_CELL}z", class_="track")
    shape = tag("path", d=_SHAPES[cell].format(x=0), class_=cell.name.lower())
    return tag("svg", together(paths, shape), viewBox=f"0 0 {_CELL} {_HEIGHT}", class_="sample", aria_hidden="true")
