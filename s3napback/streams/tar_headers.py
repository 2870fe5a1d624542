"""A member's headers as GNU tar writes them for us, read strictly: what tar could read otherwise than we do is refused.

Formats: POSIX.1-2001 ("pax Interchange Format"), with GNU's records for incremental archives and sparse files (tar's
manual, "Dumpdir" and "Storing Sparse Files"), and the older GNU format, in which the original tool's archives are.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from typing import NamedTuple

from s3napback.records import dataclass
from s3napback.regexes import regex
from s3napback.streams.dumpdirs import MalformedArchive, check_dumpdir, entries_of

BLOCK_SIZE = 512
"""Bytes; headers and contents are padded to it."""

EXTENDED, GLOBAL, LONG_NAME, LONG_LINK = b"x", b"g", b"L", b"K"
"""Headers whose content describes the member after them."""
REGULAR, HARD_LINK, SYMBOLIC_LINK, DIRECTORY, OLD_DIRECTORY = b"0", b"1", b"2", b"5", b"D"
CHARACTER_DEVICE, BLOCK_DEVICE, PIPE = b"3", b"4", b"6"

DUMPDIR = b"GNU.dumpdir"
"""The record of what a directory held."""

_MAGICS = (b"ustar\x0000", b"ustar  \x00")
_TYPES = frozenset(b"0123456DxgLK")
WITH_CONTENT = frozenset((REGULAR, OLD_DIRECTORY, EXTENDED, GLOBAL, LONG_NAME, LONG_LINK))
"""Types that something may follow; nothing does behind the others."""
_SIZE = regex(rb"[0-7]{11}[\0 ]")
_MODE = regex(rb" *[0-7]{1,8}[\0 ]*")
_CHECKSUM = regex(rb" *([0-7]{1,7})[\0 ]*")
_USUAL = regex(rb"[0-7]{7}\0.{16}([0-7]{11})\0.{12}(.{8})([0-6DxgLK]).{100}ustar(?:\x0000|  \0)", re.DOTALL)
"""From its mode on, a header as GNU tar writes nearly all: size, checksum and type."""
RECORD = regex(rb"([1-9][0-9]{0,9}) ([A-Za-z][^=\0]*)=")
"""How a record of an extended header begins: its length, and its keyword."""
_KEYWORD = regex(rb"[A-Za-z0-9._-]+")
NUMBER = regex(rb"0|[1-9][0-9]{0,18}")
_NAMES = (b"path", b"linkpath", b"GNU.sparse.name")
PAIRED = (b"GNU.sparse.offset", b"GNU.sparse.numbytes")
OLD_SPARSE = {b"GNU.sparse.size", b"GNU.sparse.numblocks", b"GNU.sparse.map", *PAIRED}
_NEW_SPARSE = {b"GNU.sparse.major", b"GNU.sparse.minor", b"GNU.sparse.realsize"}
_ONCE = ({*_NAMES, b"size", DUMPDIR} | OLD_SPARSE | _NEW_SPARSE) - {*PAIRED}
_TIMES = frozenset((b"mtime", b"atime", b"ctime"))
_PLAIN = _TIMES | {b"path", b"linkpath", DUMPDIR}
_VENDOR = b"SCHILY."
_ATTRIBUTES = b"SCHILY.xattr."
SHADOWS = "trusted.SGI_ACL_"
"""How the names begin of attributes in which XFS shows lists of access rights once more.

