"""The report of ``list`` as aligned plain text, for pipes and files. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Protocol

from s3napback.archives import ArchiveRecord
from s3napback.catalogue.contents import started
from s3napback.formatting import human_bytes, printable
from s3napback.listing.report import OriginalRow, Report, Row
from s3napback.locks import whole_day
from s3napback.records import dataclass
from s3napback.rotation import day_date
from s3napback.watch.proofs import ReadBack

_ARCHIVE_HEADINGS = (
    *(
        "SOURCE",
        "TYPE",
        "SLOT",
        "DAY",
        "BEGUN",
        "SIZE",
        "UNREAD",
        "HOST",
        "CYCLE",
        "BLOCK",
        "CHAIN",
        "KEY",
        "RESTORABLE",
    ),
)
_ORIGINAL_HEADINGS = ("THE ORIGINAL'S", "TYPE", "SLOT", "STORED", "CHUNKS", "SIZE", "CHAIN", "KEY", "RESTORABLE")
_FOUND = {ReadBack.VERIFIED: "", ReadBack.INTACT: " (sums)", ReadBack.DAMAGED: ", and is DAMAGED"}
_RIGHT_ALIGNED = frozenset({"SLOT", "SIZE", "UNREAD", "BACKUPS", "CHUNKS"})


def plain_lines(report: Report) -> Iterator[str]:
    """What is lost first, then sources with their days, archives, the original's, remarks. ``-`` is without a value.

    Each line is made when the one before has been taken: there may be a million of them.
    """
    is_first = True
    for part in _parts(report):
        yield from ("",) if not is_first else ()
        yield from part
        is_first = False


def _parts(report: Report) -> Iterator[Iterable[str]]:
    if alarms := report.alarms():
        yield alarms
    if report.sources:
        days = [
            (str(source.owner.source), source.owner.host, f"{len(source.days)}", source.day_ranges)
            for source in report.sources
        ]
        yield aligned(("CAN BE RESTORED", "HOST", "BACKUPS", "TO THESE DAYS"), days)
    if report.rows:
        yield _archives(report.rows)
    if report.original:
        yield aligned(_ORIGINAL_HEADINGS, [original_cells(row) for row in report.original])
    if remarks := report.remarks():
        yield remarks


def _archives(rows: Sequence[Row]) -> Iterator[str]:
    columns: list[tuple[str, Callable[[Row], str]]] = list(zip(_ARCHIVE_HEADINGS, _COLUMNS, strict=True))
    for heading, shown in (("LOCKED UNTIL", locked_until), ("VERIFIED", verified), ("PROVEN", proven)):
        if any(map(shown, rows)):
            columns.insert(-2, (heading, shown))
    return _aligned([heading for heading, _ in columns], _Cells(rows, [shown for _, shown in columns]))


@dataclass(frozen=True)
class _Cells:
    """The cells of a table, made anew whenever they are gone through: together they are larger than the lines."""

    rows: Sequence[Row]
    columns: Sequence[Callable[[Row], str]]

    def __iter__(self) -> Iterator[Sequence[str]]:
        return ([shown(row) for shown in self.columns] for row in self.rows)


class _Rows(Protocol):
    """Can be gone through more than once."""

    def __iter__(self) -> Iterator[Sequence[str]]: ...


def aligned(headings: Sequence[str], rows: _Rows) -> list[str]:
    """The lines of a table in columns two blanks apart, without blanks at the ends of lines."""
    return list(_aligned(headings, rows))


def _aligned(headings: Sequence[str], rows: _Rows) -> Iterator[str]:
    def shown() -> Iterator[Sequence[str]]:
        return chain((headings,), ([printable(cell) or "-" for cell in row] for row in rows))

    widths = [0] * len(headings)
    for cells in shown():
        widths = list(map(max, widths, map(len, cells)))
    for cells in shown():
        yield "  ".join(
            cell.rjust(width) if heading in _RIGHT_ALIGNED else cell.ljust(width)
            for heading, cell, width in zip(headings, cells, widths, strict=True)
        ).rstrip()


def begun(row: Row) -> str:
    """When the backup began, or the store took the archive, in local time."""
    return f"{started(row.archive).astimezone():%Y-%m-%d %H:%M}"


def locked_until(row: Row) -> str:
    """The last day on which the archive is locked, wherever one is; empty if it is not."""
    until = row.archive.stored.locked_until
    return f"{day_date(whole_day(until))}" if until else ""


def proven(row: Row) -> str:
    """The day on which a drill last read the archive, or that it was not what it should be; empty if none did."""
    drill = row.known.drill
    if drill is None:
        return ""
    how = ", and was NOT" if not drill.is_good else ", a sample" if drill.is_sample else ""
    return f"{drill.moment.astimezone().date()}{how}"


def verified(row: Row) -> str:
    """The day on which verify last read the archive, and what it was if not good; empty if it did not."""
    seen = row.known.verified
    if seen is None:
        return ""
    return f"{seen.moment.astimezone().date()}{_FOUND[seen.mark]}"


def restorable(row: Row) -> str:
    """``yes``, or ``no`` with the reason."""
    return "yes" if row.restorable else f"no: {row.chain.problem}"


def original_cells(row: OriginalRow) -> tuple[str, ...]:
    """What is shown of an archive of the original tool."""
    archive = row.archive
    return (
        row.source,
        archive.name.type.value,
        f"{archive.name.slot}",
        f"{archive.modified.astimezone():%Y-%m-%d %H:%M}",
        f"{archive.chunks}",
        human_bytes(archive.size),
        row.chain_slots,
        archive.base,
        f"no: {row.chain.problem}" if row.chain.problem else "yes",
    )


def _from_record(shown: Callable[[ArchiveRecord], str]) -> Callable[[Row], str]:
    """What metadata tell; empty without."""
    return lambda row: shown(row.archive.record) if row.archive.record else ""


_COLUMNS: Sequence[Callable[[Row], str]] = (
    _from_record(lambda record: str(record.owner.source)),
    lambda row: row.type,
    lambda row: f"{row.archive.slot}",
    _from_record(lambda record: f"{day_date(record.day)}"),
    begun,
    lambda row: human_bytes(row.archive.stored.size),
    lambda row: f"{row.unread}" if row.unread else "",
    _from_record(lambda record: record.owner.host),
    _from_record(lambda record: record.cycle),
    lambda row: row.claim.value if row.claim else "",
    lambda row: row.chain_slots,
    lambda row: row.archive.key,
    restorable,
)
"""Of the table of archives, in the order of its headings."""
