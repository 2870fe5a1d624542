"""PostgreSQL: nothing is left out without a word, nothing spoils a dump, and a database's own settings come back."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from s3napback.sources.postgresql import PostgreSQLServer
from s3napback.sources.postgresql_answers import matches, own_definition
from s3napback.sources.postgresql_inventory import PostgreSQLInventory
from tests.catalogues import job
from tests.databases.postgres import Postgres, postgres_server, quoted
from tests.databases.recovery import unharmed
from tests.site import Site

OWN = """
SELECT datname, pg_get_userbyid(datdba), pg_encoding_to_char(encoding), datcollate, datctype, datconnlimit,
(SELECT array_agg(a::text ORDER BY a::text) FROM unnest(datacl) AS a) FROM pg_database WHERE datname = '{name}';
SELECT shobj_description(oid, 'pg_database')
FROM pg_database WHERE datname = '{name}';
SELECT coalesce(r.rolname, ''), s.setconfig FROM pg_db_role_setting s
JOIN pg_database d ON d.oid = s.setdatabase LEFT JOIN pg_roles r ON r.oid = s.setrole WHERE d.datname = '{name}'
ORDER BY 1
"""
"""What a database has apart from all that is in it."""


MADE = r"""
CREATE DATABASE NAME OWNER landlady ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0 CONNECTION LIMIT 7;
COMMENT ON DATABASE NAME IS E'Größe\n\\connect nowhere\n-- Name: x; Type: DATABASE';
ALTER DATABASE NAME SET work_mem = '77MB';
ALTER ROLE tenant IN DATABASE NAME SET datestyle = 'ISO, DMY';
REVOKE CONNECT ON DATABASE NAME FROM PUBLIC;
GRANT CREATE ON DATABASE NAME TO tenant;
"""


@pytest.fixture
def database(postgres: Postgres, request: pytest.FixtureRequest) -> Iterator[str]:
    """A fresh database with a table, of a name of its own."""
    name = f"d_{abs(hash(request.node.name)) % 10**8}"
    postgres.create(name)
    postgres.run("CREATE TABLE first (a int); INSERT INTO first VALUES (1)", name)
    yield name
    postgres.run(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    postgres.drop(name)


def restored(site: Site, source: str) -> bytes:
    command = site.command("restore", source, "--to", "-", day=None)
    return subprocess.run(command, capture_output=True, env=site.full_environment(), check=True).stdout


def statements(dump: bytes) -> list[bytes]:
    """A dump's lines, without comments and without psql's own, among which there are random words."""
    return [line for line in dump.splitlines() if not line.startswith((b"--", b"\\"))]


def definition_in(dump: bytes) -> bytes:
    """What README's recipe makes the database by."""
    return subprocess.run(["sed", "-n", "1,/^--$/s/^--| //p"], input=dump, capture_output=True, check=True).stdout


def test_a_database_comes_back_with_owner_rights_encoding_comment_and_settings(
    site: Site, postgres: Postgres, other_postgres: Postgres
) -> None:
    name = "zwölf \"x\" 'y'"
    for server in (postgres, other_postgres):
        server.run("CREATE ROLE landlady; CREATE ROLE tenant")
    postgres.run(MADE.replace("NAME", quoted(name)))
    postgres.run("SET client_encoding = 'UTF8'; CREATE TABLE words AS SELECT 'ü' AS word", name)
    site.environment.update(postgres.environment)
    site.configure(f'<PostgreSQL "{name}">\n</PostgreSQL>'.replace('"x"', '\\"x\\"'))
    site.run()
    assert ": good" in site.run("verify").stdout
    dump = restored(site, f"PostgreSQL/{name}")
    other_postgres.run(definition_in(dump))
    other_postgres.run(dump, name)
    own = OWN.format(name=name.replace("'", "''"))
    assert b"77MB" in postgres.run(own)
    assert b"connect nowhere" in postgres.run(own)
    assert other_postgres.run(own) == postgres.run(own)
    assert other_postgres.describe(name) == postgres.describe(name)
    for server in (postgres, other_postgres):
        server.drop(name)
        server.run("DROP ROLE landlady; DROP ROLE tenant")