To have them archived would make them attributes of their own elsewhere, which some may not set, and which stay as they
are when the list is changed.
"""
_SHADOWS = _ATTRIBUTES + SHADOWS.encode()
WITHOUT_SHADOWS = f"--xattrs-exclude={SHADOWS}*"
_ESCAPED = regex(rb"%(?:25|3D)")
"""What tar writes in the name of an attribute for ``%`` and ``=`` (``xattr_encode_keyword`` in ``xheader.c``)."""
_TIME = regex(rb"([0-9]{1,12})(?:\.([0-9]{1,9}))?")


Records = Mapping[bytes, bytes]
"""Extended records by keyword. Of those that come more than once, only that they came is known."""


class Header(NamedTuple):
    """One header block.

    Attributes:
        block: its bytes.
        type: one byte.
        size: bytes of what follows it, by the block alone.
    """

    block: bytes
    type: bytes
    size: int


def read_header(block: bytes) -> Header:
    """Read one block that is not empty.

    Raises:
        MalformedArchive: it is no header, or of a type that tar writes for nobody of ours.
    """
    usual = _USUAL.match(block, 100)
    total = sum_of(block[:256]) + sum_of(block[256:]) - sum(block[148:156]) + 8 * 32
    if usual is not None and usual[2] == b"%06o\0 " % total:
        kind, size = usual[3], int(usual[1], 8)
    else:
        kind, size = _type_and_size(block, total)
    if size and kind not in WITH_CONTENT:
        raise MalformedArchive(f"it holds a member that has content and must have none (of type {kind!r})")
    return Header(block, kind, size)


def _type_and_size(block: bytes, total: int) -> tuple[bytes, int]:
    """Those of a header whose numbers are not all written in the usual way."""
    found = _CHECKSUM.fullmatch(block, 148, 156)
    if found is None or total != int(found[1], 8):
        raise MalformedArchive("the content is not a whole tar archive: a header in it is damaged")
    if block[257:265] not in _MAGICS or block[156] not in _TYPES:
        raise MalformedArchive(f"it holds a member of a kind that s3napback never writes ({block[156:157]!r})")
    # tar knows further forms of numbers; in one of them "+0000755" is the mode of a setuid program.
    if not _MODE.fullmatch(block, 100, 108):
        raise MalformedArchive(f"it holds a member whose permissions are no octal number ({block[100:108]!r})")
    return block[156:157], size_in(block)


def sum_of(half: bytes) -> int:
    """The sum of at most 256 bytes, without a loop: the low half of Adler's checksum, less one (RFC 1950, section 9).

    It counts modulo 65,521, which so few bytes do not reach.
    """
    return (zlib.adler32(half) & 0xFFFF) - 1


def size_in(block: bytes) -> int:
    """The size that a header block tells; raises ``MalformedArchive`` if it tells none."""
    if _SIZE.fullmatch(block, 124, 136):
        return int(block[124:135], 8)
    if block[124:128] == b"\x80\0\0\0" and block[128] < 0x80:
        return int.from_bytes(block[128:136], "big")
    raise MalformedArchive("a header in it tells no size")


@dataclass(eq=False)
class Member:
    """One member of an archive, by its headers. Is not changed once it is made; there may be millions of them.

    Attributes:
        header: the last of its headers.
        size: bytes of its content in the archive, without padding.
        raw: all its headers with their contents, as they stand in the archive.
        records: its extended records.
        long_name: of the older GNU format.
        long_link: the same, of a link's target.
        listed: a directory's entries, in the same format.
        is_plain: its records tell nothing but times, names, and what a directory held.
        path: its name as the archive has it.
        name: relative to the root directory, which is empty itself; without ``.`` and slashes at its ends. Bytes that
            are not UTF-8 are escaped as ``surrogateescape`` does.
    """

    header: Header
    size: int
    raw: Sequence[bytes]
    records: Records = field(default_factory=dict)
    long_name: bytes | None = None
    long_link: bytes | None = None
    listed: bytes | None = None
    is_plain: bool = field(init=False)
    path: bytes = field(init=False)
    name: str = field(init=False)

    def __post_init__(self) -> None:
        self.is_plain = self.records.keys() <= _PLAIN
        self.path = path = self._path()
        self.name = plain_name(path.decode("utf-8", "surrogateescape"))

    def _path(self) -> bytes:
        records = self.records
        if b"path" in records and self.is_plain:
            return records[b"path"]
        for keyword in () if self.is_plain else (b"GNU.sparse.name", b"path"):
            if keyword in records:
                return records[keyword]
        if self.long_name is not None:
            return self.long_name
        block = self.header.block
        name = block[:100].split(b"\0", 1)[0]
        # Only POSIX's format keeps a first part of long names apart.
        if block[345] and block[257:263] == b"ustar\0":
            return b"%s/%s" % (block[345:500].split(b"\0", 1)[0], name)
        return name

    @property
    def type(self) -> bytes:
        """One byte, as in the archive."""
        return self.header.type

    @property
    def is_directory(self) -> bool:
        """It is one, in either format."""
        return self.header.type in (DIRECTORY, OLD_DIRECTORY)

    @property
    def link(self) -> bytes:
        """What a link's target is called in the archive; of a symbolic link what it says. Empty if it is none."""
        if self.header.type not in (HARD_LINK, SYMBOLIC_LINK):
            return b""
        if b"linkpath" in self.records:
            return self.records[b"linkpath"]
        return self.header.block[157:257].split(b"\0", 1)[0] if self.long_link is None else self.long_link

    @property
    def link_target(self) -> str:
        """Name of the member that it is another name of; empty if it is none."""
        if self.header.type != HARD_LINK:
            return ""
        return plain_name(self.link.decode("utf-8", "surrogateescape"))

    @property
    def owner(self) -> int:
        """The user id."""
        return self._number(b"uid", slice(108, 116))

    @property
    def group(self) -> int:
        """The group's id."""
        return self._number(b"gid", slice(116, 124))

    @property
    def permissions(self) -> int:
        """The lower twelve bits of the mode."""
        text = self.header.block[100:108]
        return (
            int(text[:7], 8) & 0o7777
            if text[:7].isdigit() and not text[7]
            else self._number(b"", slice(100, 108)) & 0o7777
        )

    @property
    def dumpdir(self) -> bytes | None:
        """Of a directory in an incremental archive: what it held."""
        return self.records.get(DUMPDIR, self.listed) if self.records else self.listed

    @property
    def entries(self) -> Iterator[str]:
        """The names of all that the directory held, be it in this archive or not."""
        for entry in entries_of(self.dumpdir or b""):
            if entry:
                yield entry[1:].decode("utf-8", "surrogateescape")

    @property
    def folders(self) -> Iterator[str]:
        """Those of these names that were of folders, or of what is never archived."""
        for entry in entries_of(self.dumpdir or b""):
            if entry.startswith(b"D"):
                yield entry[1:].decode("utf-8", "surrogateescape")

    def whole_headers(self) -> Sequence[bytes]:
        """All its headers as they stand in the archive."""
        return self.raw

    @property
    def attributes(self) -> Mapping[bytes, bytes]:
        """Its extended attributes by their names; lists of access rights, and their shadows, are none."""
        if self.is_plain:
            return {}
        return {
            _ESCAPED.sub(lambda found: bytes.fromhex(found[0][1:].decode()), keyword[len(_ATTRIBUTES) :]): value
            for keyword, value in self.records.items()
            if keyword.startswith(_ATTRIBUTES) and not keyword.startswith(_SHADOWS)
        }

    @property
    def has_attributes(self) -> bool:
        """Whether it has any, or a list of access rights."""
        return not self.is_plain and any(keyword.startswith(_VENDOR) for keyword in self.records)

    @property
    def modified_ns(self) -> int:
        """Nanoseconds since 1970 at which it was modified; -1 where that cannot be told for certain."""
        found = _TIME.fullmatch(self.records.get(b"mtime", b""))
        if found is not None:
            return int(found[1]) * 1_000_000_000 + int((found[2] or b"").ljust(9, b"0"))
        if b"mtime" in self.records or not _SIZE.fullmatch(self.header.block, 136, 148):
            return -1
        return int(self.header.block[136:147], 8) * 1_000_000_000

    def has_attribute(self, name: bytes) -> bool:
        """Whether it has an extended attribute."""
        return _ATTRIBUTES + name in self.records

    def _number(self, keyword: bytes, place: slice) -> int:
        if keyword in self.records:
            return int(self.records[keyword])
        text = self.header.block[place]
        if text[0] & 0x80:
            return int.from_bytes(text[1:], "big")
        digits = text.strip(b"\0 ")
        try:
            return int(digits, 8) if digits else 0
        except ValueError as error:
            raise MalformedArchive(f"it holds an owner that is no number ({text!r})") from error


