"""Parts of messages of a terabyte are read, too, from places that no test could write."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESOCB3

from s3napback.encryption.entering import Ciphertext, SessionKey
from s3napback.encryption.sealed import OCB
from tests.encryption.messages import INNER

KEY = bytes(range(32))
SESSION = b"\x84\x01\x00"  # a packet of a session key, into which nobody looks
HEAD = 384 * 1024
PREFIX = 18  # octets before the first packet in CFB mode (RFC 4880, 5.13)
CHUNK = 1 << 16
LIKE_2_2 = (8192,)
LIKE_2_4 = (*(8192,) * 600, 1024)
"""Every some megabytes a piece more."""
FAR = (3 << 20, 1_000_000_000, 21_000_000_007, 1_100_000_000_123)
encrypt_blocks = Cipher(algorithms.AES(KEY), modes.ECB()).encryptor().update


class Pieced:
    """Something without an end in pieces of sizes that recur, each behind its length, and a packet's tag before all."""

    def __init__(self, tag: int, sizes: Sequence[int], body: Callable[[int, int], bytes]) -> None:
        self.tag, self.sizes, self.body = tag, sizes, body
        self.begins = [0, *accumulate(size + 1 for size in sizes)]

    def read(self, start: int, end: int) -> bytes:
        found = bytearray([self.tag] if start == 0 else b"")
        place = max(start, 1) - 1
        while place < end - 1:
            rounds, rest = divmod(place, self.begins[-1])
            which = bisect_right(self.begins, rest) - 1
            offset = rounds * sum(self.sizes) + self.begins[which] - which
            within, size = rest - self.begins[which], self.sizes[which]
            if within == 0:
                found.append(0xE0 | size.bit_length() - 1)
                within, place = 1, place + 1
            taken = min(size + 1 - within, end - 1 - place)
            found += self.body(offset + within - 1, offset + within - 1 + taken)
            place += taken
        return bytes(found)

    def place(self, offset: int) -> int:
        """Where a byte of the body stands."""
        rounds, rest = divmod(offset, sum(self.sizes))
        which = bisect_right([begin - number for number, begin in enumerate(self.begins)], rest) - 1
        return 1 + rounds * self.begins[-1] + rest + which + 1

    def lengths(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """Those that stand between two places, and where."""
        for rounds in range(max(0, start - 1) // self.begins[-1], max(0, end) // self.begins[-1] + 1):
            for begin, size in zip(self.begins, self.sizes, strict=False):
                place = 1 + rounds * self.begins[-1] + begin
                if start <= place < end:
                    yield place, 0xE0 | size.bit_length() - 1


def block_at(number: int) -> bytes:
    return hashlib.sha256(number.to_bytes(8, "big")).digest()[:16]


def by_chance(start: int, end: int) -> bytes:
    first = start // 16
    blocks = b"".join(map(block_at, range(first, -(-end // 16))))
    return blocks[start - first * 16 : end - first * 16]


def content(start: int, end: int) -> bytes:
    """What is in the literal packet: that it is binary, no name, no date, and what chance made."""
    return (b"b" + bytes(5) + by_chance(6, max(6, end)))[start:end] if start < 6 else by_chance(start, end)


class Sealing:
    """In OCB mode, chunk by chunk."""

    key = SessionKey(9, KEY, OCB)
    tag = 0xD4
    told = bytes([tag, 1, 9, OCB, 10])

    def __init__(self, literal: Pieced) -> None:
        self.literal = literal
        self.nonce = bytes(15)

    def body(self, start: int, end: int) -> bytes:
        before = self.told[1:] + self.nonce
        sealed = CHUNK + 16
        first, last = max(0, start - len(before)) // sealed, max(0, end - len(before)) // sealed
        chunks = b"".join(map(self.chunk, range(first, last + 1)))
        if first == 0:
            return (before + chunks)[start:end]
        begin = len(before) + first * sealed
        return chunks[start - begin : end - begin]

    def chunk(self, number: int) -> bytes:
        plain = self.literal.read(number * CHUNK, (number + 1) * CHUNK)
        return AESOCB3(KEY).encrypt(number.to_bytes(15, "big"), plain, self.told + number.to_bytes(8, "big"))

    def plain(self, start: int, end: int) -> bytes:
        return content(start + 6, end + 6)


class Feeding:
    """In CFB mode. The ciphertext is what chance made, but for where it has to give a length."""

    key = SessionKey(9, KEY)
    tag = 0xD2

    def __init__(self, literal: Pieced) -> None:
        self.literal = literal

    def ciphertext(self, start: int, end: int) -> bytes:
        """Of the plaintext with its prefix, whole blocks of it."""
        cipher = bytearray(by_chance(start, end))
        lengths = self.literal.lengths(start - PREFIX, end - PREFIX)
        wanted = [(PREFIX + place, octet) for place, octet in lengths]
        if start == 0:
            header = content(0, 6)
            wanted += [(PREFIX, self.literal.tag), *((PREFIX + 2 + n, octet) for n, octet in enumerate(header))]
            wanted += [(16, self.stream(bytes(16))[14] ^ cipher[14]), (17, self.stream(bytes(16))[15] ^ cipher[15])]
        for place, octet in sorted(wanted):
            begin = place - place % 16 - start
            before = bytes(cipher[begin - 16 : begin]) if begin else self.before(start)
            cipher[place - start] = self.stream(before)[place % 16] ^ octet
        return bytes(cipher)

    def before(self, start: int) -> bytes:
        return self.ciphertext(start - 16, start) if start else bytes(16)

    def stream(self, block: bytes) -> bytes:
        return encrypt_blocks(block)

    def body(self, start: int, end: int) -> bytes:
        version = b"\x01" if start == 0 else b""
        start, end = max(start, 1) - 1, max(end, 1) - 1
        first = start - start % 16
        return version + self.ciphertext(first, end + -end % 16)[start - first : end - first]

    def plain(self, start: int, end: int) -> bytes:
        found = bytearray()
        for offset in range(start + 6, end + 6):
            place = PREFIX + self.literal.place(offset)
            begin = place - place % 16
            found.append(self.ciphertext(begin, begin + 16)[place % 16] ^ self.stream(self.before(begin))[place % 16])
        return bytes(found)


@pytest.mark.parametrize("pieces", [LIKE_2_2, LIKE_2_4], ids=["of-2.2", "of-2.4"])
@pytest.mark.parametrize("inner", [LIKE_2_2, INNER], ids=["in-2.2", "in-2.4"])
@pytest.mark.parametrize("mode", [Feeding, Sealing])
@pytest.mark.parametrize("place", FAR)
def test_a_part_is_read_wherever_it_is(
    mode: type[Feeding | Sealing], inner: Sequence[int], pieces: Sequence[int], place: int
) -> None:
    message = mode(Pieced(0xCB, inner, content))
    packet = Pieced(message.tag, pieces, message.body)
    fetched = []

    def fetch(start: int, end: int) -> bytes:
        before = SESSION[start:end]
        if end > HEAD:
            fetched.append(end - start)
        return before + packet.read(max(0, start - len(SESSION)), end - len(SESSION))

    opened = Ciphertext(fetch, fetch(0, HEAD), message.key)
    assert opened.read(place, place + 1000) == message.plain(place, place + 1000)
    assert sum(fetched) < 3_000_000
