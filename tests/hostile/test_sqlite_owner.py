"""SQLite databases of others, backed up by root: what lies beside them, or on the way, leads root nowhere."""

from __future__ import annotations

import os
import sqlite3
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from s3napback.environment import NOBODY
from s3napback.errors import SourceError
from s3napback.sources.sqlite_access import reached
from tests.databases.private_server import short_folder
from tests.databases.sqlite_nights import night, restored
from tests.databases.sqlite_writer import flaws, held, make, numbers
from tests.site import Site

OWNER = 1234
OTHER = 4321
SECRET = b"a secret of root's\n"
JOURNAL = b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7"

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root backs up what belongs to others")


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder of the owner's, to which everybody finds a way."""
    with short_folder("root") as folder:
        (folder / "home").mkdir()
        give(folder / "home", OWNER)
        yield folder / "home"


@pytest.fixture
def precious(tmp_path: Path) -> Iterator[Path]:
    """A file of root's, which must stay as it is."""
    made = tmp_path / "precious"
    made.write_bytes(SECRET)
    made.chmod(0o600)
    yield made
    assert made.read_bytes() == SECRET


def give(path: Path, uid: int) -> Path:
    """Make somebody the owner of a file, of a link and not of its target, or of a folder with all that is in it."""
    os.chown(path, uid, uid, follow_symlinks=False)
    if not path.is_symlink() and path.is_dir():
        for each in path.iterdir():
            give(each, uid)
    return path


def block(path: Path) -> str:
    return f'<SQLite "{path}">\nStallTimeout 20\n</SQLite>'


def reader(path: Path) -> tuple[int, int] | None:
    with reached(str(path), 0) as place:
        return None if place.user is None else (place.user.uid, place.user.gid)


