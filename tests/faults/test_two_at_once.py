"""Runs that meet, machines that share a bucket, and a world that changed overnight."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import date
from pathlib import Path

import pytest

from tests.faulty_s3 import Fault, FaultyS3, delay
from tests.servers import S3Server
from tests.site import FIRST_DAY, Site
from tests.waiting import becomes

CYCLE = "Diffs 6\nFulls 2"


@pytest.fixture
def site(site: Site) -> Site:
    (site.source / "file").write_text("content")
    return site


def begin(site: Site, *options: str, day: int = 0) -> subprocess.Popen[bytes]:
    command = site.command(*options, day=day)
    return subprocess.Popen(command, env=site.full_environment(), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def wait_for(path: Path) -> None:
    assert becomes(path.exists, 30), path


def assert_recovers(site: Site, keys: list[str], target: Path) -> None:
    recovered = site.recover(keys, target)
    difference = subprocess.run(["diff", "-r", recovered, site.source], capture_output=True, text=True, check=False)
    assert difference.returncode == 0, difference.stdout


def test_the_second_of_two_runs_exits_at_once_and_a_dead_ones_lock_stops_nobody(site: Site, tmp_path: Path) -> None:
    site.configure_cycle(CYCLE)
    ready = tmp_path / "ready"
    fake = site.fake_program("tar", f'case "$1" in --version) exec REAL "$@";; esac\n: > {ready}; exec sleep 60')
    first = begin(site)
    wait_for(ready)
    began = time.monotonic()
    second = site.run(expect=4)
    assert time.monotonic() - began < 30
    assert f"process {first.pid}" in second.stderr
    assert site.run("-t").returncode == 0
    first.kill()
    first.wait()
    fake.unlink()
    site.run()
    assert len(site.archive_keys()) == 1


def test_two_hosts_with_one_bucket_keep_out_of_each_others_way(tmp_path: Path, rclone: S3Server) -> None:
    """At the same time; with a Prefix both succeed, without one whoever comes second is refused."""
    hosts = [Site(tmp_path / name, rclone, "") for name in ("one", "two")]
    hosts[1].bucket = hosts[0].bucket
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "file").write_text("content")
    for host in hosts:
        host.configure(f"<Cycle a>\nDirectory {shared}\n</Cycle>", general=f"Prefix {host.root.name}")
    both = [begin(host) for host in hosts]
    assert [process.wait(60) for process in both] == [0, 0]
    assert len(hosts[0].archive_keys()) == 2
    for host in hosts:
        host.configure(f"<Cycle a>\nDirectory {shared}\n</Cycle>")
        text = host.configuration.read_text().replace("HostName test-host", f"HostName {host.root.name}")
        host.configuration.write_text(text)
    hosts[0].run(day=1)
    before = hosts[0].contents()
    refused = hosts[1].run(day=1, expect=1)
    assert "host one" in refused.stderr
    assert hosts[0].contents() == before


def test_a_restore_during_a_run_gets_the_old_archive_or_the_new_one(
    tmp_path: Path, rclone: S3Server, faulty: Callable[[S3Server], FaultyS3]
) -> None:
    proxy = faulty(rclone)
    site = Site(tmp_path / "site", proxy.server)
    site.configure_cycle("Fulls 1", general="ChunkSize 5242880")
    (site.source / "big").write_bytes(os.urandom(6_000_000))
    site.run(day=0)
    old = (site.source / "big").read_bytes()
    (site.source / "big").write_bytes(os.urandom(6_000_000))
    proxy.add(Fault("CompleteMultipartUpload", delay(2)))
    running = begin(site, day=1)
    assert becomes(lambda: "CompleteMultipartUpload" in proxy.operations()[2:], 30)
    site.run("restore", str(site.source), "--to", str(tmp_path / "out"), day=1)
    assert (tmp_path / f"out{site.source}/big").read_bytes() == old
    assert running.wait(60) == 0
    site.run("restore", str(site.source), "--to", str(tmp_path / "later"), day=1)
    assert (tmp_path / f"later{site.source}/big").read_bytes() == (site.source / "big").read_bytes()


@pytest.mark.parametrize("back", [2, 30], ids=["two days", "a month"])
def test_a_clock_set_back_changes_nothing_until_it_is_said_to_be_right(site: Site, back: int, tmp_path: Path) -> None:
    site.configure_cycle(CYCLE)
    site.run(day=40)
    site.run(day=41)
    before, state = site.contents(), site.diff_dir_contents()
    refused = site.run(day=41 - back, expect=1)
    assert "the clock may be wrong" in refused.stderr
    assert (site.contents(), site.diff_dir_contents()) == (before, state)
    site.run("-f", day=41 - back)
    site.run(day=42 - back)
    assert_recovers(site, chain(site, of_night(site, 42 - back)), tmp_path / "out")


@pytest.mark.parametrize("missed", [1, 30], ids=["a day", "a month"])
def test_missed_nights_leave_a_chain_that_recovers(site: Site, missed: int, tmp_path: Path) -> None:
    site.configure_cycle(CYCLE)
    site.run(day=0)
    (site.source / "second").write_text("2")
    site.run(day=1)
    (site.source / "file").unlink()
    site.run(day=2 + missed)
    assert_recovers(site, chain(site, newest(site)), tmp_path / "out")


def newest(site: Site) -> str:
    """The archive of the latest day."""
    return max(site.archive_keys(), key=lambda key: int(site.metadata(key)["s3napback-day"]))


def of_night(site: Site, night: int) -> str:
    """The archive of a night."""
    day = (FIRST_DAY - date(1970, 1, 1)).days + night
    (key,) = [key for key in site.archive_keys() if site.metadata(key)["s3napback-day"] == str(day)]
    return key


def chain(site: Site, key: str) -> list[str]:
    """An archive's chain, by what the archives say of their parents."""
    metadata = {each: site.metadata(each) for each in site.archive_keys()}
    by_id = {each["s3napback-id"]: name for name, each in metadata.items()}
    keys = [key]
    while parent := metadata[keys[0]].get("s3napback-parent"):
        keys.insert(0, by_id[parent])
    return keys


