"""What a page is made of: how things stand, and what can be restored of each source. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field, replace
from datetime import date, datetime

from s3napback.catalogue.contents import Catalogue, CataloguedArchive, newest_first
from s3napback.records import dataclass
from s3napback.rotation import ArchiveType
from s3napback.watch.overview import Standing
from s3napback.watch.proofs import NOTHING_KNOWN, Known, known_together

MOST_NIGHTS = 60
"""Archives of one source that are drawn and listed; what is older counts among its days."""


@dataclass(frozen=True, slots=True)
class Effort:
    """What an object beside an archive tells of what making it took.

    Attributes:
        seconds: that it took; None if that is not known.
        read: bytes that the source gave; None if that is not known.
    """

    seconds: float | None
    read: int | None


@dataclass(frozen=True, slots=True)
class ArchiveView:
    """One archive.

    Attributes:
        day: that it is of, a day number.
        size: bytes in the store.
        problem: why it cannot be restored, as a clause; empty if it can.
        seconds: that it took; None if that is not known.
        read: bytes that the source gave; None if that is not known.
        known: what was found when it was read.
    """

    key: str
    day: int
    type: ArchiveType
    size: int
    problem: str = ""
    seconds: float | None = None
    read: int | None = None
    known: Known = NOTHING_KNOWN


@dataclass(frozen=True, slots=True)
class Past:
    """What is there of one source under one name.

    Attributes:
        name: key base, with the prefix.
        source: such as ``Directory /etc``.
        cycle: empty outside of any.
        nights: its archives, the newest first.
    """

    host: str
    source: str
    cycle: str
    name: str
    nights: tuple[ArchiveView, ...]

    @property
    def days(self) -> tuple[int, ...]:
        """To which it can be restored, the oldest first."""
        return tuple(sorted({night.day for night in self.nights if not night.problem}))

    @property
    def known(self) -> Known:
        """What was found when archives of it were read."""
        return known_together(night.known for night in self.nights)


@dataclass(frozen=True, slots=True)
class SourceView:
    """One source of one host: how it stands, and what is there of it.

    Attributes:
        standing: None if no run speaks of it.
        past: None if there is nothing.
    """

    standing: Standing | None
    past: Past | None

    @property
    def source(self) -> str:
        """Such as ``Directory /etc``."""
        return self.standing.source if self.standing else self.past.source if self.past else ""

    @property
    def host(self) -> str:
        """Whose it is, with the configuration if a run speaks of it."""
        return f"{self.standing.place}" if self.standing else self.past.host if self.past else ""


@dataclass(frozen=True)
class StoreView:
    """One configuration's store.

    Attributes:
        place: its address, with the prefix.
        configuration: its path.
        standings: the worst first.
        pasts: of every source and name.
        failure: why it could not be looked at; empty if it could.
    """

    place: str
    configuration: str
    standings: Sequence[Standing] = ()
    pasts: Sequence[Past] = ()
    failure: str = ""

    def sources(self) -> list[SourceView]:
        """Every source, those first of which a run speaks, the worst of them in front."""
        left = {(each.host, each.name): each for each in self.pasts}
        found = []
        for standing in self.standings:
            if standing.source:
                found.append(SourceView(standing, _taken(left, standing)))
        rest = sorted(left.values(), key=lambda each: (each.host, each.source, each.name))
        return [*found, *(SourceView(None, each) for each in rest)]


def _taken(left: dict[tuple[str, str], Past], standing: Standing) -> Past | None:
    name = standing.said.name if standing.said else None
    prefix = f"{standing.place.prefix}/" if standing.place.prefix else ""
    if name is not None:
        return left.pop((standing.place.host, prefix + name), None)
    alike = [key for key, each in left.items() if (each.host, each.source) == (standing.place.host, standing.source)]
    return left.pop(alike[0]) if alike else None


@dataclass(frozen=True)
class PageFacts:
    """All that a page shows.

    Attributes:
        moment: when it was looked at, in local time, timezone-aware.
        today: the calendar day.
        style: how it looks, in CSS; our own, it is not escaped.
    """

    moment: datetime
    today: date
    stores: Sequence[StoreView] = field(default_factory=tuple)
    style: str = ""


def pasts(catalogue: Catalogue, prefix: str, is_wanted: frozenset[str] | None = None) -> list[Past]:
    """What a catalogue tells of every source and name, without what only other objects tell.

    Args:
        prefix: below which the catalogue was read, with a slash if there is one.
        is_wanted: only of these hosts; None is all.
    """
    found: dict[tuple[str, str, str], list[CataloguedArchive]] = {}
    for archive in catalogue.archives:
        record = archive.record
        if record is not None and (is_wanted is None or record.owner.host in is_wanted):
            found.setdefault((record.owner.host, str(record.owner.source), archive.base), []).append(archive)
    made = []
    for (host, source, base), archives in found.items():
        ordered = sorted(archives, key=newest_first)
        record = ordered[0].record
        nights = tuple(_night(each, catalogue) for each in ordered)
        made.append(Past(host, source, record.cycle if record else "", prefix + base, nights))
    return made


def _night(archive: CataloguedArchive, catalogue: Catalogue) -> ArchiveView:
    record = archive.record
    return ArchiveView(
        key=archive.key,
        day=record.day if record else 0,
        type=record.type if record else ArchiveType.FULL,
        size=archive.stored.size,
        problem=catalogue.chain(archive).problem,
        known=catalogue.known.get(archive.key, NOTHING_KNOWN),
    )


def with_note(night: ArchiveView, note: Effort | None) -> ArchiveView:
    """The same, with what the object beside the archive tells of its making."""
    if note is None:
        return night
    return replace(night, seconds=note.seconds, read=note.read)
