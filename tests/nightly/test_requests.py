"""How many requests a night makes, and that those which it spares are missed by nobody."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

import s3napback.catalogue.left_out
from s3napback.backup import slots
from s3napback.backup.tally import Tally
from s3napback.commands import backup
from s3napback.config.loading import load_configuration
from s3napback.deciding.facts import BackupOptions
from tests.benchmarks.slow_store import slow_store
from tests.faulty_s3 import Answer, Fault, FaultyS3, Forward, Request, change_answer, stall
from tests.left_out import left_out
from tests.servers import S3Server
from tests.site import FIRST_DAY, Site


def night(site: Site, number: int, options: BackupOptions | None = None) -> Tally:
    """One night in this process."""
    configuration = load_configuration(site.configuration)
    return backup.run(configuration, FIRST_DAY + timedelta(days=number), options or BackupOptions())


def configure(site: Site, count: int, general: str = "") -> None:
    """So many small directories in a cycle of DIFFs, and one that is due once a week."""
    folders = [site.root / f"source-{number}" for number in range(count)]
    for folder in folders:
        folder.mkdir()
        (folder / "file").write_text("content")
    directives = "\n".join(f"Directory {folder}" for folder in folders)
    weekly = f"<Cycle weekly>\nFrequency 7\nDirectory {site.source}\n</Cycle>"
    site.configure(f"<Cycle nightly>\nDiffs 6\n{directives}\n</Cycle>\n{weekly}", general=general)


RUNS_WORD = Counter(GetObject=1, PutObject=1)


class Watched:
    """A site with a server that tells which requests it got."""

    def __init__(self, site: Site, seen: list[str]) -> None:
        self.site = site
        self.seen = seen

    def requests(self, number: int, options: BackupOptions | None = None) -> Counter[str]:
        self.seen.clear()
        assert night(self.site, number, options).exit_code == 0
        return Counter(self.seen) - RUNS_WORD


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    seen: list[str] = []
    with slow_store(0, seen) as server:
        yield Watched(Site(tmp_path / "site", server, "bucket"), seen)


LISTINGS = {"ListObjectsV2": 1, "ListMultipartUploads": 1}


@pytest.mark.parametrize(("count", "jobs"), [(1, 1), (1, 4), (10, 1), (50, 4)])
def test_each_source_costs_five_requests_and_a_run_two_listings(watched: Watched, count: int, jobs: int) -> None:
    configure(watched.site, count, f"Jobs {jobs}")
    first = watched.requests(0)
    assert first == {**LISTINGS, "HeadObject": 2 * (count + 1), "PutObject": 3 * (count + 1)}
    for number in (1, 2):
        assert watched.requests(number) == {**LISTINGS, "HeadObject": 2 * count, "PutObject": 3 * count}
    assert watched.requests(2) == LISTINGS


def test_a_slot_that_holds_the_archive_of_another_rotation_costs_nothing_more(watched: Watched) -> None:
    watched.site.configure_cycle("Diffs 1\nFulls 2")
    for number in range(4):
        watched.requests(number)
    for number in range(4, 7):
        assert watched.requests(number) == {**LISTINGS, "HeadObject": 2, "PutObject": 3}
    # The DIFF of the slot goes: a look whose it is, and it is deleted with its checksum.
    full = watched.requests(7, BackupOptions(full=True))
    assert full == {**LISTINGS, "HeadObject": 3, "PutObject": 3, "DeleteObject": 3}


def test_a_character_that_not_every_store_keeps_is_looked_for_in_a_listing_once(watched: Watched) -> None:
    for name in ("a b", "c d"):
        (watched.site.root / name).mkdir()
    sources = "\n".join(f'Directory "{watched.site.root / name}"' for name in ("a b", "c d"))
    watched.site.configure(f"<Cycle nightly>\nDiffs 6\n{sources}\n</Cycle>")
    assert watched.requests(0)["ListObjectsV2"] == 2
    assert watched.requests(1)["ListObjectsV2"] == 1


def test_where_nothing_is_due_the_store_is_checked_and_no_more(watched: Watched) -> None:
    watched.site.configure_cycle("Frequency 7")
    watched.requests(0)
    assert watched.requests(1) == {"ListObjectsV2": 1}


class Proxied:
    """A site with a real server behind a faulty proxy."""

    def __init__(self, site: Site, proxy: FaultyS3) -> None:
        self.site = site
        self.proxy = proxy
        self.client = proxy.server.client()

    def put(self, where: str, **metadata: str) -> None:
        """Put an object into a slot, behind the program's back."""
        named = {f"s3napback-{name}": value for name, value in metadata.items()}
        key = f"{self.site.name()}-{where}"
        self.client.put_object(Bucket=self.site.bucket, Key=key, Body=b"of somebody else", Metadata=named)

    def after_the_listing(self, action: Callable[[], None]) -> None:
        """Do something as soon as the listing has been made."""

        def act(request: Request, forward: Forward) -> Answer:
            answer = forward(request)
            action()
            return answer

        self.proxy.add(Fault("ListObjectsV2", act, nth=1))


@pytest.fixture
def proxied(tmp_path: Path, rclone: S3Server, faulty: Callable[[S3Server], FaultyS3]) -> Proxied:
    proxy = faulty(rclone)
    site = Site(tmp_path / "site", proxy.server)
    (site.source / "file").write_text("content")
    site.configure_cycle("Diffs 6\nFulls 2")
    return Proxied(site, proxy)


