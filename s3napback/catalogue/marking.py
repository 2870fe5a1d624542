"""Leaving beside an archive that it was read back, and what came of that: for whoever looks, see ``watch.proofs``."""

from __future__ import annotations

import io
from collections.abc import Collection

from s3napback.archives import ArchiveRecord
from s3napback.catalogue.contents import CataloguedArchive
from s3napback.catalogue.indexes import index_metadata
from s3napback.stores import Store
from s3napback.watch.proofs import Proof, ReadBack, proof_key


def leave_mark(
    store: Store, archive: CataloguedArchive, mark: ReadBack, proof: Proof, present: Collection[str] = ()
) -> bool:
    """Leave what was found beside an archive, and take away what the same command has said of it before.

    Returns:
        False if another archive has taken its place meanwhile, and nothing was left: to read one can take hours.

    Args:
        archive: nothing is left beside another one.
        proof: for people.
        present: keys of what lies beside archives already.

    Raises:
        StoreError: the store does not take it.
    """
    if not _is_still_there(store, archive):
        return False
    key = proof_key(archive.key, mark)
    metadata = index_metadata(archive.record) if archive.record else {}
    store.put(key, io.BytesIO(proof.written()), metadata, is_helper=True)
    for former in mark.outdated:
        if proof_key(archive.key, former) in present:
            store.delete(proof_key(archive.key, former))
    return True


def _is_still_there(store: Store, archive: CataloguedArchive) -> bool:
    found = store.head(archive.key)
    record = ArchiveRecord.from_metadata(found.metadata) if found else None
    if found and record is None and (archive.told or archive.record is None):
        return (found.size, found.version) == (archive.stored.size, archive.stored.version)
    return record is not None and archive.record is not None and record.id == archive.record.id
