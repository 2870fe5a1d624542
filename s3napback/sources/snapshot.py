"""GNU tar's snapshot files (``--listed-incremental``), format 2, and the cure that makes chains replayable.

tar cannot replay every rename of directories that it records: swapping two of them, or moving one into the place of
another that is gone, gives archives whose extraction fails or comes out wrong. It records a rename when a directory's
device and inode numbers are found in the snapshot under another name. With every device number set to 0 in the copy
that tar reads, and ``--no-check-device`` so that 0 does not make a directory look new, no directory is ever recognised
under another name, and moved directories are archived whole.

Layout, from "Format of the Incremental Snapshot Files" in tar's manual: a line ``GNU tar-VERSION-2``, then
NUL-terminated fields: seconds and nanoseconds of the backup, then for each directory ``nfs``, mtime seconds, mtime
nanoseconds, device, inode, name and its entries, closed by two empty fields.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import BinaryIO, Protocol

from s3napback.deciding.facts import Snapshot
from s3napback.errors import SourceError
from s3napback.regexes import regex

BLOCK = 1 << 20
"""Bytes of a snapshot that are looked at together."""

_HEADER = regex(rb"GNU tar-[^\n\0]{1,60}-2\n(\d{1,20})\0(\d{1,9})\0")
_HEADER_LIMIT = 120
_RECORD_START = regex(rb"([01]\0-?\d{1,20}\0-?\d{1,9}\0)-?\d{1,20}(\0\d{1,20}\0[^\0]+)(?=\0)")
_RECORD_START_LIMIT = 100_000
_RECORD_END = b"\0\0\0"
_NOT_WHOLE = "a directory's record in it is not whole"


class DamagedSnapshot(Exception):
    """The file is not a whole snapshot of format 2."""


def snapshot_time(stream: BinaryIO) -> int:
    """When the backup that left this snapshot began, in seconds since 1970.

    Raises:
        DamagedSnapshot: the header is not one of format 2.
    """
    return int(_match_header(stream.read(_HEADER_LIMIT))[1])


def read_snapshot_header(stream: BinaryIO) -> bytes:
    """What stands before the first directory's record; the stream is left there.

    Raises:
        DamagedSnapshot: the header is not one of format 2.
    """
    header = _match_header(stream.read(_HEADER_LIMIT))[0]
    stream.seek(len(header))
    return header


def begin_snapshot(working: Path, before: Path | None, *, margin: int, padding: int = 0) -> None:
    """Make the snapshot that tar reads and writes: an empty one, or a cured copy.

    Args:
        working: where; nothing may be there.
        before: what it is to be a copy of.
        margin: see ``copy_cured``.
        padding: how many folders that are nowhere it tells of besides; tar forgets them.

    Raises:
        SourceError: what was before cannot be copied.
    """
    working.touch(mode=0o600, exist_ok=False)
    if before is None:
        return
    try:
        with before.open("rb") as source, working.open("wb") as target:
            copy_cured(source, target, margin=margin)
            target.writelines(map(_record_of_nothing, range(padding)))
    except (OSError, DamagedSnapshot) as error:
        raise SourceError(f"the snapshot {before} cannot be copied: {error}") from error


def _record_of_nothing(number: int) -> bytes:
    """A record that no folder has: each with an inode number of its own, beyond those that are given."""
    inode, name = (1 << 63) + number, b"s3napback-nowhere/%d" % number
    return b"\0".join((b"0", b"0", b"0", b"0", b"%d" % inode, name)) + _RECORD_END


def copy_cured(source: BinaryIO, target: Sink, *, margin: int = 0) -> str:
    """Copy a snapshot with every device number set to 0, in memory that does not grow with the number of files.

    Args:
        source: the snapshot.
        target: takes the copy.
        margin: seconds by which its time is set back, so that tar takes again what was written shortly before it.

    Returns:
        SHA-256 of what was read, in hexadecimal.

    Raises:
        DamagedSnapshot: the file is not whole; ``target`` then holds a part.
    """
    window = _Window(source)
    window.fill()
    header = _match_header(window.data)
    target.write(header[0][: header.start(1)] + b"%d" % max(0, int(header[1]) - margin))
    target.write(header[0][header.end(1) :])
    window.take(header.end())
    while window.has_more():
        if (end := window.data.rfind(_RECORD_END, window.position)) >= 0:
            target.write(_cured(window.data, window.position, end + len(_RECORD_END)))
            window.take(end + len(_RECORD_END))
        else:
            _copy_record_start(window, target)
            _copy_entries(window, target)
    return window.digest.hexdigest()


class Sink(Protocol):
    """Where a copy goes: whatever can write bytes."""

    def write(self, data: bytes, /) -> object:
        """Take in the next bytes."""
        ...


class _Nowhere:
    def write(self, data: bytes, /) -> None:
        """Forget them."""


def file_sha256(stream: BinaryIO) -> str:
    """SHA-256 of what is left of a stream, in hexadecimal."""
    digest = hashlib.sha256()
    while block := stream.read(BLOCK):
        digest.update(block)
    return digest.hexdigest()


class _Window:
    """The part of a stream that is being looked at: ``data`` from ``position`` on."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.data = b""
        self.position = 0
        self.digest = hashlib.sha256()

    def fill(self) -> bool:
        """Add a block behind what is left; False at the end of the stream."""
        block = self._stream.read(BLOCK)
        self.digest.update(block)
        self.data = self.data[self.position :] + block
        self.position = 0
        return bool(block)

    def has_more(self) -> bool:
        return self.position < len(self.data) or self.fill()

    def take(self, end: int) -> bytes:
        """What lies between the position and ``end``, and move on to there."""
        taken = self.data[self.position : end]
        self.position = end
        return taken


