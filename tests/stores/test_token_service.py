"""A service that gives credentials for a while (STS), and a proxy in front of it that has no answer of it now."""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import ACCESS_KEY, SECRET_KEY, S3Server
from tests.site import Site

NAME = "AssumeRoleWithWebIdentity"
SPACE = 'xmlns="https://sts.amazonaws.com/doc/2011-06-15/"'
KEY = f"<AccessKeyId>{ACCESS_KEY}</AccessKeyId><SecretAccessKey>{SECRET_KEY}</SecretAccessKey>"
GOOD = (
    f"<{NAME}Response {SPACE}><{NAME}Result><Credentials>{KEY}<SessionToken>t</SessionToken>"
    f"<Expiration>MOMENT</Expiration></Credentials></{NAME}Result></{NAME}Response>"
)
ERROR = f"<ErrorResponse {SPACE}><Error><Code>CODE</Code><Message>injected</Message></Error></ErrorResponse>"
PAGE = "no healthy upstream"
CONSOLE = "<html><body>Please wait<br></body></html>"


class _Service(http.server.BaseHTTPRequestHandler):
    """Gives what is good for a minute, so that it is asked at each request to the store."""

    answers: list[tuple[int, str]]

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 60))
        status, text = self.answers.pop(0) if self.answers else (200, GOOD)
        body = text.replace("MOMENT", moment).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def role(tmp_path: Path, moto: S3Server) -> Iterator[Site]:
    """A machine that takes a role by the token of another service."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Service)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    (token := tmp_path / "token").write_text("header.claims.signature")
    site = Site(tmp_path / "site", moto)
    (site.source / "file").write_text("content")
    site.configuration.write_text(
        f"Bucket {site.bucket}\nEndpoint {moto.endpoint}\nEncryption Off\nDiffDir {site.diff_dir}\n"
        f"Directory {site.source}\n"
    )
    site.environment |= {
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/backup",
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(token),
        "AWS_ENDPOINT_URL_STS": f"http://127.0.0.1:{server.server_address[1]}",
    }
    yield site
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("good", [0, 2], ids=["at first", "in the midst"])
@pytest.mark.parametrize(
    "answers",
    [[(503, PAGE)] * 2, [(502, CONSOLE)], [(400, ERROR.replace("CODE", "IDPCommunicationError"))] * 3],
    ids=["words", "a page", "silence of who vouches"],
)
def test_what_has_no_answer_now_is_asked_again(
    role: Site, answers: list[tuple[int, str]], good: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_Service, "answers", [(200, GOOD)] * good + answers, raising=False)
    role.run()
    assert not _Service.answers


def test_who_refuses_is_told_at_once(role: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_Service, "answers", [(403, ERROR.replace("CODE", "AccessDenied"))] * 9, raising=False)
    began = time.monotonic()
    said = role.run(expect=2).stderr
    assert time.monotonic() - began < 20
    assert "no usable credentials: the security token service (STS at http://127.0.0.1:" in said
    assert "role/backup builds upon: An error occurred (AccessDenied)" in said
