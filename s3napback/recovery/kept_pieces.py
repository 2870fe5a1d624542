"""Pieces in a file without a name, read from the first or from the last on."""

from __future__ import annotations

import tempfile
from array import array
from collections.abc import Collection, Iterator
from typing import BinaryIO, cast

_IN_MEMORY = 1 << 20
_WRITTEN_AT_ONCE = 1 << 17  # bytes, about


class KeptPieces:
    """They are in memory while they are few; ``folder`` is the descriptor of one that has room for more."""

    def __init__(self, folder: int) -> None:
        self._starts = array("Q")
        self._end = 0
        self._unwritten = bytearray()
        room = f"/proc/self/fd/{folder}"
        spooled = tempfile.SpooledTemporaryFile(_IN_MEMORY, dir=room)  # noqa: SIM115 - read when the archive has passed
        self._file = cast(BinaryIO, spooled)

    def __len__(self) -> int:
        return len(self._starts)

    def close(self) -> None:
        """Forget them all."""
        self._file.close()

    def add(self, piece: bytes) -> None:
        """Put one behind the others."""
        self._starts.append(self._end)
        self._end += len(piece)
        self._unwritten += piece
        if len(self._unwritten) >= _WRITTEN_AT_ONCE:
            self._write()

    def _write(self) -> None:
        self._file.write(self._unwritten)
        self._unwritten.clear()

    def all_but(self, unwanted: Collection[int]) -> Iterator[bytes]:
        """The pieces in order, but for some."""
        self._write()
        self._file.seek(0)
        for index, start in enumerate(self._starts):
            is_last = index + 1 == len(self._starts)
            piece = self._file.read(-1 if is_last else self._starts[index + 1] - start)
            if index not in unwanted:
                yield piece

    def last_first(self, is_wanted: bytearray) -> Iterator[bytes]:
        """Those that have a 1 at their place, the last one first."""
        self._write()
        end = self._end
        for index in range(len(self._starts) - 1, -1, -1):
            start = self._starts[index]
            if is_wanted[index]:
                self._file.seek(start)
                yield self._file.read(end - start)
            end = start
