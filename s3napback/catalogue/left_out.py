"""Where to ask for archives that a distant store has and does not list, as far as something else tells of them. Pure.

A server that has lost entries of a bucket's index answers HEAD and GET as before, and so does one behind a proxy that
cuts listings short. What lies beside an archive tells of it, and so does a DIFF, which builds on one of a lower slot.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime, timedelta, timezone
from itertools import islice

from s3napback.archives import join_prefix, slot_keys, split_key
from s3napback.catalogue.contents import Catalogue, CataloguedArchive
from s3napback.catalogue.indexes import indexed_key
from s3napback.catalogue.sums import summed_key
from s3napback.stores import StoredObject
from s3napback.watch.proofs import proven_key

LONGEST_LAG = timedelta(days=1)
"""Until then a listing may not show what is there; one that still does not, never will."""

_MOST_SLOTS = 400
_MOST_KEYS = 10_000
"""Below one archive, and below all; whoever plants some with large numbers must not have a store asked for ever."""


def those_left_out(found: Iterable[StoredObject]) -> tuple[str, ...]:
    """The keys of those, among objects that a listing does not show, which it should have shown for long."""
    latest = datetime.now(timezone.utc) - LONGEST_LAG
    return tuple(sorted(stored.key for stored in found if stored.modified <= latest))


def noted_beside(catalogue: Catalogue) -> dict[str, StoredObject]:
    """By the key of each archive beside which something lies one of these objects."""
    return {
        **{proven_key(key): found for key, found in catalogue.proofs.items()},
        **{indexed_key(key): found for key, found in catalogue.indexes.items()},
        **{summed_key(key): found for key, found in catalogue.sums.items()},
    }


def keys_to_ask(catalogue: Catalogue, prefix: str, named: Collection[str]) -> set[str]:
    """Keys under which there may be archives that a listing does not show.

    Args:
        named: keys that a person has named, with the prefix or without.
    """
    called = (key for name in named for key in (name, join_prefix(prefix, name)) if split_key(key))
    known = {*(each.key for each in catalogue.archives), *catalogue.passed_over, *catalogue.vanished}
    below = islice(_below_broken(catalogue, prefix, known), _MOST_KEYS)
    return {*noted_beside(catalogue), *called, *below} - known


def _below_broken(catalogue: Catalogue, prefix: str, known: Collection[str]) -> Iterator[str]:
    """Other keys, each once, in the empty slots below each archive whose parent is missing."""
    filled = {(each.base, each.slot) for each in catalogue.archives}
    told = set(known)
    for each in catalogue.archives:
        if each.record and each.record.parent and catalogue.with_id(each.record.parent) is None:
            for slot, key in keys_below(each, prefix):
                if (each.base, slot) not in filled and key not in told:
                    told.add(key)
                    yield key


def keys_below(archive: CataloguedArchive, prefix: str) -> Iterable[tuple[int, str]]:
    """The slots below an archive, and every key that each can have: what it builds on can lie nowhere else."""
    kind = archive.record.owner.source.kind if archive.record else ""
    if not kind:
        return
    for slot in range(max(archive.slot - _MOST_SLOTS, 0), archive.slot):
        for key in slot_keys(prefix, kind, archive.base, slot):
            yield slot, key
