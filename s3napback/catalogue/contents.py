"""What a store holds: every archive with what it says of itself, and which of them can be restored. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import field
from datetime import datetime
from functools import cached_property

from s3napback.archives import ArchiveRecord, Owner, misnamed, split_key
from s3napback.kinds import SourceName, kind_of
from s3napback.original.chains import OriginalArchive
from s3napback.records import dataclass
from s3napback.rotation import ArchiveType, day_date
from s3napback.stores import NO_METADATA, StoredObject
from s3napback.watch.proofs import Known, Seen, known_of


@dataclass(frozen=True, slots=True)
class CataloguedArchive:
    """One archive in the store.

    Attributes:
        stored: the object.
        base: the key without prefix, slot and type.
        record: what its metadata says; None if it says nothing that we understand.
        flaw: what is wrong with it, or why the store does not tell its metadata, as a clause; empty if it does.
        is_ahead: it says that it was begun after the store took it, and later than now: the clock of its machine was
            wrong, and it is older than it says.
        told: what the checksum object beside it tells of its metadata, which the store does not have any more; mostly
            empty.
    """

    stored: StoredObject
    base: str
    record: ArchiveRecord | None
    flaw: str = ""
    is_ahead: bool = False
    told: Mapping[str, str] = field(default_factory=lambda: NO_METADATA)

    @property
    def metadata(self) -> Mapping[str, str]:
        """What it says of itself, or what is told of that."""
        return self.told or self.stored.metadata

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
        left_out: keys of those among the archives that the store did not list, and should have listed for long.
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
    left_out: tuple[str, ...] = ()

    @property
    def is_nothing(self) -> bool:
        """Nothing was listed that a backup leaves behind."""
        return not (self.archives or self.vanished or self.passed_over or self.original or self.sums)

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
            parent = self._parent(links[-1].base, record)
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

    def builds_on_what_is_lost(self, archive: CataloguedArchive) -> bool:
        """Whether the archive that a DIFF was made on is gone, though the rotation has not taken its place."""
        record = archive.record
        if record is None or record.type is ArchiveType.FULL or self._parent(archive.base, record):
            return False
        return not self.chain(archive).is_outlived

    @cached_property
    def known(self) -> Mapping[str, Known]:
        """What is known of each archive that was read by a drill, or by verify, by its key."""
        listed = {archive.key: archive.stored.modified for archive in self.archives}
        return known_of({**listed, **{key: found.modified for key, found in self.proofs.items()}})

    @cached_property
    def drills(self) -> Mapping[str, Seen]:
        """The newest drill of each archive that was drilled, by its key."""
        return {key: known.drill for key, known in self.known.items() if known.drill}

    def _parent(self, base: str, record: ArchiveRecord) -> CataloguedArchive | None:
        """What a DIFF builds on: of several copies the one of its own name, unless that has been put elsewhere."""
        beside = (each for each in self._copies.get(record.parent, ()) if each.base == base)
        return next(beside, self._by_id.get(record.parent))

    @cached_property
    def _by_id(self) -> dict[str, CataloguedArchive]:
        """The archive of each identity: of several copies one whose key agrees with its metadata, if there is one."""
        found: dict[str, CataloguedArchive] = {}
        for archive in self.archives:
            if archive.record and (archive.record.id not in found or not misnamed(archive.key, archive.record)):
                found[archive.record.id] = archive
        return found

    @cached_property
    def _copies(self) -> dict[str, list[CataloguedArchive]]:
        """Of each identity that several objects have those whose keys agree with their metadata."""
        found: dict[str, list[CataloguedArchive]] = {}
        for archive in self.archives:
            identity = archive.record.id if archive.record else ""
            if archive.record and self._by_id[identity] is not archive and not misnamed(archive.key, archive.record):
                found.setdefault(identity, []).append(archive)
        return found

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
        slot = last.record.parent_slot if last.record else None
        if slot is not None:
            why, is_outlived = _become_of(last, slot, [other for other in below if other.slot == slot])
            return Chain(problem=_said_of_the_first(links, why), is_outlived=is_outlived)
        fulls = [other for other in below if _is_full(other)]
        nameless = [other for other in below if other.record is None]
        why, is_outlived = "the archive it builds on is no longer in the store", False
        if nameless:
            why = _missing_unless(nameless[-1])
        elif fulls and newest_first(fulls[-1]) < newest_first(last):
            why, is_outlived = f"its FULL was overwritten: {fulls[-1].key} is of {_date(fulls[-1])}", True
        elif fulls and {*range(fulls[-1].slot, last.slot)} <= {other.slot for other in below}:
            why = f"an archive from {fulls[-1].key} on is another one than it was, such as an older version put back"
        elif fulls:
            why = f"an archive between {fulls[-1].key} and it is missing"
        return Chain(problem=_said_of_the_first(links, why), is_outlived=is_outlived)


def _is_full(archive: CataloguedArchive) -> bool:
    is_one = archive.record is not None and archive.record.type is ArchiveType.FULL
    return is_one and not _is_out_of_place(archive)


def _is_out_of_place(archive: CataloguedArchive) -> bool:
    """Whether it says that it belongs elsewhere: somebody has put it here, whenever it was made."""
    return archive.record is not None and bool(misnamed(archive.key, archive.record))


def _become_of(archive: CataloguedArchive, slot: int, there: Sequence[CataloguedArchive]) -> tuple[str, bool]:
    """What became of an archive's missing parent, and whether that is the rotation's doing.

    Args:
        archive: a DIFF.
        slot: of its parent.
        there: what is in that slot now.
    """
    for other in there:
        if other.record is None:
            return _missing_unless(other), False
    for other in there:
        if newest_first(other) < newest_first(archive) and not _is_out_of_place(other):
            return f"what it builds on was overwritten: {other.key} is of {_date(other)}", True
    if there:
        return f"{there[0].key} is another one than it builds on, such as an older version put back", False
    return f"the archive it builds on, in slot {slot}, is no longer in the store", False


def _missing_unless(other: CataloguedArchive) -> str:
    why = f": {other.flaw}" if other.flaw else ", which has lost its metadata"
    return f"the archive it builds on is missing, unless it is {other.key}{why}"


def _said_of_the_first(links: Sequence[CataloguedArchive], why: str) -> str:
    return why if len(links) == 1 else f"it builds on {links[-1].key}, which cannot be restored: {why}"


def own_name(source: SourceName) -> str:
    """The key base that a source has where no Cycle qualifies it; what no key can be where its kind is not known."""
    return kind_of(source.kind).key_base(source.target) if source.kind else "\0"


def newest_first(archive: CataloguedArchive) -> tuple[bool, float, int, int, str]:
    """A sort key: by when the backup began, the newest first; archives without metadata by when they were stored.

    Of those begun in the same second the one of the later day, then of the higher slot, is the newer. What says that it
    was made in times to come is older than everything else: when it was made nobody knows.
    """
    day = archive.record.day if archive.record else 0
    return archive.is_ahead, -started(archive).timestamp(), -day, -archive.slot, archive.key


def started(archive: CataloguedArchive) -> datetime:
    """When the backup began; without metadata, when the store took the archive."""
    return archive.record.started if archive.record else archive.stored.modified


def _date(archive: CataloguedArchive) -> str:
    return f"{day_date(archive.record.day) if archive.record else started(archive).date()}"
