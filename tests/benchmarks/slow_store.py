"""An S3 server that answers every request late and otherwise costs next to nothing: it forgets the bytes it is sent.

A real server on the same two processors would need more of them than the upload that is measured, and hide how well
that one uses the time in which it waits.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from email.utils import formatdate
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, quote, unquote, urlsplit

from tests.faulty_s3 import operation_of
from tests.servers import S3Server

_BLOCK = 1 << 20
_PAGE = 1_000
_numbers = itertools.count(1)


@dataclass
class _Object:
    """What is remembered of an object, or of an upload that is under way."""

    metadata: dict[str, str]
    parts: dict[int, int] = field(default_factory=dict)
    tag: str = field(default_factory=lambda: f'"{next(_numbers):x}"')
    modified: float = field(default_factory=time.time)

    @property
    def size(self) -> int:
        return sum(self.parts.values())


@dataclass
class Pace:
    """How late answers come, while the server runs.

    Attributes:
        seconds: that each takes.
    """

    seconds: float = 0.0


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, pace: Pace, seen: list[str]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.pace = pace
        self.seen = seen
        self.objects: dict[str, _Object] = {}
        self.uploads: dict[str, _Object] = {}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        listed = [] if "uploads" in self._query else sorted(self.server.objects.items())
        prefix = f"{self._path}/{self._query.get('prefix', [''])[0]}"
        begin = int(self._query.get("continuation-token", ["0"])[0])
        found = [(path, each) for path, each in listed if path.startswith(prefix)]
        more = begin + _PAGE < len(found)
        token = f"<NextContinuationToken>{begin + _PAGE}</NextContinuationToken>" * more
        entries = "".join(_entry(path, each) for path, each in found[begin : begin + _PAGE])
        head = f"<EncodingType>url</EncodingType><IsTruncated>{str(more).lower()}</IsTruncated>{token}"
        self._answer(body=f"<Result>{head}{entries}</Result>")

    def do_HEAD(self) -> None:
        found = self.server.objects.get(self._path)
        if found is None:
            self._answer(404)
        else:
            modified = formatdate(found.modified, usegmt=True)
            self._answer(length=found.size, headers={"Last-Modified": modified, "ETag": found.tag, **found.metadata})

    def do_PUT(self) -> None:
        length = self._drain()
        if "uploadId" in self._query:
            self.server.uploads[self._path].parts[int(self._query["partNumber"][0])] = length
        else:
            self.server.objects[self._path] = _Object(self._metadata, {1: length})
        self._answer()

    def do_POST(self) -> None:
        self._drain()
        if "uploads" in self._query:
            self.server.uploads[self._path] = _Object(self._metadata)
        else:
            self.server.objects[self._path] = self.server.uploads.pop(self._path)
        self._answer(body="<Result><UploadId>upload</UploadId><ETag>tag</ETag></Result>")

    def do_DELETE(self) -> None:
        self.server.uploads.pop(self._path, None)
        self._answer(204)

    @property
    def _path(self) -> str:
        return unquote(urlsplit(self.path).path)

    @property
    def _query(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.path).query, keep_blank_values=True)

    @property
    def _metadata(self) -> dict[str, str]:
        return {name: value for name, value in self.headers.items() if name.lower().startswith("x-amz-meta-")}

    def _drain(self) -> int:
        length = int(self.headers.get("Content-Length", 0))
        buffer = memoryview(bytearray(min(length, _BLOCK)))
        left = length
        while left:
            count = self.rfile.readinto(buffer[:left])
            if not count:
                raise ConnectionError("the request ended early")
            left -= count
        return length

    def _answer(
        self, status: int = 200, *, body: str = "", length: int | None = None, headers: dict[str, str] | None = None
    ) -> None:
        self.server.seen.append(operation_of(self.command, self.path))
        time.sleep(self.server.pace.seconds)
        self.send_response_only(status)
        for name, value in {"ETag": '"tag"', "x-amz-request-id": "1", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body.encode())


def _entry(path: str, found: _Object) -> str:
    modified = datetime.fromtimestamp(found.modified, timezone.utc).isoformat(timespec="milliseconds")
    key = quote(path.lstrip("/").partition("/")[2])
    return (
        f"<Contents><Key>{key}</Key><LastModified>{modified.replace('+00:00', 'Z')}</LastModified>"
        f"<ETag>{escape(found.tag)}</ETag><Size>{found.size}</Size></Contents>"
    )


@contextmanager
def slow_store(pace: float | Pace, seen: list[str] | None = None) -> Iterator[S3Server]:
    """Run the server; answers come as many seconds late as ``pace`` says, and operations are added to ``seen``."""
    http = _Server(pace if isinstance(pace, Pace) else Pace(pace), [] if seen is None else seen)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield S3Server("slow", f"http://127.0.0.1:{http.server_address[1]}", 0)
    finally:
        http.shutdown()
        thread.join()
        http.server_close()
