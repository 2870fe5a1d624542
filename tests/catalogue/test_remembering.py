"""What a store told is remembered, and nothing that is wrong with the memory is believed."""

from __future__ import annotations

import json
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from s3napback.catalogue import remembering
from s3napback.catalogue.remembering import HeadMemory, cache_folder
from s3napback.stores import StoredObject
from s3napback.stores.directory import DirectoryStore
from tests.stores.sources import BytesSource


class CountedStore(DirectoryStore):
    """A store that counts how often it is asked, and passes for a distant one."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.asked: list[str] = []

    @property
    def is_distant(self) -> bool:
        return True

    def head(self, key: str) -> StoredObject | None:
        self.asked.append(key)
        return super().head(key)


@pytest.fixture
def store(tmp_path: Path) -> CountedStore:
    (tmp_path / "vault").mkdir()
    store = CountedStore(tmp_path / "vault")
    for number in range(3):
        store.put(f"k-{number}-FULL", BytesSource(b"x"), {"s3napback-id": str(number)})
    store.asked.clear()
    return store


def look(store: CountedStore, cache: Path, name: str = "one") -> dict[str, str]:
    """Look at everything, as a run does, and return the ids."""
    memory = HeadMemory(store, cache, name)
    listed = list(store.list(""))
    found = {each.key: memory.head(each) for each in listed}
    memory.save([each.key for each in listed])
    return {key: each.metadata["s3napback-id"] for key, each in found.items() if each is not None}


def asked(store: CountedStore) -> list[str]:
    found, store.asked[:] = list(store.asked), []
    return found


def test_what_has_not_changed_is_asked_for_once(store: CountedStore, tmp_path: Path) -> None:
    first = look(store, tmp_path / "cache")
    assert len(asked(store)) == 3
    assert look(store, tmp_path / "cache") == first
    assert asked(store) == []
    store.put("k-1-FULL", BytesSource(b"y"), {"s3napback-id": "new"})
    asked(store)
    assert look(store, tmp_path / "cache") == {**first, "k-1-FULL": "new"}
    assert asked(store) == ["k-1-FULL"]


def test_what_is_told_from_memory_is_what_the_store_tells(store: CountedStore, tmp_path: Path) -> None:
    look(store, tmp_path / "cache")
    memory = HeadMemory(store, tmp_path / "cache", "one")
    for listed in store.list(""):
        assert memory.head(listed) == store.head(listed.key)


def test_stores_and_prefixes_are_told_apart(store: CountedStore, tmp_path: Path) -> None:
    look(store, tmp_path / "cache", "one")
    asked(store)
    look(store, tmp_path / "cache", "two")
    assert len(asked(store)) == 3


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _data: b"",
    "cut off": lambda data: data[:-20],
    "another id": lambda data: data.replace(b'"s3napback-id":"1"', b'"s3napback-id":"9"'),
    "of another version": lambda data: data.replace(b"s3napback-heads-", b"s3napback-heads-1"),
    "something else": lambda _data: os.urandom(1000),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_memory_costs_time_only(store: CountedStore, tmp_path: Path, damage: str) -> None:
    first = look(store, tmp_path / "cache")
    (file,) = (tmp_path / "cache").iterdir()
    file.write_bytes(DAMAGES[damage](file.read_bytes()))
    asked(store)
    assert look(store, tmp_path / "cache") == first
    assert len(asked(store)) == 3
    look(store, tmp_path / "cache")
    assert asked(store) == []


def test_a_folder_that_others_may_write_to_is_not_used(store: CountedStore, tmp_path: Path) -> None:
    first = look(store, tmp_path / "cache")
    (tmp_path / "cache").chmod(0o777)
    asked(store)
    assert look(store, tmp_path / "cache") == first
    assert len(asked(store)) == 3


def test_folder_and_file_are_private_and_hold_no_more_than_is_there(store: CountedStore, tmp_path: Path) -> None:
    cache = tmp_path / "new" / "cache"
    look(store, cache)
    (file,) = cache.iterdir()
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    store.delete("k-0-FULL")
    look(store, cache)
    assert [json.loads(line)[0] for line in file.read_bytes().splitlines()[1:]] == ["k-1-FULL", "k-2-FULL"]


def test_a_folder_that_cannot_be_made_keeps_nobody_from_looking(store: CountedStore, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert len(look(store, tmp_path / "file" / "cache")) == 3


def test_runs_at_the_same_time_leave_a_whole_memory(store: CountedStore, tmp_path: Path) -> None:
    threads = [threading.Thread(target=look, args=(CountedStore(tmp_path / "vault"), tmp_path / "c")) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    look(store, tmp_path / "c")
    assert asked(store) == []
    assert len(list((tmp_path / "c").iterdir())) == 1


def test_memories_that_nobody_uses_go(store: CountedStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembering, "MOST_FILES", 2)
    for name in ("one", "two", "three"):
        look(store, tmp_path / "cache", name)
    assert len(list((tmp_path / "cache").iterdir())) == 2
    for file in (tmp_path / "cache").iterdir():
        os.utime(file, (0, 0))
    look(store, tmp_path / "cache", "four")
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_the_users_cache_folder_is_used() -> None:
    assert cache_folder({"XDG_CACHE_HOME": "/x", "HOME": "/home/u"}) == Path("/x/s3napback")
    expected = Path("/var/cache/s3napback") if os.geteuid() == 0 else Path("/home/u/.cache/s3napback")
    assert cache_folder({"XDG_CACHE_HOME": "relative", "HOME": "/home/u"}) == expected


def test_metadata_that_are_kept_are_those_that_were_told(store: CountedStore, tmp_path: Path) -> None:
    memory = HeadMemory(store, tmp_path / "cache", "one")
    (listed, *_) = store.list("")
    found = memory.head(listed)
    assert found is not None
    assert found.metadata == {"s3napback-id": "0"}
    assert found.metadata == {"s3napback-id": "0"}
    assert dict(found.metadata) == {"s3napback-id": "0"}
    assert "other" not in found.metadata
    with pytest.raises(KeyError):
        found.metadata["other"]
