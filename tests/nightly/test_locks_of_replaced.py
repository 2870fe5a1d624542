"""Archives that lie where DiffDir remembers another one: which of them is locked for longer."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from s3napback.locks import moment_of
from s3napback.rotation import day_number
from tests.faulty_s3 import Fault, answer, stall
from tests.nightly.test_locks import LOCKED, Vault
from tests.servers import S3Server
from tests.waiting import becomes


@pytest.fixture
def vault(tmp_path: Path, moto: S3Server) -> Iterator[Vault]:
    made = Vault(tmp_path, moto)
    yield made
    made.close()


def test_what_a_killed_run_left_in_a_slot_is_locked_for_longer_and_not_what_it_has_replaced(vault: Vault) -> None:
    """It had not come to remember its own."""
    vault.configure("Diffs 0\nFulls 2", f"{LOCKED}\nLockDays 1")
    vault.night(0)
    vault.proxy.add(Fault("PutObject", stall(60), key=".*sha256"))
    command, environment = vault.site.command(day=vault.first + timedelta(days=2)), vault.site.full_environment()
    vault.proxy.seen.clear()
    running = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    assert becomes(lambda: any(each.key.endswith(".sha256") for each in vault.proxy.seen), 60)
    running.kill()
    running.wait()
    vault.proxy.clear()
    assert vault.locks()["0-FULL"] == 4 + 1
    vault.site.source.rename(vault.site.source.with_name("away"))
    vault.site.run(day=vault.first + timedelta(days=4), expect=1)
    assert vault.locks()["0-FULL"] == 6 + 1
    vault.proxy.seen.clear()
    vault.site.run(day=vault.first + timedelta(days=4), expect=1)
    assert vault.count("PutObjectRetention") == vault.count("HeadObject") == 0


def test_a_forgery_in_the_place_of_an_archive_does_not_end_its_lock(vault: Vault) -> None:
    """Neither one that nobody may look at, nor one that bears the metadata of what it hides."""
    vault.configure("Diffs 0\nFulls 2", f"{LOCKED}\nLockDays 1")
    vault.night(0)
    client, key = vault.server.client(), f"{vault.site.name()}-0-FULL"
    ours = client.head_object(Bucket=vault.site.bucket, Key=key)
    client.put_object(Bucket=vault.site.bucket, Key=key, Body=b"garbage", Metadata=ours["Metadata"])
    vault.proxy.add(Fault("HeadObject|GetObject", answer(403, "AccessDenied"), key=".*0-FULL"))
    for night, refilled in ((3, 4), (5, 6)):
        vault.night(night)
        kept = client.head_object(Bucket=vault.site.bucket, Key=key, VersionId=ours["VersionId"])
        assert kept["ObjectLockRetainUntilDate"] == moment_of(day_number(vault.first) + refilled + 1)
        vault.proxy.clear()
    assert vault.locks()["0-FULL"] == -1


def test_what_an_earlier_version_remembers_costs_one_look_an_archive_and_loses_no_lock(vault: Vault) -> None:
    vault.configure("Diffs 0\nFulls 4")
    for night in range(2):
        vault.night(night)
    (file,) = vault.site.diff_dir.rglob("locks.json")
    before, document = vault.locks(), json.loads(file.read_text())
    for each in document["archives"].values():
        assert each.pop("mark")
    file.write_text(json.dumps(document))
    # Of the day's own archive the run's listing may be too old to tell.
    for looks in (1, 0):
        vault.night(1)
        assert (vault.count("HeadObject"), vault.count("PutObjectRetention")) == (looks, 0)
    assert vault.locks() == before


@pytest.mark.parametrize("first", ["nothing", LOCKED])
def test_the_list_tells_of_a_lock_that_was_made_to_last_longer(vault: Vault, first: str) -> None:
    """A listing shows nothing of that, so that what was remembered of the archive must not be told any more."""
    vault.first = date.today() - timedelta(days=6 + day_number(date.today()) % 2)
    locked = f"{LOCKED}\nLockDays 30"

    def listed() -> dict[int, str]:
        vault.proxy.seen.clear()
        found = json.loads(vault.site.run("list", "--json").stdout)["archives"]
        return {each["slot"]: (each["locked_until"] or "")[:10] for each in found}

    def until(night: int) -> str:
        return str(vault.first + timedelta(days=night + 30 + 1))

    vault.configure("Diffs 0\nFulls 2", locked if first == LOCKED else "")
    vault.night(0)
    vault.night(1)
    assert listed() == ({0: until(2), 1: until(3)} if first == LOCKED else {0: "", 1: ""})
    vault.configure("Diffs 0\nFulls 2", locked)
    vault.night(3)
    assert listed() == {0: until(4), 1: until(5)}
    # Of a lock that lasts for longer nothing is asked.
    vault.configure("Diffs 0\nFulls 2", f"{LOCKED}\nLockDays 3")
    listed()
    assert vault.count("HeadObject") == 0
