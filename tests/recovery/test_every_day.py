"""Weeks of random edits and random settings, and then every day that can be restored, byte for byte."""

from __future__ import annotations

import random
import stat
from pathlib import Path

import pytest

from s3napback.rotation import day_date
from tests.recovery.simulation import Description, Weeks, below
from tests.servers import S3Server
from tests.site import Site
from tests.sources.trees import describe_tree, tree_differences

pytestmark = pytest.mark.long(30)

NIGHTS = 12


@pytest.mark.parametrize(
    ("kind", "seed"),
    [
        ("directory", 1),
        ("directory", 2),
        ("rclone", 4),
        ("directory", 3),
        ("quiet directory", 5),
        ("quiet directory", 6),
    ],
)
def test_every_day_that_can_be_restored_gives_its_tree_and_every_path_in_it_by_itself(
    tmp_path: Path, rclone: S3Server, kind: str, seed: int
) -> None:
    weeks = Weeks(Site(tmp_path / "site", rclone if kind == "rclone" else None), seed, is_quiet="quiet" in kind)
    weeks.pass_by(NIGHTS)
    archives = weeks.restorable()
    assert archives
    of_day = {}
    for number, (key, record) in enumerate(archives.items()):
        restored = weeks.restore(tmp_path / f"by-key-{number}", at=key)
        assert not tree_differences(weeks.states[record.id], describe_tree(restored, hard_links=False))
        of_day[record.day] = weeks.states[record.id]
    for day, expected in of_day.items():
        restored = weeks.restore(tmp_path / f"by-day-{day}", at=day_date(day).isoformat())
        assert not tree_differences(expected, describe_tree(restored, hard_links=False))
    chooser = random.Random(seed)
    for number, (key, record) in enumerate(archives.items()):
        state = weeks.states[record.id]
        folders = [name for name, entry in state.items() if stat.S_ISDIR(entry.mode) and name != "."]
        others = [name for name, entry in state.items() if not stat.S_ISDIR(entry.mode)]
        for what, names in (("folder", folders), ("file", others)):
            if names:
                assert_path_alone(weeks, key, state, chooser.choice(names), tmp_path / f"{what}-{number}")


def assert_path_alone(weeks: Weeks, key: str, state: Description, name: str, where: Path) -> None:
    """A path is restored as it was that day, and nothing else but the folders above it, as they were."""
    restored = weeks.restore(where, at=key, paths=[str(weeks.site.source / name)])
    found = describe_tree(restored, hard_links=False)
    above = {".", *("/".join(name.split("/")[:depth]) for depth in range(1, name.count("/") + 1))}
    assert not tree_differences({each: state[each] for each in above} | below(state, name), found)
