"""Answers of a store have a largest size, a longest time and an end."""

from __future__ import annotations

import io
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ProxyConnectionError

from s3napback.config.bandwidth import UNLIMITED
from s3napback.errors import StoreError, StoreUnreachable
from s3napback.stores import s3_listing, s3_session
from s3napback.stores.part_body import PartBody
from s3napback.stores.s3 import S3Store
from s3napback.stores.s3_errors import FAILURES, SlowAnswer, explain, is_passing
from s3napback.stores.s3_session import LimitedSession
from s3napback.stores.throttle import Throttle
from tests.faulty_s3 import Answer, Fault, Forward, Request
from tests.hostile.answers import drip, endless_answer, endless_listing
from tests.stores.s3_bench import S3Bench
from tests.stores.sources import BytesSource
from tests.stores.test_conformance import PART, metadata

CALLS: dict[str, Callable[[S3Store], object]] = {
    "ListObjectsV2": lambda store: list(store.list("")),
    "HeadObject": lambda store: store.head("k"),
    "GetObject": lambda store: b"".join(store.read("k")),
    "PutObject": lambda store: store.put("k", BytesSource(b"new"), metadata("new")),
    "UploadPart": lambda store: store.put("k", BytesSource(bytes(2 * PART)), metadata("new")),
}


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("s3napback.stores.waiting._SLOWNESS", 1)


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("operation", ["ListObjectsV2", "HeadObject", "GetObject", "UploadPart"])
def test_an_answer_that_drips_is_given_up(on_rclone: S3Bench, operation: str) -> None:
    on_rclone.proxy.add(Fault(operation, drip(0.4)))
    began = time.monotonic()
    # On a machine that is very busy two drops can be a second apart.
    given_up = r"no whole answer from http://127.0.0.1:.* within 1 seconds|[Rr]ead timeout"
    with pytest.raises(StoreUnreachable, match=given_up):
        CALLS[operation](on_rclone.open(stall_timeout=1))
    assert time.monotonic() - began < 15


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize(("operation", "size"), [("PutObject", 3), ("CompleteMultipartUpload", 2 * PART)])
def test_what_has_landed_is_good_although_the_answer_drips(on_rclone: S3Bench, operation: str, size: int) -> None:
    on_rclone.proxy.add(Fault(operation, drip(0.4)))
    data = b"n" * size
    on_rclone.open(stall_timeout=1).put("k", BytesSource(data), metadata("new"))
    on_rclone.assert_replaced_by(data)


@pytest.mark.usefixtures("hurried")
def test_time_does_not_count_while_the_request_itself_moves(on_rclone: S3Bench) -> None:
    on_rclone.proxy.bytes_per_second = 6_000_000
    data = bytes(36_000_000)
    on_rclone.open(stall_timeout=3, chunk_size=len(data)).put("k", BytesSource(data), metadata("new"))
    on_rclone.proxy.bytes_per_second = 0
    on_rclone.assert_replaced_by(data)


class HangingSession:
    """A session that hangs where no time limit of botocore's counts, in the search for a host's address, say."""

    def __init__(self) -> None:
        self.end = threading.Event()

    def send(self, _request: object) -> None:
        self.end.wait()


def test_a_request_that_was_given_up_does_not_send_any_more() -> None:
    body = PartBody(bytearray(10), 10, threading.Event(), Throttle(UNLIMITED))
    request = SimpleNamespace(
        url="https://host/key?X-Amz-Signature=secret", method="PUT", body=body, stream_output=False
    )
    hanging = HangingSession()
    with pytest.raises(SlowAnswer, match=r"no whole answer from https://host/key within 0.1 seconds"):
        LimitedSession(hanging, 0.1, set()).send(request)
    with pytest.raises(CancelledError):
        body.read()
    hanging.end.set()


class Faltering:
    """A session whose proxy has no name after the first answer."""

    error = ProxyConnectionError(proxy_url="http://proxy:3128", error=socket.gaierror(-3, "Temporary failure"))

    def __init__(self, answers: int) -> None:
        self.answers = answers

    def send(self, request: Any) -> AWSResponse:
        self.answers -= 1
        if self.answers < 0:
            raise self.error
        return AWSResponse(request.url, 200, HTTPHeaders(), io.BytesIO())


