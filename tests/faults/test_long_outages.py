"""Nights through outages as long as they are in the world: minutes, so only with ``pytest --outages``.

What these wait for, shorter ones prove in every run (``tests/stores/test_waiting.py``, ``test_matrix_s3.py``), with
limits that are shorter as well. Here the limits are those that a nightly run has.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.faulty_s3 import Action, Answer, Fault, FaultyS3, Forward, Request, answer, delay, reset
from tests.servers import S3Server
from tests.site import Site

pytestmark = [pytest.mark.outages, pytest.mark.long(60), pytest.mark.timeout(1200)]

PART = 5_242_880


@dataclass
class Outage:
    """Does what an action does for so many seconds, from the first request on that it is asked about."""

    seconds: float
    action: Action
    met: int = 0
    began: float = field(default=0.0)

    def __call__(self, request: Request, forward: Forward) -> Answer | None:
        self.began = self.began or time.monotonic()
        if time.monotonic() - self.began > self.seconds:
            return forward(request)
        self.met += 1
        return self.action(request, forward)


@dataclass
class Lagging:
    """A server whose answers to HEAD are those of some seconds before: that there is nothing."""

    seconds: float
    begun: dict[str, float] = field(default_factory=dict)
    met: int = 0

    def put(self, request: Request, forward: Forward) -> Answer:
        found = forward(request)
        self.begun.setdefault(request.key, time.monotonic())
        return found

    def head(self, request: Request, forward: Forward) -> Answer | None:
        if time.monotonic() - self.begun.get(request.key, 0.0) > self.seconds:
            return forward(request)
        self.met += 1
        return answer(404, "NoSuchKey")(request, forward)


@pytest.fixture
def proxied(tmp_path: Path, rclone: S3Server, faulty: Callable[[S3Server], FaultyS3]) -> tuple[Site, FaultyS3]:
    proxy = faulty(rclone)
    return Site(tmp_path / "site", proxy.server), proxy


def fill(site: Site, parts: int, threads: int = 4) -> None:
    (site.source / "large").write_bytes(os.urandom(parts * PART))
    general = f"ChunkSize {PART}\nUploadThreads {threads}\nCompression none"
    site.configure_cycle("Diffs 1\nFulls 2", general=general)


def night(site: Site) -> None:
    """One that may take longer than those of other tests."""
    done = subprocess.run(
        site.command(day=0), env=site.full_environment(), capture_output=True, text=True, timeout=600, check=False
    )
    assert "1 done, 0 skipped, 0 failed" in done.stderr


def restored(site: Site, target: Path) -> bytes:
    site.run("restore", str(site.source), "--to", str(target), day=0)
    return (target / site.name() / "large").read_bytes()


@pytest.mark.parametrize(
    ("action", "operation", "threads", "seconds"),
    [
        (reset(), ".*", 4, 75),
        (reset(), "UploadPart", 4, 75),
        (answer(503, "SlowDown"), ".*", 4, 75),
        (answer(503, "SlowDown"), "UploadPart|CompleteMultipartUpload", 4, 75),
        (answer(503, "SlowDown"), "UploadPart", 64, 60),
    ],
    ids=["all-reset", "parts-reset", "all-503", "upload-503", "64-threads"],
)
def test_a_night_survives_what_lasts_for_more_than_a_minute(
    proxied: tuple[Site, FaultyS3], tmp_path: Path, action: Action, operation: str, threads: int, seconds: int
) -> None:
    site, proxy = proxied
    fill(site, threads, threads)
    outage = Outage(seconds, action)
    proxy.add(Fault(operation, outage))
    begun = time.monotonic()
    night(site)
    took = time.monotonic() - begun
    assert outage.met >= threads
    assert seconds <= took < seconds + 45
    proxy.clear()
    assert restored(site, tmp_path / "out") == (site.source / "large").read_bytes()


@pytest.mark.parametrize("is_silent", [False, True], ids=["answered", "cut"])
def test_a_night_survives_a_completion_of_five_minutes(
    proxied: tuple[Site, FaultyS3], tmp_path: Path, *, is_silent: bool
) -> None:
    """Answered after all, or cut off when it is done, as a proxy in between may do it."""
    site, proxy = proxied
    fill(site, 3)

    def cut(request: Request, forward: Forward) -> None:
        time.sleep(300)
        forward(request)

    proxy.add(Fault("CompleteMultipartUpload", cut if is_silent else delay(300), nth=1))
    night(site)
    assert proxy.server.unfinished_uploads(site.bucket) == []
    proxy.clear()
    assert restored(site, tmp_path / "out") == (site.source / "large").read_bytes()


def test_a_night_survives_a_store_that_tells_of_what_it_got_half_a_minute_late(
    proxied: tuple[Site, FaultyS3], tmp_path: Path
) -> None:
    site, proxy = proxied
    fill(site, 3)
    lagging = Lagging(30)
    proxy.add(Fault("CompleteMultipartUpload|PutObject", lagging.put), Fault("HeadObject", lagging.head))
    night(site)
    assert lagging.met > 1
    proxy.clear()
    assert restored(site, tmp_path / "out") == (site.source / "large").read_bytes()
