"""A bucket behind a faulty proxy, for tests of the S3 store."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

from s3napback.config.settings import Credentials
from s3napback.stores.parts import PartLimits
from s3napback.stores.s3 import S3Store
from s3napback.stores.waiting import IMPATIENT, Waiting
from tests.faulty_s3 import FaultyS3
from tests.servers import ACCESS_KEY, SECRET_KEY, S3Server
from tests.stores.sources import BytesSource
from tests.stores.test_conformance import PART, SMALL, content, metadata

TINY = PartLimits(smallest=1, largest=10_000, most=9, comfortable=3, step=2, rounding=1)
CREDENTIALS = Credentials(ACCESS_KEY, SECRET_KEY)


class S3Bench:
    """A bucket behind a faulty proxy, with an old object in it, and a store that soon gives up."""

    def __init__(self, server: S3Server, proxy: FaultyS3) -> None:
        self.server = server
        self.proxy = proxy
        self.bucket = server.make_bucket()
        self.waiting: Waiting | None = None
        self.settings = proxy.server.settings(self.bucket, chunk_size=PART, upload_threads=2)
        self.store = self.open()
        self.old = self.store.put("k", BytesSource(SMALL), metadata("old"))
        proxy.seen.clear()

    def open(self, *, limits: PartLimits | None = None, outage_seconds: float = 0, **settings: Any) -> S3Store:
        changed = replace(self.settings, **settings)
        waiting = replace(IMPATIENT, outage_seconds=outage_seconds, completion_seconds=outage_seconds)
        return S3Store(
            changed, CREDENTIALS, limits=limits, waiting=(self.waiting or waiting).within(changed.stall_timeout)
        )

    def assert_nothing_changed(self) -> None:
        self.proxy.clear()
        self.proxy.away = False
        assert self.store.head("k") == self.old
        assert content(self.store, "k") == SMALL
        assert self.server.unfinished_uploads(self.bucket) == []
        assert not any(thread.name.startswith("upload") for thread in threading.enumerate())

    def assert_replaced_by(self, data: bytes) -> None:
        self.proxy.clear()
        found = self.store.head("k")
        assert found is not None
        assert found.metadata == metadata("new")
        assert content(self.store, "k") == data
        assert self.server.unfinished_uploads(self.bucket) == []
