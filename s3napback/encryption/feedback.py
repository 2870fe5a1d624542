"""A part of what is encrypted in OpenPGP's CFB mode (RFC 4880, 5.13 and 13.9), with its session key. Pure.

What stands in a block of ciphertext needs only the block before it. What comes out is not authenticated by itself, and
must be compared with sums that are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice

from s3napback.encryption.chunks import Chunks, Unpredictable
from s3napback.encryption.pieces import Pieces

_BLOCK = 16
_PREFIX = _BLOCK + 2
_VERSION = 1
_LIKELIEST = 200
_SEEN = 8
"""Lengths in the plaintext that must stand where they are foretold: by chance they do that once in 2 ** 64 times."""


class Feedback:
    """The body of a packet of type 18.

    Attributes:
        content: in what order the packet in it is written, which tells whether a part was taken from the right place;
            None as long as only the beginning is read.
    """

    most_guesses = 1 << 14

    def __init__(self, pieces: Pieces, key: bytes) -> None:
        """Look at its beginning.

        Raises:
            Unpredictable: it is of another form, or encrypted with another key.
        """
        self.content: Chunks | None = None
        self._pieces = pieces
        self._encrypt_blocks = _encryptor(key)
        self._decrypt = _decryptor(key)
        if pieces.read(0, 1, self)[:1] != bytes([_VERSION]):
            raise Unpredictable("it is not of the form that was expected")
        prefix = self._plain(0, _PREFIX)
        if len(prefix) != _PREFIX or prefix[_BLOCK - 2 : _BLOCK] != prefix[_BLOCK:]:
            raise Unpredictable("the session key is not its own")

    def read(self, start: int, end: int) -> bytes:
        """The bytes of the plaintext from one place to another, or to its end.

        Raises:
            Unpredictable: they do not stand where they were expected.
        """
        return self._plain(start + _PREFIX, end + _PREFIX)

    def _plain(self, start: int, end: int) -> bytes:
        """The same, the prefix included."""
        first = start - start % _BLOCK
        before = max(0, first - _BLOCK)
        # The first octet of the packet is its version.
        cipher = self._pieces.read(before + 1, end + 1, self)
        before_it, wanted = (bytes(_BLOCK), cipher) if first == 0 else (cipher[:_BLOCK], cipher[_BLOCK:])
        return self._decrypt(before_it, wanted)[start - first :]

    def span(self, offset: int) -> tuple[int, int]:
        """Which part of the body shows whether lengths in the plaintext stand where they should."""
        content = self.content
        size = 0 if content is None else sum(content.period) * -(-_SEEN // len(content.period)) + max(content.period)
        return max(0, offset - size - _BLOCK * 4), offset

    def witness(self, body: bytes, offsets: Sequence[int], *, is_end: bool) -> int | None:
        """Which of the offsets is that of the first byte, told by lengths in the plaintext; None if none is."""
        del is_end
        if self.content is None:
            return None
        lengths = list(islice(self.content.lengths(max(offsets) + 4 * _BLOCK), _SEEN))
        if lengths[-1][0] + 1 + _PREFIX >= min(offsets) + len(body):
            return None
        found = self._fits(body, offsets[:_LIKELIEST], lengths)
        return self._fits(body, offsets[_LIKELIEST:], lengths) if found is None else found

    def _fits(self, body: bytes, offsets: Sequence[int], lengths: Sequence[tuple[int, int]]) -> int | None:
        for place, octet in lengths:
            offsets = self._fitting(body, offsets, place + _PREFIX, octet)
        return offsets[0] if len(offsets) == 1 else None

    def _fitting(self, body: bytes, offsets: Sequence[int], place: int, octet: int) -> list[int]:
        """Those of the offsets by which an octet of the plaintext is a certain one."""
        begin = place - place % _BLOCK - _BLOCK + 1
        blocks = b"".join(body[begin - offset : begin - offset + _BLOCK] for offset in offsets)
        stream = self._encrypt_blocks(blocks)[place % _BLOCK :: _BLOCK]
        pairs = zip(offsets, stream, strict=True)
        return [offset for offset, mask in pairs if body[place + 1 - offset] ^ mask == octet]


def _encryptor(key: bytes) -> Callable[[bytes], bytes]:
    """AES of whole blocks, each by itself."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes  # noqa: PLC0415 - for restores alone

    cipher = Cipher(algorithms.AES(key), modes.ECB())  # noqa: S305 - of which CFB is made

    def encrypt(blocks: bytes) -> bytes:
        return cipher.encryptor().update(blocks)

    return encrypt


def _decryptor(key: bytes) -> Callable[[bytes, bytes], bytes]:
    """What makes plaintext of the block before a place and of what stands there."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms  # noqa: PLC0415 - for restores alone

    try:  # where versions from 47 on have it
        from cryptography.hazmat.decrepit.ciphers.modes import CFB  # noqa: PLC0415 - likewise
    except ImportError:
        from cryptography.hazmat.primitives.ciphers.modes import CFB  # noqa: PLC0415 - likewise

    def decrypt(before: bytes, cipher: bytes) -> bytes:
        return Cipher(algorithms.AES(key), CFB(before)).decryptor().update(cipher)

    return decrypt
