"""MySQL and MariaDB: how a server is set, and in what words things were made, takes nothing from a dump in silence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.databases.mariadb import MariaDB
from tests.databases.recovery import dump_of
from tests.site import Site


@pytest.fixture
def database(site: Site, mariadb: MariaDB, request: pytest.FixtureRequest) -> Iterator[str]:
    """A fresh database with a table of three rows, of a name of its own, which is configured.

    It goes with the test: others dump all that there are.
    """
    name = f"s_{abs(hash(request.node.name)) % 10**8}"
    mariadb.drop(name)
    mariadb.create(name)
    mariadb.run("CREATE TABLE seen (a INT); INSERT INTO seen VALUES (1), (2), (3)", name)
    option_file = Path(site.environment["HOME"]) / ".my.cnf"
    option_file.write_text(f"[client]\nsocket={mariadb.socket}\nuser=root\n")
    option_file.chmod(0o600)
    site.configure(f"<MySQL {name}>\n</MySQL>")
    yield name
    mariadb.drop(name)


@contextmanager
def set_on_server(mariadb: MariaDB, variable: str, value: str) -> Iterator[None]:
    mariadb.run(f"SET GLOBAL {variable} = {value}")
    try:
        yield
    finally:
        mariadb.run(f"SET GLOBAL {variable} = DEFAULT")


TRIGGERS = (
    "create trigger watch before insert on seen for each row set @a = 1",
    "CREATE TRIGGER\nwatch\nBEFORE INSERT ON seen FOR EACH ROW SET @a = 1",
    "create or replace\n\ttrigger\twatch before insert on seen for each row set @a = 1",
    "Create Trigger`watch`before insert on seen for each row set @a = 1",
    "CREATE /* it */ TRIGGER /* is */ watch BEFORE INSERT ON seen FOR EACH ROW SET @a = 1",
    "CREATE TRIGGER IF NOT EXISTS watch BEFORE INSERT ON seen FOR EACH ROW SET @a = 1",
)


@pytest.mark.parametrize("trigger", TRIGGERS)
def test_a_trigger_is_found_in_the_dump_in_whatever_words_it_was_made(
    site: Site, mariadb: MariaDB, database: str, trigger: str
) -> None:
    mariadb.run(trigger, database)
    site.run()
    (key,) = site.archive_keys()
    mariadb.create(f"{database}_back")
    mariadb.run(dump_of(site, key).decode(), f"{database}_back")
    assert mariadb.rows(
        f"SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = '{database}_back'"
    ) == [["watch"]]
    mariadb.drop(f"{database}_back")


@pytest.mark.usefixtures("database")
def test_a_dump_that_would_be_cut_by_the_servers_own_limit_of_rows_fails(site: Site, mariadb: MariaDB) -> None:
    with set_on_server(mariadb, "sql_select_limit", "2"):
        assert "sql_select_limit is 2" in site.run(expect=1).stderr
    assert site.archive_keys() == []
    site.run()


@pytest.mark.usefixtures("database")
def test_a_limit_that_each_session_of_an_ordinary_user_begins_with_is_seen(site: Site, mariadb: MariaDB) -> None:
    option_file = Path(site.environment["HOME"]) / ".my.cnf"
    option_file.write_text(f"[client]\nsocket={mariadb.socket}\nuser=ordinary\n")
    mariadb.run("CREATE USER IF NOT EXISTS ordinary@localhost")
    mariadb.run("GRANT SELECT, SHOW VIEW, TRIGGER, EVENT, LOCK TABLES ON *.* TO ordinary@localhost")
    with set_on_server(mariadb, "init_connect", "'SET sql_select_limit = 2'"):
        assert "sql_select_limit is 2" in site.run(expect=1).stderr
    site.run()
    option_file.write_text(f"{option_file.read_text()}[mysql]\ninit-command=SET sql_select_limit = 2\n")
    assert "out of init-command in the option files of its clients" in site.run("-f", expect=1).stderr


def test_digits_that_a_dump_does_not_hold_are_told_of(site: Site, mariadb: MariaDB, database: str) -> None:
    columns = "a FLOAT, b FLOAT(10,3), c FLOAT UNSIGNED, d DOUBLE, e FLOAT AS (a + 1)"
    mariadb.run(f"CREATE TABLE places ({columns}); CREATE VIEW shown AS SELECT * FROM places", database)
    said = site.run().stderr
    assert "of FLOAT columns the dump holds six digits" in said
    assert ": places.a and 1 more. DOUBLE" in said
    mariadb.run("ALTER TABLE places MODIFY a DOUBLE, MODIFY c DOUBLE", database)
    assert "FLOAT" not in site.run("-f").stderr


def test_characters_and_values_that_a_dump_would_lose_are_told_of(
    site: Site, mariadb: MariaDB, other_mariadb: MariaDB, database: str
) -> None:
    mariadb.run(
        "SET NAMES binary; CREATE TABLE old (a TEXT CHARACTER SET sjis); INSERT INTO old VALUES (x'8740')", database
    )
    assert "as circled digits: old.a. MySQLOptions --default-character-set=binary keeps" in site.run().stderr
    site.configure(f"<MySQL {database}>\nMySQLOptions --default-character-set=binary\n</MySQL>")
    assert "circled" not in site.run("-f").stderr
    (key,) = site.archive_keys()
    other_mariadb.create(database)
    other_mariadb.run(dump_of(site, key), database)
    assert other_mariadb.rows("SELECT HEX(a) FROM old", database) == [["8740"]]
    for column in ("UUID", "ENUM('ä') CHARACTER SET latin1", "VARCHAR(9) CHARACTER SET utf16 DEFAULT 'a'"):
        mariadb.run(f"CREATE TABLE ids (i {column})", database)
        assert "=binary would lose values" in site.run("-f", expect=1).stderr
        mariadb.run("DROP TABLE ids", database)
    mariadb.run(
        "CREATE TABLE ids (i VARCHAR(9) CHARACTER SET utf16, j VARCHAR(9) CHARACTER SET latin1 DEFAULT 'a')", database
    )
    site.run("-f")


def test_former_rows_that_no_dump_can_hold_are_told_of(site: Site, mariadb: MariaDB, database: str) -> None:
    mariadb.run(
        "CREATE TABLE prices (a INT) WITH SYSTEM VERSIONING; INSERT INTO prices VALUES (1); UPDATE prices SET a = 2;"
        "CREATE TABLE precise (a INT, s BIGINT UNSIGNED GENERATED ALWAYS AS ROW START, e BIGINT UNSIGNED GENERATED "
        "ALWAYS AS ROW END, PERIOD FOR SYSTEM_TIME (s, e)) WITH SYSTEM VERSIONING; INSERT INTO precise (a) VALUES (5)",
        database,
    )
    site.configure(f"<Cycle c>\nMySQL {database} all\n</Cycle>")
    warned = site.run().stderr
    assert warned.count(f"former rows of the system-versioned table {database}.precise, and with them those of") == 2
    for name in (database, "all"):
        dump = dump_of(site, f"MySQL/{name}-2")
        assert b"INSERT INTO `precise` VALUES\n(5," in dump
        assert b"INSERT INTO `prices` VALUES\n(2)" in dump
    site.configure(f"<Cycle c>\nMySQLOptions --ignore-table={database}.precise\nMySQL {database}\n</Cycle>")
    assert "former rows" not in site.run("-f").stderr
    assert b"\n(1,'" in dump_of(site, f"MySQL/{database}-2")


def test_rows_that_a_table_has_from_elsewhere_are_told_of(site: Site, mariadb: MariaDB, database: str) -> None:
    mariadb.run("INSTALL SONAME 'ha_federatedx'")
    try:
        mariadb.run(
            f"CREATE TABLE far (a INT) ENGINE=FEDERATED CONNECTION='mysql://root@localhost/{database}/seen';"
            "CREATE TABLE near (a INT) ENGINE=MyISAM; CREATE TABLE both_of (a INT) ENGINE=MERGE UNION=(near)",
            database,
        )
        said = site.run().stderr
        assert "the rows of the table far are not in the dump, since its engine, FEDERATED, has them from else" in said
        assert "both_of" not in said
        mariadb.run("DROP TABLE far", database)
    finally:
        mariadb.run("UNINSTALL SONAME 'ha_federatedx'")


EXCHANGE = "INSERT INTO early SELECT seq FROM seq_3_to_9; RENAME TABLE stale TO gone, early TO stale; DROP TABLE gone"
"""How programs that rebuild a table put it in the place of the old one."""


EARLY, LATE = "REAL {} | {{ head -c 100000; sleep 1; {}; cat; }}", "REAL {} && sleep 1.1 && {}"


@pytest.mark.parametrize(("source", "script"), [("{}", EARLY), ("all", EARLY), ("{}", LATE)])
def test_a_table_that_is_exchanged_before_its_turn_comes_is_not_taken_for_the_other(
    site: Site, mariadb: MariaDB, database: str, source: str, script: str
) -> None:
    mariadb.run("CREATE TABLE first AS SELECT REPEAT(seq, 1500) FROM seq_1_to_4000", database)
    mariadb.run("CREATE TABLE stale (i INT); INSERT INTO stale VALUES (1), (2)", database)
    mariadb.run("CREATE TABLE early (i INT); INSERT INTO early VALUES (1), (2)", database)
    site.configure(f"<MySQL {source.format(database)}>\n</MySQL>")
    exchange = f"mariadb --socket={mariadb.socket} --user=root --execute='{EXCHANGE}' {database} >&2"
    dump = script.format('"$@"', exchange)
    site.fake_program("mariadb-dump", f'case "$*" in *--opt*) {dump};; *) REAL "$@";; esac')
    is_early = script == EARLY
    failed = site.run(expect=int(is_early)).stderr
    assert ("stale than were there: it was renamed, or defined anew" in failed) == is_early
    assert bool(site.archive_keys()) == (not is_early)


def test_rows_that_go_from_a_part_to_a_new_table_before_their_turn_comes_are_missed(
    site: Site, mariadb: MariaDB, database: str
) -> None:
    mariadb.run("CREATE TABLE first AS SELECT REPEAT(seq, 1500) FROM seq_1_to_4000", database)
    parts = "PARTITION old VALUES LESS THAN (10), PARTITION young VALUES LESS THAN (20)"
    mariadb.run(f"CREATE TABLE parted (i INT) PARTITION BY RANGE (i) ({parts})", database)
    mariadb.run("INSERT INTO parted VALUES (1), (11)", database)
    statement = "ALTER TABLE parted CONVERT PARTITION old TO TABLE taken"
    change = f"mariadb --socket={mariadb.socket} --user=root --execute='{statement}' {database} >&2"
    dump = EARLY.format('"$@"', change)
    site.fake_program("mariadb-dump", f'case "$*" in *--opt*) {dump};; *) REAL "$@";; esac')
    assert "parted than were there: it was renamed, or defined anew" in site.run(expect=1).stderr


MOVES = [
    ("{}", "ALTER TABLE parted EXCHANGE PARTITION old WITH TABLE alike", "may lack rows of alike, parted: while"),
    (
        "all",
        "RENAME TABLE {0}_later.kept TO a_{0}.kept",
        "may lack rows of {0}_later.kept: while it was made, that was",
    ),
    ("all", "CREATE TABLE a_{0}.kept AS SELECT 2 AS i", ""),
]


@pytest.mark.parametrize(("source", "statement", "said"), MOVES)
def test_rows_that_come_under_another_name_while_a_dump_is_made_are_missed(
    site: Site, mariadb: MariaDB, database: str, source: str, statement: str, said: str
) -> None:
    mariadb.run("CREATE TABLE first AS SELECT REPEAT(seq, 1500) FROM seq_1_to_4000", database)
    mariadb.run("CREATE TABLE parted (i INT) PARTITION BY RANGE (i) (PARTITION old VALUES LESS THAN (10))", database)
    mariadb.run("INSERT INTO parted VALUES (1); CREATE TABLE alike (i INT)", database)
    mariadb.create(f"a_{database}")
    mariadb.create(f"{database}_later")
    mariadb.run(f"CREATE TABLE {database}_later.kept AS SELECT 1 AS i")
    client = f"mariadb --socket={mariadb.socket} --user=root"
    dump = EARLY.format('"$@"', f'{client} --execute="{statement.format(database)}" {database} >&2')
    site.fake_program("mariadb-dump", f'case "$*" in *--opt*) {dump};; *) REAL "$@";; esac')
    site.configure(f"<MySQL {source.format(database)}>\n</MySQL>")
    try:
        assert said.format(database) in site.run(expect=int(bool(said))).stderr
    finally:
        mariadb.drop(f"a_{database}")
        mariadb.drop(f"{database}_later")
