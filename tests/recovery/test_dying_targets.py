"""A target that dies while it is restored to, or loses what it has taken: a program's, or that of a failing disk."""

from __future__ import annotations

import logging
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from s3napback.recovery import directory
from s3napback.recovery.attributes import Nature, nature_of
from s3napback.recovery.staging import UnusableTarget
from tests.recovery.helpers import file_member, folder_member, leftovers, put_archive, restore_here, tar_of
from tests.site import Site
from tests.waiting import becomes

PATIENCE = 20  # seconds


@contextmanager
def mortal(below: Path, place: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A file system of FUSE, and the program that it lives by."""
    below.mkdir()
    place.mkdir()
    with subprocess.Popen(["bindfs", "-f", str(below), str(place)]) as process:
        try:
            assert becomes(place.is_mount, PATIENCE)
            yield process
        finally:
            process.kill()
            process.wait()
            subprocess.run(["umount", str(place)], check=True)


def test_a_target_that_dies_fails_the_restore_and_what_is_left_there_is_told(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    site.configure("")
    put_archive(site, 0, tar_of((folder_member("etc", ["Yfile"]), b""), (file_member("etc/file"), b"x")))
    with mortal(tmp_path / "below", tmp_path / "mortal") as process:

        def dying(folder: int) -> Nature:
            process.kill()
            process.wait()
            return nature_of(folder)

        monkeypatch.setattr(directory, "nature_of", dying)
        where = tmp_path / "mortal/out"
        with (
            caplog.at_level(logging.WARNING, "s3napback"),
            pytest.raises(UnusableTarget, match="not connected; nothing was restored"),
        ):
            restore_here(site, "/etc", where)
    (left,) = (tmp_path / "below/out").iterdir()
    assert f"{where}/{left.name} is left, and cannot be removed: Transport endpoint is not connected" in caplog.text


SIZE = 24 << 20
"""Bytes, more than the overdrawn disk has."""


@contextmanager
def overdrawn(folder: Path, place: Path) -> Iterator[None]:
    """A disk that says that it has more room than there is, as one of a thin pool may: what it takes it loses."""
    folder.mkdir()
    place.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16M", "tmpfs", str(folder)], check=True)
    try:
        image = folder / "image"
        with image.open("wb") as file:
            file.truncate(64 << 20)
        subprocess.run(["mkfs.ext4", "-q", "-F", "-b", "4096", "-O", "^has_journal", str(image)], check=True)
        subprocess.run(["mount", "-o", "loop", str(image), str(place)], check=True)
        try:
            yield
        finally:
            subprocess.run(["umount", str(place)], check=True)
    finally:
        # The loop device lets go of its image a moment later.
        assert becomes(lambda: not subprocess.run(["umount", str(folder)], check=False).returncode, PATIENCE)


def large(site: Site) -> None:
    site.configure("")
    members = (folder_member("etc", ["Ddisk"]), b""), (folder_member("etc/disk", ["Yfile"]), b"")
    put_archive(site, 0, tar_of(*members, (file_member("etc/disk/file"), os.urandom(SIZE))))


@pytest.mark.parametrize("place", ["prepared there", "prepared elsewhere"])
def test_what_a_disk_has_taken_and_lost_is_not_restored(site: Site, tmp_path: Path, place: str) -> None:
    large(site)
    with overdrawn(tmp_path / "thin", tmp_path / "disk"):
        where = tmp_path / "disk/out"
        with pytest.raises(UnusableTarget, match=r"(Input/output error|No space left on device); nothing was restored"):
            restore_here(site, "/etc", where, staging=tmp_path if place == "prepared elsewhere" else None)
        assert not (where / "etc").exists()
    assert not leftovers(tmp_path)


def test_what_a_disk_below_where_has_taken_and_lost_is_told(site: Site, tmp_path: Path) -> None:
    large(site)
    where = tmp_path / "out"
    # The kernel tells one of the errors that there were.
    reason = "(Input/output error|No space left on device)"
    with overdrawn(tmp_path / "thin", where / "etc/disk"):
        with pytest.raises(UnusableTarget, match=f"in place, and not all of it on the disk: {reason}"):
            restore_here(site, "/etc", where, in_place=True, agreed=True)
        assert not leftovers(where)
