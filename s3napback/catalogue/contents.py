"""What a store holds: every archive with what it says of itself, and which of them can be restored.

Read from the store alone, so that it works on a bare machine: one listing, and the metadata of every archive asked for
in parallel.
"""

from __future__ import annotations

import logging
import sys
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import field, replace
from datetime import datetime
from functools import cached_property, partial

from s3napback.archives import ArchiveRecord, Owner, join_prefix, misnamed, split_key
from s3napback.catalogue.indexes import is_index_key
from s3napback.catalogue.remembering import HeadMemory
from s3napback.catalogue.sums import is_sum_key, sum_key, unread_count
from s3napback.crews import Crew
from s3napback.errors import StoreError, StoreUnreachable
from s3napback.kinds import SourceName, kind_of
from s3napback.original.chains import OriginalArchive
from s3napback.original.contents import original_archives
from s3napback.records import dataclass
from s3napback.rotation import ArchiveType, day_date
from s3napback.stores import Store, StoredObject
from s3napback.watch.keys import is_word_key
from s3napback.watch.proofs import Known, Seen, is_proof_key, known_of

logger = logging.getLogger("s3napback")

PARALLEL_REQUESTS = 32
"""Metadata requests under way at once."""


@dataclass(frozen=True, slots=True)
class CataloguedArchive:
    """One archive in the store.

    Attributes:
        stored: the object.
        base: the key without prefix, slot and type.
        record: what its metadata says; None if it says nothing that we understand.
        flaw: what is wrong with it, or why the store does not tell its metadata, as a clause; empty if it does.
    """

    stored: StoredObject
    base: str
    record: ArchiveRecord | None
    flaw: str = ""

    @property
    def key(self) -> str:
        """The object's key, with the prefix."""
        return self.stored.key

    @property
    def slot(self) -> int:
        """The slot that the key names."""
        parts = split_key(self.key)
        return parts[1] if parts else 0


@dataclass(frozen=True, slots=True)
class Chain:
    """What has to be restored, in order, to get an archive's content.

    Attributes:
        archives: a FULL and the DIFFs on it, oldest first; empty if the chain is broken.
        problem: why it is broken, as one clause; empty if it is whole.
        is_outlived: it is broken because the rotation has gone on, and filled the slot of its FULL anew.
    """

    archives: tuple[CataloguedArchive, ...] = ()
    problem: str = ""
    is_outlived: bool = False


