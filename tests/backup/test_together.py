"""Several sources at a time: who begins when, and that nights are the same as with one after the other."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from s3napback.backup.servers import may_share_server
from s3napback.backup.tally import Tally
from s3napback.backup.together import Queue
from s3napback.commands import backup
from s3napback.config.loading import load_configuration
from s3napback.config.settings import Job, JobSettings
from s3napback.deciding.facts import BackupOptions
from s3napback.stores.s3_upload import PartBuffers
from tests.catalogues import job
from tests.faulty_s3 import Fault, FaultyS3, answer, stall
from tests.servers import S3Server
from tests.site import FIRST_DAY, Site


def database(target: str, *options: str, kind: str = "MySQL") -> Job:
    settings = JobSettings(mysql_options=options, postgresql_options=options)
    return replace(job(target), kind=kind, target=target, settings=settings)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (database("a"), database("b"), True),
        (database("a", "--host=db1"), database("b", "--host", "db2"), False),
        (database("a", "--host=db1"), database("b", "-hDB1"), True),
        (database("a", "--host=db1", "--port=1"), database("b", "-h", "db1."), True),
        (database("a", "--host=db1"), database("b"), True),
        (database("/run/a.sock:a"), database("/run/b.sock:b"), True),
        (database("/run/a.sock:a"), database("b", "--host=localhost"), True),
        (database("/run/a.sock:a"), database("b", "--host=127.0.1.1"), True),
        (database("a", "--host=0:0:0:0:0:0:0:1"), database("b", "--host=::ffff:127.0.0.1"), True),
        (database("a", "--host=localhost"), database("b", f"--host={socket.gethostname().upper()}."), True),
        (database("a", "--host=localhost"), database("b", f"--host={socket.gethostname()}.example.org"), True),
        (database("a", "--host=localhost"), database("b", "--host=127.1"), True),
        (database("a", "--host=localhost"), database("b", "--host=ip6-loopback"), True),
        (database("a", "--host=2001:db8::1"), database("b", "--host=2001:0DB8:0::1"), True),
        (database("a", "--host=192.0.2.1"), database("b", "--host=localhost"), False),
        (database("a", "--host=db1,db2", kind="PostgreSQL"), database("b", "-hdb2", kind="PostgreSQL"), True),
        (database("a", "--host=db1,db2", kind="PostgreSQL"), database("b", "-hdb3", kind="PostgreSQL"), False),
        (database("a", "--host=db1,", kind="PostgreSQL"), database("b", "-hdb3", kind="PostgreSQL"), True),
        (database("/run/a.sock:a"), database("b", "--host=db2"), False),
        (database("a"), database("a", kind="PostgreSQL"), False),
        (database("a", "--host=/run/x", kind="PostgreSQL"), database("a", "-h127.0.0.1", kind="PostgreSQL"), True),
        (job("etc"), job("srv"), False),
    ],
)
def test_what_may_be_one_server_is_taken_for_one(one: Job, other: Job, expected: bool) -> None:
    assert may_share_server(one, other) is expected
    assert may_share_server(other, one) is expected


def test_one_server_is_never_dumped_twice_at_once_and_keeps_nobody_else_waiting() -> None:
    first, second, tree = database("a"), database("b"), job("etc")
    queue = Queue([first, second, tree], 1)
    assert queue.take() == (first, False)
    assert queue.take() == (tree, False)
    waiting = threading.Thread(target=queue.take)
    waiting.start()
    waiting.join(0.1)
    assert waiting.is_alive()
    queue.finish(first)
    waiting.join(10)
    assert not waiting.is_alive()


def test_one_server_is_dumped_as_often_as_it_was_said() -> None:
    queue = Queue([database("a"), database("b")], 2)
    assert queue.take() and queue.take()


@pytest.fixture
def proxied(tmp_path: Path, rclone: S3Server, faulty: Callable[[S3Server], FaultyS3]) -> Iterator[FaultyS3]:
    yield faulty(rclone)


def site_of(root: Path, server: S3Server, jobs: int, count: int = 6, general: str = "") -> Site:
    site = Site(root, server)
    folders = [root / f"source-{number}" for number in range(count)]
    for folder in folders:
        folder.mkdir()
        (folder / "file").write_text("content")
    directives = "\n".join(f"Directory {folder}" for folder in folders)
    site.configure(
        f"<Cycle nightly>\nDiffs 6\nFulls 2\n{directives}\n</Cycle>",
        general=f"Jobs {jobs}\nChunkSize 5242880\n{general}",
    )
    return site


def night(site: Site, number: int) -> Tally:
    configuration = load_configuration(site.configuration)
    return backup.run(configuration, FIRST_DAY + timedelta(days=number), BackupOptions())


TIMES = ("started", "id", "parent")


def seen(site: Site) -> dict[str, Any]:
    """What is in the store and in DiffDir, but for times and random identities."""
    root = str(site.root)
    objects = {
        key.replace(root.lstrip("/"), ""): {
            name: value.replace(root, "")
            for name, value in site.metadata(key).items()
            if name.removeprefix("s3napback-") not in TIMES
        }
        for key in site.archive_keys()
    }
    states = {}
    for file in site.diff_dir.rglob("state.json"):
        document = json.loads(file.read_text())
        links = [(link["slot"], link["type"], link["day"]) for link in document["history"]["chain"]]
        states[document["name"].replace(root.lstrip("/"), "")] = (links, sorted(document["expected_sizes"]))
    return {"objects": objects, "states": states}


@pytest.mark.parametrize("seed", [1, 2])
def test_nights_of_four_at_a_time_are_those_of_one(tmp_path: Path, rclone: S3Server, seed: int) -> None:
    """Changes, sources that are missing, and orders of the night are drawn at random, the same for both."""
    results = []
    for jobs in (1, 4):
        random = Random(seed)
        site = site_of(tmp_path / f"jobs-{jobs}", rclone, jobs)
        told = []
        for number in range(3):
            for folder in sorted(site.root.glob("source-*")):
                if random.random() < 0.4:
                    (folder / f"new-{number}").write_text("x" * random.randrange(2000))
                if random.random() < 0.2:
                    folder.rename(folder.with_name(f"gone-{folder.name}"))
            told.append(replace(night(site, number), read=0, stored=0))
            for folder in sorted(site.root.glob("gone-*")):
                folder.rename(folder.with_name(folder.name.removeprefix("gone-")))
        results.append((told, seen(site)))
    assert results[0] == results[1]
    assert any(tally.failed for tally in results[0][0])
    assert any(tally.done for tally in results[0][0])


def test_one_that_fails_stops_none_of_the_others(tmp_path: Path, proxied: FaultyS3) -> None:
    site = site_of(tmp_path / "site", proxied.server, 4)
    proxied.add(Fault("PutObject", answer(403, "AccessDenied"), key=".*source-2-0-FULL"))
    done = site.run(expect=1)
    assert "5 done, 0 skipped, 1 failed" in done.stderr
    assert "source-2 FAILED" in done.stderr
    proxied.clear()
    assert "1 done, 5 skipped, 0 failed" in site.run().stderr


def wait_for(proxy: FaultyS3, operation: str, count: int) -> None:
    while proxy.operations().count(operation) < count:
        time.sleep(0.02)


def begun(site: Site, proxy: FaultyS3) -> subprocess.Popen[str]:
    """A run with four uploads under way, whose parts do not arrive."""
    for folder in site.root.glob("source-*"):
        (folder / "large").write_bytes(os.urandom(6 << 20))
    proxy.add(Fault("UploadPart", stall(40)))
    running = subprocess.Popen(site.command(), env=site.full_environment(), stderr=subprocess.PIPE, text=True)
    wait_for(proxy, "UploadPart", 4)
    return running


def test_a_signal_ends_all_within_half_a_minute_and_leaves_nothing(tmp_path: Path, proxied: FaultyS3) -> None:
    site = site_of(tmp_path / "site", proxied.server, 4)
    running = begun(site, proxied)
    began = time.monotonic()
    running.send_signal(signal.SIGTERM)
    stderr = running.communicate(timeout=40)[1]
    assert time.monotonic() - began < 30
    assert running.returncode == 128 + signal.SIGTERM
    assert "FAILED" not in stderr
    assert "Traceback" not in stderr
    proxied.clear()
    assert proxied.server.unfinished_uploads(site.bucket) == []
    assert site.archive_keys() == []
    assert not list(site.diff_dir.rglob("state.json"))
    assert night(site, 0).done == 6


def test_after_a_kill_the_next_night_tidies_up(tmp_path: Path, proxied: FaultyS3) -> None:
    site = site_of(tmp_path / "site", proxied.server, 4)
    running = begun(site, proxied)
    running.kill()
    running.communicate()
    proxied.clear()
    assert len(proxied.server.unfinished_uploads(site.bucket)) == 4
    assert night(site, 1).done == 6
    assert proxied.server.unfinished_uploads(site.bucket) == []


def test_uploads_at_a_time_share_the_memory_of_one(
    tmp_path: Path, proxied: FaultyS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More sources than buffers: each has two parts, and none may wait for another one for ever."""
    site = site_of(tmp_path / "site", proxied.server, 6, general="UploadThreads 1\nCompression none")
    for folder in site.root.glob("source-*"):
        (folder / "large").write_bytes(os.urandom(7 << 20))
    used: set[PartBuffers] = set()
    take = PartBuffers.take

    def noted(buffers: PartBuffers, size: int) -> bytearray:
        used.add(buffers)
        return take(buffers, size)

    monkeypatch.setattr(PartBuffers, "take", noted)
    assert night(site, 0).done == 6
    assert [buffers.most_held for buffers in used if buffers.most_held > 5 << 20] == [10 << 20]
    assert proxied.operations().count("UploadPart") == 12
