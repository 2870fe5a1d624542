"""Whoever asks for one source is told the same as if everything had been looked at."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest

from s3napback.archives import ArchiveRecord, Owner
from s3napback.catalogue.claims import Claims, unprotected
from s3napback.catalogue.contents import Catalogue
from s3napback.catalogue.losses import losses
from s3napback.catalogue.narrowing import can_be_of, read_catalogue_of
from s3napback.catalogue.reading import read_catalogue
from s3napback.catalogue.retention import sums_without_archive
from s3napback.catalogue.selection import holders_of, matching_archives, means
from s3napback.kinds import SourceName
from s3napback.rotation import ArchiveType
from tests.catalogue.test_remembering import CountedStore
from tests.catalogues import HOST, job
from tests.stores.sources import BytesSource

WORDS = ("/etc", "etc", "daily/etc", "Directory /etc", "/srv", "/srv/data", "/srv/data/file", "/", "MySQL/all", "/gone")


class Filled(CountedStore):
    """A store with archives of several sources."""

    def add(
        self, base: str, slot: int, source: str, *, parent: str = "", host: str = HOST, has_sum: bool = True
    ) -> str:
        identity = f"{base} {slot}"
        kind = "DIFF" if parent else "FULL"
        key = f"below/{base}-{slot}" if source.startswith("MySQL") else f"below/{base}-{slot}-{kind}"
        record = ArchiveRecord(
            id=identity,
            slot=slot,
            type=ArchiveType(kind),
            owner=Owner(host, SourceName.parse(source)),
            cycle="",
            started=datetime(2026, 1, 1 + slot, tzinfo=timezone.utc),
            day=20454 + slot,
            parent=parent,
        )
        self.put(key, BytesSource(b"x"), record.to_metadata())
        if has_sum:
            self.put(f"{key}.sha256", BytesSource(b"sum"), {})
        return identity


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vault")
    store = Filled(folder)
    for base, source in (
        ("etc", "Directory /etc"),
        ("daily/etc", "Directory /etc"),
        ("srv/data", "Directory /srv/data"),
    ):
        full = store.add(base, 0, source)
        store.add(base, 1, source, parent=full)
    for number in range(20):
        store.add(f"home/user-{number}", 0, f"Directory /home/user-{number}")
    store.add("", 0, "Directory /")
    store.add("MySQL/all", 0, "MySQL all")
    return folder


@pytest.fixture
def store(filled: Path) -> Filled:
    return Filled(filled)


def told(catalogue: Catalogue, word: str) -> tuple[object, ...]:
    """What a person is told who asks for a source."""
    found = matching_archives(catalogue, word, or_none=True)
    chains = [([link.key for link in chain.archives], chain.problem) for chain in map(catalogue.chain, found)]
    claims = Claims(HOST, [job("etc"), replace(job("gone"), target="/gone")])
    lacking = [each.name for each in unprotected(catalogue, claims) if means(word, each)]
    bases = {archive.base for archive in found}
    lost = [loss for loss in losses(catalogue, {"etc", "gone"}, "below") if loss.base in bases]
    sums = [found.key for found in sums_without_archive(catalogue)]
    return found, chains, lacking, lost, sums, holders_of(word, catalogue.archives)[:1] if not found else None


@pytest.mark.parametrize("word", WORDS)
def test_what_is_told_of_a_source_is_the_same(store: Filled, word: str) -> None:
    everything = read_catalogue(store, "below")
    assert all(archive.record for archive in everything.archives)
    assert told(read_catalogue_of(store, "below", word, HOST), word) == told(everything, word)


@pytest.mark.parametrize("word", [word for word in WORDS if word != "/gone"])
def test_no_more_is_asked_for_than_can_be_its(store: Filled, word: str) -> None:
    read_catalogue_of(store, "below", word, HOST)
    assert 1 <= len(store.asked) <= 8
    assert not any("home" in key for key in store.asked)


@pytest.mark.parametrize("trouble", ["only another host", "a broken chain", "no metadata"])
def test_where_less_would_not_tell_enough_everything_is_looked_at(filled: Path, tmp_path: Path, trouble: str) -> None:
    store = Filled(shutil.copytree(filled, tmp_path / "copy"))
    host = HOST
    if trouble == "only another host":
        host = "other"
    elif trouble == "a broken chain":
        store.add("etc", 2, "Directory /etc", parent="elsewhere")
    else:
        store.put("below/etc-2-FULL", BytesSource(b"x"), {})
    store.asked.clear()
    found = read_catalogue_of(store, "below", "/etc", host)
    assert found.passed_over == frozenset()
    assert len({key for key in store.asked if "home" in key}) == 20
    assert any(archive.record for archive in found.archives)
    assert told(found, "/etc") == told(read_catalogue(store, "below"), "/etc")


@pytest.mark.parametrize("what", ["an archive of another host", "DIFFs that the rotation has gone on from"])
def test_what_is_ordinary_in_a_store_does_not_have_everything_looked_at(
    filled: Path, tmp_path: Path, what: str
) -> None:
    store = Filled(shutil.copytree(filled, tmp_path / "copy"))
    if what == "an archive of another host":
        store.add("weekly/etc", 2, "Directory /etc", host="other")
    else:
        store.add("etc", 2, "Directory /etc", parent="etc 1")
        store.put("below/etc-0-FULL", BytesSource(b"x"), replaced_full().to_metadata())
    store.asked.clear()
    found = read_catalogue_of(store, "below", "/etc", HOST)
    assert not [key for key in store.asked if "home" in key]
    assert told(found, "/etc") == told(read_catalogue(store, "below"), "/etc")
    assert "was overwritten" in repr(told(found, "/etc")) or what == "an archive of another host"


def replaced_full() -> ArchiveRecord:
    owner = Owner(HOST, SourceName.parse("Directory /etc"))
    return ArchiveRecord("new", 0, ArchiveType.FULL, owner, "", datetime(2026, 2, 1, tzinfo=timezone.utc), 20485)


def test_sources_beside_the_one_that_is_asked_for_are_passed_over(store: Filled) -> None:
    read_catalogue_of(store, "below", "/home/user-3", HOST)
    assert {key for key in store.asked if "home" in key} == {"below/home/user-3-0-FULL"}


def test_a_name_that_is_asked_for_by_itself_is_looked_at() -> None:
    assert can_be_of("/etc", {"copies/of-etc"}, "copies/of-etc")
    assert not can_be_of("/etc", (), "copies/of-etc")
    assert can_be_of("/srv/svn", (), "srv/svn/project")
    assert not can_be_of("/etc", (), "etcetera")
