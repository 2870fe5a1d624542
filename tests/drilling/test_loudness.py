"""A drill on a schedule that does not come to a good end is told like a night that does not."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.drilling.spoiling import spoil
from tests.site import Site


@pytest.fixture
def told(site: Site) -> Path:
    """What OnFailure was told, once it was; the site has a source that is due."""
    path = site.root / "told"
    program = site.root / "tell"
    program.write_text(f"#!/bin/sh\nenv | grep ^S3NAPBACK_ | sort >{path}\n")
    program.chmod(0o755)
    (site.source / "file").write_text("payload")
    site.configure_cycle("Diffs 0\nDrillEvery 7", general=f"OnFailure {program}\nMetricsFile {site.root}/metrics.prom")
    site.run()
    return path


def metrics(site: Site) -> dict[str, float]:
    lines = (site.root / "metrics-drill.prom").read_text().splitlines()
    return {line.partition("{")[0]: float(line.rpartition(" ")[2]) for line in lines if not line.startswith("#")}


def test_a_source_that_is_not_proven(site: Site, told: Path) -> None:
    site.run("drill", "--due")
    assert not told.exists()
    proven = metrics(site)["s3napback_last_proven_timestamp_seconds"]
    assert abs(proven - time.time()) < 100
    assert metrics(site)["s3napback_last_drill_failed"] == 0
    (key,) = [key for key in site.archive_keys() if not key.endswith("proven")]
    site.store().delete(f"{key}.proven")
    spoil(site, key, lambda content: content[:2000])
    shown = site.run("drill", "--due", expect=1)
    assert shown.stderr.endswith(f"ERROR s3napback: 1 source not proven: Directory {site.source}\n")
    assert (
        f"S3NAPBACK_EXIT=1\nS3NAPBACK_HOST=test-host\nS3NAPBACK_NOT_PROVEN=Directory {site.source}\n"
        in told.read_text()
    )
    assert metrics(site)["s3napback_last_drill_failed"] == 1
    assert "FAILED 0 d ago" in site.run("status").stdout


def test_what_cannot_be_tried(site: Site, told: Path) -> None:
    """Nothing is said of the archive, and somebody is told all the same."""
    site.run("drill", "--due", f"--scratch={site.root / 'nowhere'}", expect=2)
    assert not told.exists(), "a mistake on the command line is no failed drill"
    (site.root / "PG_VERSION").touch()
    site.run("drill", "--due", f"--scratch={site.root}", expect=1)
    assert "S3NAPBACK_NOT_PROVEN=Directory" in told.read_text()
    assert metrics(site)["s3napback_last_drill_failed"] == 1


def test_a_store_that_cannot_be_read(site: Site, told: Path) -> None:
    site.vault.rename(site.root / "elsewhere")
    code = site.run("drill", "--due", expect=None).returncode
    assert code
    assert f"S3NAPBACK_EXIT={code}\n" in told.read_text()


def test_a_signal(site: Site, told: Path) -> None:
    begun = site.root / "begun"
    judge = site.root / "judge"
    judge.write_text(f"#!/bin/sh\ntouch {begun}\nexec sleep 60\n")
    judge.chmod(0o755)
    general = site.configuration.read_text()
    site.configuration.write_text(f"{general}<Command words>\nRun echo two\nDrillEvery 1\nDrill {judge}\n</Command>\n")
    site.run(day=0)
    with subprocess.Popen(site.command("drill", "--due"), env=site.full_environment()) as drill:
        while not begun.exists():
            time.sleep(0.02)
        drill.send_signal(signal.SIGTERM)
        drill.wait(30)
    assert drill.returncode == 143
    assert "S3NAPBACK_EXIT=143\n" in told.read_text()
