"""``--as-of``: what a bucket still holds after somebody with the machine's key has been at it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.faulty_s3 import Fault, FaultyS3, answer
from tests.past import FIRST, Past, Thief, is_version, past_server, tree, written
from tests.servers import S3Server
from tests.site import Site, files

NIGHTS = 6
THEFT = FIRST + timedelta(days=NIGHTS, hours=12)


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with past_server() as running:
        yield running


@dataclass(frozen=True)
class Robbed:
    """A machine after a theft.

    Attributes:
        copies: the source as it was after each night.
        listings: what ``list --json`` said after each.
    """

    site: Site
    past: Past
    copies: tuple[dict[str, bytes], ...]
    listings: tuple[dict[str, Any], ...]


def evening(night: int) -> str:
    """When what a night made was all there."""
    return written(FIRST + timedelta(days=night, hours=12))


def listing(site: Site, *options: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(site.run("list", "--json", *options).stdout)
    return found


@pytest.fixture(scope="module")
def robbed(server: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Robbed:
    """Nights with archives of one part and of several, in slots that were used before; then all that a thief can do."""
    past = Past.begin(server)
    site = Site(tmp_path_factory.mktemp("robbed"), server, past.bucket)
    site.configure_cycle("Diffs 1\nFulls 2", general="ChunkSize 5242880")
    (site.source / "noise").write_bytes(os.urandom(5_500_000))
    (site.source / "note").write_text("this, and nothing else")
    copies, listings = [], []
    for night in range(NIGHTS):
        (site.source / f"night-{night}").write_bytes(os.urandom(100))
        (site.source / f"night-{night - 2}").unlink(missing_ok=True)
        site.run(day=night)
        past.date_night(night)
        copies.append(files(site.source))
        listings.append(listing(site))
    rob(past, site)
    return Robbed(site, past, tuple(copies), tuple(listings))


def rob(past: Past, site: Site) -> None:
    """Each of a thief's steps upon the other."""
    thief = Thief(past)
    keys = past.keys()
    archives = [key for key in keys if key.endswith(("-FULL", "-DIFF"))]
    metadata = {key: past.server.client().head_object(Bucket=past.bucket, Key=key)["Metadata"] for key in archives}
    planted = tree({f"{site.name()}/ransom": b"pay"})
    for key in archives:
        # Begun in the honest time, in which the thief was there already: with the id of what he found, and of his own.
        thief.finish_late(key, planted, metadata[key], FIRST + timedelta(days=NIGHTS - 1, hours=6))
        own = {**metadata[key], "s3napback-id": "thief", "s3napback-type": "FULL", "s3napback-parent": ""}
        thief.finish_late(key, planted, own, FIRST + timedelta(days=NIGHTS - 1, hours=7))
    new = f"{site.name()}-9-FULL"
    own = {**metadata[archives[0]], "s3napback-id": "thief", "s3napback-day": "20999", "s3napback-slot": "9"}
    # Never the newest, however fast the nights went by.
    own["s3napback-started"] = written(FIRST)
    thief.finish_late(new, planted, own, FIRST + timedelta(days=NIGHTS - 1, hours=8))
    thief.finish_late(f"{new}.sha256", sum_of("thief", len(planted)), {}, FIRST + timedelta(days=NIGHTS - 1, hours=8))
    thief.spoil(keys)
    past.date(THEFT)
    thief.delete(keys)
    past.date(THEFT + timedelta(minutes=1))
    for key in archives:
        past.server.client().put_object(
            Bucket=past.bucket, Key=key, Body=planted,
            Metadata={**metadata[key], "s3napback-type": "FULL", "s3napback-parent": "", "s3napback-day": "20999"},
        )  # fmt: skip
    past.date(THEFT + timedelta(minutes=2))


def sum_of(identity: str, size: int) -> bytes:
    return f"{'0' * 64}  x\n# id {identity}\n# bytes stored {size}\n".encode()


def restored(robbed: Robbed, target: Path, *options: str) -> dict[str, bytes]:
    robbed.site.run("restore", str(robbed.site.source), "--to", str(target), *options)
    return files(target / robbed.site.name())


def test_without_it_the_thief_decides_what_is_restored(robbed: Robbed, tmp_path: Path) -> None:
    assert restored(robbed, tmp_path / "now") == {"ransom": b"pay"}


