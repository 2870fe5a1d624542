"""From settings to the store they name: the registry of the kinds of store."""

from __future__ import annotations

from importlib import import_module

from s3napback.config.settings import StoreSettings
from s3napback.stores import Store
from s3napback.stores.directory import DirectoryStore


def open_store(
    settings: StoreSettings,
    *,
    access_key: str = "",
    secret_key: str = "",
    token: str = "",
    patient: bool = True,
) -> Store:
    """Make the store that ``settings`` name. Nothing is read, written or asked yet: ``Store.check`` does that.

    Args:
        settings: of the configuration; their prefix and key file are the caller's business.
        access_key: from S3Keyfile; empty leaves the search for credentials to boto3.
        secret_key: belongs to ``access_key``.
        token: of temporary credentials.
        patient: False for a dry run, which rather says that it could not look than wait for minutes.
    """
    if settings.folder is not None:
        return DirectoryStore(settings.folder)
    # boto3 takes a good part of a second to import, and a directory store can do without
    s3 = import_module("s3napback.stores.s3")
    client = import_module("s3napback.stores.s3_client")
    store: Store = s3.S3Store(settings, client.StaticCredentials(access_key, secret_key, token), patient=patient)
    return store
