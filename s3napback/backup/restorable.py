"""What can be restored of the sources of a configuration after its run, for the metrics. It reads the store alone."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping

from s3napback.catalogue.contents import CataloguedArchive
from s3napback.catalogue.reading import read_catalogue
from s3napback.catalogue.remembering import HeadMemory, cache_folder
from s3napback.stores import Store
from s3napback.watch.metrics import Restorable
from s3napback.watch.proofs import NOTHING_KNOWN, known_together


def restorable(store: Store, prefix: str, host: str, names: Collection[str]) -> Mapping[str, Restorable]:
    """What the store holds under some names, by name; of what cannot be looked at whole nothing is said.

    A store far away is asked for each archive once; what it told is kept, as by ``list``.

    Args:
        host: HostName; what others have stored under the same names does not count.
        names: key bases.

    Raises:
        StoreError: it cannot be listed, or has stopped to answer.
    """
    memory = HeadMemory(store, cache_folder(os.environ), f"{store.identity}\0{prefix}")
    catalogue = read_catalogue(store, prefix, memory, frozenset(names).__contains__)
    memory.save([*(archive.key for archive in catalogue.archives), *catalogue.sums, *catalogue.passed_over])
    found: dict[str, list[CataloguedArchive]] = {name: [] for name in names}
    for archive in catalogue.archives:
        found.setdefault(archive.base, []).append(archive)
    told = {}
    for name in names:
        if any(archive.record is None for archive in found[name]):
            continue
        own = [archive for archive in found[name] if archive.record and archive.record.owner.host == host]
        chains = [(archive, catalogue.chain(archive)) for archive in own]
        days = {archive.record.day for archive, chain in chains if chain.archives and archive.record}
        broken = sum(bool(chain.problem) and not chain.is_outlived for _, chain in chains)
        known = known_together(catalogue.known.get(archive.key, NOTHING_KNOWN) for archive in own)
        told[name] = Restorable(len(days), broken, known)
    return told
