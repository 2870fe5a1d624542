"""The fault matrix as README shows it."""

from __future__ import annotations

from collections.abc import Sequence

from tests.faults.cells import Cell, Outcome
from tests.faults.matrix import MATRIX, REQUESTS

_MEANINGS = {
    Outcome.FAILS: "the source fails with a message that names stage and cause; store and DiffDir stay as they were",
    Outcome.SURVIVES: "tried again, or of no importance: the archive arrives",
    Outcome.LANDED: "the source fails although its archive has arrived whole; no DIFF is built on it",
    Outcome.SPOILED: "the source fails: what the store keeps is not what it got; no DIFF is built on it",
    Outcome.KILLED: "the slot holds the old archive, or from completion on the new one, whole",
}


def as_markdown() -> str:
    """The matrix for README: a table for the stages on the machine, one for requests, one for kills."""
    kills = [cell for cell in MATRIX if cell.outcome is Outcome.KILLED]
    local = [cell for cell in MATRIX if cell.stage not in REQUESTS and cell not in kills]
    remote = [cell for cell in MATRIX if cell.stage in REQUESTS]
    legend = "\n".join(f"- *{outcome.value}*: {meaning}." for outcome, meaning in _MEANINGS.items())
    return "\n\n".join(
        [_table("Stage", local), _table("Fault of the store", remote, turned=True), _list(kills), legend]
    )


def _table(corner: str, cells: Sequence[Cell], *, turned: bool = False) -> str:
    marks: dict[tuple[str, str], dict[str, None]] = {}
    for cell in cells:
        place = (cell.fault, cell.stage) if turned else (cell.stage, cell.fault)
        marks.setdefault(place, {})[cell.outcome.value] = None
    rows = dict.fromkeys(row for row, _ in marks)
    columns = dict.fromkeys(column for _, column in marks)
    lines = [[corner, *columns], ["---"] * (len(columns) + 1)]
    lines += [[row, *(", ".join(marks.get((row, column), ["–"])) for column in columns)] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _list(kills: Sequence[Cell]) -> str:
    return "SIGKILL: " + "; ".join(dict.fromkeys(cell.fault.removeprefix("killed ") for cell in kills)) + "."
