"""``list`` and ``verify`` of what the original tool left."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

import pytest

from tests.commands.test_restore_original import dump, repository
from tests.gpg_keys import Key
from tests.original.machine import Machine
from tests.original.vectors import DUMP, Bucket, Nights, bucket_of_six_nights
from tests.servers import S3Server


@pytest.fixture
def machine(tmp_path: Path, source: Path) -> Machine:
    return Machine(tmp_path, bucket_of_six_nights(tmp_path, source))


def test_each_archive_has_a_row_with_its_chunks_and_whether_it_can_be_restored(machine: Machine, source: Path) -> None:
    found = {row["key"]: row for row in json.loads(machine.run("list", "--json").stdout)["original"]}
    base = str(source)[1:]
    assert len(found) == 13
    assert (found["exact-0-FULL"]["size"], found["exact-0-FULL"]["chunks"]) == (8192, 2)
    assert found["empty-0-FULL"]["problem"] == "it is empty: that night nothing was dumped"
    assert found[f"{base}-4-DIFF"]["chain"] == [f"{base}-3-FULL", f"{base}-4-DIFF"]
    assert {key.removeprefix(f"{base}-"): row["restorable"] for key, row in found.items() if base in key} == {
        "0-FULL": True,
        "1-DIFF": False,
        "2-DIFF": False,
        "3-FULL": True,
        "4-DIFF": True,
    }
    assert found["MySQL/run/m.sock/wiki-1"]["sources"] == ["MySQL /run/m.sock:wiki"]
    lines = machine.run("list").stdout.split("\n")
    row = next(line for line in lines if line.rstrip().endswith(f"{base}-4-DIFF  yes"))
    assert row.split()[:7] == ["Directory", "or", "Subversion", str(source), "DIFF", "4", row.split()[6]]
    assert any(
        line.endswith(f"{base}-1-DIFF  no: its FULL was overwritten: there is none as old as it is") for line in lines
    )


def test_a_source_s_are_shown_alone(machine: Machine, source: Path) -> None:
    found = json.loads(machine.run("list", "MySQL/all", "--json").stdout)
    assert [row["key"] for row in found["original"]] == ["MySQL/all-2", "MySQL/--all-databases-3"]
    assert found["archives"] == []
    machine.run("list", "/nothing/of/it", expect=1)


def test_all_of_it_is_seen_on_s3(tmp_path: Path, source: Path, moto: S3Server) -> None:
    bucket = bucket_of_six_nights(tmp_path, source)
    machine = Machine(tmp_path, bucket, moto)
    found = json.loads(machine.run("list", "--json").stdout)
    assert {row["key"] for row in found["original"]} == {key.rpartition(":")[0] for key in bucket.objects}
    assert found["others"] == {"count": len(bucket.objects), "perl_chunks": len(bucket.objects)}


def test_what_lies_outside_of_the_prefix_is_seen_and_not_counted_there(tmp_path: Path, source: Path) -> None:
    machine = Machine(tmp_path, bucket_of_six_nights(tmp_path, source), general="Prefix atlas\n")
    found = json.loads(machine.run("list", "--json").stdout)
    assert len(found["original"]) == 13
    assert found["others"] == {"count": 0, "perl_chunks": 0}


# --- verify ---


def test_verify_decodes_the_chain_that_a_restore_would_need(machine: Machine, source: Path) -> None:
    base = str(source)[1:]
    assert machine.run("verify", str(source)).stdout.count(": good, ") == 1
    lines = machine.run("verify", str(source), "--at", f"{base}-4-DIFF").stdout.splitlines()
    assert [line.partition(": good, ")[0] for line in lines] == [f"{base}-3-FULL", f"{base}-4-DIFF"]
    assert machine.run("verify", "MySQL/wiki").stdout.startswith("MySQL/wiki-0: good, ")


def test_verify_of_all_names_what_is_no_good(machine: Machine, source: Path) -> None:
    base = str(source)[1:]
    out = machine.run("verify", "--original", "--all", expect=1).stdout
    good = {line.partition(": good, ")[0] for line in out.splitlines() if ": good, " in line}
    assert good == {
        *(f"{base}-{name}" for name in ("0-FULL", "3-FULL", "4-DIFF")),
        *("MySQL/--all-databases-3", "MySQL/all-2", "MySQL/wiki-0", "MySQL/run/m.sock/wiki-1"),
        *("PostgreSQL/-4", "PostgreSQL/ledger-0"),
    }
    for bad in (f"{base}-1-DIFF: cannot be restored: its FULL", "empty-0-FULL: cannot be restored: it is empty"):
        assert bad in out
    assert "exact-0-FULL: FAILED" in out


def test_damage_is_found_whatever_it_is(tmp_path: Path, source: Path) -> None:
    (source / "big").write_bytes(os.urandom(40_000))
    bucket = Bucket()
    Nights(bucket, str(source), tmp_path / "snapshot").run(0, "FULL")
    machine = Machine(tmp_path, bucket)
    chunks = sorted(machine.vault.rglob("*-0-FULL:*"))
    data = chunks[2].read_bytes()
    chunks[2].write_bytes(bytes([data[0] ^ 1]) + data[1:])
    assert ": FAILED: " in machine.run("verify", str(source), expect=1).stdout
    chunks[2].unlink()
    assert "chunk 2 is missing" in machine.run("verify", str(source), expect=1).stdout


def test_renames_that_nobody_can_replay_are_found(tmp_path: Path, source: Path) -> None:
    for name in ("a", "b"):
        (source / name).mkdir()
    bucket = Bucket()
    nights = Nights(bucket, str(source), tmp_path / "snapshot")
    nights.run(0, "FULL")
    (source / "a").rename(source / "x")
    (source / "b").rename(source / "a")
    nights.run(1, "DIFF")
    machine = Machine(tmp_path, bucket)
    assert "cannot be relied upon to replay" in machine.run("verify", str(source), expect=1).stdout


def test_a_repository_s_chain_must_be_continuous(tmp_path: Path) -> None:
    path = repository(tmp_path, 4)
    bucket = Bucket()
    bucket.put(f"{path}-0-FULL", dump(path, "0:1"))
    bucket.put(f"{path}-1-DIFF", dump(path, "2:3"))
    machine = Machine(tmp_path, bucket)
    assert machine.run("verify", str(path)).stdout.count(": good, ") == 2
    chunk = next(machine.vault.rglob("*-1-DIFF:*"))
    chunk.write_bytes(dump(path, "3:4"))
    assert "begins with revision 3" in machine.run("verify", str(path), expect=1).stdout


def test_without_a_word_of_it_the_original_s_are_left_out(machine: Machine, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "s3napback"):
        assert machine.run("verify", expect=1).stdout == ""
    assert "there are no archives in" in caplog.text
    assert "--original" in caplog.text


def test_of_what_only_the_original_has_kept_list_says_so(machine: Machine, source: Path) -> None:
    text = f"<Directory {source}>\n</Directory>\n<Directory /nobody/kept/it>\n</Directory>\n"
    machine.configuration.write_text(f"{machine.configuration.read_text()}{text}")
    first, second, *_ = machine.run("list").stdout.split("\n")
    left = "can be restored but what the original tool left: it is configured, and there is no whole backup of our own."
    assert first == f"NOTHING of Directory {source} {left}"
    assert second.startswith("NOTHING of Directory /nobody/kept/it can be restored: it is configured, and")


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("--keyless", "Run verify --original where the key is"),
        ("--compare", "restore SOURCE --original --to WHERE"),
        ("--from=x", "it does not go with --original"),
    ],
)
def test_what_cannot_be_verified_of_the_original_s_is_refused_with_what_can(
    machine: Machine, source: Path, caplog: pytest.LogCaptureFixture, option: str, words: str
) -> None:
    machine.run("verify", "--original", option, expect=2)
    assert words in caplog.text
    caplog.clear()
    machine.run("verify", str(source), *(["--original"] if option == "--from=x" else []), option, expect=2)
    assert words in caplog.text


def test_in_a_folder_keys_may_be_written_as_they_were_in_the_bucket(machine: Machine, source: Path) -> None:
    assert machine.restored(source, "--at", f"/{source}-3-FULL")["f"] == b"2"
    assert machine.restored(source, "--keys", f"//{source}-3-FULL", f"{source}-4-DIFF")["f"] == b"5"
    where = machine.folder / "wiki.sql"
    machine.run("restore", "MySQL//run/m.sock/wiki", "--to", str(where), "--keys", "MySQL//run/m.sock/wiki-1")
    assert where.read_bytes() == DUMP


def test_what_a_very_old_gpg_made_is_refused_with_where_to_read_on(
    tmp_path: Path, key: Key, caplog: pytest.LogCaptureFixture
) -> None:
    bucket = Bucket()
    old = ("--rfc2440", "--cipher-algo", "3DES", "--trust-model", "always")
    bucket.put("MySQL/wiki-0", key.home.run(*old, "--recipient", key.fingerprint, "--encrypt", stdin=DUMP))
    machine = Machine(tmp_path, bucket, general=key.directives)
    machine.run("restore", "MySQL/wiki", "--to", str(tmp_path / "wiki.sql"), expect=1)
    assert "it bears no protection against changes" in caplog.text
    assert not (tmp_path / "wiki.sql").exists()
