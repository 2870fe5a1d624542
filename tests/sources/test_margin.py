"""What was stored racily is archived once more: times alone cannot tell of a change that came right after."""

from __future__ import annotations

import mmap
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from s3napback.sources.margin import LEAST, margin
from tests.sources.chains import directory_source
from tests.sources.indexed_chain import BLIND, IndexedChain
from tests.sources.quiet_edits import quietly
from tests.sources.trees import assert_same_tree


@contextmanager
def mounted(image: Path, place: Path) -> Iterator[Path]:
    subprocess.run(["mount", "-o", "loop", str(image), str(place)], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def new_image(path: Path, *options: str) -> Path:
    with path.open("wb") as file:
        file.truncate(4 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", *options, str(path)], check=True, capture_output=True)
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    folder.mkdir()
    return folder


@pytest.mark.parametrize(
    ("expire", "writeback", "expected"), [("3000", "500", LEAST), ("30000", "500", 611), ("rubbish", "500", LEAST)]
)
def test_the_margin_follows_the_kernels_settings(tmp_path: Path, expire: str, writeback: str, expected: int) -> None:
    assert margin(tmp_path) == LEAST
    (tmp_path / "dirty_expire_centisecs").write_text(f"{expire}\n")
    (tmp_path / "dirty_writeback_centisecs").write_text(f"{writeback}\n")
    assert margin(tmp_path) == expected


def test_what_was_written_within_the_margin_is_taken_again_and_what_is_older_is_not(root: Path, tmp_path: Path) -> None:
    (root / "file").write_text("first")
    time.sleep(1.1)
    chain = IndexedChain(directory_source(root, margin=60), tmp_path / "work")
    chain.back_up()
    assert chain.back_up() == ["file"]
    chain.source = directory_source(root, margin=0)
    assert chain.back_up() == []


def test_a_change_in_the_second_in_which_it_was_archived(root: Path, tmp_path: Path) -> None:
    """On a file system with whole seconds."""
    with mounted(new_image(tmp_path / "image", "-I", "128"), root):
        shutil.rmtree(root / "lost+found")
        chain = IndexedChain(directory_source(root, margin=60), tmp_path / "work")
        while time.time() % 1 > 0.3:
            time.sleep(0.01)
        (root / "file").write_text("first")
        chain.back_up()
        (root / "file").write_text("other")
        chain.back_up()
        assert_same_tree(root, chain.replay(tmp_path / "out"))


def test_a_page_of_a_shared_mapping_that_is_written_again(root: Path, tmp_path: Path) -> None:
    (root / "file").write_bytes(bytes(4096))
    with (root / "file").open("r+b") as file, mmap.mmap(file.fileno(), 4096) as mapping:
        chain = IndexedChain(directory_source(root, margin=60), tmp_path / "work")
        for _ in range(10):  # on a busy machine the kernel may write the page to disk just then, which sets the time
            mapping[0] = 1
            before = (root / "file").stat().st_mtime_ns
            time.sleep(0.02)
            chain.back_up()
            mapping[0] = 2
            if (root / "file").stat().st_mtime_ns == before:
                break
        assert (root / "file").stat().st_mtime_ns == before
        chain.back_up()
        assert (chain.replay(tmp_path / "out") / "file").read_bytes()[0] == 2


def test_a_file_system_that_was_set_back_and_another_one_in_its_place(root: Path, tmp_path: Path) -> None:
    image = new_image(tmp_path / "image")
    with mounted(image, root):
        quietly(root / "file", "old state")
        quietly(root / "folder/inner", "old state")
        (root / "pair").hardlink_to(root / "file")
        quietly(root / "same", "same")
    shutil.copyfile(image, tmp_path / "before")
    chain = IndexedChain(directory_source(root, margin=BLIND), tmp_path / "work")
    with mounted(image, root):
        os.utime(quietly(root / "file", "new"), ns=(1, 1))
        shutil.rmtree(root / "folder")
        quietly(root / "folder", "a file")
        chain.back_up()
    # Not copied back over the image, which the kernel may still hold after it was unmounted.
    with mounted(tmp_path / "before", root):
        assert "same" not in chain.back_up()
        assert_same_tree(root, chain.replay(tmp_path / "out"))
        assert chain.back_up() == []
    with mounted(new_image(tmp_path / "other"), root):
        quietly(root / "file", "of another disk")
        quietly(root / "pair/inner", "of another disk")
        chain.back_up()
        assert_same_tree(root, chain.replay(tmp_path / "out"))