def _match_header(data: bytes) -> re.Match[bytes]:
    found = _HEADER.match(data)
    if found is None:
        raise DamagedSnapshot("it does not begin like a snapshot of GNU tar, format 2")
    return found


def _cured(data: bytes, position: int, end: int) -> bytes:
    """Whole records with their device numbers set to 0."""
    parts, copied = [], position
    while position < end:
        start = _RECORD_START.match(data, position)
        if start is None:
            raise DamagedSnapshot(_NOT_WHOLE)
        parts.append(data[copied : start.end(1)])
        copied = start.start(2)
        position = data.find(_RECORD_END, start.end()) + len(_RECORD_END)
    return b"0".join([*parts, data[copied:end]])


def _copy_record_start(window: _Window, target: Sink) -> None:
    while (start := _RECORD_START.match(window.data, window.position)) is None:
        if len(window.data) - window.position > _RECORD_START_LIMIT or not window.fill():
            raise DamagedSnapshot(_NOT_WHOLE)
    target.write(start[1] + b"0" + start[2])
    window.take(start.end())


def _copy_entries(window: _Window, target: Sink) -> None:
    while (end := window.data.find(_RECORD_END, window.position)) < 0:
        # The last two bytes may be the first of the three that end the record.
        target.write(window.take(max(window.position, len(window.data) - 2)))
        if not window.fill():
            raise DamagedSnapshot("it ends within a directory's record")
    target.write(window.take(end + len(_RECORD_END)))


def look_at_snapshot(path: Path, index: Path | None = None) -> Snapshot:
    """What is left of a snapshot that a DIFF would build on, and of the index beside it, where there was one."""
    try:
        with path.open("rb") as stream:
            time = snapshot_time(stream)
            stream.seek(0)
            # Copying for nothing tells at once whether the cure will work; were that found out only when the DIFF is
            # made, the source would fail night after night.
            sha256 = copy_cured(stream, _Nowhere())
    except FileNotFoundError:
        return Snapshot(is_there=False)
    except OSError as error:
        return Snapshot(unreadable=error.strerror or str(error))
    except DamagedSnapshot as error:
        return Snapshot(damage=str(error))
    return Snapshot(sha256=sha256, time=time, index_sha256=_sha256_if_there(index) if index else "")


def _sha256_if_there(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return file_sha256(stream)
    except OSError:
        return ""
