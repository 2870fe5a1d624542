"""A bucket as of a moment, asked by the store itself: rights, pages, and what it may not do."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from s3napback.errors import S3napbackError, StoreError, StoreUnreachable, UnusableStore
from s3napback.stores import Store
from s3napback.stores.opening import open_store
from tests.faulty_s3 import Answer, Fault, FaultyS3, Forward, Request, answer
from tests.past import FIRST, Past, Thief, past_server
from tests.servers import S3Server
from tests.stores.sources import BytesSource

THEN = FIRST + timedelta(hours=1)
KEY = "a/b c-0-FULL"


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with past_server() as running:
        yield running


@pytest.fixture
def past(server: S3Server) -> Past:
    """A bucket with an archive of before THEN, and one of after it in its place."""
    found = Past.begin(server)
    for text, moment in ((b"old", FIRST), (b"new!", THEN + timedelta(hours=1))):
        put(found, KEY, text)
        found.date(moment)
    return found


def put(past: Past, key: str, data: bytes, identity: str = "") -> None:
    metadata = {"s3napback-id": identity or data.decode()}
    past.server.client().put_object(Bucket=past.bucket, Key=key, Body=data, Metadata=metadata)


def store_as_of(past: Past, moment: datetime = THEN, *, server: S3Server | None = None, prefix: str = "") -> Store:
    settings = (server or past.server).settings(past.bucket, as_of=moment, prefix=prefix)
    return open_store(settings, past.server.credentials, patient=False)


def content(store: Store, key: str) -> bytes:
    return b"".join(store.read(key))


def test_what_was_there_is_listed_described_and_read(past: Past) -> None:
    store = store_as_of(past)
    store.check()
    (listed,) = store.list("")
    found = store.head(KEY)
    assert found is not None
    assert replace(found, metadata={}, storage_class="") == replace(listed, storage_class="")
    assert (found.size, found.metadata, found.modified) == (3, {"s3napback-id": "old"}, FIRST)
    assert found.version_id == past.versions_of(KEY)[0].version_id
    assert content(store, KEY) == b"old"
    assert b"".join(store.read(KEY, start=1, end=2, version=found.version)) == b"l"
    assert store.head("a/b") is store.head("nothing-0-FULL") is None
    with pytest.raises(StoreError, match="nothing-0-FULL failed: it was not there at 2026-01-01 04:00:00 UTC"):
        content(store, "nothing-0-FULL")


def test_a_moment_counts_to_the_second(past: Past) -> None:
    assert [found.size for found in store_as_of(past, FIRST).list("")] == [3]
    assert list(store_as_of(past, FIRST - timedelta(seconds=1)).list("")) == []
    assert [found.size for found in store_as_of(past, THEN + timedelta(hours=1)).list("")] == [4]


def test_nothing_can_be_changed(past: Past) -> None:
    store = store_as_of(past)
    before = past.versions()
    with pytest.raises(StoreError, match="cannot be changed: the past can be read alone"):
        store.put(KEY, BytesSource(b"x"), {})
    with pytest.raises(StoreError, match="cannot be changed"):
        store.delete(KEY)
    past.server.client().create_multipart_upload(Bucket=past.bucket, Key=KEY)
    assert store.discard_leftovers(KEY) == 0
    assert past.server.unfinished_uploads(past.bucket) == [KEY]
    assert past.versions() == before


def test_many_versions_of_one_key_hide_no_other(past: Past, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of several pages, as moto makes them in this process if it is told to."""
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "1000")
    put(past, "z-0-FULL", b"z")
    past.date(FIRST)
    Thief(past).flood(KEY, 1_500)
    past.date(THEN + timedelta(days=1))
    store = store_as_of(past)
    assert [(found.key, found.size) for found in store.list("")] == [(KEY, 3), ("z-0-FULL", 1)]
    assert content(store, KEY) == b"old"


def test_a_key_deleted_before_is_not_there_and_one_deleted_after_is(past: Past) -> None:
    put(past, "x-0-FULL", b"x")
    past.date(FIRST)
    Thief(past).delete(["x-0-FULL"])
    past.date(FIRST + timedelta(minutes=1))
    Thief(past).delete([KEY])
    past.date(THEN + timedelta(minutes=1))
    assert [found.key for found in store_as_of(past).list("")] == [KEY]
    assert [found.key for found in store_as_of(past, FIRST).list("")] == [KEY, "x-0-FULL"]


