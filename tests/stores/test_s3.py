"""The S3 store: what goes over the wire, reading, listing, and what failures are called."""

from __future__ import annotations

import hashlib
import logging
import os
import subprocess
import sys
import time
import zlib
from base64 import b64encode
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from s3napback.config.settings import Configuration, Credentials, StoreSettings
from s3napback.errors import StoreError, StoreUnreachable, UnusableStore
from s3napback.stores.opening import open_store
from s3napback.stores.s3_client import Clients
from s3napback.stores.waiting import IMPATIENT, PATIENT
from s3napback.surroundings import configured_store
from tests.faulty_s3 import (
    Action,
    Fault,
    Request,
    answer,
    change_answer,
    cut_answer,
    reset,
    without_range,
)
from tests.servers import ACCESS_KEY, SECRET_KEY, S3Server, free_port
from tests.stores.s3_bench import CREDENTIALS, S3Bench
from tests.stores.sources import BytesSource, EndlessSource
from tests.stores.test_conformance import LARGE, PART, SMALL, content, metadata


def test_storage_class_and_encryption_are_asked_for_when_an_object_begins(on_moto: S3Bench) -> None:
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


def test_fulls_and_diffs_go_into_classes_of_their_own(on_moto: S3Bench) -> None:
    store = on_moto.open(storage_class="GLACIER_IR", diff_storage_class="STANDARD_IA")
    for archive_type, expected in (("FULL", "GLACIER_IR"), ("DIFF", "STANDARD_IA")):
        store.put("k", BytesSource(SMALL), {**metadata(archive_type), "s3napback-type": archive_type})
        found = store.head("k")
        assert found is not None
        assert found.storage_class == expected
    store.put("k", BytesSource(SMALL), {"s3napback-type": "FULL"}, is_helper=True)
    found = store.head("k")
    assert found is not None
    assert found.storage_class == ""


def test_whoever_pays_for_requests_says_so_in_each_and_signs_it(on_rclone: S3Bench) -> None:
    store = on_rclone.open(requester_pays=True)
    store.check()
    for data in (SMALL, LARGE):
        store.put("k", BytesSource(data), metadata())
    assert content(store, "k") == LARGE
    assert list(store.unfinished("")) == []
    store.delete("k")
    seen = on_rclone.proxy.seen
    assert len({request.operation for request in seen}) > 6
    for request in seen:
        headers = {name.lower(): value for name, value in request.headers.items()}
        assert headers["x-amz-request-payer"] == "requester"
        assert "x-amz-request-payer" in headers["authorization"]


