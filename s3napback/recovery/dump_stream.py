"""The grammar of a Subversion dump: records of headers and content, of which some begin a revision.

Source: "notes/dump-load-format.txt" of Subversion. Headers are lines of bytes: a path may hold whatever else some
people take for the end of a line.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import field

from s3napback.kinds import SUBVERSION
from s3napback.records import dataclass
from s3napback.recovery.opening.failures import Damaged
from s3napback.regexes import regex
from s3napback.streams.transformations import Block

_LONGEST_HEADER = 1 << 20
_UUID = regex(rb"[0-9A-Za-z-]+")
_NUMBER = regex(rb"[0-9]{1,18}")


@dataclass(frozen=True)
class Beginning:
    """What a dump begins with.

    Attributes:
        uuid: of the repository.
        revision: the first one in it.
    """

    uuid: str
    revision: int


@dataclass
class DumpReader:
    """Reads a dump's structure, block by block.

    Attributes:
        uuid: of the repository, once it was read.
        first: revision; -1 before one was read.
        last: revision so far.
    """

    uuid: str = ""
    first: int = -1
    last: int = -1
    _headers: bytearray = field(default_factory=bytearray, repr=False)
    _content: int = field(default=0, repr=False)  # bytes of the present record's content that are still to come

    def passed(self, blocks: Iterator[Block]) -> Iterator[Block]:
        """Pass it on.

        Raises:
            Damaged: it is no dump, its revisions are not consecutive, or it ends within a record.
        """
        for block in blocks:
            for number in self.revisions(block):
                if self.first < 0:
                    self.first = number
                elif number != self.last + 1:
                    raise Damaged(f"revision {number} follows revision {self.last} in the dump of the repository")
                self.last = number
            yield block
        if self._headers or self._content or self.first < 0:
            raise Damaged("the dump of the repository ends too early")

    def revisions(self, block: Block) -> Iterator[int]:
        """Read on; yields the number of each revision as it begins.

        Raises:
            Damaged: it is no dump.
        """
        data, position = bytes(block), 0
        while position < len(data):
            if self._content:
                skipped = min(self._content, len(data) - position)
                self._content -= skipped
                position += skipped
                continue
            position = self._take_line(data, position)
            if self._headers.endswith(b"\n\n") or self._headers == b"\n":
                fields = dict(line.partition(b": ")[::2] for line in bytes(self._headers).split(b"\n"))
                self._headers.clear()
                self._content = _number(fields.get(b"Content-length", b"0"))
                if b"UUID" in fields:
                    self.uuid = _matching(_UUID, fields[b"UUID"]).decode()
                if b"Revision-number" in fields:
                    yield _number(fields[b"Revision-number"])

    def _take_line(self, data: bytes, position: int) -> int:
        """Copy from a position up to the end of a line behind the headers so far; returns the position behind it."""
        end = data.find(b"\n", position) + 1 or len(data)
        self._headers += data[position:end]
        if len(self._headers) > _LONGEST_HEADER:
            raise Damaged("the content is not a dump of a Subversion repository")
        return end


def dump_beginning(head: bytes) -> Beginning:
    """What a dump begins with, and no look at the rest.

    Args:
        head: its first bytes, at least as far as the first revision.

    Raises:
        Damaged: it does not begin like one.
    """
    reader = DumpReader()
    ((beginning, _end),) = SUBVERSION.marks
    first = next(reader.revisions(head), None) if head.startswith(beginning) else None
    if first is None or not reader.uuid:
        raise Damaged("the content is not a dump of a Subversion repository")
    return Beginning(reader.uuid, first)


def checked(judge: Callable[[DumpReader], None]) -> Callable[[Iterator[Block]], Iterator[Block]]:
    """Pass a dump on, and let ``judge`` raise at its end if it is not the one wanted."""

    def transform(blocks: Iterator[Block]) -> Iterator[Block]:
        reader = DumpReader()
        yield from reader.passed(blocks)
        judge(reader)

    return transform


def _number(text: bytes) -> int:
    return int(_matching(_NUMBER, text))


def _matching(pattern: re.Pattern[bytes], text: bytes) -> bytes:
    if not pattern.fullmatch(text):
        raise Damaged("the dump of the repository holds a record that makes no sense")
    return text
