"""An S3 server with faults: a proxy in front of a real one, to which a test gives rules.

    proxy = FaultyS3(server)
    with proxy:
        proxy.add(Fault(operation="UploadPart", nth=2, action=answer(503, "SlowDown")))
        store = S3Store(proxy.server.settings(bucket), ...)

A rule applies to the requests of one operation: to all of them, or to those whose number, counted from the moment at
which the rule was added, is in ``nth``. Requests are passed on with the headers they came with, so that signatures
stay valid. ``proxy.seen`` tells what came in, and when.
"""

from __future__ import annotations

import http.client
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from urllib.parse import parse_qs, unquote, urlsplit

from tests.servers import S3Server


@dataclass
class Request:
    """What came in.

    Attributes:
        operation: the S3 operation, as Amazon's manual names it; empty if it is none that we know.
        path: with the query.
        began, ended: by ``time.monotonic``; ``ended`` is 0 until the answer has been sent.
    """

    operation: str
    method: str
    path: str
    headers: dict[str, str]
    body: bytes = field(repr=False)
    began: float = 0.0
    ended: float = 0.0

    @property
    def key(self) -> str:
        """The key that the request names; empty if it is about the bucket."""
        return unquote(urlsplit(self.path).path).lstrip("/").partition("/")[2]

    @property
    def part_number(self) -> int:
        """Of UploadPart."""
        return int(parse_qs(urlsplit(self.path).query)["partNumber"][0])


@dataclass
class Answer:
    """What goes out.

    Attributes:
        cut: send only so many bytes of the body, and break the connection then.
        pause: seconds before every single byte, those of the head included.
        endless: sent again and again behind the body, whose length is not announced.
    """

    status: int
    headers: dict[str, str]
    body: bytes = field(repr=False)
    cut: int | None = None
    pause: float = 0.0
    endless: bytes = field(default=b"", repr=False)


Forward = Callable[[Request], Answer]
Action = Callable[[Request, Forward], "Answer | None"]
"""What to do with a request; ``forward`` asks the real server. None breaks the connection without an answer."""


@dataclass
class Fault:
    """A rule.

    Attributes:
        operation: such as ``UploadPart``; a regular expression that must match the whole name.
        action: one of the functions below, or a test's own.
        nth: the numbers of the matching requests to which it applies, from 1; None is all of them.
        key: a regular expression that must match the whole key.
    """

    operation: str
    action: Action
    nth: int | Collection[int] | None = None
    key: str = ".*"
    count: int = 0

    def applies(self, request: Request) -> bool:
        """Count the request, and tell whether this is the one."""
        if not (re.fullmatch(self.operation, request.operation) and re.fullmatch(self.key, request.key, re.DOTALL)):
            return False
        self.count += 1
        if self.nth is None:
            return True
        return self.count in ({self.nth} if isinstance(self.nth, int) else self.nth)


def answer(status: int, code: str, *, after: bool = False) -> Action:
    """Answer with an S3 error; ``after`` the real server has done what it was asked for."""

    def act(request: Request, forward: Forward) -> Answer:
        if after:
            forward(request)
        text = f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>injected</Message></Error>'
        headers = {"Content-Type": "application/xml"}
        return Answer(status, headers, b"" if request.method == "HEAD" else text.encode())

    return act


def reset(*, after: bool = False) -> Action:
    """Break the connection without an answer; ``after`` the real server has done what it was asked for."""

    def act(request: Request, forward: Forward) -> None:
        if after:
            forward(request)

    return act


def stall(seconds: float) -> Action:
    """Let the client wait, then break the connection."""

    def act(_request: Request, _forward: Forward) -> None:
        time.sleep(seconds)

    return act


def delay(seconds: float) -> Action:
    """Let the client wait, then answer well."""

    def act(request: Request, forward: Forward) -> Answer:
        time.sleep(seconds)
        return forward(request)

    return act


