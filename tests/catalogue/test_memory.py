"""What is known of very many archives takes little memory."""

from __future__ import annotations

import multiprocessing
import tracemalloc
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime, timedelta, timezone
from typing import cast

from s3napback.archives import ArchiveRecord, Owner
from s3napback.catalogue.claims import Claims
from s3napback.catalogue.reading import read_catalogue
from s3napback.catalogue.remembering import HeadMemory
from s3napback.kinds import SourceName
from s3napback.listing.json_text import json_lines
from s3napback.listing.plain import plain_lines
from s3napback.listing.report import Shown, make_report
from s3napback.rotation import ArchiveType
from s3napback.stores import Store, StoredObject

STARTED = datetime(2026, 1, 1, 3, tzinfo=timezone.utc)
SOURCES, NIGHTS = 100, 10


class ManyArchives:
    """A distant store whose answers are made anew each time, as if they had come over a wire."""

    is_distant = True

    def list(self, _prefix: str) -> Iterator[StoredObject]:
        for source in range(SOURCES):
            for night in range(NIGHTS):
                key = f"srv/data/source-{source:04}-{night}-{_type(night).value}"
                for beside in ("", ".sha256", ".index"):
                    yield StoredObject(key + beside, 10**6 + source, STARTED, version=f"{source * 1000 + night:032x}")

    def head(self, key: str) -> StoredObject:
        if key.endswith(".sha256"):
            return StoredObject(key, 10**6 + int(key[16:20]), STARTED, version=self._version(key))
        source, night = int(key[16:20]), int(key[21])
        record = ArchiveRecord(
            *(f"{source}-{night}".rjust(32, "x"), night, _type(night)),
            Owner("".join(("at", "las")), SourceName("Directory", f"/srv/data/source-{source:04}")),
            *("nightly", STARTED + timedelta(days=night, seconds=source), 20454 + night),
            parent=f"{source}-{night - 1}".rjust(32, "x") if night else "",
            recipients=("A" * 40, "B" * 40),
        )
        metadata = {f"{name[:-1]}{name[-1]}": value for name, value in record.to_metadata().items()}
        return StoredObject(key, 10**6 + source, STARTED, metadata, self._version(key))

    def gone(self, _prefix: str) -> Sequence[str]:
        return ()

    def _version(self, key: str) -> str:
        return f"{int(key[16:20]) * 1000 + int(key[21]):032x}"


def _type(night: int) -> ArchiveType:
    return ArchiveType.DIFF if night else ArchiveType.FULL


def measured() -> tuple[float, float, float, float]:
    """Bytes an archive: what is known of it in the end, and at most; what its lines, and its JSON, take beyond that."""
    store = cast(Store, ManyArchives())
    count = SOURCES * NIGHTS
    read_catalogue(store, "", HeadMemory(store))  # what is imported for it is not of the archives
    tracemalloc.start()
    memory = HeadMemory(store)
    catalogue = read_catalogue(store, "", memory)
    shown = Shown(catalogue.archives)
    report = make_report(catalogue, shown, Claims("atlas", ()), location="s3://bucket", prefix="")
    known, peak = tracemalloc.get_traced_memory()
    assert len(report.rows) == count
    tracemalloc.reset_peak()
    assert sum(1 for _ in plain_lines(report)) > count
    plain = tracemalloc.get_traced_memory()[1] - known
    tracemalloc.reset_peak()
    assert sum(1 for _ in json_lines(report)) > 20 * count
    lines = tracemalloc.get_traced_memory()[1] - known
    return known / count, peak / count, plain / count, lines / count


def test_an_archive_takes_less_than_three_kilobytes_with_all_that_is_known_of_it_and_its_lines_nearly_nothing() -> None:
    # In a process of its own: what threads that another test has left behind do would count as well.
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        known, peak, plain, lines = pool.submit(measured).result()
    assert 1_000 < known < 2_650
    assert peak < 2_720
    assert plain < 150
    assert lines < 300
