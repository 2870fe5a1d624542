"""The same bytes twice: what an archive's signature was found good for is what is decoded afterwards.

A signature's verdict stands at the end of a stream, and by then a reader of its content has acted on all of it. So
where a signature is required the archive is read twice. The first time nothing but gpg sees it, and of what the store
gave a digest a piece is kept; the second time no piece goes on that differs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterator, Sequence

from s3napback.recovery.opening.failures import Untrusted
from s3napback.streams.transformations import Block

PIECE_SIZE = 1 << 22
"""Bytes of one piece: an archive of a terabyte needs 8 MB of digests."""


Proof = Sequence[bytes]
"""SHA-256 of each piece of a stream, the last one of what is left, be it nothing."""


def proof_of(blocks: Iterator[memoryview]) -> Generator[Block, None, Proof]:
    """Pass a stream on, and return at its end what it was."""
    digests: list[bytes] = []
    hashed, length = hashlib.sha256(), 0
    for block in blocks:
        rest = block
        while rest:
            piece = rest[: PIECE_SIZE - length]
            hashed.update(piece)
            length += len(piece)
            rest = rest[len(piece) :]
            if length == PIECE_SIZE:
                digests.append(hashed.digest())
                hashed, length = hashlib.sha256(), 0
        yield block
    return (*digests, hashed.digest())


def proved(blocks: Iterator[memoryview], proof: Proof, address: str) -> Iterator[Block]:
    """Pass the same stream on, each piece only after it was compared.

    Args:
        blocks: the stream, begun anew.
        proof: what it was.
        address: where it lies, for the message.

    Raises:
        Untrusted: it is another one.
    """
    piece = bytearray()
    expected = iter(proof)
    for block in blocks:
        rest = block
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


def _compare(piece: bytearray, expected: bytes, address: str) -> None:
    if hashlib.sha256(piece).digest() != expected:
        raise Untrusted(
            f"{address} is not what it was a moment ago, when its signature was good: somebody changes what the store "
            "gives. Nothing of it was used"
        )
