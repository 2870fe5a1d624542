"""Locks in a bucket: what is asked for, what servers make of it, and what is done where it did not take.

moto keeps the dates it is told, and drops them from the beginning of an upload in parts as Ceph's RGW does; it lets
locks be made shorter, so that it proves nothing of that: here what goes over the wire is looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from s3napback.errors import StoreError, StoreUnreachable, UnusableStore
from s3napback.stores import StoredObject
from s3napback.stores.s3 import S3Store
from tests.faulty_s3 import Answer, Fault, FaultyS3, Forward, Request, answer, change_answer
from tests.servers import S3Server
from tests.stores.s3_bench import CREDENTIALS
from tests.stores.sources import BytesSource
from tests.stores.test_conformance import LARGE, PART, SMALL, metadata

NEXT_YEAR = (datetime.now(timezone.utc) + timedelta(days=365)).replace(microsecond=0)
LOCK_HEADERS = ("x-amz-object-lock-mode", "x-amz-object-lock-retain-until-date")


class LockBench:
    """A bucket in which objects can be locked, behind a proxy."""

    def __init__(self, server: S3Server, proxy: FaultyS3) -> None:
        self.server = server
        self.proxy = proxy
        self.bucket = server.make_bucket(locks=True)
        self.store = self.open()
        self.store.check()
        proxy.seen.clear()

    def open(self, mode: str = "governance") -> S3Store:
        settings = self.proxy.server.settings(self.bucket, chunk_size=PART, upload_threads=2, object_lock=mode)
        return S3Store(settings, CREDENTIALS, patient=False)

    def put(self, data: bytes, until: datetime | None = NEXT_YEAR, *, is_helper: bool = False) -> StoredObject:
        return self.store.put("k", BytesSource(data), metadata("new"), is_helper=is_helper, lock_until=until)

    def set_default(self, mode: Any, days: int) -> None:
        rule: Any = {"DefaultRetention": {"Mode": mode, "Days": days}}
        self.server.client().put_object_lock_configuration(
            Bucket=self.bucket, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule}
        )

    def found(self, key: str = "k") -> tuple[str, datetime | None]:
        """Mode and date of the lock, as the server has it."""
        head = self.server.client().head_object(Bucket=self.bucket, Key=key)
        return head.get("ObjectLockMode", ""), head.get("ObjectLockRetainUntilDate")

    def count(self, operation: str) -> int:
        return self.proxy.operations().count(operation)


@pytest.fixture
def bench(moto: S3Server, faulty: Callable[[S3Server], FaultyS3]) -> LockBench:
    return LockBench(moto, faulty(moto))


def without_locks(given: Answer) -> Answer:
    """An answer that does not tell of locks."""
    headers = {name: value for name, value in given.headers.items() if name.lower() not in LOCK_HEADERS}
    return Answer(given.status, headers, given.body)


def dropping(request: Request, forward: Forward) -> Answer:
    """A server that does not know the headers of a lock where they stand."""
    request.headers = {name: value for name, value in request.headers.items() if name.lower() not in LOCK_HEADERS}
    return forward(request)


# --- what is asked for ---


@pytest.mark.parametrize("mode", ["governance", "compliance"])
def test_a_lock_goes_along_with_an_object_of_one_request_and_costs_none(bench: LockBench, mode: str) -> None:
    bench.store = bench.open(mode)
    bench.store.check()
    bench.proxy.seen.clear()
    stored = bench.put(SMALL)
    assert bench.found() == (mode.upper(), NEXT_YEAR)
    assert (stored.locked_until, stored.lock_flaw) == (NEXT_YEAR, "")
    assert stored.version_id
    assert bench.proxy.operations() == ["PutObject", "HeadObject"]


def test_a_lock_that_is_dropped_from_the_beginning_of_an_upload_is_set_after_its_end(bench: LockBench) -> None:
    stored = bench.put(LARGE)
    assert bench.found() == ("GOVERNANCE", NEXT_YEAR)
    assert (stored.locked_until, stored.lock_flaw) == (NEXT_YEAR, "")
    begun = next(each for each in bench.proxy.seen if each.operation == "CreateMultipartUpload")
    assert all(header in {name.lower() for name in begun.headers} for header in LOCK_HEADERS)
    assert bench.count("PutObjectRetention") == 1


def test_it_is_the_version_that_arrived_which_is_locked(bench: LockBench) -> None:
    def replaced_meanwhile(request: Request, forward: Forward) -> Answer:
        bench.server.client().put_object(Bucket=bench.bucket, Key="k", Body=b"another")
        return forward(request)

    bench.proxy.add(Fault("PutObjectRetention", replaced_meanwhile))
    stored = bench.put(LARGE)
    head = bench.server.client().head_object(Bucket=bench.bucket, Key="k", VersionId=stored.version_id)
    assert head["ObjectLockRetainUntilDate"] == NEXT_YEAR
    assert bench.found() == ("", None)


@pytest.mark.parametrize("operation", ["PutObject", "CreateMultipartUpload"])
def test_a_lock_that_a_server_ignores_is_noticed(bench: LockBench, operation: str) -> None:
    bench.proxy.add(Fault(operation, dropping))
    stored = bench.put(SMALL if operation == "PutObject" else LARGE)
    assert bench.found() == ("GOVERNANCE", NEXT_YEAR)
    assert stored.locked_until == NEXT_YEAR


def test_a_lock_that_cannot_be_set_is_told(bench: LockBench) -> None:
    bench.proxy.add(Fault("PutObjectRetention", answer(403, "AccessDenied")))
    stored = bench.put(LARGE)
    assert "did not take, and could not be set" in stored.lock_flaw
    assert "s3:PutObjectRetention" in stored.lock_flaw
    assert stored.locked_until is None


def test_a_key_that_may_not_see_locks_sets_them_once_more(bench: LockBench) -> None:
    bench.proxy.add(Fault("HeadObject", change_answer(without_locks)))
    stored = bench.put(SMALL)
    assert (stored.locked_until, stored.lock_flaw) == (NEXT_YEAR, "")
    assert bench.count("PutObjectRetention") == 1


def test_of_small_objects_one_is_looked_at(bench: LockBench) -> None:
    for _ in range(3):
        stored = bench.put(SMALL, is_helper=True)
        assert (stored.locked_until, bool(stored.version_id)) == (NEXT_YEAR, True)
    assert bench.count("HeadObject") == 1
    assert bench.count("PutObjectRetention") == 0


def test_where_that_one_is_not_locked_all_are_made_good(bench: LockBench) -> None:
    bench.proxy.add(Fault("PutObject", dropping))
    for _ in range(3):
        assert bench.put(SMALL, is_helper=True).lock_flaw == ""
        assert bench.found() == ("GOVERNANCE", NEXT_YEAR)
    assert bench.count("PutObjectRetention") == 3


def test_nothing_is_locked_unasked(bench: LockBench) -> None:
    bench.put(SMALL, None)
    bench.store = bench.open("")
    bench.put(SMALL)
    bench.put(LARGE)
    assert bench.found() == ("", None)
    assert bench.count("PutObjectRetention") == 0


# --- never less than the bucket's own ---


def test_a_lock_is_never_asked_for_that_is_shorter_than_the_default_of_the_bucket(bench: LockBench) -> None:
    """On Ceph's RGW the one that is asked for counts, even if it is the shorter one."""
    bench.set_default("GOVERNANCE", 500)
    bench.store.check()
    stored = bench.put(SMALL)
    mode, until = bench.found()
    assert mode == "GOVERNANCE"
    assert until is not None
    assert 500 <= (until - datetime.now(timezone.utc)).days <= 501
    assert stored.locked_until == until


