"""Weeks of random edits and random settings, and then every day that can be restored, byte for byte."""

from __future__ import annotations

import random
import stat
from pathlib import Path

import pytest

from s3napback.rotation import day_date
from tests.recovery.simulation import Weeks, below
from tests.servers import S3Server
from tests.site import Site
from tests.sources.trees import describe_tree, tree_differences

NIGHTS = 16


@pytest.fixture(params=[("directory", 1), ("directory", 2), ("directory", 3), ("rclone", 4), ("rclone", 5)], ids=str)
def weeks(request: pytest.FixtureRequest, tmp_path: Path, rclone: S3Server) -> Weeks:
    kind, seed = request.param
    made = Weeks(Site(tmp_path / "site", rclone if kind == "rclone" else None), seed)
    made.pass_by(NIGHTS)
    return made


def test_every_archive_that_is_listed_as_restorable_gives_the_tree_of_its_day(weeks: Weeks, tmp_path: Path) -> None:
    archives = weeks.archives()
    assert len(archives) > 3
    newest_of_day = {}
    for number, archive in enumerate(sorted(archives, key=lambda each: (each.record.started, each.record.day))):
        restored = weeks.restore(tmp_path / f"by-key-{number}", at=archive.key)
        expected = weeks.states[archive.record.id]
        assert not tree_differences(expected, describe_tree(restored, hard_links=False))
        newest_of_day[archive.record.day] = expected
    for day, expected in newest_of_day.items():
        restored = weeks.restore(tmp_path / f"by-day-{day}", at=day_date(day).isoformat())
        assert not tree_differences(expected, describe_tree(restored, hard_links=False))


def test_a_single_path_comes_back_as_it_was_and_nothing_else_does(weeks: Weeks, tmp_path: Path) -> None:
    chooser = random.Random(weeks.seed)
    for number, archive in enumerate(weeks.archives()):
        state = weeks.states[archive.record.id]
        directories = [name for name, entry in state.items() if stat.S_ISDIR(entry.mode) and name != "."]
        others = [name for name, entry in state.items() if not stat.S_ISDIR(entry.mode)]
        for name in (chooser.choice(directories), chooser.choice(others)):
            where = tmp_path / f"path-{number}-{directories.count(name)}"
            restored = weeks.restore(where, at=archive.key, paths=[str(weeks.site.source / name)])
            if name in directories:
                found = describe_tree(restored / name, hard_links=False)
                assert not tree_differences(below(state, name), found)
            else:
                found = describe_tree(restored, hard_links=False)
                assert found[name] == state[name]
            files = {
                path.relative_to(restored) for path in restored.rglob("*") if path.is_symlink() or not path.is_dir()
            }
            assert all(str(path) == name or str(path).startswith(f"{name}/") for path in files)
