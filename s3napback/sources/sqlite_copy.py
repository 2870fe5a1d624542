"""Copies an SQLite database that is in use, checks the copy, and writes it to standard output. A process of its own.

The copy is made by SQLite's own backup within one read transaction: it holds all that was committed before that began,
the write-ahead log included, and nothing of what comes later. Nothing is written out before
``PRAGMA integrity_check`` has found the copy good. Without a database's name, what comes from standard input is
checked in the same way.

``python -I -m s3napback.sources.sqlite_copy [--temp-dir FOLDER] [--patience SECONDS] [PATH]``
"""

from __future__ import annotations

import argparse
import errno
import os
import sqlite3
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack, closing
from urllib.parse import quote

from s3napback.environment import NOBODY, User, user_of
from s3napback.errors import SourceError
from s3napback.formatting import human_bytes
from s3napback.sources.sqlite_access import reached
from s3napback.sources.sqlite_beside import (
    Rest,
    require_files,
    require_no_super_journal,
    require_own_log,
    require_still,
    rest_of,
)
from s3napback.sources.sqlite_room import View, run_in_room

MAGIC = b"SQLite format 3\0"
"""Begins every database (SQLite's "Database File Format", 1.3)."""

HEADER = 100
"""Bytes of the header."""

_WAL = b"\2\2"
_WAL_FIELD = slice(18, 20)
_PAGES = 4096  # copied at once
_BLOCK = 1 << 20  # bytes
_LONGEST_PATIENCE = 2_000_000.0  # seconds; SQLite counts milliseconds in 31 bits
_MOST_FLAWS = 5
_COPY = "copy"
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_NOT_ONE = "is encrypted, or no SQLite database"
_INNOCUOUS = 0x200000
"""``SQLITE_INNOCUOUS`` of ``sqlite3.h``."""

# SQLite's own words (``sqlite3ErrStr`` of its main.c), compared from their beginning: other messages hold names of
# tables, which may be any.
_FULL = "database or disk is full"
_LOCKED = ("database is locked", "database table is locked", "database schema is locked")
_NO_DATABASE = ("file is not a database", "file is encrypted")
_READ_ONLY = ("attempt to write a readonly database", "unable to open database file")
_SCHEMA = "malformed database schema"


def main(arguments: Sequence[str] | None = None) -> int:
    """Copy, or check; returns the exit status."""
    parser = argparse.ArgumentParser(prog="sqlite_copy", description=__doc__)
    parser.add_argument("--temp-dir", default="")
    parser.add_argument("--patience", type=float, default=0.0)
    parser.add_argument("path", nargs="?", default="")
    given = parser.parse_args(arguments)
    try:
        return _run(given.path, given.temp_dir or tempfile.gettempdir(), given.patience)
    except SourceError as error:
        print("\n".join(error.lines), file=sys.stderr)  # noqa: T201 - these are its last words
        return 1


def _run(path: str, temp_dir: str, patience: float) -> int:
    caller = os.geteuid()
    if not path:
        # It may be of anybody's making, and is opened by a program of many lines.
        user = None if caller else user_of(NOBODY)
        return run_in_room(temp_dir, user, "", lambda view: _received(view, temp_dir))
    with reached(path, caller) as place:
        reader = place.user
    return run_in_room(temp_dir, reader, path, lambda view: _copied(view, path, patience, temp_dir, reader))


def _copied(view: View, path: str, patience: float, temp_dir: str, reader: User | None) -> None:
    copy = f"{view.folder}/{_COPY}"
    whose = f" as {reader}, {_why(view, reader)}" if reader else ""
    try:
        with ExitStack() as stack:
            opened, rest = _opened(view, path, patience)
            source = stack.enter_context(closing(opened))
            _require_room(source, view.folder, temp_dir, path)
            target = stack.enter_context(closing(sqlite3.connect(copy, isolation_level=None)))
            # Whatever becomes of this file, it is of use to nobody before the copy is whole.
            target.execute("PRAGMA journal_mode = OFF")
            target.execute("PRAGMA synchronous = OFF")
            source.backup(target, pages=_PAGES)
            if rest is not None:
                require_still(rest, view.source, path)
    except sqlite3.Error as error:
        if str(error).startswith(_FULL):
            raise SourceError(_no_room(temp_dir, str(error))) from error
        raise SourceError(_meaning(error, path, whose, patience)) from error
    _given_out(copy, path)


