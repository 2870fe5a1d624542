"""What a store says to whoever wants to change it, where it can only be read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import NoReturn

from s3napback.errors import StoreError
from s3napback.stores import ByteSource, Store, StoredObject


class ReadOnlyStore(ABC):
    """The part of ``Store`` that changes objects, or looks for what changing them left behind. Stands before others.

    Nothing is changed, and nothing of ours can be unfinished in it.
    """

    @abstractmethod
    def _why_unchangeable(self, key: str) -> str:
        """The whole message for whoever wants to change an object."""

    def put(
        self,
        key: str,
        source: ByteSource,
        metadata: Mapping[str, str],
        *,
        expected_size: int | None = None,
        is_helper: bool = False,
        lock_until: datetime | None = None,
    ) -> StoredObject:
        """Refused."""
        del source, metadata, expected_size, is_helper, lock_until
        self._refuse(key)

    def delete(self, key: str) -> bool:
        """Refused."""
        self._refuse(key)

    def gone(self, prefix: str) -> Iterator[str]:
        """None."""
        del prefix
        return iter(())

    def unfinished(self, prefix: str) -> Iterator[str]:
        """None."""
        del prefix
        return iter(())

    def discard_leftovers(self, key: str, *, count_only: bool = False, least_age: float = 0) -> int:
        """None."""
        del key, count_only, least_age
        return 0

    def _refuse(self, key: str) -> NoReturn:
        raise StoreError(self._why_unchangeable(key))


class StoreInFront(ReadOnlyStore):
    """The part of ``Store`` that tells of the place, asked of the store behind. Stands before others."""

    def __init__(self, store: Store) -> None:
        """Stand in front of a store."""
        self._store = store

    @property
    def location(self) -> str:
        """That of the store."""
        return self._store.location

    @property
    def identity(self) -> str:
        """That of the store."""
        return self._store.identity

    @property
    def is_distant(self) -> bool:
        """That of the store."""
        return self._store.is_distant

    def check(self, *, for_writing: bool = True) -> None:
        """Look whether the store can be used."""
        self._store.check(for_writing=for_writing)

    def is_recognised(self) -> bool:
        """Whether the store bears our sign."""
        return self._store.is_recognised()
