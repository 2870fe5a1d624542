"""Any part of an archive's content, of which only the segments that hold it are fetched, and checked before use."""

from __future__ import annotations

import hmac
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterator

from s3napback.catalogue.contents import CataloguedArchive
from s3napback.encryption.chunks import boundaries
from s3napback.errors import StoreError
from s3napback.recovery.opening.anticipating import Anticipation
from s3napback.recovery.opening.fetching import Transport
from s3napback.streams.segments import SEGMENT_SIZE, Segments, sum_of

_RAW_DEFLATE = -15
_GZIP_HEADER = 10  # bytes of one that we write
_GZIP_TRAILER = 8
_KEPT = 3
_PIECE = 1 << 20
_LARGEST = 1 << 22
"""Bytes that are announced as one range."""
_BEFORE, _BEHIND = 160 << 10, 32 << 10
"""Bytes around a part of an encrypted archive that are looked at to find where it is; see ``encryption/pieces.py``."""

Read = Callable[[int, int], bytes]
"""Gives the bytes from one place to another."""


class Irregular(StoreError):
    """An archive cannot be read in parts, or what came is not what its index tells. Reading the whole may do."""


class StoredRanges:
    """Parts of the stored bytes of one version of an archive.

    Attributes:
        head: the first bytes, which are fetched at once.
    """

    def __init__(self, transport: Transport, archive: CataloguedArchive, head_size: int) -> None:
        """Fetch the head.

        Raises:
            StoreError: it cannot be read.
        """
        self._transport = transport
        self._archive = archive
        self._anticipation = Anticipation(self._fetch, transport.threads)
        self.head = b""
        self.head = self.read(0, head_size)

    def read(self, start: int, end: int) -> bytes:
        """The bytes from one place to another, or to the end.

        Raises:
            StoreError: they cannot be read, or the archive was replaced.
        """
        end = min(end, self._archive.stored.size)
        if start >= end or end <= len(self.head):
            return self.head[start:end]
        return self._anticipation.read(start, end)

    @property
    def size(self) -> int:
        """Bytes that are stored."""
        return self._archive.stored.size

    def announce(self, ranges: Iterator[tuple[int, int]]) -> None:
        """Parts that will be read next, in order: of a distant store they are fetched several at a time from now on."""
        if self._transport.store.is_distant and self._transport.threads > 1:
            self._anticipation.announce(ranges)

    def close(self) -> None:
        """Fetch nothing any more that is not read."""
        self._anticipation.close()

    def _fetch(self, start: int, end: int) -> bytes:
        transport, stored = self._transport, self._archive.stored

        def fetch() -> bytes:
            return b"".join(transport.store.read(stored.key, start=start, end=end, version=stored.version))

        data = transport.promptly(fetch, self._archive)
        if len(data) != end - start:
            raise Irregular(f"{transport.address(self._archive)} did not give what was asked for")
        transport.total.note(data)
        return data


