"""Faults of the machine on which a drill runs: it says what failed, nothing of the archive, and leaves nothing."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.databases.mariadb import MariaDB
from tests.databases.postgres import Postgres
from tests.drilling.scratches import disk, left, say, wait_for
from tests.drilling.spoiling import spoil
from tests.site import Site

pytestmark = pytest.mark.long(50)

SOURCES = {"MySQL": "MySQL/small", "PostgreSQL": "PostgreSQL/small"}
SERVERS = {"MySQL": "mariadbd", "PostgreSQL": "postgres"}
CLIENTS = {"MySQL": ("mariadb", "--binary-mode"), "PostgreSQL": ("psql", "--echo-errors")}
WAITING = {"MySQL": b"SELECT SLEEP(600);\n", "PostgreSQL": b"SELECT pg_sleep(600);\n"}
GROWING = {
    # On a full disk this engine waits for ever.
    "MySQL": b"SELECT SLEEP(3);\nCREATE TABLE b (a LONGTEXT) ENGINE=MyISAM;\n"
    b"INSERT INTO b VALUES (REPEAT('x', 20000000));\n",
    "PostgreSQL": b"SELECT pg_sleep(3);\nCREATE TABLE public.b (a text);\n"
    b"INSERT INTO public.b SELECT md5(g::text) || md5(g::text) FROM generate_series(1, 300000) AS g;\n",
}
ENDS = {"MySQL": b"-- Dump completed", "PostgreSQL": b"--\n-- PostgreSQL database dump complete"}


@pytest.fixture
def dumped(site: Site, mariadb: MariaDB, postgres: Postgres) -> Iterator[Callable[[str, bytes], str]]:
    """Dumps a small database of a kind, and puts statements before the end of the dump; returns its source."""

    def dump(kind: str, more: bytes) -> str:
        server: MariaDB | Postgres = mariadb if kind == "MySQL" else postgres
        server.drop("small")
        server.create("small")
        server.run("CREATE TABLE first (a INT); INSERT INTO first VALUES (1)", "small")
        say(site, mariadb)
        site.environment.update(postgres.environment)
        site.configure(f"<{kind} small>\n</{kind}>")
        site.run()
        if more:
            (key,) = site.archive_keys()
            spoil(site, key, lambda content: content.replace(ENDS[kind], more + ENDS[kind], 1))
        return SOURCES[kind]

    yield dump
    mariadb.drop("small")
    postgres.drop("small")


@contextmanager
def drilling(site: Site, scratch: Path, *before: str) -> Iterator[subprocess.Popen[str]]:
    """A drill that runs in the background."""
    command = [*before, *site.command("drill", f"--scratch={scratch}")]
    environment = site.full_environment()
    with subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as drill:
        try:
            yield drill
        finally:
            drill.kill()


def proofs(site: Site) -> list[str]:
    return [key for key in site.archive_keys(sums=True) if "proven" in key]


@pytest.mark.parametrize("kind", SOURCES)
def test_a_server_that_dies_while_a_dump_is_loaded(
    site: Site, dumped: Callable[[str, bytes], str], scratch: Path, kind: str
) -> None:
    dumped(kind, WAITING[kind])
    with drilling(site, scratch) as drill:
        wait_for(scratch, *CLIENTS[kind])
        os.kill(wait_for(scratch, SERVERS[kind], "data"), signal.SIGKILL)
        shown, _ = drill.communicate(timeout=60)
    assert drill.returncode == 1
    assert "NOT PROVEN: the server for the proof has ended before its time; it said last:" in shown
    assert not proofs(site)
    assert not left(scratch)


@pytest.mark.parametrize("kind", SOURCES)
def test_a_disk_that_fills_while_a_dump_is_loaded(
    site: Site, dumped: Callable[[str, bytes], str], scratch: Path, kind: str
) -> None:
    dumped(kind, GROWING[kind])
    with disk(scratch, "size=260M"), drilling(site, scratch) as drill:
        wait_for(scratch, *CLIENTS[kind])
        with (scratch / "other").open("wb") as file:
            room = os.statvfs(scratch)
            os.posix_fallocate(file.fileno(), 0, room.f_bavail * room.f_frsize - (2 << 20))
        shown, _ = drill.communicate(timeout=60)
        assert drill.returncode == 1
        assert f"NOT PROVEN: there is not enough room in {scratch}: name another folder with --scratch" in shown
        assert left(scratch) == [str(scratch / "other")]
    assert not proofs(site)


@pytest.mark.parametrize(("kind", "number"), [("MySQL", signal.SIGTERM), ("PostgreSQL", signal.SIGINT)])
def test_a_signal_ends_everything(
    site: Site, dumped: Callable[[str, bytes], str], scratch: Path, kind: str, number: signal.Signals
) -> None:
    dumped(kind, WAITING[kind])
    with drilling(site, scratch) as drill:
        wait_for(scratch, *CLIENTS[kind])
        drill.send_signal(number)
        drill.communicate(timeout=30)
    assert drill.returncode == 128 + number
    assert not proofs(site)
    assert not left(scratch)


def test_a_client_that_is_killed_says_nothing_of_a_dump(
    site: Site, dumped: Callable[[str, bytes], str], scratch: Path
) -> None:
    dumped("PostgreSQL", WAITING["PostgreSQL"])
    with drilling(site, scratch) as drill:
        os.kill(wait_for(scratch, *CLIENTS["PostgreSQL"]), signal.SIGKILL)
        shown, _ = drill.communicate(timeout=60)
    assert "NOT PROVEN: psql was killed by SIGKILL" in shown
    assert not proofs(site)
    assert not left(scratch)


NO_PROGRAM = 'mount --bind /dev/null {}; exec "$@"'
REFUSALS = {
    "no server": (
        ("unshare", "--mount", "sh", "-c", NO_PROGRAM.format("/usr/sbin/mariadbd"), "sh"),
        "mariadbd or mysqld is missing, so the dump cannot be loaded here: install mariadb-server",
    ),
    "a container of root alone": (
        ("unshare", "--user", "--map-root-user"),
        "as nobody: this container, or service, has no such user, or lets nobody become it",
    ),
    "a service that may not change its user": (
        ("setpriv", "--bounding-set=-setuid,-setgid", "--inh-caps=-setuid,-setgid"),
        "cannot start /usr/sbin/mariadbd as nobody: s3napback may not change its user here.",
    ),
}


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_machine_that_cannot_run_a_server(
    site: Site, dumped: Callable[[str, bytes], str], scratch: Path, refusal: str
) -> None:
    before, words = REFUSALS[refusal]
    dumped("MySQL", b"")
    with drilling(site, scratch, *before) as drill:
        shown, errors = drill.communicate(timeout=60)
    assert drill.returncode == 1
    assert words in shown, shown + errors
    assert not proofs(site)
    assert not left(scratch)


@pytest.mark.parametrize("when", ["at once", "with its data"])
def test_a_server_that_does_not_start(
    site: Site, dumped: Callable[[str, bytes], str], scratch: Path, when: str
) -> None:
    dumped("MySQL", b"")
    fails = 'echo "Could not open /x: Permission denied" >&2; exit 1'
    started = f'case "$*" in *--socket*) {fails};; *) exec {shutil.which("mariadbd")} "$@";; esac'
    # Everybody can get there.
    program = scratch / "bin/mariadbd"
    program.parent.mkdir(0o755)
    program.write_text(f"#!/bin/sh\n{fails if when == 'at once' else started}\n")
    program.chmod(0o755)
    site.environment["PATH"] = f"{program.parent}:{os.environ['PATH']}"
    shown = site.run("drill", f"--scratch={scratch}", expect=1).stdout
    assert {"at once": "cannot be set up", "with its data": "does not start"}[when] in shown
    assert "Could not open /x: Permission denied" in shown
    assert not proofs(site)
    assert left(scratch) == [str(program.parent)]


def test_two_drills_in_one_scratch_folder_leave_each_other_alone(site: Site, scratch: Path) -> None:
    begun, go = site.root / "begun", site.root / "go"
    judge = site.root / "judge"
    judge.write_text(
        f"#!/bin/sh\ncat >/dev/null; [ -e {go} ] && exit; touch {begun}\n"
        f"for n in $(seq 600); do [ -e {go} ] && test -d . && exit; sleep 0.1; done; exit 9\n"
    )
    judge.chmod(0o755)
    site.configure(f"<Command words>\nRun echo two\nDrill {judge}\n</Command>")
    site.run()
    with drilling(site, scratch) as first:
        while not begun.exists():
            time.sleep(0.02)
        go.touch()
        assert "proven" in site.run("drill", f"--scratch={scratch}").stdout
        shown, _ = first.communicate(timeout=60)
    assert ": proven: " in shown
    assert not left(scratch)


@pytest.mark.parametrize("kind", ["Directory", "SQLite"])
def test_a_disk_that_fills_while_files_are_restored(site: Site, scratch: Path, kind: str) -> None:
    if kind == "Directory":
        (site.source / "zeros").write_bytes(bytes(6_000_000))
        site.configure_cycle("Diffs 0")
    else:
        with closing(sqlite3.connect(site.root / "data.db")) as connection:
            connection.executescript("CREATE TABLE a (x); INSERT INTO a VALUES (zeroblob(6000000));")
        site.configure(f"<SQLite {site.root}/data.db>\n</SQLite>")
    site.run()
    with disk(scratch, "size=3M"):
        assert "has room for 3.1 MB, and at least 6.0 MB are needed" in (
            site.run("drill", f"--scratch={scratch}", expect=1).stdout
        )
        # Where it is not known how large it will be, it is found out.
        for key in site.archive_keys(sums=True):
            if key.endswith(".sha256"):
                site.store().delete(key)
        shown = site.run("drill", f"--scratch={scratch}", expect=1).stdout
        assert "NOT PROVEN" in shown
        assert {"Directory": "not enough room in", "SQLite": "No space left on device"}[kind] in shown
        assert not left(scratch)
    assert not proofs(site)
