"""The first member of an archive that has an index: a comment for all members, which holds a secret of the archive.

Whoever can read the archive knows the secret, and nobody else; so an index that is authenticated by it was made
together with its archive. Every tar passes over a comment (POSIX, "pax Header Block", typeflag ``g``).
"""

from __future__ import annotations

from s3napback.regexes import regex
from s3napback.streams.tar_headers import BLOCK_SIZE

SECRET_SIZE = 32
"""Bytes."""

HEAD_LENGTH = 2 * BLOCK_SIZE
"""Bytes of the archive's stream before its first member."""

_CONTENT = regex(rb"76 comment=([0-9a-f]{64})\n\0*")
_NAME = b"s3napback"


def head_of(secret: bytes) -> bytes:
    """What an archive begins with.

    Args:
        secret: ``SECRET_SIZE`` random bytes.
    """
    content = b"76 comment=%s\n" % secret.hex().encode()
    block = _header(len(content))
    return block + content + bytes(-len(content) % BLOCK_SIZE)


def _header(size: int) -> bytes:
    fields = b"%s%s0000644\x000000000\x000000000\x00%011o\x0000000000000\x00" % (_NAME, bytes(100 - len(_NAME)), size)
    block = fields + b" " * 8 + b"g" + bytes(100) + b"ustar\x0000"
    block += bytes(BLOCK_SIZE - len(block))
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def secret_in(head: bytes) -> bytes | None:
    """The secret in the first bytes of an archive; None if it does not begin so."""
    found = _CONTENT.fullmatch(head, BLOCK_SIZE, HEAD_LENGTH)
    if found is None:
        return None
    secret = bytes.fromhex(found[1].decode())
    return secret if head[:HEAD_LENGTH] == head_of(secret) else None
