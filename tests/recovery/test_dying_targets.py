"""A target that dies while it is restored to, as a FUSE program may, or a disk that is pulled out."""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from s3napback.recovery import directory
from s3napback.recovery.attributes import Nature
from s3napback.recovery.staging import UnusableTarget
from tests.recovery.helpers import file_member, folder_member, put_archive, restore_here, tar_of
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

        def nature_of(folder: int) -> Nature:
            process.kill()
            process.wait()
            return tried(folder)

        tried = directory.nature_of
        monkeypatch.setattr(directory, "nature_of", nature_of)
        where = tmp_path / "mortal/out"
        with (
            caplog.at_level(logging.WARNING, "s3napback"),
            pytest.raises(UnusableTarget, match="not connected; nothing was restored"),
        ):
            restore_here(site, "/etc", where)
    (left,) = (tmp_path / "below/out").iterdir()
    assert f"{where}/{left.name} is left, and cannot be removed: Transport endpoint is not connected" in caplog.text
