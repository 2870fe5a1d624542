"""A part of an encrypted message by itself, with its session key: so that not all of it has to be fetched. Pure.

gpg encrypts in the CFB mode of OpenPGP (``feedback.py``), or, from GnuPG 2.3 on and to keys that prefer it, in the OCB
mode (``sealed.py``). Both write a packet in pieces (``pieces.py``), which holds another one in pieces (``chunks.py``).
"""

from __future__ import annotations

from dataclasses import field

from s3napback.encryption.chunks import Chunks, Fetch, Unpredictable
from s3napback.encryption.feedback import Feedback
from s3napback.encryption.pieces import Pieces
from s3napback.encryption.sealed import OCB, Sealed
from s3napback.records import dataclass

AES = {7: 16, 8: 24, 9: 32}
"""Bytes of a key, by the numbers that OpenPGP has for AES with 128, 192 and 256 bits (RFC 4880, 9.2)."""

_PACKET, _NEW_FORMAT = 0x80, 0x40
_SESSION_KEY, _ONE_PASS, _LITERAL, _PROTECTED, _SEALED = 1, 4, 11, 18, 20
_BEGUN = 1 << 18
"""Bytes that show in what order the content is written."""
_BINARY = ord("b")
_DATE_SIZE = 4


@dataclass(frozen=True)
class SessionKey:
    """What one message is encrypted with. It is shown nowhere.

    Attributes:
        algorithm: OpenPGP's number.
        mode: that of the mode, where it is one that authenticates; else 0.
    """

    algorithm: int
    value: bytes = field(repr=False)
    mode: int = 0


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
        packet = _SEALED if key.mode == OCB else _PROTECTED
        pieces = Pieces(fetch, head, _behind(head, (_SESSION_KEY,), packet))
        body = Sealed(pieces, key.algorithm, key.value) if key.mode == OCB else Feedback(pieces, key.value)
        begun = body.read(0, _BEGUN)
        self._content = Chunks.learnt(begun, _behind(begun, (_ONE_PASS,), _LITERAL))
        start = self._content.read(lambda start, end: begun[start:end], 0, 2)
        if start[0] != _BINARY:
            raise Unpredictable("it does not hold binary data")
        self._skipped = len(start) + start[1] + _DATE_SIZE
        self._plain = body.read
        if isinstance(body, Feedback):
            body.content = self._content

    def read(self, start: int, end: int) -> bytes:
        """The bytes of the content from one place to another.

        Raises:
            Unpredictable: they do not stand where they were expected.
        """
        if start >= end:
            return b""
        return self._content.read(self._plain, start + self._skipped, end + self._skipped)


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
