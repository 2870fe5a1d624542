"""What a comparison knows of each name, on disk: there may be millions, and memory does not grow with them.

A name is kept as two of Python's hashes of 64 bits, of the folder and of the name in it, whose key is of this process
alone: the file tells nobody anything, and nobody can choose names that are taken for one. It has no name of its own in
any folder, and is gone with the process.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterable, Sequence
from enum import IntFlag
from operator import itemgetter
from pathlib import Path
from types import TracebackType

from s3napback.errors import S3napbackError
from s3napback.index.database import signed
from s3napback.streams.dumpdirs import entries_of

_PENDING = 16_384
"""Changes that are written together."""
_CACHE = 4 << 10  # KiB of memory in the place of pages on disk
_CHANGE = """
INSERT INTO names (folder, name, flags) VALUES (?, ?, ?)
ON CONFLICT (folder, name) DO UPDATE SET flags = (flags | excluded.flags) & ?
"""
_GIVE_UP = """
UPDATE names SET flags = flags | ? WHERE folder = ? AND flags & ? AND NOT EXISTS (
    SELECT 1 FROM listed WHERE listed.name = names.name AND NOT (listed.is_file AND names.flags & ?)
)
"""
"""What a folder's list does not name, or calls as in the archive where a folder is, tar removes before it extracts."""
_MEET = "UPDATE names SET flags = flags & ? | ? WHERE folder = ? AND name = ? AND flags & ? = ?"


class Flag(IntFlag):
    """What is known of a name."""

    KNOWN = 1
    """It is part of the state."""
    WANTED = 2
    """And its last content was not met yet."""
    FOLDER = 4
    """And it is a folder."""
    DIFFERS = 8
    """What lies there is something else."""
    NO_FILE = 16
    """It is a folder, or of a kind that is never archived: what older archives have under this name is gone."""
    GONE = 32
    """It was not there, or as a file where a folder is, when an archive was made that was read already: what older ones
    have under this name and below it is gone."""


_PLACE = 8
"""Bits of flags; what stands above them is the place of the archive in which the last content was met."""
_ALL = -1
_KNOWN, _KNOWN_FOLDER = int(Flag.KNOWN), int(Flag.KNOWN | Flag.FOLDER)
_NOT_NOTED = "what is compared cannot be noted in TempDir: {}"
_MET = _ALL & ~int(Flag.WANTED)


class NoRoom(S3napbackError):
    """The file cannot be made, or written to."""


