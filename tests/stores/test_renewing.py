"""Credentials that a store does not take any more, in the middle of a run: had anew where that is possible."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

from s3napback.config.settings import Credentials
from s3napback.errors import StoreError
from s3napback.stores.s3 import S3Store
from tests.faulty_s3 import Answer, Fault, Forward, Request, answer
from tests.servers import ACCESS_KEY, SECRET_KEY
from tests.stores.s3_bench import S3Bench
from tests.stores.sources import BytesSource
from tests.stores.test_conformance import LARGE, metadata
from tests.stores.test_mistakes import PATIENCE, helper, profile
from tests.stores.test_s3 import clean_environment


@pytest.mark.parametrize("operation", ["HeadObject|GetObject", "CreateMultipartUpload", "UploadPart"])
def test_credentials_that_are_revoked_in_the_middle_of_an_upload_are_had_anew(
    on_rclone: S3Bench, operation: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = json.dumps({"Version": 1, "AccessKeyId": ACCESS_KEY, "SecretAccessKey": SECRET_KEY})
    (tmp_path / "good").write_text(good)
    profile(
        tmp_path,
        monkeypatch,
        on_rclone.server,
        f"credential_process = {helper(tmp_path, f'echo x >> {tmp_path}/calls; cat {tmp_path}/good')}",
    )
    calls = 1

    def refuse(request: Request, forward: Forward) -> Answer | None:
        asked = len((tmp_path / "calls").read_text().split())
        return answer(400, "ExpiredToken")(request, forward) if asked <= calls else forward(request)

    on_rclone.proxy.add(Fault(operation, refuse))
    store = S3Store(on_rclone.settings, Credentials(), waiting=replace(PATIENCE, outage_seconds=10))
    store.put("k", BytesSource(LARGE), metadata("new"))
    on_rclone.assert_replaced_by(LARGE)


@pytest.mark.parametrize("nth", [3, 4])
@pytest.mark.parametrize("answers_late", [True, False])
def test_whatever_becomes_of_a_renewal_is_within_the_limits_of_a_look(
    on_rclone: S3Bench, nth: int, answers_late: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """botocore renews what is valid for minutes at every look, and so when it signs: there it may hang, and raise."""
    text = {"Version": 1, "AccessKeyId": ACCESS_KEY, "SecretAccessKey": SECRET_KEY}
    for name, seconds in (("good", 60), ("expired", -60)):
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))
        (tmp_path / name).write_text(json.dumps({**text, "Expiration": moment}))
    worse = "sleep 30" if answers_late else f"exec cat {tmp_path}/expired"
    counting = f"echo x >> {tmp_path}/calls; [ $(wc -l < {tmp_path}/calls) -eq {nth} ] && {worse}"
    script = helper(tmp_path, f"{counting}; cat {tmp_path}/good")
    profile(tmp_path, monkeypatch, on_rclone.server, f"credential_process = {script}")
    settings = replace(on_rclone.settings, stall_timeout=2)
    store = S3Store(settings, Credentials(), waiting=replace(PATIENCE, outage_seconds=10))
    began = time.monotonic()
    seen = []
    for _ in range(4):
        try:
            seen.append(store.head("k") is not None)
        except StoreError as error:
            assert not answers_late and "still expired; or this machine's clock is ahead" in str(error)
    assert seen == [True] * (4 if answers_late else 3)
    assert time.monotonic() - began < 20


@pytest.mark.parametrize("how", ["echo vault is sealed >&2; exit 1", "echo; exit 0", "echo '{}'; exit 0"])
def test_a_program_that_gives_no_more_credentials_for_a_while_is_waited_for(
    on_rclone: S3Bench, how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 60))
    good = {"Version": 1, "AccessKeyId": ACCESS_KEY, "SecretAccessKey": SECRET_KEY, "Expiration": moment}
    (tmp_path / "good").write_text(json.dumps(good))
    counting = f"echo x >> {tmp_path}/calls; case $(wc -l < {tmp_path}/calls) in 3|4|5) {how} ;; esac"
    script = helper(tmp_path, f"{counting}; cat {tmp_path}/good")
    profile(tmp_path, monkeypatch, on_rclone.server, f"credential_process = {script}")
    store = S3Store(on_rclone.settings, Credentials(), waiting=replace(PATIENCE, outage_seconds=20))
    assert [store.head("k") is not None for _ in range(4)] == [True] * 4
    assert len((tmp_path / "calls").read_text().split()) > 5


def test_a_session_token_that_nobody_renews_is_told_at_once(
    on_rclone: S3Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    clean_environment(monkeypatch, on_rclone.server)
    for name, value in {"ACCESS_KEY_ID": ACCESS_KEY, "SECRET_ACCESS_KEY": SECRET_KEY, "SESSION_TOKEN": "old"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    on_rclone.proxy.add(Fault("UploadPart", answer(400, "ExpiredToken")))
    store = S3Store(replace(on_rclone.settings, upload_threads=1), Credentials(), waiting=PATIENCE)
    with pytest.raises(StoreError, match=r"have expired: renew them where they come from: .*AWS_SESSION_TOKEN"):
        store.put("k", BytesSource(LARGE), metadata("new"))
    assert on_rclone.proxy.operations().count("UploadPart") == 1
    on_rclone.assert_nothing_changed()
