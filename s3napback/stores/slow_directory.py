"""A folder that is read and written no faster than BandwidthLimit says: it may lie on another machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

from s3napback.stores import ByteSource, StoredObject
from s3napback.stores.directory import DirectoryStore
from s3napback.stores.throttle import Throttle, ThrottledSource


class SlowDirectoryStore(DirectoryStore):
    """A directory store behind a throttle."""

    def __init__(self, root: Path, throttle: Throttle) -> None:
        """See ``DirectoryStore``."""
        super().__init__(root)
        self._throttle = throttle

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
        """See ``Store``."""
        slowed = ThrottledSource(source, self._throttle)
        return super().put(
            key, slowed, metadata, expected_size=expected_size, is_helper=is_helper, lock_until=lock_until
        )

    def read(self, key: str, *, start: int = 0, end: int | None = None, version: str = "") -> Iterator[bytes]:
        """See ``Store``."""
        return self._throttle.passed(super().read(key, start=start, end=end, version=version))
