"""Records of moved directories in the original's archives: read, and taken out before anything else sees the archive.

Its tar ran without ``--no-check-device``, and so recorded a directory that it met elsewhere as a rename: at the end of
the first directory's list of entries stand ``R`` and a name, ``T`` and the name that it has now, and, where two change
places, ``X`` and a folder for what waits meanwhile (GNU tar's manual, "Dumpdir"). tar cannot replay all that it
records, and after directories have changed places it records moves that there were not. Ours never holds such a record;
what remains here is an archive like ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from s3napback.errors import PipelineError
from s3napback.records import dataclass
from s3napback.streams.dumpdirs import MalformedArchive
from s3napback.streams.tar_headers import (
    BLOCK_SIZE,
    LONG_LINK,
    LONG_NAME,
    OLD_DIRECTORY,
    Header,
    plain_name,
    read_header,
)
from s3napback.streams.tar_stream import LONGEST_LIST, LONGEST_NAME
from s3napback.streams.transformations import Block

_RECORDS = (b"R", b"T", b"X")
_ENTRIES = (b"Y", b"N", b"D")
_MOST_SHOWN = 3


class UnclearRenames(PipelineError):
    """What was moved cannot be told for certain from what tar has recorded."""


@dataclass(frozen=True)
class Rename:
    """A directory that lay elsewhere the night before.

    Attributes:
        before: its former name, relative to the root directory.
        after: its name now.
    """

    before: str
    after: str

    def __str__(self) -> str:
        return f"/{self.before} to /{self.after}"


@dataclass(frozen=True)
class Opening:
    """The first member of an archive.

    Attributes:
        renames: recorded in it.
        content: the archive so far, without the records.
    """

    renames: tuple[Rename, ...]
    content: bytes


def is_opening(head: bytearray) -> bool:
    """Whether the first bytes of an archive reach far enough for ``opening_of``."""
    try:
        return len(head) >= _needed(head)
    except MalformedArchive:
        return True


def opening_of(blocks: Iterator[Block]) -> Opening:
    """Read the first member, and no more blocks than it needs.

    What is no tar archive is passed on as it is, for others to judge.

    Raises:
        UnclearRenames: it records renames of which the outcome is not certain.
    """
    head = bytearray()
    try:
        while len(head) < (needed := _needed(head)):
            block = next(blocks, None)
            if block is None:
                return Opening((), bytes(head))
            head += block
        return _opening(bytes(head), needed)
    except MalformedArchive:
        return Opening((), bytes(head))


def without_renames(blocks: Iterator[Block]) -> Iterator[Block]:
    """Pass an archive on without its records of renames.

    Raises:
        UnclearRenames: see ``opening_of``.
    """
    yield opening_of(blocks).content
    yield from blocks


def _needed(head: bytearray) -> int:
    """Bytes from the beginning to the end of the first member's list of entries, or of its header."""
    position = 0
    while len(head) >= position + BLOCK_SIZE:
        header = read_header(bytes(head[position : position + BLOCK_SIZE]))
        position += BLOCK_SIZE
        if header.type == OLD_DIRECTORY and header.size <= LONGEST_LIST:
            return position + _padded(header.size)
        if header.type not in (LONG_NAME, LONG_LINK) or header.size > LONGEST_NAME:
            return position
        position += _padded(header.size)
    return position + BLOCK_SIZE


def _padded(size: int) -> int:
    return size + -size % BLOCK_SIZE


def _opening(head: bytes, end: int) -> Opening:
    position = 0
    while position < end:
        header = read_header(head[position : position + BLOCK_SIZE])
        content = head[position + BLOCK_SIZE : end][: header.size]
        if header.type == OLD_DIRECTORY and content.endswith(b"\0\0"):
            entries = content[:-2].split(b"\0")
            records = [entry for entry in entries if entry[:1] in _RECORDS]
            if not records:
                break
            kept = b"".join(entry + b"\0" for entry in entries if entry[:1] not in _RECORDS) + b"\0"
            member = _with_size(header, len(kept)) + kept + bytes(-len(kept) % BLOCK_SIZE)
            return Opening(_renames(records), head[:position] + member + head[end:])
        position += BLOCK_SIZE + _padded(header.size)
    return Opening((), head)


def _with_size(header: Header, size: int) -> bytes:
    """A header that tells another size."""
    block = bytearray(header.block)
    block[124:136] = b"%011o\0" % size
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def _renames(records: Sequence[bytes]) -> tuple[Rename, ...]:
    """What moved where, all at once.

    Raises:
        UnclearRenames: names lie in each other: tar changes some of them while it collects the records, and some not.
    """
    moves = [record for record in records if record[:1] != b"X"]
    waiting: str | None = None
    renames = []
    for before, after in zip(moves[::2], moves[1::2], strict=False):
        if (before[:1], after[:1]) != (b"R", b"T") or before == after:
            raise UnclearRenames("it holds a record of a rename that is broken")
        old, new = _name(before), _name(after)
        if not new:
            waiting = old
        elif not old and waiting is not None:
            renames.append(Rename(waiting, new))
            waiting = None
        else:
            renames.append(Rename(old, new))
    if len(moves) % 2 or waiting is not None:
        raise UnclearRenames("it holds a record of a rename that is broken")
    _require_independence(renames)
    return tuple(renames)


def _name(record: bytes) -> str:
    """The name in a record, which is spelt as the configuration spelt the directory: ``tmp//h/./a``."""
    name = record[1:].decode("utf-8", "surrogateescape")
    plain = plain_name(name)
    if name.startswith("/") or ".." in name.split("/") or (name and not plain):
        raise UnclearRenames(f"it holds the record of a rename with a name that leads out of it ({record!r:.200})")
    return plain


def _require_independence(renames: Sequence[Rename]) -> None:
    """Accept moves only that have nothing to do with each other.

    Of 700 chains of four nights with random moves those that were accepted all came back as they had been; where names
    that occur twice were accepted, every fourth did not (tar 1.34).
    """
    names = sorted((name for each in renames for name in (each.before, each.after)), key=_by_parts)
    if "" in names or any(f"{inner}/".startswith(f"{outer}/") for outer, inner in pairwise(names)):
        shown = ", ".join(str(rename) for rename in renames[:_MOST_SHOWN])
        more = f", and {len(renames) - _MOST_SHOWN} more" if len(renames) > _MOST_SHOWN else ""
        raise UnclearRenames(
            f"it holds renames of directories that GNU tar records and cannot be relied upon to replay: {shown}{more}. "
            "An earlier night can be restored; “s3napback help original” tells how to look into this archive by hand"
        )


def _by_parts(name: str) -> list[str]:
    return name.split("/")
