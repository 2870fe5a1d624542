"""Where any byte stands of a packet that was written piece by piece (RFC 4880, 4.2.2.4), if nobody knows the pieces.

gpg 2.2 writes pieces of one size. gpg 2.4 cuts as its buffers fill, and what is left over in these adds up, so that
every some megabytes there is a piece more than before. How many lengths stand in front of a far place can therefore
only be guessed. The pieces around it are found by their lengths, each of which leads to the next one; and which of the
guesses is right, the ciphertext tells: read from a wrong place it makes no sense. Pure.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, pairwise
from typing import NamedTuple, Protocol

from s3napback.encryption.chunks import LONGEST_LENGTH, PARTIAL, Fetch, Unpredictable, length_of
from s3napback.regexes import regex

_NEAR = 1 << 18
"""Bytes from a known place that are read rather than guessed over."""
_LEAST_PIECE = 1 << 9  # RFC 4880, 4.2.2.4; the last piece may be shorter
_MOST_PIECE = 1 << 16  # what gpg's buffers hold (common/iobuf.c)
_SOME_LENGTH = regex(rb"[\xe9-\xf0]")  # from the shortest to the longest, by their exponents
_CONVINCING = 6
"""How many of the longest pieces must at least follow each other."""
_TAIL = 32
"""Octets of lengths with which a body may end: what is left is written in ever smaller pieces."""
_FARTHER, _LESS_FAR = 16, 2
"""How many times as far as is known a guess may lead, and after one that has failed."""
_MOST_GUESSES = 24
_MOST_PLACES = 1000


class Witness(Protocol):
    """What can tell whether bytes stand where they are thought to stand."""

    @property
    def most_guesses(self) -> int:
        """How many places it can try in about a second."""
        ...

    def span(self, offset: int) -> tuple[int, int]:
        """Which part of the body it has to see to tell where ``offset`` is."""
        ...

    def witness(self, body: bytes, offsets: Sequence[int], *, is_end: bool) -> int | None:
        """Which of the offsets is that of the first byte; None if it is none of them.

        Args:
            body: a part of it.
            offsets: the likeliest first.
            is_end: the body ends with it.
        """
        ...


class _Place(NamedTuple):
    """A length's place.

    Attributes:
        offset: of the piece in the body.
        place: of its length in the message.
    """

    offset: int
    place: int

    @property
    def lengths(self) -> int:
        """The lengths in front of it, and what else stands there once."""
        return self.place - self.offset


class Pieces:
    """The body of one packet."""

    def __init__(self, fetch: Fetch, head: bytes, start: int) -> None:
        """Look at its beginning.

        Args:
            fetch: reads the message.
            head: its first bytes.
            start: where in it the first length of the body stands.

        Raises:
            Unpredictable: the body is not written piece by piece.
        """
        self._fetch = fetch
        self._known = [_Place(0, start)]
        self._longest = _LEAST_PIECE
        offset, place = 0, start
        while place < len(head) and head[place] in PARTIAL:
            self._learn(_Place(offset, place))
            size = 1 << (head[place] & 0x1F)
            self._longest = max(self._longest, size)
            offset, place = offset + size, place + 1 + size
        if offset == 0:
            raise Unpredictable("the packet ends here")
        # Rarely there is a piece longer than those before.
        self._longest = max(self._longest, min(4 * self._longest, _MOST_PIECE))

    def read(self, start: int, end: int, witness: Witness) -> bytes:
        """The bytes of the body from one place to another, or to its end.

        Raises:
            Unpredictable: nobody can tell where they stand.
        """
        reach = _FARTHER
        for _ in range(_MOST_GUESSES):
            known = self._before(start)
            if start - known.offset <= _NEAR:
                return self._follow(known, start, end)
            target = min(start, known.offset + reach * max(self._known[-1].offset, _NEAR))
            if reach == _LESS_FAR:
                # Where a guess has failed, what stands on the way has to be learnt.
                target = min(target, known.offset + (start - known.offset) // 2)
            begin, beyond = witness.span(target)
            wanted = max(beyond, end) if target == start else beyond
            found = self._guess(known, max(begin, known.offset), wanted, witness)
            if found is None and reach == _LESS_FAR:
                break
            if found is None:
                reach = _LESS_FAR
            elif target == start:
                offset, body = found
                return body[start - offset : end - offset]
        raise Unpredictable("the lengths in it recur in no order")

    def _before(self, offset: int) -> _Place:
        return self._known[bisect_right(self._known, offset, key=lambda known: known.offset) - 1]

    def _learn(self, place: _Place) -> None:
        known = self._before(place.offset)
        if place.offset - known.offset < _NEAR // 4:
            return
        insort(self._known, place)
        if len(self._known) > _MOST_PLACES:
            del self._known[1:-1:2]

    def _follow(self, known: _Place, start: int, end: int) -> bytes:
        """The same, read from a known place on."""
        size = end - known.offset
        data = self._fetch(known.place, known.place + size + size // _LEAST_PIECE + _TAIL)
        offset, body = known.offset, bytearray()
        for place, piece in _pieces(data, 0):
            if offset > known.offset and offset <= end:
                self._learn(_Place(offset, known.place + place))
            body += piece
            offset += len(piece)
        return bytes(body[start - known.offset : end - known.offset])

    def _guess(self, known: _Place, begin: int, end: int, witness: Witness) -> tuple[int, bytes] | None:
        """A part of the body that holds a wanted one, and where it begins; None if that is not to be found."""
        most, margin = witness.most_guesses, 2 * (self._longest + 1)
        middle = known.place + (begin - known.offset) + self._lengths(known, begin - known.offset)
        first = max(known.place, middle - most - margin)
        asked = middle + most + (end - begin) + (end - begin) // _LEAST_PIECE + _TAIL
        asked = max(asked, first + _CONVINCING * (self._longest + 1))
        data = self._fetch(first, asked)
        lengths = _chained(data, self._longest, is_end=len(data) < asked - first)
        if not lengths:
            return None
        body = b"".join(piece for _, piece in _pieces(data, lengths[0]))
        distance = first + lengths[0] - known.place
        # Of so many bytes some are lengths themselves.
        likely = known.offset + distance - self._lengths(known, distance - self._lengths(known, distance))
        offsets = chain([likely], *((likely - step, likely + step) for step in range(1, most + 1)))
        possible = [each for each in offsets if known.offset <= each <= known.offset + distance]
        offset = witness.witness(body, possible, is_end=_beyond(data, lengths[-1]) == len(data))
        if offset is None:
            return None
        at = offset
        for place, piece in _pieces(data, lengths[0]):
            self._learn(_Place(at, first + place))
            at += len(piece)
        # Where chance has hidden the first lengths, it is no use, but what was learnt is.
        return (offset, body) if offset <= begin else None

    def _lengths(self, known: _Place, size: int) -> int:
        """How many lengths there probably are in so many bytes behind a place."""
        later = bisect_right(self._known, known)
        near, far = (known, self._known[later]) if later < len(self._known) else (self._known[0], known)
        return round(size * (far.lengths - near.lengths) / (far.offset - near.offset)) if far != near else 0


def _pieces(data: bytes, position: int) -> Iterator[tuple[int, bytes]]:
    """Where the length of each piece stands, and the piece, of which the last one may be cut off."""
    is_last = False
    while position < len(data) and not is_last:
        try:
            size, octets, is_last = length_of(data[position : position + LONGEST_LENGTH])
        except Unpredictable:
            return
        yield position, data[position + octets : position + octets + size]
        position += octets + size


def _chained(data: bytes, longest: int, *, is_end: bool) -> list[int]:
    """The places of lengths each of which leads to the next one, up to the end of the data; none if there are none.

    Args:
        longest: bytes that a piece can have.
        is_end: the message ends with the data.
    """
    within = longest + 1
    leads: dict[int, int] = {}  # from each length that leads to the end, the place of the next one
    for match in _SOME_LENGTH.finditer(data, 0, within):
        if match.start() not in leads:
            way = _way(data, match.start(), longest, leads, is_end=is_end)
            leads.update(pairwise(way))
    ways = [_followed(leads, begin) for begin in leads if begin < within]
    # What leads there by chance meets those that were meant.
    return sorted(set(ways[0]).intersection(*ways[1:])) if ways else []


def _way(data: bytes, begin: int, longest: int, leads: Mapping[int, int], *, is_end: bool) -> list[int]:
    """The places to which a length leads, the last of which is beyond the data; none if it leads astray."""
    way, place = [begin], begin
    while place < len(data) and place not in leads:
        if data[place] in PARTIAL:
            size = 1 << (data[place] & 0x1F)
            place += 1 + size
            is_possible = _LEAST_PIECE <= size <= longest and not (is_end and place >= len(data))
        else:
            # The last piece, of which the end may not be among the data. It is no longer than others: by chance one of
            # any length begins in one part of thirty thousand, and would hide all those that were meant.
            beyond = _beyond(data, place)
            is_at_end = beyond == len(data) if is_end else beyond >= len(data)
            is_possible = is_at_end and beyond - place <= longest + LONGEST_LENGTH
            place = len(data)
        if not is_possible:
            return []
        way.append(place)
    return way


def _beyond(data: bytes, place: int) -> int:
    """Where a piece ends; where the data does if its length is cut off."""
    try:
        size, octets, _ = length_of(data[place : place + LONGEST_LENGTH])
    except Unpredictable:
        return len(data)
    return place + octets + size


def _followed(leads: Mapping[int, int], begin: int) -> list[int]:
    way = []
    while begin in leads:
        way.append(begin)
        begin = leads[begin]
    return way
