"""A member's headers as GNU tar writes them for us, read strictly: what tar could read otherwise than we do is refused.

Formats: POSIX.1-2001 ("pax Interchange Format"), with GNU's records for incremental archives and sparse files (tar's
manual, "Dumpdir" and "Storing Sparse Files"), and the older GNU format, in which the original tool's archives are.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from s3napback.errors import PipelineError

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
_WITH_CONTENT = frozenset((REGULAR, OLD_DIRECTORY, EXTENDED, GLOBAL, LONG_NAME, LONG_LINK))
_SIZE = re.compile(rb"[0-7]{11}[\0 ]")
_MODE = re.compile(rb" *[0-7]{1,8}[\0 ]*")
_CHECKSUM = re.compile(rb" *([0-7]{1,7})[\0 ]*")
_RECORD = re.compile(rb"([1-9][0-9]{0,9}) ([A-Za-z][^=\0]*)=")
_KEYWORD = re.compile(rb"[A-Za-z0-9._-]+")
NUMBER = re.compile(rb"0|[1-9][0-9]{0,18}")
_NAMES = (b"path", b"linkpath", b"GNU.sparse.name")
PAIRED = (b"GNU.sparse.offset", b"GNU.sparse.numbytes")
OLD_SPARSE = {b"GNU.sparse.size", b"GNU.sparse.numblocks", b"GNU.sparse.map", *PAIRED}
_NEW_SPARSE = {b"GNU.sparse.major", b"GNU.sparse.minor", b"GNU.sparse.realsize"}
_ONCE = ({*_NAMES, b"size", DUMPDIR} | OLD_SPARSE | _NEW_SPARSE) - {*PAIRED}
_DUMPDIR_LETTERS = frozenset(b"YND")
_ENTRIES = re.compile(rb"(?:[YND](?!\.{1,2}\0)[^/\0]+\0)+\0")
_ATTRIBUTES = b"SCHILY.xattr."


class MalformedArchive(PipelineError):
    """What came out of decompression is no tar archive, or none such as tar writes for s3napback."""


Records = Mapping[bytes, bytes]
"""Extended records by keyword. Of those that come more than once, only that they came is known."""


@dataclass(frozen=True)
class Header:
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
    found = _CHECKSUM.fullmatch(block, 148, 156)
    if found is None or _sum(block[:256]) + _sum(block[256:]) - sum(block[148:156]) + 8 * 32 != int(found[1], 8):
        raise MalformedArchive("the content is not a whole tar archive: a header in it is damaged")
    if block[257:265] not in _MAGICS or block[156] not in _TYPES:
        raise MalformedArchive(f"it holds a member of a kind that s3napback never writes ({block[156:157]!r})")
    # tar knows further forms of numbers; in one of them "+0000755" is the mode of a setuid program.
    if not _MODE.fullmatch(block, 100, 108):
        raise MalformedArchive(f"it holds a member whose permissions are no octal number ({block[100:108]!r})")
    kind = block[156:157]
    size = _size(block)
    if size and kind not in _WITH_CONTENT:
        raise MalformedArchive(f"it holds a member that has content and must have none (of type {kind!r})")
    return Header(block, kind, size)


def _sum(half: bytes) -> int:
    """The sum of at most 256 bytes, without a loop: the low half of Adler's checksum, less one (RFC 1950, section 9).

    It counts modulo 65,521, which so few bytes do not reach.
    """
    return (zlib.adler32(half) & 0xFFFF) - 1


def _size(block: bytes) -> int:
    if _SIZE.fullmatch(block, 124, 136):
        return int(block[124:135], 8)
    if block[124:128] == b"\x80\0\0\0" and block[128] < 0x80:
        return int.from_bytes(block[128:136], "big")
    raise MalformedArchive("a header in it tells no size")


@dataclass(frozen=True)
class Member:
    """One member of an archive, by its headers.

    Attributes:
        header: the last of its headers.
        size: bytes of its content in the archive, without padding.
        raw: all its headers with their contents, as they stand in the archive.
        records: its extended records.
        long_name: of the older GNU format.
        long_link: the same, of a link's target.
    """

    header: Header
    size: int
    raw: Sequence[bytes]
    records: Records = field(default_factory=dict)
    long_name: bytes | None = None
    long_link: bytes | None = None

    @property
    def type(self) -> bytes:
        """One byte, as in the archive."""
        return self.header.type

    @property
    def is_directory(self) -> bool:
        """It is one, in either format."""
        return self.header.type in (DIRECTORY, OLD_DIRECTORY)

    @property
    def path(self) -> bytes:
        """Its name as the archive has it."""
        if self.records:
            for keyword in (b"GNU.sparse.name", b"path"):
                if keyword in self.records:
                    return self.records[keyword]
        if self.long_name is not None:
            return self.long_name
        block = self.header.block
        name = block[:100].split(b"\0", 1)[0]
        # Only POSIX's format keeps a first part of long names apart.
        prefix = block[345:500].split(b"\0", 1)[0] if block[257:263] == b"ustar\0" else b""
        return b"%s/%s" % (prefix, name) if prefix else name

    @property
    def link(self) -> bytes:
        """What a link's target is called in the archive; of a symbolic link what it says. Empty if it is none."""
        if self.header.type not in (HARD_LINK, SYMBOLIC_LINK):
            return b""
        if b"linkpath" in self.records:
            return self.records[b"linkpath"]
        return self.header.block[157:257].split(b"\0", 1)[0] if self.long_link is None else self.long_link

    @cached_property
    def name(self) -> str:
        """Relative to the root directory, which is empty itself; without ``.`` and slashes at its ends.

        Bytes that are not UTF-8 are escaped as ``surrogateescape`` does.
        """
        return plain_name(self.path.decode("utf-8", "surrogateescape"))

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
        return self._number(b"", slice(100, 108)) & 0o7777

    @property
    def dumpdir(self) -> bytes | None:
        """Of a directory in an incremental archive: what it held. None where a later content tells, or nothing does."""
        return self.records.get(DUMPDIR) if self.records else None

    @property
    def entries(self) -> Iterator[str]:
        """The names of all that the directory held, be it in this archive or not."""
        for entry in (self.dumpdir or b"").split(b"\0"):
            if entry:
                yield entry[1:].decode("utf-8", "surrogateescape")

    def whole_headers(self) -> Sequence[bytes]:
        """All its headers as they stand in the archive."""
        return self.raw

    @property
    def attributes(self) -> tuple[bytes, ...]:
        """Names of its extended attributes; lists of access rights are none."""
        if not self.records:
            return ()
        return tuple(each[len(_ATTRIBUTES) :] for each in self.records if each.startswith(_ATTRIBUTES))

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
    if name.startswith(("/", ".")) or "/." in name or "//" in name or name.endswith("/"):
        return "/".join(part for part in name.split("/") if part not in ("", "."))
    return name


