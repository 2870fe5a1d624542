"""A disk that is unmounted while its store is in use: its place is neither read as empty nor written to."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Thread

import pytest

from s3napback.errors import StoreError, StoreUnreachable, UnusableStore
from s3napback.stores.directory import DirectoryStore
from tests.hostile.mounts import abandoned
from tests.site import Site
from tests.stores.sources import BytesSource
from tests.stores.test_conformance import content, metadata

LOOKS: dict[str, Callable[[DirectoryStore], object]] = {
    "put": lambda store: store.put("k", BytesSource(b"new"), metadata("new")),
    "head": lambda store: store.head("k"),
    "read": lambda store: list(store.read("k")),
    "list": lambda store: list(store.list("")),
    "gone": lambda store: list(store.gone("")),
    "delete": lambda store: store.delete("k"),
}


@pytest.mark.parametrize("name", LOOKS)
@pytest.mark.parametrize("is_new", [False, True], ids=["with archives", "begun by this run"])
def test_a_disk_that_goes_away_meanwhile_is_neither_empty_nor_written_to(
    root: Path, store: DirectoryStore, name: str, is_new: bool
) -> None:
    DirectoryStore(root).put("k", BytesSource(b"old"), metadata("old"))
    if is_new:
        shutil.rmtree(root)
        root.mkdir()
        store.put("k", BytesSource(b"old"), metadata("old"))
    store.check()
    root.rename(root.with_name("disk"))
    root.mkdir()
    with pytest.raises(StoreUnreachable, match=r"does not hold the mark any more .* Mount the disk"):
        LOOKS[name](store)
    assert list(root.iterdir()) == []
    root.rmdir()
    root.with_name("disk").rename(root)
    assert content(store, "k") == b"old"


def test_a_first_archive_that_another_source_stores_during_a_look_is_no_disk_that_went_away(
    root: Path, store: DirectoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The moment cannot be had otherwise: between looking for the mark and knowing that it was not there."""
    looked = Path.is_file
    others = [Thread(target=store.put, args=("other", BytesSource(b"data"), metadata("other")))]

    def looking(path: Path) -> bool:
        is_there = looked(path)
        if not is_there and others:
            other = others.pop()
            other.start()
            other.join()
        return is_there

    monkeypatch.setattr(Path, "is_file", looking)
    store.put("k", BytesSource(b"data"), metadata("one"))
    monkeypatch.undo()
    assert not others
    assert sorted(found.key for found in store.list("")) == ["k", "other"]


def test_a_disk_that_goes_away_within_a_listing_does_not_seem_to_end_there(root: Path, store: DirectoryStore) -> None:
    for key in ("a/k", "b/k"):
        store.put(key, BytesSource(b"data"), metadata("one"))
    found = store.list("")
    assert next(found).key == "a/k"
    root.rename(root.with_name("disk"))
    root.mkdir()
    with pytest.raises(StoreUnreachable, match="does not hold the mark any more"):
        list(found)


def test_a_disk_that_goes_away_while_an_archive_is_written_is_told_as_that(root: Path, store: DirectoryStore) -> None:
    class Unmounting(BytesSource):
        def readinto(self, buffer: memoryview, /) -> int:
            if self.position == 0:
                root.rename(root.with_name("disk"))
                root.mkdir()
            return super().readinto(buffer)

    store.put("k", BytesSource(b"old"), metadata("old"))
    with pytest.raises(StoreUnreachable, match=r"does not hold the mark any more .* Mount the disk"):
        store.put("k", Unmounting(b"new"), metadata("new"))
    assert list(root.iterdir()) == []
    root.rmdir()
    root.with_name("disk").rename(root)
    assert content(store, "k") == b"old"


class TidyingSource(BytesSource):
    """While its bytes are asked for, another source begins, and removes what an earlier run may have left of it."""

    def __init__(self, store: DirectoryStore, other: str) -> None:
        super().__init__(b"data")
        self._store = store
        self._other = other

    def readinto(self, buffer: memoryview, /) -> int:
        self._store.discard_leftovers(self._other)
        return super().readinto(buffer)


def test_another_source_that_tidies_up_does_not_take_a_folder_away_that_is_needed(
    root: Path, store: DirectoryStore
) -> None:
    store.put("srv/big", TidyingSource(DirectoryStore(root), "srv/other"), metadata("one"))
    assert content(store, "srv/big") == b"data"
    assert store.head("srv/big") is not None


def test_folders_that_others_tidy_away_at_any_moment_are_made_anew(root: Path, store: DirectoryStore) -> None:
    """Many sources at once, with failures among them: each failure removes the folders that are empty."""

    def put(number: int) -> None:
        key = f"atlas/srv/{number}"
        for _ in range(30):
            store.put(key, BytesSource(b"data"), metadata(key))
            store.delete(key)

    with ThreadPoolExecutor(4) as threads:
        for done in [threads.submit(put, number) for number in range(4)]:
            done.result()
    assert list(store.list("")) == []


def test_where_a_disk_was_no_folder_is_made(root: Path, store: DirectoryStore) -> None:
    store.put("k", BytesSource(b"old"), metadata("one"))

    class UnmountingSource(BytesSource):
        def readinto(self, buffer: memoryview, /) -> int:
            if root.exists() and not root.with_name("away").exists():
                root.rename(root.with_name("away"))
                root.mkdir()
            return super().readinto(buffer)

    with pytest.raises(StoreUnreachable, match="unmounted meanwhile"):
        store.put("srv/k", UnmountingSource(b"new"), metadata("two"))
    assert list(root.iterdir()) == []


ASKED: dict[str, Callable[[DirectoryStore], object]] = {**LOOKS, "is_recognised": lambda store: store.is_recognised()}


@pytest.mark.parametrize("name", ASKED)
def test_a_mount_whose_program_has_ended_meanwhile_is_a_failure_of_the_store(
    root: Path, store: DirectoryStore, name: str
) -> None:
    store.put("k", BytesSource(b"old"), metadata("old"))
    with abandoned(root), pytest.raises(StoreError, match="Transport endpoint is not connected"):
        ASKED[name](store)
    assert content(store, "k") == b"old"


@pytest.mark.parametrize("below", ["", "vault"])
def test_a_mount_whose_program_has_ended_is_not_said_to_be_forbidden(tmp_path: Path, below: str) -> None:
    (tmp_path / "mount").mkdir()
    with abandoned(tmp_path / "mount"), pytest.raises(UnusableStore, match=r"cannot be looked at: .* mount it again"):
        DirectoryStore(tmp_path / "mount" / below).check()


def test_every_command_says_so_of_a_store_on_a_mount_whose_program_has_ended(tmp_path: Path) -> None:
    site = Site(tmp_path / "site")
    (site.source / "file").write_text("content")
    site.configure_cycle("")
    site.run()
    words = "cannot be looked at: Transport endpoint is not connected. Its disk has failed, or the program"
    with abandoned(site.vault):
        for command in ((), ("list",), ("verify",), ("prune",), ("ls", str(site.source)), ("status",)):
            assert words in site.run(*command, day=1, expect=2).stderr
        doctor = " ".join(site.run("doctor", day=1, expect=1).stdout.split())
        assert words in doctor
        assert "[Errno" not in doctor
    site.run("verify", day=1)
