"""What is remembered of each name in a directory, and the bytes that it is kept in. Pure.

A name is *stored* (its record says what the archive holds), *unread* (it was listed, and is in no archive of the chain
as it was), or *left out* (a pattern excludes it). Of any other name nothing is known: it was a directory, a socket, on
another file system, or not there.

A part is up to ``PART`` names of one directory, in the order of the bytes, as columns: equal things lie side by side
and are deflated well. A file takes some 20 bytes.
"""

from __future__ import annotations

import os
import stat
import struct
import sys
import zlib
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from isal import isal_zlib

STORED, UNREAD, LEFT_OUT, DIRECTORY = b"S", b"Y", b"N", b"D"
"""First byte of an entry, before the name. Those but ``STORED`` are tar's own letters (its manual, "Dumpdir")."""

ASKED = b"A"
"""The same of a name that is unread so far and was never known before: only such a one can turn out to be left out."""

NOBODYS = b"O"
"""The same of what is no directory, and archived by nobody, as a socket. Older indexes call it ``DIRECTORY``."""

SHUT_OUT = b"T"
"""The same of a directory that a pattern or a tag leaves out of all archives of the chain. Older indexes call it
``DIRECTORY``."""

PART = 4096
"""Names that are looked at together."""

NANOSECONDS = 1_000_000_000

Kind = tuple[int, int, int]
"""Type with permissions as in ``st_mode``, user and group."""

Record = tuple[Kind, int, int, int]
"""Kind; measure; seconds since 1970; nanoseconds.

The measure is a regular file's size, a device's number, and a symbolic link's length and checksum.
"""

_HEAD = struct.Struct("<III")
_KIND = struct.Struct("<IQQ")
_LEVEL = 1  # of ISA-L, which takes a third of zlib's time, and makes a twentieth more
_WINDOW = -15  # raw deflate's, as an exponent of two
_TINY = 400  # bytes
_AS_IT_IS, _DEFLATED = b"=", b"z"


class DamagedIndex(Exception):
    """What was read is no part of an index."""


@dataclass(frozen=True)
class Part:
    """Names of one directory with what is known of them.

    Attributes:
        entries: a letter and a name each, in order.
        records: of those that are ``STORED``, in the same order.
        encoded: the bytes that it was read from; empty if it was made.
    """

    entries: Sequence[bytes]
    records: Sequence[Record] = ()
    encoded: bytes = field(default=b"", compare=False, repr=False)

    @property
    def as_passed_over(self) -> bytes:
        """The list of names that tar writes where it takes none of those that are stored, and all else is as it was."""
        return (b"\0" + b"\0".join(self.entries)).replace(b"\0" + STORED, b"\0" + LEFT_OUT)[1:]

    @cached_property
    def stored(self) -> Mapping[bytes, Record]:
        """The records by name."""
        names = (entry[1:] for entry in self.entries if entry.startswith(STORED))
        return dict(zip(names, self.records, strict=True))

    @cached_property
    def _letters(self) -> Mapping[bytes, bytes]:
        return {entry[1:]: entry[:1] for entry in self.entries}

    def look_up(self, name: bytes) -> tuple[bytes, Record | None]:
        """The letter of a name, empty if it is not among these, and its record if it is stored."""
        if record := self.stored.get(name):
            return STORED, record
        return self._letters.get(name, b""), None

    def with_changes(self, changes: Mapping[bytes, Record | bytes]) -> Part:
        """The same with other records or letters for some names; names that are not in it are passed over."""
        entries, records = [], []
        old = iter(self.records)
        for entry in self.entries:
            was = next(old) if entry[:1] == STORED else None
            now = changes.get(entry[1:], was)
            if now == LEFT_OUT and entry[:1] != ASKED:
                now = was
            if isinstance(now, tuple):
                entries.append(STORED + entry[1:])
                records.append(now)
            else:
                entries.append(entry if now is None else now + entry[1:])
        return Part(entries, records)