_NO_ENTRIES = b"NOT.dumpdir"


def without_entries(member: Member) -> Sequence[bytes]:
    """All headers of a member, the record of what a directory held under a name of the same length that tar ignores."""
    if member.dumpdir is None:
        return member.raw
    headers: list[bytes] = []
    for piece in member.raw:
        is_content = bool(headers) and len(headers) % 2 == 1 and headers[-1][156:157] == EXTENDED
        headers.append(_with_renamed_record(piece) if is_content else piece)
    return headers


def _with_renamed_record(content: bytes) -> bytes:
    position = 0
    while (found := _RECORD.match(content, position)) is not None:
        if found[2] == DUMPDIR:
            return content[: found.start(2)] + _NO_ENTRIES + content[found.end(2) :]
        position += int(found[1])
    return content


def read_records(content: bytes, *, checks_entries: bool = True) -> dict[bytes, bytes]:
    """The records of an extended header.

    Args:
        content: of the extended header.
        checks_entries: a list of a directory's entries must pass ``check_dumpdir``.

    Raises:
        MalformedArchive: they are not of the form that tar writes.
    """
    records: dict[bytes, bytes] = {}
    # Places and lengths of a sparse file's data come in pairs, and count together.
    paired: dict[bytes, list[bytes]] = {}
    position = 0
    while position < len(content):
        found = _RECORD.match(content, position)
        end = position + int(found[1]) if found else 0
        if found is None or found.end() >= end or end > len(content) or content[end - 1 : end] != b"\n":
            raise MalformedArchive("a record in it is broken")
        keyword, value = found[2], content[found.end() : end - 1]
        _check_record(keyword, value, records)
        if keyword in PAIRED:
            paired.setdefault(keyword, []).append(value)
        else:
            records[keyword] = value
        position = end
    records.update((keyword, b",".join(values)) for keyword, values in paired.items())
    if checks_entries and DUMPDIR in records:
        check_dumpdir(records[DUMPDIR])
    return records


