"""What is listed of a day is what a restore of that day brings; with indexes, and without."""

from __future__ import annotations

from pathlib import Path

import pytest

from s3napback.catalogue.indexes import is_index_key
from tests.browsing.looking import listed, seen, tree_as_seen
from tests.recovery.simulation import Weeks
from tests.site import Site

pytestmark = pytest.mark.long(20)


def without_indexes(site: Site, number: int) -> None:
    """Every so manieth index is lost."""
    keys = [found.key for found in site.store().list("") if is_index_key(found.key)]
    for place, key in enumerate(keys):
        if place % number == 0:
            site.store().delete(key)


@pytest.mark.parametrize(("kind", "seed"), [("", 21), ("", 22), ("quiet", 23), ("quiet", 24)])
def test_each_day_is_listed_as_it_is_restored(tmp_path: Path, kind: str, seed: int) -> None:
    weeks = Weeks(Site(tmp_path / "site"), seed, is_quiet=bool(kind))
    weeks.pass_by(9)
    restored = {}
    for number, key in enumerate(weeks.restorable()):
        restored[key] = tree_as_seen(weeks.restore(tmp_path / f"out-{number}", at=key))
    for lost in (0, 2, 1):
        if lost:
            without_indexes(weeks.site, lost)
        for key, expected in restored.items():
            assert seen(listed(weeks.site, key), weeks.site.source) == expected
