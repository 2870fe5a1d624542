"""``list --versions``: every archive that a bucket still holds in any version, and the times to go back to."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from s3napback.archives import ArchiveRecord, join_prefix, split_key
from s3napback.catalogue.contents import PARALLEL_REQUESTS, CataloguedArchive
from s3napback.catalogue.selection import matches
from s3napback.commands.list import Say
from s3napback.config.settings import Configuration
from s3napback.crews import Crew
from s3napback.errors import SourceError, StoreError, StoreUnreachable
from s3napback.listing.versions import Ending, KeptArchive, endings, spans, versions_text
from s3napback.stores import StoredObject
from s3napback.stores.versions import StoredVersion, VersionedStore
from s3napback.surroundings import configured_versions


def show(configuration: Configuration, word: str, say: Say) -> int:
    """List what the versions in a configuration's bucket hold.

    Args:
        word: the source to be shown, in any form that ``matching_archives`` understands; empty for all.

    Returns:
        The exit code.

    Raises:
        UnusableStore: it does not exist, may not be read, or is of a kind that keeps no versions.
        StoreError: it could not be read.
        SourceError: it holds nothing of the source.
    """
    store = configured_versions(configuration)
    store.check(for_writing=False)
    prefix = join_prefix(configuration.store.prefix, "")
    versions = [found for found in store.versions(prefix) if split_key(found.key) is not None]
    ended = endings(versions)
    archives = [found for found in versions if not found.is_marker]
    with Crew(PARALLEL_REQUESTS, "metadata") as pool:
        kept = list(pool.map(partial(_kept, store, prefix, ended), archives))
    if word:
        kept = [each for each in kept if matches(word, each.archive)]
        if not kept:
            raise SourceError(f"{word}: no version of an archive of it is in {store.location}")
        keys = {each.version.key for each in kept}
        versions = [found for found in versions if found.key in keys]
    say(*versions_text(kept, spans(versions)))
    return 0


def _kept(
    store: VersionedStore, prefix: str, ended: Mapping[tuple[str, str], Ending], version: StoredVersion
) -> KeptArchive:
    parts = split_key(version.key.removeprefix(prefix))
    stored = StoredObject(version.key, version.size, version.modified, version_id=version.id)
    record, flaw = None, ""
    try:
        record = ArchiveRecord.from_metadata(store.metadata_of(version))
    except StoreUnreachable:
        raise
    except StoreError as error:
        flaw = f"it cannot be looked at: {error}"
    archive = CataloguedArchive(stored, parts[0] if parts else version.key, record, flaw)
    return KeptArchive(version, archive, ended.get((version.key, version.id)))
