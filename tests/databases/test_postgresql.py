"""PostgreSQL: what is loaded from an archive by hand is what was there, whatever the database is called."""

from __future__ import annotations

from pathlib import Path

import pytest

from s3napback.config.settings import Job, JobSettings, Position
from s3napback.rotation import SimpleCycle
from s3napback.sources.postgresql import pg_dump_command
from tests.databases.configuring import word
from tests.databases.postgres import GUARDED, Postgres, postgres_server
from tests.databases.postgres_content import EVERYTHING, NAMES
from tests.databases.recovery import dump_of
from tests.site import Site

RIGHTS = f"""
CREATE ROLE {GUARDED} LOGIN PASSWORD 'p:ss w\\o';
GRANT pg_read_all_data TO {GUARDED};
"""
"""What README says that a role for backups needs; large objects need more."""


def command_for(target: str, *options: str) -> tuple[str, ...]:
    settings = JobSettings(postgresql_options=options)
    return pg_dump_command("pg_dump", Job("PostgreSQL", target, "x", SimpleCycle(), "", settings, Position("x", 1)))


@pytest.fixture(scope="session")
def shop(postgres: Postgres) -> str:
    """A database with everything in it."""
    postgres.create("shop")
    postgres.run(EVERYTHING, "shop")
    return "shop"


def test_a_loaded_archive_equals_the_database_in_every_definition_and_row(
    site: Site, postgres: Postgres, other_postgres: Postgres, shop: str
) -> None:
    site.environment.update(postgres.environment)
    site.configure(f"<PostgreSQL {shop}>\nFulls 2\n</PostgreSQL>")
    site.run()
    assert site.archive_keys() == ["PostgreSQL/shop-0"]
    other_postgres.create("copy")
    other_postgres.run(dump_of(site, "PostgreSQL/shop-0"), "copy")
    before = postgres.describe(shop)
    assert b"424242" in before["large objects"]
    assert b"DEFERRABLE" in before["constraints"]
    assert b"customers_id_seq" in before["sequences"]
    assert other_postgres.describe("copy") == before


def test_names_that_look_like_something_else_are_dumped_as_they_are(
    site: Site, postgres: Postgres, other_postgres: Postgres
) -> None:
    site.environment.update(postgres.environment)
    marks = {name: name.encode().hex() for name in NAMES}
    for name in NAMES:
        postgres.create(name)
        postgres.run(f"CREATE TABLE only_here AS SELECT '{marks[name]}' AS name", name)
    site.configure("\n".join(["<Cycle all>", *(f"PostgreSQL {word(name)}" for name in NAMES), "</Cycle>"]))
    rehearsed = site.run("-t").stdout
    site.run()
    assert site.archive_keys() == sorted(f"PostgreSQL/{name}-2" for name in NAMES)
    for name in NAMES:
        assert f"PostgreSQL {name} -> file://" in rehearsed
        other_postgres.create(name)
        other_postgres.run(dump_of(site, f"PostgreSQL/{name}-2"), name)
        assert other_postgres.run("SELECT name FROM only_here", name) == f"{marks[name]}\n".encode()
    for name in NAMES:
        postgres.drop(name)


def test_all_databases_come_back_with_roles_and_passwords(site: Site) -> None:
    with postgres_server() as source, postgres_server() as target:
        for name in ("shop", "empty", 'zwölf "x"'):
            source.create(name)
        source.run(EVERYTHING, "shop")
        source.run("CREATE TABLE t AS SELECT 12 AS a", 'zwölf "x"')
        source.run("CREATE ROLE clerk LOGIN PASSWORD 'open'; ALTER DATABASE shop OWNER TO clerk")
        site.environment.update({"PGHOST": str(source.folder), "PGUSER": "nobody-of-that-name"})
        site.configure("<PostgreSQL postgres@all>\nFulls 3\nUseTempFile 1\n</PostgreSQL>")
        site.run()
        assert site.archive_keys() == ["PostgreSQL/all-0"]
        # The superuser exists already, which is the one complaint.
        target.run(dump_of(site, "PostgreSQL/all-0"), stop=False)
        assert target.databases() == source.databases()
        for name in source.databases():
            assert target.describe(name) == source.describe(name)
        roles = "SELECT rolname, rolpassword FROM pg_authid WHERE rolname !~ '^pg_' ORDER BY 1"
        assert b"clerk\tSCRAM" in source.run(roles)
        assert target.run(roles) == source.run(roles)
        owner = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'shop'"
        assert target.run(owner) == b"clerk\n"


