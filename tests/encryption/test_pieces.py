"""Where a byte stands is found in the pieces that GnuPG 2.4 writes, which recur in no order."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

import pytest

from s3napback.encryption.chunks import Chunks, Unpredictable
from s3napback.encryption.entering import Ciphertext, SessionKey
from s3napback.encryption.pieces import Pieces
from s3napback.encryption.session import session_key
from tests.encryption.messages import cut, joined, packet_at, recorded_messages, recorded_pieces, sealed
from tests.gpg_keys import GpgHome, gpg_home

HEAD = 384 * 1024
PLAIN = random.Random(2).randbytes(26_000_000)
PIECES = recorded_pieces()
OCB_KEY = recorded_messages()[0].key
SESSION = b"\x84\x01\x00"  # a packet of a session key, into which nobody looks


@pytest.fixture(scope="module")
def home() -> Iterator[GpgHome]:
    with gpg_home() as made:
        made.make_key("pieces@example.org")
        yield made


@pytest.fixture(scope="module")
def feedback(home: GpgHome) -> tuple[bytes, SessionKey]:
    """The body of what gpg encrypts in CFB mode, and the session key."""
    options = ("-z", "0", "--trust-model", "always", "--recipient", "pieces@example.org", "--encrypt")
    stored = home.run(*options, stdin=PLAIN)
    key = session_key(("gpg", "--no-options", "--batch", "--homedir", str(home.path)), stored[:HEAD], {}, 30)
    return joined(stored[packet_at(stored) + 1 :]), key


class Counted:
    """A message of which is counted what was fetched, but for its beginning."""

    def __init__(self, stored: bytes, key: SessionKey) -> None:
        self.stored, self.key = stored, key
        self.fetched: list[int] = []

    def fetch(self, start: int, end: int) -> bytes:
        part = self.stored[start:end]
        if start + len(part) > HEAD:
            self.fetched.append(len(part))
        return part

    def opened(self) -> Ciphertext:
        self.fetched.clear()
        return Ciphertext(self.fetch, self.stored[:HEAD], self.key)


@pytest.fixture(scope="module", params=sorted(PIECES))
def written(request: pytest.FixtureRequest, feedback: tuple[bytes, SessionKey]) -> Counted:
    """A message in the pieces of GnuPG 2.4."""
    name = str(request.param)
    if name.startswith("cfb"):
        body, key = feedback
        return Counted(SESSION + b"\xd2" + cut(body, PIECES[name]), key)
    exponent = 22 if name.endswith("large") else 16
    return Counted(SESSION + b"\xd4" + cut(sealed(PLAIN, OCB_KEY, exponent), PIECES[name]), OCB_KEY)


def test_the_pieces_recur_in_no_order(written: Counted) -> None:
    """Or else none of this would be needed."""
    start = packet_at(written.stored) + 1
    with pytest.raises(Unpredictable):
        chunks = Chunks.learnt(written.stored[:1_000_000], start)
        # In one place of two hundred and fifty-six, what is encrypted looks like the length that was foretold.
        for begin in range(4_000_000, 24_000_000, 4_000_000):
            chunks.read(lambda begin, end: written.stored[begin:end], begin, begin + 400_000)


def test_any_part_by_itself_is_that_of_the_whole(written: Counted) -> None:
    chance = random.Random(7)
    for _ in range(12):
        length = chance.choice((1, 5000, 300_000))
        start = chance.randrange(len(PLAIN) - length)
        assert written.opened().read(start, start + length) == PLAIN[start : start + length]


def test_parts_one_after_the_other_are_those_of_the_whole(written: Counted) -> None:
    content = written.opened()
    chance = random.Random(8)
    places = [chance.randrange(len(PLAIN) - 4_000_000) for _ in range(8)]
    for start in (*places, places[0] + 4_000_000, 0, 9_000_000, 13_000_000):
        assert content.read(start, start + 4_000_000) == PLAIN[start : start + 4_000_000]
    for length in (1, 100, 70_000):
        assert content.read(len(PLAIN) - length, len(PLAIN)) == PLAIN[-length:]
    with pytest.raises(Unpredictable):
        content.read(len(PLAIN) - 10, len(PLAIN) + 10)


def test_little_more_is_fetched_than_is_asked_for(written: Counted) -> None:
    exponent = written.stored[packet_at(written.stored) + 5]
    is_large = written.key.mode and exponent == 16
    content = written.opened()
    content.read(25_000_000, 25_001_000)
    # On the way, that much is looked at to learn how many lengths there are: mostly at two places, by chance at more.
    assert sum(written.fetched) < (16_000_000 if is_large else 2_000_000)
    written.fetched.clear()
    content.read(15_000_000, 19_000_000)
    assert sum(written.fetched) < (13_000_000 if is_large else 5_900_000)


def test_what_was_changed_on_the_way_is_not_taken_for_something_else(written: Counted) -> None:
    """In CFB mode a changed bit is not seen here: but what begins at another place than it should."""
    stored = written.stored
    for other in (stored[:12_000_000] + stored[12_000_001:], stored[:12_000_000] + b"\0" + stored[12_000_000:]):
        with pytest.raises(Unpredictable):
            Counted(other, written.key).opened().read(11_950_000, 12_500_000)


def test_what_makes_no_sense_in_any_place_is_not_read(written: Counted) -> None:
    start = packet_at(written.stored) + 1
    body = joined(written.stored[start:])
    spoilt = body[:11_000_000] + bytes(2_000_000) + body[13_000_000:]
    sizes = [1 << (written.stored[start] & 0x1F)] * 100_000
    other = Counted(written.stored[:start] + cut(spoilt, sizes), written.key)
    with pytest.raises(Unpredictable):
        other.opened().read(12_000_000, 12_100_000)


def test_an_end_that_is_cut_off_is_noticed(written: Counted) -> None:
    other = Counted(written.stored[:20_000_000], written.key)
    with pytest.raises(Unpredictable):
        other.opened().read(19_000_000, 20_500_000)


class Counting:
    """Tells by a body that counts where a part of it is."""

    most_guesses = 1000

    def __init__(self, body: bytes) -> None:
        self._body = body

    def span(self, offset: int) -> tuple[int, int]:
        return max(0, offset - 1000), offset

    def witness(self, body: bytes, offsets: Sequence[int], *, is_end: bool) -> int | None:
        del is_end
        return next((offset for offset in offsets if self._body[offset : offset + 100] == body[:100]), None)


def test_what_looks_like_the_length_of_a_very_long_last_piece_does_not_hide_the_others() -> None:
    message = bytearray(cut(b"".join(b"%08d" % number for number in range(300_000)), [8192] * 300))
    fetched: list[tuple[int, int]] = []

    def fetch(start: int, end: int) -> bytes:
        fetched.append((start, end))
        return bytes(message[start:end])

    def read() -> None:
        body = joined(bytes(message))
        pieces = Pieces(fetch, bytes(message[:HEAD]), 0)
        assert pieces.read(2_000_000, 2_050_000, Counting(body)) == body[2_000_000:2_050_000]

    read()
    ((first, end),) = fetched
    message[first + 20_000] = 0xEA
    hiding = first + 20_000 + 1 + 1024
    message[hiding : hiding + 5] = b"\xff" + (end - hiding).to_bytes(4, "big")
    read()


def test_gpg_reads_what_was_cut_in_these_pieces(home: GpgHome) -> None:
    plain = PLAIN[:200_000]
    recorded = recorded_messages()[0].stored
    stored = recorded[: packet_at(recorded)] + b"\xd4" + cut(sealed(plain, OCB_KEY, 16), PIECES["ocb"])
    told = f"9.2:{OCB_KEY.value.hex().upper()}"
    assert home.run("--override-session-key", told, "--decrypt", stdin=stored) == plain


SIZE, LONGEST = 1 << 13, 1 << 15
"""Of gpg 2.2's pieces, and the longest that is thought possible beside them."""


