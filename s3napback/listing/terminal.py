"""The report of ``list`` as tables on a terminal. The only module that needs rich, and imported only there."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import groupby
from typing import Literal

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from s3napback.archives import join_prefix
from s3napback.catalogue.claims import Claim
from s3napback.formatting import human_bytes, printable
from s3napback.listing.plain import begun, locked_until, original_cells, proven, restorable, verified
from s3napback.listing.report import OriginalRow, Report, Row
from s3napback.rotation import day_date


def print_report(report: Report) -> None:
    """Print what is lost, sources with their days, then a table for each name, then remarks, to standard output."""
    console = Console(highlight=False)
    for alarm in report.alarms():
        console.print(Text(printable(alarm), style="bold red"))
    if report.sources:
        console.print(_bold(f"Restorable from {report.place}"), soft_wrap=True)
        console.print(_days(report))
    for heading, rows in groupby(report.rows, partial(_heading, report.prefix)):
        console.print(_bold(heading), soft_wrap=True)
        console.print(_archives(list(rows)))
    if report.original:
        console.print(_bold("Archives of the original tool"), soft_wrap=True)
        console.print(_originals(report.original))
    for remark in report.remarks():
        console.print(Text(printable(remark)))


def _bold(text: str) -> Text:
    return Text(printable(text), style="bold")


def _days(report: Report) -> Table:
    table = Table(box=SIMPLE)
    for heading in ("Source", "Host", "Backups", "To these days"):
        table.add_column(heading, justify="right" if heading == "Backups" else "left", overflow="fold")
    for source in report.sources:
        cells = (str(source.owner.source), source.owner.host, f"{len(source.days)}", source.day_ranges)
        table.add_row(*(Text(printable(cell)) for cell in cells), style="" if source.days else "red")
    return table


def _heading(prefix: str, row: Row) -> str:
    record = row.archive.record
    nameless = row.archive.flaw.partition(":")[0].removeprefix("it ") or "no metadata"
    parts = [str(record.owner.source), f"host {record.owner.host}"] if record else [nameless]
    if record and record.cycle:
        parts.append(f"cycle {record.cycle}")
    if row.claim not in (None, Claim.CURRENT, Claim.UNKNOWN):
        parts.append(row.claim.value if row.claim else "")
    end = "SLOT-TYPE" if row.archive.key.endswith(("-FULL", "-DIFF")) else "SLOT"
    parts.append(f"keys {join_prefix(prefix, row.archive.base)}-{end}")
    return ", ".join(parts)


def _archives(rows: list[Row]) -> Table:
    table = Table(box=SIMPLE)
    unread = ("Unread",) if any(row.unread for row in rows) else ()
    locked = ("Locked until",) if any(row.archive.stored.locked_until for row in rows) else ()
    checked = ("Verified",) if any(row.known.verified for row in rows) else ()
    drilled = ("Proven",) if any(row.known.drill for row in rows) else ()
    for name in ("Slot", "Type", "Day and time", "Size", *unread, "Chain", *locked, *checked, *drilled, "Restorable"):
        least = 24 if name == "Restorable" else None
        justify: Literal["left", "right"] = "right" if name in ("Slot", "Size", "Unread") else "left"
        table.add_column(name, justify=justify, overflow="fold", min_width=least)
    for row in rows:
        cells = (
            f"{row.archive.slot}",
            row.type,
            _when(row),
            human_bytes(row.archive.stored.size),
            *(f"{row.unread or '-'}" for _ in unread),
            row.chain_slots or "-",
            *(locked_until(row) or "-" for _ in locked),
            *(verified(row) or "-" for _ in checked),
            *(proven(row) or "-" for _ in drilled),
            restorable(row),
        )
        table.add_row(*(Text(printable(cell)) for cell in cells), style="" if row.restorable else "red")
    return table


def _originals(rows: Sequence[OriginalRow]) -> Table:
    table = Table(box=SIMPLE)
    for name in ("Source", "Type", "Slot", "Stored", "Chunks", "Size", "Chain", "Key", "Restorable"):
        justify: Literal["left", "right"] = "right" if name in ("Slot", "Chunks", "Size") else "left"
        table.add_column(name, justify=justify, overflow="fold")
    for row in rows:
        style = "red" if row.chain.problem else ""
        table.add_row(*(Text(printable(cell or "-")) for cell in original_cells(row)), style=style)
    return table


def _when(row: Row) -> str:
    """The day that the archive counts for, and the time at which it was begun, with its date if that is another."""
    record = row.archive.record
    if record is None:
        return f"stored {begun(row)}"
    day, time = f"{day_date(record.day)}", begun(row)
    return time if time.startswith(day) else f"{day}, begun {time}"
