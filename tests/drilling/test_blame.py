"""Whether it is the archive that is to blame is told by what failed, and a machine's troubles are none of its."""

from __future__ import annotations

import pytest

from s3napback.drilling.blame import speaks_of_archive
from s3napback.drilling.mysql_words import MySQLWords
from s3napback.drilling.postgresql_words import PostgreSQLWords
from s3napback.drilling.scratch import UnusableScratch
from s3napback.drilling.throwaway import NotTried
from s3napback.errors import PipelineError, S3napbackError, StoreError
from s3napback.recovery.opening.failures import Changed, Damaged
from s3napback.recovery.staging import UnusableTarget
from s3napback.recovery.subversion import NotLoaded
from s3napback.streams.culprits import Culprit, ElementsFailed
from s3napback.streams.processes import Stage
from s3napback.streams.receiving import ReceiverFailed
from s3napback.streams.transformations import Feed

GPG, FEED = Stage(("gpg",)), Feed("x", lambda: iter(()))


def caused(error: S3napbackError, cause: Exception) -> S3napbackError:
    error.__cause__ = cause
    return error


def of_pipeline(
    element: object, line: str, error: Exception | None = None, status: int | None = None
) -> S3napbackError:
    culprit = Culprit(element, [line], error, status=status)
    return caused(PipelineError(f"x cannot be decoded: {line}"), ElementsFailed(culprit))


def killed() -> ReceiverFailed:
    error = ReceiverFailed("svnadmin was killed by SIGKILL")
    error.was_killed = True
    return error


@pytest.mark.parametrize(
    ("error", "wanted"),
    [
        (Damaged("a row is lost"), True),
        (Changed("another sum"), True),
        (of_pipeline(GPG, "gpg failed with exit status 2: bad data"), True),
        (of_pipeline(FEED, "another sum", Changed("another sum")), True),
        (caused(NotLoaded("no"), ReceiverFailed("svnadmin failed with exit status 1")), True),
        (NotTried("no server"), False),
        (UnusableScratch("no"), False),
        (UnusableTarget("no"), False),
        (StoreError("no answer"), False),
        (of_pipeline(FEED, "no answer", StoreError("no answer")), False),
        (of_pipeline(GPG, "gpg: decryption failed: No secret key"), False),
        (of_pipeline(GPG, "gpg was killed by SIGKILL, perhaps for want of memory"), False),
        (of_pipeline(GPG, "gpg failed", status=127), False),
        (of_pipeline(GPG, "gpg: fatal: out of core", status=2), False),
        (of_pipeline(Stage(("tar",)), "tar: x: Cannot write: No space left on device"), False),
        (caused(NotLoaded("no"), killed()), False),
        (Damaged("svnadmin failed:", "  svnadmin: E000028: No space left on device"), False),
        (PipelineError("svnadmin create failed:"), False),
    ],
)
def test_a_failure_speaks_of_the_archive_or_not(error: S3napbackError, wanted: bool) -> None:
    assert speaks_of_archive(error) is wanted


def psql(*lines: str) -> PostgreSQLWords:
    words = PostgreSQLWords()
    for line in lines:
        words.read(line.encode())
    words.settle()
    return words


def test_what_psql_says_is_told_apart() -> None:
    words = psql(
        'psql:<stdin>:4: ERROR:  42704: role "r8" does not exist',
        "LOCATION:  get_role_oid, acl.c:5201",
        "psql:<stdin>:4: STATEMENT:  CREATE POLICY p ON a",
        " TO r8 USING (true);",
        'ERROR:  22023: invalid value for parameter "default_tablespace": "fast"',
        "STATEMENT:  SET default_tablespace = fast;",
        'ERROR:  42710: tablespace "slow" already exists',
        "STATEMENT:  CREATE TABLESPACE slow OWNER postgres LOCATION '/x';",
        'ERROR:  42704: unrecognized configuration parameter "transaction_timeout"',
        "STATEMENT:  SET transaction_timeout = 0;",
        'ERROR:  22P02: invalid input syntax for type integer: "x"',
        "STATEMENT:  COPY a FROM stdin;",
    )
    assert list(words.lacks) == ['the role "r8"', 'the tablespace "fast"']
    assert list(words.folders) == ['"slow"']
    assert words.policies == 1
    assert words.flaws == ['invalid input syntax for type integer: "x"']
    assert not words.not_here
    assert not words.has_died


