"""A listener for pings."""

from __future__ import annotations

import time
from http.server import BaseHTTPRequestHandler, HTTPServer


class Listener(HTTPServer):
    """Takes pings, and keeps what they ask for and carry; answers with ``status``, after ``delay`` seconds."""

    status = 200
    delay = 0.0

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.taken: list[tuple[str, str, bytes]] = []
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: Listener

    def _take(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked.append(self.path)
        self.server.taken.append((self.command, self.path.partition("?")[0], body))
        time.sleep(self.server.delay)
        self.send_response(self.server.status)
        self.end_headers()

    do_GET = do_POST = _take  # noqa: N815 - as http.server calls them

    def log_message(self, *_arguments: object) -> None:
        pass