def test_what_would_be_a_mistake_at_first_may_pass_once_there_was_an_answer() -> None:
    answered: set[tuple[str, str]] = set()

    def ask(session: Faltering, host: str) -> BaseException | None:
        request = SimpleNamespace(url=f"https://{host}/key", method="HEAD", body=None, stream_output=False)
        try:
            LimitedSession(session, 10, answered).send(request)
        except FAILURES as error:
            return error
        return None

    definite = ask(Faltering(0), "host")
    assert definite is not None and not is_passing(definite)
    session = Faltering(1)
    assert ask(session, "host") is None
    passing = ask(session, "host")
    assert passing is not None and is_passing(passing)
    assert explain(passing) == explain(definite)
    assert "the name of the proxy is not known" in explain(passing)
    elsewhere = ask(session, "other")
    assert elsewhere is not None and not is_passing(elsewhere)


@pytest.mark.parametrize(
    ("operation", "status"),
    [("ListObjectsV2", 200), ("ListObjectsV2", 503), ("GetObject", 403), ("PutObject", 200), ("UploadPart", 500)],
)
def test_an_answer_without_end_does_not_fill_the_memory(on_rclone: S3Bench, operation: str, status: int) -> None:
    on_rclone.proxy.add(Fault(operation, endless_answer(b"<a></a>" * 5000, status=status)))
    with pytest.raises(StoreError, match=f"the answer has more than {s3_session.LARGEST_ANSWER} bytes"):
        CALLS[operation](on_rclone.store)


def test_an_answer_that_announces_too_much_is_not_read(on_rclone: S3Bench) -> None:
    def announce(request: Request, forward: Forward) -> Answer:
        return Answer(200, {}, bytes(s3_session.LARGEST_ANSWER + 1), cut=10)

    on_rclone.proxy.add(Fault("ListObjectsV2", announce))
    with pytest.raises(StoreError, match="the answer has more than"):
        list(on_rclone.store.list(""))


def test_a_listing_without_end_is_an_error(on_rclone: S3Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_listing, "MOST_KEYS", 20)
    on_rclone.proxy.add(Fault("ListObjectsV2", endless_listing()))
    with pytest.raises(StoreError, match=r"listing s3://.*/etc failed: it does not end, after more than 20 keys"):
        list(on_rclone.store.list("etc"))


def test_a_listing_without_end_and_without_keys_is_an_error(
    on_rclone: S3Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_listing, "MOST_EMPTY_PAGES", 20)
    on_rclone.proxy.add(Fault("ListObjectsV2", endless_listing(keys=False)))
    with pytest.raises(StoreError, match="it does not end, after 21 pages without a key"):
        list(on_rclone.store.list("etc"))


def test_a_listing_that_begins_anew_is_an_error() -> None:
    pages = [{"Contents": [{"Key": key}]} for key in ("c", "a", "b", "c")]
    seen: list[object] = []
    with pytest.raises(StoreError, match="the store tells 'c' again and again"):
        seen.extend(found["Key"] for found in s3_listing.listed(pages, "listing"))
    assert [found["Key"] for found in s3_listing.listed(pages[:3], "listing")] == ["c", "a", "b"]


def test_a_key_that_a_page_repeats_is_listed_once() -> None:
    pages = [["a", "b", "b"], ["b", "c"], ["c", "d"]]
    answers = [{"Contents": [{"Key": key} for key in page]} for page in pages]
    assert [each["Key"] for each in s3_listing.listed(answers, "listing")] == ["a", "b", "c", "d"]


def test_pages_without_keys_are_passed_over() -> None:
    pages = [{}, {"Contents": [{"Key": "a"}]}, *[{}] * s3_listing.MOST_EMPTY_PAGES, {"Contents": [{"Key": "b"}]}]
    assert [found["Key"] for found in s3_listing.listed(pages, "listing")] == ["a", "b"]