@pytest.mark.parametrize("slot", ["1-DIFF", "1-FULL"])
def test_what_another_host_has_put_into_the_slot_since_the_listing_is_not_touched(proxied: Proxied, slot: str) -> None:
    night(proxied.site, 0)
    theirs = {
        "format": "1", "id": "theirs", "slot": "1", "type": slot[2:], "source": "Directory /theirs", "host": "other",
        "started": "2026-01-02T00:00:00Z", "day": "20455",
    }  # fmt: skip
    proxied.after_the_listing(lambda: proxied.put(slot, **theirs))
    state = proxied.site.diff_dir_contents()
    failed = night(proxied.site, 1).failed
    assert proxied.site.fetch(f"{proxied.site.name()}-{slot}") == b"of somebody else"
    # Beside it, and with nothing of it deleted, there is room for our own.
    assert failed == (slot == "1-DIFF")
    assert (proxied.site.diff_dir_contents() == state) == (slot == "1-DIFF")
    assert proxied.site.server is not None
    assert proxied.site.server.unfinished_uploads(proxied.site.bucket) == []
    proxied.proxy.clear()
    assert night(proxied.site, 1).failed == 1


def test_what_another_host_puts_into_the_slot_behind_the_first_look_is_seen_once_that_is_old(
    proxied: Proxied, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slots, "FRESH_SECONDS", 0.0, raising=False)
    theirs = {
        "format": "1", "id": "theirs", "slot": "0", "type": "FULL", "source": "Directory /theirs", "host": "other",
        "started": "2026-01-01T00:00:00Z", "day": "20454",
    }  # fmt: skip

    def act(request: Request, forward: Forward) -> Answer:
        answer = forward(request)
        proxied.put("0-FULL", **theirs)
        return answer

    proxied.proxy.add(Fault("HeadObject", act, nth=1, key=".*-0-FULL"))
    assert night(proxied.site, 0).failed == 1
    assert proxied.site.fetch(f"{proxied.site.name()}-0-FULL") == b"of somebody else"


def test_a_parent_that_was_replaced_is_noticed_whatever_it_says_of_itself(proxied: Proxied) -> None:
    night(proxied.site, 0)
    (full,) = proxied.site.archive_keys()
    time.sleep(1.1)  # a store may keep times in whole seconds
    metadata = {name.removeprefix("s3napback-"): value for name, value in proxied.site.metadata(full).items()}
    proxied.put("0-FULL", **{**metadata, "id": "another"})
    night(proxied.site, 1)
    assert proxied.site.slots() == ["0-FULL", "1-FULL"]


def test_a_parent_that_a_listing_does_not_show_yet_is_asked_for(proxied: Proxied) -> None:
    night(proxied.site, 0)
    empty = b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"
    proxied.proxy.add(Fault("ListObjectsV2", change_answer(lambda answer: Answer(200, answer.headers, empty))))
    night(proxied.site, 1)
    proxied.proxy.clear()
    assert proxied.site.slots() == ["0-FULL", "1-DIFF"]


@pytest.mark.parametrize("lag", [timedelta(days=1), timedelta(0)])
def test_of_a_parent_that_listings_leave_out_for_long_a_night_that_builds_on_it_says_so(
    proxied: Proxied, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, lag: timedelta
) -> None:
    monkeypatch.setattr(s3napback.catalogue.left_out, "LONGEST_LAG", lag)
    night(proxied.site, 0)
    (full,) = proxied.site.archive_keys()
    proxied.proxy.add(left_out(re.escape(full)))
    caplog.clear()
    tally = night(proxied.site, 1)
    assert (tally.done, tally.failed) == (1, 0)
    told = [
        record.getMessage()
        for record in caplog.records
        if "is left out when the store is listed" in record.getMessage()
    ]
    assert [line.partition(" ")[0] for line in told] == ([] if lag else [f"s3://{proxied.site.bucket}/{full}"])


def test_state_of_an_earlier_version_costs_more_looks_and_no_full(proxied: Proxied) -> None:
    night(proxied.site, 0)
    for file in proxied.site.diff_dir.rglob("state.json"):
        text = file.read_text()
        start = text.index(' "stored"')
        file.write_text(text[:start] + text[text.index(' "taken_over"') :])
    night(proxied.site, 1)
    night(proxied.site, 2)
    assert proxied.site.slots() == ["0-FULL", "1-DIFF", "2-DIFF"]


def test_what_a_killed_run_left_is_found_also_where_uploads_are_told_by_their_key_alone(proxied: Proxied) -> None:
    site, proxy = proxied.site, proxied.proxy
    site.configure_cycle("Diffs 6\nFulls 2", general="ChunkSize 5242880")
    (site.source / "large").write_bytes(bytes(range(256)) * 4 * 6000)
    site.configure_cycle("Diffs 6\nFulls 2", general="ChunkSize 5242880\nCompression none")
    proxy.add(Fault("UploadPart", stall(60)))
    running = subprocess.Popen(site.command(day=0), env=site.full_environment(), stderr=subprocess.DEVNULL)
    while "UploadPart" not in proxy.operations():
        time.sleep(0.02)
    running.send_signal(signal.SIGKILL)
    running.wait()
    proxy.clear()
    assert len(proxy.server.unfinished_uploads(site.bucket)) == 1

    def as_minio(request: Request, forward: Forward) -> Answer:
        answer = forward(request)
        if "prefix=" + site.name().partition("/")[0] in request.path:
            return answer
        return Answer(200, answer.headers, b"<ListMultipartUploadsResult/>")

    proxy.add(Fault("ListMultipartUploads", as_minio))
    assert night(site, 0).done == 1
    proxy.clear()
    assert proxy.server.unfinished_uploads(site.bucket) == []
