"""A process that may have few files open sees what there is, or says why it does not: it takes nothing for gone."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from s3napback.index.tags import CACHE_TAG, has_tag
from s3napback.recovery.folders import cursor
from s3napback.recovery.new_names import _entered
from s3napback.scarcity import Scarcity, require_means
from s3napback.sources.live_tree import LiveTree
from tests.descriptors import descriptors_left
from tests.site import Site
from tests.sources.indexed_chain import blind_chain
from tests.sources.trees import assert_same_tree

LEVELS = 60
FEW = 40
"""As many as a command needs, and fewer than folders lie in each other."""


def deep(root: Path, text: str) -> list[Path]:
    files = [root.joinpath(*map(str, range(depth)), "file") for depth in range(LEVELS)]
    for file in files:
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        os.utime(file, (0, 0))
    return files


def with_few_files(site: Site, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["prlimit", f"--nofile={FEW}", *site.command(*arguments)],
        env=site.full_environment(),
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_deep_tree_is_compared_and_restored_whole_and_nothing_is_left_over(site: Site, tmp_path: Path) -> None:
    files = deep(site.source, "old")
    site.configure_cycle("Diffs 2")
    site.run(day=0)
    files[-1].write_text("new")
    site.run(day=1)
    done = with_few_files(site, "verify", "--compare")
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 differences" in done.stdout
    where = tmp_path / "where"
    done = with_few_files(site, "restore", str(site.source), "--to", str(where))
    assert done.returncode == 0, done.stderr
    assert_same_tree(site.source, where / site.name())
    assert len(list(where.iterdir())) == 1


def test_a_diff_holds_what_no_time_tells_of_at_any_depth(tmp_path: Path) -> None:
    root = tmp_path / "tree"
    root.mkdir()
    files = deep(root, "old")
    chain = blind_chain(root, tmp_path)
    chain.back_up()
    for file in files:
        file.write_text("of another size")
        os.utime(file, (0, 0))
    with descriptors_left(FEW):
        taken = chain.back_up()
    assert not chain.warnings
    assert sorted(taken) == sorted(str(file.relative_to(root)) for file in files)
    assert_same_tree(root, chain.replay(tmp_path / "replayed"))


def _of_a_tree(root: Path) -> object:
    with LiveTree(str(root), 0) as tree, descriptors_left(0):
        return tree.folder(b"0")


def _of_a_tag(root: Path) -> object:
    folder = os.open(root, os.O_RDONLY)
    try:
        with descriptors_left(0):
            return has_tag(b"0", folder, [CACHE_TAG], follows=False)
    finally:
        os.close(folder)


def _of_a_new_folder(root: Path) -> object:
    folder = os.open(root, os.O_RDONLY)
    try:
        with cursor(folder) as place, descriptors_left(0):
            return _entered(place, "0")
    finally:
        os.close(folder)


@pytest.mark.parametrize("look", [_of_a_tree, _of_a_tag, _of_a_new_folder])
def test_what_cannot_be_opened_for_want_of_files_is_not_taken_for_something_else(
    tmp_path: Path, look: Callable[[Path], object]
) -> None:
    deep(tmp_path, "text")
    with pytest.raises(Scarcity, match="no more open files can be had"):
        look(tmp_path)


def _is_a_fact(error: OSError) -> bool:
    require_means(error)
    return True


@pytest.mark.parametrize("number", [errno.ENOENT, errno.EIO, errno.EACCES, errno.ENOSPC])
def test_other_errors_are_of_what_was_looked_at(number: int) -> None:
    assert _is_a_fact(OSError(number, os.strerror(number)))
