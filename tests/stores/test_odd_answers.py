"""Answers of the S3 store, or of what stands before it, that no manual tells of: they neither pass nor mislead."""

from __future__ import annotations

import gzip
import re
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from s3napback.errors import StoreError, UnusableStore
from tests.faulty_s3 import Answer, Fault, Forward, Request, answer, change_answer, cut_answer, without_range
from tests.stores.s3_bench import S3Bench
from tests.stores.sources import BytesSource
from tests.stores.test_conformance import PART, SMALL, metadata


def test_reading_does_not_end_well_where_a_shorter_object_has_come_meanwhile(on_moto: S3Bench) -> None:
    on_moto.proxy.add(Fault("GetObject", cut_answer(1), nth=1))
    on_moto.proxy.add(Fault("GetObject", answer(416, "InvalidRange")))
    with pytest.raises(StoreError, match="it has been replaced by another object meanwhile"):
        list(on_moto.store.read("k"))


def weakened(reply: Answer) -> Answer:
    """What a proxy makes of an answer that it may compress."""
    tags = {name: f"W/{value}" for name, value in reply.headers.items() if name.lower() == "etag"}
    return replace(reply, headers={**reply.headers, **tags})


@pytest.mark.parametrize("operation", ["GetObject", "HeadObject", "UploadPart"])
def test_a_tag_that_a_proxy_has_marked_as_weak_is_the_same(on_rclone: S3Bench, operation: str) -> None:
    data = bytes(2 * PART) if operation == "UploadPart" else SMALL
    on_rclone.proxy.add(Fault(operation, change_answer(weakened)))
    stored = on_rclone.store.put("k", BytesSource(data), metadata("new"))
    assert b"".join(on_rclone.store.read("k", version=stored.version)) == data
    on_rclone.assert_replaced_by(data)


def without_tag(reply: Answer) -> Answer:
    return replace(reply, headers={name: value for name, value in reply.headers.items() if name.lower() != "etag"})


def test_an_answer_without_a_tag_is_not_said_to_be_another_object(on_rclone: S3Bench) -> None:
    on_rclone.proxy.add(Fault("GetObject", change_answer(without_tag)))
    with pytest.raises(StoreError, match="the store's answer lacks ETag; check Endpoint, and proxies"):
        list(on_rclone.store.read("k", version=on_rclone.old.version))


def test_a_whole_object_in_place_of_its_beginning_is_not_said_to_be_short(on_moto: S3Bench) -> None:
    on_moto.proxy.add(Fault("GetObject", without_range))
    with pytest.raises(StoreError, match="does not give parts of objects"):
        list(on_moto.store.read("k", end=1))


def test_a_page_in_place_of_the_beginning_of_an_object_is_told_as_none_of_a_store(on_moto: S3Bench) -> None:
    """As of a network that wants people to log in; it said that the store gives no parts of objects."""
    page = b"<html><body><p>Please log in</p></body></html>"
    on_moto.proxy.add(Fault("GetObject", lambda _request, _forward: Answer(200, {"Content-Type": "text/html"}, page)))
    with pytest.raises(StoreError, match="the answer is not that of an S3 server"):
        list(on_moto.store.read("k", end=1))


@pytest.mark.parametrize("end", [1, None])
def test_another_stretch_than_was_asked_for_is_not_taken_for_the_beginning(on_moto: S3Bench, end: int | None) -> None:
    def shifted(request: Request, forward: Forward) -> Answer:
        return forward(replace(request, headers={**request.headers, "Range": "bytes=1-1"}))

    on_moto.proxy.add(Fault("GetObject", shifted))
    with pytest.raises(StoreError, match="does not give parts of objects"):
        list(on_moto.store.read("k", end=end))


def encoded(reply: Answer) -> Answer:
    return replace(reply, body=gzip.compress(reply.body), headers={**reply.headers, "Content-Encoding": "gzip"})


def lengthened(reply: Answer) -> Answer:
    return replace(reply, body=reply.body + b"more")


