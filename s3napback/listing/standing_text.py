"""What ``status`` shows: a table, one line for monitoring, or a JSON document. Pure.

``status --json`` prints one document for each configuration. It has these fields; new ones may be added, and none
changes its meaning while ``format`` stays the same:

- ``format``: 1. ``store``: its address. ``prefix``. ``state``: the worst of all (``OK``, ``WARNING``, ``CRITICAL``,
  ``UNKNOWN``).
- ``sources``: the worst first: ``state``, ``reasons`` (sentences without an end), ``prefix``, ``host``,
  ``configuration``, ``source`` (``Directory /etc``); of what the last run has said: ``name``, ``cycle``, ``outcome``
  (``done``, ``skipped``, ``failed``), ``error`` (its class, or null), ``warnings`` (their number), ``last_good`` (the
  newest day that can be restored, or null), ``key``, ``size``, ``size_before``, ``read`` (bytes), ``seconds``,
  ``expected_by``, ``critical_by``; all of these are null if no run has spoken of the source. ``drilled`` (when a drill
  last ended, or null) and ``proven`` (whether it went well, or null), ``checked`` (when verify last read an archive of
  it, or null) and ``verified`` (``content``: all was decoded, ``sums``: the stored bytes are those of their sums,
  ``damaged``, or null).
- ``runs``: what is wrong with a run as a whole: ``state``, ``reasons``, ``prefix``, ``host``, ``configuration``.

Times are RFC 3339 in UTC, days ``YYYY-MM-DD``.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Sequence
from datetime import date, datetime
from textwrap import wrap
from typing import Any

from s3napback.archives import format_time
from s3napback.formatting import human_bytes, human_time, printable
from s3napback.listing.json_text import known_fields
from s3napback.listing.plain import aligned
from s3napback.watch.keys import Place
from s3napback.watch.overview import Standing, overall
from s3napback.watch.proofs import ReadBack, Seen
from s3napback.watch.states import State

_FORMAT = 1
_INDENT = " " * 9
_LEAST_WIDTH = 20
_HEADINGS = (
    "STATE",
    "HOST/CONF",
    "SOURCE",
    "NEWEST",
    "AGE",
    "DUE BY",
    "VERIFIED",
    "PROVEN",
    "LAST RUN",
    "SIZE",
    "TREND",
    "TOOK",
    "WHY",
)
_VERIFIED, _PROVEN = _HEADINGS.index("VERIFIED"), _HEADINGS.index("PROVEN")
_FOUND = {ReadBack.VERIFIED: "", ReadBack.INTACT: " (sums)", ReadBack.DAMAGED: ": DAMAGED"}
_OF_WORD = (
    *("name", "cycle", "outcome", "error", "warnings", "last_good", "key", "size", "size_before", "read", "seconds"),
    *("expected_by", "critical_by"),
)


def table(found: Sequence[Standing], today: date, width: int = 0) -> list[str]:
    """What needs attention first; a line in front says how much that is.

    Args:
        width: columns of a terminal: if the table is wider, each source has lines of its own; 0 is as wide as it gets.
    """
    shared = _shared(found)
    rows = [_HEADINGS, *(_cells(each, _source(each, shared), today) for each in found)]
    # Whoever does neither has no use for the columns.
    needless = {
        *(() if any(each.known.verified for each in found) else (_VERIFIED,)),
        *(() if any(each.known.drill for each in found) else (_PROVEN,)),
    }
    rows = [tuple(cell for place, cell in enumerate(row) if place not in needless) for row in rows]
    lines = aligned(rows[0], rows[1:]) if found else []
    if width and max(map(len, lines), default=0) > width:
        lines = [line for row in rows[1:] for line in _lines(rows[0], row, max(width, _LEAST_WIDTH))]
    return [f"{overall(found).name}: {_counts(found)}.", *(["", *lines] if lines else [])]


def _lines(headings: Sequence[str], row: Sequence[str], width: int) -> list[str]:
    """A row as a paragraph: what it is about, why, and then the rest, each behind its heading."""
    cells = [printable(cell) for cell in row]
    told = [f"{heading.lower()} {cell}" for heading, cell in zip(headings[3:-1], cells[3:-1], strict=True) if cell]
    first = wrap(f"{cells[0]:<8} {cells[1]}  {cells[2]}", width, subsequent_indent=_INDENT)
    rest = [line for text in (cells[-1], ", ".join(told)) for line in wrap(text, width - len(_INDENT))]
    return [*first, *(f"{_INDENT}{line}" for line in rest)]


def check_line(found: Sequence[Standing]) -> str:
    """One line as monitoring plugins print it, with the numbers behind a bar."""
    state = overall(found)
    bad = [each for each in found if each.verdict.state is not State.OK]
    worst = f": {_named(bad[0], _shared(found))}: {bad[0].verdict.reasons[0]}" if bad else ""
    numbers = " ".join(f"{each.name.lower()}={_number(found, each)}" for each in State)
    # A bar begins the numbers, wherever it stands.
    return f"{printable(f'{state.name} - {_counts(found)}{worst}').replace('|', '!')} | {numbers}"


def json_document(found: Sequence[Standing], location: str, prefix: str) -> str:
    """The document that the module's description describes."""
    document = {
        "format": _FORMAT,
        "store": location,
        "prefix": prefix,
        "state": overall(found).name,
        "sources": [{**_judged(each), **_of_source(each)} for each in found if each.source],
        "runs": [_judged(each) for each in found if not each.source],
    }
    return json.dumps(document, indent=1)


