"""PATHs of a directory fetched by the indexes of its archives: of each a smaller archive, of what matters to them.

It holds those members that would reach tar if all of the archive were read, byte for byte, in the same order; so all
that comes after it goes the same way. What a later archive of the chain brings anew is left out of the earlier ones,
unless a link there leads to it. Whatever is irregular is read whole, which takes longer and is as right.
"""

from __future__ import annotations

import logging
import posixpath
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import islice

from s3napback.catalogue.contents import CataloguedArchive
from s3napback.errors import StoreError
from s3napback.index.lines import FOLDER, LINK, Entry
from s3napback.records import dataclass
from s3napback.recovery.chosen import ChosenMembers, name_mark, text_of
from s3napback.recovery.opening.decoder import Decoder, Parts, Portion
from s3napback.recovery.opening.indexed import can_be_entered, enter, look_up
from s3napback.recovery.opening.ranges import Content, Irregular, StoredRanges
from s3napback.recovery.paths import WantedPaths
from s3napback.streams.tar_stream import END_MARK
from s3napback.streams.transformations import Block

logger = logging.getLogger("s3napback")

MOST_MEMBERS = 50_000
"""Of one archive that are fetched in parts: where more are needed it is read whole, unless it is a large one."""

_MOST_OF_ALL = 500_000
"""The same of an archive of any size. It takes 30 MB of memory."""

_WORTH_A_MEMBER = 20_000
"""Bytes of an archive that are read in the time in which one member is found and fetched."""

_MOST_NEWER = 200_000
"""Files of which is remembered that a later archive brings them. It takes 20 MB of memory."""

_LONGEST_HEADERS = 1 << 25
"""Bytes of one member, which a folder of a million names needs."""

_LONGEST_TARGETS = 1 << 24
"""Bytes of all that hard links lead to which are fetched in parts; for more an archive is read whole."""

_GATHERED = 1 << 18
"""Bytes of members that are passed on together, as most are small."""

_MOST_ROUNDS = 3
"""Readings of an index. What tar writes has no link that leads to a link, and needs two."""

_WORTH_WHILE = 0.7
"""Where the segments that are needed are more than this part of an archive, it is read whole."""


@dataclass(frozen=True)
class _Picked:
    """What matters of one archive."""

    stored: StoredRanges
    content: Content
    members: ChosenMembers


def in_parts(decoder: Decoder, chain: Sequence[CataloguedArchive], wanted: WantedPaths) -> Decoder:
    """The same decoder, that reads what it can of a chain in parts.

    Says of each archive that is read whole although it has an index why that is.

    Args:
        chain: oldest first.
        wanted: the paths.
    """
    parts: dict[str, Parts] = {}
    newer: set[bytes] = set()
    linked: set[bytes] = set()
    for archive in reversed(chain):
        if not can_be_entered(decoder, archive):
            # What it brings is not known, and nothing in front of it may be left out because of that.
            continue
        try:
            picked = _pick(decoder, archive, wanted)
            linked.update(map(name_mark, picked.members.targets))
            needed = replace(picked, members=picked.members.without(newer - linked))
            # Be it read whole or not: what it brings is known.
            newer.update(islice(picked.members.files(), max(0, _MOST_NEWER - len(newer))))
            readings = 1 + needed.members.needs_two + bool(decoder.decryption.signer)
            _require_worth_while(needed, archive, readings)
        except StoreError as error:
            logger.info("%s is read whole: %s", decoder.transport.address(archive), error)
        else:
            parts[archive.key] = _stream_of(needed)
    return replace(decoder, parts=parts)


def _pick(decoder: Decoder, archive: CataloguedArchive, wanted: WantedPaths) -> _Picked:
    """What would reach tar of an archive.

    Raises:
        Irregular: it is to be read whole.
        StoreError: it cannot be read.
    """
    entered = enter(decoder, archive)
    most = min(_MOST_OF_ALL, max(MOST_MEMBERS, archive.stored.size // _WORTH_A_MEMBER))
    names: frozenset[str] = frozenset()
    for _ in range(_MOST_ROUNDS):
        found = ChosenMembers(wanted.include)
        choice = _Choice(wanted, names, frozenset(map(posixpath.dirname, names)), most, found)
        content = look_up(decoder, entered, choice.is_of_interest, choice.take)
        missing = frozenset(target for target in found.targets if not wanted.include(target)) - names
        if not missing:
            break
        names |= missing
    else:
        raise Irregular("hard links in it lead to hard links")
    return _Picked(entered.stored, content, found)


def _require_worth_while(picked: _Picked, archive: CataloguedArchive, readings: int) -> None:
    """Look whether an archive has to be fetched nearly as a whole.

    Args:
        readings: of a whole archive: one for its signature comes first, and one for what links lead to last.

    Raises:
        Irregular: it has, which is quicker in order.
    """
    cost = picked.content.cost((each.start, each.end) for each in picked.members)
    if cost > _WORTH_WHILE * readings * archive.stored.size:
        raise Irregular("nearly all of it is needed")


@dataclass
class _Choice:
    """The choice from one index.

    Attributes:
        wanted: the paths.
        targets: names of what chosen hard links lead to, and is not among them.
        folders: names of those in which that lies.
        most: members that may be chosen.
        found: what was chosen.
    """

    wanted: WantedPaths
    targets: frozenset[str]
    folders: frozenset[str]
    most: int
    found: ChosenMembers
    _length: int = 0

    def is_of_interest(self, folder: bytes) -> bool:
        """Whether something in a folder may be chosen."""
        name = text_of(folder)
        return self.wanted.include(name) or name in self.wanted.above or name in self.folders

    def take(self, entry: Entry) -> None:
        """Choose it, or not."""
        name = text_of(entry.path)
        is_chosen = self.wanted.include(name) or name in self.targets
        if is_chosen or (entry.type == FOLDER and name in self.wanted.above):
            if len(self.found) >= self.most:
                raise Irregular(f"more than {self.most} members of it are needed")
            self._length += len(entry.more) if entry.type == LINK else 0
            if self._length > _LONGEST_TARGETS or entry.content - entry.start > _LONGEST_HEADERS:
                raise Irregular("names in it are too long to be remembered")
            self.found.add(entry)


def _stream_of(picked: _Picked) -> Parts:
    def stream(part: Portion) -> Iterator[Block]:
        places = ((place.start, place.end) for place in picked.members.part(part))
        picked.stored.announce(picked.content.stored_ranges(places, picked.stored.size))
        with closing(picked.stored):
            yield from _passing(picked, part)
        yield END_MARK

    return stream


def _passing(picked: _Picked, part: Portion) -> Iterator[Block]:
    gathered = bytearray()
    for place in picked.members.part(part):
        headers = picked.content.read(place.start, place.content)
        if not place.is_of(headers):
            raise Irregular("a member of the archive is not the one of which its index tells")
        gathered += headers
        for piece in picked.content.pieces(place.content, place.end):
            gathered += piece
            if len(gathered) >= _GATHERED:
                yield bytes(gathered)
                gathered.clear()
    if gathered:
        yield bytes(gathered)
