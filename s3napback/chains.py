"""What is remembered of a source: the chain to its newest archive, and what that was made with. Pure.

A chain is a FULL and the DIFFs after it, oldest first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import field, replace
from functools import lru_cache

from s3napback.kinds import SourceName
from s3napback.records import dataclass
from s3napback.rotation import ArchiveType


@dataclass(frozen=True)
class Memory:
    """What a source needs to remember of an archive in order to build a DIFF on it.

    Attributes:
        snapshot: name of the file beside the state that holds GNU tar's snapshot; empty if there is none.
        snapshot_sha256: of that file, in hexadecimal.
        notes: what other kinds of source remember, such as a revision.
        index: name of the file beside it that tells what the archives hold; empty if there is none, as in chains that
            an earlier version began.
        index_sha256: of that file, in hexadecimal.
    """

    snapshot: str = ""
    snapshot_sha256: str = ""
    notes: Mapping[str, str] = field(default_factory=dict)
    index: str = ""
    index_sha256: str = ""


@dataclass(frozen=True)
class Link:
    """One archive of a chain.

    Attributes:
        id: its identity in the store.
        key: where it lies.
        day: the day it counts for, as a day number.
        size: bytes in the store.
        memory: what a DIFF on it needs; None for archives too old to be built on.
    """

    id: str
    key: str
    slot: int
    type: ArchiveType
    day: int
    size: int = 0
    memory: Memory | None = None


@dataclass(frozen=True)
class BegunUpload:
    """An archive on its way into the store: its key, and its id, which is empty if an earlier version noted it."""

    key: str
    id: str


@dataclass(frozen=True)
class Stored:
    """What was seen of an archive of ours when it had arrived, so that a listing can tell that it is there still.

    Attributes:
        mark: the store's, which tells it from every other object under its key.
        host: of whom the archive is.
        source: the same, ``Directory /etc``.
        id: the archive's.
        parent: id of the archive that it builds on; empty for a FULL.
        day: that it counts for, as a day number.
        is_encrypted: it is.
    """

    mark: str
    host: str
    source: str
    id: str
    parent: str = ""
    day: int = 0
    is_encrypted: bool = False


MOST_STORED = 1_000
"""Archives of one name that a listing is enough for; of further ones, the oldest, the store is asked."""


Links = tuple[Link, ...]
"""A chain as it is remembered, or the part of one that a DIFF builds on."""


@dataclass(frozen=True)
class History:
    """What is remembered of a source, as far as it matters to the next archive.

    Attributes:
        chain: to the newest archive.
        schedule: the schedule's description when the chain was made.
        content: what shaped the chain's content then: settings by name.
    """

    chain: Links = ()
    schedule: str = ""
    content: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class SourceState:
    """What is remembered of one name.

    Attributes:
        name: the key base, without prefix.
        source: what is kept under it, ``Directory /etc``.
        cycle: the Cycle's name, or empty.
        history: the chain and what it was made with.
        had_content: the source held something when it was backed up last.
        taken_over: owners whose archives this name may replace, as ``--take-over`` allowed.
        expected_sizes: bytes that an archive of each type is likely to need, by type.
        stored: archives of this name, by key, as they were seen in the store.
    """

    name: str
    source: SourceName
    cycle: str
    history: History = field(default_factory=History)
    had_content: bool = False
    taken_over: tuple[str, ...] = ()
    expected_sizes: dict[str, int] = field(default_factory=dict)
    stored: Mapping[str, Stored] = field(default_factory=dict)

    @property
    def newest(self) -> Link | None:
        """The archive committed last."""
        return self.history.chain[-1] if self.history.chain else None


def base_for_slot(chain: Links, slot: int, period_is_newest: bool) -> Links:
    """The part of the chain that stays when ``slot`` is filled.

    Filling the newest archive's own slot once more replaces that archive, so the new one builds on its parent and
    nothing that changed in between is lost.
    """
    if chain and chain[-1].slot == slot and period_is_newest:
        return chain[:-1]
    return chain


def extended_chain(base: Links, link: Link) -> Links:
    """The chain with a new archive. Only the newest and its parent keep what a DIFF on them needs.

    The parent does because filling the newest slot once more builds on it.
    """
    older = (replace(old, memory=None) if old.memory else old for old in base[:-1])
    return (*older, *base[-1:], link)


_LONGEST_LIST = 2_000
"""Characters of a list that state keeps word by word."""


def abbreviated(content: Mapping[str, object]) -> dict[str, object]:
    """Settings as state keeps them: of a long list a digest, since each source would keep the whole of it.

    What an earlier version kept comes out the same. For whom archives are encrypted is asked for by others.
    """
    return {name: value if name == "GpgRecipient" else _abbreviated(value) for name, value in content.items()}


def _abbreviated(value: object) -> object:
    words = value if isinstance(value, list) and all(isinstance(word, str) for word in value) else ()
    return _digest(tuple(words)) if sum(map(len, words)) > _LONGEST_LIST else value


@lru_cache(maxsize=8)
def _digest(words: tuple[str, ...]) -> str:
    lines = "\0".join(words).encode("utf-8", "surrogateescape")
    return f"sha256 of {len(words)}: {hashlib.sha256(lines).hexdigest()}"


def with_stored(
    known: Mapping[str, Stored], key: str, stored: Stored, superseded: Collection[str]
) -> dict[str, Stored]:
    """What is remembered of archives, with a new one and without those that it supersedes; the newest ones only."""
    found = {old: each for old, each in known.items() if old not in {key, *superseded}} | {key: stored}
    return dict(sorted(found.items(), key=lambda item: -item[1].day)[:MOST_STORED])
