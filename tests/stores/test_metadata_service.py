"""A machine's metadata service without credentials for us: what it answers is told, and what passes is waited for."""

from __future__ import annotations

import http.server
import json
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from s3napback.config.settings import Credentials
from s3napback.errors import UnusableStore
from s3napback.stores.s3 import S3Store
from tests.servers import ACCESS_KEY, SECRET_KEY, S3Server
from tests.stores.test_mistakes import PATIENCE
from tests.stores.test_s3 import clean_environment


class Metadata(http.server.BaseHTTPRequestHandler):
    """A machine's metadata service, whose first answers fail."""

    failures = 0
    refusal: tuple[int, str, bytes] | None = None

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""

    def do_PUT(self) -> None:
        self._answer(b"token")

    def do_GET(self) -> None:
        if Metadata.refusal is not None:
            status, path, body = Metadata.refusal
            if self.path.endswith(path):
                self._answer(body, status)
                return
        if Metadata.failures > 0:
            Metadata.failures -= 1
            self.send_error(500)
            return
        key = {
            "Code": "Success",
            "Type": "AWS-HMAC",
            "AccessKeyId": ACCESS_KEY,
            "SecretAccessKey": SECRET_KEY,
            "Token": "",
            "Expiration": "2099-01-01T00:00:00Z",
            "LastUpdated": "2020-01-01T00:00:00Z",
        }
        self._answer(b"role" if self.path.endswith("security-credentials/") else json.dumps(key).encode())

    def _answer(self, body: bytes, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def on_a_machine(moto: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Store]:
    """A store whose credentials come from ``Metadata``."""
    clean_environment(monkeypatch, moto)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Metadata)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", f"http://127.0.0.1:{server.server_address[1]}/")
    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED", raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    yield S3Store(moto.settings(moto.make_bucket()), Credentials(), waiting=PATIENCE)
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("failures", [2, 5], ids=["asked again", "asked again later"])
def test_a_metadata_service_that_fails_at_first_is_not_believed_to_have_no_credentials(
    on_a_machine: S3Store, monkeypatch: pytest.MonkeyPatch, failures: int
) -> None:
    monkeypatch.setattr(Metadata, "failures", failures)
    on_a_machine.check()


NO_TRUST = b'{"Code": "AssumeRoleUnauthorizedAccess", "Message": "EC2 cannot assume the role backup."}'


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        ((404, "credentials/", b""), "answered 404 to /latest/.*/security-credentials/, as it does .* no role"),
        ((403, "credentials/", b"<html>"), "answered 403 to .*, as it does where it is switched off, or too many hops"),
        (
            (200, "/role", NO_TRUST),
            r"answered 200 to .* \(AssumeRoleUnauthorizedAccess: EC2 cannot assume the role bac",
        ),
    ],
    ids=["no role", "switched off", "not trusted"],
)
def test_a_metadata_service_that_refuses_is_quoted_at_once(
    on_a_machine: S3Store, monkeypatch: pytest.MonkeyPatch, refusal: tuple[int, str, bytes], words: str
) -> None:
    monkeypatch.setattr(Metadata, "refusal", refusal)
    began = time.monotonic()
    with pytest.raises(UnusableStore, match=f"the machine's metadata service http://127.*: it has {words}"):
        on_a_machine.check()
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY"])
def test_a_metadata_service_is_asked_past_all_proxies(
    on_a_machine: S3Store, moto: S3Server, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """At that address a proxy would find the service of its own machine, or nothing."""
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        monkeypatch.setenv(variable, f"http://127.0.0.1:{proxy.getsockname()[1]}")
        monkeypatch.setenv("no_proxy", moto.endpoint.partition("://")[2])
        on_a_machine.check()
        proxy.setblocking(False)
        with pytest.raises(BlockingIOError):
            proxy.accept()
