"""Fixtures of these tests."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from tests.backup.listening import Listener


@pytest.fixture
def listener() -> Iterator[Listener]:
    with Listener() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()
