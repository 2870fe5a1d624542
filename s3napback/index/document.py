"""What is stored beside an archive as ``KEY.index``: which archive it is of, its segments, and then its members.

Two members of gzip, one behind the other, which ``zcat`` shows as one text. The first tells everything that has to be
known before a line of the second is believed: a code that only the secret at the archive's beginning makes, over all
of the first, in which the length and the sum of the second stand.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import zlib
from collections.abc import Iterable, Iterator
from itertools import chain

from s3napback.index.lines import Lines
from s3napback.index.records import DamagedIndex
from s3napback.records import dataclass
from s3napback.regexes import regex
from s3napback.streams.segments import KEY_SIZE, MAC_SIZE, SEGMENT_SIZE, SHA256_SIZE, Segment, Segments

_TITLE = b"s3napback-index 1"
_ID = regex(rb"[0-9a-f]{32}")
_SEGMENT_KEY = regex(rb"segment-key ([0-9a-f]{%d})" % (2 * KEY_SIZE))
_PIECE = 1 << 20
_GZIP = 31
_LONGEST_LINE = 200
_SHORTEST_SEGMENT = 64
"""Bytes; of four mebibytes of zeros zstd makes twice as many, and nothing is compressed better."""

_LONGEST_PART = 1 << 28  # bytes, which some ten terabytes need
_LARGEST_SEGMENT = SEGMENT_SIZE + (SEGMENT_SIZE >> 8) + 4096
"""Bytes; of what cannot be compressed gzip makes a hundredth of a hundredth more, and zstd less."""


@dataclass(frozen=True)
class Document:
    """What stands in front of the members.

    Attributes:
        id: the archive's.
        segments: of its compressed stream; none if it cannot be entered.
        length: bytes of the members' lines.
        sha256: of these.
    """

    id: str
    segments: Segments
    length: int
    sha256: bytes


def first_part(archive_id: str, segments: Segments, lines: Lines) -> bytes:
    """The first member of gzip."""
    text = [_TITLE, b"archive %s" % archive_id.encode(), b"bytes-in-segment %d" % SEGMENT_SIZE]
    if segments.is_whole:
        text += [b"segment-key %s" % segments.key.hex().encode()] if segments.key else []
        text += [b"segment %d %s" % (each.length, each.sum.hex().encode()) for each in segments]
    text.append(b"members %d %s" % (lines.length, lines.sha256.hex().encode()))
    whole = b"".join(b"%s\n" % line for line in text)
    whole += b"hmac %s\n" % _code(lines.secret, whole)
    stream = zlib.compressobj(6, zlib.DEFLATED, _GZIP)
    return stream.compress(whole) + stream.flush()


def _code(secret: bytes, text: bytes) -> bytes:
    return hmac.new(secret, text, hashlib.sha256).hexdigest().encode()


class DocumentReader:
    """Reads what was stored, from its beginning to its end; nothing of it may be used before that was good."""

    def __init__(self, blocks: Iterable[bytes | memoryview], stored: int) -> None:
        """Begin.

        Args:
            blocks: decrypted.
            stored: bytes of the archive that it should be of.
        """
        self._blocks = iter(blocks)
        self._rest: bytes | memoryview = b""
        self._stored = stored

    def document(self, archive_id: str, secret: bytes) -> Document:
        """Read the first part.

        Raises:
            DamagedIndex: it is not of this archive, or not of whoever made that.
        """
        lines = self._authenticated(secret)
        title, named, size = (next(lines, b"") for _ in range(3))
        if (title, size) != (_TITLE, b"bytes-in-segment %d" % SEGMENT_SIZE):
            raise DamagedIndex("it is of a form that this version of s3napback does not know")
        if named != b"archive %s" % archive_id.encode() or not _ID.fullmatch(archive_id.encode()):
            raise DamagedIndex("it is of another archive")
        segments, members = self._segments(lines)
        length, sha256 = _numbered(b"members", members)
        for line in lines:
            raise DamagedIndex(f"a line in it is broken ({line!r:.200})")
        return Document(archive_id, segments, length, sha256)

    def _authenticated(self, secret: bytes) -> Iterator[bytes]:
        """The lines of the first part but the last, which is a code over them. Only when they have ended do they count.

        They are not kept: whoever writes to a store can put whatever unfolds itself under the key of an index.
        """
        most = min(_LONGEST_LINE * (self._stored // _SHORTEST_SEGMENT + 16), _LONGEST_PART)
        code = hmac.new(secret, digestmod=hashlib.sha256)
        last: bytes | None = None
        for line in _lines(self._inflated(most)):
            if last is not None:
                code.update(b"%s\n" % last)
                yield last
            last = line
        if last is None or not hmac.compare_digest(last, b"hmac %s" % code.hexdigest().encode()):
            raise DamagedIndex("it was not made together with its archive")

    def _segments(self, lines: Iterator[bytes]) -> tuple[Segments, bytes]:
        """The segments, and the line behind them."""
        line = next(lines, b"")
        found = _SEGMENT_KEY.fullmatch(line)
        segments, total = Segments(bytes.fromhex(found[1].decode()) if found else b""), 0
        size = MAC_SIZE if found else SHA256_SIZE
        if found:
            line = next(lines, b"")
        while line.startswith(b"segment "):
            length, sum_ = _numbered(b"segment", line, size)
            total += length
            if length > _LARGEST_SEGMENT or total > self._stored:
                raise DamagedIndex("it tells of segments that cannot be")
            segments.append(Segment(length, sum_))
            line = next(lines, b"")
        segments.is_whole = len(segments) > 0
        return segments, line

    def lines(self, document: Document) -> Iterator[bytes]:
        """The text of the second part, in pieces. It is read to its end, or raises.

        Raises:
            DamagedIndex: it is not what the first part tells.
        """
        found, length = hashlib.sha256(), 0
        for piece in self._inflated(document.length):
            found.update(piece)
            length += len(piece)
            yield piece
        if length != document.length or found.digest() != document.sha256 or any(map(len, self._left())):
            raise DamagedIndex("its list of members is not the one that was made")

    def _left(self) -> Iterator[bytes | memoryview]:
        # No generator: that one would close the blocks when it is given up.
        return chain([self._rest], self._blocks)

    def _inflated(self, most: int) -> Iterator[bytes]:
        """The next member of gzip, of so many bytes at most."""
        stream = zlib.decompressobj(_GZIP)
        total = 0
        blocks = self._left()
        try:
            for block in blocks:
                rest: bytes | memoryview = block
                while rest and not stream.eof:
                    piece = stream.decompress(rest, _PIECE)
                    total += len(piece)
                    if total > most:
                        raise DamagedIndex("it is longer than it can be")
                    yield piece
                    rest = stream.unused_data if stream.eof else stream.unconsumed_tail
                if stream.eof:
                    self._rest = bytes(rest)
                    return
        except zlib.error as error:
            raise DamagedIndex(f"it cannot be decompressed ({error})") from error
        raise DamagedIndex("it is cut off")


def _lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        yield from whole
        if len(rest) > _LONGEST_LINE:
            raise DamagedIndex("a line in it is too long")
    if rest:
        raise DamagedIndex("its last line is not whole")


def _numbered(word: bytes, line: bytes, size: int = SHA256_SIZE) -> tuple[int, bytes]:
    found = re.fullmatch(rb"%s ([0-9]{1,15}) ([0-9a-f]{%d})" % (word, 2 * size), line)
    if found is None:
        raise DamagedIndex(f"a line in it is broken ({line!r:.200})")
    return int(found[1]), bytes.fromhex(found[2].decode())
