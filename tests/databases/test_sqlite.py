"""SQLite databases in use: what is stored is consistent, whole, and comes back checked."""

from __future__ import annotations

import gzip
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from s3napback.errors import S3napbackError, SourceError
from s3napback.sources.sqlite import copy_command, whole
from s3napback.sources.sqlite_beside import require_still, rest_of
from tests.databases.sqlite_nights import night, restored, verified
from tests.databases.sqlite_writer import flaws, held, make, numbers, written
from tests.recovery.helpers import overwrite
from tests.site import Site


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "data"
    made.mkdir()
    return made


def block(path: Path, settings: str = "") -> str:
    return f'<SQLite "{path}">\nFulls 2\n{settings}\n</SQLite>'


def fails(site: Site, path: Path, caplog: pytest.LogCaptureFixture, settings: str = "", number: int = 0) -> str:
    caplog.clear()
    assert night(site, block(path, settings), number).failed == 1
    assert list(site.temp_dir.iterdir()) == []
    return caplog.text


@pytest.mark.parametrize("mode", ["WAL", "DELETE", "TRUNCATE"])
def test_copies_made_while_it_is_written_to_are_whole_and_hold_all_that_was_committed(
    mode: str, site: Site, folder: Path, tmp_path: Path
) -> None:
    with written(folder, mode) as database:
        for number in range(2):
            before = database.committed
            assert night(site, block(database.path), number).done == 1
            assert database.committed > before
            copy = restored(site, f"SQLite{database.path}", tmp_path / f"copy {number}")
            assert flaws(copy) == []
            entries = numbers(copy, "entries")
            assert entries == numbers(copy, "totals") == list(range(1, len(entries) + 1))
            assert len(entries) >= before
    assert verified(site, f"{database.path}")[0] == 0
    assert list(site.temp_dir.iterdir()) == []


def test_a_database_at_rest_is_left_as_it_was(site: Site, folder: Path, tmp_path: Path) -> None:
    for mode in ("WAL", "DELETE"):
        path = make(folder / f"{mode}.db", f"PRAGMA journal_mode = {mode}")
        before = path.read_bytes()
        assert night(site, block(path)).done == 1
        assert path.read_bytes() == before
        assert restored(site, f"SQLite{path}", tmp_path / mode).read_bytes()[100:] == before[100:]
    assert {path.name for path in folder.iterdir()} == {"WAL.db", "DELETE.db"}


def test_what_stands_in_the_log_alone_is_in_the_copy(site: Site, folder: Path, tmp_path: Path) -> None:
    path = make(folder / "data.db", "PRAGMA journal_mode = WAL")
    with held(path, "PRAGMA wal_autocheckpoint = 0", "INSERT INTO t VALUES (4711, '')"):
        assert b"4711" not in path.read_bytes()
        assert night(site, block(path)).done == 1
    assert 4711 in numbers(restored(site, f"SQLite{path}", tmp_path / "copy"))


