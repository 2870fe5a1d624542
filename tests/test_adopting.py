"""What an earlier version left where several servers shared it goes to the one whose it is, and to no other."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import pytest

from s3napback.adopting import find_owner, settle
from s3napback.archives import ArchiveRecord, Owner
from s3napback.errors import StoreUnreachable
from s3napback.kinds import SourceName
from s3napback.rotation import ArchiveType
from s3napback.state import StoreState
from s3napback.stores.directory import DirectoryStore
from tests.states import commit_nights

SHARED, ONE, OTHER = "s3:/backups", "http://one.example/backups", "http://other.example/backups"
NIGHTS = 3

Make = Callable[[str], StoreState]


class OutOfReach(DirectoryStore):
    def head(self, key: str) -> None:
        raise StoreUnreachable(f"no answer to {key}")


@pytest.fixture
def make(diff_dir: Path) -> Make:
    return lambda identity: StoreState(diff_dir, identity, "", "" if identity == SHARED else SHARED)


@pytest.fixture
def left(make: Make) -> Path:
    """What an earlier version left: it knew no note."""
    state = make(SHARED)
    commit_nights(state, NIGHTS)
    (state.place.folder / "server").unlink()
    return state.place.folder


def store_with(folder: Path, *ids: str) -> DirectoryStore:
    """A store in which archives with these ids are."""
    folder.mkdir()
    store = DirectoryStore(folder)
    for number, name in enumerate(ids):
        owner = Owner("host", SourceName("Directory", "/etc"))
        kind = ArchiveType.DIFF if number else ArchiveType.FULL
        record = ArchiveRecord(name, number, kind, owner, "daily", datetime.now(timezone.utc), 20_000 + number)
        store.put(f"etc-{number}-{kind.value}", io.BytesIO(b"archive"), record.to_metadata())
    return store


def passed(state: StoreState, store: DirectoryStore) -> StoreState:
    find_owner(state, store)
    settle(state)
    return state


def test_what_is_of_this_server_is_renamed_with_all_that_it_holds(make: Make, left: Path, tmp_path: Path) -> None:
    before = make(SHARED).load("etc")
    state = passed(make(ONE), store_with(tmp_path / "store", "id0", "id1", "id2"))
    assert not left.exists()
    assert state.load("etc") == before == make(ONE).load("etc")
    assert (state.place.folder / "server").read_text() == f"{ONE}\n"
    assert len(list(state.folder("etc").glob("*.snapshot"))) == 2


def test_what_is_of_another_server_is_neither_used_nor_touched(make: Make, left: Path, tmp_path: Path) -> None:
    before = make(SHARED).load("etc")
    state = passed(make(ONE), store_with(tmp_path / "store", "others0", "others1", "others2"))
    assert state.load("etc") is None
    assert make(ONE).load("etc") is None
    assert make(SHARED).load("etc") == before


def test_a_store_that_holds_nothing_adopts_nothing(make: Make, left: Path, tmp_path: Path) -> None:
    assert passed(make(ONE), store_with(tmp_path / "store")).load("etc") is None
    assert left.exists()


def test_without_a_definite_answer_all_stays_as_it_was(make: Make, left: Path, tmp_path: Path) -> None:
    state = passed(make(ONE), OutOfReach(tmp_path))
    assert state.load("etc") is not None
    commit_nights(state, NIGHTS + 1)
    assert state.place.folder == left
    assert not (left / "server").exists()
    again = passed(make(ONE), store_with(tmp_path / "store", "id0", "id1", "id2", "id3"))
    assert not left.exists()
    found = again.load("etc")
    assert found is not None
    assert len(found.history.chain) == NIGHTS + 1


def test_what_bears_a_note_is_nobody_elses(make: Make, left: Path, tmp_path: Path) -> None:
    """Though the other server be a copy of this one."""
    commit_nights(make(SHARED), NIGHTS)
    assert (left / "server").read_text() == f"{SHARED}\n"
    store = store_with(tmp_path / "store", "id0", "id1", "id2")
    assert passed(make(ONE), store).load("etc") is None
    assert make(SHARED).load("etc") is not None


def test_what_one_server_has_adopted_no_other_can(make: Make, left: Path, tmp_path: Path) -> None:
    store = store_with(tmp_path / "store", "id0", "id1", "id2")
    passed(make(ONE), store)
    assert passed(make(OTHER), store).load("etc") is None
    assert make(ONE).load("etc") is not None


def test_a_rehearsal_decides_and_moves_nothing(make: Make, left: Path, tmp_path: Path) -> None:
    state = make(ONE)
    find_owner(state, store_with(tmp_path / "store", "id0", "id1", "id2"))
    assert state.load("etc") is not None
    assert left.exists()
    state = make(OTHER)
    find_owner(state, store_with(tmp_path / "other"))
    assert state.load("etc") is None
    assert [path.name for path in left.parent.iterdir()] == [left.name]


def test_state_of_its_own_comes_before_what_was_left(make: Make, left: Path, tmp_path: Path) -> None:
    commit_nights(StoreState(left.parent, ONE, ""), 1)
    state = passed(make(ONE), store_with(tmp_path / "store", "id0", "id1", "id2"))
    found = state.load("etc")
    assert found is not None
    assert len(found.history.chain) == 1
    assert left.exists()


def test_a_run_that_was_killed_between_renaming_and_noting_goes_on(make: Make, left: Path, tmp_path: Path) -> None:
    left.rename(StoreState(left.parent, ONE, "").place.folder)
    state = passed(make(ONE), store_with(tmp_path / "store", "id0"))
    commit_nights(state, NIGHTS)
    assert (state.place.folder / "server").read_text() == f"{ONE}\n"
