"""What we write to is ours: nothing that somebody planted in its place is opened, or changed."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from s3napback.ownership import open_own_for_writing, require_own_for_writing
from tests.verdicts import verdict

OTHER = 1234
IS_ROOT = os.geteuid() == 0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of ours with a file of ours in it."""
    (tmp_path / "file").write_text("content")
    return tmp_path


def test_a_file_to_be_written_is_made_private_and_opened_again_as_it_is(folder: Path) -> None:
    path = folder / "lock"
    require_own_for_writing(path)
    assert not path.exists()
    os.close(open_own_for_writing(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.write_text("kept")
    require_own_for_writing(path)
    os.close(open_own_for_writing(path))
    assert path.read_text() == "kept"
    with pytest.raises(FileNotFoundError):
        open_own_for_writing(folder / "missing/lock")
    require_own_for_writing(folder / "missing/lock")


def plant_link(place: Path, victim: Path) -> None:
    place.symlink_to(victim)


def plant_dangling_link(place: Path, victim: Path) -> None:
    place.symlink_to(victim.with_name("new"))


def plant_hard_link(place: Path, victim: Path) -> None:
    os.link(victim, place)


def plant_fifo(place: Path, victim: Path) -> None:
    os.mkfifo(place)


def plant_folder(place: Path, victim: Path) -> None:
    place.mkdir()


def plant_file_of_another(place: Path, victim: Path) -> None:
    place.touch()
    os.chown(place, OTHER, OTHER)


def plant_writable_file(place: Path, victim: Path) -> None:
    place.touch()
    place.chmod(0o666)


PLANTS = [
    (plant_link, "no plain file"),
    (plant_dangling_link, "no plain file"),
    (plant_hard_link, "2 names"),
    (plant_fifo, "no plain file"),
    (plant_folder, "no plain file"),
    (plant_writable_file, "can be written by others"),
]
if IS_ROOT:
    PLANTS.append((plant_file_of_another, "belongs to another user"))


@pytest.mark.parametrize(("plant", "words"), PLANTS)
def test_what_somebody_planted_is_not_written_to(plant: Callable[[Path, Path], None], words: str, folder: Path) -> None:
    plant(folder / "lock", folder / "file")

    def found() -> tuple[object, ...]:
        status = (folder / "file").stat()
        return status.st_mode, status.st_mtime_ns, (folder / "file").read_bytes(), sorted(folder.iterdir())

    before = found()
    for action in (open_own_for_writing, require_own_for_writing):
        refusal = verdict(partial(action, folder / "lock"))
        assert words in refusal
        assert f"{folder}/lock" in refusal.rpartition(": ")[2]
    assert found() == before


def test_nothing_is_written_where_others_may_prepare_it(folder: Path) -> None:
    for mode in (0o777, 0o1777):
        folder.chmod(mode)
        assert verdict(lambda: open_own_for_writing(folder / "lock"))
        assert verdict(lambda: require_own_for_writing(folder / "lock"))
        assert not (folder / "lock").exists()
