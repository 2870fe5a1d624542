"""What protects a bucket from whoever has the machine's key: what it tells, and what the key may do."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from s3napback.config.settings import Configuration, StoreSettings
from s3napback.doctor.bucket import judge_bucket
from s3napback.doctor.checks import Check, Outcome
from s3napback.rotation import HanoiCycle, SimpleCycle
from s3napback.stores.lifecycle import Fate
from s3napback.stores.s3_examining import ExaminedBucket, Right, Told
from s3napback.stores.s3_locks import BucketLock
from tests.catalogues import job
from tests.faulty_s3 import Fault, FaultyS3, answer
from tests.servers import S3Server

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)
WELL = Told(NOW, "Enabled", True, 30, "old", BucketLock(True, "GOVERNANCE", 42), {})
CONFIGURATION = Configuration(
    Path("x.conf"), StoreSettings("b"), jobs=(job(schedule=SimpleCycle(diffs=6)), job("srv", HanoiCycle()))
)


def rows(told: Told = WELL, *, may: bool | None = False, configuration: Configuration = CONFIGURATION) -> list[Check]:
    return list(judge_bucket(configuration, told, dict.fromkeys(Right, may), NOW))


def row(subject: str, told: Told = WELL, *, configuration: Configuration = CONFIGURATION) -> Check:
    (found,) = (each for each in rows(told, configuration=configuration) if each.subject == subject)
    return found


def test_where_all_is_well_nothing_is_to_be_done() -> None:
    assert {each.outcome for each in rows()} == {Outcome.GOOD}
    assert len(rows()) == 6 + len(Right)


@pytest.mark.parametrize(("versioning", "word"), [("", "does not keep what"), ("Suspended", "deleted any more")])
def test_a_bucket_that_keeps_nothing_is_to_be_made_to(versioning: str, word: str) -> None:
    found = row("older versions", replace(WELL, versioning=versioning))
    assert found.outcome is Outcome.BAD
    assert word in found.found
    assert "aws s3api put-bucket-versioning --bucket b" in found.found


def test_what_is_not_told_is_not_known() -> None:
    refusals = dict.fromkeys(("versioning", "lifecycle", "locks"), "HTTP 403")
    told = Told(None, None, False, None, "", None, refusals)
    found = rows(told, may=None)
    assert {each.outcome for each in found} == {Outcome.UNKNOWN}
    assert sum("HTTP 403" in each.found for each in found) == 3


@pytest.mark.parametrize(
    ("days", "cycle", "outcome"),
    [
        (0, SimpleCycle(diffs=6), Outcome.BAD),
        (SimpleCycle(diffs=6).span + 14, SimpleCycle(diffs=6), Outcome.BAD),
        (SimpleCycle(diffs=6).span + 15, SimpleCycle(diffs=6), Outcome.GOOD),
        (3650, HanoiCycle(archive_oldest_disc=True), Outcome.BAD),
    ],
)
def test_a_rule_that_deletes_what_can_still_be_needed_is_told(
    days: int, cycle: SimpleCycle | HanoiCycle, outcome: Outcome
) -> None:
    configuration = replace(CONFIGURATION, jobs=(job(schedule=cycle),))
    found = row("what deletes archives", replace(WELL, deletion=Fate(days, "tidy")), configuration=configuration)
    assert found.outcome is outcome
    assert "a lifecycle rule (tidy)" in found.found


def test_a_rule_that_moves_archives_where_nothing_can_be_read_at_once_is_told() -> None:
    found = row("what moves archives", replace(WELL, freezing=Fate(30, "", "DEEP_ARCHIVE")))
    assert found.outcome is Outcome.BAD
    assert "into DEEP_ARCHIVE 30 days after" in found.found


LIFECYCLE = (
    {"ID": "elsewhere", "Status": "Enabled", "Filter": {"Prefix": "logs/"}, "Expiration": {"Days": 1}},
    {"ID": "off", "Status": "Disabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 2}},
    {"ID": "tagged", "Status": "Enabled", "Filter": {"Tag": {"Key": "a", "Value": "b"}}, "Expiration": {"Days": 3}},
    {"ID": "marks", "Status": "Enabled", "Filter": {}, "Expiration": {"ExpiredObjectDeleteMarker": True}},
    {
        "ID": "cool",
        "Status": "Enabled",
        "Filter": {"Prefix": "atlas"},
        "Transitions": [{"Days": 30, "StorageClass": "STANDARD_IA"}, {"Days": 90, "StorageClass": "GLACIER"}],
        "Expiration": {"Days": 400},
    },
)


def test_rules_are_read_from_a_bucket(moto: S3Server) -> None:
    bucket = moto.make_bucket()
    rules: Any = {"Rules": LIFECYCLE}
    moto.client().put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration=rules)
    told = examined(moto, bucket).told("atlas")
    assert (told.deletion, told.freezing) == (Fate(400, "cool"), Fate(90, "cool", "GLACIER"))


@pytest.mark.parametrize(("days", "outcome"), [(13, Outcome.BAD), (14, Outcome.GOOD), (None, Outcome.GOOD)])
def test_older_versions_stay_as_long_as_a_theft_may_go_unnoticed(days: int | None, outcome: Outcome) -> None:
    assert row("how long it keeps them", replace(WELL, days=days)).outcome is outcome


@pytest.mark.parametrize(
    ("lock", "object_lock", "outcome", "text"),
    [
        (BucketLock(True, "GOVERNANCE", 41), "", Outcome.BAD, "41 days, and the cycles need 42 days"),
        (BucketLock(True), "", Outcome.BAD, "no default retention, and the cycles need 42 days"),
        (BucketLock(True), "governance", Outcome.GOOD, "ObjectLock governance locks archives"),
        (BucketLock(False), "", Outcome.GOOD, "cannot be locked: older versions protect"),
        (BucketLock(False), "compliance", Outcome.BAD, "aws s3api put-object-lock-configuration --bucket b"),
    ],
    ids=["too short", "none", "ours", "no lock", "asked in vain"],
)
def test_locks_last_as_long_as_the_cycles_need(lock: BucketLock, object_lock: str, outcome: Outcome, text: str) -> None:
    configuration = replace(CONFIGURATION, store=StoreSettings("b", object_lock=object_lock))
    found = row("locks", replace(WELL, lock=lock), configuration=configuration)
    assert found.outcome is outcome
    assert text in found.found


@pytest.mark.parametrize(
    ("object_lock", "retention", "days"), [("", 42, 36), ("", 50, 44), ("governance", 0, 16), ("compliance", 50, 16)]
)
def test_for_how_long_the_newest_backup_stays_locked_is_told(object_lock: str, retention: int, days: int) -> None:
    """Of all cycles the least: four groups of seven days, of which a DIFF's FULL is six days old; and discs of which
    the most frequent is overwritten after two days.
    """
    told = replace(WELL, lock=BucketLock(True, "GOVERNANCE" if retention else "", retention))
    configuration = replace(CONFIGURATION, store=StoreSettings("b", object_lock=object_lock))
    found = row("locks", told, configuration=configuration).found
    assert f"if the machine dies, the newest backup stays locked for {days} days at least" in found


def test_each_right_that_the_key_should_not_have_is_to_be_taken_from_it() -> None:
    found = [each for each in rows(may=True) if each.outcome is Outcome.BAD]
    assert [right.value for right in Right] == [each.subject.rpartition(" ")[2] for each in found]
    nothing_locked = rows(replace(WELL, lock=BucketLock(False)), may=True)
    assert [each.outcome for each in nothing_locked if "Bypass" in each.subject] == [Outcome.GOOD]


def test_clocks_that_are_apart_are_told() -> None:
    assert row("clocks", replace(WELL, clock=NOW - timedelta(seconds=299))).outcome is Outcome.GOOD
    found = row("clocks", replace(WELL, clock=NOW + timedelta(minutes=10)))
    assert found.outcome is Outcome.BAD
    assert "10 minutes apart" in found.found


# --- what a server answers ---


def examined(server: S3Server, bucket: str) -> ExaminedBucket:
    return ExaminedBucket(server.settings(bucket), server.credentials, patient=False)


def state_of(server: S3Server, bucket: str) -> list[object]:
    """All that could have been changed."""
    client = server.client()
    versions = client.list_object_versions(Bucket=bucket)
    found: list[object] = [versions.get("Versions"), versions.get("DeleteMarkers")]
    found.append(client.get_bucket_versioning(Bucket=bucket).get("Status"))
    for ask in (client.get_bucket_lifecycle_configuration, client.get_bucket_policy):
        with pytest.raises(client.exceptions.ClientError) as refused:
            ask(Bucket=bucket)
        found.append(refused.value.response["Error"]["Code"])
    return found


def test_a_key_that_may_do_everything_is_found_out_and_nothing_is_changed(seaweedfs: S3Server) -> None:
    bucket = seaweedfs.make_bucket(locks=True)
    seaweedfs.client().put_object(Bucket=bucket, Key="one", Body=b"1")
    before = state_of(seaweedfs, bucket)
    found = examined(seaweedfs, bucket)
    assert {right: found.may(right, "atlas") for right in Right} == dict.fromkeys(Right, True)
    told = found.told("atlas")
    assert (told.versioning, told.rules, told.days, told.lock) == ("Enabled", True, None, BucketLock(True))
    assert told.clock is not None
    assert told.refusals == {}
    assert state_of(seaweedfs, bucket) == before


@pytest.mark.parametrize("denied", ["ListMultipartUploads", "ListObjects.*"])
def test_a_request_that_is_refused_to_everybody_shows_no_look_at_who_asks(moto: S3Server, denied: str) -> None:
    bucket = moto.make_bucket()
    before = state_of(moto, bucket)
    with FaultyS3(moto) as proxy:
        proxy.add(Fault(denied, answer(403, "AccessDenied")))
        found = examined(proxy.server, bucket)
        assert {found.may(right, "") for right in Right} == {None}
    assert state_of(moto, bucket) == before


def test_where_nobody_looks_who_asks_nothing_is_tried(moto: S3Server) -> None:
    bucket = moto.make_bucket()
    before = state_of(moto, bucket)
    found = examined(moto, bucket)
    assert {found.may(right, "") for right in Right} == {None}
    assert state_of(moto, bucket) == before
    told = found.told("")
    assert (told.versioning, told.days, told.lock) == ("", None, BucketLock(False))
