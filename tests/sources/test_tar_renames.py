"""A folder that tar meets under two names: what it says of renames never reaches an archive, and nothing gets lost."""

from __future__ import annotations

import subprocess
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from unittest.mock import patch

import pytest

from s3napback.rotation import ArchiveType, SimpleCycle
from s3napback.sources.tar_guard import TarGuard
from s3napback.sources.tar_renames import without_renames
from s3napback.sources.two_places import TwoPlaces
from s3napback.streams.dumpdirs import MalformedArchive
from s3napback.streams.tar_stream import watched
from tests.site import Site
from tests.sources.chains import directory_source
from tests.sources.test_index_nights import btrfs
from tests.sources.test_tar_guard import guarded, in_blocks, raw_archive
from tests.sources.trees import assert_same_tree


@contextmanager
def mounted(folder: Path, place: Path) -> Iterator[None]:
    subprocess.run(["mount", "--bind", str(folder), str(place)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(place)], check=True)


@pytest.fixture
def twice(tmp_path: Path) -> Iterator[Path]:
    """A tree with a folder in it that is there a second time."""
    root = tmp_path / "tree"
    (root / "one/below").mkdir(parents=True)
    (root / "two").mkdir()
    (root / "one/file").write_text("1")
    (root / "one/below/file").write_text("2")
    with mounted(root / "one", root / "two"):
        yield root


def member(path: Path, *below: str) -> bytes:
    return str(path.joinpath(*below))[1:].encode()


@pytest.mark.parametrize("size", [1, 512, 513, 1 << 30])
def test_the_archive_holds_both_places_and_says_nothing_of_a_rename(twice: Path, tmp_path: Path, size: int) -> None:
    raw = raw_archive(twice, tmp_path / "work")
    with pytest.raises(MalformedArchive, match="rename"):
        list(watched(iter([memoryview(raw)]), lambda _: None))
    clean, guard = guarded(raw, twice, size)
    assert len(clean) % 10_240 == 0
    list(watched(iter([memoryview(clean)]), lambda _: None))
    with tarfile.open(fileobj=BytesIO(clean)) as archive:
        names = archive.getnames()
    assert {name.encode() for name in names} >= {
        member(twice, place, *below) for place in ("one", "two") for below in (("file",), ("below", "file"))
    }
    assert set(guard.out.paths) == {member(twice, *below) for below in (
        ("one",), ("two",), ("one", "below"), ("two", "below"))}  # fmt: skip
    assert "the next archive takes all of it" in guard.warnings[0]
    assert not any("could not be told" in line for line in guard.warnings)


def test_a_place_where_something_is_mounted_lacks_nothing(twice: Path, tmp_path: Path) -> None:
    raw = raw_archive(twice, tmp_path / "work")
    guard = TarGuard(str(twice)[1:], None, TwoPlaces([member(twice, "two")]), is_full=True)
    clean = b"".join(bytes(piece) for piece in guard.guarded(in_blocks(raw, 1 << 16)))
    list(watched(iter([memoryview(clean)]), lambda _: None))
    assert not guard.out.paths
    assert not guard.warnings


@pytest.mark.parametrize("doubts", [True, False])
@pytest.mark.parametrize("is_changed", [True, False])
def test_what_has_the_number_of_another_file_is_not_taken_for_it(
    tmp_path: Path, *, doubts: bool, is_changed: bool
) -> None:
    """As bindfs, virtiofs and 9p may show it, which put several file systems together."""
    root = tmp_path / "tree"
    root.mkdir()
    (root / "one").write_text("1")
    (root / "two").hardlink_to(root / "one")
    raw = raw_archive(root, tmp_path / "work")
    if is_changed:
        (root / "two").unlink()
        (root / "two").write_text("another")
    guard = TarGuard(str(root)[1:], None, TwoPlaces(doubts=doubts), is_full=True)
    clean = b"".join(bytes(piece) for piece in guard.guarded(in_blocks(raw, 1 << 16)))
    with tarfile.open(fileobj=BytesIO(clean)) as archive:
        (link,) = {"one", "two"} - {Path(entry.name).name for entry in archive if entry.isreg()}
    is_told = doubts and is_changed
    assert set(guard.out.paths) == ({member(root, link)} if is_told else set())
    assert any("--hard-dereference" in line for line in guard.warnings) == is_told


