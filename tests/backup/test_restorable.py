"""What metrics tell of the store after a run: days that can be restored, what is lost, and when it was last read."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import s3napback.backup.restorable
from s3napback.backup.restorable import restorable
from s3napback.commands import backup
from s3napback.config.loading import load_configuration
from s3napback.deciding.facts import BackupOptions
from s3napback.errors import StoreUnreachable
from s3napback.stores.directory import DirectoryStore
from s3napback.watch.metrics import Restorable
from tests.recovery.helpers import nights, put_archive
from tests.site import FIRST_DAY, Site


def numbers(site: Site, path: Path) -> dict[str, float]:
    """The metrics of the one source."""
    source = re.escape(f'source="Directory {site.source}"')
    found = re.findall(rf"^(s3napback_\w+)\{{.*{source}.*\}} (\S+)$", path.read_text(), re.MULTILINE)
    return {name: float(value) for name, value in found}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "s3napback.prom"


def test_metrics_tell_the_days_what_is_lost_and_when_it_was_read(any_site: Site, path: Path) -> None:
    site = any_site
    site.configure_cycle("Diffs 2\nFulls 2", general=f"MetricsFile {path}")
    nights(site, 2)
    first = numbers(site, path)
    assert (first["s3napback_restorable_backups"], first["s3napback_broken_archives"]) == (2, 0)
    assert "s3napback_last_verified_timestamp_seconds" not in first
    site.run("verify", day=None)
    site.run("drill", day=None)
    nights(site, 2, first=2)
    second = numbers(site, path)
    assert second["s3napback_restorable_backups"] == 4
    assert second["s3napback_last_verified_timestamp_seconds"] > 1.7e9
    assert second["s3napback_last_proven_timestamp_seconds"] > 1.7e9
    site.store().delete(f"{site.name()}-1-DIFF")
    nights(site, 1, first=4)
    third = numbers(site, path)
    assert (third["s3napback_restorable_backups"], third["s3napback_broken_archives"]) == (3, 1)


def test_what_the_rotation_has_passed_is_not_lost(site: Site, path: Path) -> None:
    site.configure_cycle("Diffs 2\nFulls 2", general=f"MetricsFile {path}")
    for night in range(10):
        nights(site, 1, first=night)
        told = numbers(site, path)
        assert told["s3napback_broken_archives"] == 0, night
        assert told["s3napback_restorable_backups"] >= min(night + 1, 4)


def test_of_others_and_of_what_cannot_be_looked_at_nothing_is_said(site: Site) -> None:
    put_archive(site, 0, b"x")
    put_archive(site, 1, b"x", host="elsewhere")
    put_archive(site, 0, b"x", name="odd")
    (site.vault / "odd-1-FULL").write_bytes(b"no metadata")
    store = DirectoryStore(site.vault)
    found = restorable(store, "", "test-host", ["etc", "odd", "none"])
    assert found == {"etc": Restorable(1), "none": Restorable(0)}


def test_that_the_store_does_not_tell_is_a_warning_and_no_failure(
    site: Site, path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    site.configure_cycle("", general=f"MetricsFile {path}")

    def silent(*_: object) -> None:
        raise StoreUnreachable("no answer")

    monkeypatch.setattr(s3napback.backup.restorable, "restorable", silent)
    tally = backup.run(load_configuration(site.configuration), FIRST_DAY, BackupOptions())
    assert (tally.failed, tally.warnings) == (0, 1)
    assert "MetricsFile says nothing of what can be restored, as that could not be looked at: no answer" in caplog.text
    assert "s3napback_stored_bytes" in numbers(site, path)
    assert "s3napback_restorable_backups" not in numbers(site, path)
