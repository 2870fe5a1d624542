"""The report of ``list`` as a JSON document. Pure.

The JSON document, one for each configuration, has these fields; new ones may be added, and none changes its meaning
while ``format`` stays the same:

- ``format``: 1. ``store``: its address. ``prefix``. ``host``: the configuration's HostName.
- ``unprotected``: one for each source of the configuration, in each Cycle, of which nothing can be restored:
  ``source``, ``cycle`` (empty outside any), ``name``.
- ``lost``: one for each newest archive that the last run tells of and that is not there, or does not pass for the
  newest: ``key``, ``name``, ``problem``.
- ``sources``: one for each source of each host: ``source`` (``Directory /etc``), ``host``, ``days`` (to which it can
  be restored, ``YYYY-MM-DD``, the oldest first), ``newest`` (key of the newest archive that can be restored, or null).
- ``archives``: in the order of the sources, the newest first. ``key`` (with prefix), ``name`` (key base, without
  prefix), ``slot``, ``type`` (``FULL``, ``DIFF``), ``size`` (bytes), ``stored`` (when the store took it),
  ``storage_class``; ``locked_until`` (it cannot be deleted for good before, as far as the store has told; null if it
  can); ``drilled`` (when a drill last ended, or null), ``proven`` (whether it went well, or null), ``sampled`` (whether
  that was of a sample of files, or null); ``checked`` (when verify last read it, or null), ``verified`` (``content``,
  ``sums``, ``damaged``, or null); ``unread`` (how many paths of the source could not be read that night, as far as is
  known);
  ``restorable`` (true, false), ``problem`` (why not, else empty), ``chain`` (keys to be restored in
  order; empty if not restorable); ``claim`` (null if the configuration has no blocks, else ``current``,
  ``former name``, ``no block``, ``name of another source``, ``another prefix, or a copy``, ``another host``,
  ``unknown``); and from the metadata, null without: ``source``, ``host``, ``cycle`` (empty outside any Cycle),
  ``day``, ``started``, ``id``, ``parent`` (empty for a FULL), ``compression``, ``recipients`` (fingerprints; none if
  not encrypted). Times are RFC 3339 in UTC.
- ``original``: archives of the original tool, the newest first. ``key`` (of its chunks, without the number),
  ``sources`` (of one of which it is), ``slot``, ``type``, ``chunks`` (their number), ``size`` (bytes), ``stored`` (when
  the store took it), ``storage_class``, ``restorable``, ``problem``, ``chain`` (keys), ``doubts`` (what should be known
  before it is relied upon).
- ``lone_sums``: keys of checksums whose archive is not there.
- ``gone``: keys of archives of which a directory store still has notes.
- ``others``: ``count`` of objects that are not s3napback's, and ``perl_chunks`` of them that are the original tool's.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from s3napback.archives import format_time
from s3napback.listing.report import OriginalRow, Report, Row
from s3napback.rotation import day_date
from s3napback.watch.proofs import Known, ReadBack

_FORMAT = 1
_ENCODER = json.JSONEncoder(indent=1)
_FOUND = {ReadBack.VERIFIED: "content", ReadBack.INTACT: "sums", ReadBack.DAMAGED: "damaged"}


def json_lines(report: Report) -> Iterator[str]:
    """The document, line by line: there may be a million of them. It is in ASCII, and all line ends are its own."""
    rest = ""
    for piece in _ENCODER.iterencode(_document(report)):
        *lines, rest = f"{rest}{piece}".split("\n")
        yield from lines
    yield rest


def known_fields(known: Known) -> dict[str, Any]:
    """What JSON documents tell of something by its having been read."""
    drill, verified = known.drill, known.verified
    return {
        "drilled": drill and format_time(drill.moment),
        "proven": drill and drill.is_good,
        "sampled": drill and drill.is_sample,
        "checked": verified and format_time(verified.moment),
        "verified": verified and _FOUND[verified.mark],
    }


def _document(report: Report) -> dict[str, Any]:
    return {
        "format": _FORMAT,
        "store": report.location,
        "prefix": report.prefix,
        "host": report.host,
        "unprotected": [
            {"source": str(job.source), "cycle": job.cycle, "name": job.name} for job in report.unprotected
        ],
        "lost": [{"key": loss.key, "name": loss.base, "problem": loss.problem} for loss in report.lost],
        "sources": [
            {
                "source": str(source.owner.source),
                "host": source.owner.host,
                "days": [day_date(day).isoformat() for day in source.days],
                "newest": source.newest or None,
            }
            for source in report.sources
        ],
        "archives": _Documents(report.rows),
        "original": [_original_document(row) for row in report.original],
        "lone_sums": list(report.lone_sums),
        "gone": list(report.gone),
        "others": {"count": report.others, "perl_chunks": report.perl_chunks},
    }


class _Documents(list[dict[str, Any]]):
    """The documents of rows, each made when it is written: together they are larger than all that they tell of."""

    def __init__(self, rows: Sequence[Row]) -> None:
        super().__init__()
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return map(_row_document, self._rows)


def _original_document(row: OriginalRow) -> dict[str, Any]:
    archive = row.archive
    return {
        "key": archive.base,
        "sources": [str(source) for source in archive.name.sources],
        "slot": archive.name.slot,
        "type": archive.name.type.value,
        "chunks": archive.chunks,
        "size": archive.size,
        "stored": format_time(archive.modified),
        "storage_class": archive.storage_class,
        "restorable": bool(row.chain.archives),
        "problem": row.chain.problem,
        "chain": [link.base for link in row.chain.archives],
        "doubts": list(row.chain.doubts),
    }


def _row_document(row: Row) -> dict[str, Any]:
    archive, record = row.archive, row.archive.record
    described = {
        "source": record and str(record.owner.source),
        "host": record and record.owner.host,
        "cycle": record and record.cycle,
        "day": record and day_date(record.day).isoformat(),
        "started": record and format_time(record.started),
        "id": record and record.id,
        "parent": record and record.parent,
        "compression": record and record.compression,
        "recipients": record and list(record.recipients),
    }
    return {
        "key": archive.key,
        "name": archive.base,
        "slot": archive.slot,
        "type": row.type,
        "size": archive.stored.size,
        "stored": format_time(archive.stored.modified),
        "storage_class": archive.stored.storage_class,
        "locked_until": row.archive.stored.locked_until and format_time(row.archive.stored.locked_until),
        "unread": row.unread,
        **known_fields(row.known),
        "restorable": row.restorable,
        "problem": row.chain.problem,
        "chain": [link.key for link in row.chain.archives],
        "claim": row.claim and row.claim.value,
        **described,
    }