def test_a_version_removed_since_the_listing_is_not_there(past: Past) -> None:
    store = store_as_of(past)
    assert [found.key for found in store.list("")] == [KEY]
    name = past.versions_of(KEY)[0].version_id
    past.server.client().delete_object(Bucket=past.bucket, Key=KEY, VersionId=name)
    assert store.head(KEY) is None
    with pytest.raises(StoreError, match="HTTP 404"):
        content(store, KEY)


# --- rights, and servers that fail ---


@pytest.mark.parametrize(
    ("operation", "fault", "kind", "text"),
    [
        ("ListObjectVersions", answer(403, "AccessDenied"), UnusableStore, "lack rights: s3:ListBucketVersions"),
        ("ListObjectVersions", answer(501, "NotImplemented"), UnusableStore, "this server keeps no versions"),
        ("ListObjectVersions", answer(503, "SlowDown"), StoreUnreachable, "listing the versions in s3://"),
        ("GetBucketVersioning", answer(503, "SlowDown"), StoreUnreachable, "looking whether s3://.* keeps versions"),
        ("GetBucketLifecycleConfiguration", answer(503, "SlowDown"), StoreUnreachable, "looking at the lifecycle"),
    ],
)
def test_what_the_check_cannot_find_out_is_said(
    past: Past, faulty: Callable[[S3Server], FaultyS3], operation: str, fault: object, kind: type, text: str
) -> None:
    proxy = faulty(past.server)
    proxy.add(Fault(operation, fault))  # type: ignore[arg-type]
    with pytest.raises(kind, match=text) as caught:
        store_as_of(past, server=proxy.server).check()
    assert isinstance(caught.value, S3napbackError)


@pytest.mark.parametrize(("operation", "call"), [("HeadObject|GetObject", "head"), ("GetObject", "read")])
def test_a_key_that_may_not_read_versions_is_told_which_right_it_lacks(
    past: Past, faulty: Callable[[S3Server], FaultyS3], operation: str, call: str
) -> None:
    proxy = faulty(past.server)
    proxy.add(Fault(operation, answer(403, "AccessDenied")))
    store = store_as_of(past, server=proxy.server)
    with pytest.raises(StoreError, match="s3:GetObjectVersion"):
        store.head(KEY) if call == "head" else content(store, KEY)


@pytest.mark.parametrize("has_versions", [True, False])
def test_without_the_right_to_look_at_its_settings_a_bucket_is_judged_by_its_versions(
    server: S3Server, faulty: Callable[[S3Server], FaultyS3], caplog: pytest.LogCaptureFixture, *, has_versions: bool
) -> None:
    past = Past.begin(server, has_versions=has_versions)
    put(past, KEY, b"old")
    proxy = faulty(server)
    for operation in ("GetBucketVersioning", "GetBucketLifecycleConfiguration"):
        proxy.add(Fault(operation, answer(403, "AccessDenied")))
    store = store_as_of(past, server=proxy.server)
    if not has_versions:
        with pytest.raises(UnusableStore, match="it keeps no versions"):
            store.check()
        return
    with caplog.at_level(logging.INFO):
        store.check()
    assert "lack rights: s3:GetLifecycleConfiguration" in caplog.text
    assert "whether older versions have been removed by one is not known" in caplog.text


def test_requests_are_those_of_a_listing_and_one_for_each_archive(
    past: Past, faulty: Callable[[S3Server], FaultyS3]
) -> None:
    """Of an archive in parts, its checksum is read as well."""
    client = past.server.client()
    upload = client.create_multipart_upload(Bucket=past.bucket, Key="p-0-FULL", Metadata={"s3napback-id": "p"})
    part = client.upload_part(Bucket=past.bucket, Key="p-0-FULL", UploadId=upload["UploadId"], PartNumber=1, Body=b"p")
    client.complete_multipart_upload(
        Bucket=past.bucket, Key="p-0-FULL", UploadId=upload["UploadId"],
        MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]},
    )  # fmt: skip
    put(past, "p-0-FULL.sha256", b"# id p\n# bytes stored 1\n", "sum")
    past.date(FIRST)
    proxy = faulty(past.server)
    store = store_as_of(past, server=proxy.server)
    for found in list(store.list("")):
        if not found.key.endswith(".sha256"):
            assert store.head(found.key)
    for _ in range(2):
        store.head(KEY)
    assert sorted(proxy.operations()) == ["GetObject", *["HeadObject"] * 5, "ListObjectVersions"]
    assert content(store, "p-0-FULL") == b"p"


