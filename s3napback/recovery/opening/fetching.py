"""The stored bytes of one archive: fetched in several ranges at once, given on in order, of one version only."""

from __future__ import annotations

import hashlib
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import field
from itertools import islice
from typing import TypeVar

from s3napback.catalogue.contents import CataloguedArchive
from s3napback.catalogue.sums import sum_key
from s3napback.crews import Crew, TookTooLong, within
from s3napback.errors import StoreError, StoreUnreachable
from s3napback.records import dataclass
from s3napback.recovery.opening.failures import Changed
from s3napback.stores import Store, StoredObject
from s3napback.streams.transformations import Block, Feed

LARGEST_RANGE = 16 * 1024 * 1024
"""Bytes asked for at once, at most; memory is ``(threads + 1)`` times as much."""

_Result = TypeVar("_Result")


class Arrived:
    """Counts what has come from the store. For several threads.

    Attributes:
        size: in bytes.
    """

    def __init__(self, total: Arrived | None = None) -> None:
        """Begin.

        Args:
            total: counts the same, and what comes elsewhere.
        """
        self.size = 0
        self._total = total
        self._lock = threading.Lock()

    def note(self, block: Block) -> Block:
        """Count a block, and return it."""
        with self._lock:
            self.size += len(block)
        if self._total is not None:
            self._total.note(block)
        return block


@dataclass(frozen=True)
class Transport:
    """How archives are fetched.

    Attributes:
        store: where they lie.
        threads: ranges under way at once.
        range_size: bytes of one range.
        stall_timeout: seconds after which what does not move is given up; None is for ever.
        total: counts all that has come.
    """

    store: Store
    threads: int = 4
    range_size: int = LARGEST_RANGE
    stall_timeout: float | None = None
    total: Arrived = field(default_factory=Arrived, compare=False)

    def address(self, archive: CataloguedArchive) -> str:
        """Where an archive lies, as people write it."""
        return f"{self.store.location}/{archive.key}"

    def feed(
        self,
        archive: CataloguedArchive,
        *,
        digest: str = "",
        through: Callable[[Iterator[memoryview]], Iterator[Block]] | None = None,
    ) -> Feed:
        """The beginning of a pipeline: an archive's bytes, as ``stored_bytes`` gives them.

        Args:
            through: what they pass first.
        """
        arrived = Arrived(self.total)

        def blocks() -> Iterator[Block]:
            stored = stored_bytes(self, archive, digest=digest, arrived=arrived)
            return stored if through is None else through(map(memoryview, stored))

        return Feed(self.address(archive), blocks, lambda: arrived.size)

    def promptly(self, call: Callable[[], _Result], archive: CataloguedArchive) -> _Result:
        """Read something small of an archive, or beside it.

        Raises:
            StoreUnreachable: nothing came; a folder on a dead network file system never answers.
        """
        try:
            return within(self.stall_timeout, call, "look")
        except TookTooLong:
            raise StoreUnreachable(
                f"reading {self.address(archive)} failed: the store has been silent for {self.stall_timeout:g} seconds "
                "(StallTimeout)"
            ) from None


def stored_bytes(
    transport: Transport, archive: CataloguedArchive, *, digest: str = "", arrived: Arrived | None = None
) -> Iterator[Block]:
    """Yield an archive's bytes; the end is reported only if they are all there and of the archive that was described.

    Args:
        transport: the store, and how much of it may be used.
        archive: as the catalogue describes it.
        digest: SHA-256 that the bytes must have, in hexadecimal; empty if it is not known.
        arrived: counts what has come, be it in order or not.

    Raises:
        StoreError: they cannot be read, the archive was replaced meanwhile, or the sum differs.
    """
    size = 0
    hashed = hashlib.sha256() if digest else None
    for block in _ordered_bytes(transport, archive.stored, arrived or Arrived()):
        size += len(block)
        if hashed:
            hashed.update(block)
        yield block
    address = transport.address(archive)
    if size != archive.stored.size:
        raise StoreError(f"reading {address} failed: it has {size} bytes in place of {archive.stored.size}")
    _require_unchanged(transport.store, archive)
    if hashed and hashed.hexdigest() != digest:
        raise Changed(
            f"{address} is damaged: its SHA-256 is {hashed.hexdigest()}, and when it was made it was {digest} "
            f"({sum_key(archive.key)})"
        )


def _ordered_bytes(transport: Transport, stored: StoredObject, arrived: Arrived) -> Iterator[Block]:
    if transport.threads < 2 or stored.size <= transport.range_size:
        yield from map(arrived.note, transport.store.read(stored.key, version=stored.version))
        return
    starts = iter(range(0, stored.size, transport.range_size))
    under_way: deque[Future[list[Block]]] = deque()

    def read_range(start: int) -> list[Block]:
        end = min(start + transport.range_size, stored.size)
        return [
            arrived.note(block)
            for block in transport.store.read(stored.key, start=start, end=end, version=stored.version)
        ]

    crew = Crew(transport.threads, "fetch")
    try:
        under_way.extend(crew.submit(read_range, start) for start in islice(starts, transport.threads))
        while under_way:
            blocks = under_way.popleft().result()
            # One more is asked for only now: what waits here is one of the ranges that memory is counted for.
            if (start := next(starts, None)) is not None:
                under_way.append(crew.submit(read_range, start))
            yield from blocks
    finally:
        crew.close(0)


def _require_unchanged(store: Store, archive: CataloguedArchive) -> None:
    """Look at the object once more: not every store says while reading that another one has taken its place."""
    now = store.head(archive.key)
    before = archive.stored
    if now is None:
        raise StoreError(f"{store.location}/{archive.key} was deleted while it was read: run again")
    is_same = (now.version, now.size) == (before.version, before.size)
    if is_same and bool(now.metadata) != bool(before.metadata):
        raise StoreError(
            f"reading {store.location}/{archive.key} failed: the store tells its metadata at one time, and none at "
            "another: run again; if it fails again, look at the store, and at proxies on the way to it"
        )
    if not is_same or now.metadata != before.metadata:
        raise StoreError(
            f"{store.location}/{archive.key} was replaced while it was read, perhaps by a running backup: run again"
        )
