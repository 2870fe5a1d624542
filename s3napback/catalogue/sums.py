"""The checksum object beside an archive, ``KEY.sha256``: its key, its text, and how it is read.

It is a help and never a hindrance: one that is absent, broken, too long or of an older archive is as good as none.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import field
from datetime import datetime
from urllib.parse import quote, quote_from_bytes, unquote, unquote_to_bytes

from s3napback.archives import (
    METADATA_PREFIX,
    NOTHING_COUNTED,
    NOTHING_UNREAD,
    SUM_SUFFIX,
    UNKNOWN_OWNER,
    ArchiveRecord,
    Counted,
    Owner,
    Transfer,
    Unread,
    format_time,
    metadata_digest,
    parse_time,
)
from s3napback.kinds import SourceName
from s3napback.records import dataclass
from s3napback.regexes import regex
from s3napback.stores import Store, read_at_most

logger = logging.getLogger("s3napback")

LONGEST_SUM = 65_536
"""Bytes of a checksum object. None that we write is longer; a longer one in a store is not ours, and not read whole."""

_LONGEST_WARNINGS = 48_128  # bytes of them all, which leaves room for a key of 1,024 bytes, metadata and the rest
_LONGEST_UNREAD = 10_240  # bytes of all paths that could not be read; more if the warnings leave some
_LONGEST_REST = 64  # bytes of the line that sums up what has none of its own
_ID = f"{METADATA_PREFIX}sum-of"
_UNREAD = f"{METADATA_PREFIX}unread"
# Of ASCII all that is printable, but for the sign of percentages.
_PLAIN = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")
_SUM = regex(r"(?P<escaped>\\?)(?P<digest>[0-9a-f]{64})  (?P<name>.+)", re.DOTALL)
_COMMENT = regex(
    r"# (id|source|host|started|bytes stored|bytes read|seconds|index|structure|metadata|warning|unread path|unread|"
    r"rows|more rows|s3napback-[a-z0-9-]+) (.*)",
    re.DOTALL,
)
_WHOLE = regex(r"[0-9]{1,18}")
_NUMBER = regex(r"[0-9]{1,18}(\.[0-9]{1,9})?")
_DIGEST = regex(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class SumNote:
    """What a checksum object says of its archive.

    What only people read may be missing in one that another version wrote.

    Attributes:
        digest: SHA-256 of the stored bytes, in hexadecimal.
        name: the archive's key without the prefix.
        id: the archive's; of another one that lies under the key now, the note says nothing.
        owner: whose it is; ``UNKNOWN_OWNER`` if it does not say.
        started: when the backup began, UTC.
        stored: bytes in the store.
        read: bytes that the dump command wrote, before compression.
        seconds: from start to arrival.
        warnings: one line each.
        unread: what could not be read of the source.
        counted: what was found in it.
        more_rows: of how many tables more only the sum of their rows is noted, and that sum.
        index: SHA-256 of the stored bytes of the index beside it, likewise; empty if there is none.
        metadata: SHA-256 of the archive's own, see ``metadata_digest``; empty if an earlier version wrote it.
        told: the archive's own, for when it has lost them; empty if an earlier version wrote it.
    """

    digest: str
    name: str
    id: str
    owner: Owner = UNKNOWN_OWNER
    started: datetime | None = None
    stored: int | None = None
    read: int | None = None
    seconds: float | None = None
    warnings: Sequence[str] = ()
    unread: Unread = NOTHING_UNREAD
    counted: Counted = NOTHING_COUNTED
    more_rows: tuple[int, int] = (0, 0)
    index: str = ""
    metadata: str = ""
    told: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, record: ArchiveRecord, name: str, transfer: Transfer, index: str = "") -> SumNote:
        """The note on an archive that has arrived, and on the index beside it."""
        metadata = record.to_metadata()
        return cls(
            digest=transfer.sha256,
            name=name,
            id=record.id,
            owner=record.owner,
            started=record.started,
            stored=transfer.stored,
            read=transfer.read,
            seconds=transfer.seconds,
            warnings=tuple(transfer.warnings),
            unread=transfer.unread,
            counted=transfer.counted,
            index=index,
            metadata=metadata_digest(metadata),
            told=metadata,
        )


def contradicts(note: SumNote, record: ArchiveRecord, metadata: Mapping[str, str]) -> bool:
    """Whether an archive's metadata are others than those that it was stored with, by the note beside it.

    A note of an older archive, or of an earlier version's, says nothing of them.

    Args:
        record: what the metadata say.
        metadata: the object's.
    """
    is_of_it = note.id == record.id or (note.owner, note.started) == (record.owner, record.started)
    return is_of_it and note.metadata not in ("", metadata_digest(metadata))


def sum_key(key: str) -> str:
    """The key of the checksum object of the archive with this key."""
    return key + SUM_SUFFIX


def is_sum_key(key: str) -> bool:
    """Whether what lies under a key can be a checksum object; it may be another program's."""
    return key.endswith(SUM_SUFFIX)


