"""``restore`` of what the original tool left, where tar has recorded that directories were moved."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.original.machine import NIGHT, Machine
from tests.original.vectors import Bucket, Nights


def move(source: Path) -> None:
    (source / "a").rename(source / "z")
    (source / "z/more").write_text("more")


def move_into_a_new_one(source: Path) -> None:
    (source / "new").mkdir(mode=0o750)
    (source / "a").rename(source / "new/a")


def move_with_links(source: Path) -> None:
    (source / "a").rename(source / "b/a")


@pytest.mark.parametrize("change", [move, move_into_a_new_one, move_with_links])
def test_moved_directories_come_back_where_they_were_moved_to(
    tmp_path: Path, source: Path, change: Callable[[Path], None]
) -> None:
    for name in ("a", "b"):
        (source / name / "inner").mkdir(parents=True)
        (source / name / "inner/file").write_text(name)
        (source / name / "link").symlink_to("inner/file")
        (source / name / "absolute").symlink_to("/etc/passwd")
    bucket = Bucket(step=NIGHT)
    nights = Nights(bucket, str(source), tmp_path / "snapshot")
    nights.run(0, "FULL")
    (source / "b/inner/file").write_text("second night")
    nights.run(1, "DIFF")
    change(source)
    nights.run(2, "DIFF")
    (source / "b/inner/file").write_text("fourth night")
    nights.run(3, "DIFF")
    machine = Machine(tmp_path, bucket)
    where = tmp_path / "out"
    machine.run("restore", str(source), "--to", str(where))
    diff = ["diff", "--recursive", "--no-dereference", str(source), str(where / str(source)[1:])]
    assert subprocess.run(diff, capture_output=True, check=False).stdout == b""
    for path in source.rglob("*"):
        twin = where / str(path)[1:]
        assert (twin.lstat().st_mode, twin.lstat().st_mtime_ns // 10**9) == (
            path.lstat().st_mode,
            path.lstat().st_mtime_ns // 10**9,
        )


def test_directories_that_changed_places_are_named_and_nothing_is_restored(
    tmp_path: Path, source: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("a", "b"):
        (source / name).mkdir()
        (source / name / name).write_text(name)
    bucket = Bucket(step=NIGHT)
    nights = Nights(bucket, str(source), tmp_path / "snapshot")
    nights.run(0, "FULL")
    (source / "a").rename(source / "x")
    (source / "b").rename(source / "a")
    (source / "x").rename(source / "b")
    nights.run(1, "DIFF")
    machine = Machine(tmp_path, bucket)
    machine.run("restore", str(source), "--to", str(tmp_path / "x"), expect=1)
    assert "cannot be relied upon to replay" in caplog.text
    assert not (tmp_path / "x").exists()
    assert machine.restored(source, "--at", f"{str(source)[1:]}-0-FULL") == {"a/a": b"a", "b/b": b"b"}


def test_what_a_moved_directory_has_lost_goes_though_another_had_the_same_list_there(
    tmp_path: Path, source: Path
) -> None:
    for name in ("a", "b"):
        (source / name).mkdir()
        (source / name / "file").write_text(name)
    (source / "b/lost").write_text("lost")
    bucket = Bucket(step=NIGHT)
    nights = Nights(bucket, str(source), tmp_path / "snapshot")
    nights.run(0, "FULL")
    nights.run(1, "DIFF")
    shutil.rmtree(source / "a")
    nights.run(2, "DIFF")
    (source / "b").rename(source / "a")
    (source / "a/lost").unlink()
    nights.run(3, "DIFF")
    machine = Machine(tmp_path, bucket)
    assert machine.restored(source) == {"a/file": b"b"}
