"""A file system that lists what is kept under other names than were given: no night seems good on it.

Such a one (NTFS with ``ignore_case``, ``vfat`` with ``shortname=lower``) cannot be mounted everywhere. So what a folder
is said to hold is changed here, and all else is real.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from s3napback.errors import StoreError
from s3napback.stores import directory, folders
from s3napback.stores.directory import DirectoryStore
from tests.stores.sources import BytesSource
from tests.stores.test_conformance import content, directory_leftovers, metadata

Listing = Callable[[str], list[bytes]]


def have_listed(monkeypatch: pytest.MonkeyPatch, change: Callable[[Listing, str], list[bytes]]) -> None:
    """Have every folder be listed as ``change`` says, which is given the real listing."""
    real = folders.names_in
    monkeypatch.setattr(folders, "_LOOKS_AFTER", (0.0, 0.0, 0.0))
    for module in (folders, directory):
        monkeypatch.setattr(module, "names_in", lambda folder: change(real, folder))


def in_lower_case(real: Listing, folder: str) -> list[bytes]:
    return [name.lower() for name in real(folder)]


@pytest.mark.parametrize("key", ["etc-0-FULL", "Data/x", "a/Data/b/x"])
def test_an_archive_that_is_listed_by_another_name_is_refused_and_gone(
    root: Path, store: DirectoryStore, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    have_listed(monkeypatch, in_lower_case)
    for _night in range(2):
        with pytest.raises(StoreError, match="has another name where its folder is listed"):
            store.put(key, BytesSource(b"data"), metadata("one"))
        assert list(store.list("")) == []
        assert directory_leftovers(root) == []


def test_so_is_one_that_an_earlier_version_kept(
    root: Path, store: DirectoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put("etc-0-FULL", BytesSource(b"old"), metadata("old"))
    have_listed(monkeypatch, in_lower_case)
    with pytest.raises(StoreError, match="has another name where its folder is listed"):
        DirectoryStore(root).put("etc-0-FULL", BytesSource(b"new"), metadata("new"))


def test_what_is_listed_by_its_name_is_kept(store: DirectoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    have_listed(monkeypatch, in_lower_case)
    store.put("a/etc-0-full", BytesSource(b"data"), metadata("one"))
    assert content(store, "a/etc-0-full") == b"data"


def test_a_listing_that_lags_behind_is_waited_for(store: DirectoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []

    def lagging(real: Listing, folder: str) -> list[bytes]:
        looks.append(folder)
        return real(folder) if len(looks) > 1 else []

    have_listed(monkeypatch, lagging)
    store.put("k", BytesSource(b"data"), metadata("one"))
    assert content(store, "k") == b"data"


def test_a_folder_is_listed_once_for_all_that_was_in_it(
    root: Path, store: DirectoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [f"a/k{number}" for number in range(20)]
    for key in keys:
        store.put(key, BytesSource(b"old"), metadata("old"))
    looks = []

    def counted(real: Listing, folder: str) -> list[bytes]:
        looks.append(folder)
        return real(folder)

    have_listed(monkeypatch, counted)
    later = DirectoryStore(root)
    for key in keys:
        later.put(key, BytesSource(b"new"), metadata("new"))
    assert looks == [str(root), str(root / "a")]
