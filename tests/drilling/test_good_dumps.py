"""A drill takes for good what is good: partitions, names with line breaks or tabs, databases that are read-only."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.databases.postgres import Postgres
from tests.databases.postgres_content import PARTED
from tests.site import Site

pytestmark = pytest.mark.long(15)


@pytest.mark.parametrize("target", ["parted", "all"])
def test_what_a_partition_has_of_its_own_is_proven(site: Site, postgres: Postgres, scratch: Path, target: str) -> None:
    site.environment.update(postgres.environment)
    postgres.create("parted")
    try:
        postgres.run(PARTED, "parted")
        site.configure(f"<PostgreSQL {target}>\n</PostgreSQL>")
        site.run()
        assert ": proven: " in site.run("drill", f"--scratch={scratch}").stdout
    finally:
        postgres.drop("parted")


WAYS_OF_WRITING = [
    "--inserts",
    "--rows-per-insert=2 --column-inserts --load-via-partition-root",
    "--load-via-partition-root",
    "--encoding=LATIN1",
]


@pytest.mark.parametrize("options", WAYS_OF_WRITING)
def test_rows_and_names_are_proven_however_they_are_written(
    site: Site, postgres: Postgres, scratch: Path, options: str
) -> None:
    site.environment.update(postgres.environment)
    postgres.create("stated")
    try:
        postgres.run(PARTED, "stated")
        postgres.run('CREATE TABLE "grüße" AS SELECT generate_series(1, 3) AS a; CREATE TABLE bare (a int)', "stated")
        site.configure(f"<Cycle c>\nPostgreSQLOptions {options}\nPostgreSQL stated\n</Cycle>")
        site.run()
        assert ": proven: 3 tables with 4 rows" in site.run("drill", f"--scratch={scratch}").stdout
    finally:
        postgres.drop("stated")


ODD = """
DROP SCHEMA public;
CREATE SCHEMA public;
CREATE TABLE "with	tab" (a int); INSERT INTO "with	tab" VALUES (1);
CREATE SEQUENCE "of	tab";
CREATE RULE tabbed AS ON DELETE TO "with	tab" DO INSTEAD NOTHING
"""


def test_a_database_that_was_made_read_only_with_names_and_a_schema_made_anew_is_proven(
    site: Site, postgres: Postgres, scratch: Path
) -> None:
    site.environment.update(postgres.environment)
    postgres.create("frozen")
    try:
        postgres.run(ODD + "; CREATE TABLE kept (a int[]); INSERT INTO kept VALUES ('{NULL,1}')", "frozen")
        postgres.run("ALTER DATABASE frozen SET default_transaction_read_only = on")
        site.configure("<Cycle c>\nPostgreSQL frozen all\n</Cycle>")
        site.run()
        assert site.run("drill", f"--scratch={scratch}").stdout.count(": proven: ") == 2
    finally:
        postgres.drop("frozen")
