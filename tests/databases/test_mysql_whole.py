"""MySQL and MariaDB: nothing is left out without a word, nothing spoils a dump, and all of it comes back."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.databases.mariadb import MariaDB, quoted
from tests.databases.mysql_content import EVERYTHING, OF_MARIADB
from tests.databases.recovery import unharmed
from tests.site import Site


@pytest.fixture
def database(mariadb: MariaDB, request: pytest.FixtureRequest) -> Iterator[str]:
    """A fresh database with a table, of a name of its own; it goes with the test, since others dump all there are."""
    name = f"d_{abs(hash(request.node.name)) % 10**8}"
    mariadb.drop(name)
    mariadb.create(name)
    mariadb.run("CREATE TABLE first (a INT); INSERT INTO first VALUES (1); CREATE TABLE second (b INT)", name)
    yield name
    mariadb.drop(name)


def say(site: Site, mariadb: MariaDB, *more: str, user: str = "root") -> None:
    """Write the option file of the backup's user."""
    option_file = Path(site.environment["HOME"]) / ".my.cnf"
    option_file.write_text("\n".join(["[client]", f"socket={mariadb.socket}", f"user={user}", *more, ""]))
    option_file.chmod(0o600)


def restored(site: Site, source: str) -> bytes:
    command = site.command("restore", source, "--to", "-", day=None)
    return subprocess.run(command, capture_output=True, env=site.full_environment(), check=True).stdout


def properties(server: MariaDB, database: str) -> list[list[str]]:
    query = "SELECT default_character_set_name, default_collation_name FROM information_schema.schemata"
    return server.rows(f"{query} WHERE schema_name = '{database}'")


def test_what_only_mariadb_has_comes_back(site: Site, mariadb: MariaDB, other_mariadb: MariaDB) -> None:
    mariadb.run("CREATE DATABASE sorted_words CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci")
    mariadb.run(EVERYTHING + OF_MARIADB, "sorted_words")
    say(site, mariadb)
    site.configure("<MySQL sorted_words>\n</MySQL>")
    site.run()
    assert ": good" in site.run("verify").stdout
    # Defaults name the sequence with its database, so that the name must be the same.
    other_mariadb.create("sorted_words")
    other_mariadb.run(restored(site, "MySQL/sorted_words"), "sorted_words")
    before = mariadb.describe("sorted_words")
    assert {"PACKAGE BODY parcel", "definition of numbers", "rows of numbered"} <= before.keys()
    assert other_mariadb.describe("sorted_words") == before
    assert properties(mariadb, "sorted_words") == [["utf8mb4", "utf8mb4_unicode_520_ci"]]
    history = "SELECT price, ROW_START, ROW_END FROM prices FOR SYSTEM_TIME ALL ORDER BY 1, 2"
    assert len(mariadb.rows(history, "sorted_words")) == 3
    for ask in (properties, lambda server, name: server.rows(history, name)):
        assert ask(other_mariadb, "sorted_words") == ask(mariadb, "sorted_words")
    more = "INSERT INTO numbered (word) VALUES ('next'); SELECT MAX(id) > 8 FROM numbered"
    assert other_mariadb.rows(more, "sorted_words") == [["1"]]
    for server in (mariadb, other_mariadb):
        server.drop("sorted_words")


@pytest.mark.parametrize(
    ("rights", "wanted"),
    [
        (
            "SELECT ON {0}.first",
            ["GRANT SELECT ON `{1}`.* TO `limited`@`localhost`", "GRANT TRIGGER ON `{1}`.*", "`mysql`.`proc`"],
        ),
        ("SELECT (a), INSERT ON {0}.first", ["GRANT SELECT ON `{1}`.*"]),
        ("SELECT, EXECUTE ON {0}.*", ["GRANT TRIGGER ON `{1}`.*"]),
        ("SELECT, TRIGGER ON {0}.*", ["GRANT SELECT ON `mysql`.`proc`"]),
    ],
)
def test_what_the_user_may_not_see_is_told_with_the_right_that_shows_it(
    site: Site, mariadb: MariaDB, database: str, rights: str, wanted: list[str]
) -> None:
    mariadb.run("DROP USER IF EXISTS limited@localhost; CREATE USER limited@localhost")
    mariadb.run(
        "GRANT SHOW VIEW, EVENT, LOCK TABLES ON *.* TO limited@localhost;"
        f"GRANT {rights.format(database)} TO limited@localhost"
    )
    say(site, mariadb, user="limited")
    site.configure(f"<MySQL {database}>\n</MySQL>")
    failed = site.run(expect=1).stderr
    shown = database.replace("_", "\\_")
    for each in wanted:
        assert each.format(database, shown) in failed
    assert site.archive_keys() == []
    # What the message says is all that there is to be done.
    told = failed.partition("Run: ")[2].splitlines()[0]
    mariadb.run(told)
    site.run()
    assert b"CREATE TABLE `second`" in restored(site, f"MySQL/{database}")


