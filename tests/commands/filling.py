"""What tests of ``list`` and ``prune`` share: a store is filled by real nights, or past the command line."""

from __future__ import annotations

from collections.abc import Mapping

from tests.site import Site
from tests.stores.sources import BytesSource

CYCLE = "Diffs 2\nFulls 2"


def nights(site: Site, count: int, *, first: int = 0) -> None:
    """Back up a source that gains a file every day."""
    for night in range(first, first + count):
        (site.source / f"night-{night}").write_text(str(night))
        site.run(day=night)


def put(site: Site, key: str, metadata: Mapping[str, str] | None = None, data: bytes = b"x") -> None:
    """Write an object past the command line."""
    site.store().put(key, BytesSource(data), metadata or {})
