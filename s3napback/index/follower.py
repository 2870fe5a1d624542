"""An archive followed as it passes, so that the index tells what it holds: by tar's headers, never by a later look.

tar writes all directories first, each with the list of what it held, and then the other members, directory by directory
in the order of those lists. Of a DIFF each list is compared with the parent's index while it passes, and the letter of
a name that is to be taken besides becomes ``Y``, "in this archive": only then does a reading tar remove a directory
that stands in its way.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

from s3napback.index.comparing import Comparison
from s3napback.index.database import NewIndex
from s3napback.index.head import HEAD_LENGTH
from s3napback.index.headers import Headers, UnknownForm, group_length, moment, number, path_below
from s3napback.index.lines import FILE, LineWriter, has_special, moment_text
from s3napback.index.records import PART, UNREAD, Kind, Record
from s3napback.streams.tar_headers import BLOCK_SIZE, DIRECTORY, HARD_LINK, REGULAR
from s3napback.streams.transformations import Block

# tar's most frequent forms of a member: a regular file, and the same behind an extended header of nothing but the time.
_BARE = struct.Struct("100s24s11sx11s9xc355x")  # name, mode and owners, size, time, type
_TIMED = struct.Struct("124x11s21xc355x 32s480x 100s24s11s21xc355x")
_TIME_ALONE = {b"%011o" % size: b"%d mtime=" % size for size in range(10, 32)}
_USUAL, _POINT, _MINUS = b"%011o" % 30, ord("."), ord("-")
_MOST_KINDS = 10_000
_EMPTY = bytes(BLOCK_SIZE)


class Gatherer:
    """Gathers what passed of one directory after the other, and writes it down.

    Attributes:
        pending: what was not written yet of the present folder, by name.
        lines: the same as lines, in the order of the archive.
        folder: the present one, as in the archive.
        at: where in the archive the next member begins, in bytes.
        writer: of the lines.
    """

    def __init__(self, new: NewIndex | None, top: bytes, writer: LineWriter) -> None:
        """Begin.

        Args:
            new: the index of the tree; None if no DIFF will need one.
            top: the source as it stands in the archive, normalised.
            writer: of the lines.
        """
        self.pending: dict[bytes, Record | bytes] = {}
        self.lines: list[bytes] = []
        self.folder = b""
        self.at = HEAD_LENGTH
        self.writer = writer
        self._new = new
        self._top = top
        self._path = b""
        self._began = HEAD_LENGTH

    def begin(self, folder: bytes) -> None:
        """What comes now lies in another folder, named as in the archive, without a slash at its end."""
        self.flush()
        self.folder = folder
        self._path = path_below(folder, self._top)

    def put(self, folder: bytes, name: bytes, record: Record | bytes) -> None:
        """Remember a record of a name, or a letter."""
        if folder != self.folder or len(self.pending) >= PART:
            self.begin(folder)
        self.pending[name] = record

    def flush(self) -> None:
        """Write what is pending."""
        if self.lines:
            self.writer.write(self.folder, self.lines, self._began)
            self.lines = []
        self._began = self.at
        if self.pending:
            if self._new is not None:
                self._new.change(self._path, self.pending)
            self.pending = {}

    def put_headers(self, headers: Headers) -> None:
        """Remember the member that headers describe, which is no directory."""
        self.put_member(headers, self.linked(headers) if headers.type == HARD_LINK else headers.record)

    def put_member(self, headers: Headers, record: Record | bytes) -> None:
        """Remember a member as a record of it, and write its line."""
        folder, _, name = headers.path.rpartition(b"/")
        self.put(folder, name, record)
        self.lines.append(self.writer.line(headers, name))
        self.at += len(headers.group) + headers.stored_size + -headers.stored_size % BLOCK_SIZE

    def put_folder(self, headers: Headers) -> None:
        """Write the line of a directory."""
        self.flush()
        self.writer.write_folder(headers, self.at)
        self.at += len(headers.group)
        self._began = self.at

    def linked(self, headers: Headers) -> Record | bytes:
        """A hard link is stored as what it leads to was, whatever its own header says: that may be younger."""
        folder, _, name = headers.link.rpartition(b"/")
        if folder == self.folder and name in self.pending:
            return self.pending[name]
        if self._new is None:
            return UNREAD
        return self._new.record(path_below(folder, self._top), name) or UNREAD


class Follower:
    """Follows one incremental archive.

    Attributes:
        has_ended: tar's end mark has come. It does not pass, nor does what follows.
        flaw: why the index is good for nothing; empty if it is not.
        passed: bytes that have passed.
    """

    def __init__(
        self, gatherer: Gatherer, comparison: Comparison | None, top: bytes, take: Callable[[bytes], object]
    ) -> None:
        """Begin.

        Args:
            gatherer: is told of all members.
            comparison: is told of all directories; None if the archive is not incremental.
            top: the source as it stands in the archive, normalised.
            take: is given each name that is to be taken, as it would stand in the archive.
        """
        self.has_ended = False
        self.flaw = ""
        self.passed = 0
        self._gatherer = gatherer
        self._comparison = comparison
        self._top = top
        self._take_name = take
        self._kinds: dict[bytes, Kind] = {}
        self._labels: dict[bytes, tuple[bytes, bytes]] = {}
        self._group = bytearray()
        self._left = 0

    def followed(self, blocks: Iterator[memoryview]) -> Iterator[Block]:
        """Pass the archive on."""
        for block in blocks:
            for piece in self._passing(block):
                self.passed += len(piece)
                yield piece
        if not self.has_ended and self._group:
            yield bytes(self._group)
        self._gatherer.flush()

    def _passing(self, block: memoryview) -> Iterator[Block]:
        position = start = 0
        end = len(block)
        while position < end and not self.has_ended:
            if self.flaw:
                break
            if self._left:
                step = min(self._left, end - position)
                self._left -= step
                position += step
                continue
            if not self._group:
                position = self._common(block, position, end)
                if position >= end:
                    self._left, position = position - end, end
                    continue
                length = group_length(block, position)
                if position + length <= end:
                    group = bytes(block[position : position + length])
                    passing = self._taken(group)
                    if passing is not group:
                        yield block[start:position]
                        yield passing
                        start = position + length
                    position += length
                    continue
                yield block[start:position]
            position += self._collect(block, position)
            start = position
            if group_length(self._group, 0) <= len(self._group):
                group, self._group = bytes(self._group), bytearray()
                yield self._taken(group)
        if self.flaw or not self.has_ended:
            yield block[start:]

    def _collect(self, block: memoryview, position: int) -> int:
        """Add to the group of headers what belongs to it, and tell how much that was."""
        begin = position
        while position < len(block) and (wanted := group_length(self._group, 0) - len(self._group)) > 0:
            piece = block[position : position + wanted]
            self._group += piece
            position += len(piece)
        return position - begin

    def _common(self, block: memoryview, position: int, end: int) -> int:
        """Pass by members of the most frequent forms, and tell where the first of another form begins."""
        gatherer, kinds, labels = self._gatherer, self._kinds, self._labels
        bare, timed = _BARE.unpack_from, _TIMED.unpack_from
        last = end - _TIMED.size
        while position <= last:
            kind = block[position + 156]
            if kind == 0x30:
                name, who, size, time, _ = bare(block, position)
                length = BLOCK_SIZE
                seconds, nanoseconds = number(time), 0
                shown, form = b"%d" % seconds, 0
            elif kind == 0x78:
                described, _, text, name, who, size, kind_byte = timed(block, position)
                if kind_byte != REGULAR:
                    break
                length, form = 3 * BLOCK_SIZE, 1
                if described == _USUAL and text[19] == _POINT and text[9] != _MINUS and text[:9] == b"30 mtime=":
                    seconds, nanoseconds, shown = int(text[9:19]), int(text[20:29]), text[9:29]
                elif text.startswith(_TIME_ALONE.get(described, b"none")):
                    seconds, nanoseconds = moment(text[9 : int(described, 8) - 1])
                    shown = moment_text(seconds, nanoseconds)
                else:
                    break
            else:
                break
            if size[0] & 0x80 or has_special(name):
                break
            folder, _, name = name.partition(b"\0")[0].rpartition(b"/")
            if who not in kinds:
                self._learn_kind(who)
            if folder != gatherer.folder or len(gatherer.pending) >= PART:
                gatherer.begin(folder)
            measure = int(size, 8)
            gatherer.pending[name] = (kinds[who], measure, seconds, nanoseconds)
            gatherer.lines.append(b"%s %d %s %s\n" % (labels[who][form], measure, shown, name))
            length += measure + -measure % BLOCK_SIZE
            gatherer.at += length
            position += length
        return position

    def _learn_kind(self, who: bytes) -> None:
        if len(self._kinds) >= _MOST_KINDS:
            self._kinds.clear()
        kind = self._kinds[who] = Headers(b"\0" * 100 + who + b"\0" * 32 + REGULAR + b"\0" * 355).kind
        mode, owner, group = kind
        label = self._gatherer.writer.label
        self._labels[who] = (label(FILE, mode & 0o7777, owner, group, 1), label(FILE, mode & 0o7777, owner, group, 3))

    def _taken(self, group: bytes) -> bytes:
        """Take note of the member that a group of headers describes, and tell what of them passes."""
        if group == _EMPTY:
            self.has_ended = True
            return b""
        try:
            headers = Headers(group)
            if headers.type == DIRECTORY:
                return self._judged(headers, group)
            self._left = headers.stored_size + -headers.stored_size % BLOCK_SIZE
            self._gatherer.put_headers(headers)
        except (UnknownForm, ValueError) as error:
            self.flaw = str(error)
        return group

    def _judged(self, headers: Headers, group: bytes) -> bytes:
        self._gatherer.put_folder(headers)
        if headers.dumpdir is None or self._comparison is None:
            return group
        start, end = headers.dumpdir
        written = headers.path
        changed: bytearray | None = None
        for place, name, letter in self._comparison.judge(path_below(written, self._top), written, group[start:end]):
            changed = changed or bytearray(group)
            changed[start + place : start + place + 1] = letter
            if letter == UNREAD:
                self._take_name(name)
        return group if changed is None else bytes(changed)
