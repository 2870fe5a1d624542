"""PostgreSQL: nothing is left out without a word, nothing spoils a dump, and a database's own settings come back."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from s3napback.sources.postgresql_answers import matches, own_definition
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


def definition_in(dump: bytes) -> bytes:
    """What README's recipe makes the database by."""
    return subprocess.run(["sed", "-n", "s/^--| //p"], input=dump, capture_output=True, check=True).stdout


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
        site.environment["PGOPTIONS"] = "-c default_transaction_read_only=nonsense"
        site.run("-f")
        del site.environment["PGOPTIONS"]
        site.environment |= {"PGSERVICE": "elsewhere", "PGSERVICEFILE": str(service)}
        site.run("-f")
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