def summed_key(key: str) -> str:
    """The key that a checksum object's key was made of: the inverse of ``sum_key``."""
    return key.removesuffix(SUM_SUFFIX)


def format_sum(note: SumNote) -> bytes:
    """The content of the checksum object: a line that ``sha256sum --check`` reads, and comments, in UTF-8.

    Of more warnings than there is room for it says how many they are, and of paths that could not be read always.
    """
    comments = {
        "id": note.id,
        "source": note.owner.source,
        "host": note.owner.host,
        "started": None if note.started is None else format_time(note.started),
        "bytes stored": note.stored,
        "bytes read": note.read,
        "seconds": None if note.seconds is None else f"{note.seconds:.1f}",
        "index": note.index or None,
        "structure": note.counted.structure or None,
        "metadata": note.metadata or None,
    }
    warnings = _warning_lines(note.warnings)
    room = _LONGEST_WARNINGS + _LONGEST_UNREAD - sum(map(_size, warnings))
    unread = _unread_lines(note.unread, room)
    lines = [
        _sum_line(note.digest, note.name),
        *(f"# {name} {value}" for name, value in comments.items() if value is not None),
        *(f"# {name} {value}" for name, value in note.told.items()),
        *warnings,
        *unread,
        *_rows_lines(note.counted, room - sum(map(_size, unread))),
    ]
    return "".join(f"{line}\n" for line in lines).encode(errors="surrogateescape")


def sum_metadata(note: SumNote) -> dict[str, str]:
    """Metadata of the checksum object, which tell without reading it that something could not be read.

    The archive itself cannot have them: its own are set before its first byte is there.
    """
    return {_ID: note.id, _UNREAD: f"{note.unread.count}"} if note.unread.count else {}


def unread_count(metadata: Mapping[str, str], archive_id: str) -> int:
    """How many paths of an archive could not be read, by the metadata of the checksum object beside it."""
    said = {name.lower(): value for name, value in metadata.items()}
    return (_whole(said.get(_UNREAD, "")) or 0) if said.get(_ID) == archive_id else 0


def parse_sum(data: bytes) -> SumNote | None:
    """Read what ``format_sum`` wrote; None if it is something else, such as another program's."""
    first, *lines = data.decode(errors="surrogateescape").split("\n")
    found = _SUM.fullmatch(first)
    if found is None:
        return None
    said: dict[str, str] = {}
    warnings: list[str] = []
    unread: list[bytes] = []
    rows: dict[tuple[str, ...], int] = {}
    for comment in filter(None, map(_COMMENT.fullmatch, lines)):
        if comment[1] == "warning":
            warnings.append(comment[2])
        elif comment[1] == "unread path":
            unread.append(unquote_to_bytes(comment[2]).lstrip(b"/"))
        elif comment[1] == "rows":
            number, _, name = comment[2].partition(" ")
            rows[tuple(map(_unpercented, name.split("/")))] = _whole(number) or 0
        else:
            said.setdefault(comment[1], comment[2])
    if not said.get("id"):
        return None
    return SumNote(
        digest=found["digest"],
        name=found["name"].replace("\\\\", "\\") if found["escaped"] else found["name"],
        id=said["id"],
        owner=_owner(said),
        started=_moment(said.get("started", "")),
        stored=_whole(said.get("bytes stored", "")),
        read=_whole(said.get("bytes read", "")),
        seconds=_number(said.get("seconds", "")),
        warnings=tuple(warnings),
        index=_digest(said.get("index", "")),
        metadata=_digest(said.get("metadata", "")),
        told=_told(said),
        unread=Unread(max(len(unread), _whole(said.get("unread", "")) or 0), tuple(unread)),
        counted=Counted(rows, _digest(said.get("structure", ""))),
        more_rows=_pair(said.get("more rows", "")),
    )


