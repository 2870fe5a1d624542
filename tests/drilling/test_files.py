"""Directories, repositories, SQLite databases and the output of programs are read back and proven."""

from __future__ import annotations

import io
import os
import re
import shlex
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.drilling.spoiling import replacing, spoil
from tests.faulty_s3 import Answer, Fault, FaultyS3, Forward, Request
from tests.gpg_keys import Key
from tests.servers import S3Server
from tests.site import Site


def fill(top: Path) -> None:
    (top / "sub/deep").mkdir(parents=True)
    (top / "file").write_bytes(b"payload")
    (top / "sub/empty").touch()
    (top / "sub/deep/exact").write_bytes(bytes(range(256)) * 400)
    (top / "link").symlink_to("nowhere")
    os.mkfifo(top / "pipe")
    (top / "second").hardlink_to(top / "file")
    (top / "\udcff odd\n").write_text("odd")
    (top / "sub").chmod(0o2750)
    os.chown(top / "file", 5, 7)


@pytest.mark.parametrize("options", [(), ("--against-live",), ("--sample=2",)])
def test_a_directory_of_three_nights_is_proven(site: Site, options: tuple[str, ...]) -> None:
    site.configure_cycle("Diffs 6")
    fill(site.source)
    site.run(day=0)
    (site.source / "sub/deep/exact").unlink()
    (site.source / "new").write_text("new")
    (site.source / "new").chmod(0o4755)
    site.run(day=1)
    (site.source / "new").rename(site.source / "newer")
    site.run(day=2)
    done = site.run("drill", *options, day=2)
    assert "WARNING" not in done.stderr, "nobody else can enter the scratch folder"
    shown = done.stdout
    wanted = "2 files of" if "--sample=2" in options else "5 files of 20 bytes, 3 folders, 1 link, 1 pipe"
    assert f"Directory {site.source} of 2026-01-03: proven: {wanted}" in shown
    if "--against-live" in options:
        assert "5 the same, 0 changed since, 0 gone since" in shown
    # A sample is no proof of all.
    (proof,) = [key for key in site.archive_keys(sums=True) if key.endswith(("proven", "sampled"))]
    assert proof.endswith("-DIFF.sampled" if "--sample=2" in options else "-DIFF.proven")
    assert not list(site.temp_dir.iterdir())


def test_permissions_that_an_access_list_tells_are_proven(site: Site) -> None:
    """``--mode`` changes headers, and no access lists: what has one comes back with the permissions of the list."""
    site.configure_cycle("Diffs 6\nTarOptions --mode=0640")
    fill(site.source)
    subprocess.run(["setfacl", "-m", "u:daemon:rwx", str(site.source / "sub/empty")], check=True)
    site.run(day=0)
    assert f"Directory {site.source} of 2026-01-01: proven: 5 files" in site.run("drill", day=0).stdout


def test_the_root_directory_is_proven(site: Site) -> None:
    """It comes as the scratch folder itself, which has permissions of its own."""
    site.configure('<Cycle nightly>\nDiffs 6\nDirectory /\nOneFileSystem On\nExclude "/[!h]*" "/h*/*"\n</Cycle>')
    for day in range(2):
        site.run(day=day)
    assert "Directory / of 2026-01-02: proven: " in site.run("drill", day=1).stdout


def test_on_a_bare_machine_the_configuration_may_name_folders_that_are_not_there(site: Site) -> None:
    site.configure_cycle("", general=f"TempDir {site.temp_dir}\n")
    fill(site.source)
    site.run(day=0)
    shutil.rmtree(site.diff_dir)
    shutil.rmtree(site.temp_dir)
    site.environment["TMPDIR"] = str(site.root / "home")
    assert "proven: 5 files" in site.run("drill", day=0).stdout
    assert not site.diff_dir.exists()


def test_what_changed_since_is_told_apart_from_what_is_damaged(site: Site) -> None:
    site.configure_cycle("Diffs 0")
    fill(site.source)
    for path in (site.source / "file", site.source / "sub/empty"):
        os.utime(path, (1, 1), follow_symlinks=False)
    site.run()
    (site.source / "sub/empty").write_text("later")
    (site.source / "sub/deep/exact").unlink()
    shown = site.run("drill", "--against-live").stdout
    assert "3 the same, 1 changed since, 1 gone since" in shown


