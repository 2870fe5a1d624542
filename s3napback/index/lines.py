"""The members of an archive as lines that a person can read, in the order of the archive, deflated as they come.

::

    :2
    kind 0 folder 755 0 0 0
    0 5 1790000000 srv/data
    :7 srv/data
    kind 1 file 644 1000 1000 3
    1 1200 1790000001.123456789 letter.txt

A line that begins with a colon tells where in the archive that begins of which the next lines tell, in blocks of 512
bytes, and the folder in which it lies; folders themselves lie in none. A kind has a number, a type, permissions, user
and group, and the blocks that a member's headers take. A member's line has its kind, its size, its time of
modification, its name, and after a tab what a link leads to, a device's number, or the bytes that a sparse file takes
in the archive. A folder's has in place of the size the blocks of its headers, and its whole path.

Behind the members stands what they do not tell of the names in a folder, which ``::`` and its path, relative to the
source, begin: ``Y`` is one that was there and could not be read, ``N`` one that is left out by a pattern, ``D`` in a
DIFF a folder or what is never archived, and ``-`` one that the archive before it had, and that is gone. In a DIFF,
names that neither its members nor these lines tell of are as they were; the folders are all among the members.

So each member begins where the one before it ends, and whoever looks for one reads the lines of its folder.
Backslash, newline and tab in names are ``\\\\``, ``\\n``, ``\\t``.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from isal import isal_zlib

from s3napback.durable import create_private
from s3napback.index.headers import Headers, UnknownForm, number
from s3napback.index.line_text import escaped, moment_text, unescaped
from s3napback.index.records import DamagedIndex
from s3napback.records import dataclass
from s3napback.regexes import regex
from s3napback.streams.tar_headers import BLOCK_SIZE

FILE, LINK, SYMLINK, CHARACTER, BLOCK, FOLDER, PIPE = (
    b"file",
    b"link",
    b"symlink",
    b"char",
    b"block",
    b"folder",
    b"pipe",
)
TYPES = {b"0": FILE, b"1": LINK, b"2": SYMLINK, b"3": CHARACTER, b"4": BLOCK, b"5": FOLDER, b"6": PIPE}
"""By the types of tar's headers."""

_DEVICES = (CHARACTER, BLOCK)

LONGEST_LINE = 1 << 16
"""Bytes; a path has at most 4,096, a link's target as many, and each may be escaped."""

_LEVEL = 3  # of ISA-L, which is ten times as fast as zlib's 6, and makes a twentieth more
_GZIP = 31  # zlib's largest window, with gzip's header and trailer
_MOST_KINDS = 10_000
_GATHERED = 512  # lines that are deflated together
_PLACE = regex(rb":([0-9]{1,16})(?: (.*))?", re.DOTALL)
_KINDS = regex(rb"^kind .*$", re.MULTILINE)
_KIND = regex(rb"kind ([0-9]{1,9}) ([a-z]{4,7}) ([0-7]{1,4}) ([0-9]{1,20}) ([0-9]{1,20}) ([0-9]{1,9})")
_MEMBER = regex(rb"([0-9]{1,9}) ([0-9]{1,19}) (-?[0-9]{1,19})(?:\.([0-9]{9}))? ([^\t]+)(?:\t(.+))?", re.DOTALL)
_NUMBER = regex(rb"[0-9]{1,19}")
_NONE_UNKNOWN = (-1, -1)
# Of whom a user namespace does not know, the kernel says in a list of access rights that he is -1.
_UNKNOWN_IN_LIST = regex(rb" SCHILY\.acl\.[a-z]+=(?:[a-z]+:[^:\n]*:[rwx-]{3}\n)*(?:user|group):4294967295:")


@dataclass(frozen=True)
class Lines:
    """The lines of one archive, in a file that holds them deflated.

    Attributes:
        path: of the file.
        secret: with which the archive begins.
        length: bytes of the lines.
        sha256: of these.
    """

    path: Path
    secret: bytes
    length: int
    sha256: bytes


