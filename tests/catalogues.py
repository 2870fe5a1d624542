"""Catalogues written down by hand: archives that were never stored, for testing what judges them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta, timezone

from s3napback.archives import ArchiveRecord, Owner, archive_key
from s3napback.catalogue.contents import Catalogue, CataloguedArchive
from s3napback.catalogue.sums import sum_key
from s3napback.config.settings import Job, JobSettings, Position
from s3napback.kinds import SourceName
from s3napback.rotation import ArchiveType, Schedule, SimpleCycle
from s3napback.stores import StoredObject

HOST = "test-host"
EPOCH = datetime(1970, 1, 1, 3, tzinfo=timezone.utc)


def stored(key: str, day: int = 0, size: int = 100) -> StoredObject:
    return StoredObject(key, size, EPOCH + timedelta(days=day))


def archive(
    name: str,
    slot: int,
    day: int,
    *,
    parent: str = "",
    source: str = "Directory /etc",
    cycle: str = "nightly",
    host: str = HOST,
    identity: str = "",
    key: str = "",
) -> CataloguedArchive:
    """An archive under ``name``; a DIFF if it has a parent. Its identity is ``NAME-SLOT@DAY`` unless told otherwise."""
    archive_type = ArchiveType.DIFF if parent else ArchiveType.FULL
    record = ArchiveRecord(
        id=identity or f"{name}-{slot}@{day}",
        slot=slot,
        type=archive_type,
        owner=Owner(host, SourceName.parse(source)),
        cycle=cycle,
        started=EPOCH + timedelta(days=day),
        day=day,
        parent=parent,
    )
    key = key or archive_key("", record.owner.source.kind, name, slot, archive_type)
    return CataloguedArchive(stored(key, day), name, record)


def nameless(key: str, name: str, day: int = 0) -> CataloguedArchive:
    """An object with an archive's key and no metadata."""
    return CataloguedArchive(stored(key, day), name, None)


def group(name: str, first_slot: int, first_day: int, count: int, **others: str) -> list[CataloguedArchive]:
    """A FULL and the DIFFs on it, one a day, ``count`` in all."""
    found: list[CataloguedArchive] = []
    for number in range(count):
        record = found[-1].record if found else None
        parent = record.id if record else ""
        found.append(archive(name, first_slot + number, first_day + number, parent=parent, **others))
    return found


def catalogue(
    archives: Iterable[CataloguedArchive], *, sums: Sequence[str] = (), others: Sequence[str] = ()
) -> Catalogue:
    """All of them in the order of keys, with checksums of the archives whose keys are named."""
    ordered = tuple(sorted(archives, key=lambda each: each.key))
    return Catalogue(ordered, {sum_key(key): stored(sum_key(key)) for key in sums}, tuple(others))


def job(
    name: str = "etc",
    schedule: Schedule | None = None,
    *,
    source: str = "Directory /etc",
    cycle: str = "nightly",
) -> Job:
    named = SourceName.parse(source)
    return Job(
        named.kind, named.target, name, schedule or SimpleCycle(), cycle, JobSettings(), Position("test.conf", 1)
    )


def keys(archives: Iterable[CataloguedArchive]) -> list[str]:
    return [each.key for each in archives]
