"""Of millions of objects that a listing tells of, each is small."""

from __future__ import annotations

from datetime import timezone

from s3napback.stores.s3 import S3Store
from tests.benchmarks.slow_store import slow_store
from tests.stores.sources import BytesSource


def test_all_moments_that_a_bucket_tells_are_in_one_zone_object() -> None:
    with slow_store(0) as server:
        store = S3Store(server.settings("bucket"), server.credentials)
        for number in range(2):
            store.put(f"etc-{number}-FULL", BytesSource(b"x"), {"s3napback-id": f"{number}"})
        listed = list(store.list(""))
        looked_at = [store.head(found.key) for found in listed]
    assert len(listed) == 2
    assert all(found and found.modified.tzinfo is timezone.utc for found in (*listed, *looked_at))