class LineWriter:
    """Writes the lines. A context manager, for one thread.

    Attributes:
        problem: why they cannot be written, as on a full disk; empty if they can. The archive does not need them.
        has_unknown_owners: a member belongs to a user or group that stands for unknown ones.
        has_unknown_in_lists: a list of access rights (ACL) names one.
    """

    def __init__(self, path: Path, unknown: tuple[int, int] = _NONE_UNKNOWN) -> None:
        """Describe them.

        Args:
            path: of a file that does not exist.
            unknown: see ``owners.unknown_ids``.
        """
        self.problem = ""
        self.has_unknown_owners = self.has_unknown_in_lists = False
        self._path = path
        self._unknown = unknown
        self._file: BinaryIO | None = None
        self._deflate = isal_zlib.compressobj(_LEVEL, wbits=_GZIP)
        self._hash = hashlib.sha256()
        self._length = 0
        self._labels: dict[tuple[bytes, ...], bytes] = {}
        self._kinds = 0
        self._pending: list[bytes] = []
        self._learned: list[bytes] = []
        self._place: bytes | None = b""
        self._told: bytes | None = None

    def __enter__(self) -> LineWriter:
        try:
            os.close(create_private(self._path))
            self._file = cast(BinaryIO, self._path.open("r+b", buffering=0))
        except OSError as error:
            self.problem = f"{self._path}: {error.strerror}"
        return self

    def __exit__(self, *_error: object) -> None:
        if self._file is not None:
            self._file.close()

    def label(self, kind: bytes, mode: int, owner: int, group: int, blocks: int) -> bytes:
        """What a kind of member is called in its line."""
        key = (kind, b"%o %d %d %d" % (mode, owner, group, blocks))
        if key not in self._labels:
            if len(self._labels) >= _MOST_KINDS:
                self._labels.clear()
            self._labels[key] = b"%d" % self._kinds
            self._kinds += 1
            self.has_unknown_owners |= owner == self._unknown[0] or group == self._unknown[1]
            self._learned.append(b"kind %s %s\n" % (self._labels[key], b" ".join(key)))
        return self._labels[key]

    def note_lists(self, headers: Headers) -> None:
        """Take note of the lists of access rights of a member that usual headers do not tell all of."""
        if self._unknown != _NONE_UNKNOWN and not self.has_unknown_in_lists:
            self.has_unknown_in_lists = bool(_UNKNOWN_IN_LIST.search(headers.group))

    def write(self, folder: bytes, lines: Iterable[bytes], start: int) -> None:
        """Write the lines of members in one folder.

        Args:
            folder: as the archive names it.
            lines: of ``line``.
            start: where the first of them begins in the archive, in bytes.
        """
        if folder != self._place or not folder:
            self._begin(b":%d %s\n" % (start // BLOCK_SIZE, escaped(folder)), folder)
        self._add(lines)

    def _add(self, lines: Iterable[bytes]) -> None:
        if self._learned:
            self._pending += self._learned
            self._learned.clear()
        self._pending += lines
        if len(self._pending) > _GATHERED:
            self._flush()

    def write_folder(self, line: bytes, start: int) -> None:
        """Write the line of a folder, whose headers begin at ``start``."""
        if self._place is not None:
            self._begin(b":%d\n" % (start // BLOCK_SIZE), None)
        self._add((line,))

    def write_names(self, folder: bytes, names: Iterable[bytes]) -> None:
        """Write what the members do not tell of a folder, whose path is relative to the source: letters with names."""
        for name in names:
            if folder != self._told:
                self._pending.append(b"::%s\n" % escaped(folder))
                self._told = folder
            self._pending.append(b"%s\n" % escaped(name))
            if len(self._pending) > _GATHERED:
                self._flush()

    def _begin(self, line: bytes, place: bytes | None) -> None:
        self._place = place
        self._pending.append(line)

    def line(self, headers: Headers, name: bytes) -> bytes:
        """The line of a member that is no folder.

        Raises:
            UnknownForm: it is of no type that tar writes for us.
        """
        kind = TYPES.get(headers.type)
        if kind is None or kind == FOLDER:
            raise UnknownForm(f"a member is of the type {headers.type!r}")
        self.note_lists(headers)
        mode, owner, group = headers.kind
        label = self.label(kind, mode & 0o7777, owner, group, len(headers.group) // BLOCK_SIZE)
        size = headers.real_size if kind == FILE else 0
        line = b"%s %d %s %s" % (label, size, moment_text(*headers.modified), escaped(name))
        if more := _more(kind, headers, size):
            line += b"\t" + more
        return line + b"\n"

    def _flush(self) -> None:
        text = b"".join(self._pending)
        self._pending.clear()
        self._hash.update(text)
        self._length += len(text)
        self._put(self._deflate.compress(text))

    def _put(self, data: bytes) -> None:
        try:
            rest = memoryview(data)
            while rest and self._file is not None and not self.problem:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            self.problem = f"{self._path}: {error.strerror}"

    def finish(self, secret: bytes) -> Lines | None:
        """Nothing more comes. None if they could not be written."""
        self._flush()
        self._put(self._deflate.flush())
        return None if self.problem else Lines(self._path, secret, self._length, self._hash.digest())


def _more(kind: bytes, headers: Headers, size: int) -> bytes:
    if kind in (LINK, SYMLINK):
        return escaped(headers.link)
    if kind in _DEVICES:
        return b"%d %d" % (number(headers.block[329:337]), number(headers.block[337:345]))
    return b"%d" % headers.stored_size if kind == FILE and headers.stored_size != size else b""


class Entry(NamedTuple):
    """One member, as a line tells.

    Attributes:
        path: as it stands in the archive; of a folder without the slash at its end.
        type: ``FILE`` and so on.
        mode: its permissions.
        size: bytes of its content once it is restored.
        seconds: of its modification, since 1970.
        more: what stands behind the tab, unescaped; empty if nothing does.
        start: where its headers begin in the archive's stream, in bytes.
        content: where its content begins.
        end: where the next member begins.
    """

    path: bytes
    type: bytes
    mode: int
    owner: int
    group: int
    size: int
    seconds: int
    nanoseconds: int
    more: bytes
    start: int
    content: int
    end: int


Kinds = dict[bytes, tuple[bytes, int, int, int, int]]


def read_entries(blocks: Iterable[bytes], wants: Callable[[bytes], bool] = lambda _folder: True) -> Iterator[Entry]:
    """Read lines.

    Args:
        blocks: of the text.
        wants: whether what lies in a folder is of interest, which is named as in the archive. Folders always are.

    Raises:
        DamagedIndex: they are none, as far as they were of interest.
    """
    kinds: Kinds = {}
    place = _Place()
    for text in whole_lines(blocks):
        first, *others = text.split(b"\n:")
        if first.startswith(b":"):
            place, first = _begun(first[1:], wants)
        yield from place.entries(first, kinds)
        for section in others:
            place, rest = _begun(section, wants)
            yield from place.entries(rest, kinds)


def read_names(blocks: Iterable[bytes]) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Of the same lines, what the members do not tell: a folder, relative to the source, a letter and a name each.

    Raises:
        DamagedIndex: they are none.
    """
    folder: bytes | None = None
    for text in whole_lines(blocks):
        for line in text.split(b"\n"):
            if line.startswith(b":"):
                folder = unescaped(line[2:]) if line.startswith(b"::") else None
            elif folder is not None and line:
                yield folder, line[:1], unescaped(line[1:])


def _begun(section: bytes, wants: Callable[[bytes], bool]) -> tuple[_Place, bytes]:
    line, _, rest = section.partition(b"\n")
    if line.startswith(b":"):
        return _Place(is_of_names=True), rest
    found = _PLACE.fullmatch(b":" + line)
    if found is None:
        raise DamagedIndex(f"a line in it is broken ({line!r:.200})")
    folder = None if found[2] is None else unescaped(found[2])
    return _Place(folder, int(found[1]) * BLOCK_SIZE, folder is None or wants(folder)), rest


@dataclass
class _Place:
    """Where the next lines are."""

    folder: bytes | None = None
    start: int = 0
    is_wanted: bool = True
    is_of_names: bool = False

    def entries(self, text: bytes, kinds: Kinds) -> Iterator[Entry]:
        if self.is_of_names:
            return
        for line in text.split(b"\n") if self.is_wanted else _KINDS.findall(text):
            if found := _MEMBER.fullmatch(line):
                entry = _entry(found, kinds, self.folder, self.start)
                self.start = entry.end
                yield entry
            elif line:
                _learn_kind(line, kinds)


def _learn_kind(line: bytes, kinds: Kinds) -> None:
    found = _KIND.fullmatch(line)
    if found is None or found[2] not in TYPES.values():
        raise DamagedIndex(f"a line in it is broken ({line!r:.200})")
    label, kind, mode, owner, group, length = found.groups()
    if len(kinds) >= 2 * _MOST_KINDS:
        # Nobody speaks of these any more: see LineWriter.label.
        for old in list(kinds)[:_MOST_KINDS]:
            del kinds[old]
    kinds[label] = (kind, int(mode, 8), int(owner), int(group), int(length) * BLOCK_SIZE)


def _entry(found: re.Match[bytes], kinds: Kinds, folder: bytes | None, start: int) -> Entry:
    label, size_text, seconds, fraction, text, more = found.groups()
    if label not in kinds:
        raise DamagedIndex("a member in it is of a kind that it does not tell")
    kind, mode, owner, group, length = kinds[label]
    size, name, more = int(size_text), unescaped(text), unescaped(more or b"")
    if (kind == FOLDER) != (folder is None):
        raise DamagedIndex("a member in it stands where it cannot")
    if kind == FOLDER:
        path, length, size = name, size * BLOCK_SIZE, 0
    else:
        path = b"%s/%s" % (folder, name) if folder else name
    if kind == FILE and more and not _NUMBER.fullmatch(more):
        raise DamagedIndex(f"a member in it takes no number of bytes ({more!r:.200})")
    stored = int(more) if kind == FILE and more else size
    if not length:
        raise DamagedIndex("a member in it has no headers")
    content = start + length
    end = content + stored + -stored % BLOCK_SIZE
    return Entry(path, kind, mode, owner, group, size, int(seconds), int(fraction or 0), more, start, content, end)


def whole_lines(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The text in pieces that end with a line, without the last newline."""
    rest = b""
    for block in blocks:
        whole, newline, rest = (rest + block).rpartition(b"\n")
        if newline:
            yield whole
        if len(rest) > LONGEST_LINE:
            raise DamagedIndex("a line in it is too long")
    if rest:
        raise DamagedIndex("its last line is not whole")