def test_without_an_endpoint_checksums_go_with_every_part(on_moto: S3Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", on_moto.settings.endpoint)
    store = on_moto.open(endpoint="")
    assert store.identity == f"s3:/{on_moto.bucket}"
    for data in (SMALL, LARGE):
        store.put("k", BytesSource(data), metadata("new"))
        assert content(store, "k") == data
    bodies = [request for request in on_moto.proxy.seen if request.operation in {"PutObject", "UploadPart"}]
    for request in bodies:
        assert crc_of(request) == b64encode(zlib.crc32(request.body).to_bytes(4, "big")).decode()
        assert request.headers["Content-Length"] == str(len(request.body))
    assert [len(request.body) for request in bodies if request.operation == "PutObject"] == [len(SMALL)]
    assert sorted(len(request.body) for request in bodies if request.operation == "UploadPart")[0] < PART
    assert len(bodies) == 4


def crc_of(request: Request) -> str:
    return {name.lower(): value for name, value in request.headers.items()}["x-amz-checksum-crc32"]


def test_with_an_endpoint_every_request_with_bytes_tells_their_md5_and_nothing_newer(on_moto: S3Bench) -> None:
    """A bucket with Object Lock demands it; not every server takes the checksums of Amazon's."""
    for data in (SMALL, LARGE):
        on_moto.store.put("k", BytesSource(data), metadata("new"))
    bodies = [request for request in on_moto.proxy.seen if request.operation in {"PutObject", "UploadPart"}]
    assert len(bodies) == 4
    for request in bodies:
        headers = {name.lower(): value for name, value in request.headers.items()}
        assert headers["content-md5"] == b64encode(hashlib.md5(request.body).digest()).decode()
    names = {name.lower() for request in on_moto.proxy.seen for name in request.headers}
    assert not [name for name in names if "checksum" in name]


def test_without_an_endpoint_bytes_that_do_not_match_the_stored_checksum_are_not_believed(
    on_moto: S3Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Amazon's S3 gives a checksum with each object if it is asked to."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", on_moto.settings.endpoint)
    store = on_moto.open(endpoint="")
    store.put("k", BytesSource(SMALL), metadata("new"))
    right = b64encode(zlib.crc32(SMALL).to_bytes(4, "big")).decode()

    def give(body: bytes) -> Action:
        return change_answer(
            lambda reply: replace(reply, body=body, headers={**reply.headers, "x-amz-checksum-crc32": right})
        )

    on_moto.proxy.add(Fault("GetObject", give(SMALL)))
    assert content(store, "k") == SMALL
    on_moto.proxy.clear()
    on_moto.proxy.add(Fault("GetObject", give(SMALL[:-1] + b"?")))
    with pytest.raises(StoreError, match=f"reading s3://{on_moto.bucket}/k failed: .*checksum"):
        content(store, "k")


def test_reading_goes_on_where_the_connection_broke(on_moto: S3Bench) -> None:
    version = on_moto.store.put("k", BytesSource(LARGE), metadata("new")).version
    on_moto.proxy.add(Fault("GetObject", cut_answer(3_000_000), nth=(1, 3)), Fault("GetObject", reset(), nth=2))
    on_moto.proxy.seen.clear()
    assert b"".join(on_moto.open(outage_seconds=5).read("k", version=version)) == LARGE
    assert on_moto.proxy.operations().count("GetObject") == 4
    on_moto.proxy.clear()
    on_moto.proxy.add(Fault("GetObject", cut_answer(3_000_000), nth=1))
    assert b"".join(on_moto.store.read("k", start=5, end=PART)) == LARGE[5:PART]


def test_reading_does_not_go_on_with_another_object(on_rclone: S3Bench) -> None:
    on_rclone.store.put("k", EndlessSource(2 * PART), metadata("new"))
    on_rclone.proxy.add(Fault("GetObject", cut_answer(3_000_000), nth=1))
    reader = on_rclone.store.read("k")
    next(reader)
    on_rclone.store.put("k", BytesSource(LARGE), metadata("newer"))
    with pytest.raises(StoreError, match="replaced"):
        list(reader)


def test_a_store_that_does_not_give_parts_of_objects_is_noticed(on_moto: S3Bench) -> None:
    on_moto.proxy.add(Fault("GetObject", without_range))
    with pytest.raises(StoreError, match="parts of objects"):
        list(on_moto.store.read("k", start=3))


def test_reading_is_given_up_when_nothing_comes(on_moto: S3Bench) -> None:
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
def test_a_hiccup_is_not_absence(on_moto: S3Bench, fault: Any, kind: type[StoreError], text: str) -> None:
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
def test_failures_name_operation_and_place(on_moto: S3Bench, operation: str, attempt: Any) -> None:
    on_moto.proxy.add(Fault(operation, answer(403, "AccessDenied")))
    with pytest.raises(StoreError, match=rf"(listing|deleting|reading) s3://{on_moto.bucket}/k? ?failed: HTTP 403"):
        attempt(on_moto.store)


def test_leftovers_of_this_key_alone_are_discarded(on_moto: S3Bench, on_rclone: S3Bench) -> None:
    for bench in (on_moto, on_rclone):
        for key in ("k", "k", "k2", "k/x"):
            bench.server.client().create_multipart_upload(Bucket=bench.bucket, Key=key)
        assert bench.store.discard_leftovers("k") == 2
        assert sorted(bench.server.unfinished_uploads(bench.bucket)) == ["k/x", "k2"]


def test_stores_that_cannot_list_uploads_are_spared(on_moto: S3Bench) -> None:
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


def test_a_key_that_may_not_list_uploads_is_warned_of_once(on_moto: S3Bench, caplog: pytest.LogCaptureFixture) -> None:
    on_moto.proxy.add(Fault("ListMultipartUploads", answer(403, "AccessDenied")))
    for key in ("a", "b"):
        on_moto.store.discard_leftovers(key)
    (said,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert "s3:ListBucketMultipartUploads" in said


@pytest.mark.parametrize(("status", "code"), [(301, "PermanentRedirect"), (400, "InvalidRequest")])
def test_so_is_every_refusal_to_list_uploads(
    on_moto: S3Bench, caplog: pytest.LogCaptureFixture, status: int, code: str
) -> None:
    on_moto.proxy.add(Fault("ListMultipartUploads", answer(status, code)))
    assert list(on_moto.store.unfinished("")) == []
    assert on_moto.store.discard_leftovers("k") == 0
    (said,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert f"HTTP {status}" in said
    assert "what uploads left unfinished stays" in said


def test_a_bucket_that_keeps_versions_says_so_when_something_is_deleted(on_moto: S3Bench) -> None:
    assert not on_moto.store.delete("k")
    versions: Any = {"Status": "Enabled"}
    on_moto.server.client().put_bucket_versioning(Bucket=on_moto.bucket, VersioningConfiguration=versions)
    on_moto.store.put("k", BytesSource(SMALL), metadata("new"))
    assert on_moto.store.delete("k")


def test_the_server_of_the_environment_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    settings = StoreSettings(bucket="some-bucket", region="us-east-1", key_file=tmp_path / "key.txt")
    (tmp_path / "key.txt").write_text(f"key={CREDENTIALS.key}\nsecret={CREDENTIALS.secret}\n")
    (tmp_path / "key.txt").chmod(0o600)
    with pytest.raises(StoreUnreachable, match=r"s3://some-bucket at http://127.0.0.1:\d+ \(AWS_ENDPOINT_URL, or "):
        configured_store(Configuration(tmp_path, store=settings), patient=False).check()


def test_the_check_says_what_to_do(on_moto: S3Bench) -> None:
    for code, (status, advice) in UNUSABLE.items():
        on_moto.proxy.add(Fault("ListObjectsV2", answer(status, code)))
        with pytest.raises(UnusableStore, match=f"{on_moto.bucket} cannot be used: HTTP {status} {code} .*{advice}"):
            on_moto.store.check()
        on_moto.proxy.clear()


def test_the_check_does_not_blame_the_configuration_for_a_hiccup(on_moto: S3Bench) -> None:
    for fault in (answer(503, "SlowDown"), answer(500, "InternalError"), answer(429, "X"), reset()):
        on_moto.proxy.add(Fault("ListObjectsV2", fault))
        with pytest.raises(StoreUnreachable, match="cannot be used now"):
            on_moto.store.check()
        on_moto.proxy.clear()


def test_wrong_credentials_are_told_from_each_other(rclone: S3Server) -> None:
    settings = rclone.settings(rclone.make_bucket())
    open_store(settings, CREDENTIALS).check()
    with pytest.raises(UnusableStore, match="key= in S3Keyfile"):
        open_store(settings, Credentials("UNKNOWNACCESSKEY", SECRET_KEY)).check()
    with pytest.raises(UnusableStore, match="secret= in S3Keyfile"):
        open_store(settings, Credentials(ACCESS_KEY, "wrong-secret-0123")).check()


def test_nothing_that_listens_is_no_answer(on_moto: S3Bench) -> None:
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


def test_a_store_that_was_looked_at_by_somebody_who_waits_is_listed_once(on_rclone: S3Bench) -> None:
    impatient = open_store(on_rclone.settings, CREDENTIALS, patient=False)
    impatient.check()
    patient = open_store(on_rclone.settings, CREDENTIALS, after=impatient)
    assert [found.key for found in patient.list("")] == ["k"]
    assert [request.operation for request in on_rclone.proxy.seen] == ["ListObjectsV2"]
    on_rclone.proxy.add(Fault("HeadObject", reset(), nth=1))
    assert patient.head("k") == on_rclone.old


def test_what_boto3_has_besides_is_not_loaded() -> None:
    program = "import sys, s3napback.stores.s3; sys.exit({'boto3', 's3transfer'} & {*sys.modules} != set())"
    subprocess.run([sys.executable, "-c", program], check=True)


def clean_environment(monkeypatch: pytest.MonkeyPatch, server: S3Server) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in server.environment().items():
        if name not in {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}:
            monkeypatch.setenv(name, value)


def test_credentials_that_expire_are_renewed(
    on_rclone: S3Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
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


def test_no_secret_is_logged_at_any_level(on_rclone: S3Bench, caplog: pytest.LogCaptureFixture) -> None:
    token = "session-token-of-a-temporary-key"
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("botocore.auth").setLevel(logging.DEBUG)
        logging.getLogger(__name__).debug("debugging is on")
        store = open_store(on_rclone.settings, Credentials(ACCESS_KEY, SECRET_KEY, token))
        store.put("k", BytesSource(LARGE), metadata("new"))
        with pytest.raises(UnusableStore) as raised:
            open_store(on_rclone.settings, Credentials(ACCESS_KEY, "wrong-secret", token)).check()
    assert "debugging is on" in caplog.text
    for secret in (SECRET_KEY, token, "Signature=", "wrong-secret"):
        assert secret not in caplog.text + str(raised.value) + repr(vars(store))


def test_a_key_that_is_not_unicode_is_refused(on_moto: S3Bench) -> None:
    with pytest.raises(StoreError, match="UTF-8"):
        on_moto.store.put("k\udcff", BytesSource(SMALL), metadata())


def test_a_dry_run_is_answered_soon_and_a_nightly_run_is_patient() -> None:
    settings = StoreSettings(bucket="some-bucket", endpoint="http://127.0.0.1:1", upload_threads=9)
    # the stubs leave out what a Config holds
    patient: Any = Clients(settings, CREDENTIALS, PATIENT).prompt().meta.config
    hasty: Any = Clients(settings, CREDENTIALS, IMPATIENT).prompt().meta.config
    slow: Any = Clients(settings, CREDENTIALS, PATIENT).slow().meta.config
    assert patient.retries == {"mode": "standard", "total_max_attempts": 1}, "a quota of botocore's is shared by all"
    assert slow.read_timeout == 900
    assert (patient.connect_timeout, patient.read_timeout) == (20, 60)
    assert hasty.read_timeout <= 10
    assert patient.max_pool_connections > 9
    assert patient.request_checksum_calculation == patient.response_checksum_validation == "when_required"
