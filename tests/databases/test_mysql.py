"""MySQL: what is loaded from an archive by hand is what was there, whatever the database is called."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from s3napback.config.settings import Job, JobSettings, Position
from s3napback.rotation import SimpleCycle
from s3napback.sources.mysql import mysqldump_command
from tests.databases.configuring import word
from tests.databases.mariadb import MariaDB, mariadb_server
from tests.databases.mysql_content import EVERYTHING, LARGE_PICTURE, NAMES
from tests.databases.recovery import dump_of
from tests.faulty_s3 import Answer, Fault, FaultyS3, Forward, Request
from tests.servers import S3Server
from tests.site import Site

RIGHTS = """
CREATE USER {user}@localhost IDENTIFIED BY '{password}';
GRANT SELECT, SHOW VIEW, TRIGGER, EVENT, LOCK TABLES ON *.* TO {user}@localhost;
"""
"""What README says that a user for backups needs."""


def configure(site: Site, body: str, mariadb: MariaDB, *, user: str = "root", password: str = "") -> None:
    """A configuration, and the file in which mysqldump finds server, user and password, and options that do harm."""
    site.configure(body)
    option_file = Path(site.environment["HOME"]) / ".my.cnf"
    option_file.write_text(
        f'[client]\nsocket={mariadb.socket}\nuser={user}\npassword="{password}"\ndefault-character-set=latin1\n'
        "[mysqldump]\nskip-triggers\nskip-opt\nmax-allowed-packet=16M\n"
    )
    option_file.chmod(0o600)


def command_for(target: str, *options: str) -> tuple[str, ...]:
    settings = JobSettings(mysql_options=options)
    return mysqldump_command("mysqldump", Job("MySQL", target, "x", SimpleCycle(), "", settings, Position("x", 1)))


@pytest.fixture(scope="session")
def shop(mariadb: MariaDB) -> str:
    """A database with everything in it."""
    mariadb.create("shop")
    mariadb.run(EVERYTHING, "shop")
    mariadb.run(LARGE_PICTURE, "shop")
    return "shop"


def test_a_loaded_archive_equals_the_database_in_every_definition_and_row(
    site: Site, mariadb: MariaDB, other_mariadb: MariaDB, shop: str
) -> None:
    mariadb.run(RIGHTS.format(user="backup", password="p#s s"))
    configure(site, f"<MySQL {shop}>\nFulls 2\n</MySQL>", mariadb, user="backup", password="p#s s")
    site.run()
    assert site.archive_keys() == ["MySQL/shop-0"]
    other_mariadb.create("copy")
    other_mariadb.run(dump_of(site, "MySQL/shop-0"), "copy")
    before = mariadb.describe(shop)
    assert {"TRIGGER remember", "PROCEDURE pay", "FUNCTION shout", "EVENT tidy", "rows of dearest"} <= before.keys()
    assert [len(line.split(b"\t")) for line in before["rows of pictures"].splitlines()] == [4] * 4
    assert other_mariadb.describe("copy") == {
        name: value.replace(b"`shop`", b"`copy`") for name, value in before.items()
    }


def test_names_that_look_like_something_else_are_dumped_as_they_are(
    site: Site, mariadb: MariaDB, other_mariadb: MariaDB
) -> None:
    marks = {name: name.encode().hex() for name in NAMES}
    for name in NAMES:
        mariadb.create(name)
        mariadb.run(f"CREATE TABLE only_here AS SELECT '{marks[name]}' AS name", name)
    configure(site, "\n".join(["<Cycle all>", *(f"MySQL {word(name)}" for name in NAMES), "</Cycle>"]), mariadb)
    rehearsed = site.run("-t").stdout
    site.run()
    assert site.archive_keys() == sorted(f"MySQL/{name}-2" for name in NAMES)
    for name in NAMES:
        assert f"MySQL {name} -> file://" in rehearsed
        other_mariadb.create(name)
        other_mariadb.run(dump_of(site, f"MySQL/{name}-2"), name)
        assert other_mariadb.run("SELECT name FROM only_here", name) == f"{marks[name]}\n".encode()
    for name in NAMES:
        mariadb.drop(name)


def test_all_databases_of_a_server_named_by_its_socket_come_back_with_their_users(site: Site) -> None:
    with mariadb_server() as source, mariadb_server() as target:
        for name in ("shop", "empty", "zwölf `x`"):
            source.create(name)
        source.run(EVERYTHING, "shop")
        source.run("CREATE TABLE t (a INT); INSERT INTO t VALUES (12)", "zwölf `x`")
        source.run("CREATE USER clerk@localhost IDENTIFIED BY 'open'; GRANT SELECT ON shop.* TO clerk@localhost")
        # What .my.cnf says of another host and socket does not matter.
        configure(site, f"<MySQL {source.socket}:all>\nFulls 3\nUseTempFile 1\n</MySQL>", source)
        option_file = Path(site.environment["HOME"]) / ".my.cnf"
        option_file.write_text("[client]\nhost=db.invalid\nprotocol=tcp\nsocket=/nonexistent\nuser=root\n")
        site.run()
        key = f"MySQL/{str(source.socket).lstrip('/')}/all-0"
        assert site.archive_keys() == [key]
        target.run(dump_of(site, key))
        target.run("FLUSH PRIVILEGES")
        assert target.databases() == source.databases()
        for name in source.databases():
            assert target.describe(name) == source.describe(name)
        assert target.run("SELECT name FROM customers WHERE id = 1", "shop", user="clerk", password="open").strip()
    assert not list(site.temp_dir.iterdir())


def test_slots_follow_both_kinds_of_cycles_and_diffs_do_not_count(site: Site, mariadb: MariaDB) -> None:
    mariadb.create("nightly")
    mariadb.run("CREATE TABLE nights (night INT)", "nightly")
    configure(
        site,
        "<Cycle simple>\nDiffs 2\nFulls 3\nMySQL nightly\n</Cycle>\n"
        "<Cycle hanoi>\nCycleType HanoiCycle\nDiscs 3\nMySQL nightly\nUseTempFile 1\n</Cycle>",
        mariadb,
    )
    last: dict[str, int] = {}
    # 20454 is a multiple of 3, and leaves 2 when divided by 4.
    for night, (simple, hanoi) in enumerate([(0, 0), (1, 2), (2, 0), (0, 1), (1, 0)]):
        mariadb.run(f"INSERT INTO nights VALUES ({night})", "nightly")
        site.run(day=night)
        last |= {f"simple/MySQL/nightly-{simple}": night, f"hanoi/MySQL/nightly-{hanoi}": night}
        assert site.archive_keys() == sorted(last)
    for key, night in last.items():
        values = ",\n".join(f"({each})" for each in range(night + 1))
        assert f"INSERT INTO `nights` VALUES\n{values};".encode() in dump_of(site, key)


def test_writers_need_not_wait_for_a_dump_and_it_holds_one_moment(
    site: Site, mariadb: MariaDB, rclone: S3Server, tmp_path: Path
) -> None:
    """A row is written while the dump waits for the store, into the table that is dumped last."""
    mariadb.create("busy")
    mariadb.run("CREATE TABLE a_big AS SELECT seq, RANDOM_BYTES(1000) AS noise FROM seq_1_to_30000", "busy")
    mariadb.run("CREATE TABLE z_last AS SELECT 'before' AS moment", "busy")
    written = []

    def write(request: Request, forward: Forward) -> Answer:
        mariadb.run("SET lock_wait_timeout = 3; INSERT INTO z_last VALUES ('during')", "busy")
        written.append(request.key)
        return forward(request)

    with FaultyS3(rclone) as proxy:
        remote = Site(tmp_path / "remote", proxy.server, rclone.make_bucket(), dict(site.environment))
        configure(remote, "<MySQL busy>\nCompression none\n</MySQL>\nChunkSize 5242880\nUploadThreads 1", mariadb)
        proxy.add(Fault("UploadPart", write, nth=1))
        remote.run()
        assert written == ["MySQL/busy-2"]
        dump = remote.fetch("MySQL/busy-2")
    assert mariadb.rows("SELECT * FROM z_last", "busy") == [["before"], ["during"]]
    assert b"'before'" in dump
    assert b"'during'" not in dump
    mariadb.drop("busy")


def test_options_reach_the_program_and_the_one_that_names_an_option_file_comes_first(
    site: Site, mariadb: MariaDB, tmp_path: Path
) -> None:
    mariadb.create("optioned")
    mariadb.run("CREATE TABLE kept (a INT); CREATE TABLE `left out` (a INT)", "optioned")
    secret = tmp_path / "secret.cnf"
    secret.write_text(f"[client]\nsocket={mariadb.socket}\nuser=root\n")
    site.configure(
        f'<MySQL optioned>\nMySQLOptions "--ignore-table=optioned.left out" --defaults-extra-file={secret}\n</MySQL>'
    )
    site.run()
    dump = dump_of(site, "MySQL/optioned-2")
    assert b"CREATE TABLE `kept`" in dump
    assert b"left out" not in dump


def test_the_older_name_of_the_program_serves_where_there_is_no_other(
    site: Site, mariadb: MariaDB, tmp_path: Path
) -> None:
    mariadb.create("old")
    configure(site, "<MySQL old>\n</MySQL>", mariadb)
    programs = tmp_path / "bin"
    programs.mkdir()
    site.environment["PATH"] = str(programs)
    missing = site.run(expect=1).stderr
    assert "neither mariadb-dump nor mysqldump was found" in missing
    assert "mariadb-client" in missing
    for new, old in (("mariadb-dump", "mysqldump"), ("mariadb", "mysql")):
        real = shutil.which(new)
        assert real is not None
        (programs / old).symlink_to(real)
    assert "mysqldump --default-character-set" in site.run("-t", "-d", expect=None).stdout
    site.run()
    assert site.archive_keys() == ["MySQL/old-2"]


def test_a_name_is_never_an_option_and_a_password_never_an_argument() -> None:
    assert command_for("--result-file=/etc/x")[-2:] == ("--", "--result-file=/etc/x")
    assert command_for("all")[-1] == "--all-databases"
    with_socket = command_for("/run/second.sock:all", "--hex-blob")
    assert with_socket[-2:] == ("--hex-blob", "--all-databases")
    assert "--socket=/run/second.sock" in with_socket
    # Not every version takes a socket for the wish to use it.
    assert "--protocol=socket" in with_socket
    assert command_for("x", "--hex-blob", "--defaults-file=/root/b.cnf")[1] == "--defaults-file=/root/b.cnf"
