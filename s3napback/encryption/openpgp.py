"""Whether an OpenPGP message is one that we make, and has come to its end, told by its packets (RFC 4880, 4.2)."""

from __future__ import annotations

_A_PACKET = 0x80
_NEW_FORMAT = 0x40
_PARTIAL = range(224, 255)
_INDETERMINATE = 3
_SESSION_KEY = 1
_LITERAL = 11
_SEALED_DATA = 20
_ENCRYPTED_DATA = (9, 18, _SEALED_DATA)
"""Tags of the packets that end an encrypted message (RFC 4880, 5.7 and 5.13; GnuPG 2.3 adds another one)."""


class PacketReader:
    """Follows an encrypted message from packet to packet without looking into them.

    A message that was cut off is told from a whole one, unless its last packet says itself that it goes on to wherever
    the end is, as only very old programs write them.
    """

    def __init__(self) -> None:
        self._rest_of_body = 0
        self._header = bytearray()
        self._goes_on = False
        self._is_endless = False
        self._tag = 0
        self._flaw = ""

    @property
    def flaw(self) -> str:
        """Why this is no message that a recipient's key alone decrypts, as the end of a sentence; empty if it is."""
        return self._flaw

    @property
    def is_whole(self) -> bool:
        """Whether what was read so far ends with the whole packet of the encrypted data."""
        is_between = not (self._rest_of_body or self._header or self._goes_on)
        return self._is_endless or (is_between and self._tag in _ENCRYPTED_DATA)

    @property
    def is_in_chunks(self) -> bool:
        """Whether it is encrypted in chunks that are authenticated, as keys can prefer it (GnuPG 2.3 and later)."""
        return self._tag == _SEALED_DATA

    def read(self, data: memoryview) -> None:
        """Take in the next bytes of the message."""
        position = 0
        while position < len(data) and not self._is_endless:
            if self._rest_of_body:
                step = min(self._rest_of_body, len(data) - position)
                self._rest_of_body -= step
                position += step
            elif self._goes_on and not self._header and data[position] in _PARTIAL:
                position = self._passed_pieces(data, position)
            else:
                self._header.append(data[position])
                position += 1
                self._read_header()

    def _passed_pieces(self, data: memoryview, position: int) -> int:
        """Pass by pieces of one size, as gpg writes nearly all, and tell where something else begins."""
        octet, end = data[position], len(data)
        step = 1 + (1 << (octet & 0x1F))
        while position < end and data[position] == octet:
            position += step
        self._rest_of_body = max(0, position - end)
        return min(position, end)

    def _read_header(self) -> None:
        """Begin a body if the header is whole: a tag and a length, or where a body goes on in pieces, a length only."""
        header = self._header
        if not self._goes_on and len(header) == 1:
            self._read_tag(header[0])
        if not self._goes_on and not header[0] & _NEW_FORMAT:
            self._read_old_length(header[0] & 3, header[1:])
            return
        octets = header if self._goes_on else header[1:]
        if not octets:
            return
        first = octets[0]
        if first in _PARTIAL:
            self._begin(1 << (first & 0x1F), goes_on=True)
        elif first < 192:
            self._begin(first)
        elif first < 224 and len(octets) == 2:
            self._begin((first - 192 << 8) + octets[1] + 192)
        elif first == 255 and len(octets) == 5:
            self._begin(int.from_bytes(octets[1:], "big"))

    def _read_tag(self, octet: int) -> None:
        before, self._tag = self._tag, octet & 0x3F if octet & _NEW_FORMAT else octet >> 2 & 0x0F
        # Session keys for the recipients, and what they encrypt: nothing in front, between or behind (5.1, 11.3).
        expected = (_SESSION_KEY,) if not before else (_SESSION_KEY, *_ENCRYPTED_DATA)
        if not octet & _A_PACKET:
            self._flaw = self._flaw or "it is not made of OpenPGP packets"
        elif self._tag not in expected or before in _ENCRYPTED_DATA:
            self._flaw = self._flaw or f"it holds a packet of type {self._tag}, which is out of place"

    def _read_old_length(self, length_type: int, octets: bytearray) -> None:
        if length_type == _INDETERMINATE:
            self._is_endless = True
        elif len(octets) == 1 << length_type:
            self._begin(int.from_bytes(octets, "big"))

    def _begin(self, length: int, *, goes_on: bool = False) -> None:
        self._rest_of_body = length
        self._goes_on = goes_on
        self._header.clear()


def literal_content(message: bytes) -> bytes | None:
    """What a message holds that is nothing but binary data, without name or change; None if it is another one.

    Args:
        message: one literal packet in the new format (RFC 4880, 5.9), as gpg writes it, of less than 8,384 bytes.
    """
    if message[:1] != bytes([_A_PACKET | _NEW_FORMAT | _LITERAL]) or len(message) < 3:
        return None
    length, start = message[1], 2
    if 192 <= length < 224:
        length, start = (length - 192 << 8) + message[2] + 192, 3
    body = message[start:]
    # The format, a name and its length, and the date.
    if len(body) != length or body[:2] != b"b\0":
        return None
    return body[6:]
