"""What somebody has to correct is told at once, in words that name it, and is neither an outage nor a bug."""

from __future__ import annotations

import http.server
import json
import os
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from s3napback.config.settings import Credentials, StoreSettings
from s3napback.errors import StoreError, StoreUnreachable, UnusableStore
from s3napback.stores.network import without_secrets
from s3napback.stores.s3 import S3Store
from s3napback.stores.s3_errors import is_passing
from s3napback.stores.waiting import Waiting
from tests.certificates import make_certificate
from tests.faulty_s3 import Answer, Fault, Forward, Request, answer
from tests.servers import ACCESS_KEY, SECRET_KEY, S3Server, free_port
from tests.stores.s3_bench import CREDENTIALS, S3Bench
from tests.stores.sources import BytesSource
from tests.stores.test_conformance import LARGE, metadata
from tests.stores.test_s3 import clean_environment

PATIENCE = Waiting(connect_seconds=5, read_seconds=5, outage_seconds=30, completion_seconds=30)
AT_ONCE = 20.0


def check(endpoint: str) -> str:
    """What a patient store says of its server; it must say so at once, and that it cannot be used."""
    settings = StoreSettings(bucket="some-bucket", endpoint=endpoint)
    began = time.monotonic()
    with pytest.raises(UnusableStore) as caught:
        S3Store(settings, CREDENTIALS, waiting=PATIENCE).check()
    assert time.monotonic() - began < AT_ONCE
    return str(caught.value)


class _Refusing(http.server.BaseHTTPRequestHandler):
    """A proxy that wants a password."""

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""

    def do_CONNECT(self) -> None:
        self.send_response(407, "Proxy Authentication Required")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        self.do_CONNECT()


