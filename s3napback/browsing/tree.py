"""The tree of a day, replayed from what each archive of a chain tells, as tar replays the archives themselves.

tar removes from a folder what its list does not hold, or holds as something of another kind, and then extracts. What
stands in a list as in the archive and is not there could not be read: what an older archive brought stays.

The names are kept by SQLite, in memory as far as there is room for them, and else in a file without a name: a folder
may hold millions of them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import groupby
from operator import itemgetter
from types import TracebackType
from typing import TYPE_CHECKING, Any

from s3napback.browsing.interest import Interest
from s3napback.browsing.nodes import (
    IS_FOLDER,
    LETTERS,
    MISSING,
    OLDER,
    THERE,
    FolderRow,
    MemberRow,
    Node,
    joined,
    relative,
    split,
)
from s3napback.browsing.statements import (
    DOUBT,
    DOUBTED,
    FIELDS,
    IMPLIED,
    LAPSED,
    LINE,
    MISSING_OR,
    OUTPUT,
    PUT,
    PUT_LINES,
    RECORDING,
    SCHEMA,
    age,
    in_room,
)
from s3napback.index.lines import LINK
from s3napback.index.naming import GONE
from s3napback.index.records import DIRECTORY, LEFT_OUT, UNREAD
from s3napback.streams.dumpdirs import entries_of

if TYPE_CHECKING:
    from sqlite3 import Connection

_CACHE_KIB = 6144
_BATCH = 2000


class Tree:
    """The names that are of interest, as they are after an archive. A context manager, for one thread.

    Attributes:
        wanted: these names.
        number: of the archive that was told of last, from 1.
        unresolved: paths that hard links lead to, and that were not of interest.
    """

    def __init__(self, wanted: Interest, *, is_recorded: bool = False) -> None:
        """Begin with nothing.

        Args:
            wanted: what is of interest.
            is_recorded: what there was before is remembered: ``spans``.
        """
        self.wanted = wanted
        self.number = 0
        self.unresolved: set[bytes] = set()
        self._is_recorded = is_recorded
        self._is_first = True
        self._has_doubts = False
        self._connection: Connection | None = None

    def __enter__(self) -> Tree:
        import sqlite3  # noqa: PLC0415 - loaded only where it is used

        # The empty name is a file that has none as soon as it is needed (SQLite, "Temporary databases").
        connection = self._connection = sqlite3.connect("", isolation_level=None)
        for statement in (
            "PRAGMA temp_store=FILE",
            f"PRAGMA cache_size=-{_CACHE_KIB}",
            *SCHEMA,
            *(RECORDING if self._is_recorded else ()),
        ):
            connection.execute(statement)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._connection is not None:
            self._connection.close()

    @contextmanager
    def archive(self, number: int, *, is_full: bool) -> Iterator[None]:
        """The next archive of the chain is told of. If that raises, all is as it was before.

        Args:
            number: of the archive; archives of one chain follow each other without a gap.
            is_full: nothing of what was before it counts.
        """
        self._execute("BEGIN")
        with self._undone_on_failure(), in_room():
            if is_full:
                self._end_chain()
            self.number, self._is_first, self._has_doubts = number, is_full, False
            self._execute("UPDATE present SET number = ?", number)
            yield
            self._settle_doubts()
            if not is_full:
                age(self._connected, number)
            self._execute("COMMIT")

    @contextmanager
    def _undone_on_failure(self) -> Iterator[None]:
        before = (self.number, self._is_first)
        try:
            yield
        except BaseException:
            if self._connected.in_transaction:
                self._execute("ROLLBACK")
            self.number, self._is_first = before
            raise

    def _end_chain(self) -> None:
        """Forget what is there, or remember it as what was there up to the last archive."""
        self._execute("UPDATE present SET number = ?", self.number + 1 if self._is_recorded else -1)
        self._execute("DELETE FROM node")

    def folder(self, row: FolderRow, dumpdir: bytes | None = None) -> None:
        """A folder is in the archive.

        Args:
            row: the folder.
            dumpdir: the list of all that it held, if that is known; else ``names`` tells what is not as before.
        """
        self._put_folders((row,), is_told=dumpdir is not None)
        if dumpdir is not None:
            if not self._is_first:
                self._purge(row.path, dumpdir)
            self._note_unread(row.path, dumpdir)

    def folders(self, rows: Iterable[FolderRow]) -> None:
        """Folders are in the archive, of which ``names`` tells what is not as before: many together are faster."""
        self._put_folders(rows, is_told=False)

    def _put_folders(self, rows: Iterable[FolderRow], *, is_told: bool) -> None:
        self._connected.executemany(LINE, (split(row.path) + row for row in rows))
        if not self._is_first and not is_told:
            # What was in a folder that the archive before did not hold is gone, unless it is told of now.
            changed = self._execute(DOUBT, self.number, self.number - 1)
            self._has_doubts |= changed.rowcount > 0
        self._execute(PUT_LINES, self.number)
        self._execute("DELETE FROM line")

    def lapsed(self) -> Mapping[bytes, Collection[bytes]]:
        """Names of folders that the archive does not hold any more, by the folder in which they lay, which it holds.

        What is told of later may have taken the place of one, and all that was in it is gone then.
        """
        found: dict[bytes, set[bytes]] = {}
        if self._is_first or self.wanted.includes_all:
            return found
        rows = self._execute(LAPSED, IS_FOLDER, self.number)
        for folder, names in groupby(rows, itemgetter(0)):
            if self._lined(folder) == self.number:
                found[folder] = {name for _folder, name in names}
        return found

    def _lined(self, path: bytes) -> int:
        """The last archive that held a folder; 0 if there is none."""
        found = self._execute(
            "SELECT lined FROM node WHERE folder = ? AND name = ? AND letter = ?", *split(path), IS_FOLDER
        ).fetchone()
        return found[0] if found else 0

    def members(self, folder: bytes, rows: Iterable[MemberRow]) -> None:
        """Other members lie in a folder."""
        self._imply(folder)
        batch: list[tuple[object, ...]] = []
        number = self.number
        for row in rows:
            if not self._is_first:
                self._remove_folder(folder, row.name)
                if not self.wanted.includes(folder, row.name):
                    continue  # told for what it has taken the place of: see ``lapsed``
            if row.kind == LINK:
                self._put(batch)
                self._put_link(folder, row)
                continue
            batch.append((folder, row.name, LETTERS[row.kind], *row[2:], THERE, number, number, number, None))
            if len(batch) >= _BATCH:
                self._put(batch)
        self._put(batch)

    def _imply(self, folder: bytes) -> None:
        """What members lie in is a folder, even if it vanished before its own header was written: tar makes it."""
        while folder and self.wanted.needs(folder) and not self._lined(folder):
            self._execute(IMPLIED, *split(folder), self.number)
            folder = split(folder)[0]

    def _put(self, batch: list[tuple[object, ...]]) -> None:
        if batch:
            self._connected.executemany(PUT, batch)
            batch.clear()

    def _put_link(self, folder: bytes, row: MemberRow) -> None:
        """A hard link is what it leads to, whatever its own header says: that may be younger."""
        target = self._execute(
            f"SELECT {FIELDS} FROM node WHERE folder = ? AND name = ? AND origin = ?", *split(row.more), self.number
        ).fetchone()
        if target is None:
            self.unresolved.add(row.more)
            target = ("-", *row[2:8], b"")
        number = self.number
        self._execute(PUT, folder, row.name, *target, THERE, number, number, number, row.more)

    def names(self, folder: bytes, entries: Iterable[bytes]) -> None:
        """What members do not tell of a folder's names, as ``index/lines.py`` says: a letter and a name each."""
        if self._is_first:
            self.note_missing(folder, (entry[1:] for entry in entries if entry[:1] == UNREAD))
            return
        if self._lined(folder) != self.number:
            # It is gone itself, or could not be read, and then all in it stays.
            return
        for entry in entries:
            letter, name = entry[:1], entry[1:]
            if letter == GONE:
                self._remove(folder, name)
            else:
                self._note_letter(folder, letter, name)

    def _note_letter(self, folder: bytes, letter: bytes, name: bytes) -> None:
        found = self._execute(
            "SELECT letter, state & 3, state & 4, lined FROM node WHERE folder = ? AND name = ?", folder, name
        ).fetchone()
        if found is None:
            if letter == UNREAD:
                self.note_missing(folder, [name])
            return
        kind, state, is_doubted, lined = found
        if kind == IS_FOLDER and lined < self.number and letter != DIRECTORY:
            self._remove(folder, name)
            if letter == UNREAD:
                self.note_missing(folder, [name])
            return
        if letter == UNREAD and lined < self.number:
            state = max(state, OLDER)
        # In a folder that the archive before could not read, nothing is known of what has a directory's letter.
        is_other = (state == MISSING and letter != UNREAD) or (letter == DIRECTORY and not (state and is_doubted))
        if is_other and kind != IS_FOLDER:
            self._remove(folder, name)
        else:
            self._set_state(folder, name, state)

    def _set_state(self, folder: bytes, name: bytes, state: int) -> None:
        self._execute(
            "UPDATE node SET since = CASE WHEN state & 3 = ? THEN since ELSE ? END, state = ? "
            "WHERE folder = ? AND name = ?",
            *(state, self.number, state, folder, name),
        )

    def note_missing(self, folder: bytes, names: Iterable[bytes]) -> None:
        """What a folder has under these names is in no archive, where nothing else is known of them."""
        number, includes = self.number, self.wanted.includes
        self._connected.executemany(
            MISSING_OR + "NOTHING", ((folder, name, number, number) for name in names if includes(folder, name))
        )

    def note_unread_paths(self, paths: Iterable[bytes]) -> None:
        """Paths that could not be read that night, as in archives: no list of names tells that of folders."""
        top = self.wanted.top.strip(b"/")
        for folder, name in (split(relative(path, top) or b"") for path in paths):
            if name and self.wanted.shows(folder, name):
                self.note_missing(folder, [name])

    def _note_unread(self, folder: bytes, dumpdir: bytes) -> None:
        """What a list has as in the archive counts as unread until its member comes."""
        number, includes = self.number, self.wanted.includes
        names = (entry[1:] for entry in entries_of(dumpdir) if entry[:1] == UNREAD)
        self._connected.executemany(
            MISSING_OR + "UPDATE SET since = CASE WHEN state & 3 THEN since ELSE excluded.since END, "
            "state = max(state & 3, 1) WHERE letter <> 'd'",
            ((folder, name, number, number) for name in names if includes(folder, name)),
        )

    def _purge(self, folder: bytes, dumpdir: bytes) -> None:
        """Remove what tar removes from a folder that is there before it extracts."""
        found = self._execute(
            "SELECT name, letter, state & 3 FROM node WHERE folder = ? AND name <> x'' ORDER BY name", folder
        )
        entries = entries_of(dumpdir)
        entry = next(entries, None)
        doomed: list[bytes] = []
        for name, kind, state in found:
            while entry is not None and entry[1:] < name:
                entry = next(entries, None)
            letter = entry[:1] if entry is not None and entry[1:] == name else GONE
            is_folder = kind == IS_FOLDER
            if (
                letter == GONE
                or (letter == DIRECTORY and not is_folder)
                or (letter == UNREAD and is_folder)
                or (letter == LEFT_OUT and state == MISSING and not is_folder)
            ):
                doomed.append(name)
        for name in doomed:
            self._remove(folder, name)

    def _remove_folder(self, folder: bytes, name: bytes) -> None:
        """Remove a folder that is there under a name, with what is in it."""
        if self._lined(joined(folder, name)):
            self._remove(folder, name)

    def _remove(self, folder: bytes, name: bytes) -> None:
        path = joined(folder, name)
        self._execute("DELETE FROM node WHERE folder = ? AND name = ?", folder, name)
        self._execute("DELETE FROM node WHERE folder = ?", path)
        self._execute("DELETE FROM node WHERE folder > ? AND folder < ?", path + b"/", path + b"0")

    def _settle_doubts(self) -> None:
        if not self._has_doubts:
            return
        for folder, name in self._execute(DOUBTED).fetchall():
            self._remove(folder, name)

    def nodes(self) -> Iterator[Node]:
        """What is there after the last archive, folder by folder, and in these by name."""
        shows = self.wanted.shows
        for values in self._execute(f"SELECT {OUTPUT} FROM node ORDER BY folder, name"):
            node = Node._make(values)
            if shows(node.folder, node.name):
                yield node

    def node(self, path: bytes) -> Node | None:
        """What is there under a path."""
        found = self._execute(f"SELECT {OUTPUT} FROM node WHERE folder = ? AND name = ?", *split(path)).fetchone()
        return Node._make(found) if found else None

    def origin(self, path: bytes) -> tuple[int, bytes | None] | None:
        """The archive that holds what is there under a path, and what that is a hard link to within it."""
        found = self._execute(
            "SELECT origin, link, state & 3 FROM node WHERE folder = ? AND name = ?", *split(path)
        ).fetchone()
        return (found[0], found[1]) if found and found[2] != MISSING else None

    def prepare_for_dump(self) -> None:
        """Make ``links_to`` fast, and room for ``keep_header``."""
        self._execute("CREATE TABLE header (path BLOB PRIMARY KEY, header BLOB) WITHOUT ROWID")
        self._execute("CREATE INDEX linked ON node (link, origin) WHERE link IS NOT NULL")

    def keep_header(self, path: bytes, header: bytes) -> None:
        """Keep something for a path."""
        self._execute("INSERT OR REPLACE INTO header VALUES (?, ?)", path, header)

    def header(self, path: bytes) -> bytes:
        """What was kept for a path; nothing if nothing was."""
        found = self._execute("SELECT header FROM header WHERE path = ?", path).fetchone()
        return found[0] if found else b""

    def links_to(self, target: bytes, number: int) -> bytes | None:
        """The first path that is a hard link to a member of an archive."""
        found = self._execute(
            "SELECT folder, name FROM node WHERE link = ? AND origin = ? ORDER BY folder, name LIMIT 1", target, number
        ).fetchone()
        return joined(*found) if found else None

    def spans(self) -> Iterator[tuple[Node, int, int]]:
        """What there ever was: each name with the first and the last archive in which it was so, one after the other.

        Call it after the last archive alone.
        """
        self._end_chain()
        shows = self.wanted.shows
        for *values, first, last in self._execute("SELECT * FROM span ORDER BY folder, name, first"):
            node = Node._make(values)
            if shows(node.folder, node.name):
                yield node, first, last

    @property
    def _connected(self) -> Connection:
        if self._connection is None:
            raise ValueError("the tree is used outside of its context")
        return self._connection

    def _execute(self, statement: str, *values: object) -> Any:
        return self._connected.execute(statement, values)