def test_what_cannot_be_read_now_is_not_called_gone(site: Site) -> None:
    site.configure_cycle("Diffs 0")
    fill(site.source)
    site.run()
    (site.source / "sub").rename(site.source / "other")
    # Even root cannot follow it.
    (site.source / "sub").symlink_to("sub")
    shown = site.run("drill", "--against-live").stdout
    assert "3 the same, 0 changed since, 0 gone since, 2 not readable now" in shown


def renamed(content: bytes) -> bytes:
    """Another content of the same length."""
    return content.replace(b"payload", b"PAYLOAD", 1)


def test_content_that_was_swapped_in_the_archive_is_found_only_by_the_live_tree(site: Site) -> None:
    site.configure_cycle("Diffs 0")
    fill(site.source)
    # What was changed in the second of the backup may have been changed since.
    time.sleep(1.1)
    site.run()
    (key,) = site.archive_keys()
    spoil(site, key, renamed)
    assert "proven" in site.run("drill").stdout
    shown = site.run("drill", "--against-live", expect=1).stdout
    assert re.search(r"NOT PROVEN: .* 2 names not as it should be:", shown)
    assert "file: it has another content than now, and nothing was changed since the backup" in shown
    assert f"{key}.disproven" in site.archive_keys(sums=True)
    assert f"{key}.proven" not in site.archive_keys(sums=True)


def test_a_sample_fetches_what_it_looks_at_and_little_more(
    tmp_path: Path, rclone: S3Server, faulty: Callable[[S3Server], FaultyS3], key: Key
) -> None:
    proxy = faulty(rclone)
    site = Site(tmp_path / "site", proxy.server)
    for number in range(40):
        (site.source / f"{number}").write_bytes(os.urandom(1_000_000))
    general = f"GpgRecipient {key.fingerprint}\nGpgHome {key.home.path}\nCompressionLevel 1"
    site.configure_cycle("Diffs 0", general=general)
    site.run()
    fetched: list[int] = []

    def count(request: Request, forward: Forward) -> Answer:
        answer = forward(request)
        fetched.append(len(answer.body))
        return answer

    proxy.add(Fault("GetObject", count))
    assert "proven: 2 files of 2.0 MB" in site.run("drill", "--sample=2").stdout
    # Each lies in one segment of 4 MiB, or in two, and folders in the first.
    assert 2_000_000 < sum(fetched) < 24_000_000
    fetched.clear()
    assert "proven: 40 files of 40.0 MB" in site.run("drill").stdout
    assert sum(fetched) > 40_000_000