@pytest.mark.parametrize("night", range(NIGHTS))
def test_every_night_comes_back_byte_for_byte(robbed: Robbed, tmp_path: Path, night: int) -> None:
    assert restored(robbed, tmp_path / "then", "--as-of", evening(night)) == robbed.copies[night]


def test_days_before_come_back_out_of_the_last_evening_before(robbed: Robbed, tmp_path: Path) -> None:
    day = "2026-01-05"
    assert restored(robbed, tmp_path / "then", "--as-of", evening(NIGHTS - 1), "--at", day) == robbed.copies[4]


def test_a_path_comes_out_of_the_index_of_then(robbed: Robbed, tmp_path: Path) -> None:
    found = robbed.site.run(
        *("restore", str(robbed.site.source), f"{robbed.site.source}/night-5", "--to", str(tmp_path / "then")),
        *("--as-of", evening(NIGHTS - 1)),
    )
    assert files(tmp_path / "then" / robbed.site.name()) == {"night-5": robbed.copies[5]["night-5"]}
    assert "is fetched in parts" not in found.stderr


@pytest.mark.parametrize("night", [0, NIGHTS - 2])
def test_the_list_is_that_of_then(robbed: Robbed, night: int) -> None:
    assert listing(robbed.site, "--as-of", evening(night)) == robbed.listings[night]


def test_what_was_begun_before_and_finished_after_is_shown_and_not_restored(robbed: Robbed) -> None:
    done = robbed.site.run("list", "--json", "--as-of", evening(NIGHTS - 1))
    found = json.loads(done.stdout)
    planted = [each for each in found["archives"] if not each["restorable"] and each["slot"] == 9]
    assert [each["problem"].partition(",")[0] for each in planted] == ["it may be newer: it came in parts"]
    assert [each for each in found["archives"] if each["slot"] != 9] == robbed.listings[-1]["archives"]
    assert len(re.findall("later versions of .* are passed over", done.stderr)) == 4


def test_verify_reads_what_was_there(robbed: Robbed) -> None:
    done = robbed.site.run("verify", "--as-of", evening(NIGHTS - 2), "--all", "--keyless", expect=None)
    assert done.stdout.count(": good") == len([each for each in robbed.listings[-2]["archives"] if each["restorable"]])
    assert "s3://" in done.stderr


def test_what_was_in_it_is_shown_found_told_and_dumped_as_of_then(robbed: Robbed) -> None:
    """What the thief has planted is in none of it."""
    site, last = robbed.site, NIGHTS - 2
    source, then = str(site.source), ("--as-of", evening(last))
    names = site.run("ls", source, *then).stdout
    assert all(name in names for name in robbed.copies[last])
    assert f"night-{last + 1}" not in names
    assert "ransom" not in names
    assert f"night-{last}" in site.run("find", "night-*", *then).stdout
    assert "ransom" not in site.run("find", "*", *then).stdout
    assert "ransom" not in site.run("history", f"{source}/night-{last}", *then).stdout
    assert f"night-{last}" in site.run("diff", source, f"2026-01-0{last}", f"2026-01-0{last + 1}", *then).stdout
    assert site.run("dump", source, "note", *then).stdout == "this, and nothing else"


def test_both_clocks_are_told(robbed: Robbed) -> None:
    done = robbed.site.run("list", "--as-of", "2026-01-02T10:00:00+02:00")
    time = r"2\d{3}-\d\d-\d\d \d\d:\d\d:\d\d UTC"
    assert re.search(
        rf"as of 2026-01-02 08:00:00 UTC, by its own clock, at which it is {time} now; here it is {time}", done.stderr
    )


def test_what_was_removed_for_good_is_told(server: S3Server, tmp_path: Path) -> None:
    past = Past.begin(server)
    site = Site(tmp_path / "site", server, past.bucket)
    site.configure_cycle("Diffs 0\nFulls 1")
    for night in range(2):
        (site.source / "file").write_text(f"{night}")
        site.run(day=night)
        past.date_night(night)
    Thief(past).remove_for_good(f"{site.name()}-0-FULL")
    done = site.run("restore", str(site.source), "--to", str(tmp_path / "then"), "--as-of", evening(1))
    assert f"{site.name()}-0-FULL is not the archive that lay there then" in done.stderr
    assert "removed for good" in done.stderr
    Thief(past).remove_for_good(f"{site.name()}-0-FULL")
    done = site.run("verify", "--as-of", evening(1), expect=1)
    assert f"{site.name()}-0-FULL: FAILED: it is gone; its checksum is still there" in done.stdout
    site.run("restore", str(site.source), "--to", str(tmp_path / "gone"), "--as-of", evening(1), expect=1)