class KnownNames:
    """Flags of names. A context manager. Used by one thread at a time.

    Names are as in archives, relative to the root directory. Every method raises ``NoRoom`` if the disk is full.
    """

    def __init__(self, folder: Path | None) -> None:
        """Make the file.

        Args:
            folder: for temporary files; None is the system's.
        """
        self._pending: list[tuple[int, int, int, int]] = []
        self._pending_lists: list[tuple[int, int]] = []
        self._has_gone = False
        self._looked_up = "", False
        try:
            with tempfile.TemporaryDirectory(prefix="s3napback-", dir=folder) as place:
                self._database = sqlite3.connect(Path(place, "names"), isolation_level=None, check_same_thread=False)
                # Nothing of it is needed after a crash. The file goes with the folder, and stays open.
                self._database.executescript(
                    f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE;"
                    f"PRAGMA cache_size = -{_CACHE}; PRAGMA temp_store = MEMORY;"
                    "CREATE TABLE names (folder INTEGER, name INTEGER, flags INTEGER, PRIMARY KEY (folder, name))"
                    "WITHOUT ROWID;"
                    "CREATE TABLE files (device INTEGER, number INTEGER, folder INTEGER, name INTEGER,"
                    "PRIMARY KEY (device, number)) WITHOUT ROWID;"
                    "CREATE TABLE lists (folder INTEGER PRIMARY KEY, digest INTEGER);"
                    "CREATE TABLE listed (name INTEGER PRIMARY KEY, is_file INTEGER); BEGIN"
                )
        except (OSError, sqlite3.Error) as error:
            raise NoRoom(f"no temporary file can be made for what is compared: {error}") from error

    def __enter__(self) -> KnownNames:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._database.close()

    def list_folder(self, folder: str, entries: Iterable[str]) -> None:
        """Note what a folder of the state holds; the content of none of it was met yet."""
        both, place = int(Flag.KNOWN | Flag.WANTED), hash(folder)
        for entry in entries:
            self._change(place, hash(entry), both, _ALL)

    def list_folders(self, folder: str, entries: Iterable[str]) -> None:
        """Note which names in a folder of the state are of no file."""
        place = hash(folder)
        for entry in entries:
            self._change(place, hash(entry), int(Flag.NO_FILE), _ALL)

    def keep_list(self, folder: str, dumpdir: bytes) -> None:
        """Note the list of a folder of the state, for ``give_up_unlisted``."""
        self._pending_lists.append((hash(folder), _digest(dumpdir)))
        if len(self._pending_lists) >= _PENDING:
            self._flush()

    def give_up_unlisted(self, folder: str, dumpdir: bytes) -> None:
        """Note what a folder did not hold when an archive was made that is read after newer ones.

        What is listed again by a newer one, and in none of them, could not be archived when it was new: it is a link
        that leads nowhere, or could not be read. What still older archives have under its name is no part of the state.
        """
        place = hash(folder)
        known = self._execute("SELECT digest FROM lists WHERE folder = ?", (place,)).fetchone()
        if known is None or known[0] == _digest(dumpdir):
            # It is gone itself, or holds the same names: nearly all of a million folders.
            return
        entries = (
            (hash(entry[1:].decode("utf-8", "surrogateescape")), entry[:1] == b"Y")
            for entry in entries_of(dumpdir)
            if entry
        )
        self._write("INSERT OR IGNORE INTO listed VALUES (?, ?)", entries)
        folders = int(Flag.FOLDER)
        values = (int(Flag.GONE), place, int(Flag.WANTED) | folders, folders)
        if self._execute(_GIVE_UP, values).rowcount:
            self._has_gone, self._looked_up = True, ("", False)
        self._execute("DELETE FROM listed", ())

    def note_met(self, name: str, *, is_folder: bool) -> None:
        """Note that a name is part of the state, and its last content was met."""
        folder, _, last = name.rpartition("/")
        self._change(hash(folder), hash(last), _KNOWN_FOLDER if is_folder else _KNOWN, _MET)

    def note_difference(self, name: str) -> None:
        """Note that something else lies there than the state has."""
        folder, _, last = name.rpartition("/")
        self._change(hash(folder), hash(last), int(Flag.DIFFERS), _ALL)

    def differs(self, name: str) -> bool:
        """Whether that was noted."""
        folder, _, last = name.rpartition("/")
        return bool(self._flags(hash(folder), hash(last)) & Flag.DIFFERS)

    def take_back(self, name: str) -> None:
        """Forget it."""
        folder, _, last = name.rpartition("/")
        self._change(hash(folder), hash(last), 0, _ALL & ~int(Flag.DIFFERS))

    def is_wanted(self, name: str, place: int) -> bool:
        """Whether a name is of a file whose last content was not met yet, or in this archive; it is met with that.

        A DIFF can hold a name twice, as what its first tar took and as what was added: of these the last one counts.

        Args:
            place: of the archive in which it is met: how many newer ones its chain has.
        """
        wanted, all_three = int(Flag.WANTED), int(Flag.WANTED | Flag.NO_FILE | Flag.GONE)
        stays = (1 << _PLACE) - 1 & ~wanted
        folder, _, last = name.rpartition("/")
        if self._has_gone and self._is_in_gone(folder):
            return False
        values = (stays, place << _PLACE, hash(folder), hash(last), all_three, wanted)
        return self._execute(_MEET, values).rowcount == 1 or self.was_met_at(name, place)

    def _is_in_gone(self, folder: str) -> bool:
        """Whether a folder, or one that it lies in, was gone in between."""
        if folder != self._looked_up[0]:
            outer, is_gone = folder, False
            while outer and not is_gone:
                outer, _, last = outer.rpartition("/")
                is_gone = bool(self._flags(hash(outer), hash(last)) & Flag.GONE)
            self._looked_up = folder, is_gone
        return self._looked_up[1]

    def was_met_at(self, name: str, place: int) -> bool:
        """Whether the last content of a name that is part of the state was met in the archive of that place."""
        folder, _, last = name.rpartition("/")
        flags = self._flags(hash(folder), hash(last))
        return bool(flags & Flag.KNOWN) and flags >> _PLACE == place

    def is_anothers(self, device: int, number: int, name: str) -> bool:
        """Whether a file was met by another name already; if it was by none, it is met by this one."""
        folder, _, last = name.rpartition("/")
        file, names = signed((device, number)), (hash(folder), hash(last))
        if self._execute("INSERT OR IGNORE INTO files VALUES (?, ?, ?, ?)", (*file, *names)).rowcount == 1:
            return False
        known = self._execute("SELECT folder, name FROM files WHERE device = ? AND number = ?", file).fetchone()
        return tuple(known) != names

    def forget_first(self, device: int, number: int, name: str) -> bool:
        """Forget by which name a file was met, if it was by this one; whether it was."""
        folder, _, last = name.rpartition("/")
        values = (*signed((device, number)), hash(folder), hash(last))
        statement = "DELETE FROM files WHERE device = ? AND number = ? AND folder = ? AND name = ?"
        return self._execute(statement, values).rowcount == 1

    def in_folder(self, folder: str, entries: Iterable[str]) -> list[int]:
        """What is known of each of some names in one folder, as ``Flag`` says."""
        place = hash(folder)
        return [self._flags(place, hash(entry)) for entry in entries]

    def differences(self) -> int:
        """How many names differ."""
        self._flush()
        return int(self._execute("SELECT count(*) FROM names WHERE flags & ?", (int(Flag.DIFFERS),)).fetchone()[0])

    def _flags(self, folder: int, name: int) -> int:
        found = self._execute("SELECT flags FROM names WHERE folder = ? AND name = ?", (folder, name)).fetchone()
        return int(found[0]) if found else 0

    def _change(self, folder: int, name: int, flags: int, mask: int) -> None:
        self._pending.append((folder, name, flags, mask))
        if len(self._pending) >= _PENDING:
            self._flush()

    def _flush(self) -> None:
        if self._pending:
            # In the order of the file, and of one name's changes among each other.
            self._write(_CHANGE, sorted(self._pending, key=itemgetter(0, 1)))
            self._pending.clear()
        if self._pending_lists:
            self._write("INSERT OR REPLACE INTO lists VALUES (?, ?)", sorted(self._pending_lists))
            self._pending_lists.clear()

    def _write(self, statement: str, rows: Iterable[tuple[int, ...]]) -> None:
        try:
            self._database.executemany(statement, rows)
        except sqlite3.Error as error:
            raise NoRoom(_NOT_NOTED.format(error)) from error

    def _execute(self, statement: str, values: Sequence[object]) -> sqlite3.Cursor:
        self._flush()
        try:
            return self._database.execute(statement, tuple(values))
        except sqlite3.Error as error:
            raise NoRoom(_NOT_NOTED.format(error)) from error


def _digest(dumpdir: bytes) -> int:
    """The same number for lists of the same names, of which the same are folders."""
    return hash((b"\0" + dumpdir).replace(b"\0Y", b"\0N"))
