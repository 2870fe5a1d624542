"""The structure of a Subversion dump: records of headers and content, of which some begin a revision.

Source: "notes/dump-load-format.txt" of Subversion.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from s3napback.recovery.decoding import Damaged
from s3napback.streams.transformations import Block

_LONGEST_HEADER = 1 << 20


@dataclass
class DumpReader:
    """Passes a dump on, and reads its structure on the way.

    Attributes:
        uuid: of the repository, once it was read.
        first: revision; -1 before one was read.
        last: revision so far.
    """

    uuid: str = ""
    first: int = -1
    last: int = -1

    def passed(self, blocks: Iterator[Block]) -> Iterator[Block]:
        """Pass it on.

        Raises:
            Damaged: it is no dump, its revisions are not consecutive, or it ends within a record.
        """
        headers = bytearray()
        content = 0  # bytes of the present record's content that are still to come
        for block in blocks:
            data, position = bytes(block), 0
            while position < len(data):
                if content:
                    skipped = min(content, len(data) - position)
                    content -= skipped
                    position += skipped
                    continue
                position = _take_line(headers, data, position)
                if headers.endswith(b"\n\n") or headers == b"\n":
                    content = self._note(bytes(headers))
                    headers.clear()
            yield block
        if headers or content or self.first < 0:
            raise Damaged("the dump of the repository ends too early")

    def _note(self, headers: bytes) -> int:
        """Take in a record's headers; returns the length of its content."""
        fields = dict(line.partition(": ")[::2] for line in headers.decode("utf-8", "surrogateescape").splitlines())
        self.uuid = fields.get("UUID", self.uuid)
        try:
            if "Revision-number" in fields:
                self._begin_revision(int(fields["Revision-number"]))
            return int(fields.get("Content-length", 0))
        except ValueError:
            raise Damaged("the dump of the repository holds a record that makes no sense") from None

    def _begin_revision(self, number: int) -> None:
        if self.first < 0:
            self.first = number
        elif number != self.last + 1:
            raise Damaged(f"revision {number} follows revision {self.last} in the dump of the repository")
        self.last = number


def _take_line(headers: bytearray, data: bytes, position: int) -> int:
    """Copy from a position up to the end of a line behind ``headers``; returns the position behind it."""
    end = data.find(b"\n", position) + 1 or len(data)
    headers += data[position:end]
    if len(headers) > _LONGEST_HEADER:
        raise Damaged("the content is not a dump of a Subversion repository")
    return end


def checked(judge: Callable[[DumpReader], None]) -> Callable[[Iterator[Block]], Iterator[Block]]:
    """Pass a dump on, and let ``judge`` raise at its end if it is not the one wanted."""

    def transform(blocks: Iterator[Block]) -> Iterator[Block]:
        reader = DumpReader()
        yield from reader.passed(blocks)
        judge(reader)

    return transform
