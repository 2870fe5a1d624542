"""Dumps of databases are loaded into throwaway servers, and what does not load, or lacks something, is found."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.databases.mariadb import MariaDB
from tests.databases.mysql_content import EVERYTHING, OF_MARIADB
from tests.databases.postgres import USER, Postgres
from tests.databases.postgres_content import EVERYTHING as EVERYTHING_OF_POSTGRESQL
from tests.drilling.scratches import left, say
from tests.drilling.spoiling import replacing, spoil
from tests.site import Site

pytestmark = pytest.mark.long(60)

SMALL = """
CREATE TABLE first (a INT PRIMARY KEY, b TEXT);
INSERT INTO first VALUES (1, 'a'), (2, 'b),(c'), (3, 'it''s');
CREATE TABLE second (a INT);
"""


@pytest.fixture(scope="module")
def rich(mariadb: MariaDB) -> Iterator[MariaDB]:
    """A server with a database that holds one of everything."""
    mariadb.drop("rich")
    mariadb.create("rich")
    mariadb.run(EVERYTHING + OF_MARIADB, "rich")
    yield mariadb
    mariadb.drop("rich")


@pytest.mark.parametrize("target", ["rich", "all"])
def test_a_dump_of_mariadb_is_loaded_and_counted(site: Site, rich: MariaDB, scratch: Path, target: str) -> None:
    say(site, rich)
    site.configure(f"<MySQL {target}>\n</MySQL>")
    site.run()
    (key,) = site.archive_keys()
    shown = site.run("drill", f"--scratch={scratch}").stdout
    assert re.search(rf"^MySQL {target} of 2026-01-\d\d: proven: \d+ tables with \d+ rows, ", shown, re.MULTILINE), (
        shown
    )
    note = site.fetch(f"{key}.sha256").decode()
    assert re.search(r"^# rows 3 (rich/)?prices$", note, re.MULTILINE), note
    assert f"{key}.proven" in site.archive_keys(sums=True)
    assert not left(scratch)


def test_a_dump_of_postgresql_is_loaded_and_counted(site: Site, postgres: Postgres, scratch: Path) -> None:
    postgres.run("CREATE DATABASE rich; CREATE ROLE landlady")
    postgres.run(EVERYTHING_OF_POSTGRESQL, "rich")
    postgres.run("ALTER TABLE customers OWNER TO landlady", "rich")
    site.environment.update(postgres.environment)
    site.configure("<PostgreSQL rich>\n</PostgreSQL>\n<PostgreSQL all>\n</PostgreSQL>")
    site.run()
    shown = site.run("drill", f"--scratch={scratch}").stdout
    assert len(re.findall(r"^PostgreSQL \w+ of 2026-01-\d\d: proven: \d+ tables with \d+ rows, ", shown, re.M)) == 2, (
        shown
    )
    assert '  needs the role "landlady" where it is loaded' in shown
    assert not left(scratch)
    postgres.drop("rich")
    postgres.run("DROP ROLE landlady")


FLAWS_OF_MYSQL = {
    "a row is lost": (replacing(b",\n(2,'b),(c')", b""), "the table first has 2 rows, and had 3 when it was made"),
    "a table is lost": (
        lambda dump: re.sub(
            rb"-- Table structure for table `second`.*?(?=\n--\n-- Dumping (?:events|routines))",
            b"",
            dump,
            flags=re.DOTALL,
        ),
        "what is defined in it is not what was noted when it was made",
    ),
    "a sequence is lost": (
        replacing(b"`a` int(11) NOT NULL", b"`a` int(11) NOT NULL DEFAULT nextval(`small`.`numbers`)"),
        "numbers' doesn't exist",
    ),
    "a value is cut": (replacing(b"`b` text", b"`b` varchar(2)"), "mariadb said: Data truncated for column 'b' at row"),
    "a statement that fails": (replacing(b"INSERT INTO `first`", b"INSERT INTO `fist`"), "fist' doesn't exist"),
}


@pytest.mark.parametrize("flaw", FLAWS_OF_MYSQL)
def test_a_dump_of_mysql_that_is_not_good_is_found_though_verify_finds_it_good(
    site: Site, mariadb: MariaDB, scratch: Path, flaw: str
) -> None:
    change, words = FLAWS_OF_MYSQL[flaw]
    mariadb.drop("small")
    mariadb.create("small")
    mariadb.run(SMALL, "small")
    say(site, mariadb)
    site.configure("<MySQL small>\n</MySQL>")
    site.run()
    (key,) = site.archive_keys()
    spoil(site, key, change)
    assert ": good" in site.run("verify").stdout
    shown = site.run("drill", "MySQL/small", f"--scratch={scratch}", expect=1).stdout
    assert "NOT PROVEN" in shown
    assert words in shown
    assert f"{key}.disproven" in site.archive_keys(sums=True)
    assert not left(scratch)
    mariadb.drop("small")


FLAWS_OF_POSTGRESQL = {
    "a row is lost": (replacing(b"2\tb),(c\n", b""), "the table public.first has 2 rows, and had 3 when it was made"),
    "a sequence is lost": (
        replacing(b"CREATE SEQUENCE public.numbers", b"-- CREATE SEQUENCE public.numbers"),
        "psql said: ",
    ),
    "a value for a generated column": (
        replacing(b"b text\n", b"b text GENERATED ALWAYS AS ('x') STORED\n"),
        'psql said: column "b" is a generated column',
    ),
}


@pytest.mark.parametrize("flaw", FLAWS_OF_POSTGRESQL)
def test_a_dump_of_postgresql_that_is_not_good_is_found_though_verify_finds_it_good(
    site: Site, postgres: Postgres, scratch: Path, flaw: str
) -> None:
    change, words = FLAWS_OF_POSTGRESQL[flaw]
    postgres.drop("small")
    postgres.create("small")
    postgres.run(SMALL + "CREATE SEQUENCE numbers;", "small")
    site.environment.update(postgres.environment)
    site.configure("<PostgreSQL small>\n</PostgreSQL>")
    site.run()
    (key,) = site.archive_keys()
    spoil(site, key, change)
    assert ": good" in site.run("verify").stdout
    shown = site.run("drill", "PostgreSQL/small", f"--scratch={scratch}", expect=1).stdout
    assert "NOT PROVEN" in shown
    assert words in shown
    assert not left(scratch)
    postgres.drop("small")


def test_what_a_database_of_postgresql_needs_from_elsewhere_is_told_and_no_flaw(
    site: Site, postgres: Postgres, scratch: Path
) -> None:
    folder = scratch / "fast"
    folder.mkdir()
    shutil.chown(folder, USER)
    postgres.drop("small")
    postgres.create("small")
    postgres.run("CREATE ROLE reader")
    postgres.run(f"CREATE TABLESPACE fast LOCATION '{folder}'")
    postgres.run(
        "CREATE TABLE first (a INT) TABLESPACE fast; INSERT INTO first VALUES (1); CREATE TABLE none (a INT);"
        "CREATE POLICY readers ON first TO reader USING (true)",
        "small",
    )
    site.environment.update(postgres.environment)
    site.configure("<PostgreSQL small>\n</PostgreSQL>\n<PostgreSQL all>\n</PostgreSQL>")
    site.run()
    (key,) = [key for key in site.archive_keys() if "small" in key]
    # As newer programs write it.
    spoil(site, key, replacing(b"SET lock_timeout = 0;", b"SET lock_timeout = 0;\nSET transaction_timeout = 0;"))
    shown = site.run("drill", f"--scratch={scratch}").stdout
    assert re.search(r"^PostgreSQL small of .*: proven: 2 tables with 1 row, ", shown, re.MULTILINE), shown
    assert '  needs the role "reader" where it is loaded' in shown
    assert '  needs the tablespace "fast" where it is loaded' in shown
    assert '  needs the folder of the tablespace "fast" where it is loaded' in shown
    assert "postgres" not in shown
    postgres.drop("small")
    postgres.run("DROP ROLE reader")
    postgres.run("DROP TABLESPACE fast")
    assert left(scratch) == [str(folder)]


def test_accounts_that_a_dump_of_all_brings_into_force_do_not_lock_the_drill_out(
    site: Site, mariadb: MariaDB, scratch: Path
) -> None:
    mariadb.drop("small")
    mariadb.create("small")
    mariadb.run(
        "CREATE TABLE one (a INT) ENGINE=MyISAM; INSERT INTO one VALUES (1);"
        "CREATE TABLE none (a INT); CREATE TABLE joined (a INT) ENGINE=MERGE UNION=(one);"
        "CREATE EVENT tidy ON SCHEDULE EVERY 1 DAY DO DELETE FROM one",
        "small",
    )
    mariadb.run("ALTER USER root@localhost IDENTIFIED BY 'secret'")
    try:
        option_file = Path(site.environment["HOME"]) / ".my.cnf"
        option_file.write_text(f"[client]\nsocket={mariadb.socket}\nuser=root\npassword=secret\n")
        option_file.chmod(0o600)
        site.configure("<MySQL all>\nMySQLOptions --flush-privileges\n</MySQL>")
        site.run()
    finally:
        mariadb.run("ALTER USER root@localhost IDENTIFIED BY ''", password="secret")
    # Of a table that shows rows of others there are none in a dump.
    assert ": proven: " in site.run("drill", f"--scratch={scratch}").stdout
    mariadb.drop("small")


def test_an_account_that_a_dump_of_all_needs_and_lacks_is_found(site: Site, mariadb: MariaDB, scratch: Path) -> None:
    mariadb.drop("small")
    mariadb.create("small")
    mariadb.run("CREATE USER ghost@localhost; CREATE DEFINER=ghost@localhost VIEW dim AS SELECT 1 AS a", "small")
    mariadb.run("DROP USER ghost@localhost")
    say(site, mariadb)
    site.configure("<MySQL all>\n</MySQL>\n<MySQL small>\n</MySQL>")
    site.run()
    shown = site.run("drill", f"--scratch={scratch}", expect=1).stdout
    assert "the account ghost@localhost, which defined a view, is not in it" in shown
    assert "  needs the account ghost@localhost, which defined a view where it is loaded" in shown
    mariadb.drop("small")


def test_what_a_drill_left_that_was_killed_is_ended_and_removed_by_the_next(
    site: Site, mariadb: MariaDB, scratch: Path
) -> None:
    mariadb.drop("small")
    mariadb.create("small")
    mariadb.run(SMALL, "small")
    say(site, mariadb)
    site.configure("<MySQL small>\n</MySQL>")
    site.run()
    command = site.command("drill", f"--scratch={scratch}")
    with subprocess.Popen(command, env=site.full_environment(), stdout=subprocess.DEVNULL) as drill:
        deadline = time.monotonic() + 60
        while not any(path.is_socket() for path in scratch.rglob("socket")) and time.monotonic() < deadline:
            time.sleep(0.02)
        drill.kill()
    assert left(scratch)
    # A thief's folder of that name is none of ours, and stays.
    foreign = scratch / ".s3napback-drill-foreign"
    foreign.mkdir()
    os.chown(foreign, 4711, 4711)
    assert ": proven: " in site.run("drill", f"--scratch={scratch}").stdout
    assert left(scratch) == [str(foreign)]
    mariadb.drop("small")


def test_a_live_server_is_left_alone(site: Site, mariadb: MariaDB) -> None:
    mariadb.drop("small")
    mariadb.create("small")
    mariadb.run(SMALL, "small")
    say(site, mariadb)
    site.configure("<MySQL small>\n</MySQL>")
    site.run()
    data = mariadb.socket.parent / "data"
    shown = site.run("drill", f"--scratch={data}", expect=1).stdout
    assert "it is the data folder of a server of databases" in shown
    assert mariadb.rows("SELECT COUNT(*) FROM first", "small") == [["3"]]
    # What only cannot be tried is not said to be bad.
    assert not [key for key in site.archive_keys(sums=True) if "proven" in key]
