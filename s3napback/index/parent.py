"""The index of the archive that a DIFF builds on, read in the order in which tar comes to directories."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from s3napback.index.connecting import Failing, connect, opened
from s3napback.index.records import Part, decode

if TYPE_CHECKING:
    from sqlite3 import Connection

_AHEAD = 16
AHEAD_BYTES = 1 << 16
"""Bytes of parts that are read at a time, at least; it is the last part that goes beyond."""


class ParentIndex:
    """The index of the archive that a DIFF builds on. A context manager, for one thread.

    tar comes to directories nearly in their order here, and most of them have one part: such parts are read some at a
    time.
    """

    def __init__(self, path: Path) -> None:
        self._failing = Failing(path)
        self._path = path
        self._connection: Connection | None = None
        # Of directories that have one part: its first name, and its bytes.
        self._ahead: dict[bytes, tuple[bytes, bytes]] = {}
        self._last_asked: bytes | None = None

    def __enter__(self) -> ParentIndex:
        with self._failing:
            self._connection = connect(self._path, read_only=True)
        return self

    def __exit__(self, *_error: object) -> None:
        if self._connection is not None:
            self._connection.close()

    def part(self, path: bytes, name: bytes) -> tuple[Part, bytes | None]:
        """The part in which a name of a directory would stand, and the first name of the next one, if there is one.

        Raises:
            SourceError: the file is damaged.
        """
        with self._failing:
            if path != self._last_asked and path not in self._ahead:
                self._ahead = dict(self._only_parts(path))
            self._last_asked = path
            if (only := self._ahead.get(path)) is None:
                return self._one_of_several(path, name)
            first, data = only
            return (decode(data), None) if name >= first else (Part(()), first)

    def _only_parts(self, path: bytes) -> Iterator[tuple[bytes, tuple[bytes, bytes]]]:
        """Directories from one on that have one part; of the last that is read here, it is not known."""
        rows = opened(self._connection).execute(
            "SELECT path, first, part FROM folder WHERE path >= ? ORDER BY path, first LIMIT ?", (path, _AHEAD)
        )
        before, size = None, 0
        for now, after in pairwise(rows):
            if before != now[0] != after[0]:
                yield now[0], now[1:]
            before = now[0]
            size += len(now[2])
            if size > AHEAD_BYTES:
                break
        rows.close()

    def _one_of_several(self, path: bytes, name: bytes) -> tuple[Part, bytes | None]:
        connection = opened(self._connection)
        found = connection.execute(
            "SELECT part FROM folder WHERE path = ? AND first <= ? ORDER BY first DESC LIMIT 1", (path, name)
        ).fetchone()
        beyond = connection.execute(
            "SELECT min(first) FROM folder WHERE path = ? AND first > ?", (path, name)
        ).fetchone()
        return decode(found[0]) if found else Part(()), beyond[0]

    def holds(self, path: bytes) -> bool:
        """Whether names of a directory are known.

        Raises:
            SourceError: the file is damaged.
        """
        with self._failing:
            found = opened(self._connection).execute("SELECT 1 FROM folder WHERE path = ? LIMIT 1", (path,))
            return found.fetchone() is not None
