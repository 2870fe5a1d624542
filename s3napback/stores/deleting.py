"""Deleting of which somebody is told: what a store says of it is not believed, but looked at."""

from __future__ import annotations

import time

from s3napback.errors import StoreError
from s3napback.stores import Store

_PAUSES = (0.0, 0.5, 1.5)
"""Seconds before each look: not every store shows at once what has happened."""


def delete_and_look(store: Store, key: str) -> bool:
    """Remove one object, as ``Store.delete`` does, and see that it is gone.

    Raises:
        StoreError: it could not be deleted, or stays although the store, or what stands before it, reports success.
    """
    is_hidden = store.delete(key)
    for pause in _PAUSES:
        time.sleep(pause)
        if store.head(key) is None:
            return is_hidden
    raise StoreError(
        f"deleting {store.location}/{key} failed: the store reported success, but it is still there; look at the "
        "rights of the access key, at locks, and at proxies on the way to the store"
    )
