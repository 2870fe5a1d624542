"""From settings to the store they name: the registry of the kinds of store."""

from __future__ import annotations

from s3napback.config.settings import Credentials, StoreSettings
from s3napback.errors import UnusableStore
from s3napback.stores import Store
from s3napback.stores.directory import DirectoryStore
from s3napback.stores.slow_directory import SlowDirectoryStore
from s3napback.stores.throttle import Throttle
from s3napback.stores.versions import VersionedStore


def open_store(
    settings: StoreSettings,
    credentials: Credentials | None = None,
    *,
    patient: bool = True,
    after: Store | None = None,
) -> Store:
    """Make the store that ``settings`` name. Nothing is read, written or asked yet: ``Store.check`` does that.

    Args:
        settings: of the configuration; their key file is the caller's business, and keys are given with the prefix.
        credentials: from S3Keyfile; None leaves the search for them to boto3.
        patient: False for a dry run, which rather says that it could not look than wait for minutes.
        after: made of the same settings, with other patience, and checked: what it has learnt is not learnt anew.

    Raises:
        UnusableStore: ``settings.as_of`` is set, and the store keeps no older versions.
    """
    if settings.folder is not None and settings.as_of is not None:
        raise UnusableStore(
            f"file://{settings.folder} cannot be shown as of another time: a folder keeps no older versions. What a "
            "snapshot of its file system holds can be read as a store of its own: set Bucket to it"
        )
    if settings.folder is not None and settings.bandwidth.is_limited:
        return SlowDirectoryStore(settings.folder, Throttle(settings.bandwidth))
    if settings.folder is not None:
        return DirectoryStore(settings.folder)
    # botocore takes a good part of a second to import, and a directory store can do without
    from s3napback.stores.s3 import S3Store  # noqa: PLC0415

    before = after if isinstance(after, S3Store) else None
    if settings.as_of is not None:
        from s3napback.stores.s3_past import S3StoreAsOf  # noqa: PLC0415 - as above

        return S3StoreAsOf(settings, credentials or Credentials(), settings.as_of, patient=patient, after=before)
    return S3Store(settings, credentials or Credentials(), patient=patient, after=before)


def open_versions(settings: StoreSettings, credentials: Credentials | None = None) -> VersionedStore:
    """Make the store that ``settings`` name, to be asked for all its versions.

    Raises:
        UnusableStore: it is of a kind that keeps none.
    """
    if settings.folder is not None:
        raise UnusableStore(f"file://{settings.folder} has no versions to list: a folder keeps none")
    from s3napback.stores.s3_past import S3StoreWithVersions  # noqa: PLC0415 - as above

    return S3StoreWithVersions(settings, credentials or Credentials(), patient=False)