def with_record(content: bytes, keyword: bytes, value: bytes) -> bytes:
    """The content of an extended header with another value of a record that is in it."""
    position = 0
    while (found := _RECORD.match(content, position)) is not None:
        end = position + int(found[1])
        if found[2] == keyword:
            rest = b" %s=%s\n" % (keyword, value)
            # The length counts its own digits as well.
            length = len(rest) + len(b"%d" % len(rest))
            length = len(rest) + len(b"%d" % length)
            return content[:position] + b"%d" % length + rest + content[end:]
        position = end
    return content


def extended_header(header: Header, content: bytes) -> bytes:
    """An extended header like another one for other content, with it and its padding."""
    block = header.block[:124] + b"%011o\0" % len(content) + header.block[136:148] + b" " * 8 + header.block[156:]
    checked = block[:148] + b"%06o\0 " % sum(block) + block[156:]
    return checked + content + bytes(-len(content) % BLOCK_SIZE)


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
    if path.startswith(b"/") or b".." in path.split(b"/"):
        raise MalformedArchive(f"it holds a member with a name that leads out of it ({path!r:.200})")
    if not path or (member.type in (HARD_LINK, SYMBOLIC_LINK) and not member.link):
        raise MalformedArchive("it holds a member or a link without a name")
    if member.type == HARD_LINK and (member.link.startswith(b"/") or b".." in member.link.split(b"/")):
        raise MalformedArchive(f"it holds a link to a name that leads out of it ({member.link!r:.200})")
    if not member.is_directory and path.endswith(b"/"):
        raise MalformedArchive(f"it holds a member that is named like a directory, and is none ({path!r:.200})")
    if member.records:
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


def check_dumpdir(dumpdir: bytes) -> None:
    """Accept what a directory held only in the letters that tar writes for us.

    With the others (``R``, ``T``, ``X``) a reading tar renames, to wherever they say; see "Dumpdir" in tar's manual.

    Args:
        dumpdir: entries, each a letter and a name and ended by a NUL, and one more NUL.

    Raises:
        MalformedArchive: it holds anything else.
    """
    if dumpdir == b"\0":
        return
    if _ENTRIES.fullmatch(dumpdir):
        return
    if not dumpdir.endswith(b"\0\0"):
        raise MalformedArchive("a list of a directory's entries in it has lost its end")
    for entry in dumpdir[:-2].split(b"\0"):
        if len(entry) < 2 or entry[0] not in _DUMPDIR_LETTERS or b"/" in entry or entry[1:] in (b".", b".."):
            raise MalformedArchive(
                f"it holds the record of a rename, or another that s3napback never writes ({entry!r:.200}): "
                "somebody else made it"
            )


def stored_size(header: Header, records: Records) -> int:
    """Bytes of a member's content in the archive."""
    if b"size" not in records:
        return header.size
    if not NUMBER.fullmatch(records[b"size"]):
        raise MalformedArchive("it holds a size that is no number")
    return int(records[b"size"])
