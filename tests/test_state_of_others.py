"""State that we have not written, or not so: folders that somebody planted, and files that are damaged."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from s3napback.errors import DamagedState, StateError
from s3napback.state import StoreState
from tests.recovery.ordinary import as_user, open_folder
from tests.states import STORE, commit_nights, state_of

NOBODY = 65534


@pytest.fixture
def state(tmp_path: Path) -> StoreState:
    return StoreState(tmp_path, STORE, "")


def plant_link_to_folder(place: Path, elsewhere: Path) -> None:
    elsewhere.mkdir()
    place.symlink_to(elsewhere)


def plant_writable_folder(place: Path, elsewhere: Path) -> None:
    place.mkdir()
    place.chmod(0o777)


def plant_folder_of_another_user(place: Path, elsewhere: Path) -> None:
    place.mkdir(mode=0o700)
    os.chown(place, NOBODY, NOBODY)


def plant_file(place: Path, elsewhere: Path) -> None:
    place.write_text("not a folder")


PLANTS = [
    (plant_link_to_folder, "planted"),
    (plant_writable_folder, "can be written by others"),
    (plant_file, "File exists"),
]
if os.geteuid() == 0:
    PLANTS.append((plant_folder_of_another_user, "belongs to another user"))


@pytest.mark.parametrize(("plant", "words"), PLANTS)
@pytest.mark.parametrize("level", ["store", "name"])
def test_a_folder_that_somebody_planted_is_refused(
    tmp_path: Path, state: StoreState, plant: Callable[[Path, Path], None], words: str, level: str
) -> None:
    place = state.folder("etc") if level == "name" else state.folder("etc").parent
    place.parent.mkdir(mode=0o700, exist_ok=True)
    plant(place, tmp_path / "elsewhere")
    with pytest.raises(StateError, match=words), state.workplace("etc"):
        pass
    with pytest.raises(StateError, match=words):
        state.commit(state_of())
    assert not (tmp_path / "elsewhere").exists() or list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"\xff\xfe",
        b"{}",
        b'{"format": 1}',
        b'{"format": 1, "history": {"chain": [{}]}}',
        b'{"format": 1, "history": {"chain": [7], "schedule": "", "content": {}}, "taken_over": []}',
    ],
)
def test_damaged_state_is_told_from_none(state: StoreState, text: bytes) -> None:
    commit_nights(state, 1)
    file = state.folder("etc") / "state.json"
    file.write_bytes(text)
    with pytest.raises(DamagedState, match="damaged") as caught:
        state.load("etc")
    assert str(file) in str(caught.value)
    assert list(state.all()) == []


@pytest.mark.parametrize("change", ["unknown field", "missing field", "unknown type"])
def test_state_that_almost_makes_sense_is_damaged(state: StoreState, change: str) -> None:
    commit_nights(state, 1)
    file = state.folder("etc") / "state.json"
    document = json.loads(file.read_text())
    if change == "unknown field":
        document["history"]["chain"][0]["colour"] = "red"
    elif change == "missing field":
        del document["history"]["chain"][0]["id"]
    else:
        document["history"]["chain"][0]["type"] = "HALF"
    file.write_text(json.dumps(document))
    with pytest.raises(DamagedState):
        state.load("etc")


def test_state_of_another_version_is_not_guessed_at(state: StoreState) -> None:
    commit_nights(state, 1)
    file = state.folder("etc") / "state.json"
    file.write_text(file.read_text().replace('"format": 1', '"format": 2'))
    with pytest.raises(DamagedState, match="another version"):
        state.load("etc")


def test_state_that_cannot_be_read_is_an_error_and_not_absent(state: StoreState) -> None:
    (state.folder("etc") / "state.json").mkdir(parents=True)
    with pytest.raises(StateError, match="cannot read"):
        state.load("etc")


def test_damaged_state_is_replaced_by_the_next_commit(state: StoreState) -> None:
    commit_nights(state, 2)
    (state.folder("etc") / "state.json").write_text("{")
    new = commit_nights(state, 1)
    assert state.load("etc") == new
    assert {path.name for path in state.folder("etc").iterdir()} == {"state.json", "id0.snapshot", "id0.index"}


if os.geteuid() == 0:

    def test_a_diff_dir_that_one_may_not_look_into_tells_nothing() -> None:
        """Of root's, to an ordinary user who asks how things stand."""
        with open_folder() as folder:
            (folder / "diffs").mkdir(mode=0o700)

            def ask() -> None:
                state = StoreState(folder / "diffs", STORE, "", "former")
                assert (list(state.all()), state.knows_store()) == ([], False)

            as_user(ask)
