"""Every failure that does not mean no is tried again, by one policy, and nothing of that is shared."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError
from botocore.retries.standard import ThrottledRetryableChecker, TransientRetryableChecker

from s3napback.errors import StoreError, StoreUnreachable
from s3napback.stores import waiting
from s3napback.stores.s3 import S3Store
from s3napback.stores.s3_errors import is_passing
from s3napback.stores.waiting import IMPATIENT, PATIENT, Patience, Waiting, patiently
from tests.faulty_s3 import Answer, Fault, Forward, Request, answer, delay, reset
from tests.stores.s3_bench import S3Bench
from tests.stores.sources import BytesSource
from tests.stores.test_conformance import LARGE, PART, SMALL, content, metadata

PASSING = [
    *[(status, "Unknown") for status in (500, 502, 503, 504, 509, 520, 522, 524, 529, 408, 425, 429, 499)],
    *[(400, code) for code in ("BadDigest", "XAmzContentSHA256Mismatch", "RequestTimeout", "IncompleteBody")],
    *[
        (409, "OperationAborted"),
        (409, "ConditionalRequestConflict"),
        (503, "SlowDown"),
        (400, "KMS.ThrottlingException"),
        (403, "RequestTimeTooSkewed"),
        *[(404, "404"), (404, ""), (417, "417")],
    ],
    # What botocore would repeat if it were let.
    *[(400, code) for code in vars(ThrottledRetryableChecker)["_THROTTLED_ERROR_CODES"]],
    *[(400, code) for code in vars(TransientRetryableChecker)["_TRANSIENT_ERROR_CODES"]],
]
DEFINITE = [
    *[(400, "InvalidArgument"), (403, "AccessDenied"), (404, "NoSuchBucket"), (409, "BucketNotEmpty")],
    *[(412, "PreconditionFailed"), (501, "NotImplemented")],
]


def refusal(status: int, code: str, operation: str = "PutObject") -> ClientError:
    return ClientError(
        {"Error": {"Code": code, "Message": ""}, "ResponseMetadata": {"HTTPStatusCode": status}},  # type: ignore[typeddict-item]
        operation,
    )


@pytest.mark.parametrize(("status", "code"), PASSING)
def test_what_says_nothing_definite_is_passing(status: int, code: str) -> None:
    assert is_passing(refusal(status, code))


@pytest.mark.parametrize(("status", "code"), DEFINITE)
def test_what_says_no_is_not(status: int, code: str) -> None:
    assert not is_passing(refusal(status, code))
    assert not is_passing(refusal(404, "404", "HeadObject"))


def test_a_thread_that_waits_disturbs_nobody_else_s_random_numbers() -> None:
    """Such as those of tests in this process, which have to be the same whenever they are drawn."""
    before = random.getstate()
    assert Patience(60, threading.Event()).allows_another(refusal(503, "SlowDown"), "asking")
    assert random.getstate() == before


class PassingTime(threading.Event):
    """A clock that goes on only when somebody waits, and then at once."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def wait(self, timeout: float | None = None) -> bool:
        self.now += timeout or 0.0
        return False


def test_a_failure_that_passes_is_tried_again_until_the_outage_has_lasted_for_too_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = PassingTime()
    monkeypatch.setattr(waiting, "time", clock)
    monkeypatch.setattr(waiting, "slices", lambda seconds: iter([seconds]))
    moments: list[float] = []

    def fail() -> None:
        moments.append(clock.now)
        raise ConnectionClosedError(endpoint_url="http://x")

    with pytest.raises(ConnectionClosedError):
        patiently(fail, "asking", Patience(60, clock))
    assert len(moments) >= 7
    assert moments[-1] - moments[0] == pytest.approx(60, abs=0.2)
    del moments[:]
    with pytest.raises(ConnectionClosedError):
        patiently(fail, "asking", Patience(0, clock))
    assert len(moments) == 2, "two attempts in any case"


def test_what_is_definite_is_asked_once() -> None:
    asked = []

    def refuse() -> None:
        asked.append(1)
        raise refusal(403, "AccessDenied")

    with pytest.raises(ClientError):
        patiently(refuse, "asking", Patience(100))
    assert asked == [1]


def test_a_cancelled_wait_ends_at_once() -> None:
    cancelled = threading.Event()
    threading.Timer(0.2, cancelled.set).start()
    patience = Patience(100, cancelled)
    began = time.monotonic()
    while patience.allows_another(OSError("x"), "asking"):
        pass
    assert time.monotonic() - began < 60


def test_stall_timeout_limits_every_wait() -> None:
    limited = PATIENT.within(7)
    assert limited == Waiting(7, 7, 7, 7)
    assert PATIENT.within(0) == PATIENT
    assert IMPATIENT.outage_seconds == 0


