"""The directory store: crashes at every step, links, locales, coarse clocks, full disks."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from s3napback.errors import StoreError, UnusableStore
from s3napback.stores.directory import DirectoryStore
from tests.peaks import peak_of
from tests.stores.sources import BytesSource, EndlessSource
from tests.stores.test_conformance import content, directory_leftovers, metadata

PROJECT = Path(__file__).parents[2]


def crash(root: Path, key: str, data: str, identity: str) -> list[Path]:
    """What is left of ``root`` by a process killed at each of its steps."""
    script = [sys.executable, "-m", "tests.stores.crashing_put", str(root), key, data, identity]
    done = subprocess.run(script, cwd=PROJECT, capture_output=True, text=True, check=True, timeout=120)
    return [Path(f"{root}-{step}") for step in range(1, int(done.stdout) + 1)]


def identity_and_content(store: DirectoryStore, key: str) -> tuple[str, bytes] | None:
    found = store.head(key)
    return (found.metadata.get("s3napback-id", "none"), content(store, key)) if found else None


@pytest.mark.parametrize("old", ["old data", "older, longer data"], ids=["same length", "other length"])
def test_whenever_a_put_is_killed_metadata_is_that_of_the_data(root: Path, store: DirectoryStore, old: str) -> None:
    store.put("a/k", BytesSource(old.encode()), metadata("old"))
    outcomes = []
    for crashed in crash(root, "a/k", "new data", "new"):
        found = identity_and_content(DirectoryStore(crashed), "a/k")
        assert found in [("old", old.encode()), ("new", b"new data")], crashed
        outcomes.append(found)
        recovered = DirectoryStore(crashed)
        recovered.discard_leftovers("a/k")
        assert identity_and_content(recovered, "a/k") == found
        assert directory_leftovers(crashed) == []
        recovered.put("a/k", BytesSource(b"next day"), metadata("next"))
        assert identity_and_content(recovered, "a/k") == ("next", b"next day")
        assert directory_leftovers(crashed) == []
    assert len(outcomes) > 30
    assert outcomes == sorted(outcomes, key=lambda found: found != ("old", old.encode()))
    assert outcomes[-1] == ("new", b"new data")


def test_whenever_the_first_put_is_killed_there_is_no_object_or_a_whole_one(root: Path) -> None:
    crashes = crash(root, "a/k", "new data", "new")
    for crashed in crashes:
        assert identity_and_content(DirectoryStore(crashed), "a/k") in [None, ("new", b"new data")], crashed
        DirectoryStore(crashed).discard_leftovers("a/k")
        assert directory_leftovers(crashed) == []
    assert len(crashes) > 30


def test_whenever_a_deletion_is_killed_the_object_is_whole_or_gone(root: Path, store: DirectoryStore) -> None:
    store.put("a/k", BytesSource(b"old data"), metadata("old"))
    for crashed in crash(root, "a/k", "-", ""):
        assert identity_and_content(DirectoryStore(crashed), "a/k") in [None, ("old", b"old data")], crashed
        DirectoryStore(crashed).put("a/k", BytesSource(b"new data"), metadata("new"))
        assert identity_and_content(DirectoryStore(crashed), "a/k") == ("new", b"new data")
        assert directory_leftovers(crashed) == []


def test_data_and_metadata_are_on_disk_before_the_rename(
    root: Path, store: DirectoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    at_rename: list[tuple[set[int], set[int]]] = []
    fsync, replace = os.fsync, Path.replace

    def recording_fsync(descriptor: int) -> None:
        fsync(descriptor)
        synced.append(os.fstat(descriptor).st_ino)

    def recording_replace(path: Path, target: Path) -> Path:
        needed = {entry.stat().st_ino for entry in [path.parent, *path.parent.iterdir()]}
        at_rename.append((needed, set(synced)))
        synced.clear()
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", recording_fsync)
    monkeypatch.setattr(Path, "replace", recording_replace)
    store.put("a/k", BytesSource(b"data"), metadata())
    (needed, done) = at_rename[0]
    assert len(needed) == 3
    assert needed <= done
    assert (root / "a").stat().st_ino in synced


def test_the_marker_is_on_disk_before_the_first_object_is_in_place(
    root: Path, store: DirectoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without it an empty folder would pass for the store: the place where its disk is mounted, say."""
    synced: set[tuple[int, int]] = set()
    at_rename: list[set[tuple[int, int]]] = []
    fsync, replace = os.fsync, Path.replace

    def recording_fsync(descriptor: int) -> None:
        fsync(descriptor)
        status = os.fstat(descriptor)
        # with its length, since what is written after that is not on disk
        synced.add((status.st_ino, status.st_size))

    def recording_replace(path: Path, target: Path) -> Path:
        at_rename.append(set(synced))
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", recording_fsync)
    monkeypatch.setattr(Path, "replace", recording_replace)
    marker = root / ".s3napback" / "store"
    store.put("a/k", BytesSource(b"data"), metadata())
    # a new name is on disk when its folder is
    assert {marker.parent.stat().st_ino, root.stat().st_ino} <= {inode for inode, _ in at_rename[0]}
    marker.unlink()
    synced.clear()
    at_rename.clear()
    DirectoryStore(root).put("a/k", BytesSource(b"data"), metadata())
    assert marker.stat().st_size > 0
    assert (marker.stat().st_ino, marker.stat().st_size) in at_rename[0]
    assert marker.parent.stat().st_ino in {inode for inode, _ in at_rename[0]}


