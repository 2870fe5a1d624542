"""Some members of a tar archive, taken out of the stream as they are, so that tar extracts these and no others.

tar's own way, naming members to extract, fails where an archive lacks one, and a DIFF lacks all that did not change.
"""

from __future__ import annotations

import re
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import IO, cast

from s3napback.recovery.decoding import Damaged
from s3napback.streams.pipeline import Block

END_MARK = bytes(1024)
"""Two blocks of zeros end every archive (tar's manual, "Basic Tar Format")."""

_DUMPDIR = "GNU.dumpdir"
_ENTRIES = re.compile(rb"((?:\A.{512}|\n)\d+ )GNU\.dumpdir=", re.DOTALL)
"""Where the record begins in a folder's headers; under another name of the same length tar does not know it."""
_PIECE = 1 << 18


@dataclass(frozen=True)
class Member:
    """One member of an archive.

    Attributes:
        name: relative to the root directory, which is empty itself; without ``.`` and slashes at its ends. Bytes that
            are not UTF-8 are escaped as ``surrogateescape`` does.
        is_directory: it is one.
        link_target: name of the member that it is another name of; empty if it is none.
        entries: of a directory in an archive for DIFFs: all it held, be it in this archive or not; else None.
    """

    name: str
    is_directory: bool = False
    link_target: str = ""
    entries: tuple[str, ...] | None = None


def plain_name(name: str) -> str:
    """A member's name without what does not matter: ``./a//b/./c/`` is ``a/b/c``."""
    if name.startswith(("/", ".")) or "/." in name or "//" in name or name.endswith("/"):
        return "/".join(part for part in name.split("/") if part not in ("", "."))
    return name


def complete(blocks: Iterator[Block]) -> Iterator[Block]:
    """Pass an archive on.

    Raises:
        Damaged: it does not end with its end mark, so that something is missing.
    """
    tail = b""
    for block in blocks:
        tail = (tail + bytes(block[-len(END_MARK) :]))[-len(END_MARK) :]
        yield block
    if tail != END_MARK:
        raise Damaged("tar's end mark is missing: the archive has lost its end")


def selected(
    blocks: Iterator[Block], chooses: Callable[[Member], bool], *, with_entries: bool = True
) -> Iterator[Block]:
    """An archive of those members that ``chooses`` wants, byte for byte as they were.

    Args:
        blocks: of the whole archive.
        chooses: is asked once for each member, in order.
        with_entries: otherwise folders lose the record of what they held.

    Raises:
        Damaged: it is no tar archive.
    """
    reader = _RecordingReader(blocks)
    try:
        # "utf-8" for names in any locale; the archives are made with raw bytes.
        with tarfile.TarFile(fileobj=cast(IO[bytes], reader), encoding="utf-8", errors="surrogateescape") as archive:
            while (found := archive.next()) is not None:
                wanted = chooses(_member(found))
                header = reader.take_recorded()
                if wanted:
                    yield header if with_entries else _ENTRIES.sub(rb"\1NOT.dumpdir=", header)
                for piece in reader.pieces_until(archive.offset):
                    if wanted:
                        yield piece
                archive.members.clear()  # type: ignore[attr-defined] # it would keep them all
                reader.record()
    except (tarfile.TarError, EOFError) as error:
        raise Damaged(f"the content is not a whole tar archive: {error}") from error
    reader.drain()
    yield END_MARK


def _member(found: tarfile.TarInfo) -> Member:
    entries = None
    if _DUMPDIR in found.pax_headers:
        # each entry begins with a letter that tells whether it is in this archive
        entries = tuple(entry[1:] for entry in found.pax_headers[_DUMPDIR].split("\0") if entry)
    return Member(
        plain_name(found.name),
        found.isdir(),
        plain_name(found.linkname) if found.islnk() else "",
        entries,
    )


@dataclass
class _RecordingReader:
    """Blocks as a file that tarfile can read, which remembers the bytes that headers were made of."""

    blocks: Iterator[Block]
    name: str = ""
    mode: str = "rb"
    _position: int = 0
    _rest: memoryview = field(default_factory=lambda: memoryview(b""))
    _recorded: list[bytes] | None = field(default_factory=list)

    def tell(self) -> int:
        return self._position

    def seek(self, position: int) -> None:
        """Only forwards."""
        for _piece in self.pieces_until(position):
            pass

    def read(self, size: int) -> bytes:
        data = b"".join(bytes(piece) for piece in self._take(size))
        if self._recorded is not None:
            self._recorded.append(data)
        return data

    def take_recorded(self) -> bytes:
        """What was read since ``record``; no more is recorded from now on."""
        recorded, self._recorded = self._recorded or [], None
        return b"".join(recorded)

    def record(self) -> None:
        self._recorded = []

    def pieces_until(self, position: int) -> Iterator[memoryview]:
        """What lies before ``position``; raises ``EOFError`` if it is not all there."""
        while self._position < position:
            before = self._position
            yield from self._take(min(_PIECE, position - self._position))
            if self._position == before:
                raise EOFError("it ends within a file")

    def drain(self) -> None:
        self._rest = memoryview(b"")
        for _block in self.blocks:
            pass

    def _take(self, size: int) -> Iterator[memoryview]:
        while size > 0:
            if not self._rest:
                block = next(self.blocks, None)
                if block is None:
                    return
                self._rest = memoryview(block)
                continue
            piece, self._rest = self._rest[:size], self._rest[size:]
            size -= len(piece)
            self._position += len(piece)
            yield piece