def test_a_lost_diff_dir_and_an_emptied_bucket_cost_one_full(tmp_path: Path, rclone: S3Server) -> None:
    site = Site(tmp_path / "site", rclone)
    (site.source / "file").write_text("content")
    site.configure_cycle(CYCLE)
    site.run(day=0)
    site.run(day=1)
    shutil.rmtree(site.diff_dir)
    site.diff_dir.mkdir(mode=0o700)
    site.run(day=2)
    assert site.slots()[-1].endswith("FULL")
    for key in site.archive_keys(sums=True):
        rclone.client().delete_object(Bucket=site.bucket, Key=key)
    (site.source / "later").write_text("later")
    done = site.run(day=3)
    assert "no longer in the store" in done.stderr
    (key,) = site.archive_keys()
    assert_recovers(site, [key], tmp_path / "out")


def test_a_disk_that_is_not_mounted_is_neither_backed_up_empty_nor_written_to(site: Site, tmp_path: Path) -> None:
    """Real mounts: first the source's disk is away, then the store's."""
    site.configure_cycle(CYCLE)
    (site.source / "file").unlink()
    with ExitStack() as mounts:
        for place in (site.source, site.vault):
            disk = tmp_path / f"disk of {place.name}"
            disk.mkdir()
            mounts.enter_context(mounted(disk, place))
        (site.source / "file").write_text("content")
        site.run(day=0)
        before = site.contents()
        for place, words in ((site.source, "is empty"), (site.vault, "Is the disk not mounted?")):
            subprocess.run(["umount", str(place)], check=True)
            refused = site.run(day=1, expect=1)
            assert words in refused.stderr
            assert list(place.iterdir()) == []
            subprocess.run(["mount", "--bind", str(tmp_path / f"disk of {place.name}"), str(place)], check=True)
            assert site.contents() == before
        site.run(day=1)
        assert_recovers(site, chain(site, newest(site)), tmp_path / "out")


