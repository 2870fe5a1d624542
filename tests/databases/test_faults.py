"""Databases that cannot be dumped: the old archive and the state stay, the tool's words are heard, others are done."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.databases.mariadb import MariaDB, mariadb_server
from tests.databases.postgres import GUARDED, Postgres, postgres_server
from tests.databases.recovery import dump_of, unharmed
from tests.faulty_s3 import Answer, Fault, FaultyS3, Forward, Request
from tests.servers import S3Server
from tests.site import Site

pytestmark = pytest.mark.long(25)

RANDOM_MYSQL = "CREATE TABLE big AS SELECT seq, RANDOM_BYTES(1000) AS noise FROM seq_1_to_{rows}"
RANDOM_POSTGRES = """
CREATE TABLE big AS SELECT n, repeat(md5(n::text), 30) AS noise FROM generate_series(1, {rows}) AS n
"""
SMALL_PARTS = "ChunkSize 5242880\nUploadThreads 1\nCompression none"
"""At most ten megabytes are on their way, so that larger dumps wait for the store."""


def configure(site: Site, source: str, *, settings: str = "", general: str = "") -> None:
    """One database and the site's directory, each with the single slot 0."""
    kind, target = source.split(" ", 1)
    site.configure(
        f"Fulls 1\n<{kind} {target}>\n{settings}\n</{kind}>\n<Directory {site.source}>\n</Directory>", general=general
    )


def say_mysql(site: Site, socket: Path, *, user: str = "root", password: str = "") -> None:
    option_file = Path(site.environment["HOME"]) / ".my.cnf"
    option_file.write_text(f"[client]\nsocket={socket}\nuser={user}\npassword={password}\n")
    option_file.chmod(0o600)


def fails(site: Site, night: int, source: str, key: str, *words: str) -> None:
    """A later night fails with these words, and the source is as it was."""
    with unharmed(site, source, key) as failure:
        failure.run = site.run(day=night, expect=1)
    for each in words:
        assert each in failure.words


def test_mysql_a_wrong_password_a_missing_database_and_a_server_that_is_gone(site: Site, mariadb: MariaDB) -> None:
    mariadb.create("faults")
    mariadb.run(
        "CREATE TABLE t AS SELECT 1 AS a; CREATE USER someone@localhost IDENTIFIED BY 'right-word';"
        "GRANT ALL ON faults.* TO someone@localhost",
        "faults",
    )
    configure(site, "MySQL faults")
    say_mysql(site, mariadb.socket, user="someone", password="right-word")
    site.run(day=0)
    say_mysql(site, mariadb.socket, user="someone", password="wrong-word")
    fails(site, 1, "MySQL faults", "MySQL/faults-0", "Access denied for user 'someone'@'localhost'", "mariadb ")
    say_mysql(site, mariadb.socket)
    mariadb.drop("faults")
    fails(site, 2, "MySQL faults", "MySQL/faults-0", "Unknown database 'faults'")
    say_mysql(site, mariadb.socket.with_name("nobody"))
    fails(site, 3, "MySQL faults", "MySQL/faults-0", "Can't connect to local server")
    assert b"INSERT INTO `t`" in dump_of(site, "MySQL/faults-0")


def test_mysql_a_table_that_cannot_be_locked_or_read(site: Site, mariadb: MariaDB) -> None:
    mariadb.create("locked")
    mariadb.run("CREATE TABLE t AS SELECT 1 AS a; CREATE TABLE secret AS SELECT 2 AS b", "locked")
    mariadb.run("CREATE USER half@localhost; GRANT ALL ON locked.t TO half@localhost")
    configure(site, "MySQL locked")
    say_mysql(site, mariadb.socket)
    site.run(day=0)
    mariadb.run("SET GLOBAL lock_wait_timeout = 1")
    with mariadb.session("LOCK TABLES t WRITE", "locked"):
        fails(site, 1, "MySQL locked", "MySQL/locked-0", "Lock wait timeout exceeded", "`t`")
    mariadb.run("SET GLOBAL lock_wait_timeout = DEFAULT; CREATE VIEW locked.broken AS SELECT a FROM locked.t")
    mariadb.run("ALTER TABLE t RENAME COLUMN a TO c", "locked")
    fails(site, 2, "MySQL locked", "MySQL/locked-0", "locked.broken", "references invalid table(s) or column(s)")
    # Whoever dumps all of the server next would fail by it, too.
    mariadb.drop("locked")


