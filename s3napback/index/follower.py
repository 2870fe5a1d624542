"""An archive followed as it passes, so that the index tells what it holds: by tar's headers, never by a later look.

tar writes all directories first, each with the list of what it held, and then the other members, directory by directory
in the order of those lists. Of a DIFF each list is compared with the parent's index while it passes, and the letter of
a name that is to be taken besides becomes ``Y``, "in this archive": only then does a reading tar remove a directory
that stands in its way.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, repeat
from typing import Protocol

from s3napback.index.comparing import Comparison
from s3napback.index.gathering import Gatherer
from s3napback.index.headers import (
    FolderForm,
    Group,
    Headers,
    Span,
    UnknownForm,
    folder_at,
    group_length,
    normal_below,
    normalised,
    number,
    own_description,
    with_form,
)
from s3napback.index.line_text import escaped, moment_text
from s3napback.index.lines import FOLDER, TYPES
from s3napback.index.records import PART, UNREAD, Kind, link_measure
from s3napback.streams.tar_headers import BLOCK_SIZE, DIRECTORY, EXTENDED, REGULAR, SYMBOLIC_LINK
from s3napback.streams.transformations import Block

# tar's most frequent forms of a member: a regular file, and the same behind an extended header of nothing but the time.
_BARE = struct.Struct("100s24s11sx11s")  # name, mode and owners, size, time
_TIMED = struct.Struct("124x11s377x9s20s483x100s24s11s21xB")
"""Size of the first, and what it holds: keyword and time. Of the second name, mode and owners, size, type."""
_TIMED_SIZE = 3 * BLOCK_SIZE
_USUAL, _BEYOND_OCTAL = b"%011o" % 30, b"8"
_MTIMES = {b"%011o" % size: (b"%d mtime=" % size, size - 10) for size in range(22, 31)}
"""By the size of an extended header that holds a time alone: how it begins, and the length of what follows."""
_TIME_LENGTH = 20
_SECONDS, _NANOSECONDS = slice(10), slice(11, 20)
_POINT, _MINUS = ord("."), ord("-")
_FILE, _EXTENDED = ord(REGULAR), ord(EXTENDED)
_COMMON = (REGULAR, SYMBOLIC_LINK)
_MOST_KINDS = 2_000
"""Of which the label is kept here. ``LineWriter`` has to speak of the same label again before its readers forget it."""
_SPECIAL = (b"\\", b"\n", b"\t")
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
        # tar writes them all before anything else.
        self._is_among_folders = True
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
                found = folder_at(block, position) if self._is_among_folders else None
                length = len(found[0]) if found else group_length(block, position)
                if position + length <= end:
                    group, form = found or with_form(_copied(block, position, length))
                    passing = self._taken(group, form)
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
                yield memoryview(self._taken(*with_form(self._whole_group())))
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
        last = -1 if self._is_among_folders else end - _TIMED_SIZE
        while position <= last:
            first = block[position + 156]
            step = self._row(block, position, last) if first == _EXTENDED else self._bare(block, position, first)
            if not step and not (step := self._less_common(block, position, first)):
                break
            position += step
        return position

    def _bare(self, block: memoryview, position: int, first: int) -> int:
        """Pass by a file with a single header, and tell how long it is; 0 if it is another member."""
        name, who, size, time = _BARE.unpack_from(block, position)
        if first != _FILE or size[0] & 0x80:
            return 0
        gatherer = self._gatherer
        folder, _, name = name.partition(b"\0")[0].rpartition(b"/")
        if not self._is_free(folder, who):
            return 0
        told = self._told[REGULAR, BLOCK_SIZE].get(who) or self._learned(REGULAR, BLOCK_SIZE, who)
        measure, seconds = int(size, 8), number(time)
        gatherer.pending[name] = (told[0], measure, seconds, 0)
        gatherer.lines.append(b"%s %d %d %s\n" % (told[1], measure, seconds, escaped(name)))
        length = BLOCK_SIZE + measure + -measure % BLOCK_SIZE
        gatherer.at += length
        return length

    def _row(self, block: memoryview, start: int, last: int) -> int:
        """Pass by files with timed headers that lie in one folder and are of one kind, and tell how long they are.

        They mostly stand in rows, of which all is done at once that can be: there may be millions.
        """
        gatherer, unpack = self._gatherer, _TIMED.unpack_from
        described, keyword, _shown, name, who, _size, kind = unpack(block, start)
        if kind != _FILE or described not in _MTIMES or keyword != _MTIMES[described][0]:
            return 0
        beyond = name.partition(b"\0")[0].rfind(b"/") + 1
        path = name[:beyond]
        if not self._is_free(path[:-1], who):
            return 0
        names, sizes, times = [], [], []
        position = start
        for _ in range(PART - len(gatherer.pending)):
            described, keyword, shown, name, now, size, kind = unpack(block, position)
            if now != who or not name.startswith(path) or name.find(b"/", beyond) >= 0 or size >= _BEYOND_OCTAL:
                break
            if described != _USUAL and not (shown := _padded(described, shown)):
                break
            if kind != _FILE or keyword != _MTIMES[described][0] or shown[10] != _POINT or shown[0] == _MINUS:
                break
            measure = int(size, 8)
            names.append(name)
            sizes.append(measure)
            times.append(shown)
            position += _TIMED_SIZE + (measure + BLOCK_SIZE - 1 & -BLOCK_SIZE)
            if position > last or block[position + 156] != _EXTENDED:
                break
        if not sizes or not b"".join(times).replace(b".", b"").isdigit():
            return 0
        self._note_row(who, [name[beyond:].rstrip(b"\0") for name in names], sizes, times)
        gatherer.at += position - start
        return position - start

    def _note_row(self, who: bytes, names: Sequence[bytes], sizes: Sequence[int], times: Sequence[bytes]) -> None:
        kind, label = self._told[REGULAR, _TIMED_SIZE].get(who) or self._learned(REGULAR, _TIMED_SIZE, who)
        seconds, nanoseconds = ([int(time[part]) for time in times] for part in (_SECONDS, _NANOSECONDS))
        self._gatherer.pending.update(
            zip(names, zip(repeat(kind), sizes, seconds, nanoseconds, strict=False), strict=True)
        )
        line, text = label + b" %d %s %s\n", b"".join(names)
        shown = map(escaped, names) if any(special in text for special in _SPECIAL) else names
        self._gatherer.lines += map(line.__mod__, zip(sizes, times, shown, strict=True))

    def _is_free(self, folder: bytes, who: bytes) -> bool:
        """Go on to a folder, and tell whether what has such modes and owners there needs no look of the gate."""
        if folder != self._gatherer.folder or len(self._gatherer.pending) >= PART:
            self._begin(folder)
        return self._free is None or who[8:16] == self._free

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
        if not self._is_free(folder, who):
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

    def _taken(self, group: Group, form: FolderForm | None) -> Group | memoryview:
        """Take note of the member that a group of headers describes, and tell what of them passes."""
        self._is_among_folders = form is not None
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
            self._put_folder(group, told[1], form.modified, form.path)
            return self._judged(group, form.path, form.normal, (form.start, form.end))
        if group == _EMPTY:
            self.has_ended = True
            if self._gate is not None:
                self._gate.passing(group, None)
            return b""
        headers = Headers(group)
        if headers.type == DIRECTORY:
            self._gatherer.writer.note_lists(headers)
            mode, owner, owners = headers.kind
            label = self._gatherer.writer.label(FOLDER, mode & 0o7777, owner, owners, 0)
            self._put_folder(group, label, moment_text(*headers.modified), headers.path)
            return self._judged(group, headers.path, normalised(headers.path), headers.dumpdir)
        self._left = headers.stored_size + -headers.stored_size % BLOCK_SIZE
        self._gatherer.put_headers(headers)
        if self._gate is not None:
            self._free = self._gate.free_owner(self._gatherer.folder)
        return group

    def _put_folder(self, group: Group, label: bytes, modified: bytes, path: bytes) -> None:
        blocks, shown = len(group) // BLOCK_SIZE, escaped(path.rstrip(b"/"))
        self._gatherer.put_folder(b"%s %d %s %s\n" % (label, blocks, modified, shown), len(group))

    def _judged(self, group: Group, written: bytes, path: bytes, dumpdir: Span | None) -> Group | memoryview:
        if dumpdir is None or self._comparison is None:
            return group
        changed = group if isinstance(group, bytearray) else None
        for place, name, letter, is_taken in self._comparison.judge(
            normal_below(path, self._top), written, group, dumpdir
        ):
            changed = changed or bytearray(group)
            changed[place : place + 1] = letter
            if letter == UNREAD and is_taken:
                self._take_name(name)
        return group if changed is None else memoryview(changed)


def _padded(described: bytes, time: bytes) -> bytes:
    """A time with all the digits of its nanoseconds, of which tar leaves out zeros at the end; empty if it is none."""
    _start, length = _MTIMES.get(described, (b"", _TIME_LENGTH))
    return time[:length].ljust(_TIME_LENGTH, b"0") if time[length : length + 1] == b"\n" else b""


def _copied(block: memoryview, position: int, length: int) -> bytes:
    """A part of a block, whose memory may be used again; not of one that is bytes itself: a list can be a large one."""
    whole = block.obj
    if isinstance(whole, bytes) and len(whole) == len(block) == length:
        return whole
    return bytes(block[position : position + length])