@pytest.mark.parametrize(("status", "code"), [(400, "InvalidRequest"), (500, "InternalError")])
def test_a_checksum_that_cannot_be_read_hides_no_archive_that_an_older_one_vouches_for(
    past: Past, faulty: Callable[[S3Server], FaultyS3], caplog: pytest.LogCaptureFixture, status: int, code: str
) -> None:
    """Whoever encrypts it with a key of his own takes nothing away, neither of an archive in parts nor of another.

    Nor does a store that has lost it.
    """
    Thief(past).finish_late("p-0-FULL", b"parts", {"s3napback-id": "p"}, FIRST)
    for key, identity in (("p-0-FULL", "p"), (KEY, "old")):
        for text in (f"# id {identity}\n", "# id thief\n"):
            put(past, f"{key}.sha256", text.encode(), "sum")
    past.date(FIRST + timedelta(minutes=1))
    proxy = faulty(past.server)
    spoilt = {past.versions_of(f"{key}.sha256")[-1].version_id for key in ("p-0-FULL", KEY)}

    def refuse(request: Request, forward: Forward) -> Answer | None:
        is_spoilt = any(name in request.path for name in spoilt)
        return answer(status, code)(request, forward) if is_spoilt else forward(request)

    proxy.add(Fault("GetObject", refuse))
    store = store_as_of(past, server=proxy.server)
    for key, data in (("p-0-FULL", b"parts"), (KEY, b"old")):
        found = store.head(key)
        assert found is not None
        assert (found.flaw, content(store, key)) == ("", data)
    assert len(re.findall(rf"sha256, version \S+ failed: HTTP {status} .* the older ones are asked", caplog.text)) == 2


def test_a_version_that_the_store_has_lost_is_told_from_a_store_that_is_away(
    past: Past, faulty: Callable[[S3Server], FaultyS3], caplog: pytest.LogCaptureFixture
) -> None:
    Thief(past).finish_late("p-0-FULL", b"parts", {"s3napback-id": "p"}, FIRST)
    Thief(past).finish_late("p-0-FULL", b"lost", {"s3napback-id": "lost"}, FIRST + timedelta(seconds=1))
    put(past, "p-0-FULL.sha256", b"# id p\n", "sum")
    past.date(FIRST + timedelta(minutes=1))
    proxy = faulty(past.server)
    lost = str(past.versions_of("p-0-FULL")[-1].version_id)

    def lose(request: Request, forward: Forward) -> Answer | None:
        return answer(500, "InternalError")(request, forward) if lost in request.path else forward(request)

    proxy.add(Fault("HeadObject", lose))
    store = store_as_of(past, server=proxy.server)
    assert content(store, "p-0-FULL") == b"parts"
    assert re.search(rf"looking at .*, version {re.escape(lost)} failed: HTTP 500 .*; of the versions", caplog.text)
    proxy.add(Fault("ListObjectsV2", answer(500, "InternalError")))
    with pytest.raises(StoreUnreachable):
        store_as_of(past, server=proxy.server).head("p-0-FULL")


@pytest.mark.parametrize("prefix", ["a", "c"])
def test_only_what_lies_below_the_prefix_is_listed(
    past: Past, faulty: Callable[[S3Server], FaultyS3], prefix: str
) -> None:
    proxy = faulty(past.server)
    store = store_as_of(past, server=proxy.server, prefix=prefix)
    assert [found.key for found in store.list(f"{prefix}/")] == [KEY] * (prefix == "a")
    assert all(f"prefix={prefix}%2F" in request.path for request in proxy.seen)
