"""Decompression that ends well only at an end mark, behind which nothing follows.

What the bytes are is told by their first ones, so that copies which lost their metadata decode as well.
"""

from __future__ import annotations

from collections.abc import Iterator

from s3napback.recovery.opening.failures import Damaged
from s3napback.streams.transformations import Block

_PIECE = 1 << 20  # bytes; decompressed at once, at most
_GZIP_FORMAT = 31  # zlib's largest window (15), plus 16 for gzip's header and trailer
_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_HEAD = 4  # bytes that tell
_ZSTD_SLICE = 4096  # bytes decompressed at once; not even from a hole do they become more than 128 MiB
_SMALLEST_SLICE = 64


def decompressed(blocks: Iterator[memoryview], compression: str = "") -> Iterator[Block]:
    """Decompress a stream, in pieces of bounded size however much a block expands to.

    Args:
        blocks: of the compressed stream.
        compression: ``gzip``, ``zstd`` or ``none``; empty if its first bytes shall tell.

    Raises:
        Damaged: the stream is broken, ends before its end mark, or goes on behind it.
    """
    head = bytearray()
    for block in blocks:
        head += block
        if len(head) >= _HEAD:
            break
    found = _compression_of(head)
    if compression and found != compression:
        raise Damaged(f"decompression failed: the content does not begin like {compression}")
    makers = {"gzip": _gunzipped, "zstd": _unzstded, "none": _unchanged}
    return makers[found](_chained(memoryview(bytes(head)), blocks))


def _compression_of(head: bytes | bytearray) -> str:
    if head.startswith(_GZIP_MAGIC):
        return "gzip"
    return "zstd" if head.startswith(_ZSTD_MAGIC) else "none"


def _chained(first: memoryview, blocks: Iterator[memoryview]) -> Iterator[memoryview]:
    if first:
        yield first
    yield from blocks


def _unchanged(blocks: Iterator[memoryview]) -> Iterator[Block]:
    return blocks


def _gunzipped(blocks: Iterator[memoryview]) -> Iterator[Block]:
    from isal import isal_zlib  # noqa: PLC0415 - loaded only where it is used

    broken: type[Exception] = isal_zlib.IsalError  # type: ignore[assignment] # its stubs take it for an instance
    stream = isal_zlib.decompressobj(wbits=_GZIP_FORMAT)
    try:
        for block in blocks:
            rest: Block = block
            while rest:
                if stream.eof:
                    raise Damaged("decompression failed: there is something behind gzip's end mark")
                yield stream.decompress(rest, _PIECE)
                rest = stream.unused_data if stream.eof else stream.unconsumed_tail
    except broken as error:
        raise Damaged(f"decompression failed: {error}") from error
    if not stream.eof:
        raise Damaged("decompression failed: gzip's end mark is missing")


def _unzstded(blocks: Iterator[memoryview]) -> Iterator[Block]:
    """Decompress frames that follow each other; each must come to its end."""
    import zstandard  # noqa: PLC0415 - loaded only where it is used

    # Neither of the library's streaming readers tells a stream that was cut off from one that ended.
    decompressor = zstandard.ZstdDecompressor()
    stream = decompressor.decompressobj()
    slice_size = _ZSTD_SLICE
    is_behind = False
    try:
        for block in blocks:
            position = 0
            while position < len(block):
                if stream.eof:
                    stream, is_behind = decompressor.decompressobj(), True
                slice_ = block[position : position + slice_size]
                piece = stream.decompress(slice_)
                is_behind = is_behind and not piece
                position += len(slice_) - len(stream.unused_data)
                # A hole's four bytes become 128 KiB, and it goes on for a while.
                slice_size = max(_SMALLEST_SLICE, slice_size // 2) if len(piece) > _PIECE else _ZSTD_SLICE
                yield piece
    except zstandard.ZstdError as error:
        flaw = "there is something behind zstd's end mark" if is_behind else str(error)
        raise Damaged(f"decompression failed: {flaw}") from error
    if not stream.eof:
        raise Damaged("decompression failed: zstd's end mark is missing")
