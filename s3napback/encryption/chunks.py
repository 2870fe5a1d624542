"""Where bytes stand in a packet that was written piece by piece (RFC 4880, 4.2.2.4, partial body lengths). Pure.

gpg writes pieces of a few sizes in an order that recurs. The order is learnt from a packet's beginning; later lengths
are foretold by it, and compared with what stands there whenever it is read. Where that does not hold, nothing is known.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate, chain

from s3napback.records import dataclass

PARTIAL = range(224, 255)
"""First octets of a length behind which there are others."""
_MOST_LEAD, _MOST_PERIOD = 4, 64
_LEAST_SEEN = 8
"""Pieces that must have been seen at least, and two periods, before their order is believed."""
LONGEST_LENGTH = 5  # octets
_TAIL = 32
"""Octets of lengths, more than foretold, with which a body may end: what is left is written in ever smaller pieces."""

Fetch = Callable[[int, int], bytes]
"""Gives the bytes from one place to another, or fewer where they end."""


class Unpredictable(Exception):
    """Nobody can tell where a byte stands."""


@dataclass(frozen=True)
class Chunks:
    """The pieces of one packet's body.

    Attributes:
        start: where the first length stands.
        lead: sizes of the first pieces, in bytes.
        period: sizes of those that follow, again and again.
    """

    start: int
    lead: Sequence[int]
    period: Sequence[int]

    @classmethod
    def learnt(cls, head: bytes, start: int) -> Chunks:
        """The order that the beginning of a packet shows.

        Args:
            head: as much of it as is known.
            start: where in it the first length stands.

        Raises:
            Unpredictable: it shows none.
        """
        sizes, position = [], start
        while position < len(head):
            if head[position] not in PARTIAL:
                raise Unpredictable("the packet ends here")
            sizes.append(1 << (head[position] & 0x1F))
            position += 1 + sizes[-1]
        for lead in range(_MOST_LEAD):
            for length in range(1, _MOST_PERIOD):
                rest = sizes[lead:]
                if len(rest) < max(2 * length, _LEAST_SEEN):
                    break
                if rest[length:] == rest[:-length]:
                    return cls(start, sizes[:lead], rest[:length])
        raise Unpredictable("the lengths recur in no order")

    def piece_at(self, offset: int) -> tuple[int, int, int]:
        """Where the length of the piece stands that holds a byte of the body, where it begins in that, and its size."""
        lead = sum(self.lead)
        if offset >= lead:
            whole = sum(self.period)
            rounds = (offset - lead) // whole
            place = self.start + lead + len(self.lead) + rounds * (whole + len(self.period))
            begin, sizes = lead + rounds * whole, self.period
        else:
            place, begin, sizes = self.start, 0, self.lead
        for size in sizes:
            if offset < begin + size:
                return place, begin, size
            place += 1 + size
            begin += size
        raise AssertionError(offset)

    def lengths(self, place: int) -> Iterator[tuple[int, int]]:
        """Where lengths stand from a place in the packet on, and the octets that tell them, as far as is foretold."""
        lead = sum(self.lead)
        rounds = max(0, place - self.start - lead - len(self.lead)) // (sum(self.period) + len(self.period))
        offset = lead + rounds * sum(self.period) if rounds else 0
        while True:
            following, _, size = self.piece_at(offset)
            if following >= place:
                yield following, PARTIAL.start | size.bit_length() - 1
            offset += size

    def read(self, fetch: Fetch, start: int, end: int, *, clips: bool = False) -> bytes:
        """The bytes of the body from one place to another.

        Args:
            fetch: reads what the packet is in.
            start: in the body.
            end: likewise, beyond ``start``.
            clips: where the body ends before, that much is enough.

        Raises:
            Unpredictable: a length stands there that was not foretold, or the body has ended.
        """
        first, begin, _ = self.piece_at(start)
        last, last_begin, _ = self.piece_at(end - 1)
        body = bytearray()
        for piece in self._pieces(fetch(first, last + end - last_begin + _TAIL), begin, end):
            body += piece
        if begin + len(body) < end and not clips:
            raise Unpredictable("the packet has ended before")
        return bytes(body[start - begin : end - begin])

    def _pieces(self, data: bytes, offset: int, end: int) -> Iterator[bytes]:
        """The pieces that are there, the first of which begins at ``offset`` in the body."""
        position, is_last, is_tail = 0, False, False
        while offset < end and not is_last and position < len(data):
            size, octets, is_last = length_of(data[position : position + LONGEST_LENGTH])
            foretold = self.piece_at(offset)[2]
            if not is_tail and not is_last and size != foretold:
                is_tail = size < foretold
                if not is_tail:
                    raise Unpredictable("a length in it is not the foretold one")
            position += octets
            yield data[position : position + min(size, end - offset)]
            position += size
            offset += size


def length_of(octets: bytes) -> tuple[int, int, bool]:
    """A piece's size, the octets that tell it, and whether it is the last one."""
    first = octets[0]
    if first in PARTIAL:
        return 1 << (first & 0x1F), 1, False
    if first < 192:
        return first, 1, True
    if first < 224 and len(octets) >= 2:
        return (first - 192 << 8) + octets[1] + 192, 2, True
    if first == 255 and len(octets) == LONGEST_LENGTH:
        return int.from_bytes(octets[1:], "big"), LONGEST_LENGTH, True
    raise Unpredictable("a length in it is cut off")


def boundaries(lengths: Iterable[int]) -> Sequence[int]:
    """Where each of some things begins that follow each other, and where the last one ends."""
    return array("q", accumulate(chain([0], lengths)))
