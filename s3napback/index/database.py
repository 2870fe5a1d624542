"""The index of a tree as a file: for each directory, parts of what is known of its names. SQLite, one writer.

A path is relative to the source, which is empty itself. Parts of one directory follow each other in the order of their
first names. The file is written for one archive and never changed later; a file that was cut off by a crash is never
put in place, so that no journal is needed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import merge
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s3napback.durable import create_private
from s3napback.index.connecting import Failing, closed_on_failure, connect, opened
from s3napback.index.records import ASKED, LEFT_OUT, UNREAD, Part, Record, decode, encode, encode_names, encode_taken

if TYPE_CHECKING:
    from sqlite3 import Connection

_SCHEMA = (
    "CREATE TABLE folder (path BLOB NOT NULL, first BLOB NOT NULL, part BLOB NOT NULL, odd INTEGER NOT NULL, "
    "PRIMARY KEY (path, first)) WITHOUT ROWID"
)
_NEXT_ODD = "SELECT path, first, part FROM folder WHERE odd AND (path, first) > (?, ?) ORDER BY path, first LIMIT 1"
_ODD = tuple(b"\0" + letter for letter in (UNREAD, LEFT_OUT, ASKED))
_OPEN = tuple(b"\0" + letter for letter in (UNREAD, ASKED))
_CHANGED = (
    "SELECT DISTINCT here.path FROM {0}.folder AS here LEFT JOIN {1}.folder AS there "
    "ON there.path = here.path AND there.first = here.first "
    "WHERE there.part IS NULL OR there.part <> here.part ORDER BY here.path"
)
_TEMPORARY = (
    "CREATE TABLE links.name (device, inode, folder BLOB, name BLOB, kept)",
    "CREATE TABLE links.taken (device, inode, PRIMARY KEY (device, inode)) WITHOUT ROWID",
)
_APART = (
    "SELECT folder, name FROM links.name WHERE (device, inode) IN (SELECT device, inode FROM links.taken UNION ALL "
    "SELECT device, inode FROM links.name GROUP BY device, inode HAVING min(kept) < max(kept))"
)
_BATCH = 200
_INSERT = "INSERT OR REPLACE INTO folder VALUES (?, ?, ?, ?)"
_INSERT_BATCH = _INSERT + ", (?, ?, ?, ?)" * (_BATCH - 1)
"""Of a whole batch at once: other threads get at Python's lock between two statements, and it takes a quarter less."""
_BATCH_BYTES = 1 << 18
_HELD_ENTRY = 100  # bytes of a part without records, and of each entry of one with records, besides its name
HELD = 4 << 20
"""Bytes of names of which something may still become known, at most, that are kept in memory."""


Inode = tuple[int, int]