def plain_name(name: str) -> str:
    """A member's name without what does not matter: ``./a//b/./c/`` is ``a/b/c``."""
    # Folders end in one slash.
    name = name[:-1] if name.endswith("/") else name
    if name.startswith(("/", ".")) or "/." in name or "//" in name or name.endswith("/"):
        return "/".join(part for part in name.split("/") if part not in ("", "."))
    return name


def read_records(content: bytes, end: int | None = None, *, checks_entries: bool = True) -> dict[bytes, bytes]:
    """The records of an extended header.

    Args:
        content: of the extended header. It is not copied as a whole: a list of entries can be a large one.
        end: where the records end, and what fills the content up begins; None is the end of all.
        checks_entries: a list of a directory's entries must pass ``check_dumpdir``.

    Raises:
        MalformedArchive: they are not of the form that tar writes.
    """
    records: dict[bytes, bytes] = {}
    # Places and lengths of a sparse file's data come in pairs, and count together.
    paired: dict[bytes, list[bytes]] = {}
    position, end = 0, len(content) if end is None else end
    while position < end:
        found = RECORD.match(content, position, end)
        after = position + int(found[1]) if found else 0
        if found is None or found.end() >= after or after > end or content[after - 1 : after] != b"\n":
            raise MalformedArchive("a record in it is broken")
        keyword, value = found[2], content[found.end() : after - 1]
        position = after
        if keyword in _TIMES:
            records[keyword] = value
            continue
        _check_record(keyword, value, records)
        if keyword in PAIRED:
            paired.setdefault(keyword, []).append(value)
        else:
            records[keyword] = value
    if paired:
        records.update((keyword, b",".join(values)) for keyword, values in paired.items())
    if checks_entries and DUMPDIR in records:
        check_dumpdir(records[DUMPDIR])
    return records


