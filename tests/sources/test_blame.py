"""Who may read every file of this machine; and why a file ended early, where the file system is gone itself."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import s3napback
from s3napback.sources.blame import Blame
from s3napback.sources.tar_review import TarReview
from tests.hostile.mounts import abandoned
from tests.waiting import becomes

_ASKING = "from s3napback.sources.blame import reads_everything; print(reads_everything())"
_AS_NOBODY = f"import os; {_ASKING}; os.setgroups([]); os.setgid(65534); os.setuid(65534)"


@pytest.mark.parametrize(
    ("prefix", "answer"),
    [
        ("", "True"),
        ("setpriv --inh-caps=-all --bounding-set=-all", "False"),
        ("setpriv --inh-caps=-all --bounding-set=-dac_override,-dac_read_search", "False"),
        ("setpriv --inh-caps=-all --bounding-set=-dac_override", "True"),
        ("unshare --user --map-root-user", "False"),
    ],
)
def test_root_reads_everything_unless_it_has_lost_that_power(prefix: str, answer: str) -> None:
    assert asked(_ASKING, *prefix.split()) == answer


def test_an_ordinary_user_does_not_read_everything() -> None:
    # All is loaded before: Python itself may lie where that user may not go.
    assert asked(f"{_AS_NOBODY}; {_ASKING}").split() == ["True", "False"]


def asked(script: str, *prefix: str) -> str:
    command = [*prefix, sys.executable, "-c", script]
    folder = Path(s3napback.__file__).parent.parent
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


_BY_ROOT = pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("bindfs"), reason="only root mounts it here")
_GONE = b"Transport endpoint is not connected"
_REMEMBERING = "entry_timeout=3600,attr_timeout=3600"
"""The kernel asks nobody who opens a file that it knows; but of one that was read, when that was."""


@contextmanager
def dead_after_reading(below: Path, place: Path) -> Iterator[None]:
    """A folder of one file, which was read, shown at ``place`` by a program that was killed since."""
    place.mkdir()
    with subprocess.Popen(["bindfs", "-f", "-o", _REMEMBERING, str(below), str(place)]) as server:
        try:
            assert becomes(place.is_mount)
            assert (place / "file").is_file()
            assert (place / "file").read_bytes()
        finally:
            server.kill()
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@_BY_ROOT
def test_a_file_that_ended_early_is_not_whole_where_its_file_system_is_gone(tmp_path: Path) -> None:
    place, below = tmp_path / "place", tmp_path / "below"
    below.mkdir()
    (below / "file").write_bytes(b"content")
    blame = Blame(b"place", str(place), is_almighty=True)
    place.mkdir()
    with abandoned(place):
        assert blame.reason_of_end(b"place/file", 3) == _GONE
        assert not blame.leads_nowhere(b"place/file")
    place.rmdir()
    with dead_after_reading(below, place):
        assert blame.reason_of_end(b"place/file", 3) == _GONE
    assert blame.reason_of_end(b"place/file", 3) == b""


@_BY_ROOT
def test_what_tar_says_of_a_file_system_that_is_gone_is_all_read(tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    review = TarReview(Blame(b"place", str(place), is_almighty=True), most=0)
    with abandoned(place):
        review.read(b"tar: place/file: File shrank by 3 bytes; padding with zeros")
        review.read(b"tar: place/other: File removed before we read it")
    assert review.unread.paths == (b"place/file",)