def without_range(request: Request, forward: Forward) -> Answer:
    """Have the whole object be given; a server that looks at signatures refuses that."""
    headers = {name: value for name, value in request.headers.items() if name.lower() != "range"}
    return forward(replace(request, headers=headers))


def cut_answer(length: int) -> Action:
    """Break the connection after so many bytes of the answer's body."""

    def act(request: Request, forward: Forward) -> Answer:
        return replace(forward(request), cut=length)

    return act


def change_answer(change: Callable[[Answer], Answer]) -> Action:
    """Let the real server act, and tell the client something else."""

    def act(request: Request, forward: Forward) -> Answer:
        return change(forward(request))

    return act


def change_body(change: Callable[[bytes], bytes]) -> Action:
    """Pass another body on than the client sent. The signature does not cover it, so this is for moto only."""

    def act(request: Request, forward: Forward) -> Answer:
        return forward(replace(request, body=change(request.body)))

    return act


def drop_last_part(body: bytes) -> bytes:
    """For ``change_body``: a completion that forgets a part, so that success is reported for a shorter object."""
    return re.sub(rb"<Part>(?:(?!<Part>).)*</Part>(?=</CompleteMultipartUpload>)", b"", body, flags=re.DOTALL)


class FaultyS3:
    """The proxy; a context manager.

    Attributes:
        server: the real server as seen through the proxy: take settings and clients from it.
        seen: every request, in the order in which they came in whole.
        away: while True, every connection is broken at once, as if the network were away.
        bytes_per_second: at which bodies are taken; 0 is as fast as they come.
    """

    def __init__(self, server: S3Server) -> None:
        self._upstream = urlsplit(server.endpoint).netloc
        self._rules: list[Fault] = []
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._under_way = 0
        self._http = _Server(("127.0.0.1", 0), self)
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05})
        self.server = server.behind(f"http://127.0.0.1:{self._http.server_address[1]}")
        self.seen: list[Request] = []
        self.away = False
        self.bytes_per_second = 0

    def __enter__(self) -> FaultyS3:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def add(self, *faults: Fault) -> None:
        """Obey these rules from now on; where several apply the first acts."""
        with self._lock:
            self._rules.extend(faults)

    def clear(self) -> None:
        """Have no faults any more."""
        with self._lock:
            self._rules.clear()

    def operations(self) -> list[str]:
        """The names of all operations seen."""
        return [request.operation for request in self.seen]

    def wait_until_idle(self, seconds: float = 60) -> None:
        """Wait for the real server to have done what it was asked for, also by a client that is gone."""
        with self._idle:
            assert self._idle.wait_for(lambda: not self._under_way, seconds), "the server is still at work"

    def handle(self, request: Request) -> Answer | None:
        """Answer one request as the rules say."""
        with self._lock:
            self._under_way += 1
            self.seen.append(request)
            rules = [rule for rule in self._rules if rule.applies(request)]
        try:
            return rules[0].action(request, self._forward) if rules else self._forward(request)
        finally:
            request.ended = time.monotonic()
            with self._idle:
                self._under_way -= 1
                self._idle.notify_all()

    def _forward(self, request: Request) -> Answer:
        connection = http.client.HTTPConnection(self._upstream, timeout=120)
        try:
            connection.putrequest(request.method, request.path, skip_host=True, skip_accept_encoding=True)
            for name, value in request.headers.items():
                if name.lower() not in {"content-length", "expect", "connection"}:
                    connection.putheader(name, value)
            connection.putheader("Content-Length", str(len(request.body)))
            connection.endheaders(request.body)
            response = connection.getresponse()
            return Answer(response.status, dict(response.getheaders()), response.read())
        finally:
            connection.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], proxy: FaultyS3) -> None:
        super().__init__(address, _Handler)
        self.proxy = proxy

    def handle_error(self, *_arguments: object) -> None:
        """Say nothing: clients that break connections are what these tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    timeout = 120

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""

    def _serve(self) -> None:
        if self.server.proxy.away:
            self._break()
            return
        began = time.monotonic()
        body = self._receive(int(self.headers.get("Content-Length", 0)))
        operation = operation_of(self.command, self.path)
        request = Request(operation, self.command, self.path, dict(self.headers.items()), body, began)
        reply = self.server.proxy.handle(request)
        if reply is None or self.server.proxy.away:
            self._break()
            return
        self._send(reply)

    def do_GET(self) -> None:
        self._serve()

    def do_HEAD(self) -> None:
        self._serve()

    def do_PUT(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_DELETE(self) -> None:
        self._serve()

    def _receive(self, length: int) -> bytes:
        speed = self.server.proxy.bytes_per_second
        if not speed:
            return self.rfile.read(length)
        body = bytearray()
        while len(body) < length:
            body += self.rfile.read(min(65_536, length - len(body)))
            time.sleep(65_536 / speed)
        return bytes(body)

    def _send(self, reply: Answer) -> None:
        self.send_response_only(reply.status)
        length = str(len(reply.body))
        for name, value in reply.headers.items():
            if name.lower() == "content-length" and self.command == "HEAD":
                length = value
            elif name.lower() not in {"content-length", "transfer-encoding", "connection"}:
                self.send_header(name, value)
        if reply.endless:
            self.send_header("Connection", "close")
        else:
            self.send_header("Content-Length", length)
        self._send_body(reply)
        if reply.cut is not None and reply.cut < len(reply.body):
            self.close_connection = True

    def _send_body(self, reply: Answer) -> None:
        if reply.pause:
            # What the base class has gathered of the head drips as well.
            gathered: list[bytes] = vars(self)["_headers_buffer"]
            head = b"".join(gathered) + b"\r\n"
            gathered.clear()
            for byte in head + reply.body[: reply.cut]:
                time.sleep(reply.pause)
                self.wfile.write(bytes([byte]))
            return
        self.end_headers()
        self.wfile.write(reply.body[: reply.cut])
        while reply.endless:
            self.wfile.write(reply.endless)

    def _break(self) -> None:
        """Close with a reset instead of an orderly end."""
        self.close_connection = True
        with suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()


_ABOUT_A_BUCKET = {
    "uploads": {"GET": "ListMultipartUploads"},
    "versions": {"GET": "ListObjectVersions"},
    "versioning": {"GET": "GetBucketVersioning", "PUT": "PutBucketVersioning"},
    "lifecycle": {"GET": "GetBucketLifecycleConfiguration", "PUT": "PutBucketLifecycleConfiguration"},
    "object-lock": {"GET": "GetObjectLockConfiguration"},
    "policy": {"PUT": "PutBucketPolicy"},
}


def operation_of(method: str, path: str) -> str:
    """The S3 operation that a request is, as Amazon's manual names it; empty if it is none that we know."""
    parts = urlsplit(path)
    query = parse_qs(parts.query, keep_blank_values=True)
    about_object = "/" in parts.path.strip("/")
    if about_object:
        if "uploadId" in query or "uploads" in query:
            by_method = {"PUT": "UploadPart", "DELETE": "AbortMultipartUpload", "GET": "ListParts"}
            by_method["POST"] = "CreateMultipartUpload" if "uploads" in query else "CompleteMultipartUpload"
        elif "retention" in query:
            by_method = {"PUT": "PutObjectRetention"}
        else:
            by_method = {"PUT": "PutObject", "GET": "GetObject", "HEAD": "HeadObject", "DELETE": "DeleteObject"}
    elif asked := _ABOUT_A_BUCKET.keys() & query.keys():
        by_method = _ABOUT_A_BUCKET[asked.pop()]
    else:
        by_method = {"GET": "ListObjectsV2", "PUT": "CreateBucket", "HEAD": "HeadBucket"}
    return by_method.get(method, "")
