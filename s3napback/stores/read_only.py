"""What a store says to whoever wants to change it, where it can only be read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import NoReturn

from s3napback.errors import StoreError
from s3napback.stores import ByteSource, StoredObject


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
