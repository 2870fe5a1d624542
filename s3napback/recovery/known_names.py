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

_PENDING = 16_384
"""Changes that are written together."""
_CACHE = 4 << 10  # KiB of memory in the place of pages on disk
_CHANGE = """
INSERT INTO names (folder, name, flags) VALUES (?, ?, ?)
ON CONFLICT (folder, name) DO UPDATE SET flags = (flags | excluded.flags) & ?
"""
_MEET = "UPDATE names SET flags = flags - ? + ? WHERE folder = ? AND name = ? AND flags & ? = ?"


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


_PLACE = 8
"""Bits of flags; what stands above them is the place of the archive in which the last content was met."""
_ALL = -1
_KNOWN, _KNOWN_FOLDER = int(Flag.KNOWN), int(Flag.KNOWN | Flag.FOLDER)
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
                    "PRIMARY KEY (device, number)) WITHOUT ROWID; BEGIN"
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

    def note_met(self, name: str, *, is_folder: bool) -> None:
        """Note that a name is part of the state, and its last content was met."""
        folder, _, last = name.rpartition("/")
        self._change(hash(folder), hash(last), _KNOWN_FOLDER if is_folder else _KNOWN, _MET)

    def note_difference(self, name: str) -> None:
        """Note that something else lies there than the state has."""
        folder, _, last = name.rpartition("/")
        self._change(hash(folder), hash(last), int(Flag.DIFFERS), _ALL)

    def is_wanted(self, name: str, place: int) -> bool:
        """Whether a name is of a file whose last content was not met yet; it is met with that.

        Args:
            place: of the archive in which it is met: how many newer ones its chain has.
        """
        wanted, both = int(Flag.WANTED), int(Flag.WANTED | Flag.NO_FILE)
        folder, _, last = name.rpartition("/")
        values = (wanted, place << _PLACE, hash(folder), hash(last), both, wanted)
        return self._execute(_MEET, values).rowcount == 1

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
            try:
                # In the order of the file, and of one name's changes among each other.
                self._database.executemany(_CHANGE, sorted(self._pending, key=itemgetter(0, 1)))
            except sqlite3.Error as error:
                raise NoRoom(f"what is compared cannot be noted in TempDir: {error}") from error
            self._pending.clear()

    def _execute(self, statement: str, values: Sequence[object]) -> sqlite3.Cursor:
        self._flush()
        try:
            return self._database.execute(statement, tuple(values))
        except sqlite3.Error as error:
            raise NoRoom(f"what is compared cannot be noted in TempDir: {error}") from error
