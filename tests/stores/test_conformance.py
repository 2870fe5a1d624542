"""What every store must do: one suite for the directory store and every server that is at hand."""

from __future__ import annotations

import os
import signal
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import pytest

from s3napback.config.settings import StoreSettings
from s3napback.errors import Interrupted, PipelineError, StoreError, UnusableStore
from s3napback.stores import Store
from s3napback.stores.opening import open_store
from tests.servers import S3Server
from tests.stores.sources import BytesSource, EndlessSource, SourceThatFails

MEBIBYTE = 1 << 20
PART = 5 * MEBIBYTE
SMALL = b"a small archive"
LARGE = os.urandom(2 * PART + 12_345)
ODD_KEYS = [
    "-0-FULL",
    "prefix/-0-FULL",
    "home/with space-3-DIFF",
    "home/ünïcödé/日本-0-FULL",
    "a+b-0-FULL",
    "100%25-0-FULL",
    'it\'s "quoted"&<x>-0-FULL',
    "~tilde=equals;semi,comma@at$dollar!-0-FULL",
    "back\\slash*star?[x]#hash-0-FULL",
    "etc-0-FULL.sha256",
    ".hidden/.dot-0-FULL",
]
SLASHES = {"seaweedfs": str.maketrans("\\", "/")}
"""As whose other character a server takes one: where it is there, keys that differ in it alone are the same."""


@dataclass
class Bench:
    """A store under test, and a look behind its back.

    Attributes:
        leftovers: lists what unfinished uploads have left behind.
        listed_as: what a key is in a listing.
        missing: a store whose bucket or folder does not exist.
    """

    store: Store
    leftovers: Callable[[], list[str]]
    missing: Store
    listed_as: Callable[[str], str] = str


CEPH = pytest.param("ceph", marks=pytest.mark.ceph)


@pytest.fixture(params=["directory", "moto", "rclone", "seaweedfs", "swift", CEPH])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    if request.param == "directory":
        root = tmp_path / "vault"
        root.mkdir()
        return Bench(
            open_store(StoreSettings(folder=root)),
            lambda: directory_leftovers(root),
            open_store(StoreSettings(folder=tmp_path / "unmounted")),
        )
    server: S3Server = request.getfixturevalue(request.param)
    bucket = server.make_bucket()

    def open_bucket(name: str) -> Store:
        settings = server.settings(name, chunk_size=PART, upload_threads=2)
        return open_store(settings, server.credentials)

    def leftovers() -> list[str]:
        hidden = server.folder.glob(f"{bucket}/.rclone*") if server.folder else []
        return [*server.unfinished_uploads(bucket), *map(str, hidden)]

    def listed_as(key: str) -> str:
        return key.translate(SLASHES.get(server.kind, {}))

    return Bench(open_bucket(bucket), leftovers, open_bucket("no-such-bucket"), listed_as)


def directory_leftovers(root: Path) -> list[str]:
    """Unfinished data, and metadata in excess of one file for every object."""
    private = [path for path in root.glob(".s3napback/objects/**/*") if path.is_file()]
    known = [path for path in root.rglob("*") if path.is_file() and ".s3napback" not in path.parts]
    return [str(path) for path in sorted(private, key=lambda path: path.suffix)[: len(private) - len(known)]]


def metadata(identity: str = "one", **others: str) -> dict[str, str]:
    return {"s3napback-id": identity, "s3napback-source": "Directory%20/%C3%A4%20b", **others}


def content(store: Store, key: str) -> bytes:
    return b"".join(store.read(key))


@pytest.mark.parametrize(
    "data", [b"", b"x", SMALL, bytes(PART), LARGE], ids=["empty", "byte", "small", "part", "parts"]
)
def test_what_is_put_is_what_is_read(bench: Bench, data: bytes) -> None:
    before = datetime.now(timezone.utc)
    stored = bench.store.put("etc-0-FULL", BytesSource(data), metadata())
    assert stored == bench.store.head("etc-0-FULL")
    assert (stored.key, stored.size, stored.metadata) == ("etc-0-FULL", len(data), metadata())
    assert abs((stored.modified - before).total_seconds()) < 30
    assert content(bench.store, "etc-0-FULL") == data
    assert bench.leftovers() == []


