"""Random trees on targets that refuse: all else is there, and what is told is what is missing, path by path."""

from __future__ import annotations

import os
import random
import shutil
import stat
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from s3napback.commands import backup
from s3napback.config.loading import load_configuration
from s3napback.deciding.facts import BackupOptions
from s3napback.formatting import printable, shortened
from s3napback.recovery.refusals import Incomplete
from tests.recovery.helpers import leftovers, restore_here
from tests.site import FIRST_DAY, Site
from tests.sources.trees import Entry, RandomTree, describe_tree, tree_differences

NIGHTS = 4


def change(source: Path, chooser: random.Random) -> None:
    """Other owners, attributes and kinds for some of what is there."""
    paths = sorted(path for path in source.rglob("*"))
    for path in chooser.sample(paths, 6):
        os.lchown(path, chooser.choice((0, 5)), chooser.choice((0, 6)))
    for path in chooser.sample([path for path in paths if path.is_file() and not path.is_symlink()], 2):
        os.setxattr(path, "user.colour", b"green")
    subprocess.run(
        ["setfacl", "-m", "u:7:r", str(chooser.choice([path for path in paths if path.is_dir()]))], check=True
    )
    make: list[Callable[[Path], object]] = [Path.mkdir, Path.touch, os.mkfifo, lambda path: path.symlink_to("nowhere")]
    make.append(lambda path: os.mknod(path, 0o20600, os.makedev(1, 3)))
    for number in range(4):
        path = source / f"of changing kind {number}"
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
        chooser.choice(make)(path)


def backed_up(site: Site, seed: int) -> dict[str, Entry]:
    """Some nights of a changing tree; returns what it was like in the last one."""
    site.configure_cycle("Diffs 6\nCompression none")
    chooser, tree = random.Random(seed), RandomTree(site.source, seed)
    for night in range(NIGHTS):
        tree.edit(10)
        tree.move_directories(1)
        change(site.source, chooser)
        day = FIRST_DAY + timedelta(days=night)
        assert not backup.run(load_configuration(site.configuration), day, BackupOptions()).failed
    return describe_tree(site.source)


def assert_told(told: set[str], names: set[str], top: Path, state: dict[str, Entry]) -> None:
    """Each of some names is told, or another name of the same file; and nothing else."""
    shown = {shortened(printable(str(top / name))) for name in names}
    assert told <= shown
    for name in names:
        same = (name, *state[name].linked_with)
        assert told & {shortened(printable(str(top / each))) for each in same}, name


def missing(site: Site, where: Path) -> set[str]:
    """Restore; returns the paths, in the source, that were told."""
    day = date(2027, 1, 1).isoformat()
    with pytest.raises(Incomplete) as caught:
        restore_here(site, str(site.source), where, at=day)
    return {str(line)[2:] for line in caught.value.args if str(line).startswith(f"  {where}")}


@pytest.mark.parametrize("seed", [1, 2])
def test_a_target_without_attributes(site: Site, tmp_path: Path, seed: int) -> None:
    state = backed_up(site, seed)
    where = tmp_path / "ramfs"
    where.mkdir()
    subprocess.run(["mount", "-t", "ramfs", "ramfs", str(where)], check=True)
    try:
        told = missing(site, where / "out")
        found = describe_tree(where / "out" / site.name(), hard_links=False)
    finally:
        subprocess.run(["umount", str(where)], check=True)
    expected = {name: replace(entry, attributes=(), linked_with=()) for name, entry in state.items()}
    assert not tree_differences(expected, found)
    assert_told(told, {name for name, entry in state.items() if entry.attributes}, where / "out" / site.name(), state)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_target_without_owners(site: Site, tmp_path: Path, seed: int) -> None:
    state = backed_up(site, seed)
    for name in ("below", "nas"):
        (tmp_path / name).mkdir()
    subprocess.run(["bindfs", "--chown-deny", str(tmp_path / "below"), str(tmp_path / "nas")], check=True)
    try:
        told = missing(site, tmp_path / "nas/out")
    finally:
        subprocess.run(["umount", str(tmp_path / "nas")], check=True)
    found = describe_tree(tmp_path / "below/out" / site.name(), hard_links=False)
    strangers = {name for name, entry in state.items() if (entry.owner, entry.group) != (0, 0)}
    expected = {name: replace(entry, linked_with=()) for name, entry in state.items()}
    for name in strangers:
        mode = state[name].mode
        expected[name] = replace(expected[name], owner=0, group=0, mode=mode & ~0o6000 if stat.S_ISREG(mode) else mode)
    assert not tree_differences(expected, found)
    assert_told(told, strangers, tmp_path / "nas/out" / site.name(), state)
    assert not leftovers(tmp_path / "below")
