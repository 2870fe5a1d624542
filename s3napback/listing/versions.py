"""The report of ``list --versions``: what any version still holds, and when the store changed. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from statistics import median

from s3napback.catalogue.contents import CataloguedArchive
from s3napback.formatting import human_bytes
from s3napback.listing.plain import aligned
from s3napback.records import dataclass
from s3napback.rotation import day_date
from s3napback.stores.versions import StoredVersion, newest_first

_PAUSE = timedelta(hours=1)
"""Without a change, after which a later one is another span."""
_LONGEST = timedelta(hours=12)
_ARCHIVE_HEADINGS = (
    *("SOURCE", "TYPE", "DAY", "STORED (UTC)", "UNTIL (UTC)", "SIZE", "HOST", "KEY", "VERSION", "PROBLEM"),
)
_SPAN_HEADINGS = ("THE STORE CHANGED FROM", "TO (UTC)", "NEW", "REPLACED", "DELETED", "MUCH", "THE TIME BEFORE")
_MUCH = 3  # times as many replaced and deleted as in half of the spans


@dataclass(frozen=True)
class Ending:
    """What became of a version.

    Attributes:
        moment: when, by the store's clock.
        word: ``replaced`` or ``deleted``.
    """

    moment: datetime
    word: str


@dataclass(frozen=True)
class KeptArchive:
    """One version of an archive.

    Attributes:
        archive: with its metadata.
        ending: None if it is there now.
    """

    version: StoredVersion
    archive: CataloguedArchive
    ending: Ending | None


@dataclass
class Span:
    """A time in which the store changed, without a long pause.

    Attributes:
        first, last: change.
        new, replaced, deleted: how many keys got a first version, another one, or none.
    """

    first: datetime
    last: datetime
    new: int = 0
    replaced: int = 0
    deleted: int = 0

    @property
    def before(self) -> datetime:
        """A second before it began."""
        return self.first - timedelta(seconds=1)


def endings(versions: Iterable[StoredVersion]) -> dict[tuple[str, str], Ending]:
    """By key and id of each version that is there no more: what became of it."""
    found: dict[tuple[str, str], Ending] = {}
    for history in _histories(versions).values():
        for newer, older in pairwise(history):
            if not older.is_marker:
                word = "deleted" if newer.is_marker else "replaced"
                found[older.key, older.id] = Ending(newer.modified, word)
    return found


def spans(versions: Iterable[StoredVersion]) -> list[Span]:
    """When the store changed, the oldest first."""
    changes: list[tuple[datetime, str]] = []
    for history in _histories(versions).values():
        for place, version in enumerate(history):
            had_one = place + 1 < len(history) and not history[place + 1].is_marker
            if not version.is_marker or had_one:
                word = "deleted" if version.is_marker else "replaced" if had_one else "new"
                changes.append((version.modified, word))
    found: list[Span] = []
    for moment, word in sorted(changes):
        if not found or moment - found[-1].last > _PAUSE or moment - found[-1].first > _LONGEST:
            found.append(Span(moment, moment))
        found[-1].last = moment
        setattr(found[-1], word, getattr(found[-1], word) + 1)
    return found


def versions_text(kept: Sequence[KeptArchive], changed: Sequence[Span]) -> list[str]:
    """Two tables: archives, those of a source beside each other, the newest first; and the spans, the oldest first."""
    lines: list[str] = []
    if kept:
        lines += aligned(_ARCHIVE_HEADINGS, [_cells(each) for each in sorted(kept, key=_order)])
    if changed:
        usual = median(span.replaced + span.deleted for span in changed)
        lines += ["", *aligned(_SPAN_HEADINGS, [_span_cells(span, usual) for span in changed])]
    return lines or ["There are no versions of archives."]


def _histories(versions: Iterable[StoredVersion]) -> dict[str, list[StoredVersion]]:
    found: dict[str, list[StoredVersion]] = {}
    for version in newest_first(versions):
        found.setdefault(version.key, []).append(version)
    return found


def _order(kept: KeptArchive) -> tuple[str, str, float, str]:
    record = kept.archive.record
    owner = (str(record.owner.source), record.owner.host) if record else ("\U0010ffff", "")
    return (*owner, -kept.version.modified.timestamp(), kept.version.key)


def _cells(kept: KeptArchive) -> tuple[str, ...]:
    record, ending = kept.archive.record, kept.ending
    return (
        str(record.owner.source) if record else "",
        record.type.value if record else "",
        f"{day_date(record.day)}" if record else "",
        _written(kept.version.modified),
        f"{_written(ending.moment)} {ending.word}" if ending else "",
        human_bytes(kept.version.size),
        record.owner.host if record else "",
        kept.version.key,
        kept.version.id,
        kept.archive.flaw,
    )


def _span_cells(span: Span, usual: float) -> tuple[str, ...]:
    is_much = span.deleted + span.replaced > _MUCH * max(usual, 1)
    return (
        *(_written(span.first), _written(span.last)),
        *(f"{span.new}", f"{span.replaced}", f"{span.deleted}", "much" if is_much else ""),
        f"--as-of {span.before.astimezone(timezone.utc):%Y-%m-%dT%H:%M:%SZ}",
    )


def _written(moment: datetime) -> str:
    return f"{moment.astimezone(timezone.utc):%Y-%m-%d %H:%M:%S}"