def test_all_needs_rights_on_all(site: Site, mariadb: MariaDB, database: str) -> None:
    mariadb.run("DROP USER IF EXISTS limited@localhost; CREATE USER limited@localhost")
    mariadb.run(f"GRANT EVENT, SHOW VIEW ON *.* TO limited@localhost; GRANT ALL ON {database}.* TO limited@localhost")
    say(site, mariadb, user="limited")
    site.configure("<MySQL all>\n</MySQL>")
    failed = site.run(expect=1).stderr
    assert "GRANT SELECT ON *.* TO `limited`@`localhost`; GRANT TRIGGER ON *.*" in failed
    mariadb.run("GRANT SELECT, TRIGGER, LOCK TABLES ON *.* TO limited@localhost")
    site.run()
    assert f"Current Database: {quoted(database)}".encode() in restored(site, "MySQL/all")


def test_rights_of_a_role_count(site: Site, mariadb: MariaDB, database: str) -> None:
    mariadb.run(
        "DROP USER IF EXISTS limited@localhost; CREATE USER limited@localhost; CREATE OR REPLACE ROLE backups;"
        "GRANT SELECT, SHOW VIEW, TRIGGER, EVENT, LOCK TABLES ON *.* TO backups; GRANT backups TO limited@localhost;"
        "SET DEFAULT ROLE backups FOR limited@localhost"
    )
    say(site, mariadb, user="limited")
    site.configure(f"<MySQL {database}>\n</MySQL>")
    site.run()
    dump = restored(site, f"MySQL/{database}")
    assert b"CREATE TABLE `first`" in dump and b"CREATE TABLE `second`" in dump


def test_a_database_that_held_tables_and_holds_none_now_fails_unless_forced(
    site: Site, mariadb: MariaDB, database: str
) -> None:
    say(site, mariadb)
    site.configure(f"Fulls 1\n<MySQL {database}>\n</MySQL>\n<Directory {site.source}>\n</Directory>")
    site.run(day=0)
    mariadb.run("DROP TABLE first, second", database)
    with unharmed(site, f"MySQL {database}", f"MySQL/{database}-0") as failure:
        failure.run = site.run(day=1, expect=1)
    assert "holds no table, but did" in failure.words
    assert "holds no table, but did" in site.run("-t", day=1, expect=1).stderr
    site.run("-f", day=1)
    site.run(day=2)
    assert b"CREATE TABLE" not in restored(site, f"MySQL/{database}")


@pytest.mark.parametrize(
    ("settings", "shown"),
    [
        *((name, f"--{name}") for name in ("no-data", "xml", "databases", "no-create-info", "compact")),
        ("where=a>1", "--where"),
        ("ignore-table=x.first", "--ignore-table"),
        ("ignore_table_data=x.first", "--ignore-table-data"),
        ("loose-no-data", "--no-data"),
        ("no-dat", "--no-dat"),
        ("quick=0\nskip-quote-names=1\nxml=1", "--xml"),
        ("password=x --no-create-info", "an option"),
    ],
)
def test_an_option_file_that_would_spoil_the_dump_is_refused_before_anything_is_written(
    site: Site, mariadb: MariaDB, database: str, settings: str, shown: str
) -> None:
    say(site, mariadb, "[mysqldump]", settings)
    site.configure(f"<MySQL {database}>\n</MySQL>")
    failed = site.run(expect=1).stderr
    assert f"  {shown}: " in failed
    assert "no-create-info:" not in failed or "password" not in settings
    assert site.archive_keys() == []


def test_a_file_that_an_option_file_names_is_not_written(
    site: Site, mariadb: MariaDB, database: str, tmp_path: Path
) -> None:
    say(
        site,
        mariadb,
        "[mysqldump]",
        f"result-file={tmp_path}/plaintext",
        "[mysqldumpling]",
        f"log-error={tmp_path}/plaintext",
    )
    site.configure(f"<MySQL {database}>\n</MySQL>")
    assert "--result-file" in site.run(expect=1).stderr
    assert "--result-file" in site.run("-t", expect=1).stderr
    site.configure(f"<MySQL {database}>\nMySQLOptions --defaults-group-suffix=ling\n</MySQL>")
    assert "--log-error" in site.run(expect=1).stderr
    assert not (tmp_path / "plaintext").exists()


