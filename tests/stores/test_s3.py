"""The S3 store against servers with faults, and what goes over the wire."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from s3napback.config.settings import StoreSettings
from s3napback.errors import OutOfParts, PipelineError, StoreError, StoreUnreachable, UnusableStore
from s3napback.stores import s3_client
from s3napback.stores.opening import open_store
from s3napback.stores.parts import PartLimits
from s3napback.stores.s3 import S3Store
from s3napback.stores.s3_client import StaticCredentials
from tests.faulty_s3 import (
    Answer,
    Fault,
    FaultyS3,
    answer,
    change_answer,
    change_body,
    cut_answer,
    delay,
    drop_last_part,
    reset,
    stall,
)
from tests.servers import ACCESS_KEY, SECRET_KEY, S3Server, free_port
from tests.stores.sources import BytesSource, EndlessSource, SourceThatFails
from tests.stores.test_conformance import LARGE, PART, SMALL, content, metadata

TINY = PartLimits(smallest=1, largest=10_000, most=9, comfortable=3, step=2, rounding=1)
CREDENTIALS = StaticCredentials(ACCESS_KEY, SECRET_KEY)


class Bench:
    """A bucket behind a faulty proxy, with an old object in it, and a store that soon gives up."""

    def __init__(self, server: S3Server, proxy: FaultyS3) -> None:
        self.server = server
        self.proxy = proxy
        self.bucket = server.make_bucket()
        self.settings = proxy.server.settings(self.bucket, chunk_size=PART, upload_threads=2)
        self.store = self.open()
        self.old = self.store.put("k", BytesSource(SMALL), metadata("old"))
        proxy.seen.clear()

    def open(self, *, limits: PartLimits | None = None, outage_seconds: float = 0, **settings: Any) -> S3Store:
        changed = replace(self.settings, **settings)
        return S3Store(changed, CREDENTIALS, patient=False, limits=limits, outage_seconds=outage_seconds)

    def assert_nothing_changed(self) -> None:
        self.proxy.clear()
        self.proxy.away = False
        assert self.store.head("k") == self.old
        assert content(self.store, "k") == SMALL
        assert self.server.unfinished_uploads(self.bucket) == []
        assert not any(thread.name.startswith("upload") for thread in threading.enumerate())

    def assert_replaced_by(self, data: bytes) -> None:
        self.proxy.clear()
        found = self.store.head("k")
        assert found is not None
        assert found.metadata == metadata("new")
        assert content(self.store, "k") == data
        assert self.server.unfinished_uploads(self.bucket) == []


@pytest.fixture
def on_moto(moto: S3Server, faulty: Callable[[S3Server], FaultyS3]) -> Bench:
    return Bench(moto, faulty(moto))


@pytest.fixture
def on_rclone(rclone: S3Server, faulty: Callable[[S3Server], FaultyS3]) -> Bench:
    return Bench(rclone, faulty(rclone))


ONCE = {
    "500": answer(500, "InternalError"),
    "503": answer(503, "SlowDown"),
    "reset": reset(),
    "500 late": answer(500, "InternalError", after=True),
    "reset late": reset(after=True),
}


@pytest.mark.parametrize("operation", ["CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload", "HeadObject"])
def test_a_request_that_fails_once_is_repeated(on_moto: Bench, operation: str) -> None:
    for name, fault in ONCE.items():
        on_moto.proxy.add(Fault(operation, fault, nth=1))
        on_moto.store.put("k", BytesSource(LARGE), metadata("new"))
        on_moto.proxy.clear()
        # an upload that the store began without our learning its name is left to the next run
        assert on_moto.store.discard_leftovers("k") == (operation == "CreateMultipartUpload" and "late" in name)
        on_moto.assert_replaced_by(LARGE)


@pytest.mark.parametrize("fault", [answer(503, "SlowDown"), answer(403, "AccessDenied")], ids=["503", "403"])
def test_a_part_that_cannot_be_sent_changes_nothing(on_moto: Bench, fault: Any) -> None:
    on_moto.proxy.add(Fault("UploadPart", fault))
    with pytest.raises(StoreError, match=f"uploading part [123] of s3://{on_moto.bucket}/k failed") as raised:
        on_moto.store.put("k", BytesSource(LARGE), metadata("new"))
    refused = "s3:PutObject" in str(raised.value)
    assert refused == (not isinstance(raised.value, StoreUnreachable))
    on_moto.assert_nothing_changed()


def test_a_server_that_says_nothing_is_noticed(on_moto: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_client, "_IMPATIENT_READ_SECONDS", 0.5)
    on_moto.proxy.add(Fault("UploadPart", stall(2)))
    with pytest.raises(StoreUnreachable, match="uploading part"):
        on_moto.open().put("k", BytesSource(LARGE), metadata("new"))
    on_moto.assert_nothing_changed()


def test_after_a_failure_no_part_begins_and_the_abort_comes_last(on_moto: Bench) -> None:
    on_moto.proxy.add(Fault("UploadPart", answer(403, "AccessDenied"), nth=2), Fault("UploadPart", delay(0.5)))
    with pytest.raises(StoreError, match=r"uploading part [12] "):
        on_moto.store.put("k", EndlessSource(10 * PART), metadata("new"))
    parts = [request for request in on_moto.proxy.seen if request.operation == "UploadPart"]
    assert len(parts) == 2
    assert on_moto.proxy.operations()[-1] == "AbortMultipartUpload"
    assert on_moto.proxy.seen[-1].began >= max(part.ended for part in parts)
    on_moto.assert_nothing_changed()


def test_a_source_that_fails_has_running_parts_awaited_before_the_abort(on_moto: Bench) -> None:
    on_moto.proxy.add(Fault("UploadPart", delay(0.6)))
    with pytest.raises(PipelineError):
        on_moto.store.put("k", SourceThatFails(bytes(2 * PART), wait=0.3), metadata("new"))
    assert on_moto.proxy.operations()[-1] == "AbortMultipartUpload"
    parts = [request for request in on_moto.proxy.seen if request.operation == "UploadPart"]
    assert parts
    assert on_moto.proxy.seen[-1].began >= max(part.ended for part in parts)
    on_moto.assert_nothing_changed()


def test_an_abort_that_fails_does_not_hide_the_failure(on_moto: Bench, caplog: pytest.LogCaptureFixture) -> None:
    on_moto.proxy.add(Fault("AbortMultipartUpload", answer(500, "InternalError")))
    with pytest.raises(PipelineError):
        on_moto.store.put("k", SourceThatFails(bytes(2 * PART)), metadata("new"))
    assert f"aborting the upload to s3://{on_moto.bucket}/k failed: HTTP 500" in caplog.text
    on_moto.proxy.clear()
    assert on_moto.store.discard_leftovers("k") == 1
    on_moto.assert_nothing_changed()


def change_to_error(reply: Answer) -> Answer:
    return Answer(200, reply.headers, b"<Error><Code>InternalError</Code><Message>We are sorry</Message></Error>")


COMPLETIONS_WITHOUT_EFFECT = {
    "500": answer(500, "InternalError"),
    "403": answer(403, "AccessDenied"),
    "no such upload": answer(404, "NoSuchUpload"),
    "200 with an error": lambda _request, _forward: change_to_error(Answer(200, {}, b"")),
    "200 with nothing": lambda _request, _forward: Answer(200, {}, b""),
    "200 with a page": lambda _request, _forward: Answer(200, {"Content-Type": "text/html"}, b"<html><br></html>"),
    "reset": reset(),
}


@pytest.mark.parametrize("fault", COMPLETIONS_WITHOUT_EFFECT)
def test_a_completion_without_effect_changes_nothing(on_moto: Bench, fault: str) -> None:
    on_moto.proxy.add(Fault("CompleteMultipartUpload", COMPLETIONS_WITHOUT_EFFECT[fault]))
    with pytest.raises(StoreError, match=r"completing the upload of|reported success but"):
        on_moto.store.put("k", BytesSource(LARGE), metadata("new"))
    on_moto.assert_nothing_changed()


@pytest.mark.parametrize(
    "fault",
    [reset(after=True), answer(500, "InternalError", after=True), change_answer(change_to_error)],
    ids=["reset", "500", "200 with an error"],
)
def test_a_completion_whose_answer_is_lost_is_a_success(
    on_rclone: Bench, fault: Any, caplog: pytest.LogCaptureFixture
) -> None:
    on_rclone.proxy.add(Fault("CompleteMultipartUpload", fault))
    on_rclone.store.put("k", BytesSource(LARGE), metadata("new"))
    assert "but the object has arrived whole" in caplog.text
    on_rclone.assert_replaced_by(LARGE)


def test_a_small_object_whose_answer_is_lost_is_a_success(on_moto: Bench) -> None:
    on_moto.proxy.add(Fault("PutObject", reset(after=True)))
    on_moto.store.put("k", BytesSource(b"new"), metadata("new"))
    on_moto.assert_replaced_by(b"new")


@pytest.mark.parametrize("fault", [answer(403, "AccessDenied"), reset(), answer(500, "InternalError")])
def test_a_small_object_that_is_refused_changes_nothing(on_moto: Bench, fault: Any) -> None:
    on_moto.proxy.add(Fault("PutObject", fault))
    with pytest.raises(StoreError, match=f"uploading s3://{on_moto.bucket}/k failed"):
        on_moto.store.put("k", BytesSource(SMALL), metadata("new"))
    on_moto.assert_nothing_changed()


def test_an_object_shorter_than_reported_is_noticed(on_moto: Bench) -> None:
    on_moto.proxy.add(Fault("CompleteMultipartUpload", change_body(drop_last_part)))
    with pytest.raises(StoreError, match=f"reported success but .*/k has {2 * PART} bytes in place of {len(LARGE)}"):
        on_moto.store.put("k", BytesSource(LARGE), metadata("new"))


def test_a_small_object_shorter_than_reported_is_noticed(on_moto: Bench) -> None:
    on_moto.proxy.add(Fault("PutObject", change_body(lambda body: body[:-1])))
    with pytest.raises(StoreError, match="reported success but"):
        on_moto.store.put("k", BytesSource(SMALL), metadata("new"))


def test_a_store_that_reports_success_and_keeps_the_old_object_is_noticed(on_moto: Bench) -> None:
    on_moto.proxy.add(Fault("PutObject", lambda _request, _forward: Answer(200, {"ETag": '"x"'}, b"")))
    with pytest.raises(StoreError, match=r"reported success but .* bears another s3napback-id: old in place of new"):
        on_moto.store.put("k", BytesSource(SMALL), metadata("new"))
    on_moto.assert_nothing_changed()


def test_a_store_that_shows_the_new_object_late_is_believed(on_moto: Bench) -> None:
    on_moto.proxy.add(Fault("HeadObject", answer(404, "NoSuchKey"), nth=1))
    on_moto.store.put("k", BytesSource(b"new"), metadata("new"))
    on_moto.assert_replaced_by(b"new")


def test_a_store_that_drops_metadata_is_noticed(on_moto: Bench) -> None:
    def without(*names: str) -> Any:
        return change_answer(
            lambda reply: replace(
                reply,
                headers={name: value for name, value in reply.headers.items() if not name.lower().endswith(names)},
            )
        )

    on_moto.proxy.add(Fault("HeadObject", without("s3napback-id")))
    with pytest.raises(StoreError, match="bears another s3napback-id: none"):
        on_moto.store.put("k", BytesSource(SMALL), metadata("new"))
    on_moto.proxy.clear()
    on_moto.proxy.add(Fault("HeadObject", without("s3napback-source")))
    with pytest.raises(StoreError, match="other metadata: s3napback-source"):
        on_moto.store.put("k", BytesSource(SMALL), metadata("new"))


def test_a_network_that_comes_back_in_time_costs_nothing_but_time(on_moto: Bench) -> None:
    store = on_moto.open(outage_seconds=20)
    on_moto.proxy.add(Fault("UploadPart", lambda request, forward: go_away(on_moto, 1.5) or forward(request), nth=2))
    began = time.monotonic()
    store.put("k", EndlessSource(4 * PART), metadata("new"))
    assert time.monotonic() - began < 8
    on_moto.assert_replaced_by(bytes(range(256)) * (4 * PART // 256))


def go_away(bench: Bench, seconds: float) -> None:
    bench.proxy.away = True
    threading.Timer(seconds, lambda: setattr(bench.proxy, "away", False)).start()


def test_a_network_that_stays_away_is_given_up(on_moto: Bench) -> None:
    on_moto.proxy.add(Fault("UploadPart", lambda _request, _forward: setattr(on_moto.proxy, "away", True), nth=2))
    with pytest.raises(StoreUnreachable, match="uploading part"):
        on_moto.open(outage_seconds=1).put("k", EndlessSource(4 * PART), metadata("new"))
    on_moto.proxy.away = False
    assert on_moto.store.discard_leftovers("k") == 1
    on_moto.assert_nothing_changed()


def test_parts_are_sent_by_as_many_threads_as_asked_for(on_moto: Bench) -> None:
    on_moto.proxy.add(Fault("UploadPart", delay(0.3)))
    on_moto.open(upload_threads=3).put("k", EndlessSource(7 * PART), metadata("new"))
    parts = [request for request in on_moto.proxy.seen if request.operation == "UploadPart"]
    at_once = [sum(other.began <= part.began < other.ended for other in parts) for part in parts]
    assert max(at_once) == 3
    assert sorted(part.part_number for part in parts) == list(range(1, 8))


def test_what_fits_into_one_part_takes_one_request(on_moto: Bench) -> None:
    for size in (0, 1, PART):
        on_moto.proxy.seen.clear()
        on_moto.store.put("k", EndlessSource(size), metadata("new"))
        assert on_moto.proxy.operations() == ["PutObject", "HeadObject"]
    on_moto.proxy.seen.clear()
    on_moto.store.put("k", EndlessSource(PART + 1), metadata("new"))
    assert on_moto.proxy.operations().count("UploadPart") == 2
    assert "PutObject" not in on_moto.proxy.operations()


def test_parts_grow_with_a_warning_when_there_is_more_than_expected(
    on_rclone: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    data = os.urandom(3_000 + 2 * 2_000 + 2 * 4_000 + 1)
    on_rclone.open(limits=TINY, chunk_size=1_000).put("k", BytesSource(data), metadata("new"))
    parts = [request for request in on_rclone.proxy.seen if request.operation == "UploadPart"]
    sizes = [len(part.body) for part in sorted(parts, key=lambda part: part.part_number)]
    assert sizes == [1_000] * 3 + [2_000] * 2 + [4_000] * 2 + [1]
    assert caplog.text.count("a larger ChunkSize avoids this") == 3
    on_rclone.assert_replaced_by(data)


def test_an_expected_size_keeps_parts_equal(on_rclone: Bench) -> None:
    data = os.urandom(15_000)
    on_rclone.open(limits=TINY, chunk_size=1_000).put("k", BytesSource(data), metadata("new"), expected_size=14_000)
    parts = [request for request in on_rclone.proxy.seen if request.operation == "UploadPart"]
    assert sorted(len(part.body) for part in parts) == [15_000 - 3 * 4_667, 4_667, 4_667, 4_667]
    on_rclone.assert_replaced_by(data)


def test_running_out_of_parts_tells_how_much_was_sent(on_rclone: Bench) -> None:
    store = on_rclone.open(limits=TINY, chunk_size=1_000)
    capacity = 3_000 + 4_000 + 8_000 + 16_000
    with pytest.raises(OutOfParts, match="ChunkSize") as raised:
        store.put("k", EndlessSource(capacity + 1), metadata("new"))
    assert raised.value.sent == capacity
    on_rclone.assert_nothing_changed()
    store.put("k", EndlessSource(capacity), metadata("new"))
    assert sum(map(len, store.read("k"))) == capacity


def test_a_store_that_refuses_grown_parts_gets_an_error_that_names_the_chunk_size(on_rclone: Bench) -> None:
    on_rclone.proxy.add(Fault("CompleteMultipartUpload", answer(400, "InvalidPart")))
    with pytest.raises(StoreError, match="set ChunkSize to at least 1667"):
        on_rclone.open(limits=TINY, chunk_size=1_000).put("k", EndlessSource(5_000), metadata("new"))
    on_rclone.assert_nothing_changed()


def test_a_slow_line_is_no_reason_to_give_up(on_moto: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_client, "_IMPATIENT_CONNECT_SECONDS", 0.5)
    on_moto.proxy.bytes_per_second = 8_000_000
    began = time.monotonic()
    on_moto.open(chunk_size=4 * PART).put("k", EndlessSource(3 * PART), metadata("new"))
    assert time.monotonic() - began > 1.5
    assert on_moto.proxy.operations() == ["PutObject", "HeadObject"]


def test_storage_class_and_encryption_are_asked_for_when_an_object_begins(on_moto: Bench) -> None:
    store = on_moto.open(storage_class="STANDARD_IA", sse_kms_key_id="alias/backup")
    for data in (SMALL, LARGE):
        store.put("k", BytesSource(data), metadata("new"))
    begun = [request for request in on_moto.proxy.seen if request.operation in {"PutObject", "CreateMultipartUpload"}]
    for request in begun:
        headers = {name.lower(): value for name, value in request.headers.items()}
        assert headers["x-amz-storage-class"] == "STANDARD_IA"
        assert headers["x-amz-server-side-encryption"] == "aws:kms"
        assert headers["x-amz-server-side-encryption-aws-kms-key-id"] == "alias/backup"
    assert len(begun) == 2
    found = store.head("k")
    assert found is not None
    assert found.storage_class == "STANDARD_IA"


def test_without_an_endpoint_checksums_go_with_every_part(on_moto: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", on_moto.settings.endpoint)
    store = on_moto.open(endpoint="")
    assert store.identity == f"s3:/{on_moto.bucket}"
    for data in (SMALL, LARGE):
        store.put("k", BytesSource(data), metadata("new"))
        assert content(store, "k") == data
    bodies = [request for request in on_moto.proxy.seen if request.operation in {"PutObject", "UploadPart"}]
    assert all(any(name.lower() == "x-amz-checksum-crc32" for name in request.headers) for request in bodies)
    assert all(request.headers["Content-Length"] == str(len(request.body)) for request in bodies)
    assert len(bodies) == 4


def test_reading_goes_on_where_the_connection_broke(on_moto: Bench) -> None:
    version = on_moto.store.put("k", BytesSource(LARGE), metadata("new")).version
    on_moto.proxy.add(Fault("GetObject", cut_answer(3_000_000), nth=(1, 3)), Fault("GetObject", reset(), nth=2))
    on_moto.proxy.seen.clear()
    assert b"".join(on_moto.store.read("k", version=version)) == LARGE
    assert on_moto.proxy.operations().count("GetObject") == 4
    on_moto.proxy.clear()
    on_moto.proxy.add(Fault("GetObject", cut_answer(3_000_000), nth=1))
    assert b"".join(on_moto.store.read("k", start=5, end=PART)) == LARGE[5:PART]


def test_reading_does_not_go_on_with_another_object(on_rclone: Bench) -> None:
    on_rclone.store.put("k", EndlessSource(2 * PART), metadata("new"))
    on_rclone.proxy.add(Fault("GetObject", cut_answer(3_000_000), nth=1))
    reader = on_rclone.store.read("k")
    next(reader)
    on_rclone.store.put("k", BytesSource(LARGE), metadata("newer"))
    with pytest.raises(StoreError, match="replaced"):
        list(reader)


def test_a_store_that_does_not_give_parts_of_objects_is_noticed(on_moto: Bench) -> None:
    def whole(request: Any, forward: Any) -> Answer:
        headers = {name: value for name, value in request.headers.items() if name.lower() != "range"}
        return forward(replace(request, headers=headers))  # type: ignore[no-any-return]

    on_moto.proxy.add(Fault("GetObject", whole))
    with pytest.raises(StoreError, match="parts of objects"):
        list(on_moto.store.read("k", start=3))


def test_reading_is_given_up_when_nothing_comes(on_moto: Bench) -> None:
    on_moto.proxy.add(Fault("GetObject", cut_answer(0)))
    with pytest.raises(StoreUnreachable, match=f"reading s3://{on_moto.bucket}/k failed"):
        list(on_moto.store.read("k"))


@pytest.mark.parametrize(
    ("fault", "kind", "text"),
    [
        (answer(403, "AccessDenied"), StoreError, "s3:GetObject and s3:ListBucket"),
        (answer(503, "SlowDown"), StoreUnreachable, "HTTP 503"),
        (answer(500, "InternalError"), StoreUnreachable, "HTTP 500"),
        (reset(), StoreUnreachable, "looking at s3://.*/k failed"),
    ],
    ids=["403", "503", "500", "reset"],
)
def test_a_hiccup_is_not_absence(on_moto: Bench, fault: Any, kind: type[StoreError], text: str) -> None:
    on_moto.proxy.add(Fault("HeadObject", fault))
    with pytest.raises(StoreError, match=text) as raised:
        on_moto.store.head("k")
    assert type(raised.value) is kind


@pytest.mark.parametrize(
    ("operation", "attempt"),
    [
        ("ListObjectsV2", lambda store: list(store.list(""))),
        ("DeleteObject", lambda store: store.delete("k")),
        ("GetObject", lambda store: list(store.read("k"))),
    ],
    ids=["list", "delete", "read"],
)
def test_failures_name_operation_and_place(on_moto: Bench, operation: str, attempt: Any) -> None:
    on_moto.proxy.add(Fault(operation, answer(403, "AccessDenied")))
    with pytest.raises(StoreError, match=rf"(listing|deleting|reading) s3://{on_moto.bucket}/k? ?failed: HTTP 403"):
        attempt(on_moto.store)


def test_leftovers_of_this_key_alone_are_discarded(on_moto: Bench, on_rclone: Bench) -> None:
    for bench in (on_moto, on_rclone):
        for key in ("k", "k", "k2", "k/x"):
            bench.server.client().create_multipart_upload(Bucket=bench.bucket, Key=key)
        assert bench.store.discard_leftovers("k") == 2
        assert sorted(bench.server.unfinished_uploads(bench.bucket)) == ["k/x", "k2"]


def test_stores_that_cannot_list_uploads_are_spared(on_moto: Bench) -> None:
    on_moto.proxy.add(Fault("ListMultipartUploads", answer(501, "NotImplemented")))
    assert on_moto.store.discard_leftovers("k") == 0


UNUSABLE = {
    "NoSuchBucket": (404, "create it"),
    "InvalidAccessKeyId": (403, "key= in S3Keyfile"),
    "SignatureDoesNotMatch": (403, "secret= in S3Keyfile"),
    "ExpiredToken": (400, "renew"),
    "AccessDenied": (403, "s3:ListBucket"),
    "RequestTimeTooSkewed": (403, "clock"),
    "PermanentRedirect": (301, "Region"),
}


def test_the_check_says_what_to_do(on_moto: Bench) -> None:
    for code, (status, advice) in UNUSABLE.items():
        on_moto.proxy.add(Fault("ListObjectsV2", answer(status, code)))
        with pytest.raises(UnusableStore, match=f"{on_moto.bucket} cannot be used: HTTP {status} {code} .*{advice}"):
            on_moto.store.check()
        on_moto.proxy.clear()


def test_the_check_does_not_blame_the_configuration_for_a_hiccup(on_moto: Bench) -> None:
    for fault in (answer(503, "SlowDown"), answer(500, "InternalError"), answer(429, "X"), reset()):
        on_moto.proxy.add(Fault("ListObjectsV2", fault))
        with pytest.raises(StoreUnreachable, match="cannot be used now"):
            on_moto.store.check()
        on_moto.proxy.clear()


def test_wrong_credentials_are_told_from_each_other(rclone: S3Server) -> None:
    settings = rclone.settings(rclone.make_bucket())
    open_store(settings, access_key=ACCESS_KEY, secret_key=SECRET_KEY).check()
    with pytest.raises(UnusableStore, match="key= in S3Keyfile"):
        open_store(settings, access_key="UNKNOWNACCESSKEY", secret_key=SECRET_KEY).check()
    with pytest.raises(UnusableStore, match="secret= in S3Keyfile"):
        open_store(settings, access_key=ACCESS_KEY, secret_key="wrong-secret-0123").check()


def test_nothing_that_listens_is_no_answer(on_moto: Bench) -> None:
    store = on_moto.open(endpoint=f"http://127.0.0.1:{free_port()}")
    with pytest.raises(StoreUnreachable, match="Could not connect"):
        store.check()
    with pytest.raises(StoreUnreachable, match="Could not connect"):
        store.head("k")


@pytest.mark.parametrize(
    ("settings", "environment", "text"),
    [
        ({}, {}, "S3Keyfile"),
        ({}, {"AWS_PROFILE": "nobody"}, "nobody"),
        ({"bucket": "no bucket"}, {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y"}, "no bucket"),
        ({"endpoint": "localhost"}, {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y"}, "localhost"),
    ],
    ids=["no credentials", "no such profile", "no bucket's name", "no URL"],
)
def test_what_boto3_refuses_by_itself_is_unusable(
    moto: S3Server, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], environment: dict[str, str], text: str
) -> None:
    clean_environment(monkeypatch, moto)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UnusableStore, match=text):
        open_store(moto.settings(**{"bucket": "some-bucket", **settings}), patient=False).check()


def clean_environment(monkeypatch: pytest.MonkeyPatch, server: S3Server) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in server.environment().items():
        if name not in {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}:
            monkeypatch.setenv(name, value)


def test_credentials_that_expire_are_renewed(on_rclone: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    clean_environment(monkeypatch, on_rclone.server)
    helper, config, calls = tmp_path / "helper", tmp_path / "config", tmp_path / "calls"
    answer_text = (
        f'{{"Version": 1, "AccessKeyId": "{ACCESS_KEY}", "SecretAccessKey": "{SECRET_KEY}", '
        f'"Expiration": "%s"}}' % time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 60))
    )
    helper.write_text(f"#!/bin/sh\necho x >> {calls}\necho '{answer_text}'\n")
    helper.chmod(0o700)
    config.write_text(f"[default]\ncredential_process = {helper}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    store = open_store(on_rclone.settings)
    for _attempt in range(3):
        store.check()
    assert len(calls.read_text().splitlines()) > 2


def test_no_secret_is_logged_at_any_level(on_rclone: Bench, caplog: pytest.LogCaptureFixture) -> None:
    token = "session-token-of-a-temporary-key"
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("botocore.auth").setLevel(logging.DEBUG)
        logging.getLogger(__name__).debug("debugging is on")
        store = open_store(on_rclone.settings, access_key=ACCESS_KEY, secret_key=SECRET_KEY, token=token)
        store.put("k", BytesSource(LARGE), metadata("new"))
        with pytest.raises(UnusableStore) as raised:
            open_store(on_rclone.settings, access_key=ACCESS_KEY, secret_key="wrong-secret", token=token).check()
    assert "debugging is on" in caplog.text
    for secret in (SECRET_KEY, token, "Signature=", "wrong-secret"):
        assert secret not in caplog.text + str(raised.value) + repr(vars(store))


def test_a_key_that_is_not_unicode_is_refused(on_moto: Bench) -> None:
    with pytest.raises(StoreError, match="UTF-8"):
        on_moto.store.put("k\udcff", BytesSource(SMALL), metadata())


def test_a_dry_run_is_answered_soon_and_a_nightly_run_is_patient() -> None:
    settings = StoreSettings(bucket="some-bucket", endpoint="http://127.0.0.1:1", upload_threads=9)
    patient = s3_client.make_client(settings, CREDENTIALS, patient=True).meta.config
    hasty = s3_client.make_client(settings, CREDENTIALS, patient=False).meta.config
    assert patient.retries == {"mode": "standard", "total_max_attempts": 10}
    assert hasty.retries == {"mode": "standard", "total_max_attempts": 2}
    assert (patient.connect_timeout, patient.read_timeout) == (20, 60)
    assert hasty.read_timeout <= 10
    assert patient.max_pool_connections > 9
    assert patient.request_checksum_calculation == patient.response_checksum_validation == "when_required"
