"""Compression of a stream, block by block, into the formats that ``gzip -d`` and ``zstd -d`` read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from s3napback.streams.segments import SEGMENT_SIZE, Segments
from s3napback.streams.transformations import UNCHANGED, Block, Transformation

if TYPE_CHECKING:
    from s3napback.streams.parallel_gzip import Deflate

DEFAULT_GZIP_LEVEL = 1
DEFAULT_ZSTD_LEVEL = 3

_LEVELS = {"gzip": (DEFAULT_GZIP_LEVEL, 9), "zstd": (DEFAULT_ZSTD_LEVEL, 19), "none": (0, 0)}
"""Of each compression the default and the highest. zstd itself refuses its three above 19 without ``--ultra``."""

_FASTEST_ZLIB_LEVEL = 4  # ISA-L knows levels up to 3, several times as fast as zlib's
_RAW_DEFLATE = -15  # zlib's largest window, without header and trailer
_MOST_THREADS = 4

_JOB_SIZE = 2 << 20
"""Bytes that one of zstd's threads compresses at a time. Its own choice takes three times the memory to be as fast."""

_HIGHEST_PARALLEL_LEVEL = 9
"""Of zstd. Higher ones look back so far that each thread would have to read most of what its neighbours read."""


def make_compression(name: str, level: int | None = None, segments: Segments | None = None) -> Transformation:
    """The transformation that compresses.

    Args:
        name: ``gzip``, ``zstd`` or ``none``.
        level: None is the default; gzip has 1 to 9, zstd 1 to 19; without meaning for ``none``.
        segments: is told of them, if the stream is to have any. zstd's highest levels, which look back much farther
            than a segment is long, make none.

    Raises:
        ValueError: no such compression or level.
    """
    chosen = _checked_level(name, level)
    if name == "none":
        return UNCHANGED if segments is None else Transformation(name, partial(_cut, segments))
    if name == "gzip":
        return Transformation(name, partial(_gzip, chosen, segments))
    if segments is not None and chosen <= _HIGHEST_PARALLEL_LEVEL:
        return Transformation(name, partial(_zstd_frames, chosen, segments))
    return Transformation(name, partial(_zstd, chosen))


def compression_command(name: str, level: int | None = None) -> tuple[str, ...]:
    """The plain tool whose output the same commands decompress; empty for ``none``.

    Raises:
        ValueError: no such compression or level.
    """
    chosen = _checked_level(name, level)
    return () if name == "none" else (name, f"-{chosen}")


def _checked_level(name: str, level: int | None) -> int:
    if name not in _LEVELS:
        raise ValueError(f"unknown compression {name!r}: use gzip, zstd or none")
    default, highest = _LEVELS[name]
    if name == "none" or level is None:
        return default
    if not 1 <= level <= highest:
        raise ValueError(f"{name} has no compression level {level}: use 1 to {highest}")
    return level


def _cut(segments: Segments, blocks: Iterator[memoryview]) -> Iterator[Block]:
    """Segments of what is not compressed."""
    left = SEGMENT_SIZE
    for block in blocks:
        rest = block
        while rest:
            piece = rest[:left]
            segments.add(piece)
            left -= len(piece)
            rest = rest[len(piece) :]
            if not left:
                segments.end()
                left = SEGMENT_SIZE
        yield block
    segments.finish()


def _gzip(level: int, segments: Segments | None, blocks: Iterator[memoryview]) -> Iterator[Block]:
    from s3napback.streams.parallel_gzip import gzipped  # noqa: PLC0415 - loaded only where it is used

    if segments is not None:
        segments.begin()  # while the first block is still to come
    make = partial(_fast_deflate if level < _FASTEST_ZLIB_LEVEL else _deflate, level)
    return gzipped(blocks, make, _threads(), segments)


def _fast_deflate(level: int, window: bytes) -> Deflate:
    from isal import isal_zlib  # noqa: PLC0415 - loaded only where it is used

    return isal_zlib.compressobj(level, wbits=_RAW_DEFLATE, zdict=window)


def _deflate(level: int, window: bytes) -> Deflate:
    import zlib  # noqa: PLC0415 - loaded only where it is used

    return zlib.compressobj(level, wbits=_RAW_DEFLATE, zdict=window)


def _threads() -> int:
    """As many as there are processors for us, but not more than keep all that reads and writes busy."""
    return min(_MOST_THREADS, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def _zstd_frames(level: int, segments: Segments, blocks: Iterator[memoryview]) -> Iterator[Block]:
    from s3napback.streams.parallel_zstd import frames  # noqa: PLC0415 - loaded only where it is used

    segments.begin()  # while the first block is still to come
    return frames(blocks, level, _threads(), segments)


def _zstd(level: int, blocks: Iterator[memoryview]) -> Iterator[Block]:
    import zstandard  # noqa: PLC0415 - loaded only where it is used

    # The checksum lets zstd -d notice damage, as gzip's does.
    options: dict[str, int] = {"write_checksum": True}
    if level <= _HIGHEST_PARALLEL_LEVEL and _threads() > 1:
        options |= {"threads": _threads(), "job_size": _JOB_SIZE}
    parameters = zstandard.ZstdCompressionParameters.from_level(level, **options)
    stream = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    for block in blocks:
        yield stream.compress(block)
    yield stream.flush()