def test_a_chain_of_a_repository_is_loaded_and_a_revision_that_is_lost_is_missed(site: Site, tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    subprocess.run(["svnadmin", "create", repository], check=True)
    site.configure(f"<Cycle c>\nDiffs 6\nSubversion {repository}\n</Cycle>")
    for day in range(2):
        for number in range(3):
            subprocess.run(["svn", "mkdir", "-q", "-m", "x", f"file://{repository}/{day}{number}"], check=True)
        site.run(day=day)
    keys = site.archive_keys()
    assert [key[-4:] for key in keys] == ["FULL", "DIFF"]
    assert "proven: revisions up to 6, verified by svnadmin" in site.run("drill", day=1).stdout
    lost = re.compile(rb"Revision-number: 5\n.*?(?=Revision-number: 6\n)", re.DOTALL)
    spoil(site, keys[1], lambda content: lost.sub(b"", content))
    assert "NOT PROVEN" in site.run("drill", day=1, expect=1).stdout
    assert f"{keys[1]}.disproven" in site.archive_keys(sums=True)


def test_a_repository_is_loaded_and_verified(site: Site, tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    subprocess.run(["svnadmin", "create", repository], check=True)
    for number in range(3):
        subprocess.run(["svn", "mkdir", "-q", "-m", "x", f"file://{repository}/{number}"], check=True)
    site.configure(f"<Cycle c>\nSubversion {repository}\n</Cycle>")
    site.run()
    (key,) = site.archive_keys()
    shown = site.run("drill").stdout
    assert "proven: revisions up to 3, verified by svnadmin" in shown
    spoil(site, key, replacing(b"Node-action: add", b"Node-action: chg"))
    shown = site.run("drill", expect=1).stdout
    assert "NOT PROVEN" in shown
    assert not list(site.temp_dir.iterdir())


def test_an_sqlite_database_is_checked_and_counted(site: Site, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "data.db")) as connection:
        connection.executescript('CREATE TABLE a (x); INSERT INTO a VALUES (1), (2); CREATE TABLE "b""c" (y);')
    site.configure(f"<SQLite {tmp_path}/data.db>\n</SQLite>")
    site.run()
    assert "proven: 2 tables with 2 rows, checked by SQLite" in site.run("drill").stdout
    assert not list(site.temp_dir.iterdir())


def test_a_table_whose_name_is_in_another_encoding_spoils_no_proof(site: Site, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "data.db")) as connection:
        connection.executescript("CREATE TABLE a (x); INSERT INTO a VALUES (1); CREATE TABLE bc (y);")
        renamed = "name = CAST(X'62FC' AS TEXT), tbl_name = name, sql = CAST(X'435245415445205441424C4520' AS TEXT)"
        connection.executescript(
            f"PRAGMA writable_schema = ON; UPDATE sqlite_master SET {renamed} || CAST(X'62FC287929' AS TEXT)"
            " WHERE name = 'bc'; UPDATE sqlite_master SET tbl_name = name;"
        )
    site.configure(f"<SQLite {tmp_path}/data.db>\n</SQLite>")
    site.run()
    assert "proven: 2 tables with 1 row, checked by SQLite" in site.run("drill").stdout


@pytest.mark.parametrize(
    ("judge", "exit_code", "words"),
    [
        ("", 0, "proven: 3 bytes; nothing judges"),
        ("grep -q two", 0, "proven: 3 bytes, good by the judgement of grep"),
        ("grep -q three", 1, "is not good by the judgement of: grep failed with exit status 1"),
        ("true", 0, "proven: 3 bytes, good by the judgement of true"),
        ("no-such-program", 1, "no-such-program was not found on PATH; Drill names it"),
    ],
)
def test_the_output_of_a_program_is_given_to_its_judge(site: Site, judge: str, exit_code: int, words: str) -> None:
    drill = f"Drill {judge}\n" if judge else ""
    site.configure(f"<Command words>\nRun printf two\n{drill}</Command>")
    site.run()
    assert words in site.run("drill", "Command/words", expect=exit_code).stdout
    proofs = [key.rpartition(".")[2] for key in site.archive_keys(sums=True) if key.endswith("proven")]
    # What cannot be tried says nothing of the archive.
    assert proofs == {0: ["proven"], 1: [] if judge.startswith("no-") else ["disproven"]}[exit_code]


def test_a_sample_does_not_put_off_what_is_due_nor_hide_what_was_found_wrong(site: Site) -> None:
    for name in "ab":
        (site.source / name).write_text("payload")
    site.configure_cycle("Diffs 0\nDrillEvery 7")
    site.run()
    (key,) = site.archive_keys()
    site.run("drill", "--sample=1")
    assert "a sample" in site.run("list").stdout
    assert "sample 0 d ago" in site.run("status", expect=None).stdout
    assert ": proven: " in site.run("drill", "--due").stdout
    assert {f"{key}.proven"} == {each for each in site.archive_keys(sums=True) if each.endswith(("proven", "sampled"))}
    assert site.run("drill", "--due").stdout == "nothing is due\n"
    spoil(site, key, lambda content: content.replace(b"payload", b"longload", 1))
    site.run("drill", expect=1)
    # The next one happens to look at nothing that is wrong.
    site.store().put(f"{key}.sampled", io.BytesIO(b"{}"), {}, is_helper=True)
    later = time.time() + 10
    os.utime(site.vault / f"{key}.sampled", (later, later))
    assert "and was NOT" in site.run("list").stdout


