"""A target that keeps times less exactly, or not all of them, says nothing of it: a restore does."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from s3napback.recovery.times import Times, times_of
from tests.site import Site

ROUNDED = "times of modification were rounded down: the target keeps them in steps of 1 second"
NEAR = "times of modification were rounded: the target keeps them less exactly"
LATE = 1 << 31
"""Seconds since 1970: one more than such a file system has."""


@contextmanager
def with_whole_seconds(folder: Path, inode: int = 128) -> Iterator[Path]:
    """A file system whose inodes have no room for more, as each of ext3's that was made by default."""
    image, place = folder / "image", folder / "disk"
    place.mkdir(parents=True)
    with image.open("wb") as file:
        file.truncate(8 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-I", str(inode), str(image)], check=True, capture_output=True)
    subprocess.run(["mount", "-o", "loop", str(image), str(place)], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def fill(source: Path, nanoseconds: int) -> None:
    (source / "folder").mkdir()
    for name in ("file", "folder/file", "early", "late"):
        (source / name).write_text(name)
    (source / "link").symlink_to("file")
    (source / "hard").hardlink_to(source / "file")
    for path in (*source.rglob("*"), source):
        os.utime(path, ns=(0, 1_500_000_001_000_000_000 + nanoseconds), follow_symlinks=False)
    os.utime(source / "early", ns=(0, -2_000_000_000_000_000_000))


def errors(text: str) -> list[str]:
    return [line.partition(" ERROR s3napback: ")[2] for line in text.splitlines() if " ERROR " in line]


def test_what_was_lost_of_times_is_told_in_a_line_and_those_that_are_not_there_by_path(
    site: Site, tmp_path: Path
) -> None:
    site.configure_cycle("Diffs 6")
    fill(site.source, 123)
    late = site.source / "late"
    os.utime(late, ns=(0, LATE * 1_000_000_000))
    site.run(day=0)
    with with_whole_seconds(tmp_path / "target") as disk:
        out = Path(f"{disk}/out{site.source}")
        words = ("restore", str(site.source), "--to", f"{disk}/out")
        # Everything that an archive holds can pass without being looked at, or not.
        for paths in ((), (str(late), str(site.source / "file"))):
            told = errors(site.run(*words, *paths, day=None, expect=1).stderr)
            assert told[1:] == [ROUNDED, "1 path: times not set (the target has no such times)", f"  {out}/late"]
            assert (out / "file").stat().st_mtime_ns == 1_500_000_001_000_000_000
            subprocess.run(["rm", "-r", f"{disk}/out"], check=True)
        refused = errors(site.run(*words, "--strict-metadata", day=None, expect=1).stderr)
        assert f"  {ROUNDED}" in refused
        assert not (disk / "out").exists()
        # What a later archive brings is what counts.
        os.utime(late, ns=(0, 5_000_000_000))
        site.run(day=1)
        assert errors(site.run(*words, day=None, expect=1).stderr)[1:] == [ROUNDED]


def test_where_nothing_is_lost_nothing_is_said(site: Site, tmp_path: Path) -> None:
    """As what comes from such a file system."""
    site.configure_cycle("Diffs 6")
    fill(site.source, 0)
    site.run(day=0)
    with with_whole_seconds(tmp_path / "target") as disk:
        site.run("restore", str(site.source), "--to", f"{disk}/out", "--strict-metadata", day=None)
        assert Path(f"{disk}/out{site.source}/early").stat().st_mtime == -2_000_000_000


def test_a_time_that_ext4_has_not_is_told_by_path(site: Site, tmp_path: Path) -> None:
    """Of the year 1601, as Windows writes where it knows of none, of a broken clock, or within the last second."""
    site.configure_cycle("Diffs 6")
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(site.source)], check=True)
    try:
        for name, seconds in (("early", -11_644_473_600), ("late", 1 << 40), ("usual", 15_032_385_535)):
            (site.source / name).write_text(name)
            os.utime(site.source / name, (0, seconds))
        (site.source / "fraction").touch()
        os.utime(site.source / "fraction", ns=(0, 15_032_385_535_500_000_000))
        site.run(day=0)
    finally:
        subprocess.run(["umount", str(site.source)], check=True)
    with with_whole_seconds(tmp_path / "target", 256) as disk:
        out = f"{disk}/out{site.source}"
        told = errors(site.run("restore", str(site.source), "--to", f"{disk}/out", day=None, expect=1).stderr)
        lacking = [f"  {out}/early", f"  {out}/fraction", f"  {out}/late"]
        assert told[1:] == ["3 paths: times not set (the target has no such times)", *lacking]
        assert Path(f"{out}/usual").stat().st_mtime == 15_032_385_535


def test_what_is_copied_to_such_a_target_is_told_alike(site: Site, tmp_path: Path) -> None:
    site.configure_cycle("Diffs 6")
    fill(site.source, 123_456_789)
    os.utime(site.source / "late", ns=(0, (LATE + 60) * 1_000_000_000))
    site.run(day=0)
    with with_whole_seconds(tmp_path / "target") as disk:
        words = ("restore", str(site.source), "--to", f"{disk}/out", "--staging", str(tmp_path))
        refused = errors(site.run(*words, "--strict-metadata", day=None, expect=1).stderr)
        assert f"  {NEAR}" in refused
        told = errors(site.run(*words, day=None, expect=1).stderr)
        lacking = "1 path: times not set (the target has no such times)", f"  {disk}/out{site.source}/late"
        assert told[1:] == [NEAR, *lacking]


@pytest.mark.parametrize(
    ("kept", "expected"),
    [
        (lambda time: time, Times()),
        (lambda time: time // 100 * 100, Times(100)),
        (lambda time: time // 2_000_000_000 * 2_000_000_000, Times(2_000_000_000)),
        (lambda time: min(max(time, 0), LATE * 1_000_000_000), Times(1, 0, LATE)),
        (lambda time: max(time // 10_000_000 * 10_000_000, 315_532_800_000_000_000), Times(10_000_000, 315_532_800)),
    ],
)
def test_steps_and_bounds_are_found_out(monkeypatch: pytest.MonkeyPatch, kept: object, expected: Times) -> None:
    """Of file systems that Linux has not got here, such as FAT, NTFS and NFS; tmpfs stands for them, and keeps all."""
    real = os.utime
    monkeypatch.setattr(os, "utime", lambda file, ns: real(file, ns=(0, kept(ns[1]))))  # type: ignore[operator]
    with os.fdopen(os.memfd_create("file"), "wb") as file:
        assert times_of(file.fileno()) == expected


def test_a_step_too_short_to_be_noticed_is_none() -> None:
    assert Times(100).are_usual
    assert Times(100).is_step(50)
    assert not Times(10_000_000).are_usual
    assert Times(10_000_000).step_text == "10 milliseconds"
    assert Times(1, 0).has(1 << 70)
    assert not Times(1, 0).has(-1)
    assert not Times(1, 0, LATE).has((LATE + 1) * 1_000_000_000)
    assert [Times(1, 0, LATE).has(time) for time in (0, 1, LATE * 1_000_000_000, LATE * 1_000_000_000 + 1)] == [
        *(True, False, True, False),
    ]
