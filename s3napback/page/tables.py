"""The table of all sources, and that of the archives of one. Pure.

A narrow screen shows each row as a card of its own. Roles are named, since the layout takes those from a table that
elements have of themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from itertools import chain

from s3napback.formatting import human_bytes, human_time
from s3napback.page.facts import MOST_NIGHTS, ArchiveView, Past, SourceView
from s3napback.page.markup import Html, name_of, streamed, tag, together
from s3napback.page.parts import badge, days_ago, proven, verified
from s3napback.rotation import day_date
from s3napback.watch.proofs import NOTHING_KNOWN

_SOURCES = ("State", "Source", "Host", "Newest", "Days", "Verified", "Proven", "Size")
_ARCHIVES = ("Day", "Type", "Size", "Took", "Restorable", "Key")
_NUMBERS = frozenset({"Days", "Size", "Took"})


def table_of_sources(rows: Sequence[tuple[SourceView, str]], today: date) -> Iterator[Html]:
    """A row for each source, piece by piece.

    Args:
        rows: with the place on the page where more is told of it; empty if nothing is.
    """
    body = (_row(_SOURCES, _cells(view, place, today)) for view, place in rows)
    return _table("All sources, what needs attention first", _SOURCES, body)


def _cells(view: SourceView, place: str, today: date) -> Sequence[Html]:
    standing, past = view.standing, view.past
    said = standing.said if standing else None
    known = standing.known if standing else past.known if past else NOTHING_KNOWN
    source = name_of(view.source or "/")
    newest = standing.last_good if standing else _newest(past)
    size = said.size if said else past.nights[0].size if past else None
    return (
        badge(standing.verdict.state) if standing else tag("span", "not watched", class_="soft nowrap"),
        tag("a", source, href=f"#{place}") if place else source,
        name_of(view.host),
        together(days_ago(newest, today)) if newest else tag("span", "never", class_="soft"),
        together(f"{len(past.days)}" if past else "0"),
        verified(known, today),
        proven(known, today),
        together(human_bytes(size) if size is not None else ""),
    )


def _newest(past: Past | None) -> date | None:
    return day_date(past.days[-1]) if past and past.days else None


def table_of_archives(nights: Sequence[ArchiveView], most: int = MOST_NIGHTS) -> Html:
    """A row for each archive, the newest first."""
    body = (_row(_ARCHIVES, _archive(night)) for night in nights[:most])
    rest = f", the newest {most} of {len(nights)}; list shows all" if len(nights) > most else ""
    return together(*_table(f"Archives{rest}", _ARCHIVES, body))


def _archive(night: ArchiveView) -> Sequence[Html]:
    good = tag("span", "no: ", night.problem, class_="s-critical") if night.problem else together("yes")
    return (
        tag("span", f"{day_date(night.day)}", class_="nowrap"),
        together(night.type.value),
        together(human_bytes(night.size)),
        together("" if night.seconds is None else human_time(night.seconds)),
        good,
        name_of(night.key),
    )


def _table(caption: str, headings: Sequence[str], rows: Iterable[Html]) -> Iterator[Html]:
    head = [tag("th", name, scope="col", role="columnheader", **_class(name)) for name in headings]
    above = [tag("caption", caption), tag("thead", tag("tr", *head, role="row"), role="rowgroup")]
    body = streamed("tbody", rows, role="rowgroup")
    return streamed("table", chain(above, body), class_="stacked", role="table")


def _row(headings: Sequence[str], cells: Sequence[Html]) -> Html:
    made = []
    for name, cell in zip(headings, cells, strict=True):
        if name in ("Source", "Day"):
            made.append(tag("th", cell, scope="row", role="rowheader"))
        else:
            made.append(tag("td", cell, role="cell", data_label=name, **_class(name)))
    return tag("tr", *made, role="row")


def _class(name: str) -> dict[str, str]:
    return {"class_": "number"} if name in _NUMBERS else {}