@pytest.mark.parametrize(
    "lines",
    [
        ('ERROR:  0A000: extension "postgis" is not available', "STATEMENT:  CREATE EXTENSION IF NOT EXISTS postgis;"),
        ("ERROR:  55000: pg_cron can only be loaded by the server", "STATEMENT:  CREATE EXTENSION pg_cron;"),
        ('ERROR:  58P01: could not access file "$libdir/x": No such file or directory',),
        ('ERROR:  58P01: directory "/nix" does not exist', "STATEMENT:  CREATE TABLESPACE t LOCATION '/nix';"),
        ('ERROR:  42809: invalid locale name: "de_XX"', "STATEMENT:  CREATE DATABASE q LOCALE 'de_XX';"),
        ('ERROR:  22023: could not create locale "xx": No such file or directory',),
        ('ERROR:  53100: could not extend file "base/1": No space left on device',),
    ],
)
def test_what_only_this_machine_lacks_is_no_flaw_of_a_dump_of_postgresql(lines: tuple[str, ...]) -> None:
    words = psql(*lines, 'ERROR:  42704: type "geometry" does not exist')
    assert words.not_here
    assert words.flaws == ['type "geometry" does not exist']


@pytest.mark.parametrize(
    "line", ["server closed the connection unexpectedly", "FATAL:  57P03: the database system is in recovery mode"]
)
def test_a_lost_server_of_postgresql_is_known(line: str) -> None:
    assert psql(line).has_died


@pytest.mark.parametrize(
    ("line", "where", "told"),
    [
        ("ERROR 1146 (42S02) at line 8: Table 'x.y' doesn't exist", "flaws", "Table 'x.y' doesn't exist"),
        ("ERROR at line 3: Unknown command '\\-'.", "flaws", "Unknown command '\\-'."),
        (
            "Warning (Code 1265): Data truncated for column 'a' at row 1",
            "flaws",
            "Data truncated for column 'a' at row 1",
        ),
        ("Note (Code 1051): Unknown table 'x.y'", "", ""),
        ("Warning (Code 1681): Integer display width is deprecated", "", ""),
        ("Warning (Code 1286): Unknown storage engine 'ROCKSDB'", "lacks", "the storage engine ROCKSDB"),
        ("ERROR 1524 (HY000) at line 9: Plugin 'ed25519' is not loaded", "not_here", "Plugin 'ed25519' is not loaded"),
        (
            'ERROR 1005 (HY000) at line 7: Can\'t create table `x`.`z` (errno: 140 "Wrong create options")',
            "not_here",
            'Can\'t create table `x`.`z` (errno: 140 "Wrong create options")',
        ),
        (
            "ERROR 1005 (HY000) at line 7: Can't create table `x`.`z` (errno: 150 ...)",
            "flaws",
            "Can't create table `x`.`z` (errno: 150 ...)",
        ),
        ("ERROR 2013 (HY000) at line 39: Lost connection to server during query", "has_died", ""),
        ("INSERT INTO `z` VALUES ('secret')", "", ""),
    ],
)
def test_what_a_client_of_mysql_says_is_told_apart(line: str, where: str, told: str) -> None:
    words = MySQLWords()
    words.read(line.encode())
    found = {"flaws": words.flaws, "not_here": words.not_here, "lacks": list(words.lacks)}
    assert found == {name: [told] if name == where else [] for name in found}
    assert words.has_died is (where == "has_died")
