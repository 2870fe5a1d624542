"""A PostgreSQL server of the tests' own, on a socket, and what a test asks it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from tests.databases.private_server import as_user, kept_open, running, short_folder

USER = "postgres"
GUARDED = "guarded"
"""The one role that must give a password; the server believes all others."""

_TABLES = """
SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm') AND n.nspname !~ '^(pg_|information_schema)' ORDER BY 1
"""
_DEFINITIONS = {
    "columns": """
        SELECT table_schema, table_name, column_name, data_type, column_default, is_nullable, generation_expression
        FROM information_schema.columns WHERE table_schema !~ '^(pg_|information_schema)'
        ORDER BY 1, 2, ordinal_position
    """,
    "constraints": """
        SELECT conname, conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint ORDER BY 1, 2, 3
    """,
    "indexes": "SELECT schemaname, indexdef FROM pg_indexes WHERE schemaname !~ '^pg_' ORDER BY 1, 2",
    "views": "SELECT viewname, definition FROM pg_views WHERE schemaname !~ '^(pg_|information_schema)' ORDER BY 1",
    "triggers": "SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1",
    "routines": """
        SELECT pg_get_functiondef(p.oid) FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
        WHERE n.nspname !~ '^(pg_|information_schema)' ORDER BY 1
    """,
    "sequences": "SELECT * FROM pg_sequences ORDER BY 1, 2",
    "large objects": "SELECT oid, encode(lo_get(oid), 'hex') FROM pg_largeobject_metadata ORDER BY 1",
    "comments": "SELECT objoid::regclass::text, description FROM pg_description WHERE objoid > 16000 ORDER BY 1",
}


@dataclass(frozen=True)
class Postgres:
    """A running server.

    Attributes:
        folder: that of the socket, which clients know as the host.
        process: the server's.
    """

    folder: Path
    process: subprocess.Popen[bytes]

    @property
    def environment(self) -> dict[str, str]:
        """By which every tool finds the server, and its superuser."""
        return {"PGHOST": str(self.folder), "PGUSER": USER}

    def run(self, text: str | bytes, database: str = "postgres", *, stop: bool = True) -> bytes:
        """Let psql read SQL and return what it prints: rows as lines, columns between tabs."""
        data = text.encode() if isinstance(text, str) else text
        name = database.replace("\\", "\\\\").replace("'", "\\'")
        command = [_program("psql"), "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--field-separator=\t"]
        command += ["--no-password", f"--set=ON_ERROR_STOP={int(stop)}", f"--host={self.folder}", f"--username={USER}"]
        done = subprocess.run([*command, f"--dbname=dbname='{name}'"], input=data, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode(errors="replace")[-2000:]
        return done.stdout

    @contextmanager
    def session(self, text: str, database: str) -> Iterator[None]:
        """Keep a connection open that has done ``text`` first."""
        command = [_program("psql"), "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", f"--host={self.folder}"]
        with kept_open([*command, f"--username={USER}", f"--dbname={database}"], f"{text}; SELECT 'done';\n"):
            yield

    def create(self, database: str) -> None:
        self.run(f"CREATE DATABASE {quoted(database)} TEMPLATE template0")

    def drop(self, database: str) -> None:
        self.run(f"DROP DATABASE IF EXISTS {quoted(database)}")

    def databases(self) -> list[str]:
        """Names of all databases but the server's own."""
        text = self.run("SELECT datname FROM pg_database WHERE NOT datistemplate AND datname <> 'postgres' ORDER BY 1")
        return sorted(text.decode().splitlines())

    def describe(self, database: str) -> dict[str, bytes]:
        """Everything that a database holds: definitions as the server writes them, each relation's rows in order."""
        found = {name: self.run(query, database) for name, query in _DEFINITIONS.items()}
        for relation in self.run(_TABLES, database).decode().splitlines():
            found[f"rows of {relation}"] = self.run(
                f"COPY (SELECT * FROM {relation} AS t ORDER BY t::text) TO STDOUT", database
            )
        return found


def quoted(name: str) -> str:
    """A name as SQL takes it."""
    return '"' + name.replace('"', '""') + '"'


@lru_cache
def _program(name: str) -> str:
    """The path of one of PostgreSQL's programs, which Debian keeps out of PATH or hides behind a slower one."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name))
    found = shutil.which(name, path=str(folders[-1])) if folders else shutil.which(name)
    assert found is not None, f"{name} is missing: install the package postgresql"
    return found


@contextmanager
def postgres_server(options: Sequence[str] = ()) -> Iterator[Postgres]:
    """Run a fresh server; it cannot be reached by any network."""
    with short_folder(USER) as folder:
        data = folder / "data"
        initdb = [_program("initdb"), f"--pgdata={data}", f"--username={USER}", "--auth=trust", "--no-sync"]
        initdb += ["--encoding=UTF8", "--locale=C.UTF-8"]
        subprocess.run(initdb, capture_output=True, check=True, **as_user(USER, folder))
        access = data / "pg_hba.conf"
        access.write_text(f"local all {GUARDED} scram-sha-256\nlocal all all trust\n")
        command = [_program("postgres"), "-D", str(data), "-k", str(folder), "-c", "listen_addresses="]
        # What lies in /dev/shm stays there when a test kills the server.
        for option in ("fsync=off", "dynamic_shared_memory_type=mmap", *options):
            command += ["-c", option]
        with running(command, USER, folder, [_program("pg_isready"), "--quiet", f"--host={folder}"]) as server:
            yield Postgres(folder, server)