@pytest.mark.parametrize(
    ("change", "words"), [(encoded, "a proxy on the way has encoded it .gzip"), (lengthened, "does not give parts of")]
)
def test_a_stretch_that_is_longer_is_not_said_to_be_short(
    on_moto: S3Bench, change: Callable[[Answer], Answer], words: str
) -> None:
    on_moto.proxy.add(Fault("GetObject", change_answer(change)))
    with pytest.raises(StoreError, match=words):
        list(on_moto.store.read("k", end=4))


PAGES = {
    "for people": b"<html><body><p>Please log in</p></body></html>",
    "of a console": b"\xef\xbb\xbf\n<!DOCTYPE html>\n<html lang=en><head><meta charset=utf-8><title>Console</title>",
    "of words": b"no healthy upstream",
    "of another service": b"<ServiceStatus><Message>maintenance</Message></ServiceStatus>",
    "empty": b"",
}


def page(kind: str, status: int = 200) -> Any:
    """Answer with a page; to a HEAD with its head alone."""
    return lambda request, _forward: Answer(status, {}, b"" if request.method == "HEAD" else PAGES[kind])


@pytest.mark.parametrize("kind", PAGES)
def test_a_page_that_is_no_listing_is_not_taken_for_an_empty_one(on_moto: S3Bench, kind: str) -> None:
    on_moto.proxy.add(Fault("ListObjectsV2|ListObjectVersions", page(kind)))
    words = "the answer is not that of an S3 server: check Endpoint, and proxies on the way to it"
    with pytest.raises(UnusableStore, match=words):
        on_moto.open().check()
    with pytest.raises(StoreError, match=words):
        list(on_moto.store.list(""))


IN_PARTS = ["CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"]


@pytest.mark.parametrize(
    ("operation", "kind", "status"),
    [
        *product(["PutObject"], PAGES, [200]),
        *product(
            ["ListObjectsV2", "HeadObject", "GetObject", "DeleteObject", *IN_PARTS], ["of another service"], [200]
        ),
        *[("PutObject", "for people", 302), ("HeadObject", "for people", 302)],
        *[("HeadObject", "for people", 405), ("HeadObject", "for people", 401)],
        *[("GetObject", "for people", 403), ("DeleteObject", "for people", 401)],
    ],
)
def test_a_page_in_the_midst_of_a_run_is_an_outage(on_rclone: S3Bench, operation: str, kind: str, status: int) -> None:
    store = on_rclone.open(outage_seconds=30)
    store.check()
    assert list(store.list(""))
    on_rclone.proxy.add(Fault(operation, page(kind, status), 1))
    data = bytes(2 * PART) if operation in IN_PARTS else SMALL
    store.delete("k")
    store.put("k", BytesSource(data), metadata("new"))
    assert store.head("k")
    assert b"".join(store.read("k")) == data
    assert [found.key for found in store.list("")] == ["k"]
    assert on_rclone.proxy.operations().count(operation) >= 2
    on_rclone.assert_replaced_by(data)


@pytest.mark.parametrize("kind", [kind for kind in PAGES if kind != "empty"])
def test_a_page_is_not_taken_for_the_end_of_an_archive(on_rclone: S3Bench, kind: str) -> None:
    on_rclone.store.put("k", BytesSource(SMALL), metadata("old"))
    on_rclone.proxy.add(Fault("DeleteObject", page(kind)))
    with pytest.raises(StoreError, match="the answer is not that of an S3 server"):
        on_rclone.store.delete("k")


