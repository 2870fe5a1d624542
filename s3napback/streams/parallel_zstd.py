"""zstd by several threads: a frame for each segment, so that a stream can be entered where a frame begins.

``zstd -d`` reads frames that follow each other as one stream (RFC 8878, 3.1); each one has a checksum.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from threading import local

import zstandard

from s3napback.crews import Crew
from s3napback.streams.segments import SEGMENT_SIZE, Segments
from s3napback.streams.transformations import Block

_AHEAD = 1
"""Frames that may wait besides those being compressed."""


def frames(blocks: Iterator[memoryview], level: int, threads: int, segments: Segments) -> Iterator[Block]:
    """Compress a stream. Closing the generator ends the threads.

    Args:
        level: of zstd.
        threads: how many frames are compressed at the same time.
        segments: is told of each.
    """
    crew = Crew(threads, "zstd")
    maker = _Maker(level)
    pending: deque[Future[bytes]] = deque()
    try:
        for piece in _pieces(blocks):
            pending.append(crew.submit(maker.frame, piece))
            while len(pending) > threads + _AHEAD or (pending and pending[0].done()):
                yield _noted(pending.popleft().result(), segments)
        while pending:
            yield _noted(pending.popleft().result(), segments)
        segments.is_whole = True
    finally:
        crew.close(None)


def _noted(frame: bytes, segments: Segments) -> bytes:
    segments.add(frame)
    segments.end()
    return frame


def _pieces(blocks: Iterator[memoryview]) -> Iterator[bytearray]:
    """One at least: an empty stream is a frame as well."""
    piece = bytearray()
    for block in blocks:
        rest = block
        while rest:
            part = rest[: SEGMENT_SIZE - len(piece)]
            piece += part
            rest = rest[len(part) :]
            if len(piece) == SEGMENT_SIZE:
                yield piece
                piece = bytearray()
    yield piece


class _Maker:
    """Compresses frames, in any thread: a compressor is for one thread alone."""

    def __init__(self, level: int) -> None:
        self._level = level
        self._local = local()

    def frame(self, piece: bytearray) -> bytes:
        if not hasattr(self._local, "compressor"):
            # The checksum lets zstd -d notice damage, as gzip's does.
            parameters = zstandard.ZstdCompressionParameters.from_level(
                self._level, source_size=SEGMENT_SIZE, write_checksum=True, write_content_size=True
            )
            self._local.compressor = zstandard.ZstdCompressor(compression_params=parameters)
        compressed: bytes = self._local.compressor.compress(piece)
        return compressed
