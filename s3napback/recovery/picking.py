"""PATHs of a directory fetched by the indexes of its archives: of each a smaller archive, of what matters to them.

It holds those members that would reach tar if all of the archive were read, byte for byte, in the same order; so all
that comes after it goes the same way. What a later archive of the chain brings anew is left out of the earlier ones,
unless a link there leads to it. Whatever is irregular is read whole, which takes longer and is as right.
"""

from __future__ import annotations

import logging
import posixpath
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from s3napback.catalogue.contents import CataloguedArchive
from s3napback.errors import StoreError
from s3napback.index.headers import Headers, UnknownForm
from s3napback.index.lines import FILE, FOLDER, LINK, SYMLINK, Entry
from s3napback.records import dataclass
from s3napback.recovery.opening.decoder import Decoder
from s3napback.recovery.opening.indexed import can_be_entered, enter, look_up
from s3napback.recovery.opening.ranges import Content, Irregular
from s3napback.recovery.paths import WantedPaths
from s3napback.streams.tar_headers import BLOCK_SIZE, DIRECTORY, HARD_LINK, REGULAR, SYMBOLIC_LINK, plain_name
from s3napback.streams.tar_stream import END_MARK
from s3napback.streams.transformations import Block

logger = logging.getLogger("s3napback")

MOST_MEMBERS = 50_000
"""Of one archive that are fetched in parts: for more than these it is read whole."""

_LONGEST_HEADERS = 1 << 25
"""Bytes of one member, which a folder of a million names needs."""

_LONGEST_NAMES = 1 << 24
"""Bytes of the names of all members that are fetched in parts; for more an archive is read whole."""

_MOST_ROUNDS = 3
"""Readings of an index. What tar writes has no link that leads to a link, and needs two."""

_TYPES = ((REGULAR, FILE), (DIRECTORY, FOLDER), (HARD_LINK, LINK), (SYMBOLIC_LINK, SYMLINK))
_WORTH_WHILE = 0.7
"""Where the segments that are needed are more than this part of an archive, it is read whole."""


@dataclass(frozen=True)
class _Picked:
    """What matters of one archive."""

    content: Content
    entries: Sequence[Entry]


def in_parts(decoder: Decoder, chain: Sequence[CataloguedArchive], wanted: WantedPaths) -> Decoder:
    """The same decoder, that reads what it can of a chain in parts.

    Says of each archive that is read whole although it has an index why that is.

    Args:
        chain: oldest first.
        wanted: the paths.
    """
    parts: dict[str, Callable[[], Iterator[Block]]] = {}
    newer: set[bytes] = set()
    linked: set[bytes] = set()
    for archive in reversed(chain):
        if not can_be_entered(decoder, archive):
            # What it brings is not known, and nothing in front of it may be left out because of that.
            continue
        try:
            picked = _pick(decoder, archive, wanted)
        except StoreError as error:
            logger.info("%s is read whole: %s", decoder.transport.address(archive), error)
            continue
        linked |= {_plain(entry.more) for entry in picked.entries if entry.type == LINK}
        left = [each for each in picked.entries if each.type != FILE or _plain(each.path) not in newer - linked]
        parts[archive.key] = _stream_of(replace(picked, entries=left))
        newer |= {_plain(entry.path) for entry in picked.entries if entry.type == FILE}
    return replace(decoder, parts=parts)


def _pick(decoder: Decoder, archive: CataloguedArchive, wanted: WantedPaths) -> _Picked:
    """What would reach tar of an archive.

    Raises:
        Irregular: it is to be read whole.
        StoreError: it cannot be read.
    """
    entered = enter(decoder, archive)
    names: frozenset[str] = frozenset()
    for _ in range(_MOST_ROUNDS):
        found: list[Entry] = []
        choice = _Choice(wanted, names, frozenset(map(posixpath.dirname, names)), found)
        content = look_up(decoder, entered, choice.is_of_interest, choice.take)
        targets = {_text(entry.more) for entry in found if entry.type == LINK}
        missing = frozenset(target for target in targets if not wanted.include(target)) - names
        if not missing:
            break
        names |= missing
    else:
        raise Irregular("hard links in it lead to hard links")
    size = archive.stored.size
    if content.cost((entry.start, entry.end) for entry in found) > _WORTH_WHILE * size:
        raise Irregular("nearly all of it is needed")
    return _Picked(content, found)


@dataclass
class _Choice:
    """The choice from one index.

    Attributes:
        wanted: the paths.
        targets: names of what chosen hard links lead to, and is not among them.
        folders: names of those in which that lies.
        found: what was chosen.
    """

    wanted: WantedPaths
    targets: frozenset[str]
    folders: frozenset[str]
    found: list[Entry]
    _length: int = 0

    def is_of_interest(self, folder: bytes) -> bool:
        """Whether something in a folder may be chosen."""
        name = _text(folder)
        return self.wanted.include(name) or name in self.wanted.above or name in self.folders

    def take(self, entry: Entry) -> None:
        """Choose it, or not."""
        name = _text(entry.path)
        is_chosen = self.wanted.include(name) or name in self.targets
        if is_chosen or (entry.type == FOLDER and name in self.wanted.above):
            if len(self.found) >= MOST_MEMBERS:
                raise Irregular(f"more than {MOST_MEMBERS} members of it are needed")
            self._length += len(entry.path) + len(entry.more)
            if self._length > _LONGEST_NAMES or entry.content - entry.start > _LONGEST_HEADERS:
                raise Irregular("names in it are too long to be remembered")
            self.found.append(entry)


def _stream_of(picked: _Picked) -> Callable[[], Iterator[Block]]:
    def stream() -> Iterator[Block]:
        for entry in picked.entries:
            headers = picked.content.read(entry.start, entry.content)
            _require_same(headers, entry)
            yield headers
            yield from picked.content.pieces(entry.content, entry.end)
        yield END_MARK

    return stream


def _require_same(raw: bytes, entry: Entry) -> None:
    try:
        headers = Headers(raw)
        is_same = headers.path.rstrip(b"/") == entry.path and (
            entry.type == FOLDER or headers.stored_size + -headers.stored_size % BLOCK_SIZE == entry.end - entry.content
        )
        is_same = is_same and all((headers.type == type_) == (entry.type == word) for type_, word in _TYPES)
        is_same = is_same and (entry.type not in (LINK, SYMLINK) or headers.link == entry.more)
    except (UnknownForm, ValueError, IndexError):
        is_same = False
    if not is_same:
        raise Irregular("a member of the archive is not the one of which its index tells")


def _text(path: bytes) -> str:
    return plain_name(path.decode("utf-8", "surrogateescape"))


def _plain(path: bytes) -> bytes:
    return _text(path).encode("utf-8", "surrogateescape")
