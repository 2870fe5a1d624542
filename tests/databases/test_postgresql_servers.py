"""PostgreSQL: how a role is set, and what partitions have of their own, takes nothing from a dump."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from s3napback.sources.postgresql_inventory import questions
from tests.databases.postgres import Postgres
from tests.databases.postgres_content import PARTED
from tests.databases.recovery import dump_of
from tests.site import Site


@pytest.fixture
def database(postgres: Postgres, request: pytest.FixtureRequest) -> Iterator[str]:
    """A fresh database of a name of its own."""
    name = f"s_{abs(hash(request.node.name)) % 10**8}"
    postgres.create(name)
    yield name
    postgres.drop(name)


@pytest.fixture(autouse=True)
def _reached(site: Site, postgres: Postgres) -> None:
    site.environment.update(postgres.environment)


@pytest.mark.parametrize("lost", ["below", "off_below"])
def test_a_dump_without_what_a_partition_has_of_its_own_fails(
    site: Site, postgres: Postgres, database: str, lost: str
) -> None:
    postgres.run(PARTED, database)
    site.configure(f"<PostgreSQL {database}>\n</PostgreSQL>")
    site.fake_program("pg_dump", f'REAL "$@" | sed "/^-- Name: one {lost}; Type: TRIGGER/d"')
    assert "lacks what the server has: 1 of 4 triggers" in site.run(expect=1).stderr


def test_large_objects_are_counted_by_the_server(site: Site, postgres: Postgres, database: str) -> None:
    postgres.run("CREATE TABLE a (a int); SELECT count(lo_create(0)) FROM generate_series(1, 1000)", database)
    version = int(postgres.run("SHOW server_version_num"))
    assert len(postgres.run(questions(version), database).splitlines()) < 10
    site.configure(f"<PostgreSQL {database}>\n</PostgreSQL>")
    site.run()
    site.fake_program("pg_dump", 'REAL "$@" | sed "0,/^SELECT pg_catalog.lo_open/{/^SELECT pg_catalog.lo_open/d}"')
    assert "lacks what the server has: 1 of 1000 large objects" in site.run("-f", expect=1).stderr


def test_a_time_limit_of_the_role_does_not_hold_for_the_question_what_there_is(
    site: Site, postgres: Postgres, database: str
) -> None:
    postgres.run("".join(f"CREATE TABLE t{number} (a int);" for number in range(1000)), database)
    postgres.run("DROP ROLE IF EXISTS hurried; CREATE ROLE hurried LOGIN SUPERUSER")
    postgres.run("ALTER ROLE hurried SET statement_timeout = 8; ALTER ROLE hurried SET lock_timeout = 8")
    site.configure(f"<PostgreSQL hurried@{database}>\n</PostgreSQL>")
    try:
        site.run()
    finally:
        postgres.run("DROP ROLE hurried")
    (key,) = site.archive_keys()
    assert dump_of(site, key).count(b"CREATE TABLE public.t") == 1000


@contextmanager
def waited_for(postgres: Postgres, database: str, statements: str) -> Iterator[None]:
    """A transaction that holds up whoever looks at the table until somebody does."""
    until_then = """DO $$ BEGIN FOR i IN 1..600 LOOP
        EXIT WHEN EXISTS (SELECT FROM pg_locks WHERE NOT granted); PERFORM pg_sleep(0.1);
    END LOOP; END $$"""
    locked = "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted AND relation > 16384"
    job = threading.Thread(
        target=postgres.run, args=(f"BEGIN; {statements}; {until_then}; COMMIT", database), daemon=True
    )
    job.start()
    while postgres.run(locked) == b"0\n":
        assert job.is_alive()
        time.sleep(0.05)
    yield
    job.join()


REPLACED = [
    "TRUNCATE facts; INSERT INTO facts SELECT generate_series(1, 9)",
    "ALTER TABLE facts ALTER a TYPE bigint",
    "LOCK facts; CREATE TABLE other AS TABLE facts; DROP TABLE facts; ALTER TABLE other RENAME TO facts",
]


@pytest.mark.parametrize(
    ("statements", "source", "options"),
    [*((each, "{}", "") for each in REPLACED), *((REPLACED[0], each, "--inserts") for each in ("{}", "all"))],
)
def test_rows_that_a_transaction_replaces_while_the_dump_begins_are_missed(
    site: Site, postgres: Postgres, database: str, statements: str, source: str, options: str
) -> None:
    postgres.run("CREATE TABLE facts AS SELECT generate_series(1, 9) AS a; CREATE TABLE bare ()", database)
    site.configure(f"<PostgreSQL {source.format(database)}>\nPostgreSQLOptions --no-comments {options}\n</PostgreSQL>")
    with waited_for(postgres, database, statements):
        failed = site.run(expect=1).stderr
    of = f" of the database {database}" if source == "all" else ""
    assert f"has no rows of the table public.facts{of}, though the server has" in failed
    assert site.archive_keys() == []
    site.run()


def test_a_table_that_is_emptied_for_good_or_filled_later_is_not_missed(
    site: Site, postgres: Postgres, database: str
) -> None:
    postgres.run("CREATE TABLE facts AS SELECT generate_series(1, 9) AS a", database)
    site.configure(f"<PostgreSQL {database}>\n</PostgreSQL>")
    with waited_for(postgres, database, "TRUNCATE facts"):
        site.run()
    site.configure("<PostgreSQL all>\n</PostgreSQL>")
    fill = f"psql --quiet --dbname={database} --command='INSERT INTO facts VALUES (1)' >&2"
    empty = f"psql --quiet --dbname={database} --command='TRUNCATE facts' >&2"
    site.fake_program("pg_dumpall", f'{empty}; REAL "$@"; {fill}')
    site.run("-f")
