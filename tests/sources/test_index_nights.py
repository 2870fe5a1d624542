"""Directories that are written to while they are archived, or whose file system tells no times, come back right."""

from __future__ import annotations

import itertools
import os
import random
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.sources.chains import directory_source
from tests.sources.indexed_chain import BLIND, IndexedChain, blind_chain
from tests.sources.quiet_edits import OLD, quietly
from tests.sources.trees import assert_same_tree


class Writer:
    """Something that changes a tree all the time. No file ever gets the size of another one."""

    def __init__(self, root: Path, seed: int) -> None:
        self._root = root
        self._random = random.Random(seed)
        self._sizes = itertools.count(1)
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run)
        for number in range(6):
            (root / f"{number}").mkdir(parents=True)
        for _ in range(60):
            self._write()

    def __enter__(self) -> Writer:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._ends.set()
        self._thread.join()

    def _run(self) -> None:
        kinds = (self._write, self._write, self._append, self._rename, self._unlink, self._chmod, self._link)
        while not self._ends.is_set():
            with suppress(OSError):
                self._random.choice((*kinds, self._exchange, self._second_name))()
            time.sleep(0.0005)

    def _path(self) -> Path:
        return self._root / str(self._random.randrange(6)) / f"{self._random.randrange(20)}"

    def _write(self) -> None:
        self._path().write_bytes(b"x" * next(self._sizes))

    def _append(self) -> None:
        with self._path().open("ab") as file:
            file.write(b"y" * (100_000 + next(self._sizes)))

    def _rename(self) -> None:
        self._path().rename(self._path())

    def _unlink(self) -> None:
        self._path().unlink()

    def _chmod(self) -> None:
        self._path().chmod(self._random.choice((0o600, 0o644, 0o755)))

    def _link(self) -> None:
        self._path().symlink_to(f"{next(self._sizes)}")

    def _second_name(self) -> None:
        self._path().hardlink_to(self._path())

    def _exchange(self) -> None:
        path = self._path()
        path.rename(path.with_name("away"))
        path.mkdir()
        (path / "inner").write_bytes(b"z" * next(self._sizes))
        shutil.rmtree(path)
        path.with_name("away").rename(path)


@pytest.mark.parametrize("margin", [60, BLIND])
@pytest.mark.parametrize("seed", range(2))
def test_after_three_nights_with_writers_a_quiet_one_brings_all(tmp_path: Path, margin: int, seed: int) -> None:
    root = tmp_path / "tree"
    chain = IndexedChain(directory_source(root, margin=margin), tmp_path / "work")
    with Writer(root, seed):
        for _night in range(3):
            chain.back_up()
    chain.back_up()
    assert_same_tree(root, chain.replay(tmp_path / "out", busy=3), hard_links=False)
    if margin == BLIND:
        assert chain.back_up() == []


def _moved(root: Path) -> None:
    (root / "two/name").rename(root / "two/moved")


def _moved_and_changed(root: Path) -> None:
    _moved(root)
    quietly(root / "one/name", "of another size")


def _parted(root: Path) -> None:
    (root / "two/name").unlink()
    quietly(root / "two/name", "another file by now")


def _joined(root: Path) -> None:
    (root / "alone").unlink()
    (root / "alone").hardlink_to(root / "one/name")


PAIRS: dict[str, Callable[[Path], object]] = {
    "other size": lambda root: quietly(root / "one/name", "of another size"),
    "one moved": _moved,
    "one moved, and changed": _moved_and_changed,
    "parted": _parted,
    "a third name": _joined,
    "one gone": lambda root: (root / "one/name").unlink(),
}


@pytest.mark.parametrize("is_racy", [False, True])
@pytest.mark.parametrize("what", PAIRS)
def test_two_names_of_one_file_come_back_as_they_are(tmp_path: Path, what: str, is_racy: bool) -> None:
    root = tmp_path / "tree"
    quietly(root / "one/name", "first")
    quietly(root / "alone", "first alone")
    (root / "two").mkdir()
    (root / "two/name").hardlink_to(root / "one/name")
    chain = blind_chain(root, tmp_path)
    chain.back_up()
    if is_racy:
        chain.back_up(lambda: PAIRS[what](root))
    else:
        PAIRS[what](root)
    chain.back_up()
    assert_same_tree(root, chain.replay(tmp_path / "out"))
    assert chain.back_up() == []


@contextmanager
def btrfs(image: Path, place: Path) -> Iterator[Path]:
    with image.open("wb") as file:
        file.truncate(120 << 20)
    subprocess.run(["mkfs.btrfs", "-q", str(image)], check=True, capture_output=True)
    place.mkdir()
    subprocess.run(["mount", "-o", "loop", str(image), str(place)], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_what_was_saved_after_the_snapshot_and_before_the_backup_is_in_the_next_one(tmp_path: Path) -> None:
    """A snapshot of a file system at the same path each night, as the manual advises."""

    def command(*words: object) -> None:
        subprocess.run(["btrfs", "-q", *map(str, words)], check=True)

    with btrfs(tmp_path / "image", tmp_path / "disk") as disk:
        live, root = disk / "live", disk / "snap"
        command("subvolume", "create", live)
        (live / "file").write_text("monday")
        command("subvolume", "snapshot", "-r", live, root)
        (live / "file").write_text("tuesday")
        chain = IndexedChain(directory_source(root, margin=0), tmp_path / "work")
        chain.back_up()
        command("subvolume", "delete", root)
        command("subvolume", "snapshot", "-r", live, root)
        assert chain.back_up() == ["file"]
        assert (chain.replay(tmp_path / "out") / "file").read_text() == "tuesday"
        assert chain.back_up() == []
        command("subvolume", "delete", root)


def test_an_older_file_in_the_place_of_another_where_no_time_of_a_change_is_kept(tmp_path: Path) -> None:
    """On a file system that tells the time of modification for that of the change, as sshfs, SMB and exFAT do."""
    below, root = tmp_path / "below", tmp_path / "tree"
    root.mkdir()
    quietly(below / "file", "first")
    quietly(below / "kept", "kept")
    subprocess.run(["bindfs", "--ctime-from-mtime", str(below), str(root)], check=True)
    try:
        chain = IndexedChain(directory_source(root, margin=0), tmp_path / "work")
        chain.back_up()
        quietly(tmp_path / "older", "older, and of another size")
        os.utime(tmp_path / "older", ns=(OLD - 10**12, OLD - 10**12))
        shutil.copy2(tmp_path / "older", root / "file")
        assert chain.back_up() == ["file"]
        assert (chain.replay(tmp_path / "out") / "file").read_text() == "older, and of another size"
        assert chain.back_up() == []
    finally:
        subprocess.run(["umount", str(root)], check=True)
