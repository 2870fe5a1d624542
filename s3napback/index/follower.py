"""An archive followed as it passes, so that the index tells what it holds: by tar's headers, never by a later look.

tar writes all directories first, each with the list of what it held, and then the other members, directory by directory
in the order of those lists. Of a DIFF each list is compared with the parent's index while it passes, and the letter of
a name that is to be taken besides becomes ``Y``, "in this archive": only then does a reading tar remove a directory
that stands in its way.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Protocol

from s3napback.index.comparing import Comparison
from s3napback.index.gathering import Gatherer
from s3napback.index.headers import (
    FolderForm,
    Group,
    Headers,
    Span,
    UnknownForm,
    folder_form,
    group_length,
    number,
    own_description,
    path_below,
)
from s3napback.index.lines import FOLDER, TYPES, escaped, moment_text
from s3napback.index.records import PART, UNREAD, Kind, link_measure
from s3napback.streams.tar_headers import BLOCK_SIZE, DIRECTORY, EXTENDED, REGULAR, SYMBOLIC_LINK
from s3napback.streams.transformations import Block

# tar's most frequent forms of a member: a regular file, and the same behind an extended header of nothing but the time.
_BARE = struct.Struct("100s24s11sx11s")  # name, mode and owners, size, time
_TIMED = struct.Struct(
    "124x11s377x32s480x100s24s11s21xc"
)  # size and content of the first; of the second as above, type
_TIMED_SIZE = 3 * BLOCK_SIZE
_USUAL, _POINT, _MINUS = b"%011o" % 30, ord("."), ord("-")
_FILE, _EXTENDED = ord(REGULAR), ord(EXTENDED)
_COMMON = (REGULAR, SYMBOLIC_LINK)
_MOST_KINDS = 2_000
"""Of which the label is kept here. ``LineWriter`` has to speak of the same label again before its readers forget it."""
_EMPTY = bytes(BLOCK_SIZE)
_LARGE = 1 << 20
"""Bytes of headers that are not copied."""

_Told = tuple[Kind, bytes]
"""A kind of member, and what that is called in lines."""


class Gate(Protocol):
    """What decides, in the same loop, which members pass.

    Attributes:
        passes_all: it has nothing more to say.
        drops: the member that it was shown last does not pass.
        left: bytes of what follows that member's headers, padded.
    """

    passes_all: bool
    drops: bool
    left: int

    def passing(self, group: Group, form: FolderForm | None) -> Group:
        """What of a member's headers passes; ``group`` itself if they do as they are."""
        ...

    def free_owner(self, folder: bytes) -> bytes | None:
        """Whose files and symbolic links pass, if they lie in a folder, named as in the archive, without a closer look.

        Returns:
            The owner as headers have it, of whom a user's id is in no extended header; empty if each has to be shown,
            None if none has to.
        """
        ...

    def go_on(self, blocks: Iterator[memoryview], passed: int) -> Iterator[Block]:
        """Do it alone from here on, behind so many bytes that have passed."""
        ...


