"""The lines of an index read for what they tell of a tree, fast, and no further than somebody wants to know. Pure.

``index/lines.py`` describes them, and reads them for the places of members, which do not matter here.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Protocol

from s3napback.browsing.interest import Interest
from s3napback.browsing.nodes import FolderRow, MemberRow, relative
from s3napback.index.line_text import unescaped
from s3napback.index.lines import FOLDER, LINK, SYMLINK, whole_lines
from s3napback.index.records import DamagedIndex
from s3napback.regexes import regex

_KIND = regex(rb"^kind ([0-9]{1,9}) ([a-z]{4,7}) ([0-7]{1,4}) ([0-9]{1,20}) ([0-9]{1,20}) [0-9]{1,9}$", re.MULTILINE)
_MEMBER = rb"^([0-9]{1,9}) ([0-9]{1,19}) (-?[0-9]{1,19})(?:\.([0-9]{9}))? (%s)(?:\t([^\n]+))?$"
_ALL = regex(_MEMBER % rb"[^\t\n]+", re.MULTILINE)
_PLACE = regex(rb":[0-9]{1,16}(?: (.*))?", re.DOTALL)
_HAS_MORE = regex(rb"symlink|link|char|block")
_MOST = (1 << 63) - 1
"""No file is larger, and no time later."""

_groups = re.Match.groups
Kinds = dict[bytes, tuple[bytes, int, int, int]]


class Listener(Protocol):
    """Who is told."""

    def folders(self, rows: Iterable[FolderRow]) -> None:
        """Folders are in the archive."""
        ...

    def members(self, folder: bytes, rows: Iterable[MemberRow]) -> None:
        """Other members lie in a folder."""
        ...

    def names(self, folder: bytes, entries: Iterable[bytes]) -> None:
        """What members do not tell of a folder's names: a letter and a name each."""
        ...

    def lapsed(self) -> Mapping[bytes, Collection[bytes]]:
        """Names, by their folder, that have to be told of if they are members, whether they are of interest or not."""
        ...


def tell(pieces: Iterable[bytes], top: bytes, wanted: Interest, listener: Listener) -> None:
    """Read lines to their end.

    Args:
        pieces: of the text. What raises there is not caught.
        top: the source as archives name it, without slashes at its ends.
        wanted: what is of interest.
        listener: is told of that in the order of the archive. It counts only if this returns.

    Raises:
        DamagedIndex: they are none.
    """
    reader = _Reader(top, wanted, listener)
    for text in whole_lines(pieces):
        first, *others = text.split(b"\n:")
        if first.startswith(b":"):
            others.insert(0, first[1:])
        else:
            reader.read(first)
        for section in others:
            line, _, rest = section.partition(b"\n")
            reader.begin(line)
            reader.read(rest)


class _Reader:
    def __init__(self, top: bytes, wanted: Interest, listener: Listener) -> None:
        self._top = top
        self._wanted = wanted
        self._listener = listener
        self._kinds: Kinds = {}
        self._folder: bytes | None = None
        self._is_of_names = False
        self._matters = True
        self._literal = wanted.literal
        self._lapsed: Mapping[bytes, Collection[bytes]] | None = None
        self._others: Collection[bytes] = ()

    def begin(self, line: bytes) -> None:
        """A section begins, of whose first line the first colon was taken."""
        self._is_of_names = line.startswith(b":")
        if self._is_of_names:
            self._folder = unescaped(line[1:])
            self._matters = self._wanted.needs(self._folder)
            return
        found = _PLACE.fullmatch(b":" + line)
        if found is None:
            raise DamagedIndex(f"a line in it is broken ({line!r:.200})")
        self._folder = None
        self._matters = True
        if found[1] is not None:
            self._folder = _within(unescaped(found[1]), self._top)
            if self._lapsed is None:
                # All directories stand in front.
                self._lapsed = self._listener.lapsed()
            self._others = self._lapsed.get(self._folder, ())
            self._matters = bool(self._others) or self._wanted.concerns(self._folder)

    def read(self, text: bytes) -> None:
        if not text:
            return
        if self._is_of_names:
            if self._matters and self._folder is not None:
                self._listener.names(self._folder, [unescaped(line) for line in text.split(b"\n") if line])
            return
        if b"kind " in text:
            self._learn_kinds(text)
        if self._folder is None:
            self._listener.folders(self._folder_rows(text))
        elif self._matters and (self._others or not self._literal or self._literal in text):
            self._listener.members(self._folder, self._rows(self._folder, text))

    def _learn_kinds(self, text: bytes) -> None:
        for label, kind, mode, owner, group in _KIND.findall(text):
            self._kinds[label] = (kind, int(mode, 8), int(owner), int(group))

    def _folder_rows(self, text: bytes) -> Iterator[FolderRow]:
        needs = self._wanted.needs
        for label, _length, seconds, fraction, name, _more in map(_groups, _ALL.finditer(text)):
            kind, mode, owner, group = self._kind(label)
            if kind != FOLDER:
                raise DamagedIndex("a member in it stands where it cannot")
            path = _within(unescaped(name), self._top)
            if needs(path):
                yield FolderRow(path, mode, owner, group, _number(seconds), int(fraction or 0))

    def _rows(self, folder: bytes, text: bytes) -> Iterator[MemberRow]:
        others = self._others
        includes = self._wanted.includes
        for found in self._candidates(text, b"" if others else self._literal):
            label, size, seconds, fraction, name, more = found
            name = unescaped(name)
            if not includes(folder, name) and name not in others:
                continue
            kind, mode, owner, group = self._kind(label)
            length, said = _number(size), b""
            if more and _HAS_MORE.fullmatch(kind):
                said = unescaped(more)
                if kind == LINK:
                    said = _within(said, self._top)
                elif kind == SYMLINK:
                    length = len(said)
            yield MemberRow(name, kind, mode, owner, group, length, _number(seconds), int(fraction or 0), said)

    def _candidates(self, text: bytes, literal: bytes) -> Iterable[tuple[bytes, ...]]:
        if not literal:
            return map(_groups, _ALL.finditer(text))
        # To look for a few bytes alone is many times as fast as to read each line.
        lines = (_ALL.fullmatch(line) for line in _lines_with(literal, text))
        return [found.groups() for found in lines if found]

    def _kind(self, label: bytes) -> tuple[bytes, int, int, int]:
        try:
            return self._kinds[label]
        except KeyError:
            raise DamagedIndex("a member in it is of a kind that it does not tell") from None


def _lines_with(literal: bytes, text: bytes) -> Iterator[bytes]:
    at = text.find(literal)
    while at >= 0:
        end = text.find(b"\n", at)
        end = len(text) if end < 0 else end
        yield text[text.rfind(b"\n", 0, at) + 1 : end]
        at = text.find(literal, end)


def _number(text: bytes) -> int:
    number = int(text)
    if not -_MOST <= number <= _MOST:
        raise DamagedIndex("a member in it has a number larger than any")
    return number


def _within(path: bytes, top: bytes) -> bytes:
    found = relative(path, top)
    if found is None:
        raise DamagedIndex(f"it tells of {path!r:.200}, which does not lie in the source")
    return found
