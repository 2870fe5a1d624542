"""``restore`` of what the original tool left: in a folder copied from its bucket, and on S3."""

from __future__ import annotations

import gzip
import logging
import os
import shutil
import subprocess
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from tests.gpg_keys import Key
from tests.original.machine import NIGHT, Machine
from tests.original.vectors import DUMP, Bucket, Nights, bucket_of_six_nights, contents
from tests.servers import S3Server


@pytest.fixture
def six_nights(tmp_path: Path, source: Path) -> Bucket:
    return bucket_of_six_nights(tmp_path, source)


def in_words(files: dict[str, bytes]) -> dict[str, str]:
    """What counts of the files of the six nights."""
    assert len(files.pop("big")) == 20_000
    return {name: data.decode() for name, data in files.items()}


def test_every_night_that_can_be_restored_comes_back_from_a_copied_folder(
    tmp_path: Path, source: Path, six_nights: Bucket
) -> None:
    machine = Machine(tmp_path, six_nights)
    base = str(source).lstrip("/")
    fifth = six_nights.time_of(f"{source}-4-DIFF").isoformat()
    assert in_words(machine.restored(source)) == {"f": "5", "six": "6"}
    assert in_words(machine.restored(source, "--at", fifth)) == {"f": "5"}
    assert in_words(machine.restored(source, "--at", f"{base}-3-FULL")) == {"f": "2", "new": "3"}
    assert in_words(machine.restored(source, "--keys", f"{base}-3-FULL", f"{base}-4-DIFF")) == {"f": "5"}
    refused = machine.run("restore", str(source), "--to", str(tmp_path / "x"), "--at", f"{base}-2-DIFF", expect=1)
    assert not (tmp_path / "x").exists()
    assert refused.stdout == ""


def test_it_comes_back_from_s3_with_slashes_and_all(
    tmp_path: Path, source: Path, six_nights: Bucket, moto: S3Server, caplog: pytest.LogCaptureFixture
) -> None:
    machine = Machine(tmp_path, six_nights, moto)
    # On moto all of it was stored just now, in whatever order.
    shown = machine.run("restore", str(source), "--to", "/none", "--keys", f"{source}-3-FULL", f"{source}-4-DIFF", "-t")
    assert "1. s3://test-bucket-" in shown.stdout
    assert f"/{source}-3-FULL, of " in shown.stdout
    assert "by the original tool" in shown.stdout
    with caplog.at_level(logging.INFO, "s3napback"):
        found = machine.restored(source, "--keys", f"{source}-3-FULL", f"{source}-4-DIFF")
    assert in_words(found) == {"f": "5"}
    assert "an archive of the original tool, with 1 before it" in caplog.text


def test_a_second_means_all_of_it(tmp_path: Path, source: Path) -> None:
    bucket = Bucket(step=timedelta(days=1, milliseconds=300))
    nights = Nights(bucket, str(source), tmp_path / "snapshot")
    for slot in range(3):
        (source / "f").write_text(f"{slot}")
        nights.run(slot, "DIFF" if slot else "FULL")
    machine = Machine(tmp_path, bucket)
    second = bucket.time_of(f"{source}-1-DIFF").isoformat(timespec="seconds")
    assert machine.restored(source, "--at", second) == {"f": b"1"}


def test_paths_come_back_alone(tmp_path: Path, source: Path, six_nights: Bucket) -> None:
    machine = Machine(tmp_path, six_nights)
    assert dict(machine.restored(source, str(source / "six"))) == {"six": b"6"}
    assert dict(machine.restored(source / "six", "--original")) == {}
    assert (sorted(tmp_path.glob("out-*"))[-1] / str(source)[1:] / "six").read_bytes() == b"6"
    missing = ["restore", str(source), str(source / "new"), "--to", str(tmp_path / "x")]
    machine.run(*missing, expect=1)
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("word", "options"),
    [
        ("MySQL/wiki", ()),
        ("MySQL wiki", ()),
        ("MySQL/all", ()),
        ("MySQL all", ("--at", "MySQL/--all-databases-3")),
        ("MySQL /run/m.sock:wiki", ()),
        ("MySQL/run/m.sock/wiki", ()),
        ("PostgreSQL/all", ()),
        ("PostgreSQL ledger", ("--original",)),
    ],
)
def test_dumps_of_databases_come_back(tmp_path: Path, six_nights: Bucket, word: str, options: Sequence[str]) -> None:
    machine = Machine(tmp_path, six_nights)
    machine.run("restore", word, "--to", str(tmp_path / "dump.sql"), *options)
    assert (tmp_path / "dump.sql").read_bytes() == DUMP


def test_the_newest_of_all_databases_is_so_by_time(tmp_path: Path, six_nights: Bucket) -> None:
    machine = Machine(tmp_path, six_nights)
    assert "/MySQL/all-2, of" in machine.run("restore", "MySQL/all", "--to", "x", "-t").stdout


