"""Folders are addressed once: links of others are not followed, and trees may be deeper than paths can be long."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
from pathlib import Path

import pytest

from s3napback.recovery import folders
from s3napback.recovery.folders import (
    cursor,
    exists,
    go_to,
    names_in,
    unchanged,
    walk,
)
from s3napback.recovery.path_opening import UnusableFolder, open_path
from s3napback.recovery.private import empty, private_folder
from tests.descriptors import descriptors_left

SOMEBODY = 1234
DEPTH = 3000


def opened(path: Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY)


def make_deep(top: Path, depth: int = DEPTH, name: str = "deeper") -> None:
    """A tree with a file and a link at its bottom; its path is longer than any that can be written."""
    folder = opened(top)
    for _ in range(depth):
        os.mkdir(name, dir_fd=folder)
        inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=folder)
        os.close(folder)
        folder = inner
    os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=folder))
    os.symlink("file", "link", dir_fd=folder)
    os.close(folder)


@pytest.mark.usefixtures("tidied")
def test_a_tree_can_be_deeper_than_a_path_is_long_and_than_files_may_be_open(tmp_path: Path) -> None:
    make_deep(tmp_path)
    top = opened(tmp_path)
    try:
        with descriptors_left(100):
            with cursor(top) as place:
                assert go_to(place, ["deeper"] * DEPTH)
                assert exists("file", place.descriptor)
                assert go_to(place, ["deeper"] * 7)
                assert place.depth == 7
                assert not go_to(place, ["deeper", "absent"])
            steps = list(walk(top))
            assert sum(1 for step in steps if step.left) == DEPTH
            empty(top)
    finally:
        os.close(top)
    assert list(tmp_path.iterdir()) == []


def test_a_tree_can_branch_at_any_depth(tmp_path: Path) -> None:
    trunk = tmp_path.joinpath(*["d"] * 80)
    for number in range(3):
        (trunk / f"{number}/below/it").mkdir(parents=True)
    top = opened(tmp_path)
    try:
        assert sum(1 for step in walk(top) if step.left) == 80 + 3 * 3
        with cursor(top) as place:
            for depth in (80, 60, 79, 20, 83):
                assert go_to(place, (["d"] * 80 + ["2", "below", "it"])[:depth])
                assert os.path.samestat(os.fstat(place.descriptor), tmp_path.joinpath(*place.names).stat())
        empty(top)
    finally:
        os.close(top)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_read_from_its_beginning_each_time(tmp_path: Path) -> None:
    """On btrfs it shows what came into it since it was opened only if it is begun anew."""
    for name in "abc":
        (tmp_path / name).touch()
    top = opened(tmp_path)
    try:
        with os.scandir(top) as begun:
            next(begun)
            assert names_in(top) == ["a", "b", "c"]
            assert [step.others for step in walk(top)] != [()]
    finally:
        os.close(top)


def test_a_walk_comes_to_each_folder_and_back(tmp_path: Path) -> None:
    for path in ("a/b", "c"):
        (tmp_path / path).mkdir(parents=True)
        (tmp_path / path / "file").touch()
    (tmp_path / "a/link").symlink_to(tmp_path / "c")
    top = opened(tmp_path)
    seen: list[tuple[str, tuple[str, ...]]] = []
    left: list[str] = []
    for step in walk(top):
        if step.left:
            left.append(step.left)
        else:
            seen.append((step.place.shown, step.others))
    assert sorted(seen) == [(".", ()), ("a", ("link",)), ("a/b", ("file",)), ("c", ("file",))]
    assert sorted(left) == ["a", "b", "c"]
    assert [step.place.shown for step in walk(top, enters=lambda _place, name: name == "a") if not step.left][1:] == [
        "a"
    ]
    os.close(top)


def test_a_folder_that_can_be_entered_and_not_read_hides_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that gives errors for one folder; so rare a disk is not to be had."""
    for name in (*map(str, range(20)), "broken"):
        (tmp_path / name / "inner").mkdir(parents=True)
    broken, read = (tmp_path / "broken").stat(), folders._entries

    def entries(folder: int) -> object:
        if os.path.samestat(os.fstat(folder), broken):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return read(folder)

    monkeypatch.setattr(folders, "_entries", entries)
    refused: list[str] = []
    descriptor = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        steps = walk(descriptor, refused=lambda name, _error: refused.append(name))
        seen = {"/".join(step.place.names) for step in steps if not step.left}
    finally:
        os.close(descriptor)
    assert refused == ["broken"]
    assert seen == {"", *map(str, range(20)), *(f"{number}/inner" for number in range(20))}


