"""Archives that are read before their turn: at once, in bounded memory, and with the same care."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import datetime, timezone

import pytest

from s3napback.catalogue.contents import CataloguedArchive
from s3napback.errors import StoreError
from s3napback.recovery.opening import ahead
from s3napback.recovery.opening.ahead import reading_ahead
from s3napback.recovery.opening.decoder import Decoder
from s3napback.recovery.opening.decrypting import Decryption
from s3napback.recovery.opening.fetching import Transport, stored_bytes
from s3napback.stores import StoredObject
from s3napback.stores.read_only import ReadOnlyStore

WHEN = datetime(2026, 1, 1, tzinfo=timezone.utc)


class SlowStore(ReadOnlyStore):
    """Objects in memory, each request answered late; notes requests, and how many were under way at once."""

    location = identity = "slow://store"
    is_distant = True

    def __init__(self, count: int, meets: int = 1) -> None:
        """Nothing is answered until ``meets`` requests were there at a time."""
        self.objects = {f"number-{number}": (b"%d" % number) * 1000 for number in range(count)}
        self.versions = dict.fromkeys(self.objects, "first")
        self.requests: list[str] = []
        self.most = self._now = 0
        self._lock = threading.Lock()
        self._meets = meets
        self._have_met = threading.Event()

    def chain(self) -> list[CataloguedArchive]:
        return [CataloguedArchive(self.describe(key), key, None) for key in self.objects]

    def describe(self, key: str) -> StoredObject:
        return StoredObject(key, len(self.objects[key]), WHEN, version=self.versions[key])

    def answer(self, request: str) -> None:
        with self._lock:
            self.requests.append(request)
            self._now += 1
            self.most = max(self.most, self._now)
            if self.most >= self._meets:
                self._have_met.set()
        assert self._have_met.wait(30)
        time.sleep(0.02)
        with self._lock:
            self._now -= 1

    def read(self, key: str, *, start: int = 0, end: int | None = None, version: str = "") -> Iterator[bytes]:
        self.answer(f"read {key}")
        if version not in ("", self.versions[key]):
            raise StoreError(f"{key} has been replaced")
        yield self.objects[key][start:end]

    def head(self, key: str) -> StoredObject | None:
        self.answer(f"head {key}")
        return self.describe(key)

    def check(self, *, for_writing: bool = True) -> None:
        del for_writing

    def is_recognised(self) -> bool:
        return True

    def list(self, prefix: str) -> Iterator[StoredObject]:
        return (self.describe(key) for key in self.objects if key.startswith(prefix))

    def _why_unchangeable(self, key: str) -> str:
        return key


def decoder_of(store: SlowStore) -> Decoder:
    return Decoder(Transport(store, threads=4), Decryption())


def whole(decoder: Decoder, archive: CataloguedArchive) -> bytes:
    store = decoder.transport.store
    head = b"".join(store.read(archive.key, end=4))
    content = b"".join(map(bytes, stored_bytes(decoder.transport, archive)))
    assert content.startswith(head)
    return content


def test_several_are_read_at_once_each_with_two_requests_and_never_more_than_memory_is_counted_for() -> None:
    store = SlowStore(30, meets=4)
    with reading_ahead(decoder_of(store), store.chain()) as decoder:
        for number, archive in enumerate(store.chain()):
            assert whole(decoder, archive) == store.objects[archive.key]
            time.sleep(0.05 if number < 4 else 0)
            read = [request for request in store.requests if request.startswith("read")]
            assert len(read) <= number + 1 + 4 * 2
    assert store.most == 4
    assert len(store.requests) == 2 * 30


def test_what_was_replaced_since_it_was_described_or_read_is_not_taken_for_the_other() -> None:
    store = SlowStore(6)
    chain = store.chain()
    store.versions["number-1"] = "second"
    with reading_ahead(decoder_of(store), chain) as decoder:
        whole(decoder, chain[0])
        with pytest.raises(StoreError, match="has been replaced"):
            whole(decoder, chain[1])


def test_what_is_replaced_while_it_is_read_ahead_is_noticed() -> None:
    store = SlowStore(4)
    chain, read = store.chain(), store.read

    def read_and_replace(key: str, **options: object) -> Iterator[bytes]:
        yield from read(key, **options)  # type: ignore[arg-type] # as it was called
        store.versions[key] = "second"

    store.read = read_and_replace  # type: ignore[method-assign]
    with (
        reading_ahead(decoder_of(store), chain) as decoder,
        pytest.raises(StoreError, match="was replaced while it was read"),
    ):
        whole(decoder, chain[0])


def test_what_is_read_a_second_time_is_asked_for_anew() -> None:
    store = SlowStore(3)
    with reading_ahead(decoder_of(store), store.chain()) as decoder:
        first = store.chain()[0]
        assert whole(decoder, first) == whole(decoder, first)
    assert store.requests.count("head number-0") == 2


def test_large_ones_wait_for_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "LARGEST", 1000)
    store = SlowStore(12)
    with reading_ahead(decoder_of(store), store.chain()) as decoder:
        time.sleep(0.2)
        assert not {"read number-10", "read number-11"} & {*store.requests}
        for archive in store.chain():
            assert whole(decoder, archive) == store.objects[archive.key]