def read_sum(store: Store, key: str) -> SumNote | None:
    """The note beside an archive; None, with a warning, if the object is longer than any of ours.

    Args:
        key: the archive's.

    Raises:
        StoreError: it is not there, or cannot be read.
    """
    data = read_at_most(store, sum_key(key), LONGEST_SUM)
    if len(data) > LONGEST_SUM:
        logger.warning("%s is not used: it is longer than checksums are (%d bytes)", sum_key(key), LONGEST_SUM)
        return None
    return parse_sum(data)


def read_own_sum(store: Store, key: str, archive_id: str) -> SumNote | None:
    """The same, of the archive with an id; None as well if it speaks of another one, that lies or lay there.

    Raises:
        StoreError: see ``read_sum``.
    """
    note = read_sum(store, key)
    return note if note is not None and note.id == archive_id else None


def _warning_lines(warnings: Sequence[str]) -> list[str]:
    lines: list[str] = []
    room = _LONGEST_WARNINGS
    for number, warning in enumerate(warnings):
        line = f"# warning {warning}"
        room -= _size(line)
        if room < 0:
            return [*lines, f"# {len(warnings) - number} more warnings"]
        lines.append(line)
    return lines


def _unread_lines(unread: Unread, room: int) -> list[str]:
    lines = [f"# unread {unread.count}"] if unread.count else []
    for path in unread.paths:
        line = f"# unread path /{quote_from_bytes(path, _PLAIN)}"
        if _size(line) <= room:
            room -= _size(line)
            lines.append(line)
    return lines


def _rows_lines(counted: Counted, room: int) -> list[str]:
    """A line for each table, as many as there is room for; of the others one with their number and that of all rows."""
    lines: list[str] = []
    room -= _LONGEST_REST
    rows = sorted(counted.rows.items())
    for number, (table, count) in enumerate(rows):
        line = f"# rows {count} {'/'.join(map(_percented, table))}"
        room -= _size(line)
        if room < 0:
            rest = rows[number:]
            return [*lines, f"# more rows {len(rest)} {sum(count for _, count in rest)}"]
        lines.append(line)
    return lines


def _percented(name: str) -> str:
    return quote(name, _PLAIN.replace("/", ""), errors="surrogateescape")


def _unpercented(name: str) -> str:
    return unquote(name, errors="surrogateescape")


def _size(line: str) -> int:
    """Bytes of a line with its end."""
    return len(line.encode(errors="surrogateescape")) + 1


def _sum_line(digest: str, name: str) -> str:
    # coreutils marks a line whose name holds a backslash with a backslash in front, and doubles it in the name.
    if "\\" in name:
        return "\\" + digest + "  " + name.replace("\\", "\\\\")
    return f"{digest}  {name}"


def _owner(said: Mapping[str, str]) -> Owner:
    if {"host", "source"} <= said.keys():
        return Owner(said["host"], SourceName.parse(said["source"]))
    return UNKNOWN_OWNER


def _told(said: Mapping[str, str]) -> Mapping[str, str]:
    """The archive's metadata, if they are there, and whole."""
    found = {name: value for name, value in said.items() if name.startswith(METADATA_PREFIX)}
    return found if metadata_digest(found) == said.get("metadata") else {}


def _digest(text: str) -> str:
    """Half of one, in an object that is cut off, is not the digest of something else."""
    return text if _DIGEST.fullmatch(text) else ""


def _whole(text: str) -> int | None:
    return int(text) if _WHOLE.fullmatch(text) else None


def _pair(text: str) -> tuple[int, int]:
    first, _, second = text.partition(" ")
    return _whole(first) or 0, _whole(second) or 0


def _number(text: str) -> float | None:
    return float(text) if _NUMBER.fullmatch(text) else None


def _moment(text: str) -> datetime | None:
    try:
        return parse_time(text)
    except ValueError:
        return None
