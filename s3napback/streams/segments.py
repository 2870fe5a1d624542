"""Where a compressed stream can be entered: every few mebibytes compression begins anew, on a byte boundary.

A segment stands for so many bytes of the plain stream, the last one for what is left; it is decompressed without any
other. Plain tools read the whole stream as ever: gzip's is one member, zstd's are frames, one behind the other.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from typing import Protocol

from s3napback.records import dataclass

SEGMENT_SIZE = 1 << 22
"""Bytes of the plain stream in each segment but the last."""

KEY_SIZE = 32
"""Bytes of a key for sums."""

SHA256_SIZE, MAC_SIZE = 32, 16
"""Bytes of a sum without a key, and with one."""


class Sum(Protocol):
    """One that is being taken."""

    def update(self, data: bytes | memoryview, /) -> object:
        """What comes next."""
        ...

    def digest(self) -> bytes:
        """The sum. To be asked for once, at the end."""
        ...


class _Mac:
    """AES-GMAC (NIST SP 800-38D), of which processors make ten times as much in the same time as of SHA-256."""

    def __init__(self, key: bytes, number: int) -> None:
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes  # noqa: PLC0415 - where it is used

        nonce = number.to_bytes(12, "big")
        self._encryptor = Cipher(algorithms.AES(key), modes.GCM(nonce)).encryptor()
        self.update = self._encryptor.authenticate_additional_data

    def digest(self) -> bytes:
        self._encryptor.finalize()
        return self._encryptor.tag


def begin_sum(key: bytes, number: int) -> Sum:
    """Begin the sum of one segment, of which ``sum_of`` tells more."""
    return _Mac(key, number) if key else hashlib.sha256()


def sum_of(key: bytes, number: int, data: bytes) -> bytes:
    """The sum of one segment.

    Args:
        key: which only those know who may read the archive; empty where nobody at all shall be able to make another
            segment of the same sum: then it is SHA-256, which takes longer.
        number: of the segment, from 0.
        data: of the compressed stream.
    """
    begun = begin_sum(key, number)
    begun.update(data)
    return begun.digest()


@dataclass(frozen=True)
class Segment:
    """One segment.

    Attributes:
        length: bytes of the compressed stream.
        sum: of these.
    """

    length: int
    sum: bytes


class Segments:
    """The segments of one stream, in order; noted while it is compressed, some 40 bytes for each.

    Attributes:
        key: of the sums; see ``sum_of``. It is shown nowhere but in the index.
        is_whole: the stream has come to its end, and these are all.
    """

    def __init__(self, key: bytes = b"") -> None:
        self.key = key
        self.is_whole = False
        self._entry = struct.Struct(f"<I{MAC_SIZE if key else SHA256_SIZE}s")
        self._entries = bytearray()
        self._length = 0
        self._sum: Sum | None = None

    def begin(self) -> Sum:
        """Begin the present segment, which otherwise its first piece does; the first of all takes a while to."""
        self._sum = begin_sum(self.key, len(self))
        return self._sum

    def add(self, piece: bytes | memoryview) -> None:
        """What comes next belongs to the present segment."""
        self._length += len(piece)
        (self._sum or self.begin()).update(piece)

    def end(self) -> None:
        """The present segment has ended."""
        self._entries += self._entry.pack(self._length, (self._sum or self.begin()).digest())
        self._length, self._sum = 0, None

    def finish(self) -> None:
        """The stream has ended, and the present segment with it."""
        self.end()
        self.is_whole = True

    def append(self, segment: Segment) -> None:
        """Note a whole one."""
        self._entries += self._entry.pack(segment.length, segment.sum)

    def __getitem__(self, number: int) -> Segment:
        return Segment(*self._entry.unpack_from(self._entries, number * self._entry.size))

    def __len__(self) -> int:
        return len(self._entries) // self._entry.size

    def __iter__(self) -> Iterator[Segment]:
        for length, sum_ in self._entry.iter_unpack(self._entries):
            yield Segment(length, sum_)
