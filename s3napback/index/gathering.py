"""What passed of an archive, gathered directory by directory, and written into the index of the tree and the lines."""

from __future__ import annotations

from s3napback.index.database import NewIndex
from s3napback.index.head import HEAD_LENGTH
from s3napback.index.headers import Headers, path_below
from s3napback.index.lines import LineWriter
from s3napback.index.records import PART, UNREAD, Record
from s3napback.streams.tar_headers import BLOCK_SIZE, HARD_LINK


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

    def put_folder(self, line: bytes, length: int) -> None:
        """Write the line of a directory, whose headers have so many bytes."""
        if self.lines or self.pending:
            self.flush()
        self.writer.write_folder(line, self.at)
        self.at += length
        self._began = self.at

    def linked(self, headers: Headers) -> Record | bytes:
        """A hard link is stored as what it leads to was, whatever its own header says: that may be younger."""
        folder, _, name = headers.link.rpartition(b"/")
        if folder == self.folder and name in self.pending:
            return self.pending[name]
        if self._new is None:
            return UNREAD
        return self._new.record(path_below(folder, self._top), name) or UNREAD
