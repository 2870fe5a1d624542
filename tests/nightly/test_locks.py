"""Nights of a machine whose archives are locked."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from s3napback.locks import moment_of
from s3napback.rotation import day_number
from tests.faulty_s3 import Fault, FaultyS3, answer
from tests.servers import S3Server
from tests.site import Site

LOCKED = "ObjectLock governance"
TODAY = date.today()


def first_day(multiple: int) -> date:
    """A day not before today on which a group of a daily cycle begins."""
    return TODAY + timedelta(days=-day_number(TODAY) % multiple)


class Vault:
    """A site in whose bucket objects can be locked, behind a proxy that counts."""

    def __init__(self, root: Path, server: S3Server) -> None:
        self.server = server
        self.proxy = FaultyS3(server)
        self.proxy.__enter__()
        self.site = Site(root, self.proxy.server, server.make_bucket(locks=True))
        self.first = first_day(28)

    def close(self) -> None:
        self.proxy.__exit__(None, None, None)

    def configure(self, cycle: str, general: str = LOCKED) -> None:
        self.site.configure_cycle(cycle, general=general)

    def night(self, number: int, *options: str, expect: int = 0) -> str:
        self.proxy.seen.clear()
        (self.site.source / "file").write_text(f"{number}")
        return self.site.run(*options, day=self.first + timedelta(days=number), expect=expect).stderr

    def locks(self) -> dict[str, int]:
        """By what follows the source's name in the keys: nights from the first until the lock's last day."""
        found = {}
        for key in self.keys():
            until = self.server.client().head_object(Bucket=self.site.bucket, Key=key).get("ObjectLockRetainUntilDate")
            days = (until - moment_of(day_number(self.first))) / timedelta(days=1) if until else -1
            found[key.removeprefix(f"{self.site.name()}-")] = int(days)
        return found

    def keys(self) -> list[str]:
        pages = self.server.client().get_paginator("list_objects_v2").paginate(Bucket=self.site.bucket)
        keys = [found["Key"] for page in pages for found in page.get("Contents", [])]
        return [key for key in keys if key.startswith(self.site.name())]

    def ledger(self) -> dict[str, Any]:
        (file,) = self.site.diff_dir.rglob("locks.json")
        found: dict[str, Any] = json.loads(file.read_text())["archives"]
        return found

    def word(self) -> dict[str, Any]:
        """What the last run has left in the store."""
        client, bucket = self.server.client(), self.site.bucket
        listed = client.list_objects_v2(Bucket=bucket, Prefix="s3napback-status/")["Contents"]
        found: dict[str, Any] = json.loads(client.get_object(Bucket=bucket, Key=listed[0]["Key"])["Body"].read())
        return found

    def count(self, operation: str) -> int:
        return self.proxy.operations().count(operation)


@pytest.fixture
def vault(tmp_path: Path, moto: S3Server) -> Iterator[Vault]:
    made = Vault(tmp_path, moto)
    yield made
    made.close()


def beside(slots: dict[str, int], renewed: Mapping[str, int] = MappingProxyType({})) -> dict[str, int]:
    """What is locked for archives of these slots, until the same days.

    Args:
        renewed: slots whose locks were made longer, with the days of before: an index is still locked until these.
    """
    made = {f"{slot}{end}": until for slot, until in slots.items() for end in ("", ".index", ".sha256")}
    return made | {f"{slot}.index": until for slot, until in renewed.items()}


def test_each_archive_its_sum_and_its_index_are_locked_until_the_slot_is_filled_anew_and_lock_days(
    vault: Vault,
) -> None:
    vault.configure("Diffs 1\nFulls 2")
    for night in range(5):
        vault.night(night)
        assert vault.count("PutObjectRetention") == 0
    assert vault.locks() == beside({"0-FULL": 22, "1-DIFF": 19, "2-FULL": 20, "3-DIFF": 21})


def test_locking_costs_a_request_or_two_a_night(vault: Vault) -> None:
    requests = {}
    for general in ("", LOCKED):
        vault.configure("Diffs 6\nFulls 2", general)
        vault.night(0, "-f")
        vault.night(1)
        requests[general] = len(vault.proxy.seen)
        vault.night(1)
    # Whether the bucket can, and whether one small object is.
    assert requests[LOCKED] <= requests[""] + 2


def test_a_missed_night_costs_each_source_two_requests_more(tmp_path: Path, moto: S3Server) -> None:
    """Also where a FULL takes the place of a DIFF, which is gone then."""
    requests = {}
    for general in ("", LOCKED):
        with closing(Vault(tmp_path / f"site-{len(general)}", moto)) as vault:
            other = vault.site.root / "other"
            other.mkdir()
            sources = f"Directory {vault.site.source}\nDirectory {other}"
            vault.site.configure(f"<Cycle nightly>\nDiffs 1\nFulls 2\n{sources}\n</Cycle>", general=general)
            for night in (0, 1, 2, 3, 5):
                (other / "file").write_text(f"{night}")
                vault.night(night)
            assert vault.count("DeleteObject")
            requests[general] = Counter(vault.proxy.operations())
    assert requests[LOCKED] - requests[""] == {
        "GetObjectLockConfiguration": 1,
        "HeadObject": 1,
        "PutObjectRetention": 2 * 2,
    }


def test_a_missed_night_has_the_lock_of_what_stayed_in_its_slot_renewed_once_for_two_requests(vault: Vault) -> None:
    """The archive, and the sum that vouches for it; without its index all comes back as well."""
    vault.configure("Diffs 1\nFulls 2", f"{LOCKED}\nLockDays 3")
    for night in range(4):
        vault.night(night)
    told = vault.night(5)
    assert "2 locks made to last longer" in told
    assert vault.count("PutObjectRetention") == 2
    slots = {"0-FULL": 8 + 3, "1-FULL": 9 + 3, "2-FULL": 6 + 3, "3-DIFF": 7 + 3}
    assert vault.locks() == beside(slots, {"0-FULL": 4 + 3})
    vault.night(6)
    assert vault.count("PutObjectRetention") == 0


def test_a_source_that_fails_keeps_its_locks(vault: Vault) -> None:
    vault.configure("Diffs 0\nFulls 2", f"{LOCKED}\nLockDays 2")
    vault.night(0)
    vault.night(1)
    vault.site.source.rename(vault.site.source.with_name("away"))
    for night in range(2, 6):
        vault.site.run(day=vault.first + timedelta(days=night), expect=1)
    assert vault.locks() == beside({"0-FULL": 8, "1-FULL": 9}, {"0-FULL": 4, "1-FULL": 5})


def test_archives_of_before_are_locked_as_soon_as_that_is_asked_for(vault: Vault) -> None:
    vault.configure("Diffs 1\nFulls 2", "")
    vault.night(0)
    vault.night(1)
    assert set(vault.locks().values()) == {-1}
    vault.configure("Diffs 1\nFulls 2")
    vault.night(1)
    assert vault.locks() == beside({"0-FULL": 18, "1-DIFF": 19})
    vault.night(1)
    assert vault.count("PutObjectRetention") + vault.count("HeadObject") <= 1


def test_a_lost_diff_dir_costs_looks_and_no_lock(vault: Vault) -> None:
    vault.configure("Diffs 0\nFulls 4")
    for night in range(3):
        vault.night(night)
    before = vault.locks()
    for file in sorted(vault.site.diff_dir.rglob("*"), reverse=True):
        file.rmdir() if file.is_dir() else file.unlink()
    vault.night(3)
    assert vault.count("PutObjectRetention") == 0
    assert vault.locks() == before | beside({"3-FULL": 21})
    assert len(vault.ledger()) == 4
    (file,) = vault.site.diff_dir.rglob("locks.json")
    file.write_text("{")
    vault.night(3)
    assert len(vault.ledger()) == 4


def test_a_changed_cycle_has_locks_renewed_and_none_made_shorter(vault: Vault) -> None:
    vault.configure("Diffs 0\nFulls 4")
    for night in range(4):
        vault.night(night)
    vault.configure("Diffs 0\nFulls 7")
    vault.night(4)
    longer = vault.locks()
    renewed = {f"{slot}-FULL": 18 + slot for slot in range(4)}
    assert longer == beside({"0-FULL": 21, "1-FULL": 22, "2-FULL": 23, "3-FULL": 24, "4-FULL": 25}, renewed)
    vault.configure("Diffs 0\nFulls 2")
    vault.night(5)
    assert {slot: until for slot, until in vault.locks().items() if not slot.startswith("1")} == {
        slot: max(until, 2 * 14 + int(slot[0])) if slot[0] in "234" and not slot.endswith(".index") else until
        for slot, until in longer.items()
        if not slot.startswith("1")
    }


def test_a_bucket_without_locks_ends_the_run_before_any_source(tmp_path: Path, moto: S3Server) -> None:
    site = Site(tmp_path, moto)
    site.configure_cycle("", general=LOCKED)
    done = site.run(expect=2)
    assert f"ObjectLock is set, and s3://{site.bucket} is a bucket that cannot lock objects" in done.stderr
    assert "--object-lock-enabled-for-bucket" in done.stderr
    assert site.archive_keys() == []
    assert "cannot lock objects" in site.run("-t", expect=2).stderr


def test_a_lock_that_could_not_be_set_is_a_warning_and_is_tried_again(vault: Vault) -> None:
    vault.configure("Diffs 0\nFulls 4", f"{LOCKED}\nChunkSize 5242880\nCompression none")
    (vault.site.source / "large").write_bytes(bytes(6_000_000))
    vault.proxy.add(Fault("PutObjectRetention", answer(403, "AccessDenied")))
    told = vault.night(0, "--strict", expect=3)
    assert re.search(r"WARNING.*0-FULL is not locked until \d{4}-\d\d-\d\d, as it should be", told)
    vault.proxy.clear()
    assert "1 lock made to last longer" in vault.night(0)
    assert vault.locks() == beside({"0-FULL": 18})


def test_a_refusal_to_renew_is_a_warning_that_names_what_can_be_deleted(vault: Vault) -> None:
    vault.configure("Diffs 0\nFulls 2", f"{LOCKED}\nLockDays 1")
    vault.night(0)
    vault.proxy.add(Fault("PutObjectRetention", answer(403, "AccessDenied")))
    told = vault.night(3, "--strict", expect=3)
    assert re.search(r"0-FULL is not locked until .*, as it should be.*s3:PutObjectRetention", told)


def test_what_was_deleted_is_not_locked_again(vault: Vault) -> None:
    vault.configure("Diffs 0\nFulls 2", f"{LOCKED}\nLockDays 1")
    vault.night(0)
    vault.server.client().delete_object(Bucket=vault.site.bucket, Key=f"{vault.site.name()}-0-FULL.sha256")
    vault.proxy.add(Fault("PutObjectRetention", answer(404, "NoSuchVersion"), key=".*sha256"))
    vault.night(3)
    (entry,) = (each for key, each in vault.ledger().items() if key.endswith("0-FULL"))
    assert sorted(key.rpartition("-")[2] for key in entry["objects"]) == ["FULL", "FULL.index"]
    vault.server.client().delete_object(Bucket=vault.site.bucket, Key=f"{vault.site.name()}-0-FULL")
    vault.night(5)
    assert [key.rpartition("-0-")[1] for key in vault.ledger() if key.endswith("0-FULL")] == []


def test_of_a_source_that_is_not_configured_any_more_it_is_said_once_until_when_it_is_locked(vault: Vault) -> None:
    other = vault.site.root / "other"
    other.mkdir()
    cycle = "<Cycle nightly>\nDiffs 1\nFulls 2\nDirectory {}\n</Cycle>"
    both = f"{vault.site.source}\nDirectory {other}"
    vault.site.configure(cycle.format(both), general=LOCKED)
    vault.night(0)
    vault.night(1)
    word = vault.word()
    # The FULL of the first night goes before its DIFF does.
    assert word["locks_until"] == f"{vault.first + timedelta(days=4 + 14 + 1)}T12:00:00Z"
    vault.site.configure(cycle.format(other), general=LOCKED)
    until = vault.first + timedelta(days=4 + 14)
    told = vault.night(2)
    said = f"{vault.site.name()} is not configured any more. Its newest backup is locked until {until}, which no run"
    assert said in told
    assert said in vault.night(2, "--strict", expect=3)
    assert "not configured any more" not in vault.night(3, "--strict")
    assert [each["locked"] for each in vault.word()["dropped"]] == [str(until)]
    done = vault.site.run("status", day=None, expect=None).stdout
    assert f"is not backed up any more; its last backup is of {vault.first + timedelta(days=1)}" in done
    assert f"and locked until {until}: no run makes that longer" in done
    vault.night(8)
    assert vault.locks()["0-FULL"] == 4 + 14


def test_a_directory_store_locks_nothing_and_says_so(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.configure_cycle("", general=LOCKED)
    assert "ObjectLock needs a bucket" in site.run(expect=2).stderr
    site.configure_cycle("", general="LockDays 3")
    assert "LockDays without ObjectLock has no effect" in site.run().stderr


def test_databases_have_their_dumps_locked_too_without_an_index(vault: Vault) -> None:
    vault.site.configure(
        "<Cycle nightly>\n<Command words>\nRun echo words\n</Command>\n</Cycle>", general=f"{LOCKED}\nDiffs 3\nFulls 2"
    )
    vault.night(0)
    (entry,) = vault.ledger().values()
    assert len(entry["objects"]) == 2
    until = {each["until"] for each in entry["objects"].values()}
    assert until == {str(vault.first + timedelta(days=2 + 14))}


def test_the_ledger_speaks_in_dates(vault: Vault) -> None:
    vault.configure("Diffs 0\nFulls 2")
    vault.night(0)
    (entry,) = vault.ledger().values()
    assert entry["day"] == str(vault.first)
    found = vault.server.client().head_object(Bucket=vault.site.bucket, Key=f"{vault.site.name()}-0-FULL")
    lock = entry["objects"][f"{vault.site.name()}-0-FULL"]
    assert lock["version"] == found["VersionId"]
    assert found["ObjectLockRetainUntilDate"] == moment_of(day_number(date.fromisoformat(lock["until"])))
    assert found["ObjectLockRetainUntilDate"] > datetime.now(timezone.utc)


# --- what is said of locks ---


def test_the_list_tells_until_when_archives_are_locked(vault: Vault) -> None:
    vault.configure("Diffs 0\nFulls 2")
    vault.night(0)
    until = str(vault.first + timedelta(days=2 + 14))
    for _ in range(2):  # the second time from what was remembered
        lines = vault.site.run("list").stdout.splitlines()
        heading = next(line for line in lines if line.startswith("SOURCE"))
        row = next(line for line in lines if "0-FULL" in line)
        assert row[heading.index("LOCKED UNTIL") :].startswith(until)
        (found,) = json.loads(vault.site.run("list", "--json").stdout)["archives"]
        assert found["locked_until"] == f"{date.fromisoformat(until) + timedelta(days=1)}T12:00:00Z"
    vault.configure("Diffs 0\nFulls 2", "")
    vault.night(1)
    newest = json.loads(vault.site.run("list", "--json").stdout)["archives"][0]
    assert newest["locked_until"] is None


def test_prune_passes_over_what_is_locked_and_says_of_the_rest_that_it_is_hidden(vault: Vault) -> None:
    vault.configure("Diffs 0\nFulls 4", "")
    for night in range(3):
        vault.night(night)
    client = vault.server.client()
    key = f"{vault.site.name()}-2-FULL"
    client.put_object_retention(
        Bucket=vault.site.bucket,
        Key=key,
        Retention={"Mode": "GOVERNANCE", "RetainUntilDate": moment_of(day_number(vault.first))},
    )
    vault.configure("Diffs 0\nFulls 1", "")
    vault.night(3)
    day = vault.first + timedelta(days=40)
    said = vault.site.run("prune", "--yes", day=day).stdout
    assert f"stays         {key}" in said
    assert f"but it is locked until {vault.first}" in said
    assert re.search(rf"stays +{vault.site.name()}-1-FULL .*a later one of its name is locked", said)
    rule: Any = {"ID": "old", "Status": "Enabled", "Filter": {"Prefix": ""}}
    rule["NoncurrentVersionExpiration"] = {"NoncurrentDays": 30}
    client.put_bucket_lifecycle_configuration(Bucket=vault.site.bucket, LifecycleConfiguration={"Rules": [rule]})
    client.delete_object(Bucket=vault.site.bucket, Key=key)
    said = vault.site.run("prune", "--yes", day=day).stdout
    stay = datetime.now(timezone.utc).date() + timedelta(days=30)
    assert re.search(rf"hidden +{vault.site.name()}-1-FULL .*; its versions stay until {stay}", said)
    assert f"The bucket keeps them as older versions, until {stay}" in said


def test_the_schedule_tells_what_default_retention_to_set_and_what_it_comes_to(vault: Vault) -> None:
    vault.configure("Diffs 6\nFulls 4", "")
    said = " ".join(vault.site.run("schedule").stdout.split())
    assert "a default retention of 42 days locks each archive until it is replaced and 14 days longer;" in said
    assert "if the machine dies, the newest backup for 36 days." in said
    vault.configure("CycleType HanoiCycle\nFrequency 3\nDiscs 5", f"{LOCKED}\nLockDays 20")
    said = " ".join(vault.site.run("schedule").stdout.split())
    assert "Each archive is locked until it is replaced and 20 days longer;" in said
    assert "if the machine dies, the newest backup for 24 to 26 days." in said
    (found,) = json.loads(vault.site.run("schedule", "--json").stdout)["schedules"]
    assert found["locks"] == {
        "by": "ObjectLock",
        "days": 20,
        "retention": 68,
        "newest_least": 24,
        "newest_most": 26,
    }
