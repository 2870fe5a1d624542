"""gzip by several threads: blocks are deflated at the same time, each with the end of the one before as its dictionary.

What comes out is one gzip member with one checksum over all (RFC 1952), as from a single thread: the blocks end on
byte boundaries (zlib's sync flush), and the checksums of the blocks are combined. So does pigz.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from isal import isal_zlib

BLOCK_SIZE = 1 << 19
"""Bytes that one thread deflates at a time, at least: larger ones compress no better, smaller ones cost more calls."""

WINDOW_SIZE = 1 << 15
"""Bytes that deflate looks back (RFC 1951)."""

_AHEAD = 6
"""Blocks that may wait besides those being deflated: tar is slow with small files and fast with large ones, and what it
writes while it is fast keeps the threads busy while it is slow."""

_HEADER = struct.pack("<4BI2B", 0x1F, 0x8B, 8, 0, 0, 0, 0xFF)  # deflate, no flags, no time, unknown system


class Deflate(Protocol):
    """A raw deflate stream, of isal or of zlib."""

    def compress(self, data: bytearray, /) -> bytes:
        """Take in data and return what is ready."""
        ...

    def flush(self, mode: int, /) -> bytes:
        """Return the rest; ``mode`` is one of zlib's."""
        ...


@dataclass(frozen=True)
class _Piece:
    deflated: bytes
    crc: int
    length: int


class ParallelGzip:
    """A ``Compressor`` whose memory is that of ``threads`` and eight more blocks, be they raw or deflated."""

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
        self._gathered = bytearray()
        self._window = b""
        self._ready = [_HEADER]
        self._crc = 0
        self._length = 0

    def compress(self, block: memoryview, /) -> bytes:
        """Take in ``block`` and return what is ready, maybe nothing."""
        self._gathered += block
        if len(self._gathered) >= BLOCK_SIZE:
            self._begin(isal_zlib.Z_SYNC_FLUSH)
        self._collect(self._most_pending)
        return self._take()

    def finish(self) -> bytes:
        """Return the rest of the stream, checksum and length included."""
        self._begin(isal_zlib.Z_FINISH)
        self._collect(0)
        self._ready.append(struct.pack("<2I", self._crc, self._length & 0xFFFFFFFF))
        return self._take()

    def close(self) -> None:
        """End the threads, whether the stream was finished or not."""
        self._executor.shutdown(cancel_futures=True)

    def _begin(self, flush: int) -> None:
        block, self._gathered = self._gathered, bytearray()
        self._pending.append(self._executor.submit(self._deflate, block, self._window, flush))
        self._window = bytes(block[-WINDOW_SIZE:])

    def _deflate(self, block: bytearray, window: bytes, flush: int) -> _Piece:
        stream = self._make_deflate(window)
        return _Piece(stream.compress(block) + stream.flush(flush), isal_zlib.crc32(block), len(block))

    def _collect(self, most_pending: int) -> None:
        """Take what is ready, in order, and wait until no more than so many blocks are pending."""
        while self._pending and (len(self._pending) > most_pending or self._pending[0].done()):
            piece = self._pending.popleft().result()
            self._crc = isal_zlib.crc32_combine(self._crc, piece.crc, piece.length)
            self._length += piece.length
            self._ready.append(piece.deflated)

    def _take(self) -> bytes:
        ready, self._ready = self._ready, []
        return b"".join(ready)
