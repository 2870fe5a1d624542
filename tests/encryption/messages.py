"""Messages of OpenPGP as GnuPG 2.4 writes them, which many a machine does not have: recorded, and imitated."""

from __future__ import annotations

import base64
import random
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESOCB3

from s3napback.encryption.chunks import length_of
from s3napback.encryption.entering import SessionKey
from s3napback.encryption.sealed import OCB

_HERE = Path(__file__).parent
INNER = (1024, 32768, 16384, 8192, 4096, 2048, 1024)
"""In what pieces GnuPG 2.4 writes the packet with the content, again and again."""


@dataclass(frozen=True)
class Recorded:
    """A message that was made by GnuPG 2.4."""

    plain: bytes
    told: str
    stored: bytes

    @property
    def key(self) -> SessionKey:
        """Its session key."""
        algorithm, value = self.told.split(".2:")
        return SessionKey(int(algorithm), bytes.fromhex(value), OCB)


def recorded_messages() -> list[Recorded]:
    """All of them; ``sealed_by_gpg.txt`` tells how they were made."""
    lines = [line.split() for line in _lines("sealed_by_gpg.txt")]
    return [Recorded(random.Random(24).randbytes(int(n)), key, base64.b64decode(stored)) for n, key, stored in lines]


def recorded_pieces() -> dict[str, list[int]]:
    """Sizes of pieces, by what was written; ``pieces_by_gpg.txt`` tells how."""
    named = dict(line.split() for line in _lines("pieces_by_gpg.txt"))
    return {name: [1 << each for each in zlib.decompress(base64.b64decode(of))] for name, of in named.items()}


def _lines(name: str) -> list[str]:
    return [line for line in (_HERE / name).read_text().splitlines() if not line.startswith("#")]


def packet_at(stored: bytes) -> int:
    """Where the encrypted packet begins, behind those of the session key, which are in the old format and short."""
    place = 0
    while stored[place] == 0x84:
        place += 2 + stored[place + 1]
    return place


def joined(pieces: bytes) -> bytes:
    """The body of a packet that is written in pieces; the first byte is that of its first length."""
    body, place, is_last = bytearray(), 0, False
    while not is_last:
        size, octets, is_last = length_of(pieces[place : place + 5])
        body += pieces[place + octets : place + octets + size]
        place += octets + size
    return bytes(body)


def cut(body: bytes, sizes: Iterator[int] | Sequence[int]) -> bytes:
    """A body in pieces of certain sizes, as far as they go; what is left is the last one."""
    pieces, place = bytearray(), 0
    for size in sizes:
        if place + size > len(body):
            break
        pieces.append(0xE0 | size.bit_length() - 1)
        pieces += body[place : place + size]
        place += size
    return bytes(pieces) + b"\xff" + (len(body) - place).to_bytes(4, "big") + body[place:]


def sealed(plain: bytes, key: SessionKey, exponent: int) -> bytes:
    """The body of a packet of type 20 with some content, by RFC 4880bis-10, 5.16."""
    literal = b"\xcb" + cut(b"b\0" + bytes(4) + plain, cycle(INNER))
    told, nonce = bytes([0xD4, 1, key.algorithm, OCB, exponent - 6]), random.Random(1).randbytes(15)
    cipher, size = AESOCB3(key.value), 1 << exponent
    body = bytearray(told[1:] + nonce)
    numbers = range(-(-len(literal) // size))
    for number in numbers:
        counted = (int.from_bytes(nonce, "big") ^ number).to_bytes(15, "big")
        chunk = literal[number * size : (number + 1) * size]
        body += cipher.encrypt(counted, chunk, told + number.to_bytes(8, "big"))
    counted = (int.from_bytes(nonce, "big") ^ len(numbers)).to_bytes(15, "big")
    told += len(numbers).to_bytes(8, "big") + len(literal).to_bytes(8, "big")
    return bytes(body + cipher.encrypt(counted, b"", told))
