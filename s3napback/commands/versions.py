"""``list --versions``: every archive that a bucket still holds in any version, and the times to go back to."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from s3napback.archives import ArchiveRecord, join_prefix, split_key
from s3napback.catalogue.contents import CataloguedArchive
from s3napback.catalogue.reading import PARALLEL_REQUESTS
from s3napback.catalogue.remembering import HeadMemory, cache_folder
from s3napback.catalogue.selection import matches
from s3napback.catalogue.telling import require_answers
from s3napback.commands.list import Say
from s3napback.config.settings import Configuration
from s3napback.crews import Crew
from s3napback.errors import SourceError, StoreError
from s3napback.listing.versions import Ending, KeptArchive, endings, spans, versions_text
from s3napback.records import dataclass
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
    archives = {_name(found): found for found in versions if not found.is_marker}
    memory = HeadMemory(_Versions(store, archives), cache_folder(os.environ), f"{store.identity}\0{prefix}\0versions")
    with Crew(PARALLEL_REQUESTS, "metadata") as pool:
        kept = list(pool.map(partial(_kept, store, memory, prefix, ended), archives.values()))
    memory.save(archives)
    if word:
        kept = [each for each in kept if matches(word, each.archive)]
        if not kept:
            raise SourceError(f"{word}: no version of an archive of it is in {store.location}")
        keys = {each.version.key for each in kept}
        versions = [found for found in versions if found.key in keys]
    say(*versions_text(kept, spans(versions)))
    return 0


@dataclass(frozen=True)
class _Versions:
    """Looks at versions as a store does at objects: each has a name of its own, under which it never changes.

    Attributes:
        versions: by their names.
    """

    store: VersionedStore
    versions: Mapping[str, StoredVersion]

    @property
    def is_distant(self) -> bool:
        return True

    def head(self, key: str) -> StoredObject | None:
        return self.store.look_at(self.versions[key])


def _name(version: StoredVersion) -> str:
    return f"{version.key}\0{version.id}"


def _kept(
    store: VersionedStore,
    memory: HeadMemory,
    prefix: str,
    ended: Mapping[tuple[str, str], Ending],
    version: StoredVersion,
) -> KeptArchive:
    parts = split_key(version.key.removeprefix(prefix))
    stored = StoredObject(
        _name(version), version.size, version.modified, version=version.etag, storage_class=version.storage_class
    )
    record, flaw = None, ""
    try:
        found = memory.head(stored)
        record = ArchiveRecord.from_metadata(found.metadata) if found else None
    except StoreError as error:
        require_answers(store, error)
        flaw = f"it cannot be looked at: {error}"
    stored = replace(stored, key=version.key, version_id=version.id)
    archive = CataloguedArchive(stored, parts[0] if parts else version.key, record, flaw)
    return KeptArchive(version, archive, ended.get((version.key, version.id)))
