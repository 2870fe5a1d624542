"""Certificates, and servers that speak something else than an address says: told at once, with what mends it."""

from __future__ import annotations

import http.server
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from botocore.exceptions import SSLError

from s3napback.config.settings import StoreSettings
from s3napback.errors import StoreUnreachable
from s3napback.stores.s3 import S3Store
from s3napback.stores.s3_errors import explain
from tests.certificates import make_certificate
from tests.faulty_s3 import Fault, FaultyS3, reset
from tests.servers import ACCESS_KEY, SECRET_KEY, program, running
from tests.stores.s3_bench import CREDENTIALS, S3Bench
from tests.stores.test_mistakes import PATIENCE, check, serving


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def speak_tls(proxy: FaultyS3, show: Callable[[], ssl.SSLContext]) -> None:
    """Have a proxy speak TLS from now on; what each connection is shown is asked for when it is made."""
    server = vars(proxy)["_http"]
    accept = server.get_request

    def get_request() -> tuple[socket.socket, object]:
        connection, address = accept()
        # The thread of the connection greets, and not the one of all.
        return show().wrap_socket(connection, server_side=True, do_handshake_on_connect=False), address

    server.get_request = get_request


class _Page(http.server.BaseHTTPRequestHandler):
    """A proxy, or what a network has before it, that answers everything with one page for people."""

    status = 403
    headers_of_s3: Sequence[str] = ()

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        page = b"<html><body><h1>No way</h1></body></html>"
        self.send_response(self.status)
        for name in ("Content-Type", *self.headers_of_s3):
            self.send_header(name, "text/html")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(page)

    do_CONNECT = do_HEAD = do_GET  # noqa: N815 (the base class's names)


@contextmanager
def page_server(status: int, *headers_of_s3: str) -> Iterator[str]:
    handler = type("Handler", (_Page,), {"status": status, "headers_of_s3": headers_of_s3})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("name", "days", "word"),
    [("127.0.0.1", -2, "renew it there, or set this machine's clock"), ("store.example.org", 1, "correct Endpoint")],
    ids=["expired", "of another host"],
)
def test_a_certificate_that_no_authority_could_mend_is_told_with_what_does(
    name: str, days: int, word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = tmp_path / "certificate.pem"
    context = make_certificate(certificate, name, days=days)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
    with serving(context) as port:
        said = check(f"https://127.0.0.1:{port}")
    assert word in said
    assert "AWS_CA_BUNDLE" not in said


@pytest.mark.parametrize("outage_seconds", [30, 1])
def test_a_certificate_that_is_exchanged_in_the_midst_of_a_run_is_waited_for(
    on_rclone: S3Bench, outage_seconds: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = tmp_path / "good.pem"
    contexts = [make_certificate(good, "127.0.0.1"), make_certificate(tmp_path / "unknown.pem", "127.0.0.1")]
    monkeypatch.setenv("AWS_CA_BUNDLE", str(good))
    shown: list[int] = []

    def show() -> ssl.SSLContext:
        # The third connection and the fourth one; for ever, where nobody waits for long.
        shown.append(len(shown) >= 2 and (len(shown) < 4 or outage_seconds == 1))
        return contexts[shown[-1]]

    speak_tls(on_rclone.proxy, show)
    settings = replace(on_rclone.settings, endpoint=on_rclone.settings.endpoint.replace("http:", "https:"))
    waiting = replace(PATIENCE, outage_seconds=outage_seconds)
    store = S3Store(settings, CREDENTIALS, waiting=waiting)
    store.check()
    on_rclone.proxy.add(Fault("HeadObject", reset(), {1, 2}))
    if outage_seconds > 1:
        assert store.head("k") == on_rclone.old
        assert sum(shown) == 2
    else:
        with pytest.raises(StoreUnreachable, match="certificate is not trusted"):
            store.head("k")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_another_host_is_told_likewise_where_openssl_looks_at_the_name(host: str, tmp_path: Path) -> None:
    """Some versions of urllib3 leave that to it, and others do it by themselves."""
    certificate = tmp_path / "certificate.pem"
    context = make_certificate(certificate, "store.example.org", days=1)
    looking = ssl.create_default_context(cafile=str(certificate))
    with (
        serving(context) as port,
        socket.create_connection(("127.0.0.1", port)) as connection,
        pytest.raises(ssl.SSLCertVerificationError) as caught,
    ):
        looking.wrap_socket(connection, server_hostname=host)
    said = explain(SSLError(endpoint_url=f"https://{host}:{port}", error=caught.value))
    assert "the server's certificate is another host's" in said
    assert "correct Endpoint" in said


def test_a_bundle_without_a_name_is_not_said_to_be_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", "")
    said = check("https://127.0.0.1:1")
    assert "AWS_CA_BUNDLE" in said
    assert "credentials" not in said


def test_http_at_a_port_that_speaks_tls(tmp_path: Path) -> None:
    certificate = tmp_path / "certificate.pem"
    make_certificate(certificate, "127.0.0.1")
    tls = ["--cert", str(certificate), "--key", str(certificate), "--auth-key", f"{ACCESS_KEY},{SECRET_KEY}"]

    def command(port: int) -> list[str]:
        rclone = [program("rclone"), "--config", "/dev/null", "serve", "s3", "--addr", f"127.0.0.1:{port}"]
        return [*rclone, *tls, str(tmp_path)]

    with running(command, tmp_path) as (endpoint, _process):
        assert "http or https" in check(endpoint)


def said_behind(status: int, scheme: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """What is said of a store behind a proxy that answers so."""
    with page_server(status) as proxy:
        monkeypatch.setenv(f"{scheme.upper()}_PROXY", proxy)
        return check(f"{scheme}://store.example.org")


@pytest.mark.parametrize("status", [302, 307, 400, 403])
def test_a_page_for_people_is_no_refusal_of_the_store(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    said = said_behind(status, "http", monkeypatch)
    assert f"HTTP {status}" in said
    assert "not that of an S3 server" in said
    assert "rights" not in said


def test_a_page_of_a_store_is_its_refusal() -> None:
    with page_server(403, "x-amz-request-id") as store:
        said = check(store)
    assert "the credentials lack rights" in said
    assert "not that of an S3 server" not in said


@pytest.mark.parametrize("status", [302, 403, 511])
def test_a_proxy_that_refuses_to_connect(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    said = said_behind(status, "https", monkeypatch)
    assert f"answers {status}" in said
    assert "correct HTTPS_PROXY" in said


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_proxy_that_does_not_reach_the_store_tells_of_an_outage(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = StoreSettings(bucket="some-bucket", endpoint="https://store.example.org")
    store = S3Store(settings, CREDENTIALS, waiting=replace(PATIENCE, outage_seconds=0))
    with page_server(status) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        with pytest.raises(StoreUnreachable, match=f"answers {status} .*does not reach the store") as caught:
            store.check()
    assert "is it running?" not in str(caught.value)


def test_a_proxy_on_tls_that_is_not_trusted_or_does_not_speak_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(make_certificate(tmp_path / "certificate.pem", "127.0.0.1")) as port:
        monkeypatch.setenv("HTTPS_PROXY", f"https://127.0.0.1:{port}")
        said = check("https://store.example.org")
    assert "not trusted" in said
    assert "SSL_CERT_FILE" in said
    with serving() as port:
        monkeypatch.setenv("HTTPS_PROXY", f"https://127.0.0.1:{port}")
        assert "write http:// in HTTPS_PROXY" in check("https://store.example.org")
