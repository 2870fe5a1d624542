"""Archives that can be entered by an index, and indexes as an attacker writes them, who can read the archive.

What an index says counts only if its maker knows the secret in the archive. In a store without encryption everybody who
can read knows it.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from unittest import mock

from s3napback.archives import SEGMENTED, archive_key
from s3napback.catalogue.indexes import index_key, index_metadata
from s3napback.index.head import HEAD_LENGTH, head_of
from s3napback.rotation import ArchiveType
from s3napback.stores.directory import DirectoryStore
from s3napback.streams.segments import SEGMENT_SIZE
from tests.hostile.archives import BLOCK, put, record
from tests.stores.sources import BytesSource

SECRET = b"s" * 32
_WORDS = {
    b"1": b"link",
    b"2": b"symlink",
    b"3": b"char",
    b"4": b"block",
    b"5": b"folder",
    b"D": b"folder",
    b"6": b"pipe",
}


@dataclass(frozen=True)
class Told:
    """A member, as an index tells of it: numbers in bytes, and headers in blocks."""

    name: bytes
    kind: bytes
    start: int
    headers: int
    size: int
    more: bytes = b""

    def text(self) -> bytes:
        """Lines that tell of it alone, each with a place of its own."""
        folder, slash, name = self.name.rpartition(b"/")
        is_folder = self.kind == b"folder"
        place = b":%d\n" % self.start if is_folder else b":%d %s\n" % (self.start, _escaped(folder if slash else b""))
        kind = b"kind 0 %s 644 0 0 %d\n" % (self.kind, self.headers)
        number, shown = (self.headers, self.name) if is_folder else (self.size, name)
        more = b"\t" + _escaped(self.more) if self.more else b""
        return place + kind + b"0 %d 1700000000 %s%s\n" % (number, _escaped(shown), more)


def _escaped(name: bytes) -> bytes:
    return name.replace(b"\\", b"\\\\").replace(b"\n", b"\\n").replace(b"\t", b"\\t")


def told(content: bytes) -> list[Told]:
    """What can be told of an archive's members, as far as they can be followed.

    Args:
        content: of the archive, without what stands in front for the index.
    """
    found, place = [], 0
    while place + BLOCK <= len(content) and any(content[place : place + BLOCK]):
        start, values = place, dict[bytes, bytes]()
        try:
            while content[place + 156 : place + 157] in b"xLKg":
                size = _number(content[place + 124 : place + 136])
                values |= _values(content[place + 156 : place + 157], content[place + BLOCK :][:size])
                place += BLOCK + size + -size % BLOCK
            block = content[place : place + BLOCK]
            size = int(values.get(b"size", b"")) if b"size" in values else _number(block[124:136])
        except ValueError:
            break
        kind = _WORDS.get(block[156:157], b"file")
        stored = size if kind in (b"file", b"link") or block[156:157] == b"D" else 0
        name = values.get(b"path", block[:100].partition(b"\0")[0]).rstrip(b"/")
        link = values.get(b"linkpath", block[157:257].partition(b"\0")[0]) if kind in (b"link", b"symlink") else b""
        place += BLOCK
        if name:
            found.append(Told(name, kind, (HEAD_LENGTH + start) // BLOCK, (place - start) // BLOCK, stored, link))
        place += stored + -stored % BLOCK
    return found


def _number(field: bytes) -> int:
    return int(field.strip(b" \0") or b"0", 8)


def _values(kind: bytes, content: bytes) -> dict[bytes, bytes]:
    if kind in b"LK":
        return {b"path" if kind == b"L" else b"linkpath": content.rstrip(b"\0")}
    pairs = (line.partition(b" ")[2].partition(b"=") for line in content.split(b"\n"))
    return {key: value for key, sign, value in pairs if sign}


def text_of(members: Sequence[Told]) -> bytes:
    """The lines of an index."""
    return b"".join(each.text() for each in members)


@dataclass(frozen=True)
class Forgery:
    """The parts of an index object.

    Attributes:
        id: of the archive that it says it is of.
        segments: lines that tell of them.
        lines: of the members.
        secret: with which it is authenticated.
        tail: what follows.
    """

    id: bytes
    segments: bytes
    lines: bytes
    secret: bytes = SECRET
    tail: bytes = b""

    def data(self) -> bytes:
        """The object."""
        text = b"s3napback-index 1\narchive %s\nbytes-in-segment %d\n" % (self.id, SEGMENT_SIZE)
        sum_ = hashlib.sha256(self.lines).hexdigest().encode()
        text += self.segments + b"members %d %s\n" % (len(self.lines), sum_)
        code = hmac.new(self.secret, text, hashlib.sha256).hexdigest().encode()
        return zipped(text + b"hmac %s\n" % code) + zipped(self.lines) + self.tail


def zipped(content: bytes) -> bytes:
    compressor = zlib.compressobj(1, wbits=31)
    return compressor.compress(content) + compressor.flush()


def segments_of(stored: bytes) -> bytes:
    """The lines of an uncompressed stream's segments."""
    pieces = [stored[place : place + SEGMENT_SIZE] for place in range(0, len(stored), SEGMENT_SIZE)]
    return b"".join(b"segment %d %s\n" % (len(each), hashlib.sha256(each).hexdigest().encode()) for each in pieces)


def honest(content: bytes, slot: int = 0) -> Forgery:
    """The index that belongs to an archive."""
    stored = head_of(SECRET) + content
    return Forgery(id_of(slot), segments_of(stored), text_of(told(content)))


def id_of(slot: int) -> bytes:
    return b"%032x" % slot


def put_entered(vault: Path, slot: int, content: bytes, index: bytes | None) -> str:
    """Store an archive, uncompressed, and an index beside it; returns the archive's key."""
    said = {"format": SEGMENTED, "compression": "none", "id": id_of(slot).decode()}
    if slot:
        said["parent"] = id_of(slot - 1).decode()
    key, _ = put(vault, slot, head_of(SECRET) + content, changed=said)
    if index is not None:
        put_index(vault, slot, index)
    return key


def put_index(vault: Path, slot: int, index: bytes) -> None:
    """Store an index beside an archive."""
    key = archive_key("", "Directory", "estate", slot, ArchiveType.DIFF if slot else ArchiveType.FULL)
    metadata = index_metadata(replace(record(slot), id=id_of(slot).decode()))
    with mock.patch.object(os, "fsync"):
        DirectoryStore(vault).put(index_key(key), BytesSource(index), metadata)