def test_links_of_root_are_followed_and_links_of_others_refused(tmp_path: Path) -> None:
    (tmp_path / "real/inner").mkdir(parents=True)
    (tmp_path / "own").symlink_to("real")
    descriptor = open_path(tmp_path / "own/inner").descriptor
    assert os.path.samestat(os.fstat(descriptor), (tmp_path / "real/inner").stat())
    os.close(descriptor)
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "link").symlink_to(tmp_path / "real")
    os.chown(theirs, SOMEBODY, SOMEBODY)
    with pytest.raises(UnusableFolder, match="link on the way to"):
        open_path(theirs / "link/inner")
    os.chown(theirs, 0, 0)
    theirs.chmod(0o777)
    with pytest.raises(UnusableFolder):
        open_path(theirs / "link")
    theirs.chmod(0o1777)
    os.close(open_path(theirs / "link").descriptor)
    os.chown(theirs / "link", SOMEBODY, SOMEBODY, follow_symlinks=False)
    with pytest.raises(UnusableFolder):
        open_path(theirs / "link")


def test_missing_folders_are_made_the_last_for_nobody_else(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        found = open_path(tmp_path / "a/b", make=True)
    finally:
        os.umask(before)
    os.close(found.descriptor)
    assert found.made == 2
    assert (tmp_path / "a/b").stat().st_mode & 0o777 == 0o700
    with pytest.raises(FileNotFoundError):
        open_path(tmp_path / "absent")
    (tmp_path / "round").symlink_to("round")
    with pytest.raises(UnusableFolder, match="symbolic links"):
        open_path(tmp_path / "round")


def test_a_private_folder_leaves_nothing_behind(tmp_path: Path) -> None:
    top = opened(tmp_path)
    with private_folder(top, "new-") as (name, folder):
        os.utime(tmp_path, (1_000_000_000, 1_000_000_000))
        assert (tmp_path / name).stat().st_mode & 0o7777 == 0o700
        make_deep(tmp_path / name, 30)
        assert names_in(folder) == ["deeper"]
    assert list(tmp_path.iterdir()) == []
    assert tmp_path.stat().st_mtime == 1_000_000_000
    os.close(top)


@pytest.mark.parametrize("call", ["mkdir", "unlink"])
def test_a_signal_leaves_no_private_folder_whenever_it_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    class Ended(BaseException):
        """What the handler raises."""

    def end(_number: int, _frame: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise Ended

    real = getattr(os, call)

    def signalled(*arguments: object, **names: object) -> object:
        done = real(*arguments, **names)
        signal.raise_signal(signal.SIGTERM)
        return done

    before = signal.signal(signal.SIGTERM, end)
    parent = opened(tmp_path)
    try:
        monkeypatch.setattr(os, call, signalled)
        with pytest.raises(Ended), private_folder(parent, ".private-") as (_name, folder):
            for name in ("one", "two"):
                os.close(os.open(name, os.O_CREAT | os.O_WRONLY, dir_fd=folder))
    finally:
        signal.signal(signal.SIGTERM, before)
        os.close(parent)
    assert list(tmp_path.iterdir()) == []


def test_no_default_list_of_the_folder_above_takes_rights_in_a_private_one(tmp_path: Path) -> None:
    subprocess.run(["setfacl", "-d", "-m", "u::r-x", tmp_path], check=True)
    top = opened(tmp_path)
    with private_folder(top, "new-") as (name, _folder):
        (tmp_path / name / "below").mkdir(mode=0o700)
        assert [path.stat().st_mode & 0o7777 for path in (tmp_path / name, tmp_path / name / "below")] == [0o700] * 2
    os.close(top)


def test_a_folder_put_in_the_place_of_a_private_one_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by the owner of the folder above, at the worst moment."""
    (tmp_path / "theirs").mkdir(mode=0o755)
    (tmp_path / "theirs/precious").touch()
    real = os.mkdir

    def swapping(name: str, mode: int, *, dir_fd: int) -> None:
        real(name, mode, dir_fd=dir_fd)
        os.rename(name, "away", src_dir_fd=dir_fd, dst_dir_fd=dir_fd)
        os.rename("theirs", name, src_dir_fd=dir_fd, dst_dir_fd=dir_fd)

    top = opened(tmp_path)
    monkeypatch.setattr(os, "mkdir", swapping)
    with pytest.raises(UnusableFolder, match="somebody is at work"), private_folder(top, "new-"):
        raise AssertionError("it was used")
    assert list(tmp_path.glob("new-*/precious"))
    os.close(top)


def test_a_folder_moved_away_during_a_walk_ends_it(tmp_path: Path) -> None:
    make_deep(tmp_path, 100)
    top = opened(tmp_path)
    with cursor(top) as place:
        assert go_to(place, ["deeper"] * 100)
        (tmp_path / "other").mkdir()
        (tmp_path / "/".join(["deeper"] * 20)).rename(tmp_path / "other/moved")
        with pytest.raises(UnusableFolder, match="moved elsewhere"):
            go_to(place, [])
    os.close(top)


def test_times_of_a_folder_stay_while_entries_change(tmp_path: Path) -> None:
    os.utime(tmp_path, (1_000_000_000, 1_000_000_000))
    top = opened(tmp_path)
    with unchanged(top):
        (tmp_path / "file").touch()
    assert tmp_path.stat().st_mtime == 1_000_000_000
    os.close(top)
