"""Weeks of nights on the servers that other people run, and in buckets from which nobody can delete anything."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from s3napback.rotation import day_date
from tests.faulty_s3 import Fault, FaultyS3, stall
from tests.recovery.simulation import Weeks
from tests.servers import S3Server
from tests.site import Site
from tests.sources.trees import describe_tree, tree_differences
from tests.waiting import becomes

pytestmark = pytest.mark.long(40)

NIGHTS = 14
LATER = 100
"""Days after the first: long after any rotation in these tests."""
SMALL_PARTS = "ChunkSize 5242880"


CEPH = pytest.param("ceph", marks=pytest.mark.ceph)


@pytest.fixture(params=["seaweedfs", "swift", CEPH])
def server(request: pytest.FixtureRequest) -> S3Server:
    found: S3Server = request.getfixturevalue(request.param)
    return found


def live_and_restore(weeks: Weeks, tmp_path: Path) -> None:
    """Pass two weeks, the first night of which takes several parts; every day that is listed comes back."""
    weeks.site.source.joinpath("large").write_bytes(bytes(range(256)) * 25_000)
    weeks.pass_by(NIGHTS)
    archives = weeks.restorable()
    assert len(archives) > 3
    for record in archives.values():
        day = day_date(record.day).isoformat()
        restored = weeks.restore(tmp_path / f"{record.day}-{record.slot}", at=day)
        newest = [each.id for each in archives.values() if each.day == record.day][-1]
        assert not tree_differences(weeks.states[newest], describe_tree(restored, hard_links=False))
    weeks.site.run("verify", "--keyless")
    assert weeks.site.server is not None
    assert weeks.site.server.unfinished_uploads(weeks.site.bucket) == []


def test_every_day_of_two_weeks_comes_back(tmp_path: Path, server: S3Server) -> None:
    site = Site(tmp_path / "site-ä+%", server)
    live_and_restore(Weeks(site, seed=1, general=f'Prefix "a b/ü"\n{SMALL_PARTS}'), tmp_path)


@pytest.mark.parametrize("name", ["moto", "seaweedfs", CEPH])
def test_every_day_of_two_weeks_comes_back_from_a_bucket_with_object_lock(
    request: pytest.FixtureRequest, tmp_path: Path, name: str
) -> None:
    server: S3Server = request.getfixturevalue(name)
    site = Site(tmp_path / "site", server, server.make_locked_bucket())
    live_and_restore(Weeks(site, seed=3, general=SMALL_PARTS), tmp_path)
    found = server.client().list_object_versions(Bucket=site.bucket)["Versions"]
    replaced = [each for each in found if not each["IsLatest"]]
    assert replaced
    # that it is locked, and not only said to be
    for each in (replaced[0], found[-1]):
        with pytest.raises(ClientError, match="AccessDenied"):
            server.client().delete_object(Bucket=site.bucket, Key=each["Key"], VersionId=each["VersionId"])


def test_what_a_killed_upload_leaves_goes_with_the_next_night(
    tmp_path: Path, server: S3Server, faulty: Callable[[S3Server], FaultyS3]
) -> None:
    proxy = faulty(server)
    site = Site(tmp_path / "site", proxy.server)
    (site.source / "large").write_bytes(bytes(12_000_000))
    site.configure_cycle("Fulls 1\nCompression none", general=SMALL_PARTS)
    proxy.add(Fault("CompleteMultipartUpload", stall(60)))
    running = subprocess.Popen(site.command(day=0), env=site.full_environment(), stderr=subprocess.DEVNULL)
    assert becomes(lambda: "CompleteMultipartUpload" in proxy.operations(), 60)
    running.send_signal(signal.SIGKILL)
    running.wait()
    proxy.clear()
    assert becomes(lambda: server.unfinished_uploads(site.bucket) == [f"{site.name()}-0-FULL"], 60)
    assert "1 done" in site.run(day=0).stderr
    if server.kind != "swift":
        # Swift's listings may show for ever what is gone, where nothing runs that brings them up to date.
        assert server.unfinished_uploads(site.bucket) == []


def test_a_wrong_secret_is_told_at_once(tmp_path: Path, server: S3Server) -> None:
    site = Site(tmp_path / "site", server)
    site.configure_cycle("")
    (site.root / "key.txt").write_text(server.key_file_text().replace("secret=", "secret=x"))
    assert "correct secret= in S3Keyfile" in site.run(expect=2).stderr


def test_a_name_that_the_store_shows_otherwise_is_refused(tmp_path: Path, seaweedfs: S3Server) -> None:
    """It would answer whoever asks for the name, so that every night were a success, and nothing could be restored."""
    site = Site(tmp_path / "site", seaweedfs)
    odd = site.root / "a\\b+ü"
    odd.mkdir()
    (odd / "file").write_text("content")
    site.configure(f'<Cycle nightly>\nDirectory "{odd}"\nDirectory {site.source}\n</Cycle>')
    for day in range(2):
        done = site.run(day=day, expect=1)
        assert "1 done, 0 skipped, 1 failed" in done.stderr
        assert f"/a\\b+ü-{(day + 2) % 4}-FULL as " in done.stderr
        assert not (site.diff_dir / site.name(odd)).exists()


def test_a_bucket_is_shown_as_it_was_before_everything_was_replaced_and_deleted(
    tmp_path: Path, server: S3Server
) -> None:
    site = Site(tmp_path / "site", server)
    client = server.client()
    versions: Any = {"Status": "Enabled"}
    client.put_bucket_versioning(Bucket=site.bucket, VersioningConfiguration=versions)
    site.configure_cycle("Diffs 0\nFulls 1")
    (site.source / "file").write_text("first")
    site.run(day=0)
    # Not every server tells more than seconds.
    time.sleep(1.1)
    moment = datetime.now(timezone.utc)
    time.sleep(1.1)
    (site.source / "file").write_text("second")
    site.run(day=1)
    for key in site.archive_keys(sums=True):
        client.delete_object(Bucket=site.bucket, Key=key)
    as_of = ("--as-of", moment.strftime("%Y-%m-%dT%H:%M:%SZ"))
    site.run("restore", str(site.source), *as_of, "--to", str(tmp_path / "out"), day=2)
    assert (tmp_path / "out" / site.name() / "file").read_text() == "first"


def test_prune_deletes_what_a_shorter_rotation_no_longer_fills(tmp_path: Path, server: S3Server) -> None:
    site = Site(tmp_path / "site", server)
    site.configure_cycle("Diffs 0\nFulls 3")
    for day in range(3):
        site.run(day=day)
    site.configure_cycle("Diffs 0\nFulls 1")
    for day in range(3, 5):
        site.run(day=day)
    site.run("prune", "--yes", day=LATER)
    assert site.slots() == ["0-FULL"]
