"""What is told of a day is what a restore of that day brings; with indexes, and without."""

from __future__ import annotations

import itertools
import logging
import os
import random
import stat
import subprocess
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from s3napback.catalogue.indexes import is_index_key
from tests.browsing.looking import (
    Seen,
    difference_of,
    different,
    found,
    history_of,
    listed,
    seen,
    tree_as_seen,
)
from tests.recovery.simulation import Weeks
from tests.site import Site

pytestmark = pytest.mark.long(30)

Days = dict[str, dict[str, Seen]]


def without_indexes(site: Site, number: int) -> None:
    """Every so manieth index is lost."""
    keys = [found.key for found in site.store().list("") if is_index_key(found.key)]
    for place, key in enumerate(keys):
        if place % number == 0:
            site.store().delete(key)


@pytest.mark.parametrize(("kind", "seed"), [("", 21), ("quiet", 23)])
def test_what_is_told_of_each_day_is_what_is_restored(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str, seed: int
) -> None:
    weeks = Weeks(Site(tmp_path / "site"), seed, is_quiet=bool(kind))
    weeks.pass_by(9)
    days: Days = {}
    for number, key in enumerate(weeks.restorable()):
        days[key] = tree_as_seen(weeks.restore(tmp_path / f"out-{number}", at=key))
    caplog.set_level(logging.INFO)
    for lost in (0, 2, 1):
        if lost:
            without_indexes(weeks.site, lost)
        caplog.clear()
        require_same(weeks.site, days, seed)
        assert ("it has no index" in caplog.text) == bool(lost)


def require_same(site: Site, days: Days, seed: int) -> None:
    for key, expected in days.items():
        assert seen(listed(site, key), site.source) == expected
    for old, new in itertools.pairwise(days):
        assert different(site, old, new) == difference_of(days[old], days[new])
    for pattern in ("*", "name-1*", "*e*"):
        fitting = {
            key: {name: each for name, each in tree.items() if fnmatchcase(os.path.basename(name), pattern)}  # noqa: PTH119
            for key, tree in days.items()
        }
        told = found(site, pattern)
        # A folder's time is left out where versions are told.
        assert {key: without_times(tree) for key, tree in told.items()} == {
            key: without_times(tree) for key, tree in fitting.items() if tree
        }
    chooser = random.Random(seed)
    names = sorted({name for tree in days.values() for name in tree})
    for name in chooser.sample(names, 4):
        told_of = history_of(site, name)
        first = next(number for number, tree in enumerate(days.values()) if name in tree)
        assert told_of == {key: tree.get(name) for key, tree in itertools.islice(days.items(), first, None)}


def without_times(tree: dict[str, Seen]) -> dict[str, tuple[object, ...]]:
    return {name: each[:4] if stat.S_ISDIR(each[0]) else each for name, each in tree.items() if name != "."}


@pytest.mark.parametrize(("kind", "seed"), [("", 31), ("quiet", 33)])
def test_a_folder_as_tar_is_what_is_restored_of_it(tmp_path: Path, kind: str, seed: int) -> None:
    weeks = Weeks(Site(tmp_path / "site"), seed, is_quiet=bool(kind))
    weeks.pass_by(7)
    chooser = random.Random(seed)
    for number, key in enumerate(weeks.restorable()):
        expected = tree_as_seen(weeks.restore(tmp_path / f"out-{number}", at=key))
        folders = sorted(name for name, each in expected.items() if stat.S_ISDIR(each[0]))
        for place, folder in enumerate([".", *chooser.sample(folders, min(2, len(folders)))]):
            where = tmp_path / f"tar-{number}-{place}"
            where.mkdir()
            dumped = weeks.site.command("dump", "--at", key, "--", str(weeks.site.source), folder, day=None)
            dump = subprocess.run(dumped, capture_output=True, check=False)
            assert dump.returncode == 0, dump.stderr
            subprocess.run(["tar", "-xp", "--numeric-owner", "-C", str(where)], input=dump.stdout, check=True)
            below = {name: each for name, each in expected.items() if folder == "." or name.startswith(f"{folder}/")}
            found = tree_as_seen(where / weeks.site.name())
            assert {name: each for name, each in found.items() if name not in below and name != folder} == {
                name: each for name, each in found.items() if f"{folder}/".startswith(f"{name}/") and name != folder
            }
            assert {name: each for name, each in found.items() if name in below} == below
