"""Reading what a store holds from the store alone, so that it works on a bare machine.

One listing, and the metadata of every archive asked for in parallel.
"""

from __future__ import annotations

import logging
import sys
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from datetime import datetime, timezone
from functools import partial

from s3napback.archives import ArchiveRecord, join_prefix, split_key
from s3napback.catalogue.contents import Catalogue, CataloguedArchive, newest_first, started
from s3napback.catalogue.indexes import is_index_key
from s3napback.catalogue.left_out import keys_to_ask, noted_beside, those_left_out
from s3napback.catalogue.remembering import HeadMemory
from s3napback.catalogue.sums import is_sum_key, read_own_sum, sum_key, unread_count
from s3napback.catalogue.telling import require_answers, told_beside
from s3napback.crews import Crew
from s3napback.errors import StoreError
from s3napback.formatting import counted
from s3napback.original.chains import OriginalArchive
from s3napback.original.contents import original_archives
from s3napback.records import dataclass
from s3napback.stores import Store, StoredObject
from s3napback.watch.keys import is_word_key
from s3napback.watch.proofs import is_proof_key
from s3napback.watch.states import CLOCK_TOLERANCE

logger = logging.getLogger("s3napback")

PARALLEL_REQUESTS = 32
"""Metadata requests under way at once."""

_AHEAD = "it was stored before that, so its machine's clock was ahead, and it counts as older than all others"
_UNCLEAR = (
    "either this machine's clock is behind now, or that one's was ahead. If it was, backups made since count as older: "
    "see “s3napback list”, and name the one to be restored: --at KEY. To be rid of it before the rotation fills its "
    "slot anew, delete it in the store, and run “s3napback prune --yes”"
)


def read_catalogue(
    store: Store,
    prefix: str,
    memory: HeadMemory | None = None,
    is_wanted: Callable[[str], bool] = lambda _base: True,
    *,
    asks_sums: bool = False,
    named: Collection[str] = (),
) -> Catalogue:
    """Read what a store holds below a prefix.

    Args:
        memory: looks at objects; by default each is asked for.
        is_wanted: of which key bases archives are looked at. The others are passed over.
        asks_sums: of what has lost its metadata the checksum beside it is asked for them: for those who only read.
        named: keys that are asked for even if nothing tells of them, with the prefix or without.

    What the store lists and does not describe, as an object that somebody has encrypted with a key of his own, or that
    belongs to another account, is in the catalogue as well, with the reason. So is what it has and does not list, if
    something else tells of it.

    Raises:
        StoreError: it cannot be listed, or has stopped to answer.
    """
    found = _sorted_out(store, prefix, is_wanted)
    look = partial(_look, store, memory or HeadMemory(store), prefix, found.sums if asks_sums else {})
    with Crew(PARALLEL_REQUESTS, "metadata") as pool:
        looked = list(pool.map(look, _taken(found.wanted)))
    vanished = {each: _base(each, prefix) for each in looked if isinstance(each, str)}
    archives = dated((each for each in looked if not isinstance(each, str)), datetime.now(timezone.utc))
    catalogue = Catalogue(
        archives=(*archives, *found.closed),
        vanished=vanished,
        sums=found.sums,
        others=tuple(found.others),
        gone=tuple(store.gone(join_prefix(prefix, ""))),
        original=tuple(found.original),
        indexes=found.indexes,
        proofs=found.proofs,
        passed_over=frozenset(found.passed_over),
    )
    # Whoever is near, or shows the past, lists what a look would find.
    return _with_left_out(catalogue, prefix, look, is_wanted, named) if store.is_distant else catalogue