def test_what_could_not_be_asked_when_the_run_began_is_asked_before_anything_is_put(bench: LockBench) -> None:
    bench.set_default("COMPLIANCE", 500)
    store = bench.open()
    store.put("k", BytesSource(SMALL), metadata("new"), lock_until=NEXT_YEAR)
    mode, until = bench.found()
    assert mode == "COMPLIANCE"
    assert until is not None
    assert until > NEXT_YEAR
    bench.proxy.add(Fault("GetObjectLockConfiguration", answer(503, "SlowDown")))
    with pytest.raises(StoreUnreachable):
        bench.open().put("k", BytesSource(SMALL), metadata("new"), lock_until=NEXT_YEAR)


def test_a_default_of_years_is_one_of_days(bench: LockBench) -> None:
    rule: Any = {"DefaultRetention": {"Mode": "GOVERNANCE", "Years": 2}}
    bench.server.client().put_object_lock_configuration(
        Bucket=bench.bucket, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule}
    )
    bench.store.check()
    bench.put(SMALL)
    until = bench.found()[1]
    assert until is not None
    assert (until - datetime.now(timezone.utc)).days >= 730


def test_nor_one_that_is_weaker(bench: LockBench) -> None:
    bench.set_default("COMPLIANCE", 5)
    bench.store.check()
    bench.put(SMALL)
    assert bench.found() == ("COMPLIANCE", NEXT_YEAR)


