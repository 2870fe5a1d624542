"""``prune`` looks whether what it has deleted is gone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.commands.filling import CYCLE
from tests.commands.test_prune import LATER, old_and_new
from tests.faulty_s3 import Answer, Fault, FaultyS3
from tests.servers import S3Server
from tests.site import Site

Lying = tuple[Site, FaultyS3, list[str]]


@pytest.fixture
def lying(tmp_path: Path, rclone: S3Server, faulty: Callable[[S3Server], FaultyS3]) -> Lying:
    """A site, what stands between it and its store, and the keys that can go."""
    proxy = faulty(rclone)
    site = Site(tmp_path / "site", proxy.server, rclone.make_bucket())
    site.configure_cycle(CYCLE)
    return site, proxy, old_and_new(site)


def test_what_stays_although_the_store_reports_success_is_not_said_to_be_deleted(lying: Lying) -> None:
    site, proxy, going = lying
    proxy.add(Fault("DeleteObject", lambda *_others: Answer(204, {}, b""), key=f"{site.name()}-7-DIFF.*"))
    done = site.run("prune", "--yes", day=LATER, expect=1)
    assert f"/{site.name()}-7-DIFF failed: the store reported success, but it is still there" in done.stderr
    assert f"deleted       {site.name()}-7-DIFF" not in done.stdout
    assert "deleted 2 archives" in done.stdout
    # What is needed to prove it, and what it builds on, stay with it.
    left = [f"{site.name()}-{end}" for end in ("6-FULL", "7-DIFF")]
    assert [key for key in site.archive_keys() if key in going] == left
    assert {f"{key}.sha256" for key in left} <= set(site.archive_keys(sums=True))


def test_what_a_store_shows_as_deleted_a_moment_later_is_deleted(lying: Lying) -> None:
    site, proxy, going = lying
    stale = Answer(200, {"Content-Length": "1000", "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"}, b"")
    last = f"{site.name()}-7-DIFF"
    # The first look of the catalogue, that of prune before it deletes, and this one afterwards.
    proxy.add(Fault("HeadObject", lambda *_others: stale, nth=3, key=last))
    assert "deleted 4 archives" in site.run("prune", "--yes", day=LATER).stdout
    assert not set(going) & set(site.archive_keys())
