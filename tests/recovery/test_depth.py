"""A tree far deeper than a path can be long: what tar can read of it comes back, and what it cannot is told."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

import pytest

from s3napback.commands import backup
from s3napback.config.loading import load_configuration
from s3napback.deciding.facts import BackupOptions
from s3napback.recovery.folders import walk
from s3napback.recovery.private import empty
from tests.recovery.helpers import restore_here
from tests.site import FIRST_DAY, Site

LEVELS = 5000
TRUNK = "ddd"
"""Name of each folder; the longer it is, the fewer of them tar can read; each costs the kernel all above it."""

SOURCE_PATH = 150
"""Bytes of the source's path."""

LONGEST_PATH = 4095
"""Bytes that the kernel takes of a path (``PATH_MAX`` in ``<linux/limits.h>``, less its end)."""


@contextmanager
def opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def grow(top: Path) -> None:
    """A trunk of folders, and here and there a branch, a file with another name in it, a link and a pipe."""
    with opened(top) as start:
        folder = os.dup(start)
        for level in range(LEVELS):
            os.mkdir(TRUNK, 0o750, dir_fd=folder)
            inner = os.open(TRUNK, os.O_RDONLY | os.O_DIRECTORY, dir_fd=folder)
            os.close(folder)
            folder = inner
            if level % 100 == 0:
                branch(folder, level)
        os.close(folder)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Its source has a path of the same length wherever the tests run, since that decides where tar's end is."""
    padding = "p" * (SOURCE_PATH - len(str(tmp_path / "site/source")) - 1)
    made = Site(tmp_path / padding / "site")
    assert len(str(made.source)) == SOURCE_PATH
    return made


@pytest.fixture
def deep(site: Site) -> Iterator[Site]:
    grow(site.source)
    yield site
    with opened(site.root) as top:
        empty(top)


def branch(folder: int, level: int) -> None:
    os.mkdir("b", 0o500, dir_fd=folder)
    os.mkdir("b/c", 0o701, dir_fd=folder)
    file = os.open("b/c/file", os.O_WRONLY | os.O_CREAT, 0o640, dir_fd=folder)
    os.write(file, str(level).encode())
    os.setxattr(file, "user.level", str(level).encode())
    os.close(file)
    os.link("b/c/file", "b/hard", src_dir_fd=folder, dst_dir_fd=folder)
    os.symlink("c/file", "b/link", dir_fd=folder)
    os.mkfifo("b/pipe", 0o600, dir_fd=folder)
    os.utime("b", (1, 2), dir_fd=folder)


def described(top: Path, longest: int) -> dict[str, tuple[object, ...]]:
    """What lies below a folder, as far as its path from there is not longer than that many bytes."""
    found: dict[str, tuple[object, ...]] = {}
    with opened(top) as start:
        for step in walk(start, is_own=False):
            above = "/".join(step.place.names)
            if step.left or len(above) > longest:
                continue
            found[above] = facts(".", step.place.descriptor)
            found.update({f"{above}/{name}": facts(name, step.place.descriptor) for name in step.others})
    return {name: fact for name, fact in found.items() if len(name) <= longest}


def facts(name: str, folder: int) -> tuple[object, ...]:
    status = os.lstat(name, dir_fd=folder)
    path = f"/proc/self/fd/{folder}/{name}"
    common = (status.st_mode, status.st_uid, status.st_mtime_ns)
    if stat.S_ISLNK(status.st_mode):
        return (*common, os.readlink(name, dir_fd=folder))
    if stat.S_ISREG(status.st_mode):
        return (*common, Path(path).read_bytes(), os.getxattr(path, "user.level"), status.st_nlink)
    return common


def backed_up(site: Site, night: int) -> None:
    day = FIRST_DAY + timedelta(days=night)
    assert not backup.run(load_configuration(site.configuration), day, BackupOptions()).failed


@pytest.mark.usefixtures("tidied")
def test_five_thousand_levels_come_back_as_far_as_tar_can_read_them(
    deep: Site, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    site = deep
    site.configure_cycle("Diffs 6\nCompression none")
    backed_up(site, 0)
    said = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len([line for line in said if "came without access rights (ACL)" in line]) == 1
    assert len(said) < 60
    with opened(site.source) as top:
        os.rename(f"{TRUNK}/b/c/file", f"{TRUNK}/b/moved", src_dir_fd=top, dst_dir_fd=top)
    far = site.source.joinpath(*[TRUNK] * 801, "b")
    (far / "link").unlink()
    (far / "link").mkdir()
    backed_up(site, 1)

    restore_here(site, str(site.source), tmp_path / "out", at=date(2027, 1, 1).isoformat())

    longest = LONGEST_PATH - len(f"{site.name()}/")
    expected = described(site.source, longest)
    assert max(name.count("/") for name in expected) > 950
    found = described(tmp_path / "out" / site.name(), LEVELS * 5)
    assert not {name[-20:] for name in {*expected, *found} if expected.get(name) != found.get(name)}