def encode(part: Part) -> bytes:
    """The bytes that ``decode`` makes the same part of."""
    return part.encoded or _encoded(b"\0".join(part.entries), part.records)


def encode_names(names: bytes) -> bytes:
    """The same of entries without records, a zero byte between each and the next."""
    return _encoded(names, ())


def encode_taken(names: bytes, changes: Mapping[bytes, Record | bytes]) -> bytes | None:
    """The same where changes tell that all names are stored, and of these alone; None if they do not.

    Args:
        names: a part's entries, a zero byte between each and the next.
        changes: see ``Part.with_changes``.
    """
    if UNREAD + (b"\0" + UNREAD).join(changes) != names:
        return None
    records = [change for change in changes.values() if isinstance(change, tuple)]
    return _encoded(STORED + (b"\0" + STORED).join(changes), records) if len(records) == len(changes) else None


def _encoded(names: bytes, records: Sequence[Record]) -> bytes:
    if not records:
        return _deflated(_HEAD.pack(len(names), 0, 0) + names)
    of_records, measures, seconds, nanoseconds = zip(*records, strict=True)
    count = len(records)
    if of_records.count(of_records[0]) == count:
        kinds, numbers = {of_records[0]: 0}, bytes(2 * count)
    else:
        kinds = {}
        numbers = _column("H", [kinds.setdefault(kind, len(kinds)) for kind in of_records])
    columns = (
        *(_KIND.pack(*kind) for kind in kinds),
        numbers,
        _column("q", measures + seconds),
        _column("I", nanoseconds) if any(nanoseconds) else bytes(4 * count),
    )
    return _deflated(b"".join((_HEAD.pack(len(names), count, len(kinds)), names, *columns)))


def _column(code: str, values: Iterable[int]) -> bytes:
    column = array(code, values)
    if sys.byteorder == "big":
        column.byteswap()
    return column.tobytes()


def _deflated(content: bytes) -> bytes:
    # Most directories are small; to deflate them would take longer than all the rest.
    if len(content) < _TINY:
        return _AS_IT_IS + content
    return _DEFLATED + isal_zlib.compress(content, _LEVEL, _WINDOW)


def _inflated(data: bytes) -> bytes:
    return data[1:] if data[:1] == _AS_IT_IS else zlib.decompress(data[1:], _WINDOW)


def decode(data: bytes) -> Part:
    """Read a part.

    Raises:
        DamagedIndex: it is none.
    """
    try:
        content = _inflated(data)
        length, count, kind_count = _HEAD.unpack_from(content)
        at = _HEAD.size
        entries = content[at : at + length].split(b"\0") if length else []
        at += length
        kinds: list[Kind] = list(_KIND.iter_unpack(content[at : at + kind_count * _KIND.size]))
        at += kind_count * _KIND.size
        numbers = struct.unpack_from(f"<{count}H", content, at)
        columns = [struct.unpack_from(f"<{count}q", content, at + count * start) for start in (2, 10)]
        nanoseconds = struct.unpack_from(f"<{count}I", content, at + count * 18)
        records = list(zip([kinds[number] for number in numbers], *columns, nanoseconds, strict=True))
    except (zlib.error, struct.error, IndexError, ValueError) as error:
        raise DamagedIndex(str(error)) from error
    return Part(entries, records, data)


def link_measure(target: bytes) -> int:
    """The measure of a symbolic link by what it says."""
    return len(target) << 32 | zlib.crc32(target)


def has_measure(status: os.stat_result, measure: int, name: bytes, folder: int) -> bool:
    """Whether what was looked at has a measure.

    Args:
        status: what it is.
        measure: of a record of the same type.
        name: under which it lies in ``folder``, a descriptor; a symbolic link is read there.

    Raises:
        OSError: it cannot be read.
    """
    if stat.S_ISREG(status.st_mode):
        return status.st_size == measure
    if stat.S_ISLNK(status.st_mode):
        return link_measure(os.readlink(name, dir_fd=folder)) == measure
    return stat.S_ISFIFO(status.st_mode) or status.st_rdev == measure