def test_a_dump_that_was_cut_off_is_no_success(tmp_path: Path) -> None:
    bucket = Bucket()
    bucket.put("MySQL/wiki-0", gzip.compress(DUMP[:30]))
    machine = Machine(tmp_path, bucket)
    machine.run("restore", "MySQL/wiki", "--to", str(tmp_path / "dump.sql"), expect=1)
    assert not (tmp_path / "dump.sql").exists()


@pytest.mark.parametrize(("base", "reason"), [("exact", "holds nothing at all"), ("empty", "it is empty")])
def test_what_holds_nothing_is_no_success(
    tmp_path: Path, six_nights: Bucket, base: str, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    machine = Machine(tmp_path, six_nights)
    machine.run("restore", f"/{base}", "--to", str(tmp_path / "x"), expect=1)
    assert reason in caplog.text
    assert not (tmp_path / "x").exists()


def test_an_encrypted_archive_is_opened(tmp_path: Path, source: Path, key: Key) -> None:
    bucket = Bucket(step=NIGHT)

    def encrypted(data: bytes) -> bytes:
        return key.home.run("-r", key.fingerprint, "-e", stdin=data)

    nights = Nights(bucket, str(source), tmp_path / "snapshot")
    (source / "f").write_text("1")
    nights.run(0, "FULL", encrypted)
    (source / "f").write_text("2")
    nights.run(1, "DIFF", encrypted)
    machine = Machine(tmp_path, bucket, general=f"GpgHome {key.home.path}\n")
    assert machine.restored(source) == {"f": b"2"}
    chunk = next(machine.vault.rglob("*-1-DIFF:*"))
    status = chunk.stat()
    data = bytearray(chunk.read_bytes())
    data[-20] ^= 1
    chunk.write_bytes(data)
    os.utime(chunk, ns=(status.st_atime_ns, status.st_mtime_ns))
    machine.run("restore", str(source), "--to", str(tmp_path / "x"), expect=1)
    assert not (tmp_path / "x").exists()


def test_a_chunk_of_another_archive_in_the_middle_is_noticed(tmp_path: Path, source: Path) -> None:
    bucket = Bucket(step=NIGHT)
    (source / "big").write_bytes(os.urandom(40_000))
    Nights(bucket, str(source), tmp_path / "snapshot").run(0, "FULL")
    machine = Machine(tmp_path, bucket)
    first, second = sorted(machine.vault.rglob("*-0-FULL:*"))[1:3]
    swapped = second.read_bytes(), first.read_bytes()
    first.write_bytes(swapped[0])
    second.write_bytes(swapped[1])
    machine.run("restore", str(source), "--to", str(tmp_path / "x"), expect=1)
    assert not (tmp_path / "x").exists()


def repository(folder: Path, commits: int) -> Path:
    path = folder / "project"
    subprocess.run(["svnadmin", "create", str(path)], check=True)
    for number in range(commits):
        commit(path, number)
    return path


def commit(path: Path, number: int) -> None:
    command = ["svn", "mkdir", "-q", "-m", f"commit {number}", f"file://{path}/d{number}"]
    subprocess.run(command, check=True)


def dump(path: Path, revisions: str) -> bytes:
    command = ["svnadmin", "dump", "-q", f"-r{revisions}", "--incremental", str(path)]
    return gzip.compress(subprocess.run(command, capture_output=True, check=True).stdout)


def test_a_repository_is_told_by_its_bytes_and_loaded(tmp_path: Path) -> None:
    path = repository(tmp_path, 3)
    bucket = Bucket(step=NIGHT)
    bucket.put(f"{path}-0-FULL", dump(path, "0:2"))
    bucket.put(f"{path}-1-DIFF", dump(path, "3:3"))
    bucket.put(f"{path}-7", dump(path, "0:1"))
    machine = Machine(tmp_path, bucket)
    for name, options, youngest in (
        ("new", (), "1"),
        ("whole", ("--at", f"{str(path).lstrip('/')}-1-DIFF"), "3"),
        ("full", ("--at", f"{str(path).lstrip('/')}-0-FULL"), "2"),
    ):
        machine.run("restore", str(path), "--to", str(tmp_path / name), *options)
        found = subprocess.run(["svnlook", "youngest", str(tmp_path / name)], capture_output=True, check=True)
        assert found.stdout.decode().strip() == youngest
    machine.run("restore", f"Directory {path}", "--to", str(tmp_path / "x"), "--at", f"{path}-0-FULL"[1:], expect=1)


def test_revisions_that_a_failed_night_lost_are_no_success(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = repository(tmp_path, 4)
    bucket = Bucket(step=NIGHT)
    bucket.put(f"{path}-0-FULL", dump(path, "0:1"))
    bucket.put(f"{path}-2-DIFF", dump(path, "3:4"))
    machine = Machine(tmp_path, bucket)
    machine.run("restore", f"Subversion {path}", "--to", str(tmp_path / "new"), expect=1)
    assert "begins with revision 3" in caplog.text
    assert f"{path}-2-DIFF"[1:] + " follows" in caplog.text
    assert not (tmp_path / "new").exists()


def test_paths_with_dots_and_doubled_slashes_are_the_source_that_they_mean(tmp_path: Path, source: Path) -> None:
    (source / "f").write_text("1")
    bucket = Bucket(step=NIGHT)
    Nights(bucket, f"./{str(source)[1:].replace('/', '//')}/", tmp_path / "snapshot").run(0, "FULL")
    machine = Machine(tmp_path, bucket.renamed(lambda key: key.removeprefix("./")))
    assert machine.restored(source) == {"f": b"1"}


def test_what_a_shell_expanded_comes_back_with_all_that_it_meant(tmp_path: Path, source: Path) -> None:
    folders = [source / "anna", source / "bert"]
    for folder in folders:
        folder.mkdir()
        (folder / "f").write_text(folder.name)
    bucket = Bucket(step=NIGHT)
    nights = Nights(bucket, f"{source}/*", tmp_path / "snapshot", [str(folder) for folder in folders])
    nights.run(0, "FULL")
    (folders[0] / "f").unlink()
    nights.run(1, "DIFF")
    machine = Machine(tmp_path, bucket)
    where = tmp_path / "out"
    machine.run("restore", f"{source}/*", "--to", str(where))
    assert contents(where / str(source)[1:]) == {"bert/f": b"bert"}
    assert machine.run("verify", f"{source}/*").stdout.count(": good, ") == 2
    machine.run("restore", f"{source}/*", f"{source}/bert", "--to", str(tmp_path / "one"))
    assert contents(tmp_path / "one") == {f"{str(source)[1:]}/bert/f": b"bert"}


def test_our_own_archives_come_first_and_the_original_s_where_none_is_as_old(
    tmp_path: Path, source: Path, six_nights: Bucket
) -> None:
    machine = Machine(tmp_path, six_nights)
    text = machine.configuration.read_text()
    (tmp_path / "diffs").mkdir(mode=0o700)
    machine.configuration.write_text(f"{text}DiffDir {tmp_path}/diffs\n<Directory {source}>\nDiffs 6\n</Directory>\n")
    before = {path: path.read_bytes() for path in machine.vault.rglob("*") if path.is_file()}
    (source / "f").write_text("today")
    machine.run("-f")
    assert {path: path.read_bytes() for path in before} == before
    assert machine.restored(source)["f"] == b"today"
    assert machine.restored(source, "--original")["f"] == b"5"
    assert machine.restored(source, "--at", "2009-03-02")["six"] == b"6"
    machine.run("restore", str(source), "--to", str(tmp_path / "x"), "--at", "2009-02-01", expect=1)


def test_cold_storage_is_told_before_anything_is_fetched(
    tmp_path: Path, source: Path, moto: S3Server, caplog: pytest.LogCaptureFixture
) -> None:
    bucket = Bucket(step=NIGHT)
    Nights(bucket, str(source), tmp_path / "snapshot").run(0, "FULL")
    machine = Machine(tmp_path, Bucket(), moto)
    name = machine.configuration.read_text().split()[1]
    for key, (_, data) in bucket.objects.items():
        moto.client().put_object(Bucket=name, Key=key, Body=data, StorageClass="GLACIER")
    machine.run("restore", str(source), "--to", str(tmp_path / "x"), expect=1)
    assert "lies in cold storage (GLACIER)" in caplog.text
    assert "KEY:00000000000000000000" in caplog.text
    assert not (tmp_path / "x").exists()
    assert "cold storage" in machine.run("verify", str(source), expect=1).stdout


def test_what_does_not_go_with_the_original_is_refused(tmp_path: Path, source: Path, six_nights: Bucket) -> None:
    machine = Machine(tmp_path, six_nights, general="GpgRecipient a@b.example\nGpgSignKey " + "A" * 40 + "\n")
    for options in (("--require-signature",), ("--original", "--from", "x"), ("--original", "--keys", "none")):
        result = machine.run(
            "restore", str(source), "--to", str(tmp_path / "x"), *options, expect=2 - (options[-1] == "none")
        )
        assert result.stdout == ""
    machine.run("restore", "/other", "--to", str(tmp_path / "x"), "--keys", f"{str(source)[1:]}-3-FULL", expect=1)
    assert not (tmp_path / "x").exists()


def test_below_a_prefix_and_outside_of_it_they_are_found(tmp_path: Path, source: Path, six_nights: Bucket) -> None:
    machine = Machine(tmp_path, six_nights, general="Prefix atlas\n")
    assert in_words(machine.restored(source)) == {"f": "5", "six": "6"}
    (machine.vault / "atlas").mkdir()
    for path in [path for path in machine.vault.iterdir() if path.name != "atlas"]:
        shutil.move(path, machine.vault / "atlas" / path.name)
    assert in_words(machine.restored(source)) == {"f": "5", "six": "6"}
    assert in_words(machine.restored(source, "--at", f"{str(source)[1:]}-3-FULL")) == {"f": "2", "new": "3"}