def _why(view: View, reader: User) -> str:
    is_stranger = view.place is not None and view.place.status.st_uid == 0 and reader.uid == NOBODY
    return "since others can write to its folder" if is_stranger else "whose it is"


def _opened(view: View, path: str, patience: float) -> tuple[sqlite3.Connection, Rest | None]:
    """The database, in a read transaction that has begun; and how it was found, where no lock keeps it as it is."""
    header = _header(view.source, path)
    if not header:
        raise SourceError(f"{path} is an empty file: nothing was ever written to this database")
    if not header.startswith(MAGIC):
        raise SourceError(f"{path} {_NOT_ONE}")
    may_write = view.place is not None and not view.place.is_shared
    # SQLite makes files for a log that is not there, and takes them away again only if it may write.
    is_at_rest = header[_WAL_FIELD] == _WAL and not os.path.lexists(f"{view.source}-wal")
    rest = rest_of(view.source) if is_at_rest else None
    if is_at_rest:
        require_own_log(view.source, path)
    try:
        return _begun_somehow(view.source, path, patience, may_write=may_write, is_at_rest=is_at_rest), None
    except sqlite3.OperationalError as error:
        if rest is None or not str(error).startswith(_READ_ONLY):
            raise
    # Where nothing can be made beside it, as in a snapshot, the database alone is all there is.
    return _begun(view.source, "ro&immutable=1", patience), rest


def _begun_somehow(source: str, path: str, patience: float, *, may_write: bool, is_at_rest: bool) -> sqlite3.Connection:
    if not (may_write and is_at_rest):
        try:
            return _begun(source, "ro", patience)
        except sqlite3.OperationalError as error:
            # What a writer left half done when it was killed is undone by whoever opens the database next.
            if not may_write or not str(error).startswith(_READ_ONLY):
                raise
    require_no_super_journal(source, path)
    return _begun(source, "rw", patience)


def _header(source: str, path: str) -> bytes:
    """How a database begins, after a look that nothing beside it could make SQLite wait for ever."""
    try:
        with os.fdopen(os.open(source, _READ), "rb") as file:
            header = file.read(HEADER)
        require_files(source, path)
    except OSError as error:
        raise SourceError(
            f"{path} cannot be opened as user number {os.geteuid()}: {error.strerror}. The owner of a database must be "
            "able to read it, and to enter each folder above it"
        ) from error
    return header


def _begun(source: str, mode: str, patience: float) -> sqlite3.Connection:
    seconds = min(patience or _LONGEST_PATIENCE, _LONGEST_PATIENCE)
    connection = sqlite3.connect(_uri(source, f"mode={mode}"), uri=True, isolation_level=None, timeout=seconds)
    try:
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


def _uri(path: str, parameters: str) -> str:
    return f"file:{quote(os.fsencode(path))}?{parameters}"


def _require_room(source: sqlite3.Connection, folder: str, temp_dir: str, path: str) -> None:
    ((pages,), (size,)) = (source.execute(f"PRAGMA {what}").fetchone() for what in ("page_count", "page_size"))
    disk = os.statvfs(folder)
    free = disk.f_bavail * disk.f_frsize
    if free < pages * size:
        raise SourceError(
            _no_room(temp_dir, f"{path} has {human_bytes(pages * size)}, and {human_bytes(free)} are free")
        )


def _no_room(temp_dir: str, why: str) -> str:
    return f"No space left on device for a copy in {temp_dir}: {why}. Make room, or set TempDir to another folder"


