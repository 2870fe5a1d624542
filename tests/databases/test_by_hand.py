"""The manual's recipes for databases and repositories, run with plain tools only."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.databases.mariadb import mariadb_server
from tests.databases.mysql_content import EVERYTHING, OF_MARIADB
from tests.databases.postgres import postgres_server
from tests.databases.postgres_content import EVERYTHING as POSTGRES_EVERYTHING
from tests.databases.repository import Repository, add_odd_properties, begin, merge
from tests.databases.sqlite_writer import make, numbers
from tests.gpg_keys import GpgHome, gpg_home
from tests.recipes import BACKUPS, adapted, encrypted, key_of, run_recipe
from tests.site import Site

pytestmark = pytest.mark.long(30)


@pytest.fixture(scope="module")
def backups_key() -> Iterator[GpgHome]:
    with gpg_home() as home:
        home.make_key(f"Backups <{BACKUPS}>")
        yield home


def test_a_repository_can_be_loaded_by_hand(tmp_path: Path, backups_key: GpgHome) -> None:
    site, recovered = Site(tmp_path / "site"), tmp_path / "recovered"
    repository = begin(site.source / "project", tmp_path / "scratch")
    site.configure(f"<Subversion {repository.path}>\nDiffs 6\nFulls 2\n</Subversion>", general=encrypted(backups_key))
    for night in range(2):
        merge(repository, night)
        add_odd_properties(repository)
        site.run(day=night)
    keys = {f"srv/svn/project-{slot}": f"{site.name(repository.path)}-{slot}" for slot in ("0-FULL", "1-DIFF")}
    places = {"/srv/vault": str(site.vault), "/srv/recovered": str(recovered), "= 57": f"= {repository.youngest}"}
    recipe = adapted("repository by hand", {**keys, **places})
    assert {run_recipe(recipe, backups_key).strip()} == {site.metadata(key)["s3napback-uuid"] for key in keys.values()}
    assert Repository(recovered, create=False).dump() == repository.dump()


def test_a_dump_that_is_missing_fails_the_recipe_for_repositories(tmp_path: Path, backups_key: GpgHome) -> None:
    site = Site(tmp_path / "site")
    repository = begin(site.source / "project", tmp_path / "scratch")
    site.configure(f"<Subversion {repository.path}>\nDiffs 6\nFulls 2\n</Subversion>", general=encrypted(backups_key))
    site.run(day=0)
    keys = {"srv/svn/project-0-FULL": f"{site.name(repository.path)}-0-FULL"}
    places = {"/srv/vault": str(site.vault), "/srv/recovered": str(tmp_path / "recovered")}
    with pytest.raises(AssertionError, match="1-DIFF"):
        run_recipe(adapted("repository by hand", {**keys, **places}), backups_key)


def test_mysql_databases_can_be_loaded_by_hand(tmp_path: Path, backups_key: GpgHome) -> None:
    site = Site(tmp_path / "site")
    site.environment["HOME"] = str(tmp_path)
    site.configure("<Cycle c>\nMySQL wiki all\n</Cycle>", general=encrypted(backups_key))
    options = tmp_path / ".my.cnf"
    with mariadb_server() as server, mariadb_server() as fresh:
        options.write_text(f"[client]\nuser=root\nsocket={server.socket}\n")
        server.run("CREATE DATABASE wiki CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci")
        server.run(EVERYTHING + OF_MARIADB, "wiki")
        # What is read here stands in somebody's wiki.
        server.run("INSERT INTO log (line) VALUES ('sed takes out: enable the sandbox mode')", "wiki")
        before = {**server.describe("wiki"), "itself": server.run("SHOW CREATE DATABASE wiki")}
        site.run()
        options.write_text(f"[client]\nuser=root\nsocket={fresh.socket}\n")
        slots = {f"MySQL/{name}-3": key_of(site, f"MySQL/{name}") for name in ("wiki", "all")}
        recipe = adapted("MySQL by hand", {**slots, "/srv/vault": str(site.vault)}).splitlines()
        for part in (recipe[:-1], [recipe[0], recipe[-1]]):
            run_recipe("\n".join(part), backups_key, {"HOME": str(tmp_path)})
            assert {**fresh.describe("wiki"), "itself": fresh.run("SHOW CREATE DATABASE wiki")} == before
            fresh.drop("wiki")


OWN_OF_LEDGER = """
CREATE ROLE clerk;
CREATE DATABASE ledger OWNER clerk ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0;
COMMENT ON DATABASE ledger IS 'the one';
ALTER DATABASE ledger SET work_mem = '77MB'
"""


def test_postgresql_databases_can_be_loaded_by_hand(tmp_path: Path, backups_key: GpgHome) -> None:
    site = Site(tmp_path / "site")
    site.configure("<Cycle c>\nPostgreSQL ledger all\n</Cycle>", general=encrypted(backups_key))
    about = "SELECT datdba::regrole, encoding, datcollate, setconfig, shobj_description(oid, 'pg_database')"
    about += " FROM pg_database LEFT JOIN pg_db_role_setting ON setdatabase = oid WHERE datname = 'ledger'"
    with postgres_server() as server, postgres_server() as fresh:
        site.environment.update(server.environment)
        server.run(OWN_OF_LEDGER)
        server.run(
            POSTGRES_EVERYTHING.replace("日本語 🦆", "ÄÖÜ").replace("–", "-").replace("“", "").replace("„", ""),
            "ledger",
        )
        server.run("CREATE TABLE lists AS SELECT ARRAY[NULL, 'NULL', 'x'] AS words", "ledger")
        # Rows that look like what a recipe picks out of a dump.
        server.run(
            "CREATE TABLE alike AS VALUES ('--| CREATE ROLE intruder SUPERUSER;'), ('CREATE ROLE postgres;')", "ledger"
        )
        server.run("ALTER DATABASE ledger SET array_nulls = off")
        server.run("ALTER DATABASE ledger SET default_transaction_read_only = on")
        before = {**server.describe("ledger"), "itself": server.run(about)}
        assert (
            b"clerk\t8\tC\t{work_mem=77MB,array_nulls=off,default_transaction_read_only=on}\tthe one"
            in before["itself"]
        )
        site.run()
        slots = {f"PostgreSQL/{name}-3": key_of(site, f"PostgreSQL/{name}") for name in ("ledger", "all")}
        recipe = adapted("PostgreSQL by hand", {**slots, "/srv/vault": str(site.vault)}).splitlines()
        fresh.run("CREATE ROLE clerk")
        for part in (recipe[:-1], [*recipe[:3], recipe[-1]]):
            run_recipe("\n".join(part), backups_key, fresh.environment)
            assert {**fresh.describe("ledger"), "itself": fresh.run(about)} == before
            assert not fresh.run("SELECT rolname FROM pg_roles WHERE rolname = 'intruder'")
            fresh.run("DROP DATABASE ledger; DROP ROLE clerk")


def test_rows_that_cannot_be_loaded_fail_the_recipe_for_postgresql(tmp_path: Path, backups_key: GpgHome) -> None:
    site = Site(tmp_path / "site")
    site.configure("<Cycle c>\nPostgreSQL ledger all\n</Cycle>", general=encrypted(backups_key))
    with postgres_server() as server:
        site.environment.update(server.environment)
        server.create("ledger")
        server.run(
            "CREATE TABLE limits (a int); CREATE FUNCTION fits(int) RETURNS bool LANGUAGE plpgsql AS "
            "'BEGIN RETURN (SELECT count(*) FROM limits) >= 0; END'; CREATE TABLE entry (a int CHECK (fits(a)));"
            "INSERT INTO entry VALUES (1)",
            "ledger",
        )
        site.run()
        server.drop("ledger")
        slots = {f"PostgreSQL/{name}-3": key_of(site, f"PostgreSQL/{name}") for name in ("ledger", "all")}
        recipe = adapted("PostgreSQL by hand", {**slots, "/srv/vault": str(site.vault)}).splitlines()
        for part in (recipe[:-1], [*recipe[:3], recipe[-1]]):
            with pytest.raises(AssertionError, match="limits"):
                run_recipe("\n".join(part), backups_key, server.environment)
            server.drop("ledger")


def test_an_sqlite_database_by_hand(tmp_path: Path, backups_key: GpgHome) -> None:
    site = Site(tmp_path / "site")
    path = make(site.source / "data.db")
    with closing(sqlite3.connect(path)) as connection, connection:
        # Such a row is as it was, and no damage.
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.execute("CREATE TABLE checked (a CHECK (a > 0))")
        connection.execute("INSERT INTO checked VALUES (-1)")
    site.configure(f"<SQLite {path}>\nFulls 1\n</SQLite>", general=encrypted(backups_key))
    site.run()
    target = tmp_path / "recovered.db"
    recipe = adapted(
        "SQLite by hand",
        {
            "/srv/vault": str(site.vault),
            "SQLite/srv/wiki/data.db-3": f"SQLite{path}-0",
            "/srv/recovered.db": str(target),
        },
    )
    run_recipe(recipe, backups_key)
    assert numbers(target) == numbers(path)
    target.write_bytes(target.read_bytes()[: -4096 * 3])
    with pytest.raises(AssertionError):
        run_recipe(recipe.splitlines()[-1], backups_key)
