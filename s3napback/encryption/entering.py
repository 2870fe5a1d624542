"""A part of an encrypted message by itself, with its session key: so that not all of it has to be fetched. Pure.

OpenPGP encrypts in its CFB mode (RFC 4880, 5.13 and 13.9): what stands in a block of ciphertext needs only the block
before it. What comes out is not authenticated by itself, and must be compared with sums that are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from s3napback.encryption.chunks import Chunks, Fetch, Unpredictable

AES = {7: 16, 8: 24, 9: 32}
"""Bytes of a key, by the numbers that OpenPGP has for AES with 128, 192 and 256 bits (RFC 4880, 9.2)."""

_BLOCK = 16
_PREFIX = _BLOCK + 2
_PACKET, _NEW_FORMAT = 0x80, 0x40
_SESSION_KEY, _ONE_PASS, _LITERAL, _PROTECTED = 1, 4, 11, 18
_VERSION = 1
_BINARY = ord("b")
_DATE_SIZE = 4


@dataclass(frozen=True)
class SessionKey:
    """What one message is encrypted with. It is shown nowhere.

    Attributes:
        algorithm: OpenPGP's number.
    """

    algorithm: int
    value: bytes = field(repr=False)


class Ciphertext:
    """An encrypted message of which any part can be read.

    What it reads is what was encrypted: the content, without the packet that holds it.
    """

    def __init__(self, fetch: Fetch, head: bytes, key: SessionKey) -> None:
        """Look at its beginning.

        Args:
            fetch: reads the message.
            head: its first bytes, some hundred thousand.
            key: its session key.

        Raises:
            Unpredictable: it is of another form than those that gpg writes for us, or too short.
        """
        if AES.get(key.algorithm) != len(key.value):
            raise Unpredictable("it is not encrypted with AES")
        self._encrypt_blocks = _encryptor(key.value)
        self._outer = Chunks.learnt(head, _behind(head, (_SESSION_KEY,), _PROTECTED))
        self._fetch = fetch
        known = len(head) - self._outer.start
        known -= sum(1 for _ in range(0, known, min(self._outer.period))) + 1 + _BLOCK

        def of_head(start: int, end: int) -> bytes:
            return head[start:end]

        if self._outer.read(of_head, 0, 1)[0] != _VERSION:
            raise Unpredictable("it is not of the form that was expected")
        prefix = self._plain(of_head, 0, _PREFIX)
        if prefix[_BLOCK - 2 : _BLOCK] != prefix[_BLOCK:]:
            raise Unpredictable("the session key is not its own")
        begun = self._plain(of_head, _PREFIX, known)
        self._inner = Chunks.learnt(begun, _behind(begun, (_ONE_PASS,), _LITERAL))
        start = self._inner.read(lambda start, end: begun[start:end], 0, 2)
        if start[0] != _BINARY:
            raise Unpredictable("it does not hold binary data")
        self._skipped = len(start) + start[1] + _DATE_SIZE

    def read(self, start: int, end: int) -> bytes:
        """The bytes of the content from one place to another.

        Raises:
            Unpredictable: they do not stand where they were expected.
        """
        if start >= end:
            return b""
        return self._inner.read(self._within, start + self._skipped, end + self._skipped)

    def _within(self, start: int, end: int) -> bytes:
        return self._plain(self._fetch, start + _PREFIX, end + _PREFIX)

    def _plain(self, fetch: Fetch, start: int, end: int) -> bytes:
        """What the ciphertext holds from one place to another, the prefix included, or up to its end."""
        first = start - start % _BLOCK
        before = max(0, first - _BLOCK)
        # The first octet of the packet is its version.
        cipher = self._outer.read(fetch, before + 1, end + 1, clips=True)
        chained = (bytes(_BLOCK) if first == 0 else b"") + cipher
        wanted = cipher[first - before :]
        stream = self._encrypt_blocks(chained[: len(wanted) + -len(wanted) % _BLOCK])[: len(wanted)]
        plain = int.from_bytes(wanted, "big") ^ int.from_bytes(stream, "big")
        return plain.to_bytes(len(wanted), "big")[start - first :]


def _encryptor(key: bytes) -> Callable[[bytes], bytes]:
    """AES of whole blocks: the library's CFB has changed its place between versions, and this is in all of them."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes  # noqa: PLC0415 - for restores alone

    cipher = Cipher(algorithms.AES(key), modes.ECB())  # noqa: S305 - of which CFB is made

    def encrypt(blocks: bytes) -> bytes:
        return cipher.encryptor().update(blocks)

    return encrypt


def _behind(data: bytes, before: tuple[int, ...], wanted: int) -> int:
    """Where the first length of a packet stands, behind some others.

    Raises:
        Unpredictable: there are others.
    """
    position = 0
    while position + 6 < len(data):
        octet = data[position]
        is_new = bool(octet & _NEW_FORMAT)
        tag = octet & 0x3F if is_new else octet >> 2 & 0x0F
        if not octet & _PACKET or (tag not in before and tag != wanted):
            break
        if tag == wanted:
            if not is_new:
                break
            return position + 1
        position += _whole_length(data[position : position + 6], is_new=is_new)
    raise Unpredictable(f"there is no packet of type {wanted} in the form that was expected")


def _whole_length(octets: bytes, *, is_new: bool) -> int:
    """Bytes of a packet that is not written in pieces, with its header."""
    if not is_new:
        size = (1, 2, 4, 0)[octets[0] & 3]
        if not size:
            raise Unpredictable("a packet in front is endless")
        return 1 + size + int.from_bytes(octets[1 : 1 + size], "big")
    if octets[1] < 192:
        return 2 + octets[1]
    if octets[1] < 224:
        return 3 + (octets[1] - 192 << 8) + octets[2] + 192
    if octets[1] == 255:
        return 6 + int.from_bytes(octets[2:6], "big")
    raise Unpredictable("a packet in front is written in pieces")
