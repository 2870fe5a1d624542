"""Rows of findings, and how they are shown. Pure."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from enum import Enum

from s3napback.formatting import printable
from s3napback.records import dataclass

MOST_WIDTH = 100
"""Columns of a line that is read easily."""
_LEAST_WIDTH = 20
_FEW = 3  # things that are named


class Outcome(Enum):
    """What came of a look; the value is what is shown in front of a row."""

    GOOD = "ok"
    BAD = "NO"
    UNKNOWN = "?"


@dataclass(frozen=True)
class Check:
    """One row.

    Attributes:
        part: of what it is: ``store``, ``keys``.
        subject: what was looked at, in a few words.
        outcome: what came of it.
        found: what was found, as a sentence without a stop; it says what to do, if something is.
    """

    part: str
    subject: str
    outcome: Outcome
    found: str


def good(part: str, subject: str, found: str) -> Check:
    """All is well."""
    return Check(part, subject, Outcome.GOOD, found)


def bad(part: str, subject: str, found: str) -> Check:
    """Something is to be done, which ``found`` names."""
    return Check(part, subject, Outcome.BAD, found)


def unknown(part: str, subject: str, found: str) -> Check:
    """It could not be looked at, for a reason that ``found`` names."""
    return Check(part, subject, Outcome.UNKNOWN, found)


def exit_code(checks: Iterable[Check]) -> int:
    """1 if something is to be done, else 0; what is not known is neither."""
    return int(any(each.outcome is Outcome.BAD for each in checks))


def table(checks: Sequence[Check], width: int = MOST_WIDTH) -> list[str]:
    """All rows, a part below the other, and a line with what it comes to. Of many things the same is said once.

    Args:
        width: columns of the terminal; lines get no longer than 100, but for a word that cannot be parted.
    """
    lines: list[str] = []
    part = ""
    for each in _gathered(checks):
        if each.part != part:
            lines += ([""] if lines else []) + [each.part]
            part = each.part
        text = printable(f"{each.subject}: {each.found}")
        lines += textwrap.wrap(
            text,
            min(max(width, _LEAST_WIDTH), MOST_WIDTH),
            initial_indent=f"  {each.outcome.value:<2}  ",
            subsequent_indent=" " * 6,
            break_long_words=False,
            break_on_hyphens=False,
        )
    counts = {outcome: sum(each.outcome is outcome for each in checks) for outcome in Outcome}
    done = f"{counts[Outcome.GOOD]} good, {counts[Outcome.BAD]} to be mended, {counts[Outcome.UNKNOWN]} not known"
    return [*lines, "", done]


def _gathered(checks: Iterable[Check]) -> Iterator[Check]:
    """One row for what was found alike of more than a few things."""
    alike: dict[tuple[str, Outcome, str], list[Check]] = {}
    for each in checks:
        alike.setdefault((each.part, each.outcome, each.found), []).append(each)
    for rows in alike.values():
        if len(rows) <= _FEW:
            yield from rows
        else:
            named = ", ".join(each.subject for each in rows[:_FEW])
            yield replace(rows[0], subject=f"{len(rows)}, such as {named}")


def json_document(configuration: str, checks: Iterable[Check]) -> str:
    """All rows for programs: ``format`` 1, ``configuration``, and ``checks``, each with the fields of ``Check``.

    ``outcome`` is ``good``, ``bad`` or ``unknown``.
    """
    rows = [{**asdict(each), "outcome": each.outcome.name.lower()} for each in checks]
    return json.dumps({"format": 1, "configuration": configuration, "checks": rows}, indent=1)
