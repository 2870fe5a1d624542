"""gzip by several threads: blocks are deflated at the same time, each with the end of the one before as its dictionary.

What comes out is one gzip member with one checksum over all (RFC 1952), as from a single thread: the blocks end on
byte boundaries (zlib's sync flush), and the checksums of the blocks are combined. So does pigz. Where data does not
shrink, as within photographs and films, only samples of the following blocks are deflated until some shrink again.
Where segments are wanted (``segments.py``), the first block of each knows of nothing before it.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing
from typing import Protocol

from isal import isal_zlib

from s3napback.crews import Crew
from s3napback.records import dataclass
from s3napback.streams.buffers import hold, let_go
from s3napback.streams.segments import SEGMENT_SIZE, Segments
from s3napback.streams.transformations import Block

BLOCK_SIZE = 1 << 19
"""Bytes that one thread deflates at a time: larger ones compress no better, smaller ones cost more calls."""

WINDOW_SIZE = 1 << 15
"""Bytes that deflate looks back (RFC 1951)."""

_SEGMENT_BLOCKS = SEGMENT_SIZE // BLOCK_SIZE

_AHEAD = 8
"""Blocks that may wait besides those being deflated: tar is slow with small files and fast with large ones, and what it
writes while it is fast keeps the threads busy while it is slow."""

_SHRUNK = 0.98
"""What deflate makes smaller than this part of it has shrunk."""

_SAMPLES = 4
_SAMPLE_SIZE = 1 << 13  # bytes

_LARGE = 1 << 16
"""Bytes that are better held than copied. To hold on to much smaller pieces would keep much memory for little."""

_STORED_SIZE = 0xFFFF  # bytes at most in a block of deflate that holds them as they are (RFC 1951, 3.2.4)

_HEADER = struct.pack("<4BI2B", 0x1F, 0x8B, 8, 0, 0, 0, 0xFF)  # deflate, no flags, no time, unknown system


class Deflate(Protocol):
    """A raw deflate stream, of isal or of zlib."""

    def compress(self, data: Block, /) -> bytes:
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
        block: the pieces that it was made of.
        length: bytes of the block.
    """

    deflated: Sequence[bytes]
    crc: int
    block: Sequence[Block]
    length: int


def gzipped(
    blocks: Iterator[memoryview],
    make_deflate: Callable[[bytes], Deflate],
    threads: int,
    segments: Segments | None = None,
) -> Iterator[Block]:
    """Compress a stream, as ``ParallelGzip`` does. Closing the generator ends the threads."""
    with closing(ParallelGzip(make_deflate, threads, segments)) as gzip:
        for block in blocks:
            yield from gzip.compress(block)
        yield from gzip.finish()