def test_what_is_configured_and_not_there_is_not_proven(site: Site) -> None:
    (site.source / "file").write_text("x")
    site.configure_cycle("DrillEvery 7")
    for options in ((), ("--due",), (str(site.source),)):
        done = site.run("drill", *options, expect=1)
        assert f"Directory {site.source}: NOT PROVEN: it is configured, and there is no whole backup" in done.stdout
        assert f"1 source not proven: Directory {site.source}" in done.stderr


def test_what_is_proven_of_an_older_day_is_said_to_be_no_proof_of_the_source(site: Site) -> None:
    site.configure_cycle("Diffs 6\nDrillEvery 7")
    for day in range(3):
        (site.source / "file").write_text(f"of day {day}")
        site.run(day=day)
    site.run("drill", "--due", day=2)
    assert site.run("drill", "--due", day=2).stdout == "nothing is due\n"
    site.store().delete(f"{site.name()}-15-DIFF")
    # What was not proven is due again at once.
    for _ in range(2):
        said = site.run("drill", "--due", day=2, expect=1).stdout.splitlines()
        assert said[-2].startswith(f"Directory {site.source} of 2026-01-01: proven: 1 file")
        assert said[-1].startswith(f"Directory {site.source}: NOT PROVEN: the state of 2026-01-01 is, and what is said")


def test_a_key_that_is_not_here_says_nothing_of_an_archive(site: Site, key: Key, tmp_path: Path) -> None:
    (site.source / "file").write_text("x")
    site.configure_cycle("Diffs 0", general=f"GpgRecipient {key.fingerprint}\nGpgHome {key.home.path}")
    site.run()
    assert ": proven: " in site.run("drill").stdout
    (archive,) = [each for each in site.archive_keys() if not each.endswith("proven")]
    elsewhere = tmp_path / "gpg"
    elsewhere.mkdir(mode=0o700)
    site.configure_cycle("Diffs 0", general=f"GpgRecipient {key.fingerprint}\nGpgHome {elsewhere}")
    assert "NOT PROVEN" in site.run("drill", expect=1).stdout
    assert f"{archive}.disproven" not in site.archive_keys(sums=True)


def test_an_archive_that_was_replaced_meanwhile_gets_no_proof_of_the_former_one(site: Site) -> None:
    (site.source / "file").write_text("x")
    site.configure(
        "<Command words>\nRun printf two\nDrill PROGRAM\n</Command>".replace("PROGRAM", str(site.root / "judge"))
    )
    judge = site.root / "judge"
    again = " ".join(map(shlex.quote, site.command("-f", day=0)))
    judge.write_text(f"#!/bin/sh\ncat\n{again} >/dev/null 2>&1\n")
    judge.chmod(0o755)
    site.run(day=0)
    assert "proven" in site.run("drill", "Command/words", day=0).stdout
    assert not [each for each in site.archive_keys(sums=True) if each.endswith("proven")]


def test_what_is_due_is_proven_the_oldest_proof_first_within_a_time(site: Site) -> None:
    other = site.source.with_name("other")
    other.mkdir()
    for folder in (site.source, other):
        (folder / "file").write_text("x")
    site.configure(f"DrillEvery 7\n<Cycle c>\nDirectory {site.source}\nDirectory {other}\n</Cycle>")
    site.run()
    assert "1 source not begun" in site.run("drill", "--due", "--longest=0.0000001").stdout
    assert site.run("drill", "--due").stdout.count(": proven: ") == 1
    assert site.run("drill", "--due").stdout == "nothing is due\n"
    for proof in site.vault.rglob("*.proven"):
        if proof.is_file():  # as a clock does that has lost its current, and is put right later
            os.utime(proof, (2_500_000_000, 2_500_000_000))
    assert site.run("drill", "--due").stdout.count(": proven: ") == 2
    assert site.run("drill", "--due").stdout == "nothing is due\n"
    site.configure(f"<Cycle c>\nDirectory {site.source}\n</Cycle>")
    assert site.run("drill", "--due").stdout == "nothing is due\n"
