"""The statements by which a tree is kept in SQLite: what is there, what there was; and what it means if one fails."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from s3napback.browsing.nodes import IS_FOLDER, MISSING, OLDER, THERE, joined
from s3napback.errors import S3napbackError
from s3napback.index.records import DamagedIndex

if TYPE_CHECKING:
    from sqlite3 import Connection

FIELDS = "letter, mode, owner, grp, size, seconds, nanoseconds, more"
SCHEMA = (
    (
        "CREATE TABLE node (folder BLOB NOT NULL, name BLOB NOT NULL, letter TEXT, mode INTEGER, owner, grp, "
        "size INTEGER, seconds INTEGER, nanoseconds INTEGER, more BLOB, state INTEGER, since INTEGER, "
        "lined INTEGER, origin INTEGER, link BLOB, PRIMARY KEY (folder, name)) WITHOUT ROWID"
    ),
    (
        "CREATE TABLE line (folder BLOB, name BLOB, path BLOB, mode INTEGER, owner, grp, seconds INTEGER, "
        "nanoseconds INTEGER)"
    ),
    (
        "CREATE TABLE span (folder BLOB, name BLOB, letter TEXT, mode INTEGER, owner, grp, size INTEGER, "
        "seconds INTEGER, nanoseconds INTEGER, more BLOB, state INTEGER, first INTEGER, last INTEGER)"
    ),
    "CREATE TABLE present (number INTEGER)",
    "INSERT INTO present VALUES (0)",
)
IF_THERE = f"""
ON CONFLICT (folder, name) DO UPDATE SET
since = CASE WHEN ({FIELDS}, state & 3) IS
(excluded.letter, excluded.mode, excluded.owner, excluded.grp, excluded.size, excluded.seconds, excluded.nanoseconds,
excluded.more, excluded.state) THEN since ELSE excluded.since END,
({FIELDS}, state, lined, origin, link) =
(excluded.letter, excluded.mode, excluded.owner, excluded.grp, excluded.size, excluded.seconds, excluded.nanoseconds,
excluded.more, excluded.state, excluded.lined, excluded.origin, excluded.link)
"""
PLACES = "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
PUT = f"INSERT INTO node {PLACES} {IF_THERE}"
LINE = "INSERT INTO line VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
PUT_LINES = (
    f"INSERT INTO node SELECT folder, name, '{IS_FOLDER}', mode, owner, grp, 0, seconds, nanoseconds, x'', {THERE}, "
    f"?1, ?1, ?1, NULL FROM line WHERE true {IF_THERE}"
)
DOUBT = """
UPDATE node SET state = state | 4 WHERE name <> x'' AND lined < ? AND folder IN (SELECT path FROM line WHERE NOT EXISTS
(SELECT 1 FROM node AS old WHERE (old.folder, old.name, old.letter, old.lined) = (line.folder, line.name, 'd', ?)))
"""
DOUBTED = "SELECT folder, name FROM node WHERE state & 4"
LAPSED = "SELECT folder, name FROM node WHERE letter = ? AND lined < ? AND name <> x'' ORDER BY folder"
KEEP = (
    f"INSERT INTO span SELECT OLD.folder, OLD.name, {', '.join('OLD.' + each for each in FIELDS.split(', '))}, "
    "OLD.state & 3, OLD.since, (SELECT number FROM present) - 1"
)  # fmt: skip
RECORDING = (
    f"CREATE TRIGGER gone AFTER DELETE ON node WHEN OLD.since < (SELECT number FROM present) BEGIN {KEEP}; END",
    f"CREATE TRIGGER changed AFTER UPDATE ON node WHEN OLD.since < NEW.since BEGIN {KEEP}; END",
)
MISSING_OR = "INSERT INTO node (folder, name, letter, state, since, lined) VALUES (?, ?, '?', 2, ?, ?) ON CONFLICT DO "
IMPLIED = (
    f"INSERT INTO node (folder, name, letter, state, since, lined) VALUES (?, ?, '{IS_FOLDER}', {MISSING}, ?, -1) "
    f"ON CONFLICT DO UPDATE SET letter = '{IS_FOLDER}', lined = -1 WHERE letter = '?'"
)
OUTPUT = f"folder, name, {FIELDS}, state & 3"
_BEGUN_TO_LAPSE = "SELECT folder, name FROM node WHERE letter = ? AND lined < ? AND state = ? AND name <> x''"
_AGE_FOLDER = "UPDATE node SET since = ?, state = ? WHERE state = ? AND folder = ? AND name = ?"
_AGE_MEMBERS = "UPDATE node SET since = ?, state = ? WHERE state = ? AND folder = ? AND letter <> ?"


def age(connection: Connection, number: int) -> None:
    """Have what an archive could not read count as older: folders that it does not hold any more, and what is in them.

    All that were read are among its members, and what else went is removed already.

    Args:
        connection: to the tree, after all that the archive tells.
        number: of the archive, which is a DIFF.
    """
    how = (number, OLDER, THERE)
    for folder, name in connection.execute(_BEGUN_TO_LAPSE, (IS_FOLDER, number, THERE)).fetchall():
        connection.execute(_AGE_FOLDER, (*how, folder, name))
        connection.execute(_AGE_MEMBERS, (*how, joined(folder, name), IS_FOLDER))


@contextmanager
def in_room() -> Iterator[None]:
    """A context in which statements are carried out.

    Raises:
        S3napbackError: there is no room for what they keep.
        DamagedIndex: a number is larger than can be.
    """
    import sqlite3  # noqa: PLC0415 - loaded only where it is used

    try:
        yield
    except sqlite3.Error as error:
        raise S3napbackError(
            f"the names cannot be kept while they are sorted: {error}; TMPDIR can name a folder that has room for them"
        ) from error
    except OverflowError as error:
        raise DamagedIndex("it tells of numbers that no file has") from error
