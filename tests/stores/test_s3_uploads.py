"""Uploads to S3 servers with faults, and how objects are cut into parts."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import replace
from typing import Any

import pytest

from s3napback.errors import OutOfParts, PipelineError, StoreError, StoreUnreachable
from s3napback.stores.waiting import Waiting
from tests.faulty_s3 import (
    Answer,
    Fault,
    Forward,
    Request,
    answer,
    change_answer,
    change_body,
    delay,
    drop_last_part,
    reset,
    stall,
)
from tests.stores.s3_bench import TINY, S3Bench
from tests.stores.sources import BytesSource, EndlessSource, SourceThatFails
from tests.stores.test_conformance import LARGE, PART, SMALL, metadata

ONCE = {
    "500": answer(500, "InternalError"),
    "503": answer(503, "SlowDown"),
    "reset": reset(),
    "500 late": answer(500, "InternalError", after=True),
    "reset late": reset(after=True),
}


@pytest.mark.parametrize("operation", ["CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload", "HeadObject"])
def test_a_request_that_fails_once_is_repeated(on_moto: S3Bench, operation: str) -> None:
    for name, fault in ONCE.items():
        on_moto.proxy.add(Fault(operation, fault, nth=1))
        # Of the same identity the last one would be taken for this one, as an archive never is.
        on_moto.store.put("k", BytesSource(LARGE), metadata(name))
        on_moto.proxy.clear()
        # an upload that the store began without our learning its name is left to the next run
        assert on_moto.store.discard_leftovers("k") == (operation == "CreateMultipartUpload" and "late" in name)
        found = on_moto.store.head("k")
        assert found is not None
        assert found.metadata == metadata(name)
    on_moto.store.put("k", BytesSource(LARGE), metadata("new"))
    on_moto.assert_replaced_by(LARGE)


@pytest.mark.parametrize("fault", [answer(503, "SlowDown"), answer(403, "AccessDenied")], ids=["503", "403"])
def test_a_part_that_cannot_be_sent_changes_nothing(on_moto: S3Bench, fault: Any) -> None:
    on_moto.proxy.add(Fault("UploadPart", fault))
    with pytest.raises(StoreError, match=f"uploading part [123] of s3://{on_moto.bucket}/k failed") as raised:
        on_moto.store.put("k", BytesSource(LARGE), metadata("new"))
    refused = "s3:PutObject" in str(raised.value)
    assert refused == (not isinstance(raised.value, StoreUnreachable))
    on_moto.assert_nothing_changed()


def test_a_server_that_says_nothing_is_noticed(on_moto: S3Bench) -> None:
    on_moto.waiting = Waiting(read_seconds=1, outage_seconds=0, completion_seconds=0)
    on_moto.proxy.add(Fault("UploadPart", stall(2)))
    with pytest.raises(StoreUnreachable, match="uploading part"):
        on_moto.open().put("k", BytesSource(LARGE), metadata("new"))
    on_moto.assert_nothing_changed()


def test_after_a_failure_no_part_begins_and_the_abort_comes_last(on_moto: S3Bench) -> None:
    on_moto.proxy.add(Fault("UploadPart", answer(403, "AccessDenied"), nth=2), Fault("UploadPart", delay(0.5)))
    with pytest.raises(StoreError, match=r"uploading part [12] "):
        on_moto.store.put("k", EndlessSource(10 * PART), metadata("new"))
    parts = [request for request in on_moto.proxy.seen if request.operation == "UploadPart"]
    assert len(parts) == 2
    assert on_moto.proxy.operations()[-1] == "AbortMultipartUpload"
    assert on_moto.proxy.seen[-1].began >= max(part.ended for part in parts)
    on_moto.assert_nothing_changed()


def test_a_source_that_fails_has_running_parts_awaited_before_the_abort(on_moto: S3Bench) -> None:
    on_moto.proxy.add(Fault("UploadPart", delay(0.6)))
    with pytest.raises(PipelineError):
        on_moto.store.put("k", SourceThatFails(bytes(2 * PART), wait=0.3), metadata("new"))
    assert on_moto.proxy.operations()[-1] == "AbortMultipartUpload"
    parts = [request for request in on_moto.proxy.seen if request.operation == "UploadPart"]
    assert parts
    assert on_moto.proxy.seen[-1].began >= max(part.ended for part in parts)
    on_moto.assert_nothing_changed()


def test_an_upload_that_somebody_else_has_ended_is_told_as_that(on_moto: S3Bench) -> None:
    """Another machine of the same name takes it for a leftover of its own; SeaweedFS answers so."""
    on_moto.proxy.add(Fault("UploadPart", answer(404, "NoSuchUpload"), nth=2))
    with pytest.raises(StoreError, match="another machine of the same HostName and Prefix has ended it, or prune"):
        on_moto.store.put("k", BytesSource(LARGE), metadata("new"))
    on_moto.assert_nothing_changed()


def test_an_abort_that_fails_does_not_hide_the_failure(on_moto: S3Bench, caplog: pytest.LogCaptureFixture) -> None:
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


@pytest.mark.parametrize("operation", ["CreateMultipartUpload", "UploadPart", "HeadObject", "GetObject", "PutObject"])
def test_an_answer_without_content_is_a_failure(on_moto: S3Bench, operation: str) -> None:
    on_moto.proxy.add(Fault(operation, lambda _request, _forward: Answer(200, {}, b"")))
    with pytest.raises(StoreError, match="the answer is not that of an S3 server"):
        on_moto.store.put("k", BytesSource(SMALL if operation == "PutObject" else LARGE), metadata("new"))
        list(on_moto.store.read("k", end=len(SMALL)))
    if operation not in {"HeadObject", "GetObject"}:
        on_moto.assert_nothing_changed()


@pytest.mark.parametrize("fault", COMPLETIONS_WITHOUT_EFFECT)
def test_a_completion_without_effect_changes_nothing(on_moto: S3Bench, fault: str) -> None:
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
    on_rclone: S3Bench, fault: Any, caplog: pytest.LogCaptureFixture
) -> None:
    on_rclone.proxy.add(Fault("CompleteMultipartUpload", fault))
    on_rclone.store.put("k", BytesSource(LARGE), metadata("new"))
    assert "but the object has arrived whole" in caplog.text
    on_rclone.assert_replaced_by(LARGE)


def test_a_small_object_whose_answer_is_lost_is_a_success(on_moto: S3Bench) -> None:
    on_moto.proxy.add(Fault("PutObject", reset(after=True)))
    on_moto.store.put("k", BytesSource(b"new"), metadata("new"))
    on_moto.assert_replaced_by(b"new")


@pytest.mark.parametrize("fault", [answer(403, "AccessDenied"), reset(), answer(500, "InternalError")])
def test_a_small_object_that_is_refused_changes_nothing(on_moto: S3Bench, fault: Any) -> None:
    on_moto.proxy.add(Fault("PutObject", fault))
    with pytest.raises(StoreError, match=f"uploading s3://{on_moto.bucket}/k failed"):
        on_moto.store.put("k", BytesSource(SMALL), metadata("new"))
    on_moto.assert_nothing_changed()


def test_an_object_shorter_than_reported_is_noticed(on_moto: S3Bench) -> None:
    on_moto.proxy.add(Fault("CompleteMultipartUpload", change_body(drop_last_part)))
    with pytest.raises(StoreError, match=f"reported success but .*/k has {2 * PART} bytes in place of {len(LARGE)}"):
        on_moto.store.put("k", BytesSource(LARGE), metadata("new"))


def test_a_small_object_shorter_than_reported_is_noticed(on_moto: S3Bench) -> None:
    on_moto.proxy.add(Fault("PutObject", change_body(lambda body: body[:-1])))
    with pytest.raises(StoreError, match="reported success but"):
        on_moto.store.put("k", BytesSource(SMALL), metadata("new"))


def test_a_store_that_reports_success_and_keeps_the_old_object_is_noticed(on_moto: S3Bench) -> None:
    on_moto.proxy.add(Fault("PutObject", lambda _request, _forward: Answer(200, {"ETag": '"x"'}, b"")))
    with pytest.raises(StoreError, match=r"reported success but .* bears another s3napback-id: old in place of new"):
        on_moto.store.put("k", BytesSource(SMALL), metadata("new"))
    on_moto.assert_nothing_changed()


def test_a_store_that_shows_the_new_object_late_is_believed(on_moto: S3Bench) -> None:
    on_moto.proxy.add(Fault("HeadObject", answer(404, "NoSuchKey"), nth=1))
    on_moto.store.put("k", BytesSource(b"new"), metadata("new"))
    on_moto.assert_replaced_by(b"new")


def test_a_store_that_drops_metadata_is_noticed(on_moto: S3Bench) -> None:
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


def test_a_network_that_comes_back_in_time_costs_nothing_but_time(on_moto: S3Bench) -> None:
    store = on_moto.open(outage_seconds=20)

    def lose_the_network(request: Request, forward: Forward) -> Answer:
        on_moto.proxy.away = True
        threading.Timer(1.5, lambda: setattr(on_moto.proxy, "away", False)).start()
        return forward(request)

    on_moto.proxy.add(Fault("UploadPart", lose_the_network, nth=2))
    began = time.monotonic()
    store.put("k", EndlessSource(4 * PART), metadata("new"))
    assert time.monotonic() - began < 18
    on_moto.assert_replaced_by(bytes(range(256)) * (4 * PART // 256))


def test_a_network_that_stays_away_is_given_up(on_moto: S3Bench) -> None:
    on_moto.proxy.add(Fault("UploadPart", lambda _request, _forward: setattr(on_moto.proxy, "away", True), nth=2))
    with pytest.raises(StoreUnreachable, match="uploading part"):
        on_moto.open(outage_seconds=1).put("k", EndlessSource(4 * PART), metadata("new"))
    on_moto.proxy.away = False
    assert on_moto.store.discard_leftovers("k") == 1
    on_moto.assert_nothing_changed()


def test_parts_are_sent_by_as_many_threads_as_asked_for(on_moto: S3Bench) -> None:
    on_moto.proxy.add(Fault("UploadPart", delay(0.3)))
    on_moto.open(upload_threads=3).put("k", EndlessSource(7 * PART), metadata("new"))
    parts = [request for request in on_moto.proxy.seen if request.operation == "UploadPart"]
    at_once = [sum(other.began <= part.began < other.ended for other in parts) for part in parts]
    assert max(at_once) == 3
    assert sorted(part.part_number for part in parts) == list(range(1, 8))


def test_what_fits_into_one_part_takes_one_request(on_moto: S3Bench) -> None:
    for size in (0, 1, PART):
        on_moto.proxy.seen.clear()
        on_moto.store.put("k", EndlessSource(size), metadata("new"))
        assert on_moto.proxy.operations() == ["PutObject", "HeadObject"]
    on_moto.proxy.seen.clear()
    on_moto.store.put("k", EndlessSource(PART + 1), metadata("new"))
    assert on_moto.proxy.operations().count("UploadPart") == 2
    assert "PutObject" not in on_moto.proxy.operations()


def test_parts_grow_with_a_warning_when_there_is_more_than_expected(
    on_rclone: S3Bench, caplog: pytest.LogCaptureFixture
) -> None:
    data = os.urandom(3_000 + 2 * 2_000 + 2 * 4_000 + 1)
    on_rclone.open(limits=TINY, chunk_size=1_000).put("k", BytesSource(data), metadata("new"))
    parts = [request for request in on_rclone.proxy.seen if request.operation == "UploadPart"]
    sizes = [len(part.body) for part in sorted(parts, key=lambda part: part.part_number)]
    assert sizes == [1_000] * 3 + [2_000] * 2 + [4_000] * 2 + [1]
    assert caplog.text.count("a larger ChunkSize avoids this") == 3
    on_rclone.assert_replaced_by(data)


def test_an_expected_size_keeps_parts_equal(on_rclone: S3Bench) -> None:
    data = os.urandom(15_000)
    on_rclone.open(limits=TINY, chunk_size=1_000).put("k", BytesSource(data), metadata("new"), expected_size=14_000)
    parts = [request for request in on_rclone.proxy.seen if request.operation == "UploadPart"]
    assert sorted(len(part.body) for part in parts) == [15_000 - 3 * 4_667, 4_667, 4_667, 4_667]
    on_rclone.assert_replaced_by(data)


def test_running_out_of_parts_tells_how_much_was_sent(on_rclone: S3Bench) -> None:
    store = on_rclone.open(limits=TINY, chunk_size=1_000)
    capacity = 3_000 + 4_000 + 8_000 + 16_000
    with pytest.raises(OutOfParts, match="ChunkSize") as raised:
        store.put("k", EndlessSource(capacity + 1), metadata("new"))
    assert raised.value.sent == capacity
    on_rclone.assert_nothing_changed()
    store.put("k", EndlessSource(capacity), metadata("new"))
    assert sum(map(len, store.read("k"))) == capacity


def test_a_store_that_refuses_grown_parts_gets_an_error_that_names_the_chunk_size(on_rclone: S3Bench) -> None:
    on_rclone.proxy.add(Fault("CompleteMultipartUpload", answer(400, "InvalidPart")))
    with pytest.raises(StoreError, match="set ChunkSize to at least 1667"):
        on_rclone.open(limits=TINY, chunk_size=1_000).put("k", EndlessSource(5_000), metadata("new"))
    on_rclone.assert_nothing_changed()


def test_a_slow_line_is_no_reason_to_give_up(on_moto: S3Bench) -> None:
    on_moto.waiting = Waiting(connect_seconds=1, outage_seconds=0, completion_seconds=0)
    on_moto.proxy.bytes_per_second = 8_000_000
    began = time.monotonic()
    on_moto.open(chunk_size=4 * PART).put("k", EndlessSource(3 * PART), metadata("new"))
    assert time.monotonic() - began > 1.5
    assert on_moto.proxy.operations() == ["PutObject", "HeadObject"]
