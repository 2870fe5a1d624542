from __future__ import annotations

import io
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from s3napback.errors import StoreError
from s3napback.original.joined import JoinedStore
from s3napback.stores import Store
from s3napback.stores.directory import DirectoryStore
from s3napback.stores.opening import open_store
from tests.original.vectors import Bucket
from tests.servers import S3Server

DATA = random.Random(1).randbytes(3 * 8192 + 100)
BASE = "/srv//a:b-0-FULL"


def small_bucket() -> Bucket:
    bucket = Bucket()
    bucket.put(BASE, DATA)
    bucket.put(f"{BASE}:7", b"of another base")
    bucket.put("/exact-0-FULL", bytes(8192))
    return bucket


def uploaded(server: S3Server, bucket: Bucket) -> Store:
    name = server.make_bucket()
    for key, (_, data) in bucket.objects.items():
        server.client().put_object(Bucket=name, Key=key, Body=data)
    return open_store(server.settings(name), server.credentials)


@pytest.fixture(params=["a folder", "S3"])
def store(request: pytest.FixtureRequest, tmp_path: Path, moto: S3Server) -> tuple[Store, Callable[[str], str]]:
    """The bucket in a store, and how its keys are written there."""
    if request.param == "S3":
        return uploaded(moto, small_bucket()), str
    small_bucket().copied_to(tmp_path)
    return DirectoryStore(tmp_path), lambda key: key.lstrip("/").replace("//", "/")


Opened = tuple[Store, Callable[[str], str]]


def test_an_archive_is_one_object_of_all_its_chunks(store: Opened) -> None:
    inner, written = store
    joined = JoinedStore(inner)
    found = joined.head(written(BASE))
    assert found is not None
    assert (found.key, found.size) == (written(BASE), len(DATA))
    assert b"".join(joined.read(found.key, version=found.version)) == DATA
    exact = joined.head(written("/exact-0-FULL"))
    assert exact is not None
    assert exact.size == 8192
    assert b"".join(joined.read(exact.key)) == bytes(8192)
    assert [each.key for each in joined.list("")] == sorted(map(written, ("/exact-0-FULL", BASE)))
    assert joined.head(written("/none-0-FULL")) is None


def test_any_range_is_read_over_the_borders_of_chunks(store: Opened) -> None:
    inner, written = store
    joined = JoinedStore(inner)
    for start, end in [(0, 4), (0, 8192), (8192, 8193), (8191, 16385), (5, None), (len(DATA), None), (100, 100)]:
        assert b"".join(joined.read(written(BASE), start=start, end=end)) == DATA[start:end], (start, end)
    for start, end in [(0, len(DATA) + 1), (len(DATA) + 1, None), (5, 4)]:
        with pytest.raises(StoreError, match="it ends before byte"):
            list(joined.read(written(BASE), start=start, end=end))


def test_a_chunk_that_is_replaced_or_goes_is_noticed(tmp_path: Path) -> None:
    small_bucket().copied_to(tmp_path)
    joined = JoinedStore(DirectoryStore(tmp_path))
    base = "srv/a:b-0-FULL"
    before = joined.head(base)
    assert before is not None
    (tmp_path / f"{base}:{2:020d}").write_bytes(bytes(8192))
    with pytest.raises(StoreError, match="replaced by another"):
        list(joined.read(base, version=before.version))
    after = joined.head(base)
    assert after is not None
    assert after.version != before.version
    with pytest.raises(StoreError, match="it has been replaced by another one meanwhile"):
        list(joined.read(base, version=before.version))
    (tmp_path / f"{base}:{1:020d}").unlink()
    with pytest.raises(StoreError, match="chunk 1 is missing"):
        joined.head(base)
    assert [each.key for each in joined.list("")] == ["exact-0-FULL"]


def test_numbers_without_zeros_in_front_are_in_the_order_of_numbers(tmp_path: Path) -> None:
    bucket = Bucket(digits=1)
    data = random.Random(2).randbytes(12 * 8192 + 1)
    bucket.put("/etc-0-FULL", data)
    bucket.copied_to(tmp_path)
    assert (tmp_path / "etc-0-FULL:12").exists()
    assert b"".join(JoinedStore(DirectoryStore(tmp_path)).read("etc-0-FULL")) == data


def test_nothing_is_ever_written_through_it(tmp_path: Path) -> None:
    small_bucket().copied_to(tmp_path)
    joined = JoinedStore(DirectoryStore(tmp_path))
    with pytest.raises(StoreError, match="never changed"):
        joined.delete("exact-0-FULL")
    with pytest.raises(StoreError, match="never changed"):
        joined.put("exact-0-FULL", io.BytesIO(b""), {})
    assert joined.discard_leftovers("exact-0-FULL") == 0
    assert joined.location == f"file://{tmp_path}"
