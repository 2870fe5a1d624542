"""From settings to the store they name: the registry of the kinds of store."""

from __future__ import annotations

from s3napback.config.settings import Credentials, StoreSettings
from s3napback.stores import Store
from s3napback.stores.directory import DirectoryStore


def open_store(settings: StoreSettings, credentials: Credentials | None = None, *, patient: bool = True) -> Store:
    """Make the store that ``settings`` name. Nothing is read, written or asked yet: ``Store.check`` does that.

    Args:
        settings: of the configuration; their key file is the caller's business, and keys are given with the prefix.
        credentials: from S3Keyfile; None leaves the search for them to boto3.
        patient: False for a dry run, which rather says that it could not look than wait for minutes.
    """
    if settings.folder is not None:
        return DirectoryStore(settings.folder)
    # boto3 takes a good part of a second to import, and a directory store can do without
    from s3napback.stores.s3 import S3Store  # noqa: PLC0415

    return S3Store(settings, credentials or Credentials(), patient=patient)