def test_a_date_that_has_passed_is_none(bench: LockBench) -> None:
    bench.put(SMALL, datetime(2020, 1, 1, tzinfo=timezone.utc))
    until = bench.found()[1]
    assert until is not None
    assert until > datetime.now(timezone.utc)


def test_what_was_locked_for_compliance_is_locked_so_for_longer(bench: LockBench) -> None:
    """A server refuses to make governance of it."""

    def as_amazon(request: Request, forward: Forward) -> Answer | None:
        is_weaker = b"GOVERNANCE" in request.body
        return answer(403, "AccessDenied")(request, forward) if is_weaker else forward(request)

    stored = bench.open("compliance").put("k", BytesSource(SMALL), metadata("new"), lock_until=NEXT_YEAR)
    bench.proxy.add(Fault("PutObjectRetention", as_amazon))
    later = NEXT_YEAR + timedelta(days=1)
    bench.store.lock("k", stored.version_id, later)
    assert bench.found() == ("COMPLIANCE", later)


def test_a_lock_that_is_refused_for_good_is_told(bench: LockBench) -> None:
    bench.put(SMALL)
    bench.proxy.add(Fault("PutObjectRetention", answer(403, "AccessDenied")))
    with pytest.raises(StoreError, match=f"locking s3://{bench.bucket}/k until .* failed: HTTP 403 AccessDenied"):
        bench.store.lock("k", "", NEXT_YEAR)


# --- buckets that cannot ---


def test_a_bucket_that_cannot_lock_is_refused_with_the_command_that_makes_one(bench: LockBench) -> None:
    bench.bucket = bench.server.make_bucket()
    store = bench.open()
    with pytest.raises(UnusableStore) as caught:
        store.check()
    assert f"ObjectLock is set, and s3://{bench.bucket} is a bucket that cannot lock objects" in str(caught.value)
    assert "aws s3api create-bucket --bucket NAME --object-lock-enabled-for-bucket" in str(caught.value)
    assert f"aws s3api put-object-lock-configuration --bucket {bench.bucket}" in str(caught.value)
    store.check(for_writing=False)
    bench.open("").check()


@pytest.mark.parametrize("status", [405, 501])
def test_a_server_that_knows_no_locks_is_refused(bench: LockBench, status: int) -> None:
    bench.proxy.add(Fault("GetObjectLockConfiguration", answer(status, "NotImplemented")))
    with pytest.raises(UnusableStore, match="cannot lock objects"):
        bench.store.check()


def test_a_key_that_may_not_ask_is_refused_with_the_right_that_it_lacks(bench: LockBench) -> None:
    bench.proxy.add(Fault("GetObjectLockConfiguration", answer(403, "AccessDenied")))
    with pytest.raises(UnusableStore, match=r"does not tell whether.*s3:GetBucketObjectLockConfiguration"):
        bench.store.check()


def test_a_server_that_does_not_answer_is_no_bucket_without_locks(bench: LockBench) -> None:
    bench.proxy.add(Fault("GetObjectLockConfiguration", answer(503, "SlowDown")))
    with pytest.raises(StoreUnreachable):
        bench.store.check()
