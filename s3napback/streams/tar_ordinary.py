"""Ordinary files and folders in a tar archive, of which there may be millions, recognised where they stand. Pure.

``tar_headers.py`` reads a member whatever it is. What is found here are members of which it would say nothing but a
name: files behind one header as GNU tar writes it, or behind one more that tells nothing but a time and a name; and
folders of incremental archives of the same form, read at once. A member of any other form is not judged, but left to
it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from zlib import adler32

from s3napback.records import dataclass
from s3napback.regexes import regex
from s3napback.streams.dumpdirs import is_usual_dumpdir
from s3napback.streams.tar_headers import BLOCK_SIZE, DIRECTORY, DUMPDIR, Header, Member, checked_member


def _block(size: bytes, kind: bytes, mode: bytes = rb"[0-7]{7}") -> bytes:
    """What matches a header as tar writes nearly all: size and checksum; no link, and no first part of the name."""
    return rb".{100}%b\0.{16}(%b)\0.{12}(0[0-7]{5})\0 %b\0{100}ustar\x0000.{80}\0{167}" % (mode, size, kind)


_NAMED = rb"(?=([^\0]{1,100}))"
_HEADER = regex(_NAMED + _block(rb"[0-7]{11}", b"0", rb"0000[0-7]{3}"), re.DOTALL)
"""Of a file with a mode that gives no power: name, size, checksum."""
_DESCRIBED = regex(
    # What most folders are is seen at once by the type of the header behind.
    rb"(?=.{1180}0)" + _block(rb"00000000[0-7]{3}", b"x") + rb"(?:([1-9][0-9]{1,2}) path=([^\0\n]+)\n)?"
    rb"(?:([1-9][0-9]) mtime=[0-9.]{1,24}\n)?",
    re.DOTALL,
)
_LISTED = regex(
    _block(rb"[0-7]{11}", b"x") + rb"(([1-9][0-9]{1,3}) path=([^\0\n]+)\n)?"
    rb"(([1-9][0-9]) mtime=([0-9.]{1,24})\n)?([1-9][0-9]{1,8}) GNU\.dumpdir=",
    re.DOTALL,
)
_FOLDER = regex(_NAMED + _block(rb"0{11}", b"5"), re.DOTALL)
"""Of a folder: the same as of a file."""
_TIME_ALONE = {b"%011o" % size: b"%d" % size for size in range(10, 40)}
"""Of an extended header with a time and nothing else: its size, and how its record writes its own length."""
_EXTENDED, _LINE_END = b"x\n"
_UNUSUAL = regex(rb"/|\.{1,2}(?:/|\Z)|.*/(?:\.{1,2})?(?:/|\Z)", re.DOTALL)
"""Folders whose names can be written shorter, or lead elsewhere."""
_NO_NAMES = (b"", b".", b"..")
_NO_ENTRIES = b"\0"


class _Sums(dict[bytes, int]):
    """The low half of Adler's checksum that a header has, by what it says its sum is.

    Its own field counts as blanks in that (tar's manual, "Basic Tar Format"), and Adler's begins with 1. Adler's counts
    modulo 65,521 (RFC 1950, section 9), which no header comes to that ``_block`` matches.
    """

    def __missing__(self, field: bytes) -> int:
        # There are 32,768 of them, with which a crafted archive would fill three megabytes.
        self[field] = found = int(field, 8) - 8 * ord(" ") + sum(field) + ord(" ") + 1
        return found


_SUMS = _Sums()


@dataclass(frozen=True)
class Passing:
    """Which ordinary files may pass without being looked at one by one.

    Attributes:
        enters: tells it of a folder, named as in the archive: relative, without a slash at its end, as short as can be.
            It is asked in order, whenever files of another folder than before come, at least; each that passes
            lies in the folder for which it was asked last.
        noticed: last parts of names, in small letters, that do not pass; names that are not ASCII do not either, if
            there are any.
        keeps: they remain in the archive, which is chosen from.
    """

    enters: Callable[[bytes], bool]
    noticed: frozenset[bytes] = frozenset()
    keeps: bool = False


def behind_ordinary(block: memoryview, position: int, passing: Passing) -> int:
    """Where the first member begins that is no ordinary file, or that does not pass.

    Args:
        block: a piece of an archive.
        position: where in it a member begins.
        passing: which ones pass.

    Returns:
        A place in the block where a member begins, maybe one whose headers are not whole there; or, beyond the block,
        where the content of the last one ends with its padding.
    """
    sums, noticed = _SUMS, passing.noticed
    last = len(block) - BLOCK_SIZE
    known, is_entered = b"/", False
    while position <= last:
        header, path = position, None
        if block[position + 156] == _EXTENDED:
            header += 2 * BLOCK_SIZE
            described = _DESCRIBED.match(block, position) if header <= last else None
            if described is None or not _is_whole(described):
                break
            if adler32(block[position : position + BLOCK_SIZE]) & 0xFFFF != sums[described[2]]:
                break
            path = described[4]
        found = _HEADER.match(block, header)
        if found is None:
            break
        name, size, checksum = found.groups()
        folder, slash, last_part = (path or name).rpartition(b"/")
        if folder != known:
            known, is_entered = folder, not _UNUSUAL.match(folder) and passing.enters(folder)
        if not is_entered or last_part in _NO_NAMES or (slash and not folder):
            break
        if noticed and (last_part.lower() in noticed or not last_part.isascii()):
            break
        if adler32(block[header : header + BLOCK_SIZE]) & 0xFFFF != sums[checksum]:
            break
        position = header + BLOCK_SIZE + (int(size, 8) + 511 & -512)
    return position


def _is_whole(described: re.Match[bytes]) -> bool:
    """Whether an extended header holds what was found in it and nothing else."""
    size, _, length, path, time = described.groups()
    begin, end = described.start() + BLOCK_SIZE, described.end()
    if path is None:
        return time is not None and _TIME_ALONE.get(size) == time and end - begin == int(time)
    if int(length) != described.end(4) + 1 - begin or int(size, 8) != end - begin:
        return False
    return time is None or int(time) == end - described.start(5)


def ordinary_folder(block: memoryview, position: int) -> Member | None:
    """The folder that begins somewhere, as ``tar_headers.py`` would read it.

    Args:
        block: a piece of an archive.
        position: where in it a member begins.

    Returns:
        None if it is another member or of another form, or if its headers are not whole in the block.

    Raises:
        MalformedArchive: its name leads elsewhere.
    """
    if len(block) - position < 3 * BLOCK_SIZE or block[position + 156] != _EXTENDED:
        return None
    found = _LISTED.match(block, position)
    if found is None:
        return None
    begin, size = position + BLOCK_SIZE, int(found[1], 8)
    own = begin + size + -size % BLOCK_SIZE
    header = _FOLDER.match(block, own)
    if header is None or not (_is_sum(block, position, found[2]) and _is_sum(block, own, header[3])):
        return None
    records = _listed_records(block, found, begin + size)
    if not records:
        return None
    raw = [bytes(block[position:begin]), bytes(block[begin:own]), bytes(block[own : own + BLOCK_SIZE])]
    return checked_member(Member(Header(raw[-1], DIRECTORY, 0), 0, raw, records))


def _listed_records(block: memoryview, found: re.Match[bytes], end: int) -> dict[bytes, bytes]:
    """The records of an extended header that ends somewhere; none if they are of another form than was found."""
    _, _, path, path_length, name, time, time_length, moment, length = found.groups()
    entries = bytes(block[found.end() : end - 1])
    is_usual = entries == _NO_ENTRIES or is_usual_dumpdir(entries)
    if not is_usual or found.start(9) + int(length) != end or block[end - 1] != _LINE_END:
        return {}
    if (path and len(path) != int(path_length)) or (time and len(time) != int(time_length)):
        return {}
    told = ((b"path", name), (b"mtime", moment), (DUMPDIR, entries))
    return {keyword: value for keyword, value in told if value is not None}


def _is_sum(block: memoryview, position: int, checksum: bytes) -> bool:
    """Whether the header that begins somewhere, and is one of ``_block``, has a sum."""
    return adler32(block[position : position + BLOCK_SIZE]) & 0xFFFF == _SUMS[checksum]