def _check_record(keyword: bytes, value: bytes, before: Records) -> None:
    # Names of attributes hold what they like; tar passes over blanks before the others.
    if not keyword.startswith(_ATTRIBUTES) and not _KEYWORD.fullmatch(keyword):
        raise MalformedArchive(f"a record in it has a name that tar never writes ({keyword!r:.200})")
    if keyword in _ONCE and (keyword in before or (b"\0" in value and keyword != DUMPDIR)):
        raise MalformedArchive(f"a record in it is there twice, or holds what it cannot ({keyword!r})")
    if keyword in PAIRED and not NUMBER.fullmatch(value):
        raise MalformedArchive("it holds a place in a sparse file that is no number")
    if keyword.startswith(b"GNU.volume."):
        raise MalformedArchive("it is a part of an archive in several volumes, which s3napback never writes")


def checked_member(member: Member) -> Member:
    """A member whose records fit together.

    Raises:
        MalformedArchive: they do not, or it names what lies elsewhere.
    """
    path = member.path
    if path.startswith(b"/") or (b".." in path and b".." in path.split(b"/")):
        raise MalformedArchive(f"it holds a member with a name that leads out of it ({path!r:.200})")
    kind = member.header.type
    if not path or (kind in (HARD_LINK, SYMBOLIC_LINK) and not member.link):
        raise MalformedArchive("it holds a member or a link without a name")
    if kind == HARD_LINK and (member.link.startswith(b"/") or b".." in member.link.split(b"/")):
        raise MalformedArchive(f"it holds a link to a name that leads out of it ({member.link!r:.200})")
    if path.endswith(b"/") and not member.is_directory:
        raise MalformedArchive(f"it holds a member that is named like a directory, and is none ({path!r:.200})")
    if not (member.is_plain and (kind == DIRECTORY or DUMPDIR not in member.records)):
        _check_records(member)
    return member


def _check_records(member: Member) -> None:
    records = member.records
    if b"size" in records and member.type != REGULAR:
        raise MalformedArchive("it holds a record of a size where there is no content")
    if any(each in records and not NUMBER.fullmatch(records[each]) for each in (b"uid", b"gid")):
        raise MalformedArchive("it holds an owner that is no number")
    if DUMPDIR in records and member.type != DIRECTORY:
        raise MalformedArchive("it holds a list of entries of something that is no directory")


def stored_size(header: Header, records: Records) -> int:
    """Bytes of a member's content in the archive."""
    if b"size" not in records:
        return header.size
    if not NUMBER.fullmatch(records[b"size"]):
        raise MalformedArchive("it holds a size that is no number")
    return int(records[b"size"])
