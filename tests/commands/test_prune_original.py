"""``prune --original``: what the original tool left goes when our own archives have caught up, and never before."""

from __future__ import annotations

import logging
from datetime import timedelta
from pathlib import Path

import pytest

from s3napback.commands.prune_original import delete_original
from s3napback.errors import StoreError
from s3napback.original.contents import original_archives
from s3napback.stores.directory import DirectoryStore
from s3napback.watch.keys import is_word_key
from tests.original.machine import NIGHT, Machine
from tests.original.vectors import Bucket, Nights
from tests.servers import S3Server


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "src/etc"
    folder.mkdir(parents=True)
    (folder / "f").write_text("1")
    return folder


def old_bucket(folder: Path, source: Path) -> Bucket:
    bucket = Bucket(step=NIGHT)
    nights = Nights(bucket, str(source), folder / "snapshot")
    nights.run(0, "FULL")
    nights.run(1, "DIFF")
    bucket.put("/of/nobody-0-FULL", bytes(8192))
    return bucket


def machine_with(folder: Path, source: Path, block: str, server: S3Server | None = None) -> Machine:
    (folder / "diffs").mkdir(mode=0o700)
    general = f"DiffDir {folder}/diffs\n<Directory {source}>\n{block}\n</Directory>\n"
    return Machine(folder, old_bucket(folder, source), server, general)


def run_nights(machine: Machine, days: range) -> None:
    for day in days:
        machine.run("--today", f"2026-01-{day:02d}", "-f")


def prune(machine: Machine, day: int, *words: str, expect: int = 0) -> list[str]:
    return machine.run(
        "--today", f"2026-01-{day:02d}", "prune", "--original", *words, expect=expect
    ).stdout.splitlines()


def old_objects(machine: Machine) -> list[str]:
    return sorted(str(path.relative_to(machine.vault)) for path in machine.vault.rglob("*:*"))


def test_it_is_shown_until_it_may_go_and_deleted_only_then(
    tmp_path: Path, source: Path, caplog: pytest.LogCaptureFixture
) -> None:
    machine = machine_with(tmp_path, source, "Fulls 2\nDiffs 1")
    before = old_objects(machine)
    first = prune(machine, 1)
    assert [line.split()[0] for line in first[:3]] == ["stays"] * 3
    assert "there is no archive of our own" in first[1]
    assert "no block backs it up; --unowned takes it as well" in first[0]
    run_nights(machine, range(1, 4))
    assert "the first rotation of Directory" in prune(machine, 3)[1]
    assert "is complete on 2026-01-04" in prune(machine, 3)[1]
    with caplog.at_level(logging.ERROR, "s3napback"):
        assert prune(machine, 3, "--yes", expect=1) == []
    assert "is still needed, and nothing was deleted" in caplog.text
    assert old_objects(machine) == before
    run_nights(machine, range(4, 5))
    shown = prune(machine, 4)
    assert [line.split("  ")[0] for line in shown] == ["stays", "would delete", "would delete", shown[-1]]
    assert "without --yes" in shown[-1]
    machine.run("-t", "--today", "2026-01-04", "prune", "--original", "--yes")
    machine.run("--today", "2026-01-04", "prune", "--yes")
    assert old_objects(machine) == before
    assert [line.split("  ")[0] for line in prune(machine, 4, "--yes")][:3] == ["stays", "deleted", "deleted"]
    assert {path.rpartition(":")[0] for path in old_objects(machine)} == {"of/nobody-0-FULL"}
    assert machine.run("verify").exit_code == 0
    prune(machine, 4, "--yes", "--unowned")
    assert old_objects(machine) == []
    assert prune(machine, 4, "--yes")[-1].endswith("nothing of the original tool was to be deleted")


def test_a_hanoi_cycle_must_have_filled_each_disc(tmp_path: Path, source: Path) -> None:
    machine = machine_with(tmp_path, source, "CycleType HanoiCycle\nDiscs 3")
    run_nights(machine, range(1, 3))
    assert any("has not been filled yet" in line for line in prune(machine, 2))
    run_nights(machine, range(3, 5))
    assert any(line.startswith("would delete") for line in prune(machine, 4))


def test_a_rotation_that_has_stopped_is_no_successor(tmp_path: Path, source: Path) -> None:
    machine = machine_with(tmp_path, source, "Fulls 2")
    run_nights(machine, range(1, 3))
    assert any(line.startswith("would delete") for line in prune(machine, 3))
    assert "the newest archive of our own" in prune(machine, 20)[1]
    prune(machine, 20, "--yes", expect=1)


def test_on_s3_nothing_but_its_chunks_goes(tmp_path: Path, source: Path, moto: S3Server) -> None:
    machine = machine_with(tmp_path, source, "Fulls 1", moto)
    client = moto.client()
    bucket = machine.configuration.read_text().split()[1]
    client.put_object(Bucket=bucket, Key=f"{source}-9-FULL.txt:0", Body=b"of somebody")
    machine.run("--today", "2026-01-01", "-f")
    prune(machine, 1, "--yes", "--unowned")
    left = [found["Key"] for found in client.list_objects_v2(Bucket=bucket)["Contents"]]
    name = str(source)[1:]
    left = [key for key in left if not is_word_key(key)]
    assert left == [f"{source}-9-FULL.txt:0", *(f"{name}-0-FULL{end}" for end in ("", ".index", ".sha256"))]


def test_one_that_is_written_anew_meanwhile_stays(tmp_path: Path, source: Path) -> None:
    bucket = old_bucket(tmp_path, source)
    machine = Machine(tmp_path, bucket)
    store = DirectoryStore(machine.vault)
    archive = original_archives(store.list(""))[0]
    changed = Bucket(step=timedelta(days=2))
    changed.objects = bucket.objects
    changed.copied_to(machine.vault)
    with pytest.raises(StoreError, match="Does the original tool still run"):
        delete_original(store, archive)
    assert len(old_objects(machine)) == len(bucket.objects)


def test_a_configuration_without_sources_deletes_nothing(tmp_path: Path, source: Path) -> None:
    machine = Machine(tmp_path, old_bucket(tmp_path, source))
    assert prune(machine, 1, "--yes", expect=2) == []
