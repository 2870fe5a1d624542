"""DiffDir: commits that nothing can tear, folders that nobody else can write, and the lock."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from s3napback.chains import Memory, SourceState
from s3napback.errors import StateError, UnusableDiffDir
from s3napback.kinds import SourceName
from s3napback.run_lock import locked, make_diff_dir
from s3napback.sources import WORKING
from s3napback.state import StoreState, _read_state
from tests.sources.trees import describe_tree
from tests.states import STORE, commit, commit_nights, link, sha256, state_of

PROJECT = Path(__file__).parents[1]


def snapshot_matches(state: StoreState, found: SourceState) -> bool:
    """Whether every snapshot and every index that is remembered is there, and is the one that was."""
    memories = [each.memory for each in found.history.chain if each.memory]
    folder = state.folder(found.name)
    return bool(memories) and all(
        sha256((folder / name).read_bytes()) == digest
        for memory in memories
        for name, digest in ((memory.snapshot, memory.snapshot_sha256), (memory.index, memory.index_sha256))
    )


@pytest.fixture
def state(diff_dir: Path) -> StoreState:
    return StoreState(diff_dir, STORE, "")


def test_what_was_committed_is_loaded_again(state: StoreState) -> None:
    assert state.load("etc") is None
    new = commit_nights(state, 1)
    assert state.load("etc") == new
    assert new.newest == link(0, b"snapshot 0")
    assert snapshot_matches(state, new)


def test_only_the_newest_archive_and_its_parent_keep_a_snapshot(state: StoreState) -> None:
    new = commit_nights(state, 4)
    assert [each.memory is not None for each in new.history.chain] == [False, False, True, True]
    assert {path.name for path in state.folder("etc").iterdir()} == {
        *("id2.snapshot", "id3.snapshot", "id2.index", "id3.index"),
        "state.json",
    }
    assert snapshot_matches(state, new)
    assert state.load("etc") == new


def test_a_source_without_a_snapshot_keeps_state_too(state: StoreState) -> None:
    new = state_of(replace(link(0, b""), memory=Memory(notes={"revision": "12"})))
    state.commit(new)
    assert state.load("etc") == new


def test_a_name_without_a_backup_keeps_what_was_noted(state: StoreState) -> None:
    state.commit(state_of())
    assert state.load("etc") == state_of()
    assert not state.knows_store()


@pytest.mark.parametrize("name", ["", "root", "a/b", "a-b", "ä", "x" * 900, "two words", "..", "a\\b", "A/b"])
def test_any_name_has_a_folder_of_its_own_below_diff_dir(diff_dir: Path, name: str) -> None:
    state = StoreState(diff_dir, STORE, "")
    others = ["", "root", "a/b", "a-b", "ä", "..", "A/b"]
    for other in others:
        state.commit(state_of(name=other))
    state.commit(replace(state_of(name=name), cycle="mine"))
    assert state.load(name) == replace(state_of(name=name), cycle="mine")
    for other in {*others} - {name}:
        assert state.load(other) == state_of(name=other)
    assert state.folder(name).parent.parent == diff_dir


@pytest.mark.parametrize(
    ("identity", "prefix"),
    [("https://s3.example/other", ""), (STORE, "p"), ("https://s3.example/bucke", "t"), (f"{STORE}-p", "")],
)
def test_stores_and_prefixes_do_not_mix(diff_dir: Path, identity: str, prefix: str) -> None:
    one, other = StoreState(diff_dir, STORE, ""), StoreState(diff_dir, identity, prefix)
    commit_nights(one, 2)
    assert other.load("etc") is None
    assert not other.knows_store()
    commit_nights(other, 1)
    found = one.load("etc")
    assert found is not None
    assert len(found.history.chain) == 2
    assert snapshot_matches(one, found)
    assert one.knows_store()
    assert other.knows_store()


def test_a_prefix_is_not_the_end_of_a_stores_identity(diff_dir: Path) -> None:
    commit_nights(StoreState(diff_dir, "a/", "b"), 1)
    assert StoreState(diff_dir, "a", "/b").load("etc") is None


def test_a_former_name_of_the_same_source_and_cycle_is_found(state: StoreState) -> None:
    commit_nights(state, 1)
    assert state.former_names(SourceName("Directory", "/etc"), "daily", "daily/etc") == ["etc"]
    assert state.former_names(SourceName("Directory", "/etc"), "daily", "etc") == []
    assert state.former_names(SourceName("Directory", "/etc"), "weekly", "daily/etc") == []
    assert state.former_names(SourceName("Directory", "/var"), "daily", "daily/etc") == []


def test_all_state_is_read_once_however_many_sources_ask_for_their_former_names(
    state: StoreState, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        commit(state, state_of(link(0, b"snapshot"), name=f"source{number}"), b"snapshot")
    reads: list[Path] = []

    def counted(file: Path) -> SourceState:
        reads.append(file)
        return _read_state(file)

    monkeypatch.setattr("s3napback.state._read_state", counted)
    for number in range(5):
        source = SourceName("Directory", f"/source{number}")
        assert state.former_names(source, "daily", "new") == [f"source{number}"]
    assert len(reads) == 5


def kill_at_every_step(diff_dir: Path) -> list[str]:
    """The steps of a commit; what is left by a process killed before the first lies in ``DIFFDIR-1``, and so on."""
    script = [sys.executable, "-m", "tests.crashing_commit", str(diff_dir)]
    done = subprocess.run(script, cwd=PROJECT, capture_output=True, text=True, check=True, timeout=120)
    return done.stdout.splitlines()


def test_whenever_a_commit_is_killed_the_old_state_or_the_new_is_whole(diff_dir: Path) -> None:
    old = commit_nights(StoreState(diff_dir, STORE, ""), 2)
    steps = kill_at_every_step(diff_dir)
    outcomes = []
    for step in range(1, len(steps) + 2):
        state = StoreState(Path(f"{diff_dir}-{step}"), STORE, "")
        found = state.load("etc")
        assert found is not None
        assert snapshot_matches(state, found), step
        outcomes.append(len(found.history.chain))
        assert found == old or len(found.history.chain) == 3
        with state.workplace("etc") as folder:
            memories = [each.memory for each in found.history.chain if each.memory]
            kept = {name for memory in memories for name in (memory.snapshot, memory.index)}
            assert {path.name for path in folder.iterdir()} == {"state.json", *kept}
            assert state.load("etc") == found
    assert outcomes == sorted(outcomes)
    assert {*outcomes} == {2, 3}
    assert len(outcomes) > 10


def test_everything_is_flushed_before_the_state_is_replaced_and_the_replacement_after(diff_dir: Path) -> None:
    """A power cut, unlike a kill, loses what was not flushed."""
    commit_nights(StoreState(diff_dir, STORE, ""), 2)
    steps = kill_at_every_step(diff_dir)
    folder = StoreState(diff_dir, STORE, "").folder("etc").name
    keep_snapshot = steps.index(f"os.rename {WORKING} id2.snapshot")
    replace_state = steps.index("os.rename state.json.new state.json")
    assert f"os.fsync {WORKING}" in steps[:keep_snapshot]
    assert keep_snapshot < replace_state
    assert "os.fsync state.json.new" in steps[:replace_state]
    assert f"os.fsync {folder}" in steps[keep_snapshot:replace_state]
    assert f"os.fsync {folder}" in steps[replace_state:]
    removed = [index for index, step in enumerate(steps) if step == "os.remove id0.snapshot"]
    assert removed
    assert min(removed) > replace_state


def test_a_commit_that_cannot_be_written_leaves_the_old_state(state: StoreState) -> None:
    old = commit_nights(state, 2)
    # A folder where the new state is to be written cannot be replaced by a file, not even by root.
    obstacle = state.folder("etc") / "state.json.new"
    obstacle.mkdir()
    with pytest.raises(StateError, match="cannot write the state"):
        state.commit(replace(old, cycle="other"), owed={"id2.owed": b"of what does not count"})
    obstacle.rmdir()
    assert not list(state.folder("etc").glob("*.owed"))
    assert state.load("etc") == old
    assert snapshot_matches(state, old)


def test_leftovers_are_gone_when_the_next_workplace_is_entered_and_when_it_is_left(state: StoreState) -> None:
    old = commit_nights(state, 2)
    folder = state.folder("etc")
    for name in (WORKING, "state.json.new", "id9.snapshot"):
        (folder / name).write_text("rubbish")
    with state.workplace("etc") as found:
        assert found == folder
        assert {path.name for path in folder.iterdir()} == {
            "state.json",
            *(f"id{number}.{what}" for number in (0, 1) for what in ("snapshot", "index")),
        }
        (folder / WORKING).write_text("half a snapshot")
    assert {path.name for path in folder.iterdir()} == {
        "state.json",
        *(f"id{number}.{what}" for number in (0, 1) for what in ("snapshot", "index")),
    }
    assert state.load("etc") == old


def content_of(folder: Path) -> dict[str, tuple[int, str]]:
    """What lies in a folder, without the lock file and the times of folders."""
    return {name: (each.mode, each.content) for name, each in describe_tree(folder).items() if name != "lock"}


def test_a_first_backup_that_fails_leaves_nothing(diff_dir: Path, state: StoreState) -> None:
    before = content_of(diff_dir)
    with pytest.raises(ZeroDivisionError), locked(diff_dir, "me"), state.workplace("etc") as folder:
        (folder / WORKING).write_text("half a snapshot")
        raise ZeroDivisionError
    assert content_of(diff_dir) == before


def test_a_later_backup_that_fails_leaves_everything_as_it_was(diff_dir: Path, state: StoreState) -> None:
    commit_nights(state, 3)
    before = content_of(diff_dir)
    with pytest.raises(ZeroDivisionError), locked(diff_dir, "me"), state.workplace("etc") as folder:
        (folder / WORKING).write_text("half a snapshot")
        raise ZeroDivisionError
    assert content_of(diff_dir) == before


def test_reading_makes_nothing(diff_dir: Path, state: StoreState) -> None:
    assert state.load("etc") is None
    assert list(state.all()) == []
    assert not state.knows_store()
    assert state.former_names(SourceName("Directory", "/etc"), "", "etc") == []
    assert list(diff_dir.iterdir()) == []


def test_state_is_private_whatever_the_umask(diff_dir: Path, state: StoreState) -> None:
    before = os.umask(0)
    try:
        commit_nights(state, 2)
        with locked(diff_dir, "me"):
            pass
        make_diff_dir(diff_dir.parent / "default" / "s3napback")
        with state.workplace("other") as folder:
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    finally:
        os.umask(before)
    assert stat.S_IMODE((diff_dir.parent / "default" / "s3napback").stat().st_mode) == 0o700
    modes = {name: stat.S_IMODE(each.mode) for name, each in describe_tree(diff_dir).items() if name != "."}
    folders = {name: mode for name, mode in modes.items() if (diff_dir / name).is_dir()}
    assert set(folders.values()) == {0o700}
    own_files = {name: mode for name, mode in modes.items() if name.endswith(("state.json", "lock"))}
    assert set(own_files.values()) == {0o600}
    assert len(own_files) == 2


def test_the_default_diff_dir_is_made_with_its_parents(tmp_path: Path) -> None:
    make_diff_dir(tmp_path / "a" / "b")
    make_diff_dir(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()


def test_a_default_diff_dir_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match="cannot create"):
        make_diff_dir(tmp_path / "file" / "diff")


def test_sources_at_a_time_do_not_remove_each_others_folders(state: StoreState) -> None:
    def work(number: int) -> None:
        for _ in range(100):
            with state.workplace(f"source-{number}") as folder:
                assert folder.is_dir()

    with ThreadPoolExecutor(4) as workers:
        list(workers.map(work, range(4)))
    assert not state.folder("source-0").parent.exists()


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_without_locks_is_told(diff_dir: Path, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """As NFS version 3 without its lock daemon, which no test can have: the kernel's client is needed for it."""

    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(UnusableDiffDir, match=f"cannot lock {diff_dir}/lock: {os.strerror(number)}; set DiffDir"):
        with locked(diff_dir, "somebody"):
            pass
