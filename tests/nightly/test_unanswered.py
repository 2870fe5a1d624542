"""An archive that has arrived, and of which its run did not learn that, is not taken for another machine's."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faulty_s3 import Action, Answer, Fault, FaultyS3, Forward, Request, answer, reset
from tests.servers import S3Server
from tests.site import Site
from tests.waiting import becomes

ARCHIVE = ".*-(FULL|DIFF)"


@pytest.fixture
def proxy(moto: S3Server, faulty: Callable[[S3Server], FaultyS3]) -> FaultyS3:
    return faulty(moto)


@pytest.fixture
def site(tmp_path: Path, proxy: FaultyS3) -> Site:
    site = Site(tmp_path / "site", proxy.server)
    (site.source / "file").write_text("content")
    site.configure_cycle("Diffs 3\nFulls 2", general="StallTimeout 1")
    for day in range(2):
        site.run(day=day)
    return site


def taken_slowly(request: Request, forward: Forward) -> Answer:
    """Nothing is answered for a while."""
    taken = forward(request)
    time.sleep(0.8)
    return taken


def lose_answer(site: Site, proxy: FaultyS3) -> None:
    """The store is away as soon as it has taken the archive."""
    proxy.add(Fault("PutObject", reset(after=True), key=ARCHIVE))
    proxy.add(Fault("HeadObject", lambda request, forward: forward(request), nth=(1, 2), key=ARCHIVE))
    proxy.add(Fault("HeadObject", reset(), key=ARCHIVE))
    assert "1 failed" in site.run("-f", day=1, expect=1).stderr


def interrupt(site: Site, proxy: FaultyS3) -> None:
    """A signal comes while the store takes the archive."""
    proxy.add(Fault("PutObject", taken_slowly, key=ARCHIVE))
    seen = len(proxy.seen)
    running = subprocess.Popen(
        site.command("-f", day=1), env=site.full_environment(), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    assert becomes(lambda: any(each.operation == "PutObject" for each in proxy.seen[seen:]), 60)
    running.terminate()
    assert running.wait(30) == 128 + signal.SIGTERM
    proxy.wait_until_idle()


def fail_looks(proxy: FaultyS3, action: Action) -> None:
    """From now on, at what has been stored."""
    seen = len(proxy.seen)

    def act(request: Request, forward: Forward) -> Answer | None:
        is_stored = any(each.operation == "PutObject" and each.key == request.key for each in proxy.seen[seen:])
        return action(request, forward) if is_stored else forward(request)

    proxy.add(Fault("HeadObject|GetObject", act, key=ARCHIVE))


def refuse_look(site: Site, proxy: FaultyS3) -> None:
    """The store has taken the archive, and does not let it be looked at."""
    fail_looks(proxy, answer(403, "AccessDenied"))
    assert "1 failed" in site.run("-f", day=1, expect=1).stderr


@pytest.mark.parametrize("end", [lose_answer, interrupt, refuse_look])
def test_what_a_run_did_not_learn_of_is_no_other_machines(
    site: Site, proxy: FaultyS3, end: Callable[[Site, FaultyS3], None]
) -> None:
    (key,) = (key for key in site.archive_keys() if key.endswith("DIFF"))
    before = site.metadata(key)["s3napback-id"]
    end(site, proxy)
    proxy.clear()
    assert site.metadata(key)["s3napback-id"] != before
    site.run("--strict", day=2)
    assert not list(site.diff_dir.rglob("uploading"))


@pytest.mark.parametrize("refused", ["PutObject", ""], ids=["by the store", "by the source"])
def test_nor_is_it_when_another_run_failed_after_that(site: Site, proxy: FaultyS3, refused: str) -> None:
    lose_answer(site, proxy)
    proxy.clear()
    if refused:
        proxy.add(Fault(refused, answer(403, "AccessDenied"), key=ARCHIVE))
    else:
        site.fake_program("tar", 'case "$*" in *--create*) exit 2;; esac; exec REAL "$@"')
    site.run(day=2, expect=1)
    proxy.clear()
    site.environment.pop("PATH", None)
    assert "another machine" not in site.run(day=3).stderr
    assert not list(site.diff_dir.rglob("uploading"))


def test_a_checksum_that_the_store_has_lost_is_none_that_the_night_waits_for(site: Site, proxy: FaultyS3) -> None:
    """An archive of today of which DiffDir does not know is made once more."""
    before, known = site.root / "before", site.archive_keys()
    shutil.copytree(site.diff_dir, before)
    site.run(day=2)
    shutil.rmtree(site.diff_dir)
    shutil.copytree(before, site.diff_dir)
    (key,) = set(site.archive_keys()) - set(known)
    old = site.metadata(key)["s3napback-id"]
    proxy.add(Fault("GetObject", answer(500, "InternalError"), key=r".*\.sha256"))
    site.run(day=2)
    assert site.metadata(key)["s3napback-id"] != old