def test_a_database_that_nobody_may_connect_to_is_not_left_out_without_a_word(
    site: Site, postgres: Postgres, database: str
) -> None:
    site.environment.update(postgres.environment)
    postgres.run(f"ALTER DATABASE {database} ALLOW_CONNECTIONS false")
    site.configure("<PostgreSQL all>\n</PostgreSQL>")
    failed = site.run(expect=1).stderr
    assert f'ALTER DATABASE "{database}" ALLOW_CONNECTIONS true' in failed
    assert site.archive_keys() == []
    for pattern in (f"--exclude-database={database}", f"--exclude-database={database[:-3]}*", "--exclude-database=D_*"):
        site.configure(f"<PostgreSQL all>\nPostgreSQLOptions {pattern}\n</PostgreSQL>")
        site.run("-f")
    postgres.run(f"ALTER DATABASE {database} ALLOW_CONNECTIONS true")
    site.configure("<PostgreSQL all>\n</PostgreSQL>")
    site.run("-f")
    assert f'-- Database "{database}" dump'.encode() in restored(site, "PostgreSQL/all")


def test_a_dump_without_a_database_that_the_server_has_fails(site: Site, postgres: Postgres, database: str) -> None:
    site.environment.update(postgres.environment)
    site.configure("<PostgreSQL all>\n</PostgreSQL>")
    site.fake_program("pg_dumpall", f'REAL --exclude-database={database} "$@"')
    assert f"lacks what the server has: the database {database}" in site.run(expect=1).stderr


OF_EVERY_KIND = """
CREATE SCHEMA sales; CREATE TABLE sales.odd (a int); INSERT INTO sales.odd VALUES (1);
CREATE VIEW dear AS SELECT 1 AS a; CREATE SEQUENCE numbers; CREATE UNLOGGED TABLE brief AS SELECT 1 AS a;
CREATE TABLE log (a int) PARTITION BY RANGE (a); CREATE TABLE log_1 PARTITION OF log FOR VALUES FROM (1) TO (9);
CREATE FUNCTION tidy() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER tidy AFTER INSERT ON log FOR EACH ROW EXECUTE FUNCTION tidy();
CREATE POLICY mine ON first USING (true); CREATE RULE twice AS ON INSERT TO first DO ALSO NOTHING;
CREATE EXTENSION postgres_fdw; CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw;
CREATE FOREIGN TABLE distant (a int) SERVER far; CREATE TYPE span AS RANGE (subtype = int4);
CREATE PUBLICATION news FOR TABLE first; SELECT lo_from_bytea(0, 'x'), lo_from_bytea(0, '');
CREATE SUBSCRIPTION others CONNECTION 'dbname=x' PUBLICATION y WITH (connect = false, slot_name = NONE);
CREATE FUNCTION seen() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE EVENT TRIGGER watch ON ddl_command_start EXECUTE FUNCTION seen();
"""


@pytest.fixture(scope="module")
def varied(postgres: Postgres) -> Iterator[str]:
    """A database with one thing of every kind of which a dump could lack some."""
    postgres.create("varied")
    postgres.run("CREATE TABLE first (id int GENERATED ALWAYS AS IDENTITY)", "varied")
    postgres.run(OF_EVERY_KIND, "varied")
    yield "varied"
    postgres.run("DROP SUBSCRIPTION others", "varied")
    postgres.drop("varied")