def test_a_database_whose_log_lies_beside_another_name_is_not_copied_without_it(
    site: Site, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = make(folder / "data.db", "PRAGMA journal_mode = WAL")
    other = folder / "hard link.db"
    other.hardlink_to(path)
    with held(path, "INSERT INTO t VALUES (4711, '')"):
        assert f"{other} is in use by another name" in fails(site, other, caplog)
        assert {each.name for each in folder.iterdir()} == {path.name, other.name, "data.db-wal", "data.db-shm"}
        assert night(site, block(path), 1).done == 1
    assert night(site, block(other), 2).done == 1


def test_what_a_killed_program_left_half_done_is_not(site: Site, folder: Path, tmp_path: Path) -> None:
    path = make(folder / "data.db", rows=2000)
    spill = ("PRAGMA cache_size = 5", "BEGIN", "UPDATE t SET number = number + 1000000")
    with held(path, *spill) as process:
        process.kill()
        process.wait()
    assert (folder / "data.db-journal").stat().st_size
    assert night(site, block(path)).done == 1
    copy = restored(site, f"SQLite{path}", tmp_path / "copy")
    assert flaws(copy) == []
    assert numbers(copy) == list(range(2000))


@pytest.mark.parametrize(
    "name", ["what?.db", "100%41.db", "a#b?mode=rwc&x=y.db", "two  words 'and' \".db", "-x.db", "ü.db"]
)
def test_any_name_is_that_of_the_file_and_of_nothing_else(name: str, site: Site, folder: Path, tmp_path: Path) -> None:
    path = make(folder / name)
    written_as = name.replace("?", "[?]").replace('"', '\\"')
    assert night(site, block(folder / written_as)).done == 1
    assert numbers(restored(site, f"SQLite {path}", tmp_path / "copy")) == list(range(100))
    assert [each.name for each in folder.iterdir()] == [name]


def test_what_is_no_database_is_said_to_be_none(site: Site, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = folder / "data.db"
    assert "does not exist" in fails(site, path, caplog)
    path.touch()
    assert "is an empty file: nothing was ever written" in fails(site, path, caplog)
    path.write_bytes(os.urandom(8192))
    assert "is encrypted, or no SQLite database" in fails(site, path, caplog)
    path.unlink()
    path.mkdir()
    assert "is not a regular file" in fails(site, path, caplog)
    path.rmdir()
    os.mkfifo(path)
    assert "is not a regular file" in fails(site, path, caplog)
    assert site.contents() == {}


def test_a_damaged_one_keeps_the_old_archive_in_its_place(
    site: Site, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = make(folder / "data.db", "PRAGMA page_size = 1024", rows=1000)
    assert night(site, block(path), 0).done == 1
    kept = site.contents()
    with path.open("r+b") as file:
        file.seek(300 * 1024)
        file.write(os.urandom(20 * 1024))
    said = fails(site, path, caplog, number=2)
    assert "the copying of the database failed with exit status 1" in said
    assert "is damaged" in said
    assert site.contents() == kept


def collated(connection: sqlite3.Connection) -> None:
    connection.create_collation("german", lambda one, other: (one > other) - (one < other))
    connection.execute("CREATE TABLE c (a TEXT COLLATE german PRIMARY KEY)")
    connection.executemany("INSERT INTO c VALUES (?)", [("a",), ("b",)])


def computed(connection: sqlite3.Connection) -> None:
    connection.create_function("soundex_of", 1, len, deterministic=True)
    connection.execute("CREATE INDEX i ON t (soundex_of(text))")


def virtual(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA writable_schema = ON")
    statement = "CREATE VIRTUAL TABLE v USING vectors(x)"
    connection.execute("INSERT INTO sqlite_master VALUES ('table', 'v', 'v', 0, ?)", (statement,))


@pytest.mark.parametrize(("need", "word"), [(collated, "german"), (computed, "soundex_of"), (virtual, "vectors")])
def test_one_that_needs_an_extension_is_not_taken_for_good(
    need: object, word: str, site: Site, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = make(folder / "data.db")
    with closing(sqlite3.connect(path)) as connection:
        assert callable(need)
        need(connection)
        connection.commit()
    said = fails(site, path, caplog)
    assert "needs an extension of SQLite that is not here" in said
    assert word in said
    assert "<Command>" in said


def test_what_sqlite_itself_brings_is_no_extension(site: Site, folder: Path, tmp_path: Path) -> None:
    path = make(folder / "data.db")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE VIRTUAL TABLE words USING fts5(text)")
        connection.execute("INSERT INTO words VALUES ('hello world')")
        connection.commit()
    assert night(site, block(path)).done == 1
    copy = restored(site, f"SQLite{path}", tmp_path / "copy")
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("SELECT text FROM words WHERE words MATCH 'world'").fetchall() == [("hello world",)]


def test_an_index_by_a_function_of_sqlite_itself_is_no_damage(site: Site, folder: Path, tmp_path: Path) -> None:
    path = make(folder / "data.db")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(
            "CREATE TABLE facts (text, name AS (json_extract(text, '$.name')), CHECK (json_valid(text)))"
        )
        connection.execute("CREATE INDEX by_name ON facts (name)")
        connection.execute(
            "CREATE INDEX by_age ON facts (json_extract(text, '$.age')) WHERE json_type(text) = 'object'"
        )
        connection.execute("INSERT INTO facts VALUES (?)", ('{"name": "ann", "age": 7}',))
        connection.commit()
    assert night(site, block(path)).done == 1
    assert verified(site, f"{path}")[0] == 0
    site.configure(block(path))
    assert "proven: 2 tables with 101 rows" in site.run("drill", day=0).stdout
    with closing(sqlite3.connect(restored(site, f"SQLite{path}", tmp_path / "copy"))) as connection:
        assert connection.execute("SELECT name FROM facts").fetchall() == [("ann",)]


def test_one_that_is_locked_is_waited_for_as_long_as_stall_timeout_says(
    site: Site, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = make(folder / "data.db")
    with held(path, "BEGIN EXCLUSIVE"):
        begun = time.monotonic()
        said = fails(site, path, caplog, "StallTimeout 1")
        assert 1 <= time.monotonic() - begun < 30
    assert "is locked by another program, and was for 1 seconds (StallTimeout)" in said
    assert night(site, block(path)).done == 1


@pytest.mark.parametrize("name", ["fullnames", "locked_doors", "readonly_ones"])
def test_what_a_table_is_called_decides_over_no_message(
    name: str, site: Site, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    unknown = f"UPDATE sqlite_master SET sql = 'CREATE TABLE {name} (a) OF LATER' WHERE name = '{name}'"
    path = make(folder / "data.db", f"CREATE TABLE {name} (a)", "PRAGMA writable_schema = ON", unknown)
    assert "It was made by a newer one, or is damaged" in fails(site, path, caplog)


def test_a_database_in_a_folder_in_which_nothing_can_be_made_is_copied(
    site: Site, folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = make(folder / "data.db", "PRAGMA journal_mode = WAL")
    os.chown(path, 12345, 12345)
    folder.chmod(0o755)
    for above in tmp_path.parents[:3]:
        above.chmod(above.stat().st_mode | 0o011)
    assert night(site, block(path)).done == 1, caplog.text
    assert numbers(restored(site, f"SQLite{path}", tmp_path / "copy")) == numbers(path)
    assert [each.name for each in folder.iterdir()] == ["data.db"]


def test_what_is_read_without_a_lock_and_changes_meanwhile_does_not_count(folder: Path) -> None:
    path = make(folder / "data.db", "PRAGMA journal_mode = WAL")
    rest = rest_of(f"{path}")
    assert rest is not None
    require_still(rest, f"{path}", "it")
    os.utime(path)
    with pytest.raises(SourceError, match="it was written to while it was copied without a lock"):
        require_still(rest, f"{path}", "it")
    Path(f"{path}-wal").touch()
    assert rest_of(f"{path}") is None


def test_a_database_that_lost_its_tables_fails_unless_it_is_meant(
    site: Site, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = make(folder / "data.db", "PRAGMA journal_mode = WAL")
    assert night(site, block(path), 0).done == 1
    with held(path, "PRAGMA wal_autocheckpoint = 0", "DROP TABLE t"):
        # The file itself still holds them; it is the log that tells.
        assert "holds no table, but held some" in fails(site, path, caplog, number=1)
        assert site.archive_keys() == [f"SQLite{path}-0"]
        assert night(site, block(path), 1, force=True).done == 1
    path.write_bytes(b"")
    assert "is an empty file" in fails(site, path, caplog, number=2)


if os.geteuid() == 0:

    def test_no_room_in_temp_dir_is_noticed_before_anything_is_copied(
        site: Site, folder: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        path = make(folder / "data.db", rows=3000)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=755", "tmpfs", str(site.temp_dir)], check=True)
        try:
            said = fails(site, path, caplog)
        finally:
            subprocess.run(["umount", str(site.temp_dir)], check=True)
        assert f"No space left on device for a copy in {site.temp_dir}" in said
        assert "has 1.5 MB, and 1.0 MB are free. Make room, or set TempDir to another folder" in said


def test_a_restore_gives_nothing_out_that_is_damaged(site: Site, folder: Path, tmp_path: Path) -> None:
    path = make(folder / "data.db", "PRAGMA page_size = 1024", rows=1000)
    assert night(site, block(path)).done == 1
    key = f"SQLite{path}-0"
    content = bytearray(gzip.decompress(site.fetch(key)))
    content[300 * 1024 : 320 * 1024] = os.urandom(20 * 1024)
    for data in (bytes(content), content[: 400 * 1024], b"something else"):
        overwrite(site, key, gzip.compress(data, mtime=0))
        site.store().delete(f"{key}.sha256")
        with pytest.raises(S3napbackError, match="the check of the database"):
            restored(site, f"SQLite{path}", tmp_path / "copy")
        assert not (tmp_path / "copy").exists()
    code, said = verified(site, f"SQLite{path}")
    assert (code, "is encrypted, or no SQLite database" in said) == (1, True)
    assert list(site.temp_dir.iterdir()) == []


def test_the_dry_run_opens_nothing_and_its_command_can_be_pasted(site: Site, folder: Path) -> None:
    path = make(folder / "data.db", "PRAGMA journal_mode = WAL")
    site.configure(block(path))
    before = {each.name: each.stat().st_mtime_ns for each in folder.iterdir()}
    printed = site.run("-d", "-t").stdout
    assert {each.name: each.stat().st_mtime_ns for each in folder.iterdir()} == before
    line = next(line for line in printed.splitlines() if "sqlite_copy" in line).removesuffix("\\")
    assert subprocess.run(["sh", "-c", line], capture_output=True, check=True).stdout.startswith(b"SQLite format 3\0")
    shutil.rmtree(folder)
    assert "does not exist" in site.run("-t", expect=1).stderr


def test_a_copy_that_is_called_off_leaves_nothing_behind(site: Site, folder: Path) -> None:
    path = make(folder / "data.db", rows=100)
    with held(path, "BEGIN EXCLUSIVE"):
        command = copy_command(str(path), str(site.temp_dir), 60)
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True) as process:
            while not list(site.temp_dir.glob("*/*")):
                time.sleep(0.01)
            os.killpg(process.pid, signal.SIGTERM)
            assert process.wait(timeout=20) == -signal.SIGTERM
    deadline = time.monotonic() + 10
    while list(site.temp_dir.iterdir()):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_what_a_run_left_that_could_not_tidy_up_goes_with_the_next_one(site: Site, folder: Path) -> None:
    path = make(folder / "data.db")
    old, new = (site.temp_dir / f"s3napback-sqlite-{name}" for name in ("old", "new"))
    for room in (old, new):
        (room / "copy").mkdir(parents=True)
        (room / "copy" / "copy").write_bytes(b"x")
    os.utime(old, (0, 0))
    assert night(site, block(path)).done == 1
    assert list(site.temp_dir.iterdir()) == [new]


def test_a_copy_of_another_length_than_it_says_is_cut_off(folder: Path) -> None:
    content = make(folder / "data.db").read_bytes()
    check = whole("/data.db").transform
    assert b"".join(check(iter([memoryview(content[:50]), memoryview(content[50:])]))) == content
    for data in (content[:-1], content + b"x"):
        with pytest.raises(S3napbackError, match=f"it has {len(data)} bytes, and should have {len(content)}"):
            b"".join(check(iter([memoryview(data)])))


def test_the_process_that_copies_imports_nothing_from_where_it_is_started(tmp_path: Path) -> None:
    (tmp_path / "sqlite3.py").write_text("raise SystemExit('mine')")
    command = copy_command(str(make(tmp_path / "data.db")), str(tmp_path), 1)
    assert command[0] == sys.executable
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    subprocess.run(command, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL, check=True)