@dataclass(frozen=True)
class Catalogue:
    """Everything found below a prefix.

    Attributes:
        archives: in the order of keys.
        sums: the checksum objects, by key.
        others: keys that are neither an archive's nor of what lies beside one, nor of the word of a run.
        gone: keys of which the store has notes of its own, and no object.
        original: what the original tool left, newest first; its chunks are among the others.
        passed_over: keys of archives that nobody asked for, and of which no more is known than that they are there.
        indexes: the index objects, by key.
        proofs: what drills and verify left, by key.
        vanished: keys of archives that were listed, and were not there when they were looked at, with their key bases.
    """

    archives: tuple[CataloguedArchive, ...]
    sums: Mapping[str, StoredObject] = field(default_factory=dict)
    others: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    original: tuple[OriginalArchive, ...] = ()
    passed_over: frozenset[str] = frozenset()
    indexes: Mapping[str, StoredObject] = field(default_factory=dict)
    proofs: Mapping[str, StoredObject] = field(default_factory=dict)
    vanished: Mapping[str, str] = field(default_factory=dict)

    def chain(self, archive: CataloguedArchive) -> Chain:
        """The chain that ends with ``archive``; links are found by identity, never by slot."""
        links = [archive]
        seen = set()
        while True:
            record = links[-1].record
            if record is None:
                return Chain(problem=links[-1].flaw or "it has no metadata")
            if why := misnamed(links[-1].key, record):
                return Chain(problem=_said_of_the_first(links, why))
            if record.type is ArchiveType.FULL:
                return Chain(tuple(reversed(links)))
            parent = self._by_id.get(record.parent)
            if parent is None:
                return self._without_parent(links)
            if parent.key in seen:
                return Chain(problem="its metadata names parents in a circle")
            seen.add(parent.key)
            links.append(parent)

    def newest_chains(self) -> dict[Owner, Chain]:
        """Of every source of every host the newest chain that is whole."""
        found: dict[Owner, Chain] = {}
        for archive in sorted(self.archives, key=newest_first):
            if archive.record and archive.record.owner not in found and (chain := self.chain(archive)).archives:
                found[archive.record.owner] = chain
        return found

    def with_id(self, identity: str) -> CataloguedArchive | None:
        """The archive of an identity; None if it is not there."""
        return self._by_id.get(identity)

    def called(self, names: Collection[str], sources: Collection[SourceName]) -> list[CataloguedArchive]:
        """The archives of any of some sources, and those under any of some names, in the order of keys.

        Args:
            names: key bases; an archive bears that of its key, and the one that its source has outside of Cycles.
            sources: as metadata call them.
        """
        signs: list[str | SourceName] = [*names, *sources]
        found = {number for sign in signs for number in self._by_sign.get(sign, ())}
        return [self.archives[number] for number in sorted(found)]

    @cached_property
    def _by_sign(self) -> Mapping[str | SourceName, Sequence[int]]:
        """Places of archives by everything that they can be called: each is looked for a thousand times."""
        found: dict[str | SourceName, list[int]] = {}
        for number, archive in enumerate(self.archives):
            signs: list[str | SourceName] = [archive.base]
            if archive.record:
                source = archive.record.owner.source
                signs += [source, own_name(source)]
            for sign in dict.fromkeys(signs):
                found.setdefault(sign, []).append(number)
        return found

    @cached_property
    def known(self) -> Mapping[str, Known]:
        """What is known of each archive that was read by a drill, or by verify, by its key."""
        listed = {archive.key: archive.stored.modified for archive in self.archives}
        return known_of({**listed, **{key: found.modified for key, found in self.proofs.items()}})

    @cached_property
    def drills(self) -> Mapping[str, Seen]:
        """The newest drill of each archive that was drilled, by its key."""
        return {key: known.drill for key, known in self.known.items() if known.drill}

    @cached_property
    def _by_id(self) -> dict[str, CataloguedArchive]:
        return {archive.record.id: archive for archive in self.archives if archive.record}

    @cached_property
    def _by_base(self) -> dict[str, list[CataloguedArchive]]:
        """Under each key base its archives, the lowest slot first."""
        found: dict[str, list[CataloguedArchive]] = {}
        for archive in sorted(self.archives, key=lambda each: each.slot):
            found.setdefault(archive.base, []).append(archive)
        return found

    def _without_parent(self, links: Sequence[CataloguedArchive]) -> Chain:
        """A chain of which the parent of the last link is missing; what became of that the slots below tell."""
        last = links[-1]
        below = [other for other in self._by_base[last.base] if other.slot < last.slot]
        fulls = [other for other in below if other.record and other.record.type is ArchiveType.FULL]
        nameless = [other for other in below if other.record is None]
        why, is_outlived = "the archive it builds on is no longer in the store", False
        if nameless:
            lost = "cannot be looked at" if nameless[-1].flaw else "has lost its metadata"
            why = f"the archive it builds on is missing, unless it is {nameless[-1].key}, which {lost}"
        elif fulls and newest_first(fulls[-1]) < newest_first(last):
            why, is_outlived = f"its FULL was overwritten: {fulls[-1].key} is of {_date(fulls[-1])}", True
        elif fulls and {*range(fulls[-1].slot, last.slot)} <= {other.slot for other in below}:
            why = f"an archive from {fulls[-1].key} on is another one than it was, such as an older version put back"
        elif fulls:
            why = f"an archive between {fulls[-1].key} and it is missing"
        return Chain(problem=_said_of_the_first(links, why), is_outlived=is_outlived)


def _said_of_the_first(links: Sequence[CataloguedArchive], why: str) -> str:
    return why if len(links) == 1 else f"it builds on {links[-1].key}, which cannot be restored: {why}"


def own_name(source: SourceName) -> str:
    """The key base that a source has where no Cycle qualifies it; what no key can be where its kind is not known."""
    return kind_of(source.kind).key_base(source.target) if source.kind else "\0"


def newest_first(archive: CataloguedArchive) -> tuple[float, int, int, str]:
    """A sort key: by when the backup began, the newest first; archives without metadata by when they were stored.

    Of those begun in the same second the one of the later day, then of the higher slot, is the newer.
    """
    return -started(archive).timestamp(), -(archive.record.day if archive.record else 0), -archive.slot, archive.key


def started(archive: CataloguedArchive) -> datetime:
    """When the backup began; without metadata, when the store took the archive."""
    return archive.record.started if archive.record else archive.stored.modified


def read_catalogue(
    store: Store, prefix: str, memory: HeadMemory | None = None, is_wanted: Callable[[str], bool] = lambda _base: True
) -> Catalogue:
    """Read what a store holds below a prefix.

    Args:
        memory: looks at objects; by default each is asked for.
        is_wanted: of which key bases archives are looked at. The others are passed over.

    What the store lists and does not describe, as an object that somebody has encrypted with a key of his own, or that
    belongs to another account, is in the catalogue as well, with the reason.

    Raises:
        StoreError: it cannot be listed, or has stopped to answer.
    """
    found = _sorted_out(store, prefix, is_wanted)
    if found.is_nothing and not store.is_recognised():
        logger.warning(
            "%s does not hold the mark that backups leave there. Is the disk not mounted, or the folder another one?",
            store.location,
        )
    with Crew(PARALLEL_REQUESTS, "metadata") as pool:
        look = partial(_look, store, memory or HeadMemory(store), prefix)
        looked = list(pool.map(look, _taken(found.wanted)))
    vanished = {each: _base(each, prefix) for each in looked if isinstance(each, str)}
    return Catalogue(
        archives=(*(each for each in looked if not isinstance(each, str)), *found.closed),
        vanished=vanished,
        sums=found.sums,
        others=tuple(found.others),
        gone=tuple(store.gone(join_prefix(prefix, ""))),
        original=tuple(found.original),
        indexes=found.indexes,
        proofs=found.proofs,
        passed_over=frozenset(found.passed_over),
    )