MISSING = {
    "Data for Name: odd; Type: TABLE DATA": "rows of the table sales.odd",
    "Name: odd; Type: TABLE;": "the table sales.odd",
    "Name: brief; Type: TABLE;": "the table public.brief",
    "Name: log; Type: TABLE;": "the table public.log",
    "Name: dear; Type: VIEW": "the view public.dear",
    "Name: numbers; Type: SEQUENCE;": "the sequence public.numbers",
    "Name: distant; Type: FOREIGN TABLE": "the foreign table public.distant",
    "Name: sales; Type: SCHEMA": "the schema sales",
    "Name: postgres_fdw; Type: EXTENSION": "the extension postgres_fdw",
    "Name: far; Type: SERVER": "the server far",
    "Name: news; Type: PUBLICATION;": "the publication news",
    "Name: others; Type: SUBSCRIPTION": "the subscription others",
    "Name: watch; Type: EVENT TRIGGER": "the event trigger watch",
    "Name: seen(); Type: FUNCTION": "1 of 2 routines",
    "Name: log tidy; Type: TRIGGER": "1 of 1 triggers",
    "Name: first mine; Type: POLICY": "1 of 1 policies",
    "Name: first twice; Type: RULE": "1 of 1 rules",
    "SELECT pg_catalog.lo_open": "2 of 2 large objects",
}


