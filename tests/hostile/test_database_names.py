"""A database's owner names things so that clients would take a part of a name for a command: none does, nor a log."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.databases.mariadb import MariaDB
from tests.databases.mariadb import quoted as mysql_quoted
from tests.databases.postgres import Postgres
from tests.databases.postgres import quoted as postgres_quoted
from tests.databases.recovery import dump_of
from tests.site import Site


@pytest.fixture
def canary() -> Iterator[Path]:
    """A file that a command in a name makes; its path is short, as names are."""
    with tempfile.TemporaryDirectory(prefix="h", dir="/tmp") as folder:
        Path(folder).chmod(0o777)
        yield Path(folder) / "P"


def evil(canary: Path, kind: str) -> str:
    """A name that leaves a comment, a quoted name or a COPY by a line of its own."""
    return f"{kind}\n\\! touch {canary}\n\\.\n--"


def test_no_name_in_mariadb_becomes_a_command(
    site: Site, mariadb: MariaDB, other_mariadb: MariaDB, canary: Path
) -> None:
    table, view, trigger, routine, event, column = (
        mysql_quoted(evil(canary, kind)) for kind in ("t", "v", "g", "p", "e", "c")
    )
    mariadb.create("named")
    mariadb.run(
        f"CREATE TABLE {table} ({column} INT COMMENT '\n\\\\! touch {canary}\n', KEY {table} ({column})) "
        f"COMMENT '\n\\\\! touch {canary}\n'; INSERT INTO {table} VALUES (4711);"
        f"CREATE VIEW {view} AS SELECT {column} FROM {table};"
        f"CREATE TRIGGER {trigger} BEFORE INSERT ON {table} FOR EACH ROW SET @x = 1;"
        f"CREATE PROCEDURE {routine} () SELECT 1; CREATE EVENT {event} ON SCHEDULE EVERY 1 DAY DO SELECT 1;",
        "named",
    )
    site.configure(f'<MySQL named>\nMySQLOptions "--socket={mariadb.socket}" --user=root\n</MySQL>')
    done = site.run()
    other_mariadb.create("named")
    other_mariadb.run(dump_of(site, "MySQL/named-2"), "named")
    assert not canary.exists()
    mariadb.run(f"\\! touch {canary}\n", "named")
    assert canary.exists(), "a canary that cannot sing proves nothing"
    assert other_mariadb.rows(f"SELECT * FROM {view}", "named") == [["4711"]]
    assert not [line for line in done.stderr.splitlines() if line.startswith("\\!")]
    for server in (mariadb, other_mariadb):
        server.drop("named")


def test_no_name_in_postgresql_becomes_a_command(
    site: Site, postgres: Postgres, other_postgres: Postgres, canary: Path
) -> None:
    site.environment.update(postgres.environment)
    schema, table, view, routine, role, column = (
        postgres_quoted(evil(canary, kind)) for kind in ("s", "t", "v", "f", "r", "c")
    )
    postgres.create("named")
    postgres.run(
        f"CREATE ROLE {role}; CREATE SCHEMA {schema} AUTHORIZATION {role};"
        f"CREATE TABLE {schema}.{table} ({column} INT);"
        f"ALTER TABLE {schema}.{table} OWNER TO {role}; INSERT INTO {schema}.{table} VALUES (4711);"
        f"CREATE VIEW {schema}.{view} AS SELECT {column} FROM {schema}.{table};"
        f"CREATE FUNCTION {schema}.{routine} () RETURNS INT LANGUAGE sql AS 'SELECT 1';"
        f"COMMENT ON TABLE {schema}.{table} IS '\n\\! touch {canary}\n';"
        f"COMMENT ON DATABASE named IS '\n\\! touch {canary}\n'",
        "named",
    )
    site.configure("<PostgreSQL named>\n</PostgreSQL>")
    done = site.run()
    other_postgres.run(f"CREATE ROLE {role}")
    other_postgres.create("named")
    other_postgres.run(dump_of(site, "PostgreSQL/named-2"), "named")
    assert not canary.exists()
    postgres.run(f"\\! touch {canary}\n", "named")
    assert canary.exists(), "a canary that cannot sing proves nothing"
    assert other_postgres.run(f"SELECT * FROM {schema}.{view}", "named") == b"4711\n"
    assert not [line for line in done.stderr.splitlines() if line.startswith("\\!")]
    for server in (postgres, other_postgres):
        server.drop("named")
        server.run(f"DROP ROLE {role}")