ASKED: dict[str, Callable[[S3Store], object]] = {
    "check": lambda store: store.check(),
    "head": lambda store: store.head("k"),
    "list": lambda store: list(store.list("")),
    "read": lambda store: b"".join(store.read("k")),
    "delete": lambda store: store.delete("other"),
    "put": lambda store: store.put("k", BytesSource(SMALL), metadata("new")),
    "parts": lambda store: store.put("k", BytesSource(LARGE), metadata("new")),
    "leftovers": lambda store: store.discard_leftovers("k"),
}


@pytest.mark.parametrize("name", ASKED)
def test_every_operation_survives_several_resets_and_refusals(on_rclone: S3Bench, name: str) -> None:
    """botocore's own retries, whose quota all requests of a client share, would be used up by a hundred of them."""
    on_rclone.proxy.add(Fault(".*", reset(), nth=(1, 2)), Fault(".*", answer(520, "Unknown"), nth=3))
    ASKED[name](on_rclone.open(outage_seconds=20))
    assert len(on_rclone.proxy.seen) >= 4


def of_a_proxy(page: bytes) -> Callable[[Request, Forward], Answer]:
    """What is answered for a store that is being restarted."""
    return lambda request, _forward: Answer(404, {}, b"" if request.method == "HEAD" else page)


@pytest.mark.parametrize("name", [name for name in ASKED if name != "leftovers"])
def test_a_proxy_whose_store_is_away_says_nothing_of_what_is_there(on_rclone: S3Bench, name: str) -> None:
    pages = [b"404 page not found\n", b"<html><body>Not Found</body></html>"]
    on_rclone.proxy.add(*[Fault(".*", of_a_proxy(page), nth=number) for number, page in enumerate(pages, 1)])
    ASKED[name](on_rclone.open(outage_seconds=20))
    assert len(on_rclone.proxy.seen) >= 3


def test_an_object_is_not_said_to_be_absent_by_a_proxy(on_rclone: S3Bench) -> None:
    on_rclone.proxy.add(Fault("HeadObject", of_a_proxy(b""), nth=1))
    assert on_rclone.store.head("k") == on_rclone.old
    on_rclone.proxy.add(Fault(".*", of_a_proxy(b"404 page not found\n")))
    with pytest.raises(StoreUnreachable, match="not that of an S3 server"):
        on_rclone.store.head("k")
    on_rclone.proxy.clear()
    assert on_rclone.store.head("another") is None


def test_a_store_whose_answers_have_no_sign_of_it_may_say_that_an_object_is_absent(on_rclone: S3Bench) -> None:
    """Not every store numbers its requests."""
    on_rclone.proxy.add(Fault("HeadObject", of_a_proxy(b"")))
    assert on_rclone.store.head("another") is None


def test_a_proxy_that_wants_no_expectations_gets_none(on_rclone: S3Bench) -> None:
    def refuse(request: Request, forward: Forward) -> Answer | None:
        return Answer(417, {}, b"") if "Expect" in request.headers else forward(request)

    on_rclone.proxy.add(Fault(".*", refuse))
    on_rclone.open(outage_seconds=20).put("k", BytesSource(LARGE), metadata("new"))
    assert [request for request in on_rclone.proxy.seen if "Expect" in request.headers]
    on_rclone.assert_replaced_by(LARGE)


@pytest.mark.parametrize(("status", "code"), [(400, "BadDigest"), (409, "OperationAborted"), (524, "Unknown")])
@pytest.mark.parametrize("operation", ["PutObject", "UploadPart", "CompleteMultipartUpload"])
def test_passing_answers_to_an_upload_cost_nothing_but_time(
    on_rclone: S3Bench, operation: str, status: int, code: str
) -> None:
    on_rclone.proxy.add(Fault(operation, answer(status, code), nth=1))
    data = SMALL if operation == "PutObject" else LARGE
    on_rclone.open(outage_seconds=10).put("k", BytesSource(data), metadata("new"))
    on_rclone.assert_replaced_by(data)
    assert on_rclone.proxy.operations().count("AbortMultipartUpload") == 0