def test_a_disk_that_is_unmounted_in_the_midst_of_a_run_takes_no_archive_any_more(site: Site) -> None:
    (site.source / "file").write_text("content")
    site.configure_cycle(CYCLE)
    site.run(day=0)
    away = f"mv {site.vault} {site.root}/disk; mkdir {site.vault}"
    script = site.root / "unmount"
    script.write_text(f"#!/bin/sh\n{away}\n")
    script.chmod(0o755)
    site.configure(f"<Cycle nightly>\n{CYCLE}\n<Directory {site.source}>\nBefore {script}\n</Directory>\n</Cycle>")
    refused = site.run(day=1, expect=1)
    assert "does not hold the mark any more" in refused.stderr
    assert list(site.vault.iterdir()) == []


@contextmanager
def mounted(disk: Path, place: Path) -> Iterator[None]:
    subprocess.run(["mount", "--bind", str(disk), str(place)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_a_cloned_host_is_refused_until_it_has_a_name_and_prefix_of_its_own(site: Site, tmp_path: Path) -> None:
    """With its DiffDir, it knows the chain; the archives tell that the other one has gone on with it."""
    site.configure_cycle(CYCLE)
    site.run(day=0)
    clone = tmp_path / "clone-diffs"
    shutil.copytree(site.diff_dir, clone)
    site.run(day=1)
    before = site.contents()
    text = site.configuration.read_text()
    site.configuration.write_text(
        text.replace(f"DiffDir {site.diff_dir}", f"DiffDir {clone}").replace("test-host", "clone")
    )
    refused = site.run(day=1, expect=1)
    assert "belongs to" in refused.stderr
    assert site.contents() == before
    # Not even a name of its own: the clone comes second, and finds the night's work done, which it warns of.
    site.configuration.write_text(text.replace(f"DiffDir {site.diff_dir}", f"DiffDir {clone}"))
    done = site.run("--strict", day=1, expect=3)
    assert "done already today: by a run that this DiffDir knows nothing of. If it was another machine" in done.stderr
    assert site.contents() == before
    # The next night it builds on what it remembers, which is still there: both chains recover.
    (site.source / "more").write_text("more")
    site.run(day=2)
    assert_recovers(site, chain(site, newest(site)), tmp_path / "of the clone")
    site.configuration.write_text(text)
    site.run(day=3)
    assert_recovers(site, chain(site, newest(site)), tmp_path / "of the first")


def test_a_renamed_cycle_and_a_second_one_lose_nothing(site: Site, tmp_path: Path) -> None:
    """A name is qualified by the Cycle's only while two Cycles hold the source."""
    one = f"<Cycle daily>\n{CYCLE}\nDirectory {site.source}\n</Cycle>\n"
    two = f"<Cycle weekly>\n{CYCLE}\nDirectory {site.source}\n</Cycle>\n"
    bodies = [
        one,
        one.replace("daily", "nightly"),
        one.replace("daily", "nightly") + two,
        one.replace("daily", "nightly"),
    ]
    for number, body in enumerate(bodies):
        for night in (2 * number, 2 * number + 1):
            (site.source / f"night-{night}").write_text(str(night))
            before = site.contents()
            site.configure(body)
            site.run(day=night)
            now = site.contents()
            assert {key: data for key, data in before.items() if now.get(key) != data} == {}
            today = site.metadata(newest(site))["s3napback-day"]
            made = [key for key in site.archive_keys() if site.metadata(key)["s3napback-day"] == today]
            assert len(made) == (2 if "weekly" in body else 1)
            for number_of_cycle, each in enumerate(made):
                assert_recovers(site, chain(site, each), tmp_path / f"{night}-{number_of_cycle}")