class Content:
    """The content of an archive, read by its segments."""

    def __init__(self, read: Read, segments: Segments, compression: str) -> None:
        """Describe it.

        Args:
            read: gives parts of the compressed stream.
            segments: of that.
            compression: ``gzip``, ``zstd`` or ``none``.
        """
        self._read = read
        self._key = segments.key
        self._segments = segments
        self._starts = boundaries(each.length for each in segments)
        self._compression = compression
        self._kept: OrderedDict[int, bytes] = OrderedDict()

    @property
    def longest(self) -> int:
        """Bytes that it can have at most."""
        return len(self._segments) * SEGMENT_SIZE

    def cost(self, places: Iterator[tuple[int, int]]) -> int:
        """Bytes of all segments in which some parts lie, which are told in order."""
        return sum(self._starts[number + 1] - self._starts[number] for number in self._needed(places))

    def _needed(self, places: Iterator[tuple[int, int]]) -> Iterator[int]:
        """The numbers of these segments."""
        beyond = 0
        for start, end in places:
            first, beyond_it = max(start // SEGMENT_SIZE, beyond), min(-(-end // SEGMENT_SIZE), len(self._segments))
            yield from range(first, beyond_it)
            beyond = max(beyond, beyond_it)

    def stored_ranges(self, places: Iterator[tuple[int, int]], size: int) -> Iterator[tuple[int, int]]:
        """Where in the stored bytes the same segments are, about, with what is looked at around them; none overlaps.

        Args:
            places: of parts, in order.
            size: bytes that are stored.
        """
        whole = self._starts[len(self._segments)]
        before, behind = (_BEFORE, _BEHIND) if size != whole else (0, 0)
        begin = last = 0
        for number in self._needed(places):
            start, end = (place * size // whole for place in self._starts[number : number + 2])
            start, end = max(last, start - before), min(size, end + behind)
            if start > last or end - begin > _LARGEST:
                if last > begin:
                    yield begin, last
                begin = start
            last = end
        if last > begin:
            yield begin, last

    def pieces(self, start: int, end: int) -> Iterator[bytes]:
        """The bytes from one place to another, in pieces.

        Raises:
            Irregular: they are not what the index tells.
            StoreError: they cannot be read.
        """
        while start < end:
            number = start // SEGMENT_SIZE
            if number >= len(self._segments):
                raise Irregular("the index tells of what lies beyond the archive's end")
            segment = self._segment(number)
            place = start - number * SEGMENT_SIZE
            piece = segment[place : min(place + _PIECE, place + end - start)]
            if not piece:
                raise Irregular("the index tells of what lies beyond the archive's end")
            yield piece
            start += len(piece)

    def read(self, start: int, end: int) -> bytes:
        """The same in one piece."""
        return b"".join(self.pieces(start, end))

    def _segment(self, number: int) -> bytes:
        if number in self._kept:
            self._kept.move_to_end(number)
            return self._kept[number]
        start, end = self._starts[number], self._starts[number + 1]
        stored = self._read(start, end)
        segment = self._segments[number]
        found = sum_of(self._key, number, stored)
        if len(stored) != segment.length or not hmac.compare_digest(found, segment.sum):
            raise Irregular("a part of the archive is not the one of which its index has a sum")
        plain = self._decompressed(number, stored)
        is_last = number == len(self._segments) - 1
        if len(plain) != SEGMENT_SIZE and not (is_last and len(plain) < SEGMENT_SIZE):
            raise Irregular("a part of the archive has another length than parts have")
        self._kept[number] = plain
        if len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return plain

    def _decompressed(self, number: int, stored: bytes) -> bytes:
        if self._compression == "none":
            return stored
        try:
            return _unzstded(stored) if self._compression == "zstd" else _inflated(stored, is_first=number == 0)
        except (zlib.error, ValueError) as error:
            raise Irregular(f"a part of the archive cannot be decompressed ({error})") from error


def _inflated(stored: bytes, *, is_first: bool) -> bytes:
    stream = zlib.decompressobj(_RAW_DEFLATE)
    plain = stream.decompress(memoryview(stored)[_GZIP_HEADER * is_first :], SEGMENT_SIZE + 1)
    if stream.unconsumed_tail or (stream.eof and len(stream.unused_data) != _GZIP_TRAILER):
        raise ValueError("it goes on")
    return plain


def _unzstded(stored: bytes) -> bytes:
    import zstandard  # noqa: PLC0415 - loaded only where it is used

    try:
        if zstandard.frame_content_size(stored) > SEGMENT_SIZE:
            raise ValueError("it is longer than a part can be")
        plain: bytes = zstandard.ZstdDecompressor().decompress(stored, max_output_size=SEGMENT_SIZE)
    except zstandard.ZstdError as error:
        raise ValueError(str(error)) from error
    return plain


def beginning(stored: bytes, compression: str, wanted: int) -> bytes:
    """The first bytes of a content, of the first ones of its compressed stream; fewer if those do not tell.

    Raises:
        Irregular: they are damaged.
    """
    if compression == "none":
        return stored[:wanted]
    try:
        if compression == "gzip":
            return zlib.decompressobj(_RAW_DEFLATE).decompress(memoryview(stored)[_GZIP_HEADER:], wanted)
        return _first_of_zstd(stored, wanted)
    except (zlib.error, ValueError) as error:
        raise Irregular(f"the archive's beginning cannot be decompressed ({error})") from error


def _first_of_zstd(stored: bytes, wanted: int) -> bytes:
    import zstandard  # noqa: PLC0415 - loaded only where it is used

    try:
        with zstandard.ZstdDecompressor().stream_reader(stored) as stream:
            first: bytes = stream.read(wanted)
    except zstandard.ZstdError as error:
        raise ValueError(str(error)) from error
    return first