def test_a_listing_that_is_cut_off_is_asked_for_once_more(on_moto: S3Bench) -> None:
    def cut(request: Request, forward: Forward) -> Answer:
        answer = forward(request)
        return replace(answer, body=answer.body[: len(answer.body) // 2])

    on_moto.store.put("k", BytesSource(SMALL), metadata("old"))
    on_moto.proxy.add(Fault("ListObjectsV2", cut, nth=1))
    assert [found.key for found in on_moto.store.list("")] == ["k"]


@pytest.mark.parametrize("kind", PAGES)
@pytest.mark.parametrize("is_helper", [False, True])
def test_a_page_that_answers_what_was_sent_is_not_taken_for_its_success(
    on_rclone: S3Bench, kind: str, is_helper: bool
) -> None:
    on_rclone.proxy.add(Fault("PutObject", page(kind)))
    began = time.monotonic()
    with pytest.raises(StoreError, match="the answer is not that of an S3 server"):
        on_rclone.store.put("k", BytesSource(SMALL), metadata("new"), is_helper=is_helper)
    assert time.monotonic() - began < 10
    on_rclone.assert_nothing_changed()


def renamed(name: str, value: str) -> Any:
    """Give a header another value."""

    def change(reply: Answer) -> Answer:
        kept = {each: text for each, text in reply.headers.items() if each.lower() != name}
        return replace(reply, headers={**kept, name: value})

    return change_answer(change)


def rewritten(element: str, text: str) -> Any:
    """Give an element of a page other text; None takes it out."""

    def change(reply: Answer) -> Answer:
        body = re.sub(rf"<{element}>[^<]*</{element}>", text, reply.body.decode())
        return replace(reply, body=body.encode())

    return change_answer(change)


def padded(reply: Answer) -> Answer:
    values = {name: f" {value}\t " for name, value in reply.headers.items() if name.lower().startswith("x-amz-meta")}
    assert values
    return replace(reply, headers={**reply.headers, **values})


def test_blanks_around_the_values_of_metadata_mean_nothing(on_moto: S3Bench) -> None:
    on_moto.proxy.add(Fault("HeadObject", change_answer(padded)))
    on_moto.store.put("k", BytesSource(SMALL), metadata("new"))
    on_moto.assert_replaced_by(SMALL)


SENSELESS = {
    "a time that is none": ("HeadObject", renamed("last-modified", "yesterday")),
    "a lock without end": ("HeadObject", renamed("x-amz-object-lock-retain-until-date", "for ever")),
    "a time that is none in a listing": ("ListObjectsV2", rewritten("LastModified", "<LastModified>-</LastModified>")),
    "no time in a listing": ("ListObjectsV2", rewritten("LastModified", "")),
    "a size that is none": ("ListObjectsV2", rewritten("Size", "<Size>much</Size>")),
    "an empty size": ("ListObjectsV2", rewritten("Size", "<Size></Size>")),
    "no size": ("ListObjectsV2", rewritten("Size", "")),
    "no key": ("ListObjectsV2", rewritten("Key", "")),
}


@pytest.mark.parametrize("name", SENSELESS)
def test_an_answer_with_a_part_that_makes_no_sense_is_a_failure_of_the_store(on_moto: S3Bench, name: str) -> None:
    operation, action = SENSELESS[name]
    on_moto.proxy.add(Fault(operation, action))
    with pytest.raises(
        StoreError, match=r"failed: the (answer makes no sense: .*|store's answer lacks .*); check Endp"
    ):
        on_moto.store.head("k")
        list(on_moto.store.list(""))


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (404, "not that of an S3 server"),
        (413, "takes no requests of this size"),
        (417, "100-continue"),
        (302, "not that of an S3 server"),
    ],
)
def test_a_refusal_that_is_no_store_s_says_who_refuses(on_moto: S3Bench, status: int, words: str) -> None:
    on_moto.proxy.add(Fault("PutObject", lambda *_others: Answer(status, {}, b"404 page not found\n")))
    with pytest.raises(StoreError, match=f"HTTP {status} .*{words}"):
        on_moto.store.put("k", BytesSource(SMALL), metadata("new"))
    on_moto.assert_nothing_changed()


@pytest.mark.parametrize(
    ("status", "code"),
    [(403, "QuotaExceeded"), (400, "XMinioAdminBucketQuotaExceeded"), (507, "XMinioStorageFull"), (507, "Full")],
)
def test_a_store_without_room_says_so_and_nothing_of_rights(on_moto: S3Bench, status: int, code: str) -> None:
    on_moto.proxy.add(Fault("PutObject", answer(status, code)))
    with pytest.raises(StoreError, match=r"the store is full, or a quota is used up: make room") as raised:
        on_moto.store.put("k", BytesSource(SMALL), metadata("new"))
    assert "rights" not in str(raised.value)
    on_moto.assert_nothing_changed()
