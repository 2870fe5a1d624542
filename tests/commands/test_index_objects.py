"""The index beside an archive comes and goes with it, and every command knows what it is."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest

from s3napback.catalogue.indexes import index_key
from s3napback.catalogue.losses import losses
from s3napback.catalogue.reading import read_catalogue
from s3napback.commands import backup, prune
from s3napback.config.loading import load_configuration
from s3napback.deciding.facts import BackupOptions
from s3napback.index.lines import LineWriter
from tests.gpg_keys import Key
from tests.site import FIRST_DAY, Site
from tests.stores.sources import BytesSource


def night(site: Site, number: int, **options: bool) -> list[str]:
    """Back up in this process; returns the warnings."""
    tally = backup.run(
        load_configuration(site.configuration), FIRST_DAY + timedelta(days=number), BackupOptions(**options)
    )
    assert not tally.failed
    return [str(tally.warnings)] if tally.warnings else []


@pytest.fixture
def nights(site: Site) -> Callable[..., list[str]]:
    (site.source / "file").write_text("content")
    site.configure_cycle("Diffs 2\nFulls 2")
    return lambda number, **options: night(site, number, **options)


def indexes(site: Site) -> list[str]:
    return sorted(
        path.relative_to(site.vault).name
        for path in site.vault.rglob("*.index")
        if path.is_file() and ".s3napback" not in path.parts
    )


def test_it_lies_beside_every_archive_and_can_be_read(site: Site, key: Key) -> None:
    (site.source / "file").write_text("content")
    site.configure_cycle("Diffs 2\nFulls 2", general=key.directives)
    night(site, 0)
    night(site, 1)
    assert indexes(site) == ["source-0-FULL.index", "source-1-DIFF.index"]
    full = f"{site.name()}-0-FULL"
    found = site.store().head(index_key(full))
    assert found is not None
    assert found.metadata["s3napback-index-of"] == site.metadata(full)["s3napback-id"]
    text = gzip.decompress(key.home.decrypt(site.fetch(index_key(full)))).decode()
    assert f"\narchive {site.metadata(full)['s3napback-id']}\n" in text
    assert text.count(" file\n") == 1
    assert b"file" not in site.fetch(index_key(full))


def test_without_diffs_it_is_made_as_well(site: Site) -> None:
    (site.source / "file").write_text("content")
    site.configure_cycle("Fulls 2")
    night(site, 0)
    assert indexes(site) == ["source-0-FULL.index"]


def test_a_diff_turned_full_leaves_none_behind(site: Site, nights: Callable[..., list[str]]) -> None:
    nights(0)
    nights(1)
    nights(1, force=True, full=True)
    assert indexes(site) == ["source-0-FULL.index", "source-1-FULL.index"]


def test_none_of_an_older_archive_stays_where_none_could_be_made(
    site: Site, nights: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    nights(0)

    def fail(writer: LineWriter, _data: bytes) -> None:
        writer.problem = "no room"

    monkeypatch.setattr(LineWriter, "_put", fail)
    assert nights(0, force=True) != []
    assert indexes(site) == []


def test_prune_takes_it_along_and_what_has_lost_its_archive(
    site: Site, nights: Callable[..., list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(5):
        nights(number)
    name = site.name()
    site.configure_cycle("Diffs 2\nFulls 1")
    nights(6)
    site.store().delete(f"{name}-1-DIFF")
    site.store().put(f"{name}-5-FULL.index", BytesSource(b"another's"), {})
    prune.prune(load_configuration(site.configuration), date(2027, 6, 1), print, delete=True)
    assert indexes(site) == ["source-0-FULL.index", "source-5-FULL.index"]
    said = capsys.readouterr().out
    assert f"{name}-1-DIFF.index: there is no such archive any more" in said
    assert "deleted 3 archives, 1 checksum, 1 index" in said


def test_it_tells_of_an_archive_that_is_gone_and_is_nobody_elses_object(
    site: Site, nights: Callable[..., list[str]]
) -> None:
    nights(0)
    nights(1)
    catalogue = read_catalogue(site.store(), "")
    assert [found for found in catalogue.others if found.endswith(".index")] == []
    name = site.name()
    for key in (f"{name}-1-DIFF", f"{name}-1-DIFF.sha256"):
        site.store().delete(key)
    lost = losses(read_catalogue(site.store(), ""), [name], "")
    assert [(loss.key, "its index is still there" in loss.problem) for loss in lost] == [(f"{name}-1-DIFF", True)]


def test_an_index_that_is_gone_from_a_folder_is_no_archive_that_is(
    site: Site, nights: Callable[..., list[str]], tmp_path: Path
) -> None:
    nights(0)
    (site.vault / f"{site.name()}-0-FULL.index").unlink()
    done = site.run("list", "--json", day=None)
    assert '"gone": []' in done.stdout