def _counts(found: Sequence[Standing]) -> str:
    sources = sum(bool(each.source) for each in found)
    bad = [
        f"{number} {state.name.lower()}"
        for state in State
        if state is not State.OK and (number := _number(found, state))
    ]
    return f"{sources} source{'' if sources == 1 else 's'}, {', '.join(reversed(bad)) or 'all well'}"


def _number(found: Sequence[Standing], state: State) -> int:
    return sum(each.verdict.state is state for each in found)


def _shared(found: Sequence[Standing]) -> Collection[tuple[Place, str]]:
    """The sources that several Cycles of a configuration back up."""
    count = Counter((each.place, each.source) for each in found)
    return {each for each in count if count[each] > 1}


def _source(each: Standing, shared: Collection[tuple[Place, str]]) -> str:
    """What a source is called, with its Cycle where that alone tells it from another one."""
    is_told = each.said is not None and each.said.cycle and (each.place, each.source) in shared
    return f"{each.source} (Cycle {each.said.cycle})" if each.said and is_told else each.source


def _named(each: Standing, shared: Collection[tuple[Place, str]]) -> str:
    return f"{each.place} {_source(each, shared)}".rstrip()


def _cells(each: Standing, source: str, today: date) -> tuple[str, ...]:
    said, why = each.said, "; ".join(each.verdict.reasons)
    prefix = f"{each.place.prefix}/" if each.place.prefix else ""
    start = (each.verdict.state.name, f"{prefix}{each.place}", source or "all of it")
    if said is None:
        return (*start, "never" if each.source else "", *[""] * (len(_HEADINGS) - len(start) - 2), why)
    return (
        *start,
        f"{said.last_good}" if said.last_good else "never",
        f"{(today - said.last_good).days} d" if said.last_good else "",
        f"{said.expected_by:%Y-%m-%d %H:%MZ}" if said.expected_by else "",
        verified(each, today),
        proven(each, today),
        said.outcome,
        human_bytes(said.size) if said.size is not None else "",
        f"{said.size / said.size_before - 1:+.0%}" if said.size is not None and said.size_before else "",
        human_time(said.seconds) if said.seconds is not None else "",
        why,
    )


def proven(each: Standing, today: date) -> str:
    """How long ago a drill last read it back, and whether that failed."""
    drill = each.known.drill
    if drill is None:
        return "never"
    how = "" if drill.is_good else "FAILED "
    return f"{'sample ' if drill.is_sample else how}{_days(drill, today)}"


def verified(each: Standing, today: date) -> str:
    """How long ago verify last read it, and what it was if not good."""
    seen = each.known.verified
    return "never" if seen is None else f"{_days(seen, today)}{_FOUND[seen.mark]}"


def _days(seen: Seen, today: date) -> str:
    return f"{(today - seen.moment.astimezone().date()).days} d ago"


def _judged(each: Standing) -> dict[str, Any]:
    return {
        "state": each.verdict.state.name,
        "reasons": list(each.verdict.reasons),
        "prefix": each.place.prefix,
        "host": each.place.host,
        "configuration": each.place.configuration,
    }


def _of_source(each: Standing) -> dict[str, Any]:
    said = {name: _plain(getattr(each.said, name)) if each.said else None for name in _OF_WORD}
    return {"source": each.source, **said, **known_fields(each.known)}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return format_time(value)
    return value.isoformat() if isinstance(value, date) else value
