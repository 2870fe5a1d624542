"""Directories that the original's tar met elsewhere, with the real tar, and with records that it never writes."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from s3napback.original.renames import Rename, UnclearRenames, opening_of, without_renames
from s3napback.streams.dumpdirs import MalformedArchive
from s3napback.streams.tar_headers import Member
from s3napback.streams.tar_stream import watched


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    for name in ("a", "b", "c"):
        (folder / name / "inner").mkdir(parents=True)
        (folder / name / "inner/file").write_text(name)
    return folder


def night(source: Path) -> bytes:
    command = ["tar", "-f", "-", "-g", f"{source}.snapshot", "-C", "/", "-cp", str(source)]
    return subprocess.run(command, capture_output=True, check=True).stdout


def blocks(data: bytes, size: int = 700) -> Iterator[memoryview]:
    view = memoryview(data)
    return iter([view[start : start + size] for start in range(0, len(data), size)])


def members_of(data: bytes) -> list[str]:
    """Names of the members that the strict reader of our own archives lets pass."""
    found: list[str] = []

    def look(member: Member) -> None:
        found.append(member.name)

    for _ in watched(iter([memoryview(data)]), look):
        pass
    return found


def stripped(data: bytes) -> bytes:
    return b"".join(map(bytes, without_renames(blocks(data))))


def move_one(source: Path) -> None:
    (source / "a").rename(source / "z")


def move_deeper(source: Path) -> None:
    (source / "new").mkdir()
    (source / "a/inner").rename(source / "new/inner")


def move_two(source: Path) -> None:
    (source / "a").rename(source / "y")
    (source / "b").rename(source / "z")


@pytest.mark.parametrize(
    ("change", "moved"),
    [
        (move_one, [("a", "z")]),
        (move_deeper, [("a/inner", "new/inner")]),
        (move_two, [("a", "y"), ("b", "z")]),
    ],
)
def test_what_was_moved_is_told_and_what_remains_is_an_archive_like_ours(
    source: Path, change: Callable[[Path], None], moved: list[tuple[str, str]]
) -> None:
    night(source)
    change(source)
    data = night(source)
    base = str(source).lstrip("/")
    found = opening_of(blocks(data)).renames
    assert sorted(map(str, found)) == [str(Rename(f"{base}/{old}", f"{base}/{new}")) for old, new in moved]
    with pytest.raises(MalformedArchive, match="record of a rename"):
        members_of(data)
    assert members_of(stripped(data))[0] == base
    listed = subprocess.run(["tar", "-t"], input=stripped(data), capture_output=True, check=True).stdout
    assert listed == subprocess.run(["tar", "-t"], input=data, capture_output=True, check=True).stdout


def test_an_archive_without_such_records_stays_as_it_is_to_the_byte(source: Path) -> None:
    for _ in range(2):
        data = night(source)
        assert stripped(data) == data
        assert opening_of(blocks(data)).renames == ()


def test_names_longer_than_a_header_are_read_as_well(tmp_path: Path, source: Path) -> None:
    long = tmp_path / ("d" * 120)
    source.rename(long)
    night(long)
    move_one(long)
    (rename,) = opening_of(blocks(night(long))).renames
    assert rename.after == f"{long}/z".lstrip("/")


@pytest.mark.parametrize("spelt", ["{}/", "/{}", "{}/.", "/{}/./"])
def test_names_are_plain_however_the_directory_was_spelt(source: Path, spelt: str) -> None:
    command = ["tar", "-f", "-", "-g", f"{source}.snapshot", "-C", "/", "-cp", spelt.format(source)]
    subprocess.run(command, capture_output=True, check=True)
    move_one(source)
    data = subprocess.run(command, capture_output=True, check=True).stdout
    (rename,) = opening_of(blocks(data)).renames
    assert (f"/{rename.before}", f"/{rename.after}") == (f"{source}/a", f"{source}/z")


def swap(source: Path) -> None:
    (source / "a").rename(source / "x")
    (source / "b").rename(source / "a")
    (source / "x").rename(source / "b")


def follow_up(source: Path) -> None:
    (source / "a").rename(source / "x")
    (source / "b").rename(source / "a")


def move_inner_over_outer(source: Path) -> None:
    (source / "a/inner").rename(source / "x")
    (source / "a").rename(source / "b/a")
    (source / "x").rename(source / "a")


@pytest.mark.parametrize("change", [swap, follow_up, move_inner_over_outer])
def test_what_tar_cannot_be_relied_upon_to_replay_is_refused_by_name(
    source: Path, change: Callable[[Path], None]
) -> None:
    night(source)
    change(source)
    with pytest.raises(UnclearRenames, match=r"cannot be relied upon to replay: /.*/a") as raised:
        opening_of(blocks(night(source)))
    assert "--at" in str(raised.value) or "earlier night" in str(raised.value)


@pytest.mark.parametrize(
    ("letter", "new"),
    [
        (b"T", b"T/"),
        (b"T", b"T../"),
        (b"T", b"Ta/../b"),
        (b"T", b"R"),
        (b"R", b"T"),
        (b"R", b"X"),
        (b"R", b"R\0T"),
        (b"T", b"T\0R"),
    ],
)
def test_hostile_records_are_refused(source: Path, letter: bytes, new: bytes) -> None:
    night(source)
    move_one(source)
    data = night(source)
    record = b"\0" + letter + bytes(source)[1:]
    assert data.count(record) == 1
    assert opening_of(blocks(data)).renames
    with pytest.raises(UnclearRenames):
        opening_of(blocks(data.replace(record, b"\0" + new + record[len(new) + 1 :])))


def test_a_record_that_is_not_in_the_first_directory_meets_the_strict_reader(source: Path) -> None:
    night(source)
    data = night(source)
    # The entry of a file in a later directory becomes the record of a rename.
    at = data.index(b"Nfile\0")
    changed = data[:at] + b"Rfile\0" + data[at + 6 :]
    with pytest.raises(MalformedArchive, match="record of a rename"):
        members_of(stripped(changed))


@pytest.mark.parametrize("data", [b"", b"no archive", bytes(512), bytes(8192), b"SVN-fs-dump-format-version: 2\n" * 60])
def test_what_is_no_archive_is_left_to_others(data: bytes) -> None:
    assert stripped(data) == data