def _meaning(error: sqlite3.Error, path: str, whose: str, patience: float) -> str:
    """What SQLite's failure means, and what to do."""
    words = str(error)
    if words.startswith(_LOCKED):
        return f"{path} is locked by another program, and was for {patience:g} seconds (StallTimeout): {words}"
    if words.startswith(_NO_DATABASE):
        return f"{path} {_NOT_ONE}"
    if words.startswith(_SCHEMA):
        return (
            f"{path} cannot be read by SQLite {sqlite3.sqlite_version}, which is here: {words}. It was made by a newer "
            "one, or is damaged; let the program that it belongs to export it, in a <Command> of its own"
        )
    if words.startswith(_READ_ONLY):
        return (
            f"{path} cannot be read{whose}: {words}. To read a database with a write-ahead log (WAL), or one that a "
            "program left in the midst of writing, takes the right to write to its folder, with nobody else having it. "
            "In a snapshot that is so, too: name the database where it is in use, which is safe"
        )
    return f"{path} cannot be copied{whose}: {words}"


def _received(view: View, temp_dir: str) -> None:
    copy = f"{view.folder}/{_COPY}"
    try:
        with open(copy, "xb", buffering=0) as file:  # noqa: PTH123
            while block := os.read(0, _BLOCK):
                rest = memoryview(block)
                while rest:
                    rest = rest[file.write(rest) :]
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise SourceError(_no_room(temp_dir, "the database is larger")) from error
    _given_out(copy, "the database")


def _given_out(copy: str, name: str) -> None:
    """Check a copy, and write it to standard output if it is good."""
    descriptor = os.open(copy, os.O_RDONLY | os.O_CLOEXEC)
    if not os.pread(descriptor, HEADER, 0).startswith(MAGIC):
        raise SourceError(f"{name} {_NOT_ONE}")
    try:
        with closing(sqlite3.connect(_uri(copy, "mode=ro&immutable=1"), uri=True)) as connection:
            _require_good(connection, name)
    except sqlite3.Error as error:
        raise SourceError(f"{name} is damaged: {error}") from error
    # Without a name it is gone with this process, however that ends.
    os.unlink(copy)  # noqa: PTH108
    while block := os.read(descriptor, _BLOCK):
        rest = memoryview(block)
        while rest:
            rest = rest[os.write(1, rest) :]


def _require_good(connection: sqlite3.Connection, name: str) -> None:
    distrust(connection)
    connection.execute("PRAGMA cell_size_check = ON")
    virtual = "SELECT name FROM sqlite_master WHERE type = 'table' AND sql LIKE 'CREATE VIRTUAL%'"
    for (table,) in connection.execute(virtual).fetchall():
        quoted = str(table).replace('"', '""')
        question = f'SELECT * FROM "{quoted}" LIMIT 0'  # noqa: S608 - a name can be no parameter
        _asked(connection, question, name, f"its table {table}")
    flaws = _asked(connection, f"PRAGMA integrity_check({_MOST_FLAWS})", name, "a check of it")
    if flaws != [("ok",)]:
        raise SourceError(
            f"{name} is damaged:", *(f"  {flaw}" for (words,) in flaws for flaw in str(words).split("\n"))
        )


def distrust(connection: sqlite3.Connection) -> None:
    """Let a database, which may be of anybody's making, use those of SQLite's functions only that do no harm.

    Versions 3.38 to 3.40 do not say this of their own functions for JSON, and take a database with an index by one of
    them for damaged. What loads code is nothing that a database may use in any case (``SQLITE_DIRECTONLY``).
    """
    query = "SELECT max(flags & ?) FROM pragma_function_list WHERE name = 'json_extract'"
    ((are_harmless,),) = connection.execute(query, (_INNOCUOUS,)).fetchall()
    if are_harmless != 0:
        connection.execute("PRAGMA trusted_schema = OFF")


def _asked(connection: sqlite3.Connection, question: str, name: str, what: str) -> list[tuple[object, ...]]:
    try:
        return connection.execute(question).fetchall()
    except sqlite3.OperationalError as error:
        if not any(sign in str(error) for sign in ("no such", "unknown function")):
            raise
        raise SourceError(
            f"{name}: {what} needs an extension of SQLite that is not here: {error}. Without it nobody knows whether a "
            "copy is good. Let the program that the database belongs to export it, in a <Command> of its own"
        ) from error


if __name__ == "__main__":
    sys.exit(main())