class Numbered:
    """Knows a body by the numbers that it is made of, of which none looks like a length of a piece."""

    most_guesses = 1 << 14
    body = b"".join(b"%07d " % number for number in range(200 * SIZE // 8))

    def span(self, offset: int) -> tuple[int, int]:
        return max(0, offset - 20_000), offset

    def witness(self, body: bytes, offsets: Sequence[int], *, is_end: bool) -> int | None:
        del is_end
        start = body.index(b" ") + 1
        offset = int(body[start : start + 7]) * 8 - start
        return offset if offset in offsets else None


def test_a_way_that_looks_like_one_by_chance_hides_nothing() -> None:
    """It leads from before what is wanted to a length behind its beginning, past all those between."""
    parts = [Numbered.body[at : at + SIZE] for at in range(0, len(Numbered.body), SIZE)]
    message = bytearray(b"".join(b"\xed" + part for part in parts) + b"\0")
    fetched: list[tuple[int, int]] = []

    def fetch(start: int, end: int) -> bytes:
        fetched.append((start, end))
        return bytes(message[start:end])

    start, wanted = 1_200_000, Numbered.body[1_200_000:1_200_100]
    assert Pieces(fetch, bytes(message[:20_000]), 0).read(start, start + 100, Numbered()) == wanted
    (first, _end), *_others = fetched
    begin = start - 20_000
    met = next(place for place in range(0, len(message), SIZE + 1) if place * SIZE // (SIZE + 1) > begin)
    way = (met - 2 * (LONGEST + 1), met - (LONGEST + 1))
    assert first <= way[0] <= first + LONGEST
    for place in way:
        message[place] = 0xEF
    assert Pieces(fetch, bytes(message[:20_000]), 0).read(start, start + 100, Numbered()) == wanted


def test_what_hides_a_place_near_what_is_known_is_gone_round() -> None:
    """Asked for once more, the same part would look the same."""
    size, count = 1 << 14, 60
    body = b"".join(b"%07d " % number for number in range(count * size // 8))
    message = bytearray(cut(body, [size] * count))
    fetched: list[tuple[int, int]] = []

    def fetch(start: int, end: int) -> bytes:
        fetched.append((start, end))
        return bytes(message[start:end])

    def read() -> bytes:
        fetched.clear()
        return Pieces(fetch, bytes(message[:HEAD]), 0).read(700_000, 700_100, Counting(body))

    assert read() == body[700_000:700_100]
    ((first, _end),) = fetched
    # From the first byte that is looked at a way leads to the end of what is fetched, and meets none of those meant.
    place = first + 5
    while place < len(message):
        message[place] = 0xF0
        place += 1 + (1 << 16)
    assert read() == body[700_000:700_100]
    assert len(fetched) > 1
