"""The same bytes twice: what an archive's signature was found good for is what is decoded afterwards.

A signature's verdict stands at the end of a stream, and by then a reader of its content has acted on all of it. So
where a signature is required the archive is read twice. The first time nothing but gpg sees it, and of what the store
gave a digest a piece is kept; the second time no piece goes on that differs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

from s3napback.errors import StoreError
from s3napback.streams.transformations import Block

PIECE_SIZE = 1 << 22
"""Bytes of one piece: an archive of a terabyte needs 8 MB of digests."""


class Pieces:
    """Digests of the pieces of one stream, taken as it passes."""

    def __init__(self) -> None:
        self._digests: list[bytes] = []

    def noted(self, blocks: Iterator[Block]) -> Iterator[Block]:
        """Pass a stream on, and note what it is."""
        self._digests = []
        hashed, length = hashlib.sha256(), 0
        for block in blocks:
            rest = memoryview(block)
            while rest:
                piece = rest[: PIECE_SIZE - length]
                hashed.update(piece)
                length += len(piece)
                rest = rest[len(piece) :]
                if length == PIECE_SIZE:
                    self._digests.append(hashed.digest())
                    hashed, length = hashlib.sha256(), 0
            yield block
        self._digests.append(hashed.digest())

    def checked(self, blocks: Iterator[Block], address: str) -> Iterator[Block]:
        """Pass the same stream on, each piece only after it was compared.

        Args:
            blocks: the stream, begun anew.
            address: where it lies, for the message.

        Raises:
            StoreError: it is another one.
        """
        piece = bytearray()
        expected = iter(self._digests)
        for block in blocks:
            rest = memoryview(block)
            while rest:
                part = rest[: PIECE_SIZE - len(piece)]
                piece += part
                rest = rest[len(part) :]
                if len(piece) == PIECE_SIZE:
                    _compare(piece, next(expected, b""), address)
                    yield memoryview(piece)
                    piece = bytearray()
        _compare(piece, next(expected, b""), address)
        yield memoryview(piece)

    @property
    def digests(self) -> Sequence[bytes]:
        """SHA-256 of each piece, the last one of what is left, be it nothing."""
        return self._digests


def _compare(piece: bytearray, expected: bytes, address: str) -> None:
    if hashlib.sha256(piece).digest() != expected:
        raise StoreError(
            f"{address} is not what it was a moment ago, when its signature was good: somebody changes what the store "
            "gives. Nothing of it was used"
        )