@contextmanager
def serving(context: ssl.SSLContext | None = None) -> Iterator[int]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Refusing)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def self_signed(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """A server on TLS, and its certificate."""
    both = tmp_path / "certificate.pem"
    context = make_certificate(both, "127.0.0.1")
    with serving(context) as port:
        yield port, both


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def test_a_certificate_that_is_not_trusted(self_signed: tuple[int, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    port, certificate = self_signed
    said = check(f"https://127.0.0.1:{port}")
    assert "certificate is not trusted" in said
    assert "AWS_CA_BUNDLE" in said
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
    assert "407" in check(f"https://127.0.0.1:{port}"), "with it, the server itself answers"


@pytest.mark.parametrize("content", [None, "no certificate\n"], ids=["absent", "other content"])
@pytest.mark.parametrize("variable", ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"])
def test_certificates_that_cannot_be_read(
    self_signed: tuple[int, Path], content: str | None, variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = tmp_path / "bundle.pem"
    if content is not None:
        bundle.write_text(content)
    monkeypatch.setenv(variable, str(bundle))
    assert re.search(f"{variable}.* names", check(f"https://127.0.0.1:{self_signed[0]}"))


def test_certificates_in_a_pipe_are_not_waited_for(
    self_signed: tuple[int, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "bundle.pem")
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "bundle.pem"))
    assert "AWS_CA_BUNDLE names a pipe" in check(f"https://127.0.0.1:{self_signed[0]}")


def test_tls_at_a_port_that_does_not_speak_it() -> None:
    with serving() as port:
        assert "does not speak TLS" in check(f"https://127.0.0.1:{port}")


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_nothing_listens_at(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{scheme.upper()}_PROXY", f"http://user:SEKRIT@127.0.0.1:{free_port()}")
    said = check(f"{scheme}://store.example.org")
    assert "proxy" in said
    assert "refused" in said
    assert "is it running? Otherwise correct HTTPS_PROXY" in said
    assert "SEKRIT" not in said


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_wants_a_password(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving() as port:
        monkeypatch.setenv(f"{scheme.upper()}_PROXY", f"http://127.0.0.1:{port}")
        said = check(f"{scheme}://store.example.org")
    assert "407" in said
    assert "HTTPS_PROXY" in said


@pytest.mark.parametrize(
    "url",
    [
        "ftp://127.0.0.1:1",
        "http://proxy.invalid:3128",
        "http://127.0.0.1:no",
        "http://\xfc:\xfc@127.0.0.1:1",
        "http://[::1:1",
    ],
)
def test_a_proxy_that_cannot_be_one(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", url)
    assert "HTTPS_PROXY" in check("https://store.example.org")


@pytest.mark.parametrize("sign", "#/?")
def test_no_part_of_a_proxys_password_is_shown_where_a_sign_in_it_cuts_the_address(
    sign: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://somebody:SEKRIT{sign}more@127.0.0.1:9")
    said = check("http://127.0.0.1:1")
    assert "'…' is not a valid host or port: correct HTTPS_PROXY" in said
    assert "write signs percent-encoded, %23 for #" in said
    # as services that give credentials tell it
    assert without_secrets("Failed to parse: 'somebody:SEKRIT'") == "Failed to parse: '…'"


def test_the_password_in_the_address_of_what_gives_credentials_is_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moto: S3Server
) -> None:
    profile(tmp_path, monkeypatch, moto, "")
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://somebody:SEK@RIT@other.example.org/")
    settings = StoreSettings(bucket="some-bucket", endpoint=moto.endpoint)
    with pytest.raises(UnusableStore, match=r"the service http://…@other[.]example[.]org/: Unsupported host"):
        S3Store(settings, Credentials(), waiting=PATIENCE).check()
    said = 'Could not connect to the endpoint URL: "http://somebody:SEK@RIT@127.0.0.1:1/b"'
    assert without_secrets(said) == 'Could not connect to the endpoint URL: "http://…@127.0.0.1:1/b"'


def test_a_port_that_nothing_listens_at_and_a_name_that_nobody_knows_are_told_with_the_reason() -> None:
    for endpoint, reason in (
        (f"http://127.0.0.1:{free_port()}", "Connection refused"),
        ("http://store.invalid", "name of the host is not known"),
    ):
        store = S3Store(
            StoreSettings(bucket="some-bucket", endpoint=endpoint),
            CREDENTIALS,
            waiting=replace(PATIENCE, outage_seconds=0),
        )
        with pytest.raises(StoreUnreachable, match=reason):
            store.check()


def test_a_connection_that_breaks_within_tls_is_no_mistake() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up() -> None:
            while True:
                try:
                    listener.accept()[0].close()
                except OSError:
                    return

        threading.Thread(target=hang_up, daemon=True).start()
        settings = StoreSettings(bucket="some-bucket", endpoint=f"https://127.0.0.1:{listener.getsockname()[1]}")
        with pytest.raises(StoreUnreachable):
            S3Store(settings, CREDENTIALS, waiting=replace(PATIENCE, outage_seconds=0)).check()
        listener.shutdown(socket.SHUT_RDWR)


def profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moto: S3Server, text: str) -> None:
    clean_environment(monkeypatch, moto)
    config = tmp_path / "config"
    config.write_text(f"[default]\n{text}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))


def helper(tmp_path: Path, script: str) -> Path:
    path = tmp_path / "helper"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o700)
    return path


EXPIRED = json.dumps({"Version": 1, "AccessKeyId": "a", "SecretAccessKey": "b", "Expiration": "2001-01-01T00:00:00Z"})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("credential_process = /nonexistent/helper", "No such file"),
        ("credential_process = HELPER 'echo \"<html>\"'", "JSON"),
        ("credential_process = HELPER 'exit 3'", "credential_process /.* has failed, and has not said why"),
        ("credential_process = HELPER 'cat {}/expired'", "expired"),
        ("role_arn = arn:aws:iam::1:role/x\nweb_identity_token_file = /nonexistent/token", "No such file"),
        ("role_arn = arn:aws:iam::1:role/x\nsource_profile = nobody", "nobody"),
    ],
)
def test_credentials_that_cannot_be_had_are_neither_a_bug_nor_an_outage(
    text: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moto: S3Server
) -> None:
    (tmp_path / "expired").write_text(EXPIRED)
    script = helper(tmp_path, 'eval "$1"')
    profile(tmp_path, monkeypatch, moto, text.replace("HELPER", str(script)).replace("{}", str(tmp_path)))
    settings = StoreSettings(bucket="some-bucket", endpoint=moto.endpoint)
    store = S3Store(settings, Credentials(), waiting=PATIENCE)
    began = time.monotonic()
    with pytest.raises(UnusableStore, match=reason) as caught:
        store.check()
    assert "no usable credentials" in str(caught.value)
    for attempt in (lambda: store.head("k"), lambda: list(store.list("")), lambda: store.delete("k")):
        with pytest.raises(StoreError, match="no usable credentials"):
            attempt()
    assert time.monotonic() - began < AT_ONCE


def test_credentials_that_cannot_be_renewed_in_the_middle_of_an_upload_fail_it_and_leave_nothing(
    on_rclone: S3Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = {"Version": 1, "AccessKeyId": ACCESS_KEY, "SecretAccessKey": SECRET_KEY}
    for name, seconds in (("good", 60), ("expired", -60)):
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))
        (tmp_path / name).write_text(json.dumps({**text, "Expiration": moment}))
    broken = tmp_path / "broken"
    worse = f"[ -e {broken} ] && rm {broken} && exec cat {tmp_path}/expired"
    script = helper(tmp_path, f"{worse}; cat {tmp_path}/good")
    profile(tmp_path, monkeypatch, on_rclone.server, f"credential_process = {script}")

    def break_it(request: Request, forward: Forward) -> Answer | None:
        broken.touch()
        return forward(request)

    on_rclone.proxy.add(Fault("UploadPart", break_it, nth=1))
    store = S3Store(replace(on_rclone.settings, upload_threads=1), Credentials(), waiting=PATIENCE)
    with pytest.raises(StoreError, match="no usable credentials"):
        store.put("k", BytesSource(LARGE), metadata("new"))
    on_rclone.assert_nothing_changed()


@pytest.mark.parametrize("fault", [answer(403, "RequestTimeTooSkewed"), lambda *_others: Answer(404, {}, b"nothing")])
def test_what_is_rather_a_mistake_at_first_is_told_as_one(on_rclone: S3Bench, fault: Any) -> None:
    on_rclone.proxy.add(Fault("ListObjectsV2", fault))
    with pytest.raises(UnusableStore, match=r"set it|check Endpoint"):
        on_rclone.store.check()


@pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"])
def test_a_key_with_a_line_break_is_told_and_no_signature_is_shown(
    name: str, moto: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    clean_environment(monkeypatch, moto)
    values = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": "token"}
    for each, value in values.items():
        monkeypatch.setenv(each, f"{value}\nx" if each == name else value)
    with pytest.raises(UnusableStore) as caught:
        S3Store(moto.settings("some-bucket"), Credentials(), waiting=PATIENCE).check()
    said = str(caught.value)
    assert "holds a line break" in said
    assert not [secret for secret in ("key\n", "secret", "token\n", "Signature", "AWS4") if f"{secret}x" in said]


def test_a_profile_that_is_not_there_does_not_matter_beside_a_key_file(
    moto: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    clean_environment(monkeypatch, moto)
    bucket = moto.make_bucket()
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    S3Store(moto.settings(bucket), moto.credentials, waiting=PATIENCE).check()


@pytest.mark.parametrize(
    ("status", "code", "word"),
    [(403, "RequestTimeTooSkewed", "clock"), (400, "ExpiredToken", "expired"), (403, "AccessDenied", "lack rights")],
)
def test_an_answer_without_words_is_asked_for_in_words(on_rclone: S3Bench, status: int, code: str, word: str) -> None:
    on_rclone.proxy.add(Fault("HeadObject|GetObject", answer(status, code)))
    with pytest.raises(StoreError, match=word):
        on_rclone.store.head("k")


@pytest.mark.parametrize("key", ["k", "absent"])
@pytest.mark.parametrize("status", [400, 403])
def test_a_store_that_refuses_to_be_asked_what_it_then_tells_is_asked_once_more(
    on_rclone: S3Bench, key: str, status: int
) -> None:
    """As when the clock has just been set. It was said that the key has no rights, which the next answer belied."""
    on_rclone.proxy.add(Fault("HeadObject", answer(status, "SomeCode"), nth=1))
    assert (on_rclone.store.head(key) is None) == (key == "absent")
    on_rclone.proxy.clear()
    on_rclone.proxy.add(Fault("HeadObject", answer(status, "SomeCode")))
    with pytest.raises(StoreError, match=f"HTTP {status}"):
        on_rclone.store.head(key)


def test_an_answer_without_a_message_shows_none(on_rclone: S3Bench) -> None:
    def bare(_request: Request, _forward: Forward) -> Answer:
        return Answer(403, {}, b"<Error><Code>AccessDenied</Code></Error>")

    on_rclone.proxy.add(Fault("ListObjectsV2", bare))
    with pytest.raises(StoreError) as caught:
        list(on_rclone.store.list(""))
    assert "None" not in str(caught.value)
    assert not is_passing(caught.value.__cause__ or caught.value)


def test_the_environment_of_these_tests_is_that_of_no_machine() -> None:
    assert not [name for name in os.environ if name.upper() in ("HTTPS_PROXY", "HTTP_PROXY")]