def test_postgresql_a_wrong_password_a_missing_database_and_a_server_that_is_gone(
    site: Site, postgres: Postgres
) -> None:
    postgres.create("faults")
    postgres.run("CREATE TABLE t AS SELECT 1 AS a", "faults")
    postgres.run(f"DROP ROLE IF EXISTS {GUARDED}; CREATE ROLE {GUARDED} LOGIN SUPERUSER PASSWORD 'right-word'")
    pgpass = Path(site.environment["HOME"]) / ".pgpass"
    pgpass.write_text("*:*:*:*:right-word\n")
    pgpass.chmod(0o600)
    site.environment["PGHOST"] = str(postgres.folder)
    source, key = f"PostgreSQL {GUARDED}@faults", "PostgreSQL/faults-0"
    configure(site, source)
    site.run(day=0)
    pgpass.write_text("*:*:*:*:wrong-word\n")
    fails(site, 1, source, key, f'password authentication failed for user "{GUARDED}"', "psql failed")
    pgpass.unlink()
    fails(site, 2, source, key, "no password supplied")
    pgpass.write_text("*:*:*:*:right-word\n")
    pgpass.chmod(0o600)
    postgres.drop("faults")
    fails(site, 3, source, key, 'database "faults" does not exist')
    site.environment["PGHOST"] = str(site.root)
    fails(site, 4, source, key, "connection to server on socket", "No such file or directory")
    assert b"COPY public.t" in dump_of(site, key)


def test_postgresql_a_table_that_cannot_be_locked_or_read(site: Site, postgres: Postgres) -> None:
    postgres.create("locked")
    postgres.run("CREATE TABLE t AS SELECT 1 AS a; CREATE ROLE half LOGIN", "locked")
    site.environment.update(postgres.environment)
    configure(site, "PostgreSQL locked", settings="PostgreSQLOptions --lock-wait-timeout=200")
    site.run(day=0)
    with postgres.session("BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE", "locked"):
        fails(site, 1, "PostgreSQL locked", "PostgreSQL/locked-0", "canceling statement due to", "LOCK TABLE public.t")
    site.environment["PGUSER"] = "half"
    fails(site, 2, "PostgreSQL locked", "PostgreSQL/locked-0", "permission denied for table t")


@pytest.mark.parametrize("kind", ["MySQL", "PostgreSQL"])
def test_a_server_killed_in_the_middle_of_a_dump_is_noticed(
    kind: str, site: Site, rclone: S3Server, tmp_path: Path
) -> None:
    """The server dies when the first part arrives at the store, and by then two fifths of the dump can have left it."""
    server_of = mariadb_server if kind == "MySQL" else postgres_server
    with server_of() as server, FaultyS3(rclone) as proxy:
        remote = Site(tmp_path / "remote", proxy.server, rclone.make_bucket(), dict(site.environment))
        server.create("doomed")
        if isinstance(server, MariaDB):
            server.run(RANDOM_MYSQL.format(rows=1000), "doomed")
            say_mysql(remote, server.socket)
        else:
            server.run(RANDOM_POSTGRES.format(rows=1000), "doomed")
            remote.environment.update(server.environment)
        configure(remote, f"{kind} doomed", general=SMALL_PARTS)
        remote.run(day=0)
        server.run("INSERT INTO big SELECT b.* FROM big b CROSS JOIN (SELECT * FROM big LIMIT 25) c", "doomed")

        def kill(request: Request, forward: Forward) -> Answer:
            # PostgreSQL's parts end at once on SIGQUIT; on SIGKILL they would outlive the first of them.
            server.process.send_signal(signal.SIGKILL if kind == "MySQL" else signal.SIGQUIT)
            server.process.wait()
            return forward(request)

        proxy.add(Fault("UploadPart", kill, nth=1, key=f"{kind}/.*"))
        words = "Lost connection to server during query" if kind == "MySQL" else "server closed the connection"
        fails(remote, 1, f"{kind} doomed", f"{kind}/doomed-0", words)
        assert rclone.unfinished_uploads(remote.bucket) == []


def test_a_server_that_loses_patience_with_a_slow_upload_fails_the_dump_and_usetempfile_cures_it(
    site: Site, rclone: S3Server, tmp_path: Path
) -> None:
    rows = 22_000
    with mariadb_server(["--net-write-timeout=1"]) as server, FaultyS3(rclone) as proxy:
        remote = Site(tmp_path / "remote", proxy.server, rclone.make_bucket(), dict(site.environment))
        server.create("impatient")
        server.run(RANDOM_MYSQL.format(rows=10), "impatient")
        say_mysql(remote, server.socket)
        configure(remote, "MySQL impatient", general=SMALL_PARTS)
        remote.run(day=0)
        server.run(f"DROP TABLE big; {RANDOM_MYSQL.format(rows=rows)}", "impatient")
        proxy.bytes_per_second = 3_000_000
        fails(remote, 1, "MySQL impatient", "MySQL/impatient-0", "Lost connection to server during query")
        assert rclone.unfinished_uploads(remote.bucket) == []

        configure(remote, "MySQL impatient", settings="UseTempFile 1", general=SMALL_PARTS)
        remote.run(day=2)
        server.run("CREATE DATABASE loaded")
        server.run(remote.fetch("MySQL/impatient-0"), "loaded")
        checksum = "SELECT COUNT(*), SUM(CRC32(noise)) FROM big"
        assert server.run(checksum, "loaded") == server.run(checksum, "impatient")
        assert not list(remote.temp_dir.iterdir())
