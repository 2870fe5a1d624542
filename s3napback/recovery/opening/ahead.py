"""Small archives of a chain, read before they are asked for, several at a time: a request takes long, and they do not.

What is said of an archive is as true as without it: its bytes are those of the version that was described, and the
object is looked at once more after they have come.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import field, replace
from itertools import islice

from s3napback.catalogue.contents import CataloguedArchive
from s3napback.catalogue.sums import LONGEST_SUM, sum_key
from s3napback.crews import Crew, carry_out, result_of
from s3napback.records import dataclass
from s3napback.recovery.opening.decoder import Decoder
from s3napback.recovery.opening.decrypting import HEAD_SIZE, looks_encrypted
from s3napback.stores import Store, StoredObject, read_at_most
from s3napback.stores.read_only import StoreInFront

LARGEST = 1 << 20
"""Bytes of an archive that is read so; larger ones are read when their turn comes, by several ranges at once."""

_FOR_EACH_THREAD = 2
"""Archives that may wait; memory is as many times ``LARGEST``."""


@dataclass(frozen=True)
class _Coming:
    """What comes of one archive, one after the other: its bytes, what the store says of it then, and its checksum.

    A checksum that does not come keeps nobody from the rest.
    """

    content: Future[bytes] = field(default_factory=Future)
    now: Future[StoredObject | None] = field(default_factory=Future)
    digest: Future[bytes | None] = field(default_factory=Future)


class _AheadStore(StoreInFront):
    """A store that can be read, and knows what will be asked of it next. Used by one thread at a time."""

    def __init__(self, store: Store, chain: Sequence[CataloguedArchive], sums: frozenset[str], threads: int) -> None:
        super().__init__(store)
        self._sums = sums
        self._crew = Crew(threads, "ahead")
        self._waiting = iter(chain)
        self._under_way: dict[str, _Coming] = {}
        self._by_sum = {sum_key(archive.key): archive.key for archive in chain}
        self._most = threads * _FOR_EACH_THREAD
        self._begin()

    def close(self) -> None:
        """Read nothing more ahead, and wait for nothing."""
        self._waiting = iter(())
        self._under_way.clear()
        self._crew.close(0)

    def _begin(self) -> None:
        for archive in islice(self._waiting, self._most - len(self._under_way)):
            coming = self._under_way[archive.key] = _Coming()
            self._crew.submit(self._fetch, archive.stored, coming)

    def _fetch(self, stored: StoredObject, coming: _Coming) -> None:
        carry_out(coming.content, lambda: b"".join(self._store.read(stored.key, version=stored.version)))
        carry_out(coming.now, lambda: self._store.head(stored.key) if coming.content.result() else None)
        carry_out(coming.digest, lambda: self._sum(sum_key(stored.key), coming.content.result()))

    def _sum(self, key: str, content: bytes) -> bytes | None:
        """A checksum; None if none is needed. That it cannot be read whoever asks for it is told, and nobody else."""
        has_sum = key in self._sums and not looks_encrypted(content[:HEAD_SIZE])
        return read_at_most(self._store, key, LONGEST_SUM) if has_sum else None

    def read(self, key: str, *, start: int = 0, end: int | None = None, version: str = "") -> Iterator[bytes]:
        """See ``Store``."""
        if key in self._under_way:
            yield result_of(self._under_way[key].content)[start:end]
            return
        archive = self._by_sum.get(key, "")
        if archive in self._under_way and (digest := result_of(self._under_way[archive].digest)) is not None:
            yield digest[start:end]
            return
        yield from self._store.read(key, start=start, end=end, version=version)

    def head(self, key: str) -> StoredObject | None:
        """See ``Store``. With it an archive is done; what is asked of it later is asked anew."""
        coming = self._under_way.pop(key, None)
        if coming is None:
            return self._store.head(key)
        self._begin()
        return result_of(coming.now)

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """See ``Store``."""
        return self._store.list(prefix)

    def _why_unchangeable(self, key: str) -> str:
        return f"{self.location}/{key} is being restored, and not changed"


@contextmanager
def reading_ahead(decoder: Decoder, chain: Sequence[CataloguedArchive]) -> Iterator[Decoder]:
    """While it is entered, the same decoder, to be used for one archive of a chain after the other.

    Args:
        chain: in the order in which they will be read.
    """
    transport = decoder.transport
    small = [each for each in chain if 0 < each.stored.size <= LARGEST and each.key not in decoder.parts]
    if len(small) < 2 or not transport.store.is_distant or decoder.decryption.signer:
        yield decoder
        return
    store = _AheadStore(transport.store, small, decoder.sums, transport.threads)
    try:
        yield replace(decoder, transport=replace(transport, store=store))
    finally:
        store.close()