class ParallelGzip:
    """One stream being compressed; its memory is that of ``threads`` and ten more blocks, be they raw or deflated.

    What it is given is held until it is deflated, where that can be, and not copied: see ``buffers.py``.
    """

    def __init__(
        self, make_deflate: Callable[[bytes], Deflate], threads: int, segments: Segments | None = None
    ) -> None:
        """Begin a stream.

        Args:
            make_deflate: begins a raw deflate stream that knows what came before it, at most ``WINDOW_SIZE`` bytes.
            threads: how many blocks are deflated at the same time.
            segments: is told of them; the first block of each knows of nothing before it.
        """
        self._make_deflate = make_deflate
        self._crew = Crew(threads, "gzip")
        self._most_pending = threads + _AHEAD
        self._pending: deque[Future[_Piece]] = deque()
        self._block: list[Block] = []
        # What comes behind these, in pieces that are not worth a call of deflate or cannot be held.
        self._copied: list[bytes] = []
        self._filled = 0
        self._window = b""
        self._shrinks = True
        self._segments = segments
        self._begun = self._collected = 0
        self._ready: list[bytes] = []
        self._put(_HEADER)
        self._crc = 0
        self._length = 0

    def compress(self, block: memoryview, /) -> Sequence[bytes]:
        """Take in ``block`` and return what is ready, maybe nothing."""
        while block:
            piece = block[: BLOCK_SIZE - self._filled]
            self._keep(piece)
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
        self._put(struct.pack("<2I", self._crc, self._length & 0xFFFFFFFF))
        if self._segments is not None:
            self._segments.finish()
        return self._take()

    def close(self) -> None:
        """End the threads, whether the stream was finished or not."""
        self._crew.close(None)

    def _keep(self, piece: memoryview) -> None:
        if len(piece) >= _LARGE and hold(piece):
            self._end_copied()
            self._block.append(piece)
        else:
            self._copied.append(bytes(piece))

    def _end_copied(self) -> None:
        if self._copied:
            self._block.append(b"".join(self._copied))
            self._copied.clear()

    def _begin(self, flush: int) -> None:
        self._end_copied()
        block, self._block = self._block, []
        self._pending.append(self._crew.submit(self._deflate, block, self._filled, self._window, flush))
        self._begun += 1
        is_next_first = self._segments is not None and self._begun % _SEGMENT_BLOCKS == 0
        self._window = b"" if is_next_first else _end_of(block)
        self._filled = 0

    def _deflate(self, block: Sequence[Block], length: int, window: bytes, flush: int) -> _Piece:
        deflated: Sequence[bytes] = ()
        if flush == isal_zlib.Z_SYNC_FLUSH and not self._shrinks:
            whole = memoryview(b"".join(block))
            deflated = (_stored(whole),) if self._samples_do_not_shrink(whole) else ()
        if not deflated:
            deflated = self._deflated(block, window, flush)
            # Whichever thread was the last to find out; a wrong guess costs time or space, never data.
            self._shrinks = _has_shrunk(deflated, length)
        crc = 0
        for piece in block:
            crc = isal_zlib.crc32(piece, crc)
        return _Piece(deflated, crc, block, length)

    def _deflated(self, block: Sequence[Block], window: bytes, flush: int) -> Sequence[bytes]:
        stream = self._make_deflate(window)
        return [*map(stream.compress, block), stream.flush(flush)]

    def _samples_do_not_shrink(self, block: memoryview) -> bool:
        starts = range(0, BLOCK_SIZE, BLOCK_SIZE // _SAMPLES)
        samples = memoryview(b"".join(block[start : start + _SAMPLE_SIZE] for start in starts))
        return not _has_shrunk(self._deflated((samples,), b"", isal_zlib.Z_SYNC_FLUSH), len(samples))

    def _collect(self, most_pending: int) -> None:
        """Wait until no more than so many blocks are pending, and take one more if it is ready."""
        while len(self._pending) > most_pending or (self._pending and self._pending[0].done()):
            piece = self._pending.popleft().result()
            for each in piece.block:
                let_go(each)
            self._crc = isal_zlib.crc32_combine(self._crc, piece.crc, piece.length)
            self._length += piece.length
            self._put(*piece.deflated)
            self._collected += 1
            # One that is not full is the last of all.
            if self._segments is not None and self._collected % _SEGMENT_BLOCKS == 0 and piece.length == BLOCK_SIZE:
                self._segments.end()
            if len(self._pending) <= most_pending:
                return

    def _put(self, *pieces: bytes) -> None:
        self._ready += pieces
        if self._segments is not None:
            for piece in pieces:
                self._segments.add(piece)

    def _take(self) -> Sequence[bytes]:
        ready, self._ready = self._ready, []
        return ready


def _end_of(block: Sequence[Block]) -> bytes:
    """As much of it as deflate looks back."""
    if block and len(block[-1]) >= WINDOW_SIZE:
        return bytes(block[-1][-WINDOW_SIZE:])
    return b"".join(block)[-WINDOW_SIZE:]


def _has_shrunk(deflated: Sequence[bytes], length: int) -> bool:
    return sum(map(len, deflated)) < _SHRUNK * length


def _stored(block: memoryview) -> bytes:
    """Deflate's form of data that it leaves as it is; ends on a byte boundary."""
    stored: list[bytes | memoryview] = []
    for start in range(0, len(block), _STORED_SIZE):
        chunk = block[start : start + _STORED_SIZE]
        stored += [struct.pack("<B2H", 0, len(chunk), len(chunk) ^ 0xFFFF), chunk]
    return b"".join(stored)