@dataclass
class _Listed:
    """What was listed, by what it is: see ``Catalogue``.

    Attributes:
        wanted: archives that are to be looked at.
        closed: folders that cannot be looked into.
    """

    wanted: deque[StoredObject] = field(default_factory=deque)
    closed: list[CataloguedArchive] = field(default_factory=list)
    passed_over: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    original: Sequence[OriginalArchive] = ()
    sums: dict[str, StoredObject] = field(default_factory=dict)
    indexes: dict[str, StoredObject] = field(default_factory=dict)
    proofs: dict[str, StoredObject] = field(default_factory=dict)

    @property
    def is_nothing(self) -> bool:
        """Nothing was listed that a backup leaves behind."""
        return not (self.wanted or self.closed or self.passed_over or self.original or self.sums)

    def beside(self, key: str) -> dict[str, StoredObject] | None:
        """Among what this belongs that lies beside an archive; None if it is something else."""
        if is_sum_key(key):
            return self.sums
        if is_index_key(key):
            return self.indexes
        return self.proofs if is_proof_key(key) else None


def _sorted_out(store: Store, prefix: str, is_wanted: Callable[[str], bool]) -> _Listed:
    listed = sorted(store.list(join_prefix(prefix, "")), key=lambda found: found.key)
    result = _Listed(original=original_archives(listed, prefix))
    for found in listed:
        beside = result.beside(found.key)
        if beside is not None:
            beside[found.key] = found
        elif split_key(found.key) is not None:
            if is_wanted(_base(found.key, prefix)):
                result.wanted.append(found)
            else:
                result.passed_over.append(found.key)
        elif _is_closed(found):
            result.closed.append(CataloguedArchive(found, found.key, None, found.flaw))
        elif not is_word_key(found.key):
            result.others.append(found.key)
    return result


def _taken(found: deque[StoredObject]) -> Iterator[StoredObject]:
    """What was listed, each of which is let go of then: what is known afterwards holds all of it."""
    while found:
        yield found.popleft()


def _is_closed(listed: StoredObject) -> bool:
    """Whether it is a folder whose archives nobody can see."""
    return bool(listed.flaw) and listed.key.endswith("/")


def _base(key: str, prefix: str) -> str:
    parts = split_key(key.removeprefix(join_prefix(prefix, "")))
    # Many archives have the same one.
    return sys.intern(parts[0]) if parts else key


def read_unread_counts(
    memory: HeadMemory, catalogue: Catalogue, archives: Sequence[CataloguedArchive]
) -> Mapping[str, int]:
    """Of archives that lack something which could not be read how many paths that is, by their keys.

    That a checksum object cannot be looked at is a warning, and nothing is known of its archive then.

    Raises:
        StoreUnreachable: the store has stopped to answer.
    """
    with_sums = [each for each in archives if each.record and sum_key(each.key) in catalogue.sums]
    sums = (catalogue.sums[sum_key(each.key)] for each in with_sums)
    with Crew(PARALLEL_REQUESTS, "metadata") as pool:
        described = pool.map(partial(_look_at_sum, memory), sums)
        counts = (
            (each.key, unread_count(found.metadata, each.record.id))
            for each, found in zip(with_sums, described, strict=True)
            if each.record and found is not None
        )
        return {key: count for key, count in counts if count}


def _look_at_sum(memory: HeadMemory, listed: StoredObject) -> StoredObject | None:
    """A checksum object; None if it has gone, or cannot be looked at."""
    try:
        return memory.head(listed)
    except StoreUnreachable:
        raise
    except StoreError as error:
        logger.warning("%s; whether it lacks what could not be read is not known", error)
        return None


def with_originals_of_root(catalogue: Catalogue, store: Store, prefix: str) -> Catalogue:
    """The same, and what of the original lies outside of the Prefix, of which it knew nothing.

    That it cannot be listed is a warning: a key may be meant for the Prefix alone.
    """
    if not prefix:
        return catalogue
    try:
        found = original_archives(store.list(""), prefix)
    except StoreError as error:
        logger.warning("archives of the original tool are looked for below the Prefix alone: %s", error)
        return catalogue
    return replace(catalogue, original=tuple(found))


def _look(store: Store, memory: HeadMemory, prefix: str, listed: StoredObject) -> CataloguedArchive | str:
    """One archive; its key if it has gone since it was listed."""
    base = _base(listed.key, prefix)
    try:
        found = memory.head(listed)
    except StoreError as error:
        if isinstance(error, StoreUnreachable):
            # A store that answers all others, and not for this one, has lost it.
            store.check(for_writing=False)
        return CataloguedArchive(listed, base, None, f"it cannot be looked at: {error}")
    if found is None:
        return listed.key
    flaw = found.flaw or ("" if found.size else "it is empty, which no archive is")
    return CataloguedArchive(found, base, None if flaw else ArchiveRecord.from_metadata(found.metadata), flaw)


def _date(archive: CataloguedArchive) -> str:
    return f"{day_date(archive.record.day) if archive.record else started(archive).date()}"
