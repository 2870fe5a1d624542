"""The table that a run ends with: what came of each source, and of all. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from s3napback.formatting import counted, human_bytes, human_time, printable
from s3napback.progress.widths import fitted, width_of
from s3napback.standing import Finished

_HEADINGS = ("Source", "What", "Read", "Stored", "Time", "Rate")
_LEAST_TITLE = 16
_DISPENSABLE = (5, 2, 4)
"""Columns that a narrow terminal does without, the first one first."""


def summary_lines(finished: Sequence[Finished], requests: int, width: int) -> list[str]:
    """The table, in lines of ``width`` columns at most.

    Args:
        finished: what came to its end; nothing is said of nothing.
        requests: made to the store; 0 where it takes none.
    """
    if not finished:
        return []
    rows = [_HEADINGS, *map(_cells, finished)]
    if len(finished) > 1:
        rows.append(_total(finished))
    columns = list(range(len(_HEADINGS)))
    for column in _DISPENSABLE:
        if _needed(rows, columns) > width:
            columns.remove(column)
    widths = {column: max(width_of(row[column]) for row in rows) for column in columns}
    widths[0] = max(1, min(widths[0], width - sum(widths[column] + 2 for column in columns[1:])))
    lines = ["  ".join(_cell(row, column, widths[column]) for column in columns) for row in rows]
    return [*lines, *([counted(requests, "request")] if requests else [])]


def _cell(row: Sequence[str], column: int, width: int) -> str:
    return f"{row[column]:>{width}}" if column else fitted(row[column], width)


def _needed(rows: Sequence[Sequence[str]], columns: Sequence[int]) -> int:
    """Columns of the terminal without which sources cannot be told from each other."""
    widest = max(width_of(row[0]) for row in rows)
    return min(widest, _LEAST_TITLE * 2) + sum(2 + max(len(row[column]) for row in rows) for column in columns[1:])


def _cells(each: Finished) -> tuple[str, ...]:
    if not each.seconds:
        return (printable(each.title), each.outcome, "", "", "", "")
    rate = f"{human_bytes(round(each.read / each.seconds))}/s"
    numbers = (human_bytes(each.read), human_bytes(each.stored), human_time(each.seconds), rate)
    return (printable(each.title), each.outcome, *numbers)


def _total(finished: Sequence[Finished]) -> tuple[str, ...]:
    read, stored = sum(each.read for each in finished), sum(each.stored for each in finished)
    return (counted(len(finished), "source"), "", human_bytes(read), human_bytes(stored), "", "")
