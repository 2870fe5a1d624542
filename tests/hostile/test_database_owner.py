"""Options of the dump programs, with real servers: what is accepted leaves a whole dump, and does nothing else."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from s3napback.config.program_options import RULES, refused_options
from s3napback.config.settings import Job, JobSettings, Position
from s3napback.rotation import SimpleCycle
from s3napback.sources.mysql import mysqldump_command
from s3napback.sources.postgresql import pg_dump_command
from tests.config.test_program_options import help_of, options_in, words_with
from tests.databases.mariadb import MariaDB, mariadb_server
from tests.databases.postgres import Postgres, postgres_server
from tests.site import Site

TABLES = "CREATE TABLE t (a INT PRIMARY KEY, b VARCHAR(9)); INSERT INTO t VALUES (4711, 'x');"
CONNECTION = {
    *("--host", "-h", "--port", "-P", "-p", "--user", "-u", "--socket", "-S", "--username", "-U", "--protocol"),
    *("--ssl", "--ssl-verify-server-cert", "--tls-version", "--role", "--database", "-l"),
    *("--ssl-ca", "--ssl-capath", "--ssl-cert", "--ssl-cipher", "--ssl-key", "--ssl-crl", "--ssl-crlpath"),
}
"""Options that decide on the connection, which the tests make."""
DEPENDENT = {
    *("--if-exists", "--on-conflict-do-nothing", "--master-data", "--defaults-file", "--include-foreign-data"),
    "--ignore-database",
}
"""Options that need another one, or what this server lacks."""


@pytest.fixture(scope="module")
def mariadb() -> Iterator[MariaDB]:
    with mariadb_server() as server:
        server.create("shop")
        server.run(TABLES, "shop")
        yield server


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with postgres_server() as server:
        server.create("shop")
        server.run(TABLES, "shop")
        yield server


def accepted(name: str, program: str) -> list[str]:
    rules = RULES[name]
    found = sorted((options_in(help_of(program)) & (rules.flags | rules.values)) - CONNECTION - DEPENDENT)
    assert len(found) > 10
    return found


def dumped(command: Sequence[str], folder: Path) -> bytes:
    done = subprocess.run(command, capture_output=True, cwd=folder, check=False)
    assert done.returncode == 0, (command, done.stderr)
    assert list(folder.iterdir()) == []
    return done.stdout


def job(kind: str, target: str, settings: JobSettings) -> Job:
    return Job(kind, target, target, SimpleCycle(), "", settings, Position("x", 1))


def test_no_accepted_option_of_mysqldump_takes_anything_away_or_writes_a_file(mariadb: MariaDB, tmp_path: Path) -> None:
    for option in accepted("MySQLOptions", "mariadb-dump"):
        words = words_with("MySQLOptions", option)
        settings = JobSettings(mysql_options=(*words, "--user=root"))
        dump = dumped(mysqldump_command("mariadb-dump", job("MySQL", f"{mariadb.socket}:shop", settings)), tmp_path)
        assert b"MariaDB dump" in dump[:200], option
        assert b"-- Dump completed" in dump[-200:], option
        assert b"CREATE TABLE `t`" in dump, option
        assert b"(4711,'x')" in dump or b"(4711, 'x')" in dump, option
        assert b"USE `" not in dump, option


@pytest.mark.parametrize("target", ["shop", "all"])
def test_no_accepted_option_of_pg_dump_takes_anything_away_or_writes_a_file(
    postgres: Postgres, tmp_path: Path, target: str
) -> None:
    program = "pg_dumpall" if target == "all" else "pg_dump"
    for option in accepted("PostgreSQLOptions", program):
        words = words_with("PostgreSQLOptions", option)
        settings = JobSettings(postgresql_options=(*words, f"--host={postgres.folder}", "--username=postgres"))
        dump = dumped(pg_dump_command(program, job("PostgreSQL", target, settings)), tmp_path)
        end = (
            b"-- PostgreSQL database cluster dump complete" if target == "all" else b"-- PostgreSQL database dump comp"
        )
        assert b"-- PostgreSQL database " in dump[:200], option
        assert end in dump[-300:], option
        assert b"TABLE" in dump, option
        assert b"4711" in dump, option
        assert target == "all" or b"\\connect" not in dump, option


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        *(("MySQL", f"{option}FILE") for option in ("--loose-result-file=", "-vr", "--fil=", "--result_file=", "-r ")),
        *(("PostgreSQL", f"{option}FILE") for option in ("--fil=", "-vf", "--file ", "-Of")),
        *(("MySQL", option) for option in ("--delete-master-logs", "--hel", "--xm", "--databa", "-qpSEKRIT")),
        *(("PostgreSQL", option) for option in ("-OFc", "--schema-on", "--cr")),
    ],
)
def test_what_writes_elsewhere_or_dumps_something_else_stops_the_configuration(
    tmp_path: Path, kind: str, options: str
) -> None:
    site = Site(tmp_path / "site")
    file = tmp_path / "plaintext"
    site.configure(f"<{kind} shop>\n{kind}Options {options.replace('FILE', str(file))}\n</{kind}>")
    for name in ("mariadb-dump", "mysqldump", "pg_dump"):
        site.fake_program(name, f"touch {tmp_path}/started")
    refused = site.run(expect=2).stderr
    assert f"{kind}Options " in refused
    assert "SEKRIT" not in refused
    assert not file.exists()
    assert not (tmp_path / "started").exists()


def test_what_the_readme_recommends_is_accepted() -> None:
    for words in (["--no-tablespaces"], ["--set-gtid-purged=OFF"], ["--defaults-extra-file=/root/second.cnf"]):
        assert refused_options("MySQLOptions", words) == []
    for words in (["--host=db.example.org"], ["--no-owner", "--no-privileges"], ["--lock-wait-timeout=60000"]):
        assert refused_options("PostgreSQLOptions", words) == []