class NewIndex:
    """The index that is being made. A context manager, for one thread; the file is whole once ``finish`` was called."""

    def __init__(self, path: Path, links: Path) -> None:
        """Describe it.

        Args:
            path: of a file that does not exist.
            links: of another one, which is of no use later.
        """
        self._path = path
        self._failing = Failing(path)
        self._links = links
        self._held: dict[bytes, list[Part | bytes]] = {}
        self._held_bytes = 0
        # Directories of which the first parts are held, and others are not.
        self._split: set[bytes] = set()
        self._last_written = b"/"  # as no directory is called
        self._rows: list[tuple[bytes, bytes, bytes, bool]] = []
        self._row_bytes = 0
        self._connection: Connection | None = None
        # Hard links that follow each other lead to the same file, or to one beside it.
        self._looked_up = Part(())
        self._names: list[tuple[int, int, bytes, bytes, bool]] = []

    def __enter__(self) -> NewIndex:
        with self._failing:
            self._connection = self._open()
        return self

    def _open(self) -> Connection:
        for path in (self._path, self._links):
            os.close(create_private(path))
        connection = connect(self._path)
        with closed_on_failure(connection):
            connection.execute("ATTACH DATABASE ? AS links", (str(self._links),))
            for schema in ("main", "links"):
                connection.execute(f"PRAGMA {schema}.journal_mode=OFF")
                connection.execute(f"PRAGMA {schema}.synchronous=OFF")
            for statement in (_SCHEMA, *_TEMPORARY, "BEGIN"):
                connection.execute(statement)
        return connection

    def __exit__(self, *_error: object) -> None:
        if self._connection is not None:
            self._connection.close()

    def finish(self) -> None:
        """Nothing more comes.

        Raises:
            SourceError: it cannot be written.
        """
        with self._failing:
            self._write_held()
            self._execute("COMMIT")

    def _write_held(self) -> None:
        for path, parts in self._held.items():
            for part in parts:
                self._write(path, _whole(part))
        self._held.clear()
        self._held_bytes = 0
        self._write_rows()

    def add(self, path: bytes, part: Part) -> None:
        """Add the next part of a directory.

        Raises:
            SourceError: it cannot be written, which holds for all methods.
        """
        # Of other names hardly anything more becomes known.
        if _has_letter(part, _OPEN):
            self._hold(path, part, _HELD_ENTRY * len(part.entries))
        else:
            self._write_now(path, part)

    def add_names(self, path: bytes, names: bytes) -> None:
        """The same without records.

        Args:
            path: the directory's.
            names: entries, a zero byte between each and the next.
        """
        if _has_letter(names, _OPEN):
            self._hold(path, names, len(names) + _HELD_ENTRY)
        else:
            self._note_written(path)
            with self._failing:
                self._put((path, names.partition(b"\0")[0][1:], encode_names(names), _has_letter(names, _ODD)))

    def _hold(self, path: bytes, part: Part | bytes, size: int) -> None:
        """Keep it in memory, if there is room: what comes of its names is soon known, and then it is written once."""
        if self._held_bytes >= HELD:
            self._write_now(path, _whole(part))
            return
        if path == self._last_written:
            self._split.add(path)
        self._held.setdefault(path, []).append(part)
        self._held_bytes += size

    def _write_now(self, path: bytes, part: Part) -> None:
        self._note_written(path)
        with self._failing:
            self._write(path, part)

    def _note_written(self, path: bytes) -> None:
        if path in self._held:
            self._split.add(path)
        self._last_written = path

    def change(self, path: bytes, changes: Mapping[bytes, Record | bytes]) -> None:
        """Change records or letters of names in a directory that is in it; of others nothing is known."""
        with self._failing:
            held = self._held.pop(path, ())
            for part in held:
                taken = None
                if isinstance(part, bytes):
                    self._held_bytes -= len(part) + _HELD_ENTRY
                    taken = encode_taken(part, changes)
                else:
                    self._held_bytes -= _HELD_ENTRY * len(part.entries)
                if taken is None:
                    self._write(path, _whole(part).with_changes(changes))
                else:
                    self._put((path, next(iter(changes)), taken, False))
            if not held or path in self._split:
                self._change_written(path, changes)

    def _change_written(self, path: bytes, changes: Mapping[bytes, Record | bytes]) -> None:
        self._write_rows()
        first, last = min(changes), max(changes)
        found = self._execute(
            "SELECT first, part FROM folder WHERE path = ? AND first <= ? AND first >= "
            "ifnull((SELECT max(first) FROM folder WHERE path = ? AND first <= ?), x'')",
            *(path, last, path, first),
        )
        for _first, data in found.fetchall():
            self._write(path, decode(data).with_changes(changes))

    def _write(self, path: bytes, part: Part) -> None:
        self._put((path, part.entries[0][1:], encode(part), _has_letter(part, _ODD)))

    def _put(self, row: tuple[bytes, bytes, bytes, bool]) -> None:
        self._rows.append(row)
        self._row_bytes += len(row[2])
        if len(self._rows) >= _BATCH or self._row_bytes >= _BATCH_BYTES:
            self._write_rows()

    def _write_rows(self) -> None:
        if len(self._rows) == _BATCH:
            self._execute(_INSERT_BATCH, *chain.from_iterable(self._rows))
        else:
            self._many(_INSERT, self._rows)
        self._rows.clear()
        self._row_bytes = 0

    def unread(self) -> Iterator[tuple[bytes, Sequence[bytes]]]:
        """Names that are unread after the last member, part by part, each with its directory; they may be changed."""
        with self._failing:
            self._write_held()
            last = b"", b""
            while found := self._execute(_NEXT_ODD, *last).fetchone():
                *last, data = found
                if names := [entry[1:] for entry in decode(data).entries if entry[:1] == UNREAD]:
                    yield last[0], names

    def record(self, path: bytes, name: bytes) -> Record | None:
        """What a name in a directory is stored as; None if it is not."""
        with self._failing:
            self._write_rows()
            found = self._execute(
                "SELECT part FROM folder WHERE path = ? AND first <= ? ORDER BY first DESC LIMIT 1", path, name
            ).fetchone()
            if not found:
                return None
            if self._looked_up.encoded != found[0]:
                self._looked_up = decode(found[0])
            return self._looked_up.look_up(name)[1]

    def differing(self, parent: Path | None) -> Iterator[tuple[bytes, Iterator[bytes], Iterator[bytes]]]:
        """Directories of which something is to be told that the archive's members do not tell; once it is finished.

        Args:
            parent: the index that a DIFF builds on; None for a FULL.

        Yields:
            The path of each, and the entries, each a letter and a name, of this index and of the parent's, in order.
            Of a FULL, parts in which all names are stored are left out.
        """
        with self._failing:
            if parent is None:
                for (path,) in self._execute("SELECT DISTINCT path FROM folder WHERE odd ORDER BY path"):
                    yield path, self._entries("main", path, only_odd=True), iter(())
                return
            self._execute("ATTACH DATABASE ? AS parent", f"{parent.absolute().as_uri()}?mode=ro&immutable=1")
            paths = (self._execute(_CHANGED.format(*names)) for names in (("main", "parent"), ("parent", "main")))
            last = None
            for (path,) in merge(*paths):
                if path != last:
                    yield path, self._entries("main", path), self._entries("parent", path)
                last = path

    def _entries(self, schema: str, path: bytes, *, only_odd: bool = False) -> Iterator[bytes]:
        odd = " AND odd" if only_odd else ""
        # The names of both schemas are our own.
        for (data,) in self._execute(f"SELECT part FROM {schema}.folder WHERE path = ?{odd} ORDER BY first", path):  # noqa: S608
            yield from decode(data).entries

    def note_name(self, inode: Inode, folder: bytes, name: bytes, *, is_kept: bool) -> None:
        """Note a name of a file that has several.

        Args:
            folder: as it stands in the archive.
            is_kept: it is as an older archive has it; otherwise this archive has it.
        """
        self._names.append((*signed(inode), folder, name, is_kept))
        if len(self._names) == _BATCH:
            self._write_names()

    def note_taken(self, inode: Inode) -> None:
        """Note that a file that has several names is taken, so that all that are noted have to be."""
        with self._failing:
            self._execute("INSERT OR IGNORE INTO links.taken VALUES (?, ?)", *signed(inode))

    def names_of_taken(self) -> Iterator[bytes]:
        """The whole names, as they stand in the archive, of those that are noted of files that are taken.

        So are those of files of which this archive has one name by itself, and an older one another.
        """
        self._write_names()
        with self._failing:
            found = self._execute(_APART)
        for folder, name in found:
            yield folder + name

    def _write_names(self) -> None:
        with self._failing:
            self._many("INSERT INTO links.name VALUES (?, ?, ?, ?, ?)", self._names)
        self._names.clear()

    def _execute(self, statement: str, *values: object) -> Any:
        return opened(self._connection).execute(statement, values)

    def _many(self, statement: str, rows: Iterable[tuple[object, ...]]) -> None:
        opened(self._connection).executemany(statement, rows)


def _has_letter(part: Part | bytes, letters: Iterable[bytes]) -> bool:
    """Whether any of the entries, or of names with a zero byte between each and the next, bears one of the letters.

    Args:
        part: the entries, or these names.
        letters: each behind a zero byte.
    """
    names = b"\0" + (part if isinstance(part, bytes) else b"\0".join(part.entries))
    for letter in letters:  # noqa: SIM110 - a generator takes twice as long, and there may be a million folders
        if letter in names:
            return True
    return False


def _whole(part: Part | bytes) -> Part:
    return Part(part.split(b"\0")) if isinstance(part, bytes) else part


def signed(inode: Inode) -> Inode:
    """Numbers as SQLite has them, whose highest bit is a sign."""
    device, number = (value - (value >> 63 << 64) for value in inode)
    return device, number