@pytest.mark.parametrize("lost", ["second", "a trigger", "a routine"])
def test_a_dump_without_something_that_the_server_has_fails(
    site: Site, mariadb: MariaDB, database: str, lost: str
) -> None:
    mariadb.run(
        "CREATE TRIGGER watch BEFORE INSERT ON first FOR EACH ROW SET NEW.a = 1;"
        "CREATE FUNCTION one() RETURNS INT RETURN 1",
        database,
    )
    say(site, mariadb, "[mysql]", "safe-updates", "select-limit=1", "vertical", "table", "silent")
    site.configure(f"<MySQL {database}>\n</MySQL>")
    site.run()
    filters = {
        "second": ("/^-- Table structure for table `second`/d", "first"),
        "a trigger": ("s/TRIGGER `*watch//", "1 of 1 triggers"),
        "a routine": ("s/FUNCTION `one`//", "1 of 1 routines"),
    }
    site.fake_program(
        "mariadb-dump",
        f'case "$*" in *--opt*) REAL "$@" | sed "{filters[lost][0]}";; *) exec REAL "$@";; esac'.replace("`", "\\`"),
    )
    failed = site.run("-f", expect=1).stderr
    assert f"lacks what the server has: {'second' if lost == 'second' else filters[lost][1]}" in failed


def test_a_table_that_is_dropped_meanwhile_is_not_missed(site: Site, mariadb: MariaDB, database: str) -> None:
    say(site, mariadb)
    site.configure(f"<MySQL {database}>\n</MySQL>")
    drop = f"mariadb --execute='DROP TABLE IF EXISTS {database}.second' >&2"
    site.fake_program("mariadb-dump", f'case "$*" in *--opt*) {drop};; esac; exec REAL "$@"')
    site.run()
    assert b"`second`" not in restored(site, f"MySQL/{database}")


def test_tables_that_options_leave_out_are_not_missed(site: Site, mariadb: MariaDB, database: str) -> None:
    mariadb.run("CREATE TRIGGER watch BEFORE INSERT ON second FOR EACH ROW SET NEW.b = 1", database)
    say(site, mariadb)
    site.configure(f"<MySQL {database}>\nMySQLOptions --ignore-table={database}.second\n</MySQL>")
    site.run()
    dump = restored(site, f"MySQL/{database}")
    assert b"CREATE TABLE `first`" in dump and b"`second`" not in dump
    mariadb.run("CREATE FUNCTION one() RETURNS INT RETURN 1", database)
    site.configure(f"<MySQL all>\nMySQLOptions --ignore-database={database}\n</MySQL>")
    site.run()
    dump = restored(site, "MySQL/all")
    assert b"Current Database: `mysql`" in dump and quoted(database).encode() not in dump


def test_a_table_among_those_of_the_server_is_not_left_out_of_all_without_a_word(
    site: Site, mariadb: MariaDB, database: str
) -> None:
    say(site, mariadb)
    # A name that only a cluster of MySQL has for itself.
    mariadb.run("CREATE DATABASE ndbinfo; CREATE TABLE ndbinfo.own (a INT); CREATE TABLE sys.stray (a INT)", database)
    site.configure("<MySQL all>\n</MySQL>")
    assert "lacks what the server has: sys.stray\n" in site.run(expect=1).stderr
    mariadb.run("DROP TABLE sys.stray", database)
    site.fake_program(
        "mariadb-dump", 'case "$*" in *--opt*) exec REAL --ignore-database=ndbinfo "$@";; *) exec REAL "$@";; esac'
    )
    assert "lacks what the server has: ndbinfo.own\n" in site.run(expect=1).stderr
    mariadb.run("DROP DATABASE ndbinfo; CREATE VIEW sys.stray AS SELECT 1", database)
    site.fake_program("mariadb-dump", 'exec REAL "$@"')
    said = site.run().stderr
    mariadb.run("DROP VIEW sys.stray")
    assert said.count("is not in the dump, since that database") == said.count("the view sys.stray is") == 1


@pytest.mark.parametrize(
    ("version", "program", "words"),
    [
        ("9.7.4-2", "mariadb-dump", "the server is MySQL itself, 9.7.4-2, and mariadb-dump is MariaDB's"),
        ("10.11.1-MariaDB-log", "mysqldump  Ver 9.7.4 for Linux", "Install mariadb-dump"),
    ],
)
def test_the_dump_program_of_another_maker_is_refused(site: Site, version: str, program: str, words: str) -> None:
    site.configure("<MySQL shop>\n</MySQL>")
    site.fake_program(
        "mariadb",
        f"printf 's3napback\\t{version}\\nGRANT ALL PRIVILEGES ON *.* TO `root`@`localhost`\\n'".replace("`", "\\`"),
    )
    for name in ("mariadb-dump", "mysqldump"):
        site.fake_program(name, f"echo '{program} MariaDB'" if "mariadb" in program else f"echo '{program}'")
    assert words in site.run(expect=1).stderr
    assert site.archive_keys() == []
