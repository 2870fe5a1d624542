"""Databases in use within a directory: noticed once a night, and only where nothing better backs them up."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from s3napback.crews import NoThread
from s3napback.sources import in_use
from s3napback.sources.in_use import Data, DatabasesInUse, is_excluded, named_in
from tests.catalogues import job
from tests.databases.sqlite_nights import night
from tests.databases.sqlite_writer import held, make
from tests.site import Site


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    lines = [line.getMessage() for line in caplog.records if "is in use" in line.getMessage()]
    caplog.clear()
    return lines


@pytest.mark.parametrize("diffs", [0, 2])
def test_an_sqlite_database_in_use_is_noticed_until_something_better_is_done(
    diffs: int, site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    path = make(site.source / "data.db", "PRAGMA journal_mode = WAL")
    directory = f"<Directory {site.source}>\nDiffs {diffs}\n"
    with held(path, "SELECT * FROM t"):
        for number in range(2):
            assert night(site, f"{directory}</Directory>", number).warnings == 1
            (line,) = said(caplog)
            assert line.startswith(f"Directory {site.source}: the SQLite database {path} is in use: a copy")
            assert f"<SQLite {path}> backs it up" in line
        betters = (f"</Directory>\n<SQLite {site.source}/*.db>\n</SQLite>", "Exclude data.db*\n</Directory>")
        for number, better in enumerate(betters, 2):
            assert night(site, directory + better, number).skipped == 0
            assert said(caplog) == []
    assert night(site, f"{directory}</Directory>", 4).done == 1
    assert said(caplog) == []


def test_one_whose_program_lies_behind_another_root_is_known_by_names_alone(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    (site.source / "data.db").touch()
    (site.source / "data.db-wal").touch()
    night(site, f"<Directory {site.source}>\nDiffs 2\n</Directory>")
    assert len(said(caplog)) == 1


def test_a_servers_data_are_known_by_where_it_works(
    site: Site, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for server, names in (("pg", ("PG_VERSION", "postmaster.pid")), ("my", ("ibdata1", "ibtmp1"))):
        (site.source / server).mkdir()
        for name in names:
            (site.source / server / name).touch()
    directory = f"<Directory {site.source}>\n</Directory>"
    for server, kind in (("pg", "PostgreSQL"), ("my", "MySQL")):
        monkeypatch.chdir(site.source / server)
        night(site, directory, force=True)
        (line,) = said(caplog)
        assert f"what a {kind} server keeps in {site.source}/{server} is in use" in line
        assert f"<{kind} all> backs it up" in line


@pytest.mark.parametrize(
    ("folder", "entries", "expected"),
    [
        (b"srv", b"Ydata.db\0Ydata.db-wal\0\0", [Data("SQLite", "/srv/data.db")]),
        (b"srv", b"Nx\0Ndata.db\0Ydata.db-journal\0\0", [Data("SQLite", "/srv/data.db")]),
        (b".", b"Ydata.db\0Ydata.db-wal\0\0", [Data("SQLite", "/data.db")]),
        (b"srv", b"Ydata.db-wal\0\0", []),
        (b"srv", b"Ydata.db\0\0", []),
        (b"my", b"Yibdata1\0Yibtmp1\0\0", [Data("MySQL", "/my")]),
        (b"pg", b"YPG_VERSION\0Dbase\0Ypostmaster.pid\0\0", [Data("PostgreSQL", "/pg")]),
        (b"pg", b"YPG_VERSION\0Dbase\0\0", []),
    ],
)
def test_names_tell(folder: bytes, entries: bytes, expected: list[Data]) -> None:
    assert named_in(folder, entries) == expected


@pytest.mark.parametrize(
    ("path", "pattern", "expected"),
    [
        ("/srv/a/x.db", "/srv/a", True),
        ("/srv/a/x.db", "/srv/*", True),
        ("/srv/a/x.db", "*.db", True),
        ("/srv/a/x.db", "a", True),
        ("/srv/a/x.db", "a/x.db", True),
        ("/srv/a/x.db", "/srv/b", False),
        ("/srv/a/x.db", "x", False),
    ],
)
def test_what_is_excluded_is_not_spoken_of(path: str, pattern: str, expected: bool) -> None:
    assert is_excluded(path, pattern) is expected


def test_several_are_one_line_and_those_of_a_kind_that_is_dumped_none() -> None:
    directory = job(source="Directory /srv")
    found = [Data("SQLite", f"/srv/{number}.db") for number in range(3)] + [Data("MySQL", "/srv/mysql")]
    (mysql, sqlite) = DatabasesInUse().warnings(directory, found)
    assert "the SQLite database /srv/0.db (and 2 others) is in use" in sqlite
    assert "what a MySQL server keeps in /srv/mysql is in use" in mysql
    jobs = (job(source="MySQL all"), job(source="SQLite /srv/[01].db"))
    (line,) = DatabasesInUse(jobs).warnings(directory, found)
    assert "the SQLite database /srv/2.db is in use" in line


def test_the_look_is_when_a_stream_begins_and_not_when_it_has_ended(tmp_path: Path) -> None:
    path = make(tmp_path / "data.db", "PRAGMA journal_mode = WAL")
    databases = DatabasesInUse()
    with held(path, "SELECT * FROM t"):
        blocks = databases.beside(iter)(iter([memoryview(b"x")]))
        for looking in [thread for thread in threading.enumerate() if thread.name == "databases in use"]:
            looking.join(timeout=30)
    assert [*blocks] == [b"x"]
    assert Data("SQLite", str(path)) in databases.seen


def test_the_look_is_quick() -> None:
    begun = time.monotonic()
    assert isinstance(DatabasesInUse().seen, frozenset)
    assert time.monotonic() - begun < 30


def test_a_stream_does_not_wait_for_the_look(monkeypatch: pytest.MonkeyPatch) -> None:
    may_look = threading.Event()
    monkeypatch.setattr(in_use, "_working_folders", lambda: iter(["/srv"] if may_look.wait(30) else []))
    databases = DatabasesInUse()
    assert [*databases.beside(iter)(iter([memoryview(b"x")]))] == [b"x"]
    may_look.set()
    assert Data("MySQL", "/srv") in databases.seen


def test_without_another_thread_it_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object) -> None:
        raise NoThread("can't start new thread")

    monkeypatch.setattr(in_use, "begin", refuse)
    monkeypatch.setattr(in_use, "_working_folders", lambda: iter(["/srv"]))
    assert Data("MySQL", "/srv") in DatabasesInUse().seen
