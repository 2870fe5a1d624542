"""A checksum that a run did not come to, or could not write, is written by the next one."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from tests.faulty_s3 import Fault, FaultyS3, answer, stall
from tests.servers import S3Server
from tests.site import START, Site, files
from tests.waiting import becomes


@pytest.fixture
def proxy(moto: S3Server, faulty: Callable[[S3Server], FaultyS3]) -> FaultyS3:
    return faulty(moto)


@pytest.fixture
def parts(tmp_path: Path, proxy: FaultyS3) -> Site:
    """A site whose archives come in parts, in a bucket with versions."""
    site = Site(tmp_path / "site", proxy.server, proxy.server.make_bucket(locks=True))
    site.configure_cycle("Diffs 6\nFulls 2", general="ChunkSize 5242880\nCompression none")
    (site.source / "noise").write_bytes(os.urandom(5_500_000))
    return site


def owed(site: Site) -> list[Path]:
    return list(site.diff_dir.rglob("*.owed"))


def sums(site: Site) -> list[str]:
    return [key for key in site.contents() if key.endswith(".sha256")]


def test_after_a_run_that_was_killed_its_archive_is_vouched_for_all_the_same(
    parts: Site, proxy: FaultyS3, tmp_path: Path
) -> None:
    """Else nobody could restore it as of a time before a theft, nor what builds on it, and no night would say so."""
    proxy.add(Fault("PutObject", stall(60), key=r".*\.sha256"))
    running = subprocess.Popen(parts.command(day=0), env=parts.full_environment(), stderr=subprocess.DEVNULL)
    assert becomes(lambda: any(each.key.endswith(".sha256") for each in proxy.seen), 60)
    running.kill()
    running.wait()
    proxy.clear()
    assert (sums(parts), len(owed(parts))) == ([], 1)
    (parts.source / "file").write_text("of the second night")
    assert "its checksum is written, to which an earlier run did not come" in parts.run(day=1).stderr
    assert (len(sums(parts)), owed(parts)) == (2, [])
    then = (datetime.now(timezone.utc) + timedelta(seconds=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    time.sleep(2.1)
    parts.run("restore", str(parts.source), "--to", str(tmp_path / "then"), "--as-of", then, day=None)
    assert files(tmp_path / "then" / parts.name()) == files(parts.source)
    assert parts.run("verify", "--all", "--keyless", day=1).stdout.count(": good") == 2


DYING = """
import os
import s3napback.state
from s3napback.cli import main
s3napback.state.put_in_place = lambda *_, **__: os.kill(os.getpid(), 9)
main()
"""
"""A run that is killed between the notes that it makes of an archive and the state that counts."""


def test_an_archive_whose_run_was_killed_at_its_state_is_not_taken_for_another_machines(tmp_path: Path) -> None:
    site = Site(tmp_path)
    (site.source / "file").write_text("content")
    site.configure_cycle("Diffs 6\nFulls 2")
    site.run(day=0)
    (site.source / "other").write_text("of the second night")
    command = [sys.executable, "-c", DYING, *site.command(day=1)[len(START) :]]
    killed = subprocess.run(command, check=False, env=site.full_environment(), capture_output=True, timeout=60)
    assert killed.returncode == -9, killed.stderr
    assert len(owed(site)) == 1
    keyless = site.run("verify", "--keyless", day=1)
    assert keyless.stdout.count(": good") == 2
    assert "1-DIFF.sha256 is not written yet, since a run was cut off; the next one writes it" in keyless.stderr
    again = site.run("--strict", day=1).stderr
    assert "its checksum is written, to which an earlier run did not come" in again
    assert "done already today" in again
    site.run("restore", str(site.source), "--to", str(tmp_path / "then"), day=1)
    assert files(tmp_path / "then" / site.name()) == files(site.source)
    assert site.run("verify", "--all", day=1).stdout.count(": good") == 2
    (site.source / "third").write_text("of the third night")
    site.run("--strict", day=2, expect=None)
    site.run("restore", str(site.source), "--to", str(tmp_path / "third"), day=2)
    assert files(tmp_path / "third" / site.name()) == files(site.source)


def test_one_that_the_store_refused_is_written_by_the_next_run_with_the_lock_of_its_archive(
    parts: Site, proxy: FaultyS3
) -> None:
    parts.configure_cycle("Diffs 6\nFulls 2", general="ObjectLock governance")
    day = date.today()
    proxy.add(Fault("PutObject", answer(403, "AccessDenied"), key=r".*\.sha256"))
    assert "could not be written" in parts.run(day=day).stderr
    assert "could not be written" in parts.run(day=day).stderr
    proxy.clear()
    proxy.seen.clear()
    parts.run(day=day)
    assert proxy.operations().count("PutObjectRetention") == 0
    (key,) = sums(parts)
    client: Any = proxy.server.client()
    locks = [
        client.head_object(Bucket=parts.bucket, Key=each)["ObjectLockRetainUntilDate"]
        for each in (key, key.removesuffix(".sha256"))
    ]
    assert locks[0] == locks[1]
    (ledger,) = parts.diff_dir.rglob("locks.json")
    assert key in ledger.read_text()
    proxy.seen.clear()
    parts.run(day=day)
    assert proxy.operations().count("PutObjectRetention") == proxy.operations().count("HeadObject") == 0


@pytest.fixture
def refused(parts: Site, proxy: FaultyS3) -> Iterator[Site]:
    """Its checksum is owed."""
    proxy.add(Fault("PutObject", answer(403, "AccessDenied"), key=r".*\.sha256"))
    parts.run(day=0)
    proxy.clear()
    yield parts


@pytest.mark.parametrize("harm", ["replaced", "gone", "nonsense", "another form"])
def test_one_of_what_is_not_there_any_more_is_forgotten(refused: Site, harm: str) -> None:
    (file,) = owed(refused)
    (key,) = refused.archive_keys()
    assert refused.server is not None
    client = refused.server.client()
    if harm == "replaced":
        other = {**refused.metadata(key), "s3napback-id": "another"}
        client.put_object(Bucket=refused.bucket, Key=key, Body=b"x", Metadata=other)
    elif harm == "gone":
        client.delete_object(Bucket=refused.bucket, Key=key)
    else:
        file.write_text({"nonsense": "{", "another form": '{"key": 1}'}[harm])
    told = refused.run(day=0, expect=None).stderr
    assert owed(refused) == []
    assert "its checksum" not in told
