"""Where a compressed stream can be entered: every few mebibytes compression begins anew, on a byte boundary.

A segment stands for so many bytes of the plain stream, the last one for what is left; it is decompressed without any
other. Plain tools read the whole stream as ever: gzip's is one member, zstd's are frames, one behind the other.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass

SEGMENT_SIZE = 1 << 22
"""Bytes of the plain stream in each segment but the last."""

_ENTRY = struct.Struct("<I32s")


@dataclass(frozen=True)
class Segment:
    """One segment.

    Attributes:
        length: bytes of the compressed stream.
        sha256: of these.
    """

    length: int
    sha256: bytes


class Segments:
    """The segments of one stream, in order; noted while it is compressed, some 40 bytes for each.

    Attributes:
        is_whole: the stream has come to its end, and these are all.
    """

    def __init__(self) -> None:
        self.is_whole = False
        self._entries = bytearray()
        self._length = 0
        self._hash = hashlib.sha256()

    def add(self, piece: bytes | memoryview) -> None:
        """What comes next belongs to the present segment."""
        self._length += len(piece)
        self._hash.update(piece)

    def end(self) -> None:
        """The present segment has ended."""
        self._entries += _ENTRY.pack(self._length, self._hash.digest())
        self._length, self._hash = 0, hashlib.sha256()

    def finish(self) -> None:
        """The stream has ended, and the present segment with it."""
        self.end()
        self.is_whole = True

    def append(self, segment: Segment) -> None:
        """Note a whole one."""
        self._entries += _ENTRY.pack(segment.length, segment.sha256)

    def __len__(self) -> int:
        return len(self._entries) // _ENTRY.size

    def __iter__(self) -> Iterator[Segment]:
        for length, sha256 in _ENTRY.iter_unpack(self._entries):
            yield Segment(length, sha256)