def _with_left_out(
    catalogue: Catalogue,
    prefix: str,
    look: Callable[[StoredObject], CataloguedArchive | str],
    is_wanted: Callable[[str], bool],
    named: Collection[str],
) -> Catalogue:
    """The same, and archives that the store has and did not list, as far as others tell of them."""
    asked: set[str] = set()
    now = datetime.now(timezone.utc)
    beside = noted_beside(catalogue)
    while keys := sorted(
        key for key in keys_to_ask(catalogue, prefix, named) - asked if key in named or is_wanted(_base(key, prefix))
    ):
        asked.update(keys)
        # Nothing is known of them but what lies beside them.
        guessed = (StoredObject(key, 0, beside[key].modified if key in beside else now) for key in keys)
        with Crew(PARALLEL_REQUESTS, "metadata") as pool:
            looked = [each for each in pool.map(look, guessed) if not isinstance(each, str)]
        # Where nobody has spoken of one, a refusal does not say that there is any.
        there = [each for each in looked if not each.flaw or each.key in beside or each.key in named]
        left_out = those_left_out(each.stored for each in there if not each.flaw)
        archives = sorted((*catalogue.archives, *dated(there, now)), key=lambda each: each.key)
        catalogue = replace(catalogue, archives=tuple(archives), left_out=(*catalogue.left_out, *left_out))
    return catalogue


def dated(archives: Iterable[CataloguedArchive], now: datetime) -> list[CataloguedArchive]:
    """The same, with a warning of those that say that they were begun in times to come.

    Where the store took one earlier than that, its machine's clock was ahead. Where it did not, as a folder whose clock
    is that machine's, the present clock may be behind as well.
    """
    result: list[CataloguedArchive] = []
    to_come: dict[bool, list[CataloguedArchive]] = {}
    for each in archives:
        if each.record and each.record.started > now + CLOCK_TOLERANCE:
            is_ahead = each.record.started > each.stored.modified + CLOCK_TOLERANCE
            result.append(replace(each, is_ahead=is_ahead))
            to_come.setdefault(is_ahead, []).append(each)
        else:
            result.append(each)
    for is_ahead, found in to_come.items():
        logger.warning("%s: %s", _said(found), _AHEAD if is_ahead else _UNCLEAR)
    return result


def _said(found: Sequence[CataloguedArchive]) -> str:
    latest = min(found, key=newest_first)
    when = f"{started(latest).astimezone():%Y-%m-%d %H:%M}"
    others = f", and so {'does' if len(found) == 2 else 'do'} {counted(len(found) - 1, 'other')}" if found[1:] else ""
    return f"{latest.key} says that it was begun at {when}, which is still to come{others}"


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
    store: Store, memory: HeadMemory, catalogue: Catalogue, archives: Sequence[CataloguedArchive]
) -> Mapping[str, int]:
    """Of archives that lack something which could not be read how many paths that is, by their keys.

    That a checksum object cannot be looked at is a warning, and nothing is known of its archive then.

    Raises:
        StoreUnreachable: the store has stopped to answer.
    """
    with_sums = [each for each in archives if each.record and sum_key(each.key) in catalogue.sums]
    with Crew(PARALLEL_REQUESTS, "metadata") as pool:
        counts = list(pool.map(partial(_unread_beside, store, memory, catalogue.sums), with_sums))
    return {each.key: count for each, count in zip(with_sums, counts, strict=True) if count}


def _unread_beside(
    store: Store, memory: HeadMemory, sums: Mapping[str, StoredObject], archive: CataloguedArchive
) -> int:
    """What a checksum object says; 0 if it has gone, or cannot be looked at."""
    identity = archive.record.id if archive.record else ""
    try:
        if archive.told:
            # What a copy has lost of its metadata, it has lost of those beside it as well.
            note = read_own_sum(store, archive.key, identity)
            return note.unread.count if note else 0
        found = memory.head(sums[sum_key(archive.key)])
        return unread_count(found.metadata, identity) if found else 0
    except StoreError as error:
        require_answers(store, error)
        logger.warning("%s; whether it lacks what could not be read is not known", error)
        return 0


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


def _look(
    store: Store, memory: HeadMemory, prefix: str, sums: Mapping[str, StoredObject], listed: StoredObject
) -> CataloguedArchive | str:
    """One archive; its key if it has gone since it was listed."""
    base = _base(listed.key, prefix)
    try:
        found = memory.head(listed)
    except StoreError as error:
        require_answers(store, error)
        return CataloguedArchive(listed, base, None, f"it cannot be looked at: {error}")
    if found is None:
        return listed.key
    flaw = found.flaw or ("" if found.size else "it is empty, which no archive is")
    told = told_beside(store, found, sums)
    return CataloguedArchive(
        found, base, None if flaw else ArchiveRecord.from_metadata(told or found.metadata), flaw, told=told
    )