def test_an_archive_in_parts_that_nothing_vouches_for_is_restored_if_it_is_named(
    server: S3Server, tmp_path: Path
) -> None:
    past = Past.begin(server)
    site = Site(tmp_path / "site", server, past.bucket)
    site.configure_cycle("Diffs 0", general="ChunkSize 5242880")
    (site.source / "noise").write_bytes(os.urandom(5_500_000))
    site.run(day=0)
    past.date_night(0)
    (key,) = site.archive_keys()
    Thief(past).remove_for_good(f"{key}.sha256")
    then = ("--as-of", evening(0), "--to", str(tmp_path / "then"))
    done = site.run("restore", str(site.source), *then, expect=1)
    assert "no checksum of that time vouches for it" in done.stderr
    # Nor is what holds of then remembered as if it held now.
    assert [listing(site, *options)["archives"][0]["restorable"] for options in (then[:2], ())] == [False, True]
    site.run("restore", str(site.source), *then, "--keys", key)
    assert files(tmp_path / "then" / site.name()) == files(site.source)


def test_all_versions_are_listed_and_the_time_of_the_theft_stands_out(robbed: Robbed, tmp_path: Path) -> None:
    done = robbed.site.run("list", "--versions")
    archives, changes = done.stdout.split("\n\n")
    kept = [found for found in robbed.past.versions() if found.name.endswith(("-FULL", "-DIFF")) and is_version(found)]
    assert all(found.version_id in archives for found in kept)
    assert len(archives.splitlines()) == len(kept) + 1
    much = [line for line in changes.splitlines() if " much " in line]
    # The first is of what was begun early and finished late, by its date.
    assert len(much) == 2
    assert f"{THEFT:%Y-%m-%d %H:%M:%S}  " in much[1]
    moment = re.search(r"--as-of (\S+)$", much[1])
    assert moment is not None
    assert restored(robbed, tmp_path / "then", "--as-of", moment[1]) == robbed.copies[-1]


def test_a_version_that_the_store_has_lost_keeps_no_other_from_being_listed(
    server: S3Server, faulty: Callable[[S3Server], FaultyS3], tmp_path: Path
) -> None:
    past, proxy = Past.begin(server), faulty(server)
    site = Site(tmp_path / "site", proxy.server, past.bucket)
    site.configure_cycle("Diffs 1", general="StallTimeout 1")
    for night in range(2):
        site.run(day=night)
    proxy.add(Fault("HeadObject", answer(500, "InternalError"), key=".*-FULL"))
    listed = site.run("list", "--versions").stdout
    assert re.search(r"-FULL .* it cannot be looked at: .* HTTP 500", listed)
    assert re.search(rf"{re.escape(str(site.source))} +DIFF +2026-01-02", listed)
    proxy.add(Fault("ListObjectsV2", answer(500, "InternalError")))
    site.run("list", "--versions", expect=1)


def test_the_versions_of_one_source_are_listed(robbed: Robbed) -> None:
    done = robbed.site.run("list", "--versions", str(robbed.site.source))
    assert str(robbed.site.source) in done.stdout
    assert "no version of an archive" in robbed.site.run("list", "--versions", "/other", expect=1).stderr


def test_a_version_is_looked_at_once_and_then_remembered(
    server: S3Server, faulty: Callable[[S3Server], FaultyS3], tmp_path: Path
) -> None:
    past, proxy = Past.begin(server), faulty(server)
    site = Site(tmp_path / "site", proxy.server, past.bucket)
    site.configure_cycle("Diffs 0\nFulls 1")
    for night in range(2):
        site.run(day=night)
        past.date_night(night)
        listed = []
        for looks in (1, 0):
            proxy.seen.clear()
            listed.append(site.run("list", "--versions").stdout)
            assert proxy.operations().count("HeadObject") == looks
        assert listed[0] == listed[1]
        days = re.findall(r"FULL +(2026-01-0\d)", listed[0])
        assert days == [f"2026-01-0{day + 1}" for day in range(night, -1, -1)]


