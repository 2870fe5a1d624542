"""An index held against its archive while that is read whole: whether it tells of what is there, and of nothing else.

An index is a help: where it does not count, whatever needs it reads the archive itself. So one that was cut off, made
by somebody else or of another archive costs time, and is told. One that counts and tells something else is wrong:
a path that it does not tell of would be taken for one that is as an older archive has it.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import chain

from s3napback.archives import SEGMENTED
from s3napback.catalogue.contents import CataloguedArchive
from s3napback.catalogue.indexes import index_key, index_note
from s3napback.catalogue.sums import SumNote, sum_key
from s3napback.errors import S3napbackError
from s3napback.formatting import printable
from s3napback.index.document import DocumentReader
from s3napback.index.head import HEAD_LENGTH, secret_in
from s3napback.index.headers import Headers, UnknownForm
from s3napback.index.lines import FILE, FOLDER, LINK, SYMLINK, TYPES, Entry, read_entries
from s3napback.index.records import DamagedIndex
from s3napback.records import dataclass
from s3napback.recovery.opening.decoder import Decoder
from s3napback.recovery.opening.indexed import index_blocks, opened_index
from s3napback.stores import StoredObject
from s3napback.streams.dumpdirs import MalformedArchive
from s3napback.streams.segments import Segment, Segments, begin_sum
from s3napback.streams.tar_headers import BLOCK_SIZE, Member
from s3napback.streams.tar_stream import TarFollower
from s3napback.streams.transformations import Block, Transformation, composed


@dataclass
class IndexCheck:
    """One look at one archive and its index. Used once.

    Attributes:
        decoder: opens them.
        archive: which one.
        beside: the index object; None if there is none.
        flaw: why the index is of no use; empty if it is good, or the archive is of a kind that has none.
        is_wrong: it counts, and tells something else than the archive holds.
    """

    decoder: Decoder
    archive: CataloguedArchive
    beside: StoredObject | None
    flaw: str = ""
    is_wrong: bool = False

    def __post_init__(self) -> None:
        self._held: list[bytes] | None = []
        self._sums: _SegmentSums | None = None
        if self.is_expected and self.beside is None:
            self.flaw = "there is none"

    @property
    def is_expected(self) -> bool:
        """Archives of this form have an index."""
        return self.archive.record is not None and self.archive.record.format == SEGMENTED

    def check_sum(self, note: SumNote | None) -> None:
        """Look at it without a key: whose it says that it is, and whether its bytes are those that were stored.

        Args:
            note: of the checksum object beside the archive, if it has one.
        """
        if self.flaw or not self.is_expected or self.archive.record is None:
            return
        transport, key = self.decoder.transport, self.archive.key
        try:
            found = transport.promptly(partial(transport.store.head, index_key(key)), self.archive)
            said = index_note(found.metadata) if found else None
            is_noted = note is not None and note.id == self.archive.record.id and bool(note.index)
            # A copy that has lost its metadata is told by its bytes.
            if (said is None and not is_noted) or (said is not None and said.id != self.archive.record.id):
                self.flaw = "it is of another archive"
            elif note is not None and is_noted and note.index != self._digest():
                self.flaw = f"its SHA-256 is not the one in {sum_key(key)}"
        except S3napbackError as error:
            self.flaw = str(error)

    def watching(self, decompression: Transformation) -> Transformation:
        """The same decompression, watched on both sides."""
        if self.flaw or not self.is_expected:
            return decompression
        parts = (Transformation("", self._compressed), decompression, Transformation("", self._content))
        return Transformation(decompression.name, composed(*parts).transform)

    def _compressed(self, blocks: Iterator[memoryview]) -> Iterator[Block]:
        """Take the sums of the segments. What the index says of them is known only when the content has begun."""
        for block in blocks:
            if self._sums is not None:
                self._sums.add(block)
            elif self._held is not None:
                self._held.append(bytes(block))
            yield block
        if self._sums is not None and not self._sums.are_right():
            self._say_wrong("its sums are not those of the archive's parts")

    def _content(self, blocks: Iterator[memoryview]) -> Iterator[Block]:
        head = bytearray()
        begun = []
        for block in blocks:
            begun.append(bytes(block))
            head += block[:HEAD_LENGTH]
            if len(head) >= HEAD_LENGTH:
                break
        with ExitStack() as stack:
            members = _Members(self._entries(bytes(head), stack))
            for piece in chain(map(memoryview, begun), blocks):
                members.feed(piece)
                yield piece
            members.finish()
            self.flaw = self.flaw or members.trouble
            if members.difference:
                self._say_wrong(members.difference)

    def _say_wrong(self, difference: str) -> None:
        self.is_wrong = self.is_wrong or not self.flaw
        self.flaw = self.flaw or difference

    def _entries(self, head: bytes, stack: ExitStack) -> Iterator[Entry]:
        """What the index tells, once it counts; nothing, and the flaw, if it does not."""
        held, self._held = self._held or [], None
        secret, record = secret_in(head), self.archive.record
        if secret is None or record is None:
            self.flaw = "the archive does not begin like one that has an index"
            return iter(())
        try:
            is_encrypted = bool(record.recipients)
            pipeline = stack.enter_context(opened_index(self.decoder, self.archive, is_encrypted=is_encrypted))
            reader = DocumentReader(index_blocks(pipeline), self.archive.stored.size)
            document = reader.document(record.id, secret)
        except (DamagedIndex, S3napbackError) as error:
            self.flaw = str(error)
            return iter(())
        if document.segments.is_whole:
            self._sums = _SegmentSums(document.segments)
            for block in held:
                self._sums.add(memoryview(block))
        return read_entries(reader.lines(document))

    def _digest(self) -> str:
        found = hashlib.sha256()
        for block in self.decoder.transport.store.read(index_key(self.archive.key)):
            found.update(block)
        return found.hexdigest()


class _SegmentSums:
    """The sums of the segments, compared as they pass."""

    def __init__(self, segments: Segments) -> None:
        self._key = segments.key
        self._left: Iterator[Segment] = iter(segments)
        self._number = -1
        self._is_wrong = False
        self._begin()

    def _begin(self) -> None:
        self._number += 1
        self._segment = next(self._left, None)
        self._wanted = self._segment.length if self._segment else 0
        self._sum = begin_sum(self._key, self._number)

    def add(self, block: memoryview) -> None:
        """What comes next of the compressed stream."""
        while block and not self._is_wrong:
            self._end_if_whole()
            self._is_wrong = self._is_wrong or self._segment is None
            piece, block = block[: self._wanted], block[self._wanted :]
            self._sum.update(piece)
            self._wanted -= len(piece)

    def _end_if_whole(self) -> None:
        while self._segment is not None and not self._wanted:
            if not hmac.compare_digest(self._sum.digest(), self._segment.sum):
                self._is_wrong = True
            self._begin()

    def are_right(self) -> bool:
        """Whether the stream that has ended was that of the segments."""
        self._end_if_whole()
        return not self._is_wrong and self._segment is None


class _Members:
    """The members of an archive, each compared with what the index tells as it passes.

    Attributes:
        trouble: why the index cannot be read any further.
        difference: the first that was found.
    """

    def __init__(self, entries: Iterator[Entry]) -> None:
        self.trouble = ""
        self.difference = ""
        self._entries = entries
        self._follower = TarFollower()
        self._position = 0
        self._is_given_up = False

    def feed(self, block: memoryview) -> None:
        """What comes next of the content."""
        if self._is_given_up or self.trouble or self.difference:
            return
        try:
            for part in self._follower.feed(block):
                if isinstance(part, Member):
                    self._compare(b"".join(part.raw))
                else:
                    self._position += len(part)
        except MalformedArchive:
            # That is for others to say.
            self._is_given_up = True
        except (DamagedIndex, S3napbackError) as error:
            self.trouble = str(error)

    def _compare(self, raw: bytes) -> None:
        start = self._position or HEAD_LENGTH
        self._position += len(raw)
        try:
            told = _told(Headers(raw[start - self._position :]))
        except (UnknownForm, ValueError):
            told = None
        entry = next(self._entries, None)
        if entry is None or (entry.start, entry.content) != (start, self._position) or _of(entry) != told:
            name = entry.path if entry else Headers(raw[-BLOCK_SIZE:]).path
            self.difference = f"it does not tell what the archive holds at /{printable(os.fsdecode(name))}"

    def finish(self) -> None:
        """The archive has come to its end, and so must the index."""
        if self._is_given_up or self.trouble or self.difference:
            return
        try:
            if next(self._entries, None) is not None:
                self.difference = "it tells of members that the archive does not hold"
        except (DamagedIndex, S3napbackError) as error:
            self.trouble = str(error)


def _told(headers: Headers) -> Sequence[object]:
    """What an index tells of a member with these headers."""
    kind, (mode, owner, group) = TYPES[headers.type], headers.kind
    path = headers.path.rstrip(b"/") if kind == FOLDER else headers.path
    link = headers.link if kind in (LINK, SYMLINK) else b""
    return (path, kind, mode & 0o7777, owner, group, headers.real_size if kind == FILE else 0, *headers.modified, link)


def _of(entry: Entry) -> Sequence[object]:
    link = entry.more if entry.type in (LINK, SYMLINK) else b""
    return (*entry[:8], link)
