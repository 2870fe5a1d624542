"""Compression of a stream, block by block, into the formats that ``gzip -d`` and ``zstd -d`` read."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from s3napback.streams.parallel_gzip import Deflate

DEFAULT_GZIP_LEVEL = 1
DEFAULT_ZSTD_LEVEL = 3

_FASTEST_ZLIB_LEVEL = 4  # ISA-L knows levels up to 3, several times as fast as zlib's
_RAW_DEFLATE = -15  # zlib's largest window, without header and trailer
_MOST_THREADS = 4

_JOB_SIZE = 2 << 20
"""Bytes that one of zstd's threads compresses at a time. Its own choice takes three times the memory to be as fast."""

_HIGHEST_PARALLEL_LEVEL = 9
"""Of zstd. Higher ones look back so far that each thread would have to read most of what its neighbours read."""


Block = bytes | memoryview
"""A piece of a stream. Whoever gives a ``memoryview`` may use its memory again as soon as the next one is asked for."""


class Compressor(Protocol):
    """One stream being compressed. Used by one thread at a time."""

    def compress(self, block: memoryview, /) -> Sequence[Block]:
        """Take in ``block`` and return what is ready, maybe nothing.

        ``block`` itself may be in the result, which must be used before the block's memory is used again.
        """
        ...

    def finish(self) -> Sequence[Block]:
        """Return the rest of the stream, end mark included. Nothing may follow."""
        ...

    def close(self) -> None:
        """Give up whatever it holds, in the middle of the stream or after its end."""
        ...


class Identity:
    """No compression: every block passes as it is."""

    def compress(self, block: memoryview, /) -> Sequence[Block]:
        """Return ``block``."""
        return (block,)

    def finish(self) -> Sequence[Block]:
        """There is nothing left."""
        return ()

    def close(self) -> None:
        """Nothing is held."""


class _Stream(Protocol):
    """What isal, zlib and zstandard have in common."""

    def compress(self, data: memoryview, /) -> bytes: ...

    def flush(self) -> bytes: ...


class _StreamCompressor:
    def __init__(self, stream: _Stream) -> None:
        self._stream = stream

    def compress(self, block: memoryview, /) -> Sequence[Block]:
        return (self._stream.compress(block),)

    def finish(self) -> Sequence[Block]:
        return (self._stream.flush(),)

    def close(self) -> None:
        """What is held goes with the stream."""


@dataclass(frozen=True)
class Filter:
    """One transformation of a stream.

    Attributes:
        name: as messages call it.
        make: begins the transformation of one stream.
    """

    name: str
    make: Callable[[], Compressor]


def make_filter(name: str, level: int | None = None) -> Filter:
    """The filter that compresses as ``make_compressor`` says, or raises the same."""
    _checked_level(name, level)
    return Filter(name, partial(make_compressor, name, level))


def make_compressor(name: str, level: int | None = None) -> Compressor:
    """Begin a stream.

    Args:
        name: ``gzip``, ``zstd`` or ``none``.
        level: None is the default; gzip has 1 to 9, zstd 1 to 22; without meaning for ``none``.

    Raises:
        ValueError: no such compression or level.
    """
    chosen = _checked_level(name, level)
    makers: dict[str, Callable[[int], Compressor]] = {"gzip": _gzip, "zstd": _zstd, "none": lambda _: Identity()}
    return makers[name](chosen)


def compression_command(name: str, level: int | None = None) -> tuple[str, ...]:
    """The plain tool whose output the same commands decompress; empty for ``none``.

    Raises:
        ValueError: no such compression or level.
    """
    chosen = _checked_level(name, level)
    if name == "none":
        return ()
    # zstd refuses its three highest levels unless told that their memory is meant.
    ultra = ("--ultra",) if name == "zstd" and chosen > 19 else ()
    return (name, *ultra, f"-{chosen}")


def _checked_level(name: str, level: int | None) -> int:
    default, highest = {"gzip": (DEFAULT_GZIP_LEVEL, 9), "zstd": (DEFAULT_ZSTD_LEVEL, 22), "none": (0, 0)}.get(
        name, (0, -1)
    )
    if highest < 0:
        raise ValueError(f"unknown compression {name!r}: use gzip, zstd or none")
    if name == "none" or level is None:
        return default
    if not 1 <= level <= highest:
        raise ValueError(f"{name} has no compression level {level}: use 1 to {highest}")
    return level


def _gzip(level: int) -> Compressor:
    from s3napback.streams.parallel_gzip import ParallelGzip  # noqa: PLC0415 - loaded only where it is used

    return ParallelGzip(partial(_fast_deflate if level < _FASTEST_ZLIB_LEVEL else _deflate, level), _threads())


def _fast_deflate(level: int, window: bytes) -> Deflate:
    from isal import isal_zlib  # noqa: PLC0415 - loaded only where it is used

    return isal_zlib.compressobj(level, wbits=_RAW_DEFLATE, zdict=window)


def _deflate(level: int, window: bytes) -> Deflate:
    import zlib  # noqa: PLC0415 - loaded only where it is used

    return zlib.compressobj(level, wbits=_RAW_DEFLATE, zdict=window)


def _threads() -> int:
    """As many as there are processors for us, but not more than keep all that reads and writes busy."""
    return min(_MOST_THREADS, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def _zstd(level: int) -> Compressor:
    import zstandard  # noqa: PLC0415 - loaded only where it is used

    # The checksum lets zstd -d notice damage, as gzip's does.
    options: dict[str, int] = {"write_checksum": True}
    if level <= _HIGHEST_PARALLEL_LEVEL and _threads() > 1:
        options |= {"threads": _threads(), "job_size": _JOB_SIZE}
    parameters = zstandard.ZstdCompressionParameters.from_level(level, **options)
    return _StreamCompressor(zstandard.ZstdCompressor(compression_params=parameters).compressobj())


def compressed(made: Compressor, blocks: Iterator[memoryview]) -> Iterator[Block]:
    """Pass blocks through a compressor to its end, and give it back."""
    with closing(made) as compressor:
        for block in blocks:
            yield from compressor.compress(block)
        yield from compressor.finish()
