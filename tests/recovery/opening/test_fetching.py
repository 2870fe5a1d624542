"""Stored bytes over the network: in order, within bounded memory, resumed, and of one version only."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from s3napback.catalogue.contents import CataloguedArchive
from s3napback.errors import StoreError
from s3napback.recovery.opening.fetching import Transport, stored_bytes
from s3napback.stores import Store
from s3napback.stores.opening import open_store
from tests.faulty_s3 import Answer, Fault, FaultyS3, Forward, Request, change_answer, cut_answer, delay
from tests.recovery.helpers import file_member, put_archive, restore_here, tar_of, why_not
from tests.servers import S3Server
from tests.site import Site
from tests.stores.sources import BytesSource

Faulty = Callable[[S3Server], FaultyS3]
CONTENT = random.Random(1).randbytes(10_000_000)
RANGE = 1_000_000


def opened(server: S3Server, bucket: str) -> Store:
    return open_store(server.settings(bucket), server.credentials)


def stored(store: Store, content: bytes = CONTENT) -> CataloguedArchive:
    store.put("etc-0-FULL", BytesSource(content), {"s3napback-id": "one"})
    found = store.head("etc-0-FULL")
    assert found is not None
    return CataloguedArchive(found, "etc", None)


def fetched(transport: Transport, archive: CataloguedArchive) -> bytes:
    return b"".join(bytes(block) for block in stored_bytes(transport, archive))


@pytest.fixture
def proxy(rclone: S3Server, faulty: Faulty) -> FaultyS3:
    return faulty(rclone)


@pytest.fixture
def store(proxy: FaultyS3) -> Store:
    return opened(proxy.server, proxy.server.make_bucket())


def ranges(proxy: FaultyS3) -> list[str]:
    return [request.headers.get("Range", "") for request in proxy.seen if request.operation == "GetObject"]


@pytest.mark.parametrize("size", [0, 1, RANGE, RANGE + 1, 3 * RANGE, len(CONTENT)])
def test_ranges_are_put_together_in_order(store: Store, proxy: FaultyS3, size: int) -> None:
    archive = stored(store, CONTENT[:size])
    # The first ranges are the last to arrive.
    proxy.add(Fault("GetObject", delay(0.2), nth=(1, 2)))
    assert fetched(Transport(store, 4, RANGE), archive) == CONTENT[:size]
    assert len(ranges(proxy)) == max(1, -(-size // RANGE))


def test_several_ranges_are_under_way_at_once_and_never_more_than_memory_is_counted_for(
    store: Store, proxy: FaultyS3
) -> None:
    archive = stored(store)
    proxy.add(Fault("GetObject", delay(0.1)))
    taken = 0
    for block in stored_bytes(Transport(store, 3, RANGE), archive):
        taken += len(block)
        asked_for = len(ranges(proxy)) * RANGE
        assert asked_for <= taken + 4 * RANGE
    gets = [request for request in proxy.seen if request.operation == "GetObject"]
    most = max(sum(other.began <= request.began < other.ended for other in gets) for request in gets)
    assert most == 3


def test_a_broken_connection_goes_on_at_the_byte_where_it_broke(store: Store, proxy: FaultyS3) -> None:
    archive = stored(store)
    proxy.add(Fault("GetObject", cut_answer(123_456), nth=(1, 2, 5)))
    assert fetched(Transport(store, 1, RANGE), archive) == CONTENT
    assert ranges(proxy)[1].startswith("bytes=123456-")
    assert fetched(Transport(store, 4, RANGE), archive) == CONTENT


@pytest.mark.parametrize("threads", [1, 4])
def test_an_object_replaced_while_it_is_read_is_an_error_and_two_are_never_mixed(
    store: Store, proxy: FaultyS3, threads: int
) -> None:
    archive = stored(store)
    replaced = threading.Lock()

    def replace_first(request: Request, forward: Forward) -> Answer:
        with replaced:
            if not store_again:
                store_again.append(True)
                proxy.clear()
                store.put("etc-0-FULL", BytesSource(CONTENT[::-1]), {"s3napback-id": "two"})
        return forward(request)

    store_again: list[bool] = []
    if threads == 1:
        proxy.add(Fault("GetObject", cut_answer(50_000), nth=1))
    proxy.add(Fault("GetObject", replace_first, nth=2 if threads > 1 else None))
    taken = bytearray()
    with pytest.raises(StoreError, match="replaced by another object meanwhile"):
        for block in stored_bytes(Transport(store, threads, RANGE), archive):
            taken += block
    assert CONTENT.startswith(taken)


def test_an_object_replaced_right_at_the_end_is_noticed_by_its_identity(any_site: Site) -> None:
    """The same bytes again, under another id: no store could tell from the bytes."""
    store = any_site.store()
    archive = stored(store)
    blocks = stored_bytes(Transport(store, 1, RANGE), archive)
    next(blocks)
    if any_site.server is None:
        store.put("etc-0-FULL", BytesSource(CONTENT), {"s3napback-id": "two"})
    else:
        client = any_site.server.client()
        client.put_object(Bucket=any_site.bucket, Key="etc-0-FULL", Body=CONTENT, Metadata={"s3napback-id": "two"})
    with pytest.raises(StoreError, match="replaced while it was read"):
        list(blocks)


@pytest.mark.parametrize("nth", [1, 2])
def test_an_answer_that_has_lost_the_metadata_is_not_said_to_be_of_another_object(
    store: Store, proxy: FaultyS3, nth: int
) -> None:
    stored(store)
    proxy.add(Fault("HeadObject", change_answer(without_metadata), nth=nth))
    found = store.head("etc-0-FULL")
    assert found is not None
    archive = CataloguedArchive(found, "etc", None)
    with pytest.raises(StoreError, match="tells its metadata at one time, and none at another: run again"):
        fetched(Transport(store, 1, RANGE), archive)


def without_metadata(answer: Answer) -> Answer:
    """An answer as of a proxy that knows no headers of S3."""
    kept = {name: value for name, value in answer.headers.items() if not name.lower().startswith("x-amz-meta-")}
    return replace(answer, headers=kept)


class LastByteLosingStore:
    """A store whose answers end a byte too early, and bear no sign of it."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def read(self, key: str, **options: Any) -> Iterator[bytes]:
        yield b"".join(self._store.read(key, **options))[:-1]


