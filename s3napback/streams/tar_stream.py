"""A tar archive followed header by header as it passes, in bounded memory and without a copy of its contents.

Whoever follows sees what a reading tar will see. Where that cannot be said for certain, the archive is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from s3napback.streams.dumpdirs import MalformedArchive, check_dumpdir
from s3napback.streams.tar_headers import (
    BLOCK_SIZE,
    EXTENDED,
    GLOBAL,
    LONG_LINK,
    LONG_NAME,
    OLD_DIRECTORY,
    Header,
    Member,
    checked_member,
    read_header,
    read_records,
    stored_size,
)
from s3napback.streams.tar_ordinary import Passing, behind_ordinary, ordinary_folder
from s3napback.streams.tar_sparse import ODD_SPARSE, Regions, has_map_in_content
from s3napback.streams.transformations import Block

END_MARK = bytes(2 * BLOCK_SIZE)
"""Two blocks of zeros end every archive (tar's manual, "Basic Tar Format")."""

_RECORD_SIZE = 20 * BLOCK_SIZE
"""Bytes that a tar reads at a time."""

LONGEST_LIST = 1 << 28
"""Bytes of a directory's entries, or of any other extended header, at most: some ten million names."""

LONGEST_NAME = 1 << 20
"""Bytes of a name in the older GNU format, or of a header for all members, at most."""

_EMPTY_BLOCK = bytes(BLOCK_SIZE)
_SMALL = 1 << 15
_DESCRIBING = (EXTENDED, GLOBAL, LONG_NAME, LONG_LINK)

Part = Member | memoryview


class TarFollower:
    """Follows one archive. Used by one thread.

    Attributes:
        has_ended: the end mark has begun.
        zeros: bytes of the end mark, and of what fills it up, so far.
        is_passing: what is given out at the moment are ordinary files, as they stand in the archive.
    """

    def __init__(self, passing: Passing | None = None) -> None:
        """Begin.

        Args:
            passing: the files that are given out without being members; None is none.
        """
        self.has_ended = False
        self.zeros = 0
        self.is_passing = False
        self._passing = passing
        self._left = 0
        self._partial = bytearray()
        self._collecting: Header | None = None
        self._collected = bytearray()
        self._map: _MapInContent | None = None
        self._begin_member()

    def _begin_member(self) -> None:
        self._raw: list[bytes] = []
        self._records: dict[bytes, bytes] | None = None
        self._names: dict[bytes, bytes] = {}

    def feed(self, block: memoryview) -> Iterator[Part]:
        """Take in the next bytes of the archive.

        Yields:
            Each member once its headers are whole, and behind it the pieces of its content, padding included. A list
            of a directory's entries that is a content, as in the older GNU format, counts as one of the headers. Of
            files that pass nothing but pieces, headers included.

        Raises:
            MalformedArchive: it is none that tar would write for us.
        """
        position, end = 0, len(block)
        while position < end:
            if self.has_ended:
                self._take_zeros(block[position:])
                return
            if self._left:
                piece = block[position : position + self._left]
                position += len(piece)
                self._left -= len(piece)
                if (part := self._content(piece)) is not None:
                    yield part
                continue
            if not (self._raw or self._partial or self._map):
                part, position = self._ordinary(block, position)
                if part is not None:
                    yield part
                    continue
            if self._partial or end - position < BLOCK_SIZE:
                piece = block[position : position + BLOCK_SIZE - len(self._partial)]
                position += len(piece)
                self._partial += piece
                if len(self._partial) < BLOCK_SIZE:
                    return
                header = bytes(self._partial)
                self._partial.clear()
            else:
                header = bytes(block[position : position + BLOCK_SIZE])
                position += BLOCK_SIZE
            if (member := self._take_header(header)) is not None:
                yield member

    def finish(self) -> None:
        """Nothing more comes.

        Raises:
            MalformedArchive: the archive has not come to its end.
        """
        if self.zeros < len(END_MARK):
            raise MalformedArchive("tar's end mark is missing: the archive has lost its end")

    def _take_zeros(self, rest: memoryview) -> None:
        # tar stops at the first empty block, whatever stands behind it.
        if bytes(rest).strip(b"\0"):
            raise MalformedArchive("there is something behind tar's end mark")
        self.zeros += len(rest)

    def _take_header(self, block: bytes) -> Member | None:
        if block == _EMPTY_BLOCK:
            if self._raw:
                raise MalformedArchive("the archive ends within a member's headers")
            self.has_ended = True
            self.zeros = BLOCK_SIZE
            return None
        header = read_header(block)
        self._raw.append(block)
        if header.type in _DESCRIBING:
            self._begin_collecting(header)
            return None
        if header.type == OLD_DIRECTORY:
            if not 0 < header.size <= LONGEST_LIST:
                raise MalformedArchive(f"a list of a directory's entries in it has {header.size} bytes")
            self._collecting = header
            self._expect(header.size)
            return None
        return self._begin_content(header)

    def _begin_collecting(self, header: Header) -> None:
        """Read an extended header's content; readers do not agree on what several of them mean together."""
        is_name = header.type in (LONG_NAME, LONG_LINK)
        longest = LONGEST_LIST if header.type == EXTENDED else LONGEST_NAME
        if header.size > longest or not header.size:
            raise MalformedArchive(f"a header in it has {header.size} bytes, more than any that s3napback writes")
        if (self._records is not None) or (header.type in self._names) or (self._names and not is_name):
            raise MalformedArchive("it holds headers in an order in which tar never writes them")
        self._collecting = header
        self._expect(header.size)

    def _begin_content(self, header: Header, entries: bytes | None = None) -> Member:
        records = self._records or {}
        size = stored_size(header, records) if entries is None else 0
        names = self._names
        member = Member(header, size, self._raw, records, names.get(LONG_NAME), names.get(LONG_LINK), entries)
        checked_member(member)
        self.is_passing = False
        if not member.is_plain and has_map_in_content(records, size):
            self._map = _MapInContent(size)
        self._begin_member()
        self._expect(size)
        return member

    def _expect(self, size: int) -> None:
        self._left = size + -size % BLOCK_SIZE

    def _ordinary(self, block: memoryview, position: int) -> tuple[Part | None, int]:
        """Files that pass, or a folder, if any begin there and are read at once; and where what follows begins."""
        behind = behind_ordinary(block, position, self._passing) if self._passing else position
        self.is_passing = behind > position
        if self.is_passing:
            self._left = max(0, behind - len(block))
            return block[position:behind], min(behind, len(block))
        folder = ordinary_folder(block, position)
        return folder, position if folder is None else position + sum(map(len, folder.raw))

    def _content(self, piece: memoryview) -> Part | None:
        """What to give out for a piece that follows a header."""
        if self._collecting is not None:
            return self._collected_with(self._collecting, piece)
        if self._map is not None and self._map.is_whole_after(piece):
            self._map = None
        return piece

    def _collected_with(self, header: Header, piece: memoryview) -> Member | None:
        """Take in more of what describes a member; once that is whole, the member, if no further header follows."""
        self._collected += piece
        if self._left:
            return None
        content = bytes(self._collected)
        self._collected = bytearray()
        self._raw.append(content)
        self._collecting = None
        if header.type == OLD_DIRECTORY:
            entries = content[: header.size]
            check_dumpdir(entries)
            return self._begin_content(header, entries)
        self._describe(header, content)
        return None

    def _describe(self, header: Header, content: bytes) -> None:
        if header.type == EXTENDED:
            self._records = read_records(content, header.size)
        elif header.type == GLOBAL:
            if read_records(content, header.size).keys() - {b"comment"}:
                raise MalformedArchive("it holds a header for all members, which s3napback never writes")
            # It stands for itself, and passes on in front of the next member.
            self._names = {}
        else:
            name, end, rest = content[: header.size].partition(b"\0")
            if rest or not end:
                raise MalformedArchive("it holds a long name that is broken")
            self._names[header.type] = name


class _MapInContent:
    """The map at the beginning of a sparse file's content: a count, and so many places and lengths, a line each."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._regions = Regions()
        self._expected = -1
        self._length = 0
        self._rest = b""

    def is_whole_after(self, piece: memoryview) -> bool:
        """Take in content until the map is whole.

        Raises:
            MalformedArchive: it says something else than the member's size does.
        """
        *lines, self._rest = (self._rest + bytes(piece)).split(b"\n")
        for line in lines:
            self._length += len(line) + 1
            if self._expected < 0:
                count = Regions()
                count.add(line)
                self._expected = 2 * int(line)
            else:
                self._regions.add(line)
            if self._regions.count == self._expected:
                padded = self._length + -self._length % BLOCK_SIZE
                if padded + self._regions.size != self._size:
                    raise MalformedArchive(ODD_SPARSE)
                return True
        if len(self._rest) > BLOCK_SIZE:
            raise MalformedArchive(ODD_SPARSE)
        return False


def watched(
    blocks: Iterator[memoryview], look: Callable[[Member], None], passing: Passing | None = None
) -> Iterator[Block]:
    """Pass an archive on as it is. A block goes on only after every header in it was looked at.

    The end mark goes on in one piece, after all that comes before has ended well. tar takes what a pipe has at the
    moment for a record, and is gone as soon as it has seen two empty blocks: zeros that arrive after that, or the end
    of a stream that is still on its way, would look as if it had not read everything.

    Args:
        blocks: of the archive.
        look: is given each member, in order; what it raises ends the stream.
        passing: ordinary files that it is not given.

    Raises:
        MalformedArchive: it is no whole archive, or none that tar would write for us.
    """
    follower = TarFollower(passing)
    passed = 0
    for block in blocks:
        zeros = follower.zeros
        for part in follower.feed(block):
            if isinstance(part, Member):
                look(part)
        content = len(block) - (follower.zeros - zeros)
        if content > 0:
            yield block[:content]
        else:
            # The first empty block may have begun in the piece before, which has gone on.
            passed -= content
    follower.finish()
    yield END_MARK[passed:]


def selected(
    blocks: Iterator[memoryview],
    chooses: Callable[[Member], bool],
    headers: Callable[[Member], Sequence[bytes]] = Member.whole_headers,
    passing: Passing | None = None,
) -> Iterator[Block]:
    """An archive of those members that ``chooses`` wants.

    Args:
        blocks: of the whole archive.
        chooses: is asked once for each member, in order.
        headers: those of a chosen member, as they shall be; by default byte for byte as they were.
        passing: ordinary files for which it is not asked.

    Raises:
        MalformedArchive: it is no whole archive, or none that tar would write for us.
    """
    follower = TarFollower(passing)
    is_wanted, keeps = False, passing is not None and passing.keeps
    # Members are small, most of them, and each piece by itself would cost a call of the system.
    gathered = bytearray()
    for block in blocks:
        for part in follower.feed(block):
            if isinstance(part, Member):
                is_wanted = chooses(part)
                if is_wanted:
                    gathered += b"".join(headers(part))
            elif keeps if follower.is_passing else is_wanted:
                if len(part) <= _SMALL:
                    gathered += part
                    continue
                if gathered:
                    yield bytes(gathered)
                    gathered.clear()
                yield part
        if gathered:
            yield bytes(gathered)
            gathered.clear()
    follower.finish()
    yield END_MARK


def member_of(group: bytes) -> Member:
    """The member that some headers describe: its own, or one extended header, as tar writes it, and its own.

    Raises:
        MalformedArchive: they are no such headers.
    """
    header = read_header(group[-BLOCK_SIZE:])
    if len(group) == BLOCK_SIZE:
        return Member(header, stored_size(header, {}), (group,), {})
    size = read_header(group[:BLOCK_SIZE]).size
    if size + -size % BLOCK_SIZE + 2 * BLOCK_SIZE != len(group):
        raise MalformedArchive("it holds headers in an order in which tar never writes them")
    records = read_records(group[BLOCK_SIZE : BLOCK_SIZE + size])
    return Member(header, stored_size(header, records), (group,), records)


def end_behind(passed: int) -> bytes:
    """The end of an archive of which so many bytes have passed.

    Readers of pipes want whole records, and nothing behind the one with the end mark: there they end, and what is left
    meets a closed pipe.
    """
    return END_MARK + bytes(-(passed + len(END_MARK)) % _RECORD_SIZE)