def test_many_threads_that_are_throttled_for_a_while_all_come_through(on_rclone: S3Bench) -> None:
    began = time.monotonic()
    refuse = answer(503, "SlowDown")

    def throttle(request: Request, forward: Forward) -> Answer | None:
        if time.monotonic() - began < 3:
            return refuse(request, forward)
        return forward(request)

    on_rclone.proxy.add(Fault("UploadPart", throttle))
    data = bytes(range(256)) * (32 * PART // 256)
    on_rclone.open(outage_seconds=15, upload_threads=32).put("k", BytesSource(data), metadata("new"))
    assert content(on_rclone.store, "k") == data


def busy_completion(seconds: float) -> Callable[[Request, Forward], Answer | None]:
    """A store that goes on working when the connection has gone, and knows no such upload meanwhile."""
    began: list[float] = []

    def act(request: Request, forward: Forward) -> Answer | None:
        if began:
            return answer(404, "NoSuchUpload")(request, forward)
        began.append(time.monotonic())
        threading.Timer(seconds, forward, (request,)).start()
        return None

    return act


def test_a_completion_that_goes_on_behind_a_broken_connection_is_looked_for(on_rclone: S3Bench) -> None:
    on_rclone.waiting = Waiting(outage_seconds=1, completion_seconds=30)
    on_rclone.proxy.add(Fault("CompleteMultipartUpload", busy_completion(3)))
    on_rclone.open().put("k", BytesSource(LARGE), metadata("new"))
    on_rclone.assert_replaced_by(LARGE)
    assert "AbortMultipartUpload" not in on_rclone.proxy.operations()


def test_a_slow_completion_is_waited_for_and_nothing_else_is(on_rclone: S3Bench) -> None:
    on_rclone.waiting = Waiting(read_seconds=1, outage_seconds=0, completion_seconds=30)
    on_rclone.proxy.add(Fault("CompleteMultipartUpload", delay(3)))
    on_rclone.open().put("k", BytesSource(LARGE), metadata("new"))
    assert on_rclone.proxy.operations().count("CompleteMultipartUpload") == 1
    on_rclone.assert_replaced_by(LARGE)
    on_rclone.proxy.add(Fault("HeadObject", delay(3)))
    with pytest.raises(StoreUnreachable):
        on_rclone.open().head("k")


@pytest.mark.parametrize("data", [SMALL, LARGE])
def test_a_store_that_reads_all_of_a_new_object_before_it_describes_it_is_waited_for(
    on_rclone: S3Bench, data: bytes
) -> None:
    on_rclone.waiting = Waiting(read_seconds=1, outage_seconds=0, completion_seconds=30)
    on_rclone.proxy.add(Fault("HeadObject", delay(3)))
    on_rclone.open().put("k", BytesSource(data), metadata("new"))
    on_rclone.assert_replaced_by(data)


def test_a_store_that_says_in_words_that_it_cannot_complete_is_not_taken_for_one_at_work(on_rclone: S3Bench) -> None:
    """As one whose disk is full, and which has forgotten the upload then."""
    on_rclone.waiting = Waiting(outage_seconds=0, completion_seconds=60)
    on_rclone.proxy.add(Fault("CompleteMultipartUpload", answer(500, "InternalError"), nth=1))
    on_rclone.proxy.add(Fault("CompleteMultipartUpload", answer(404, "NoSuchUpload")))
    began = time.monotonic()
    with pytest.raises(StoreError, match="InternalError"):
        on_rclone.open().put("k", BytesSource(LARGE), metadata("new"))
    assert time.monotonic() - began < 30
    on_rclone.assert_nothing_changed()


def test_an_upload_that_the_store_never_knew_is_a_failure_at_once(on_rclone: S3Bench) -> None:
    on_rclone.waiting = Waiting(outage_seconds=60, completion_seconds=60)
    on_rclone.proxy.add(Fault("CompleteMultipartUpload", answer(404, "NoSuchUpload")))
    began = time.monotonic()
    with pytest.raises(StoreError, match="NoSuchUpload"):
        on_rclone.open().put("k", BytesSource(LARGE), metadata("new"))
    assert time.monotonic() - began < 30
    on_rclone.assert_nothing_changed()


def test_a_store_that_shows_the_new_object_much_later_is_believed(on_rclone: S3Bench) -> None:
    began = time.monotonic()

    def lag(request: Request, forward: Forward) -> Answer | None:
        if time.monotonic() - began < 4:
            return answer(404, "NoSuchKey")(request, forward)
        return forward(request)

    on_rclone.proxy.add(Fault("HeadObject", lag))
    on_rclone.open(outage_seconds=20).put("k", BytesSource(SMALL), metadata("new"))
    on_rclone.assert_replaced_by(SMALL)


def test_an_old_object_of_the_same_length_without_an_identity_is_not_taken_for_the_new_one(on_rclone: S3Bench) -> None:
    store = on_rclone.open(outage_seconds=5)
    store.put("sum", BytesSource(b"old"), {})
    on_rclone.proxy.add(Fault("PutObject", answer(500, "InternalError"), nth=1))
    store.put("sum", BytesSource(b"new"), {})
    assert content(store, "sum") == b"new"