def test_odd_keys_are_kept_as_they_are(bench: Bench) -> None:
    for key in ODD_KEYS:
        bench.store.put(key, BytesSource(SMALL), metadata())
        assert [found.key for found in bench.store.list("")] == [bench.listed_as(key)]
        assert [found.key for found in bench.store.list(bench.listed_as(key))] == [bench.listed_as(key)]
        assert content(bench.store, key) == SMALL
        assert bench.store.discard_leftovers(key) == 0
        found = bench.store.head(key)
        assert found is not None
        assert found.metadata == metadata()
        bench.store.delete(key)
        assert bench.store.head(key) is None


def test_odd_keys_work_in_several_parts(bench: Bench) -> None:
    key = 'a "b" +ü%20/-1-DIFF'
    bench.store.put(key, BytesSource(LARGE), metadata())
    assert content(bench.store, key) == LARGE


def test_data_and_metadata_are_replaced_together(bench: Bench) -> None:
    for number, data in enumerate([SMALL, LARGE, SMALL, SMALL, b"a small, other one"]):
        stored = bench.store.put("etc-0-FULL", BytesSource(data), metadata(str(number)))
        assert stored.metadata["s3napback-id"] == str(number)
        assert content(bench.store, "etc-0-FULL") == data
    assert bench.leftovers() == []


@pytest.mark.parametrize("error", [PipelineError("gpg"), Interrupted(signal.SIGTERM), KeyboardInterrupt()], ids=repr)
def test_a_source_that_fails_changes_nothing(bench: Bench, error: BaseException) -> None:
    old = bench.store.put("etc-0-FULL", BytesSource(SMALL), metadata("old"))
    for length in [0, 7, PART, PART + 7, 3 * PART - 1]:
        with pytest.raises(type(error)) as raised:
            bench.store.put("etc-0-FULL", SourceThatFails(bytes(length), error), metadata("new"))
        assert raised.value is error
        assert bench.store.head("etc-0-FULL") == old
        assert content(bench.store, "etc-0-FULL") == SMALL
        assert bench.leftovers() == []
        assert [found.key for found in bench.store.list("")] == ["etc-0-FULL"]


def test_a_source_that_fails_leaves_no_new_object(bench: Bench) -> None:
    for length in (7, PART + 7):
        with pytest.raises(PipelineError):
            bench.store.put("new/etc-0-FULL", SourceThatFails(bytes(length)), metadata())
        assert bench.store.head("new/etc-0-FULL") is None
        assert list(bench.store.list("")) == []
        assert bench.leftovers() == []


def test_a_listing_is_exact(bench: Bench) -> None:
    keys = ["a-0-FULL", "a.b", "a/b/c", "a/bc", "a0", "ab/c", "b", "ä/x", "ab c", "A"]
    for key in keys:
        bench.store.put(key, BytesSource(key.encode()), metadata())
    for prefix in ["", "a", "a/", "a/b", "a/b/", "ab", "ä", "zz", "a/b/c/d", "a-0-FULL"]:
        listed = sorted(bench.store.list(prefix), key=lambda found: found.key)
        assert [found.key for found in listed] == sorted(key for key in keys if key.startswith(prefix))
        assert [found.size for found in listed] == [len(found.key.encode()) for found in listed]
        assert all(found.modified.tzinfo for found in listed)


def test_ranges_are_read_as_asked_for(bench: Bench) -> None:
    version = bench.store.put("k", BytesSource(LARGE), metadata()).version
    for start, end in [(0, 1), (5, 5), (9, 2), (7, PART + 3), (len(LARGE) - 1, len(LARGE)), (0, len(LARGE))]:
        assert b"".join(bench.store.read("k", start=start, end=end, version=version)) == LARGE[start:end]
    assert b"".join(bench.store.read("k", start=PART)) == LARGE[PART:]
    assert b"".join(bench.store.read("k", start=len(LARGE))) == b""