def test_new_data_of_the_same_length_in_the_same_second_keeps_its_own_metadata(store: DirectoryStore) -> None:
    versions = set()
    for number in range(6):
        versions.add(store.put("k", BytesSource(b"%d" % number), metadata(str(number))).version.rpartition("-")[0])
        assert identity_and_content(store, "k") == (str(number), b"%d" % number)
    assert len(versions) > 1


def test_a_coarse_clock_of_the_file_system_is_noticed(store: DirectoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    utime = os.utime

    def coarse_utime(path: int, times: tuple[int, int]) -> None:
        accessed, modified = times
        utime(path, (accessed // 60 * 60, modified // 60 * 60))

    monkeypatch.setattr(os, "utime", coarse_utime)
    first = store.put("k", BytesSource(b"1"), metadata("first"))
    second = store.put("k", BytesSource(b"2"), metadata("second"))
    assert first.modified != second.modified
    assert identity_and_content(store, "k") == ("second", b"2")


def test_foreign_data_never_gets_the_metadata_of_what_comes_later(root: Path, store: DirectoryStore) -> None:
    (root / "k").write_bytes(b"by hand")
    now = int(time.time()) // 2 * 2
    for second in range(now, now + 60, 2):
        os.utime(root / "k", (second, second))
        crashed = DirectoryStore(root)
        assert identity_and_content(crashed, "k") == ("none", b"by hand")
    os.utime(root / "k", (now, now))
    for left in crash(root, "k", "archive", "new"):
        assert identity_and_content(DirectoryStore(left), "k") in [("none", b"by hand"), ("new", b"archive")], left


def test_data_replaced_by_hand_has_no_metadata(root: Path, store: DirectoryStore) -> None:
    store.put("k", BytesSource(b"archive"), metadata())
    os.utime(root / "k", ns=(1, 1))
    assert identity_and_content(store, "k") == ("none", b"archive")


def test_metadata_that_makes_no_sense_is_passed_over(root: Path, store: DirectoryStore) -> None:
    store.put("k", BytesSource(b"archive"), metadata())
    texts = [b"", b"{", b"[]", b'"x"', b"[" * 60_000, b'{"size": 7}', b"\xff\xfe", b'{"metadata": {}}']
    texts.append(b'{"metadata": {}, "size": [], "mtime_ns": {}}')
    for number, text in enumerate(texts):
        (root / f".s3napback/objects/k/0{number}.json").write_bytes(text)
    assert identity_and_content(store, "k") == ("one", b"archive")
    store.put("k", BytesSource(b"archive"), metadata("two"))
    assert identity_and_content(store, "k") == ("two", b"archive")
    for number, text in enumerate(texts):
        (root / f".s3napback/objects/k/0{number}.json").write_bytes(text)
    assert store.discard_leftovers("k") == 9
    assert directory_leftovers(root) == []


def test_metadata_never_seems_to_be_missing_while_others_write(store: DirectoryStore) -> None:
    store.put("k", BytesSource(b"0"), metadata("0"))
    ended = threading.Event()
    seen = set()

    def look() -> None:
        while not ended.is_set():
            found = store.head("k")
            seen.add(found.metadata.get("s3napback-id", "none") if found else "absent")

    looking = threading.Thread(target=look)
    looking.start()
    for number in range(200):
        store.put("k", BytesSource(b"%d" % number), metadata(str(number)))
    ended.set()
    looking.join()
    assert len(seen) > 5
    assert not seen & {"none", "absent"}


@pytest.mark.parametrize(
    "key",
    ["", "/etc", "a//b", "a/", "../x", "a/../../x", "a/./b", ".", "a\0b", ".s3napback/x", ".S3napback", "x" * 256],
)
def test_keys_that_would_leave_the_folder_are_refused(root: Path, store: DirectoryStore, key: str) -> None:
    for attempt in (
        lambda: store.put(key, BytesSource(b"data"), metadata()),
        lambda: store.head(key),
        lambda: list(store.read(key)),
        lambda: store.delete(key),
    ):
        with pytest.raises(StoreError, match="is not allowed"):
            attempt()
    assert list(root.parent.iterdir()) == [root]
    assert list(root.iterdir()) == []


@pytest.mark.parametrize("link", ["a", "a/k", ".s3napback", ".s3napback/objects", ".s3napback/objects/a/k"])
def test_links_in_the_store_are_not_followed(root: Path, store: DirectoryStore, tmp_path: Path, link: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    for name in ("k", "k.json", "incoming-k"):
        (outside / name).write_text("precious")
    (root / link).parent.mkdir(parents=True, exist_ok=True)
    (root / link).symlink_to(outside / "k" if link == "a/k" else outside)
    with pytest.raises(StoreError, match="symbolic link"):
        store.put("a/k", BytesSource(b"data"), metadata())
    store.discard_leftovers("a/k")
    assert sorted(path.name for path in outside.rglob("*")) == ["incoming-k", "k", "k.json"]
    assert {path.read_text() for path in outside.iterdir()} == {"precious"}
    assert list(store.list("")) == []


def test_a_link_is_neither_read_nor_deleted(root: Path, store: DirectoryStore, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (root / "k").symlink_to(tmp_path / "secret")
    for attempt in (lambda: store.head("k"), lambda: list(store.read("k")), lambda: store.delete("k")):
        with pytest.raises(StoreError, match="symbolic link"):
            attempt()
    assert (tmp_path / "secret").read_text() == "secret"


def test_a_key_that_goes_on_after_another_is_refused(root: Path, store: DirectoryStore) -> None:
    store.put("a", BytesSource(b"data"), metadata())
    with pytest.raises(StoreError, match="is an object"):
        store.put("a/b", BytesSource(b"other"), metadata())
    store.put("x/y/z", BytesSource(b"data"), metadata())
    for key in ("x", "x/y"):
        with pytest.raises(StoreError, match="is a folder"):
            store.put(key, BytesSource(b"other"), metadata())
    assert [found.key for found in store.list("")] == ["a", "x/y/z"]
    assert identity_and_content(store, "x/y/z") == ("one", b"data")
    assert directory_leftovers(root) == []


def test_only_the_owner_may_read(root: Path, store: DirectoryStore) -> None:
    mask = os.umask(0)
    try:
        store.put("a/b/k", BytesSource(b"data"), metadata())
    finally:
        os.umask(mask)
    modes = {(path.is_dir(), path.stat().st_mode & 0o777) for path in root.rglob("*")}
    assert modes == {(True, 0o700), (False, 0o600)}


def test_folders_without_content_are_removed(root: Path, store: DirectoryStore) -> None:
    for key in ("a/b/c/k", "a/other"):
        store.put(key, BytesSource(b"data"), metadata())
    store.delete("a/b/c/k")
    assert [path.name for path in (root / "a").iterdir()] == ["other"]
    store.delete("a/other")
    assert [path.name for path in root.rglob("*")] == [".s3napback", "store"]


def test_an_immutable_archive_is_named_and_not_what_was_to_replace_it(
    root: Path, store: DirectoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put("a/k", BytesSource(b"data"), metadata())

    def refuse(source: object, target: object, **_: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM), source, None, target)

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(StoreError, match=rf"\({root}/a/k; lsattr"):
        store.put("a/k", BytesSource(b"new"), metadata("new"))
    assert identity_and_content(store, "a/k") == ("one", b"data")


@pytest.mark.parametrize("told", ["no space left", "a quota is used up"])
def test_a_full_disk_is_named(root: Path, store: DirectoryStore, monkeypatch: pytest.MonkeyPatch, told: str) -> None:
    code = errno.EDQUOT if "quota" in told else errno.ENOSPC
    store.put("a/k", BytesSource(b"data"), metadata())
    write = os.write

    def write_to_full_disk(descriptor: int, data: memoryview) -> int:
        if os.fstat(descriptor).st_size > 2_000_000:
            raise OSError(code, os.strerror(code))
        return write(descriptor, data[: len(data) // 2 + 1])

    monkeypatch.setattr(os, "write", write_to_full_disk)
    for key in ("a/k", "b/new"):
        with pytest.raises(StoreError, match=f"{told} in {root}"):
            store.put(key, EndlessSource(5_000_000), metadata("new"))
    store.put("a/short", EndlessSource(1_500_000), metadata())
    assert sum(map(len, store.read("a/short"))) == 1_500_000
    assert identity_and_content(store, "a/k") == ("one", b"data")
    assert not (root / "b").exists()
    assert directory_leftovers(root) == []


def test_a_folder_that_has_gone_is_never_made_anew(root: Path, store: DirectoryStore) -> None:
    store.put("k", BytesSource(b"data"), metadata())
    shutil.rmtree(root)
    assert not store.is_recognised()
    for attempt in (
        lambda: store.put("k", BytesSource(b"data"), metadata()),
        lambda: store.head("k"),
        lambda: list(store.read("k")),
        lambda: list(store.list("")),
        lambda: store.delete("k"),
    ):
        with pytest.raises(StoreError, match="mount it"):
            attempt()
    assert store.discard_leftovers("k") == 0
    assert not root.exists()


def test_the_check_wants_a_folder_and_changes_nothing(root: Path, store: DirectoryStore) -> None:
    store.check()
    assert not store.is_recognised()
    assert list(root.iterdir()) == []
    (root / "file").touch()
    with pytest.raises(UnusableStore, match="mkdir"):
        DirectoryStore(root / "file").check()


def test_addresses_are_urls(store: DirectoryStore, root: Path) -> None:
    assert store.location == store.identity == f"file://{root}"


@pytest.mark.parametrize(
    "locale", [{"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, {"LC_ALL": "C.UTF-8"}]
)
def test_names_on_disk_do_not_depend_on_the_locale(root: Path, store: DirectoryStore, locale: dict[str, str]) -> None:
    program = (
        "import sys; from pathlib import Path; from s3napback.stores.directory import DirectoryStore as D\n"
        "from tests.stores.sources import BytesSource\n"
        "store = D(Path(sys.argv[1])); key = 'h\\u00fc/\\u65e5 x\\udcff-0-FULL'\n"
        "store.put(key, BytesSource(b'data'), {'s3napback-id': 'one'})\n"
        "assert [found.key for found in store.list('h')] == [key]"
    )
    subprocess.run([sys.executable, "-c", program, str(root)], cwd=PROJECT, env={**os.environ, **locale}, check=True)
    assert (os.fsencode(root) + "/hü/日 x".encode() + b"\xff-0-FULL") in [
        os.fsencode(path) for path in root.rglob("*-0-FULL")
    ]
    assert identity_and_content(store, "hü/日 x\udcff-0-FULL") == ("one", b"data")


@pytest.mark.parametrize(("name", "depth"), [("a", 1500), ("b" * 200, 30)], ids=["many levels", "a path without end"])
def test_what_lies_deeper_than_any_key_does_not_stop_a_listing(
    root: Path, store: DirectoryStore, name: str, depth: int
) -> None:
    store.put("etc-0-FULL", BytesSource(b"x"), metadata("one"))
    folder = os.open(root, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir(name, dir_fd=folder)
        inner = os.open(name, os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = inner
    os.close(os.open("deep-0-FULL", os.O_CREAT | os.O_WRONLY, dir_fd=folder))
    os.close(folder)
    try:
        assert [found.key for found in store.list("")] == ["etc-0-FULL"]
    finally:
        subprocess.run(["rm", "-r", "--", str(root / name)], check=True)


def test_a_folder_of_very_many_names_is_listed_in_little_more_memory_than_these(
    root: Path, store: DirectoryStore
) -> None:
    names = [f"{'x' * 50}-{number:04}" for number in range(2_000)]
    for name in names:
        (root / name).touch()
    (root / "link").symlink_to(names[0])

    keys: list[str] = []
    peak = peak_of(lambda: keys.extend(found.key for found in store.list("")))

    assert keys == names
    # With all that ``os.scandir`` tells of each it would be 1,100.
    assert peak < 400 * len(names)