class Follower:
    """Follows one incremental archive.

    Attributes:
        has_ended: tar's end mark has come. It does not pass, nor does what follows.
        flaw: why the index is good for nothing; empty if it is not.
        passed: bytes that have passed.
    """

    def __init__(
        self,
        gatherer: Gatherer,
        comparison: Comparison | None,
        top: bytes,
        take: Callable[[bytes], object],
        gate: Gate | None = None,
    ) -> None:
        """Begin.

        Args:
            gatherer: is told of all members.
            comparison: is told of all directories; None if the archive is not incremental.
            top: the source as it stands in the archive, normalised.
            take: is given each name that is to be taken, as it would stand in the archive.
            gate: what it lets in is all that is followed; None lets in everything.
        """
        self.has_ended = False
        self.flaw = ""
        self.passed = 0
        self._gatherer = gatherer
        self._comparison = comparison
        self._top = top
        self._take_name = take
        # By mode and owners as a header has them; of files with bare headers, of others with timed ones, of folders ...
        self._told: defaultdict[tuple[bytes, int], dict[bytes, _Told]] = defaultdict(dict)
        self._count = 0
        self._group = bytearray()
        self._left = 0
        self._drops = False
        self._gate = gate
        # Of what lies in the gatherer's present folder; see ``Gate.free_owner``.
        self._free: bytes | None = None if gate is None else b""
        self._rest = memoryview(b"")

    def followed(self, blocks: Iterator[memoryview]) -> Iterator[Block]:
        """Pass the archive on."""
        for block in blocks:
            for piece in self._passing(block):
                self.passed += len(piece)
                yield piece
            if self.flaw:
                others = chain((self._rest,), blocks)
                yield from others if self._gate is None else self._gate.go_on(others, self.passed)
        if not self.has_ended and self._group:
            yield bytes(self._group)
        self._gatherer.flush()

    def _passing(self, block: memoryview) -> Iterator[Block]:
        position = start = 0
        end = len(block)
        while position < end and not (self.has_ended or self.flaw):
            if self._left:
                step = min(self._left, end - position)
                self._left -= step
                position += step
                if self._drops:
                    start = position
                continue
            if not self._group:
                position = self._common(block, position, end)
                if position >= end:
                    self._left, self._drops, position = position - end, False, end
                    continue
                length = group_length(block, position)
                if position + length <= end:
                    group = _copied(block, position, length)
                    passing = self._taken(group)
                    if passing is not group:
                        yield block[start:position]
                        yield memoryview(passing)
                        start = position + length
                    position += length
                    continue
                yield block[start:position]
            position += self._collect(block, position)
            start = position
            if group_length(self._group, 0) <= len(self._group):
                yield memoryview(self._taken(self._whole_group()))
        self._rest = block[position:]
        if not self.has_ended:
            yield block[start:position]

    def _collect(self, block: memoryview, position: int) -> int:
        """Add to the group of headers what belongs to it, and tell how much that was."""
        begin = position
        while position < len(block) and (wanted := group_length(self._group, 0) - len(self._group)) > 0:
            piece = block[position : position + wanted]
            self._group += piece
            position += len(piece)
        return position - begin

    def _whole_group(self) -> Group:
        whole, self._group = self._group, bytearray()
        return whole if len(whole) > _LARGE else bytes(whole)

    def _common(self, block: memoryview, position: int, end: int) -> int:
        """Pass by members of the most frequent forms, and tell where the first of another form begins."""
        gatherer, bare, timed = self._gatherer, _BARE.unpack_from, _TIMED.unpack_from
        bare_told, timed_told = self._told[REGULAR, BLOCK_SIZE], self._told[REGULAR, _TIMED_SIZE]
        last = end - _TIMED_SIZE
        while position <= last:
            first = block[position + 156]
            if first == _FILE:
                name, who, size, time = bare(block, position)
                length, known = BLOCK_SIZE, bare_told
                seconds, nanoseconds = number(time), 0
                shown = b"%d" % seconds
            else:
                described, text, name, who, size, kind = timed(block, position)
                is_time = text[19] == _POINT and text[9] != _MINUS and text[:9] == b"30 mtime="
                if first != _EXTENDED or kind != REGULAR or described != _USUAL or not is_time:
                    if not (step := self._less_common(block, position, first)):
                        break
                    position += step
                    continue
                length, known = _TIMED_SIZE, timed_told
                seconds, nanoseconds, shown = int(text[9:19]), int(text[20:29]), text[9:29]
            if size[0] & 0x80 or b"\n" in name or b"\\" in name or b"\t" in name:
                break
            folder, _, name = name.partition(b"\0")[0].rpartition(b"/")
            if folder != gatherer.folder or len(gatherer.pending) >= PART:
                self._begin(folder)
            if self._free is not None and who[8:16] != self._free:
                break
            told = known.get(who) or self._learned(REGULAR, length, who)
            measure = int(size, 8)
            gatherer.pending[name] = (told[0], measure, seconds, nanoseconds)
            gatherer.lines.append(b"%s %d %s %s\n" % (told[1], measure, shown, name))
            length += measure + -measure % BLOCK_SIZE
            gatherer.at += length
            position += length
        return position

    def _begin(self, folder: bytes) -> None:
        self._gatherer.begin(folder)
        if self._gate is not None:
            self._free = self._gate.free_owner(folder)

    def _less_common(self, block: memoryview, position: int, first: int) -> int:
        """Pass by a file or symbolic link that has a long name besides, and tell how long it is; 0 if it is another."""
        described = own_description(block, position) if first == _EXTENDED else (b"", None)
        if described is None:
            return 0
        length = _TIMED_SIZE if first == _EXTENDED else BLOCK_SIZE
        own = position + length - BLOCK_SIZE
        name, who, size, time = _BARE.unpack_from(block, own)
        kind = bytes(block[own + 156 : own + 157])
        if kind not in _COMMON or size[0] & 0x80:
            return 0
        gatherer = self._gatherer
        folder, _, name = (described[0] or name.partition(b"\0")[0]).rpartition(b"/")
        if folder != gatherer.folder or len(gatherer.pending) >= PART:
            self._begin(folder)
        if self._free is not None and who[8:16] != self._free:
            return 0
        seconds, nanoseconds = described[1] or (number(time), 0)
        mode, label = self._told[kind, length].get(who) or self._learned(kind, length, who)
        measure, stored, more = int(size, 8), int(size, 8), b""
        if kind == SYMBOLIC_LINK:
            link = bytes(block[own + 157 : own + 257]).partition(b"\0")[0]
            measure, stored, more = link_measure(link), 0, b"\t" + escaped(link)
        gatherer.pending[name] = (mode, measure, seconds, nanoseconds)
        shown = moment_text(seconds, nanoseconds)
        gatherer.lines.append(b"%s %d %s %s%s\n" % (label, stored, shown, escaped(name), more))
        length += stored + -stored % BLOCK_SIZE
        gatherer.at += length
        return length

    def _learned(self, kind: bytes, length: int, who: bytes) -> _Told:
        if self._count >= _MOST_KINDS:
            for each in self._told.values():
                each.clear()
            self._count = 0
        self._count += 1
        mode, owner, group = found = Headers(bytes(100) + who + bytes(32) + kind + bytes(355)).kind
        blocks = 0 if kind == DIRECTORY else length // BLOCK_SIZE
        label = self._gatherer.writer.label(TYPES[kind], mode & 0o7777, owner, group, blocks)
        told = self._told[kind, length][who] = found, label
        return told

    def _taken(self, group: Group) -> Group | memoryview:
        """Take note of the member that a group of headers describes, and tell what of them passes."""
        form = folder_form(group)
        self._drops = False
        if self._gate is not None and not self._gate.passes_all and group != _EMPTY:
            passing = self._gate.passing(group, form)
            if self._gate.drops:
                self._left, self._drops = self._gate.left, True
                return b""
            group, form = passing, form if passing is group else None
        try:
            return self._noted(group, form)
        except (UnknownForm, ValueError) as error:
            self.flaw = str(error)
        return group

    def _noted(self, group: Group, form: FolderForm | None) -> Group | memoryview:
        if form is not None:
            told = self._told[DIRECTORY, 0].get(form.who) or self._learned(DIRECTORY, 0, form.who)
            self._put_folder(group, told[1], moment_text(form.seconds, form.nanoseconds), form.path)
            return self._judged(group, form.path, (form.start, form.end))
        if group == _EMPTY:
            self.has_ended = True
            return b""
        headers = Headers(group)
        if headers.type == DIRECTORY:
            mode, owner, owners = headers.kind
            label = self._gatherer.writer.label(FOLDER, mode & 0o7777, owner, owners, 0)
            self._put_folder(group, label, moment_text(*headers.modified), headers.path)
            return self._judged(group, headers.path, headers.dumpdir)
        self._left = headers.stored_size + -headers.stored_size % BLOCK_SIZE
        self._gatherer.put_headers(headers)
        if self._gate is not None:
            self._free = self._gate.free_owner(self._gatherer.folder)
        return group

    def _put_folder(self, group: Group, label: bytes, modified: bytes, path: bytes) -> None:
        blocks, shown = len(group) // BLOCK_SIZE, escaped(path.rstrip(b"/"))
        self._gatherer.put_folder(b"%s %d %s %s\n" % (label, blocks, modified, shown), len(group))

    def _judged(self, group: Group, written: bytes, dumpdir: Span | None) -> Group | memoryview:
        if dumpdir is None or self._comparison is None:
            return group
        changed = group if isinstance(group, bytearray) else None
        for place, name, letter in self._comparison.judge(path_below(written, self._top), written, group, dumpdir):
            changed = changed or bytearray(group)
            changed[place : place + 1] = letter
            if letter == UNREAD:
                self._take_name(name)
        return group if changed is None else memoryview(changed)


def _copied(block: memoryview, position: int, length: int) -> bytes:
    """A part of a block, whose memory may be used again; not of one that is bytes itself: a list can be a large one."""
    whole = block.obj
    if isinstance(whole, bytes) and len(whole) == len(block) == length:
        return whole
    return bytes(block[position : position + length])