def test_a_role_with_the_documented_rights_and_a_password_in_pgpass_is_enough(
    site: Site, postgres: Postgres, other_postgres: Postgres
) -> None:
    postgres.create("guarded_db")
    postgres.run("CREATE TABLE t AS SELECT n, 'ü' AS word FROM generate_series(1, 9) AS n", "guarded_db")
    postgres.run(f"DROP ROLE IF EXISTS {GUARDED}; {RIGHTS}")
    pgpass = Path(site.environment["HOME"]) / ".pgpass"
    pgpass.write_text(f"*:*:*:{GUARDED}:p\\:ss w\\\\o\n")
    pgpass.chmod(0o600)
    site.environment["PGHOST"] = str(postgres.folder)
    site.configure(f"<PostgreSQL {GUARDED}@guarded_db>\nPostgreSQLOptions --no-owner\n</PostgreSQL>")
    site.run()
    assert site.archive_keys() == ["PostgreSQL/guarded_db-2"]
    dump = dump_of(site, "PostgreSQL/guarded_db-2")
    assert b"OWNER TO" not in dump
    other_postgres.create("guarded_copy")
    other_postgres.run(dump, "guarded_copy")
    assert other_postgres.describe("guarded_copy") == postgres.describe("guarded_db")


def test_slots_follow_both_kinds_of_cycles_and_diffs_do_not_count(site: Site, postgres: Postgres) -> None:
    site.environment.update(postgres.environment)
    postgres.create("nightly")
    postgres.run("CREATE TABLE nights (night int)", "nightly")
    site.configure(
        "<Cycle simple>\nDiffs 2\nFulls 3\nPostgreSQL nightly\n</Cycle>\n"
        "<Cycle hanoi>\nCycleType HanoiCycle\nDiscs 3\nPostgreSQL nightly\nUseTempFile 1\n</Cycle>"
    )
    last: dict[str, int] = {}
    # 20454 is a multiple of 3, and leaves 2 when divided by 4.
    for night, (simple, hanoi) in enumerate([(0, 0), (1, 2), (2, 0), (0, 1), (1, 0)]):
        postgres.run(f"INSERT INTO nights VALUES ({night})", "nightly")
        site.run(day=night)
        last |= {f"simple/PostgreSQL/nightly-{simple}": night, f"hanoi/PostgreSQL/nightly-{hanoi}": night}
        assert site.archive_keys() == sorted(last)
    for key, night in last.items():
        values = "\n".join(str(each) for each in range(night + 1))
        assert f"(night) FROM stdin;\n{values}\n\\.".encode() in dump_of(site, key)


def test_a_missing_program_is_named_with_the_package_that_brings_it(site: Site) -> None:
    site.configure("<Cycle a>\nPostgreSQL one\nPostgreSQL all\n</Cycle>")
    site.environment["PATH"] = str(site.root)
    failed = site.run(expect=1).stderr
    assert "PostgreSQL one FAILED: pg_dump was not found on PATH; install it" in failed
    assert "PostgreSQL all FAILED: pg_dumpall was not found on PATH; install it" in failed
    assert "postgresql-client" in failed
    rehearsed = site.run("-t", expect=1)
    assert "would fail: pg_dump was not found" in rehearsed.stdout
    assert "pg_dump was not found" in rehearsed.stderr


def test_a_name_is_never_an_option_and_never_a_connection_string() -> None:
    assert command_for("--file=/etc/x")[-1] == "--dbname=dbname='--file=/etc/x' options=' '"
    assert command_for("host=evil password")[-1] == "--dbname=dbname='host=evil password' options=' '"
    assert command_for("a\\' host='b")[-1] == "--dbname=dbname='a\\\\\\' host=\\'b' options=' '"
    with_user = command_for("-x@all", "--clean")
    assert with_user[-2:] == ("--clean", "--dbname=options=' '")
    assert "--username=-x" in with_user
    # A terminal there may be, if somebody runs this by hand.
    assert "--no-password" in with_user