# --- what cannot be shown ---


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("list", "--as-of", "2999-01-01T00:00:00Z"), r"lies in the future; by the store's clock it is \d{4}-"),
        (("verify", "--as-of", "2026-01-01"), "'2026-01-01' is no time; write it as '2026-11-23 14:30'"),
        (("list", "--as-of", "yesterday"), "'yesterday' is no time"),
        (("list", "--versions", "--as-of", "2026-01-02T00:00:00Z"), "--versions goes neither with --as-of"),
        (("list", "--versions", "--json"), "nor with --json"),
        (("prune", "--as-of", "2026-01-02T00:00:00Z"), "It is for list, .* and diff, which only read"),
        (("--as-of", "2026-01-02T00:00:00Z"), "It is for list, .* and diff, which only read"),
        (("status", "--as-of", "2026-01-02T00:00:00Z"), "It is for list, .* and diff, which only read"),
    ],
    ids=["future", "date", "word", "versions", "json", "prune", "night", "status"],
)
def test_a_time_that_cannot_be_shown_is_refused(robbed: Robbed, options: tuple[str, ...], text: str) -> None:
    done = robbed.site.run(*options, expect=2, day=None)
    assert re.search(text, " ".join(done.stderr.split()))
    assert done.stdout == ""


@pytest.mark.parametrize("command", ["list", "restore", "verify"])
def test_a_store_without_versions_is_refused(server: S3Server, tmp_path: Path, command: str) -> None:
    past = Past.begin(server, has_versions=False)
    site = Site(tmp_path / "site", server, past.bucket)
    site.configure_cycle("Diffs 0")
    options = (str(site.source), "--to", str(tmp_path / "then")) if command == "restore" else ()
    done = site.run(command, *options, "--as-of", evening(0), expect=2)
    assert "it keeps no versions" in done.stderr
    assert f"aws s3api put-bucket-versioning --bucket {past.bucket}" in done.stderr


def test_a_folder_is_refused(site: Site) -> None:
    site.configure_cycle("Diffs 0")
    done = site.run("list", "--as-of", evening(0), expect=2)
    assert "a folder keeps no older versions" in done.stderr
    assert "has no versions to list" in site.run("list", "--versions", expect=2).stderr


def test_what_a_lifecycle_rule_has_removed_is_not_passed_over_in_silence(server: S3Server, tmp_path: Path) -> None:
    past = Past.begin(server)
    site = Site(tmp_path / "site", server, past.bucket)
    site.configure_cycle("Diffs 0", general="Prefix atlas")
    rule: Any = {"ID": "old", "Status": "Enabled", "Filter": {"Prefix": "atlas/"}}
    expiry = {"NoncurrentVersionExpiration": {"NoncurrentDays": 30}}
    elsewhere = {"ID": "other", "Status": "Enabled", "Filter": {"Prefix": "zeus/"}}
    few = {"NoncurrentVersionExpiration": {"NoncurrentDays": 1}}
    rules: Any = {"Rules": [rule | expiry, elsewhere | few, rule | few | {"ID": "off", "Status": "Disabled"}]}
    server.client().put_bucket_lifecycle_configuration(Bucket=past.bucket, LifecycleConfiguration=rules)
    now = datetime.now(FIRST.tzinfo)
    done = site.run("list", "--as-of", written(now - timedelta(days=30, minutes=1)), expect=2)
    assert "a lifecycle rule (old) removes versions 30 days after they were replaced" in done.stderr
    site.run("list", "--as-of", written(now - timedelta(days=29, hours=23)))


def test_versions_from_before_versioning_are_read_and_what_they_replaced_is_said_to_be_gone(
    server: S3Server, tmp_path: Path
) -> None:
    past = Past.begin(server, has_versions=False)
    site = Site(tmp_path / "site", server, past.bucket)
    site.configure_cycle("Diffs 0\nFulls 1")
    (site.source / "file").write_text("before")
    site.run(day=0)
    past.date_night(0)
    on: Any = {"Status": "Enabled"}
    server.client().put_bucket_versioning(Bucket=past.bucket, VersioningConfiguration=on)
    (site.source / "file").write_text("after")
    site.run(day=1)
    past.date_night(1)
    done = site.run("restore", str(site.source), "--to", str(tmp_path / "then"), "--as-of", evening(0))
    assert files(tmp_path / "then" / site.name()) == {"file": b"before"}
    assert "WARNING" in done.stderr
    assert "objects are from before it kept versions; what was replaced or deleted before that is gone" in done.stderr
    off: Any = {"Status": "Suspended"}
    server.client().put_bucket_versioning(Bucket=past.bucket, VersioningConfiguration=off)
    assert "its versioning is suspended" in site.run("list", "--as-of", evening(1)).stderr
