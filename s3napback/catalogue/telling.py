"""What the metadata of an archive were that the store does not have any more: the checksum object beside it tells.

And what is said of that, and of archives that the store does not list.

Programs that copy buckets drop metadata, many of them only of large objects, and a folder that a bucket is copied to
keeps none. What is read in this way is shown and restored; nothing is replaced or deleted for it.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence

from s3napback.archives import METADATA_PREFIX
from s3napback.catalogue.contents import Catalogue
from s3napback.catalogue.sums import read_sum, sum_key
from s3napback.errors import StoreError, StoreUnreachable
from s3napback.formatting import counted
from s3napback.stores import NO_METADATA, Store, StoredObject
from s3napback.stores.versions import VersionedStore

logger = logging.getLogger("s3napback")


def require_answers(store: Store | VersionedStore, error: Exception) -> None:
    """See that it is one object for which there is no answer: a store that answers all others has lost it.

    Raises:
        StoreUnreachable, UnusableStore: the store has stopped to answer.
    """
    if isinstance(error, StoreUnreachable):
        store.check(for_writing=False)


def told_beside(store: Store, found: StoredObject, sums: Collection[str]) -> Mapping[str, str]:
    """The metadata that an archive has lost; nothing if it has some, or nothing tells them.

    What has another size is another object than the one that the checksum is of.

    Args:
        sums: keys of the checksum objects that are there.

    Raises:
        StoreUnreachable: the store has stopped to answer.
    """
    has_own = any(name.lower().startswith(METADATA_PREFIX) for name in found.metadata)
    if found.flaw or has_own or sum_key(found.key) not in sums:
        return NO_METADATA
    try:
        note = read_sum(store, found.key)
    except StoreError as error:
        require_answers(store, error)
        logger.debug("%s: what its metadata were cannot be told: %s", found.key, error)
        return NO_METADATA
    return note.told if note and note.stored == found.size else NO_METADATA


def warn_of_told(catalogue: Catalogue) -> None:
    """Say of which archives the checksums are taken at their word."""
    if told := [archive.key for archive in catalogue.archives if archive.told]:
        logger.warning(
            "the store has no metadata of %s%s, as if copied without them; what their checksums tell is taken in their "
            "place. To restore, that is enough. Backups replace them only with --take-over",
            *(told[0], f" and {counted(len(told) - 1, 'other')}" if told[1:] else ""),
        )


def warn_of_left_out(location: str, keys: Sequence[str]) -> None:
    """Say which archives are there and not listed: whoever goes by listings alone finds neither them nor their DIFFs.

    Args:
        location: of the store.
        keys: if there are none, nothing is said.
    """
    if keys:
        others = f", and so {'is' if len(keys) == 2 else 'are'} {counted(len(keys) - 1, 'other')}" if keys[1:] else ""
        logger.warning(
            "%s is there, and is left out when the store is listed%s: whoever goes by listings alone, as programs that "
            "copy buckets do, finds neither it nor what builds on it. Whoever runs the store, or a proxy before it, "
            "should know; until then have its source in another store",
            f"{location}/{keys[0]}",
            others,
        )


def warn_of_nothing(store: Store, catalogue: Catalogue) -> None:
    """Say it where what was read of a store is nothing, and it may therefore be another one than is meant.

    Raises:
        StoreError: see ``warn_of_lost_mark``.
    """
    if catalogue.is_nothing:
        warn_of_lost_mark(store)


def warn_of_lost_mark(store: Store) -> None:
    """Say of a store in which nothing was found that it may be another one than is meant.

    Raises:
        StoreError: the store gives no definite answer.
    """
    if not store.is_recognised():
        logger.warning(
            "%s does not hold the mark that backups leave there. Is the disk not mounted, or the folder another one?",
            store.location,
        )
