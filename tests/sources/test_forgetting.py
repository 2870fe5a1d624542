"""A snapshot that has forgotten something makes the next DIFF take it; by real tar."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from s3napback.errors import SourceError
from s3napback.sources.forgetting import forget
from tests.sources.chains import NightlyChain, directory_source, member_names
from tests.sources.trees import RandomTree, assert_same_tree


@pytest.fixture(params=["directory", "link"])
def source(request: pytest.FixtureRequest, tree: Path, linked: Path) -> Path:
    return tree if request.param == "directory" else linked


def relative(source: Path, name: str) -> bytes:
    return os.fsencode(f"{source}/{name}".lstrip("/"))


def files_in(archive: Path, source: Path) -> set[str]:
    names = {os.path.normpath(name) for name in member_names(archive)}
    start = f"{source}/".lstrip("/")
    return {name.removeprefix(start) for name in names if (source / name.removeprefix(start)).is_file()}


@pytest.fixture
def chain(source: Path, tmp_path: Path) -> NightlyChain:
    chain = NightlyChain(directory_source(source), tmp_path / "work")
    chain.backup()
    return chain


def test_a_file_is_taken_again_and_nothing_else(chain: NightlyChain, source: Path, tmp_path: Path) -> None:
    forget(tmp_path / "work/kept.snapshot", {relative(source, "src/deep/er/lib.o"), relative(source, "gone")})
    assert files_in(chain.backup(), source) == {"src/deep/er/lib.o"}
    assert files_in(chain.backup(), source) == set()
    assert_same_tree(source.resolve(), chain.replay(tmp_path / "out"))


def test_a_directory_is_taken_again_with_all_below_it(chain: NightlyChain, source: Path, tmp_path: Path) -> None:
    forget(tmp_path / "work/kept.snapshot", {relative(source, "home/foobar")})
    assert files_in(chain.backup(), source) == {"home/foobar/wumpus/den", "home/foobar/other"}
    assert_same_tree(source.resolve(), chain.replay(tmp_path / "out"))


def test_a_file_directly_in_the_source(chain: NightlyChain, source: Path, tmp_path: Path) -> None:
    (source / "top").write_text("top")
    chain.backup()
    forget(tmp_path / "work/kept.snapshot", {relative(source, "top")})
    assert files_in(chain.backup(), source) == {"top"}


def test_everything(chain: NightlyChain, source: Path, tmp_path: Path) -> None:
    before = files_in(chain.archives[0], source)
    shutil.rmtree(source / "src")
    forget(tmp_path / "work/kept.snapshot", None)
    assert files_in(chain.backup(), source) == {name for name in before if not name.startswith("src/")}
    assert_same_tree(source.resolve(), chain.replay(tmp_path / "out"))


@pytest.mark.usefixtures("chain")
def test_nothing_leaves_the_snapshot_alone(tmp_path: Path) -> None:
    snapshot = tmp_path / "work/kept.snapshot"
    before, content = snapshot.stat(), snapshot.read_bytes()
    forget(snapshot, set())
    assert snapshot.read_bytes() == content
    assert (snapshot.stat().st_ino, snapshot.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    forget(tmp_path / "none", set())
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("seed", range(4))
def test_chains_that_forget_at_random_come_back_whole(tmp_path: Path, seed: int) -> None:
    tree = RandomTree(tmp_path / "tree", seed, size=60)
    chain = NightlyChain(directory_source(tree.root), tmp_path / "work")
    for _night in range(4):
        chain.backup()
        some = sorted(tree.root.rglob("*"))[:: 3 + seed]
        forget(tmp_path / "work/kept.snapshot", {relative(path.parent, path.name) for path in some})
        tree.edit(8)
        tree.move_directories(1)
    chain.backup()
    assert_same_tree(tree.root, chain.replay(tmp_path / "out"), hard_links=False)


@pytest.mark.parametrize("spoil", [lambda data: data[:-1], lambda data: data[:-2] + b"x\0", lambda data: b"x" + data])
def test_a_damaged_snapshot_is_an_error_and_stays(
    chain: NightlyChain, source: Path, tmp_path: Path, spoil: Callable[[bytes], bytes]
) -> None:
    kept = tmp_path / "work/kept.snapshot"
    spoilt = spoil(kept.read_bytes())
    kept.write_bytes(spoilt)
    with pytest.raises(SourceError, match=r"kept\.snapshot cannot be rewritten"):
        forget(kept, {relative(source, "src")})
    assert kept.read_bytes() == spoilt
