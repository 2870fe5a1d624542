"""A part of what is encrypted in OCB mode, as GnuPG 2.3 and later do it, with its session key. Pure.

Packets of type 20 (RFC 4880bis-10, 5.16 and 9.6; GnuPG's g10/cipher-aead.c) hold chunks, each with a tag of its own,
that authenticates it and its number. The tag behind the last one authenticates how long all of them are.
"""

from __future__ import annotations

from collections.abc import Sequence

from s3napback.encryption.chunks import Unpredictable
from s3napback.encryption.pieces import Pieces

OCB = 2
"""OpenPGP's number of the mode (RFC 4880bis-10, 9.6)."""
TAG_SIZE = 16

_PACKET = 0xC0 | 20
_VERSION = 1
_HEADER, _NONCE = 4, 15  # octets
_MOST_EXPONENT = 16
"""Chunks of four mebibytes are the largest that gpg writes, unless it is debugged."""
_TRIED = 1 << 28
"""Bytes that are decrypted at most to find a chunk's place."""
_MOST_GUESSES = 1 << 12


class Sealed:
    """The body of a packet of type 20. What is read of it is authenticated, and stands where it should."""

    def __init__(self, pieces: Pieces, algorithm: int, key: bytes) -> None:
        """Look at its beginning.

        Args:
            algorithm: OpenPGP's number of the cipher.

        Raises:
            Unpredictable: it is of another form.
        """
        from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 - for restores alone
        from cryptography.hazmat.primitives.ciphers.aead import AESOCB3  # noqa: PLC0415 - likewise

        self._pieces = pieces
        begun = pieces.read(0, _HEADER + _NONCE, self)
        self._told, self._nonce = bytes([_PACKET]) + begun[:_HEADER], begun[_HEADER:]
        if begun[: _HEADER - 1] != bytes((_VERSION, algorithm, OCB)) or begun[_HEADER - 1] > _MOST_EXPONENT:
            raise Unpredictable("it is not of the form that was expected")
        self._size = 1 << begun[_HEADER - 1] + 6
        self.most_guesses = min(_MOST_GUESSES, _TRIED // self._size)
        self._last: tuple[int, bytes, bool] | None = None
        try:
            self._cipher = AESOCB3(key)
        except UnsupportedAlgorithm:
            raise Unpredictable("this machine has no OCB mode") from None

    def read(self, start: int, end: int) -> bytes:
        """The bytes of the plaintext from one place to another, or to its end.

        Raises:
            Unpredictable: they do not stand where they were expected, or are not what was encrypted.
        """
        number = first = start // self._size
        beyond = -(-end // self._size)
        plain = bytearray()
        is_end = False
        if self._last is not None and self._last[0] == number:
            plain += self._last[1]
            is_end = self._last[2]
            number += 1
        if number < beyond and not is_end:
            for chunk in self._chunks(number, beyond):
                plain += chunk
        return bytes(plain[start - first * self._size : end - first * self._size])

    def _chunks(self, first: int, beyond: int) -> list[bytes]:
        """Some chunks that follow each other, or those up to the end."""
        # What stands behind tells whether there are more.
        body = self._pieces.read(self._place(first), self._place(beyond) + TAG_SIZE + 1, self)
        chunks: list[bytes] = []
        for number in range(first, beyond):
            place = self._place(number) - self._place(first)
            is_last = len(body) - place <= self._size + 2 * TAG_SIZE
            sealed = body[place:-TAG_SIZE] if is_last else body[place : place + self._size + TAG_SIZE]
            plain = self._opened(number, sealed)
            if plain is None or (is_last and not self._ends(number, plain, body[-TAG_SIZE:])):
                raise Unpredictable("a part of it is not what was encrypted")
            chunks.append(plain)
            self._last = number, plain, is_last
            if is_last:
                break
        return chunks

    def _place(self, number: int) -> int:
        return _HEADER + _NONCE + number * (self._size + TAG_SIZE)

    def _opened(self, number: int, sealed: bytes, told: bytes = b"") -> bytes | None:
        """A chunk, without its tag; None if it is not that one."""
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - for restores alone

        counted = (int.from_bytes(self._nonce, "big") ^ number).to_bytes(_NONCE, "big")
        if len(sealed) < TAG_SIZE:
            return None
        try:
            return self._cipher.decrypt(counted, sealed, self._told + number.to_bytes(8, "big") + told)
        except InvalidTag:
            return None

    def _ends(self, number: int, plain: bytes, tag: bytes) -> bool:
        """Whether a chunk is the last one."""
        total = number * self._size + len(plain)
        return self._opened(number + 1, tag, total.to_bytes(8, "big")) is not None

    def span(self, offset: int) -> tuple[int, int]:
        """The chunk, with its tag, in which a byte of the body lies."""
        number = max(0, offset - self._place(0)) // (self._size + TAG_SIZE)
        return self._place(number), self._place(number + 1) + TAG_SIZE + 1

    def witness(self, body: bytes, offsets: Sequence[int], *, is_end: bool) -> int | None:
        """Which of the offsets is that of the first byte, told by a chunk's tag; None if none is."""
        number = max(0, -(-(max(offsets) - self._place(0)) // (self._size + TAG_SIZE)))
        for offset in offsets:
            place = self._place(number) - offset
            beyond = place + self._size + TAG_SIZE
            if beyond > len(body) - TAG_SIZE and is_end:
                beyond = len(body) - TAG_SIZE
            if place >= 0 and self._opened(number, body[place:beyond]) is not None:
                return offset
        return None