@pytest.mark.parametrize("is_changed", [True, False])
def test_without_diffs_neither(tmp_path: Path, *, is_changed: bool) -> None:
    root = tmp_path / "tree"
    root.mkdir()
    (root / "one").write_text("1")
    (root / "two").hardlink_to(root / "one")
    source = directory_source(root, schedule=SimpleCycle(diffs=0))
    with patch("s3napback.sources.directory.may_number_alike", lambda _: True):
        dump = source.dump(ArchiveType.FULL, None, tmp_path)
    raw = subprocess.run(dump.stage.command, capture_output=True, check=True).stdout
    if is_changed:
        (root / "two").unlink()
        (root / "two").write_text("another")
    assert dump.guard is not None
    clean = b"".join(bytes(piece) for piece in dump.guard.transform(in_blocks(raw, 1 << 16)))
    conclusion = dump.conclude()
    with tarfile.open(fileobj=BytesIO(clean)) as archive:
        names = {Path(entry.name).name for entry in archive if not entry.isdir()}
    lost = {"one", "two"} - names
    assert len(lost) == is_changed
    assert [*conclusion.unread.paths] == [member(root, name) for name in lost]
    assert any("--hard-dereference" in line for line in conclusion.warnings) == is_changed


def test_folders_of_one_number_are_not_taken_for_a_renamed_one(tmp_path: Path) -> None:
    """As bindfs and the like show the topmost ones of several file systems."""
    root, shown = tmp_path / "tree", tmp_path / "shown"
    for folder in ("one", "two"):
        (root / folder).mkdir(parents=True)
        (root / folder / "file").write_text(folder)
    shown.symlink_to(root)
    places = TwoPlaces(doubts=True)
    assert not places.have(member(root, "one"), member(root, "two"))
    assert not places.have(member(root, "one"), member(root, "gone"))
    assert places.have(member(root, "one"), member(shown, "one"))


def test_of_what_is_new_and_mounted_twice_the_second_place_is_taken_again(twice: Path, tmp_path: Path) -> None:
    raw = raw_archive(twice, tmp_path / "work")
    guard = TarGuard(str(twice)[1:], None, TwoPlaces([member(twice, "two")]), is_full=False)
    list(guard.guarded(in_blocks(raw, 1 << 16)))
    second = "two" if b"T" + member(twice, "two") in raw else "one"
    assert set(guard.out.paths) == {member(twice, second), member(twice, second, "below")}


def test_a_folder_that_is_mounted_twice_comes_back_from_every_night(site: Site, tmp_path: Path) -> None:
    site.configure_cycle("Diffs 6")
    (site.source / "one/below").mkdir(parents=True)
    (site.source / "two").mkdir()
    (site.source / "one/old").write_text("old")
    with mounted(site.source / "one", site.source / "two"):
        for day in range(3):
            done = site.run("--strict", day=day)
            assert "renamed" not in done.stderr
            time.sleep(1.1)
            (site.source / f"two/below/{day}").write_text(str(day))
        # Both new in one archive: tar takes of the second place only what is new, and the night after all of it.
        (site.source / "three").mkdir()
        (site.source / "one/below").rename(site.source / "three/moved")
        (site.source / "four").mkdir()
        with mounted(site.source / "three", site.source / "four"):
            assert "may not be whole in this archive: tar met the same folder at two places" in site.run(day=3).stderr
            site.run("--strict", day=4)
            site.run("restore", str(site.source), "--to", str(tmp_path / "out"), day=None)
            assert_same_tree(site.source, tmp_path / "out" / str(site.source)[1:])


@pytest.mark.parametrize("place", ["beside", "deep/within"])
def test_a_folder_to_which_a_followed_link_leads_comes_back_twice_and_is_never_said_to_be_renamed(
    site: Site, tmp_path: Path, place: str
) -> None:
    site.configure_cycle("Diffs 6\nTarOptions --dereference")
    (site.source / "one/below").mkdir(parents=True)
    (site.source / "one/old").write_text("old")
    link = site.source / place
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(site.source / "one")
    for day in range(2):
        assert "renamed" not in site.run("--strict", day=day).stderr
        time.sleep(1.1)
        (site.source / f"one/below/{day}").write_text(str(day))
    (site.source / "one/old").unlink()
    site.run("--strict", day=2)
    done = site.run("restore", str(site.source), "--to", str(tmp_path / "out"), day=None)
    assert "could not be read" not in done.stderr
    restored = tmp_path / "out" / str(site.source)[1:]
    for each in ("one", place):
        assert_same_tree(site.source / "one", restored / each)