def test_an_answer_that_ends_early_is_an_error(site: Site) -> None:
    archive = stored(site.store())
    with pytest.raises(StoreError, match=f"it has {len(CONTENT) - 1} bytes in place of {len(CONTENT)}"):
        fetched(Transport(LastByteLosingStore(site.store()), 1, RANGE), archive)


def test_a_deleted_object_is_noticed(any_site: Site) -> None:
    store = any_site.store()
    archive = stored(store)
    blocks = stored_bytes(Transport(store, 1, RANGE), archive)
    next(blocks)
    store.delete("etc-0-FULL")
    with pytest.raises(StoreError, match="deleted while it was read"):
        list(blocks)


def test_archives_in_cold_storage_are_said_and_not_fetched(
    moto: S3Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site = Site(tmp_path / "site", moto)
    site.configure("")
    key = put_archive(site, 0, tar_of((file_member("etc/x"), b"x")))
    client = moto.client()
    client.copy_object(
        Bucket=site.bucket,
        Key=key,
        CopySource=f"{site.bucket}/{key}",
        StorageClass="DEEP_ARCHIVE",
        MetadataDirective="COPY",
    )
    said = why_not(site, "/etc", tmp_path / "out")
    assert f"{key} lies in cold storage (DEEP_ARCHIVE)" in said
    assert f"aws --endpoint-url {moto.endpoint} s3api restore-object --bucket {site.bucket}" in said
    restore_here(site, "/etc", tmp_path / "out", test=True)
    assert "cold storage" in capsys.readouterr().out
    client.restore_object(Bucket=site.bucket, Key=key, RestoreRequest={"Days": 1})
    restore_here(site, "/etc", tmp_path / "out")
    assert (tmp_path / "out/etc/x").read_text() == "x"