def test_a_dump_of_one_database_that_lacks_something_fails(
    postgres: Postgres, varied: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in postgres.environment.items():
        monkeypatch.setenv(name, value)
    held = PostgreSQLServer(job(source=f"PostgreSQL {varied}")).look()
    content = subprocess.run(held.command, capture_output=True, check=True).stdout

    def lacking(dump: bytes) -> list[str]:
        inventory = PostgreSQLInventory()
        assert b"".join(map(bytes, inventory.passed(iter([memoryview(dump)])))) == dump
        return held.lacking(inventory)

    assert lacking(content) == []
    for entry, missing in MISSING.items():
        assert lacking(content.replace(entry.encode(), b"something else")) == [missing], entry


def test_what_only_a_superuser_may_see_fails_the_dump_of_another(site: Site, postgres: Postgres, varied: str) -> None:
    mapping = "USER MAPPING FOR postgres SERVER far"
    postgres.run(
        f"CREATE ROLE lowly LOGIN; GRANT pg_read_all_data TO lowly; CREATE {mapping} OPTIONS (user 'a')", varied
    )
    postgres.run(
        "SELECT lo_unlink(oid) FROM pg_largeobject_metadata; ALTER TABLE first DISABLE ROW LEVEL SECURITY", varied
    )
    site.environment.update(postgres.environment)
    site.configure(f"<PostgreSQL lowly@{varied}>\n</PostgreSQL>")
    hidden = "the options of the user mapping of postgres for the server far"
    assert f"only a superuser may see {hidden}, and the dump would lack that" in site.run(expect=1).stderr
    options = "--no-role-passwords --no-subscriptions"
    site.configure(f"<PostgreSQL lowly@all>\nPostgreSQLOptions {options}\n</PostgreSQL>")
    assert f"only a superuser may see {hidden} of the database {varied}" in site.run(expect=1).stderr
    site.configure(f"<PostgreSQL lowly@{varied}>\n</PostgreSQL>")
    postgres.run(f"DROP {mapping}", varied)
    assert "only a superuser may see the subscription others" in site.run(expect=1).stderr
    site.configure(f"<PostgreSQL lowly@{varied}>\nPostgreSQLOptions --no-subscriptions\n</PostgreSQL>")
    site.run()
    postgres.run("GRANT postgres TO lowly")
    site.configure(f"<PostgreSQL lowly@{varied}>\nPostgreSQLOptions --role=postgres\n</PostgreSQL>")
    site.run("-f")
    assert b"CREATE SUBSCRIPTION others" in restored(site, f"PostgreSQL/{varied}")
    postgres.run("DROP OWNED BY lowly; DROP ROLE lowly")


@pytest.mark.parametrize("setting", ["zero_damaged_pages", "ignore_checksum_failure"])
def test_a_setting_that_hides_damage_is_told_of(site: Site, postgres: Postgres, database: str, setting: str) -> None:
    site.environment.update(postgres.environment)
    site.configure(f"<PostgreSQL {database}>\n</PostgreSQL>")
    assert "damaged pages" not in site.run().stderr
    postgres.run(f"ALTER DATABASE {database} SET {setting} = on")
    told = site.run("-f").stderr
    assert f"PostgreSQL {database}: the setting {setting} is on: rows on damaged pages would be" in told
    site.configure("PostgreSQL all")
    assert site.run("-f").stderr.count(f"{setting} is on") == 1


def test_what_no_dump_takes_is_told(site: Site, postgres: Postgres, database: str) -> None:
    site.environment.update(postgres.environment)
    postgres.run(
        "CREATE EXTENSION postgres_fdw; ALTER EXTENSION postgres_fdw ADD TABLE first; "
        "CREATE FUNCTION pg_catalog.own() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        database,
    )
    site.configure(f"<PostgreSQL {database}>\n</PostgreSQL>")
    told = site.run().stderr
    rows = f"PostgreSQL {database}: the rows of the table public.first are not in the dump"
    assert f"{rows}: it belongs to the extension postgres_fdw" in told
    assert "the routine pg_catalog.own is not in the dump" in told
    assert told.count(" WARNING ") == 2
    postgres.run("CREATE TABLE information_schema.hidden AS SELECT 1 AS a", database)
    assert "lacks what the server has: the table information_schema.hidden" in site.run("-f", expect=1).stderr


@pytest.mark.parametrize("source", ["NAME", "all"])
def test_a_database_that_held_tables_and_holds_none_now_fails_unless_forced(site: Site, source: str) -> None:
    with postgres_server() as server:
        server.create("lonely")
        server.run("CREATE TABLE first (a int)", "lonely")
        site.environment.update(server.environment)
        target = "lonely" if source == "NAME" else "all"
        site.configure(f"Fulls 1\n<PostgreSQL {target}>\n</PostgreSQL>\n<Directory {site.source}>\n</Directory>")
        site.run(day=0)
        # What belongs to an extension is nobody's table.
        server.run("DROP TABLE first; CREATE EXTENSION pg_stat_statements", "lonely")
        with unharmed(site, f"PostgreSQL {target}", f"PostgreSQL/{target}-0") as failure:
            failure.run = site.run(day=1, expect=1)
        assert "holds no table, but did" in failure.words
        site.run("-f", day=1)
        site.run(day=2)


def test_settings_of_the_environment_and_of_a_service_do_not_change_a_dump(
    site: Site, postgres: Postgres, database: str, tmp_path: Path
) -> None:
    postgres.run("CREATE TABLE money AS SELECT '{1,2}'::int[] AS a, 12.5::float8 AS b", database)
    site.environment.update(postgres.environment)
    service = tmp_path / "services"
    service.write_text(f"[elsewhere]\nhost={postgres.folder}\noptions=-c default_transaction_read_only=nonsense\n")
    for name in (database, "all"):
        site.configure(f"<PostgreSQL {name}>\n</PostgreSQL>")
        site.run("-f")
        plain = restored(site, f"PostgreSQL/{name}")
        assert b"{1,2}\t12.5\n" in plain
        site.environment["PGOPTIONS"] = "-c default_transaction_read_only=nonsense"
        site.run("-f")
        assert statements(restored(site, f"PostgreSQL/{name}")) == statements(plain)
        del site.environment["PGOPTIONS"]
        site.environment |= {"PGSERVICE": "elsewhere", "PGSERVICEFILE": str(service)}
        site.run("-f")
        assert statements(restored(site, f"PostgreSQL/{name}")) == statements(plain)
        del site.environment["PGSERVICE"]


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("shop", "shop", True),
        ("shop", "shop2", False),
        ("Shop*", "shop2", True),
        ('"Shop"', "Shop", True),
        ('"Shop"', "shop", False),
        ('"a*"', "ab", False),
        ('"a""b"', 'a"b', True),
        ("s?op", "shop", True),
        ("[", "[", False),
    ],
)
def test_patterns_are_those_of_psql(pattern: str, name: str, expected: bool) -> None:
    assert matches(pattern, name) is expected


def test_what_is_no_dump_defines_nothing() -> None:
    assert own_definition("") == own_definition("CREATE DATABASE x;\n") == b""