def test_what_btrfs_has_in_a_snapshot_in_place_of_subvolumes_is_never_said_to_be_renamed(
    site: Site, tmp_path: Path
) -> None:
    def command(*words: object) -> None:
        subprocess.run(["btrfs", "-q", "subvolume", *map(str, words)], check=True)

    with btrfs(tmp_path / "image", tmp_path / "disk") as disk:
        live, snapshot = disk / "live", disk / "snapshot"
        site.configure(f"<Cycle nightly>\nDiffs 6\nDirectory {snapshot}\n</Cycle>")
        command("create", live)
        for day, names in enumerate((("machines", "portables"), (), ("new",))):
            for name in names:
                command("create", live / name)
                (live / name / "file").write_text(name)
            (live / "file").write_text(str(day))
            command("snapshot", "-r", live, snapshot)
            assert "renamed" not in site.run("--strict", day=day).stderr
            command("delete", snapshot)
        done = site.run("restore", str(snapshot), "--to", str(tmp_path / "out"), day=None)
        assert "could not be read" not in done.stderr
        names_there = sorted(path.name for path in (tmp_path / "out" / str(snapshot)[1:]).rglob("*"))
        assert names_there == ["file", "machines", "new", "portables"]


def test_folders_are_one_with_nothing_in_it_only_if_both_are_there(twice: Path) -> None:
    one, two = member(twice, "one", "below"), member(twice, "two", "below")
    (twice / "other").mkdir()
    (twice / "link").symlink_to("one/below")
    assert not TwoPlaces.are_empty(one, two)
    (twice / "one/below/file").unlink()
    assert TwoPlaces.are_empty(one, two)
    for name in ("other", "link", "gone"):
        assert not TwoPlaces.are_empty(one, member(twice, name))
        assert not TwoPlaces.are_empty(member(twice, name), one)
    assert not TwoPlaces.are_empty(one, b"")
    assert not TwoPlaces.are_empty(b"", one)


@pytest.mark.parametrize("follows", [True, False])
def test_two_folders_are_not_one_and_what_is_gone_is_none(twice: Path, follows: bool) -> None:
    (twice / "link").symlink_to("one")
    places = TwoPlaces(follows=follows)
    assert places.have(member(twice, "link"), member(twice, "one")) is follows
    for one, other in (("link", "one/below"), ("link", "gone"), ("gone", "gone")):
        assert not places.have(member(twice, one), member(twice, other))
    assert not places.have(b"", member(twice, "one"))


def extended(records: dict[str, str]) -> bytes:
    info = tarfile.TarInfo("top")
    info.type = tarfile.DIRTYPE
    info.pax_headers = records
    return info.tobuf(tarfile.PAX_FORMAT)


def test_a_rename_by_way_of_a_temporary_name_is_taken_out_as_well() -> None:
    entries = "Da\0Db\0Yz\0" + "Y" * 80 + "\0"
    group = extended(
        {"mtime": "1.5", "GNU.dumpdir": f"{entries}Xtop\0Rtop/a\0T\0Rtop//b/\0Ttop/a\0R\0Ttop/b\0\0", "uid": "7"}
    )
    clean, pairs = without_renames(group)
    assert pairs == [(b"top/a", b""), (b"top/b", b"top/a"), (b"", b"top/b")]
    assert clean == extended({"mtime": "1.5", "GNU.dumpdir": f"{entries}\0", "uid": "7"})


@pytest.mark.parametrize("length", range(1, 120))
def test_the_record_that_is_left_counts_its_own_length(length: int) -> None:
    name = "Y" + "n" * length
    clean, _pairs = without_renames(extended({"GNU.dumpdir": f"{name}\0Ra\0Tb\0\0"}))
    assert clean == extended({"GNU.dumpdir": f"{name}\0\0"})


def test_what_speaks_of_no_rename_stays_byte_for_byte() -> None:
    for entries in ("YRoot\0DTop\0\0", "\0", "YX\0\0"):
        group = extended({"GNU.dumpdir": entries, "SCHILY.xattr.user.a": "\0Rx"})
        assert without_renames(group) == (group, ())
