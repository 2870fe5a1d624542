"""A store in which each of the original's archives is one object: its chunks, read one after the other.

It can be read alone: nothing of the original's is ever changed through it.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import accumulate

from s3napback.errors import StoreError
from s3napback.original.contents import chunks_of, original_archives
from s3napback.records import dataclass
from s3napback.stores import COLD_CLASSES, Store, StoredObject
from s3napback.stores.read_only import StoreInFront


@dataclass(frozen=True)
class _Joined:
    """One archive.

    Attributes:
        whole: the object that it is taken for.
        chunks: in order.
        starts: of each chunk the offset of its first byte.
    """

    whole: StoredObject
    chunks: tuple[StoredObject, ...]
    starts: tuple[int, ...]


class JoinedStore(StoreInFront):
    """The original's archives, by their BASE as key."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._known: dict[str, _Joined] = {}

    def head(self, key: str) -> StoredObject | None:
        """Describe one archive as it is now; None if no chunk of it is there.

        Raises:
            StoreError: it is not whole.
        """
        joined = self._look(key)
        return joined.whole if joined else None

    def read(self, key: str, *, start: int = 0, end: int | None = None, version: str = "") -> Iterator[bytes]:
        """Yield the bytes ``[start, end)`` of an archive, each chunk being of the version that was listed.

        Raises:
            StoreError: it is absent, is not whole, or another one was put in its place.
        """
        doing = f"reading {self.location}/{key}"
        joined = self._known.get(key) or self._look(key)
        if joined is None:
            raise StoreError(f"{doing} failed: there is no such archive")
        if version and version != joined.whole.version:
            raise StoreError(f"{doing} failed: it has been replaced by another one meanwhile")
        stop = joined.whole.size if end is None else end
        if not 0 <= start <= stop <= joined.whole.size:
            raise StoreError(f"{doing} failed: it ends before byte {stop}")
        index = max(0, bisect_right(joined.starts, start) - 1)
        while start < stop:
            chunk, offset = joined.chunks[index], joined.starts[index]
            until = min(stop, offset + chunk.size)
            if start < until:
                yield from self._read_chunk(chunk, start - offset, until - offset)
            start, index = until, index + 1

    def _read_chunk(self, chunk: StoredObject, start: int, end: int) -> Iterator[bytes]:
        size = 0
        for block in self._store.read(chunk.key, start=start, end=end, version=chunk.version):
            size += len(block)
            yield block
        if size != end - start:
            raise StoreError(
                f"reading {self.location}/{chunk.key} failed: it gave {size} bytes in place of {end - start}"
            )

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """Yield every archive whose BASE begins with ``prefix`` and that is whole."""
        for archive in sorted(original_archives(self._store.list(prefix)), key=lambda each: each.base):
            if not archive.problem and (joined := self._look(archive.base)) is not None:
                yield joined.whole

    def _why_unchangeable(self, key: str) -> str:
        return f"{self.location}/{key} is the original tool's, and never changed"

    def _restore_state(self, chunks: Sequence[StoredObject]) -> str:
        """That of the first chunk in cold storage that cannot be read now, else of any; empty where none is cold."""
        state = ""
        for chunk in chunks:
            if chunk.storage_class in COLD_CLASSES:
                found = self._store.head(chunk.key)
                state = found.restore_state if found else ""
                if 'ongoing-request="false"' not in state:
                    break
        return state

    def _look(self, base: str) -> _Joined | None:
        """List an archive's chunks anew."""
        found = chunks_of(base, self._store.list(f"{base}:"))
        archive = next(iter(original_archives(found)), None)
        if archive is None:
            return None
        if archive.problem:
            raise StoreError(f"{self.location}/{base} cannot be read: {archive.problem}")
        chunks = tuple(found)
        digest = hashlib.sha256()
        for chunk in chunks:
            digest.update(f"{chunk.key}\0{chunk.size}\0{chunk.version}\0".encode("utf-8", "surrogateescape"))
        whole = StoredObject(
            key=base,
            size=archive.size,
            modified=archive.modified,
            version=digest.hexdigest(),
            storage_class=archive.storage_class,
            restore_state=self._restore_state(chunks),
        )
        starts = tuple(accumulate((chunk.size for chunk in chunks[:-1]), initial=0))
        # What its metadata say in a listing is nothing, so that there is nothing to keep.
        joined = _Joined(whole, tuple(replace(chunk, metadata={}) for chunk in chunks), starts)
        self._known[base] = joined
        return joined