def journal_naming(database: Path, victim: Path) -> bytes:
    """A hot journal that names another file as the one that decides over it, which SQLite then looks into and deletes.

    Its form is that of "The Rollback Journal" in SQLite's "Database File Format", and of ``writeSuperJournal`` in its
    pager.c.
    """
    header = JOURNAL + struct.pack(">5I", 0, 1, database.stat().st_size // 4096, 512, 4096)
    return header.ljust(512, b"\0") + naming(victim)


def naming(super_journal: Path) -> bytes:
    """What a journal ends with that names a super-journal, in a database with pages of 4096 bytes."""
    name = os.fsencode(super_journal)
    lock_page = 0x40000000 // 4096 + 1
    return struct.pack(">I", lock_page) + name + struct.pack(">II", len(name), sum(name)) + JOURNAL


def test_a_database_is_read_with_its_owners_rights_wherever_it_lies(site: Site, tmp_path: Path) -> None:
    hidden = tmp_path / "only root passes here"
    hidden.mkdir(mode=0o700)
    (hidden / "volume").mkdir()
    path = make(hidden / "volume" / "data.db", "PRAGMA journal_mode = WAL")
    give(hidden / "volume", OWNER)
    site.temp_dir.chmod(0o700)
    with held(path, "INSERT INTO t VALUES (4711, '')"):
        give(hidden / "volume", OWNER)
        assert night(site, block(path)).done == 1
    copy = restored(site, f"SQLite{path}", tmp_path / "copy")
    assert flaws(copy) == []
    assert 4711 in numbers(copy)
    # What SQLite made there is the owner's.
    assert {each.stat().st_uid for each in (hidden / "volume").iterdir()} == {OWNER}
    assert list(site.temp_dir.iterdir()) == []


def test_who_reads_what(home: Path) -> None:
    path = give(make(home / "data.db"), OWNER)
    assert reader(path) == (OWNER, NOBODY)
    os.chown(path, 0, 0)
    assert reader(path) == (OWNER, NOBODY)
    os.chown(home, 0, 0)
    assert reader(path) is None
    for mode, group in ((0o777, 0), (0o1777, 0), (0o775, OTHER)):
        os.chown(home, 0, group)
        home.chmod(mode)
        assert reader(path) == (NOBODY, group or NOBODY)
    home.chmod(0o755)
    path.chmod(0o666)
    assert reader(path) == (NOBODY, OTHER)


def test_links_of_others_are_not_followed(home: Path, precious: Path, tmp_path: Path) -> None:
    roots = make(tmp_path / "roots.db")
    others = give(make(tmp_path / "others.db"), OTHER)
    refused = r"is a symbolic link of user number 1234's|not a regular file|is a folder"
    for target in (roots, others, precious, tmp_path, Path("/")):
        link = home / "data.db"
        link.symlink_to(target)
        give(link, OWNER)
        with pytest.raises(SourceError, match=refused):
            reader(link)
        link.unlink()
    (home / "folder").symlink_to(tmp_path)
    give(home / "folder", OWNER)
    with pytest.raises(SourceError, match="is a symbolic link of user number 1234's, and the database is read as"):
        reader(home / "folder" / "others.db")
    # One's own links, and root's, are as good as paths.
    own = give(make(home / "own.db"), OWNER)
    (home / "mine").symlink_to(own)
    give(home / "mine", OWNER)
    assert reader(home / "mine") == (OWNER, NOBODY)
    (tmp_path / "roots link").symlink_to(others)
    assert reader(tmp_path / "roots link") == (OTHER, NOBODY)
    (home / "loop").symlink_to("loop")
    os.chown(home / "loop", 0, 0, follow_symlinks=False)
    with pytest.raises(SourceError, match="too many symbolic links"):
        reader(home / "loop")


def test_a_planted_journal_deletes_nothing_of_roots(home: Path, precious: Path, site: Site) -> None:
    """The way of it is SQLite's own: a journal's super-journal is deleted once it has been looked into."""
    path = make(home / "data.db", "PRAGMA page_size = 4096")
    planted = home / "data.db-journal"
    # The attack is a real one: with root's own rights the file would be gone.
    victim = home.parent / "victim"
    victim.write_bytes(SECRET)
    planted.write_bytes(journal_naming(path, victim))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("SELECT count(*) FROM t").fetchall()
    assert not victim.exists()
    for owner in (0, OWNER):
        planted.write_bytes(journal_naming(path, precious))
        give(home, OWNER)
        os.chown(path, owner, owner)
        night(site, block(path))
        assert precious.read_bytes() == SECRET


@pytest.mark.parametrize("end", ["-wal", "-journal", "-shm"])
def test_what_lies_beside_a_database_is_a_file_or_nothing(
    end: str, home: Path, precious: Path, site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    path = make(home / "data.db", "PRAGMA journal_mode = WAL" if end != "-journal" else "PRAGMA user_version = 1")
    beside = home / f"data.db{end}"
    for plant in ("pipe", "link", "folder"):
        if plant == "pipe":
            os.mkfifo(beside)
        elif plant == "link":
            beside.symlink_to(precious)
        else:
            beside.mkdir()
        give(home, OWNER)
        assert night(site, block(path)).failed == 1
        assert f"data.db{end} is no file, and no part of a database" in caplog.text
        caplog.clear()
        beside.rmdir() if beside.is_dir() else beside.unlink()


def test_a_journal_beside_the_database_of_another_is_not_rolled_back(
    home: Path, site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    path = make(home / "data.db", rows=2000)
    with held(path, "PRAGMA cache_size = 5", "BEGIN", "UPDATE t SET number = number + 1000000") as process:
        process.kill()
        process.wait()
    give(home, OWNER)
    home.chmod(0o777)
    before = path.read_bytes()
    assert night(site, block(path)).failed == 1
    assert "takes the right to write to its folder, with nobody else having it" in caplog.text
    assert path.read_bytes() == before
    home.chmod(0o755)
    assert night(site, block(path)).done == 1


def test_a_journal_whose_super_journal_is_out_of_sight_is_left_for_the_program(
    home: Path, site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    """To SQLite it is gone then: it would throw the journal away, and leave the live database half written."""
    path = make(home / "data.db", "PRAGMA page_size = 4096", rows=2000)
    with held(path, "PRAGMA cache_size = 5", "BEGIN", "UPDATE t SET number = number + 1000000") as process:
        process.kill()
        process.wait()
    journal, decides = home / "data.db-journal", home / "first.db-mj12345678"
    with journal.open("ab") as file:
        file.write(naming(decides))
    decides.write_bytes(os.fsencode(journal) + b"\0")
    give(home, OWNER)
    before = path.read_bytes(), journal.read_bytes()
    assert night(site, block(path)).failed == 1
    assert f"{path} was left in the midst of a transaction over several databases" in caplog.text
    assert (path.read_bytes(), journal.read_bytes()) == before
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT max(number) FROM t").fetchone() == (1999,)
    assert not journal.exists()
    give(home, OWNER)
    assert night(site, block(path)).done == 1


@pytest.mark.parametrize("end", ["-wal", "-shm"])
def test_a_part_of_a_database_that_its_owner_may_not_read_is_named(
    end: str, home: Path, site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    path = make(home / "data.db", "PRAGMA journal_mode = WAL")
    give(home, OWNER)
    with held(path, "PRAGMA wal_autocheckpoint = 0", "INSERT INTO t VALUES (4711, '')"):
        part = home / f"data.db{end}"
        os.chown(part, 0, 0)
        part.chmod(0o600)
        assert night(site, block(path)).failed == 1
        assert f"{part} cannot be read by user number {OWNER}, and is a part of the database" in caplog.text


def test_what_the_owner_may_not_read_is_not_read(home: Path, site: Site, caplog: pytest.LogCaptureFixture) -> None:
    path = make(home / "data.db")
    path.chmod(0o600)
    os.chown(path, 0, 0)
    assert night(site, block(path)).failed == 1
    assert "cannot be opened as user number 1234: Permission denied" in caplog.text


WITHOUT_MOUNTS = """
import os, sys
from s3napback.sources import sqlite_copy, sqlite_room

def refused():
    raise PermissionError(1, "Operation not permitted")

def noted(view):
    print(os.getuid(), os.geteuid(), os.getgroups(), view.source, file=sys.stderr)
    copied(view)

copied, made = None, sqlite_room.run_in_room

def run_in_room(temp_dir, user, path, work):
    global copied
    copied = work
    return made(temp_dir, user, path, noted)

sqlite_room.enter_own_mounts = refused
sqlite_copy.run_in_room = run_in_room
sys.exit(sqlite_copy.main(sys.argv[1:]))
"""


def test_where_root_may_not_mount_the_owner_needs_a_way(home: Path) -> None:
    path = give(make(home / "data.db"), OWNER)
    temp = home.parent / "temp"
    temp.mkdir()
    command = [sys.executable, "-c", WITHOUT_MOUNTS, f"--temp-dir={temp}", str(path)]
    done = subprocess.run(command, capture_output=True, check=True)
    assert done.stdout[100:] == path.read_bytes()[100:]
    assert done.stderr.decode() == f"{OWNER} {OWNER} [] {path}\n"
    temp.chmod(0o700)
    done = subprocess.run(command, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (1, b"")
    assert f"cannot enter {temp}: let others enter that folder (chmod o+x".encode() in done.stderr
    assert list(temp.iterdir()) == []
