"""The stored bytes of one archive: fetched in several ranges at once, given on in order, of one version only."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

from s3napback.archives import sum_key
from s3napback.catalogue.contents import CataloguedArchive
from s3napback.errors import StoreError
from s3napback.stores import Store, StoredObject
from s3napback.streams.pipeline import Block

LARGEST_RANGE = 16 * 1024 * 1024
"""Bytes asked for at once, at most; memory is ``(threads + 1)`` times as much."""


@dataclass(frozen=True)
class Transport:
    """How archives are fetched.

    Attributes:
        store: where they lie.
        threads: ranges under way at once.
        range_size: bytes of one range.
    """

    store: Store
    threads: int = 4
    range_size: int = LARGEST_RANGE

    def address(self, archive: CataloguedArchive) -> str:
        """Where an archive lies, as people write it."""
        return f"{self.store.location}/{archive.key}"


def stored_bytes(transport: Transport, archive: CataloguedArchive, *, digest: str = "") -> Iterator[Block]:
    """Yield an archive's bytes; the end is reported only if they are all there and of the archive that was described.

    Args:
        transport: the store, and how much of it may be used.
        archive: as the catalogue describes it.
        digest: SHA-256 that the bytes must have, in hexadecimal; empty if it is not known.

    Raises:
        StoreError: they cannot be read, the archive was replaced meanwhile, or the sum differs.
    """
    size = 0
    hashed = hashlib.sha256() if digest else None
    for block in _ordered_bytes(transport, archive.stored):
        size += len(block)
        if hashed:
            hashed.update(block)
        yield block
    address = transport.address(archive)
    if size != archive.stored.size:
        raise StoreError(f"reading {address} failed: it has {size} bytes in place of {archive.stored.size}")
    _require_unchanged(transport.store, archive)
    if hashed and hashed.hexdigest() != digest:
        raise StoreError(
            f"{address} is damaged: its SHA-256 is {hashed.hexdigest()}, and when it was made it was {digest} "
            f"({sum_key(archive.key)})"
        )


def known_digest(store: Store, archive: CataloguedArchive, *, has_sum: bool) -> str:
    """The SHA-256 that the object beside an archive gives for it; empty if there is none, or it is of an older one.

    Args:
        store: where they lie.
        archive: whose sum is wanted.
        has_sum: such an object is known to exist.

    Raises:
        StoreError: it cannot be read.
    """
    if not has_sum or archive.record is None:
        return ""
    text = b"".join(store.read(sum_key(archive.key))).decode(errors="replace")
    if f"# id {archive.record.id}" not in text.splitlines():
        return ""
    return text.partition(" ")[0].lstrip("\\")


def _ordered_bytes(transport: Transport, stored: StoredObject) -> Iterator[Block]:
    if transport.threads < 2 or stored.size <= transport.range_size:
        yield from transport.store.read(stored.key, version=stored.version)
        return
    starts = iter(range(0, stored.size, transport.range_size))
    under_way: deque[Future[list[bytes]]] = deque()

    def read_range(start: int) -> list[bytes]:
        end = min(start + transport.range_size, stored.size)
        return list(transport.store.read(stored.key, start=start, end=end, version=stored.version))

    with ThreadPoolExecutor(transport.threads, "fetch") as pool:
        try:
            under_way.extend(pool.submit(read_range, start) for start in islice(starts, transport.threads))
            while under_way:
                blocks = under_way.popleft().result()
                # One more is asked for only now: what waits here is one of the ranges that memory is counted for.
                if (start := next(starts, None)) is not None:
                    under_way.append(pool.submit(read_range, start))
                yield from blocks
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _require_unchanged(store: Store, archive: CataloguedArchive) -> None:
    """Look at the object once more: not every store says while reading that another one has taken its place."""
    now = store.head(archive.key)
    before = archive.stored
    if now is None:
        raise StoreError(f"{store.location}/{archive.key} was deleted while it was read: run again")
    if now.version != before.version or now.size != before.size or now.metadata != before.metadata:
        raise StoreError(
            f"{store.location}/{archive.key} was replaced while it was read, perhaps by a running backup: run again"
        )