def test_a_range_past_the_end_is_an_error(bench: Bench) -> None:
    bench.store.put("k", BytesSource(SMALL), metadata())
    for start in (0, 3, len(SMALL), len(SMALL) + 5):
        with pytest.raises(StoreError, match="ends before byte"):
            list(bench.store.read("k", start=start, end=len(SMALL) + 10))


def test_what_is_absent_is_told_apart_from_failure(bench: Bench) -> None:
    bench.store.put("a/b", BytesSource(SMALL), metadata())
    for key in ("nothing", "a", "a/b/c", "a/c"):
        assert bench.store.head(key) is None
        with pytest.raises(StoreError, match=f"/{key} failed"):
            list(bench.store.read(key))
    for key in ("nothing", "a/c"):
        bench.store.delete(key)
    assert content(bench.store, "a/b") == SMALL


def test_another_version_is_not_read(bench: Bench) -> None:
    old = bench.store.put("k", BytesSource(SMALL), metadata())
    assert b"".join(bench.store.read("k", version=old.version)) == SMALL
    new = bench.store.put("k", BytesSource(SMALL[::-1]), metadata())
    assert new.version != old.version
    with pytest.raises(StoreError, match="replaced"):
        list(bench.store.read("k", version=old.version))


def test_a_reader_never_gets_a_mixture(bench: Bench) -> None:
    old, new = bytes(3 * PART), b"\xff" * (3 * PART)
    bench.store.put("k", BytesSource(old), metadata())
    reader = bench.store.read("k")
    got = next(reader)
    bench.store.put("k", BytesSource(new), metadata())
    try:
        got += b"".join(reader)
    except StoreError:
        assert got == bytes(len(got))
    else:
        assert got == old
    assert content(bench.store, "k") == new


def test_deleting_removes_one_object_only(bench: Bench) -> None:
    for key in ("a/k", "a/k.sha256", "a/kk"):
        bench.store.put(key, BytesSource(SMALL), metadata())
    bench.store.delete("a/k")
    bench.store.delete("a/k")
    assert [found.key for found in bench.store.list("")] == ["a/k.sha256", "a/kk"]
    assert bench.leftovers() == []


def test_memory_is_bounded_by_parts(bench: Bench) -> None:
    warm = bench.store.put("k", BytesSource(LARGE), metadata())
    assert warm.size == len(LARGE)
    tracemalloc.start()
    try:
        bench.store.put("k", EndlessSource(16 * PART), metadata())
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        for _block in bench.store.read("k"):
            pass
        assert tracemalloc.get_traced_memory()[1] < 5 * MEBIBYTE
    finally:
        tracemalloc.stop()
    assert peak < 3 * PART + 3 * MEBIBYTE


def test_a_guess_at_the_size_changes_nothing_but_parts(bench: Bench) -> None:
    for guess in (0, 1, 10**9, 10**11):
        bench.store.put("k", BytesSource(LARGE), metadata(), expected_size=guess)
        assert content(bench.store, "k") == LARGE


def test_a_store_that_is_there_passes_the_check(bench: Bench) -> None:
    bench.store.check()


def test_a_store_that_is_missing_is_unusable_and_never_made(bench: Bench) -> None:
    for _attempt in (1, 2):
        with pytest.raises(UnusableStore, match=r"unmounted|no-such-bucket"):
            bench.missing.check()
        with pytest.raises(StoreError):
            bench.missing.put("k", BytesSource(SMALL), metadata())


def test_the_store_is_recognised_once_written_to(bench: Bench) -> None:
    bench.store.put("k", BytesSource(SMALL), metadata())
    assert bench.store.is_recognised()
    bench.store.delete("k")
    assert bench.store.is_recognised()


def test_discarding_leftovers_spares_what_is_whole_and_others_keys(bench: Bench) -> None:
    bench.store.put("k", BytesSource(SMALL), metadata())
    bench.store.put("k2", BytesSource(SMALL), metadata())
    assert bench.store.discard_leftovers("k") == 0
    time.sleep(0.01)
    assert content(bench.store, "k") == content(bench.store, "k2") == SMALL
    found = bench.store.head("k2")
    assert found is not None
    assert found.metadata == metadata()
