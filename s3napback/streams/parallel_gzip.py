"""gzip by several threads: blocks are deflated at the same time, each with the end of the one before as its dictionary.

What comes out is one gzip member with one checksum over all (RFC 1952), as from a single thread: the blocks end on
byte boundaries (zlib's sync flush), and the checksums of the blocks are combined. So does pigz.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from isal import isal_zlib

BLOCK_SIZE = 1 << 19
"""Bytes that one thread deflates at a time: larger ones compress no better, smaller ones cost more calls."""

WINDOW_SIZE = 1 << 15
"""Bytes that deflate looks back (RFC 1951)."""

_AHEAD = 4
"""Blocks that may wait besides those being deflated: tar is slow with small files and fast with large ones, and what it
writes while it is fast keeps the threads busy while it is slow."""

_HEADER = struct.pack("<4BI2B", 0x1F, 0x8B, 8, 0, 0, 0, 0xFF)  # deflate, no flags, no time, unknown system


class Deflate(Protocol):
    """A raw deflate stream, of isal or of zlib."""

    def compress(self, data: memoryview, /) -> bytes:
        """Take in data and return what is ready."""
        ...

    def flush(self, mode: int, /) -> bytes:
        """Return the rest; ``mode`` is one of zlib's."""
        ...


@dataclass(frozen=True)
class _Piece:
    """One block, deflated.

    Attributes:
        deflated: in the order of the stream.
        buffer: held the block, and is free again.
        length: bytes of the block.
    """

    deflated: tuple[bytes, bytes]
    crc: int
    buffer: bytearray
    length: int


class ParallelGzip:
    """A ``Compressor`` whose memory is that of ``threads`` and six more blocks, be they raw or deflated.

    Buffers are used again and again: allocated anew for each block, they would leave the heap full of holes.
    """

    def __init__(self, make_deflate: Callable[[bytes], Deflate], threads: int) -> None:
        """Begin a stream.

        Args:
            make_deflate: begins a raw deflate stream that knows what came before it, at most ``WINDOW_SIZE`` bytes.
            threads: how many blocks are deflated at the same time.
        """
        self._make_deflate = make_deflate
        self._executor = ThreadPoolExecutor(threads, "gzip")
        self._most_pending = threads + _AHEAD
        self._pending: deque[Future[_Piece]] = deque()
        self._free: list[bytearray] = []
        self._buffer = bytearray(BLOCK_SIZE)
        self._filled = 0
        self._window = b""
        self._ready = [_HEADER]
        self._crc = 0
        self._length = 0

    def compress(self, block: memoryview, /) -> Sequence[bytes]:
        """Take in ``block`` and return what is ready, maybe nothing."""
        while block:
            piece = block[: BLOCK_SIZE - self._filled]
            self._buffer[self._filled : self._filled + len(piece)] = piece
            self._filled += len(piece)
            block = block[len(piece) :]
            if self._filled == BLOCK_SIZE:
                self._begin(isal_zlib.Z_SYNC_FLUSH)
                self._collect(self._most_pending)
        return self._take()

    def finish(self) -> Sequence[bytes]:
        """Return the rest of the stream, checksum and length included."""
        self._begin(isal_zlib.Z_FINISH)
        self._collect(0)
        self._ready.append(struct.pack("<2I", self._crc, self._length & 0xFFFFFFFF))
        return self._take()

    def close(self) -> None:
        """End the threads, whether the stream was finished or not."""
        self._executor.shutdown(cancel_futures=True)

    def _begin(self, flush: int) -> None:
        buffer, length = self._buffer, self._filled
        self._pending.append(self._executor.submit(self._deflate, buffer, length, self._window, flush))
        self._window = bytes(memoryview(buffer)[max(0, length - WINDOW_SIZE) : length])
        self._buffer = self._free.pop() if self._free else bytearray(BLOCK_SIZE)
        self._filled = 0

    def _deflate(self, buffer: bytearray, length: int, window: bytes, flush: int) -> _Piece:
        block = memoryview(buffer)[:length]
        stream = self._make_deflate(window)
        return _Piece((stream.compress(block), stream.flush(flush)), isal_zlib.crc32(block), buffer, length)

    def _collect(self, most_pending: int) -> None:
        """Wait until no more than so many blocks are pending, and take one more if it is ready."""
        while len(self._pending) > most_pending or (self._pending and self._pending[0].done()):
            piece = self._pending.popleft().result()
            self._free.append(piece.buffer)
            self._crc = isal_zlib.crc32_combine(self._crc, piece.crc, piece.length)
            self._length += piece.length
            self._ready += piece.deflated
            if len(self._pending) <= most_pending:
                return

    def _take(self) -> Sequence[bytes]:
        ready, self._ready = self._ready, []
        return ready
