"""Members taken out of a tar archive as they are, whatever they are called and however they are stored."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from s3napback.recovery.directory import listing
from s3napback.recovery.members import Gate
from s3napback.recovery.opening.failures import Damaged
from s3napback.recovery.paths import NoSuchPath, members_of_paths
from s3napback.streams.pipeline import Pipeline
from s3napback.streams.tar_headers import Member, plain_name
from s3napback.streams.tar_stream import selected
from s3napback.streams.transformations import Feed
from tests.sources.trees import RandomTree, assert_same_tree
from tests.streams.helpers import read_all


def blocks(data: bytes, size: int) -> Iterator[memoryview]:
    return (memoryview(data)[start : start + size] for start in range(0, len(data), size))


def made(folder: Path, *options: str) -> bytes:
    command = ["tar", "--create", "--file=-", "--format=posix", *options, "-C", str(folder), "."]
    return subprocess.run(command, check=True, capture_output=True, env={**os.environ, "LC_ALL": "C"}).stdout


def extract(archive: bytes, where: Path, *options: str) -> Path:
    where.mkdir()
    subprocess.run(["tar", "-x", "-p", *options, "-C", str(where)], input=archive, check=True, capture_output=True)
    return where


@pytest.mark.parametrize("options", [(), ("--sparse",), ("--listed-incremental=/dev/stderr",), ("--format=gnu",)])
@pytest.mark.parametrize("size", [1, 700, 1_000_000])
def test_all_members_of_a_random_tree_pass_whatever_the_blocks(
    tmp_path: Path, options: Sequence[str], size: int
) -> None:
    tree = RandomTree(tmp_path / "tree", 9, size=25 if size > 1 else 8)
    del tree
    snapshot = tmp_path / "snapshot"
    archive = made(tmp_path / "tree", *(option.replace("/dev/stderr", str(snapshot)) for option in options))
    names: list[str] = []

    def note(member: Member) -> bool:
        names.append(member.name)
        return True

    passed = b"".join(bytes(block) for block in selected(blocks(archive, size), note))
    below = sorted(str(path.relative_to(tmp_path / "tree")) for path in (tmp_path / "tree").rglob("*"))
    known = sorted(os.fsdecode(name.encode("utf-8", "surrogateescape")) for name in names if name)
    assert known == below
    assert_same_tree(extract(archive, tmp_path / "plain"), extract(passed, tmp_path / "out"))


def test_only_the_chosen_ones_pass(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name).write_bytes(os.urandom(2000))
    passed = b"".join(bytes(each) for each in selected(blocks(made(tmp_path), 999), lambda member: member.name == "b"))
    out = extract(passed, tmp_path / "out")
    assert [path.name for path in out.iterdir()] == ["b"]
    assert (out / "b").read_bytes() == (tmp_path / "b").read_bytes()


def test_an_archive_without_its_end_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 20_000)
    archive = made(tmp_path)
    for length in (0, 100, 512, 5000, len(archive) - 9000):
        with pytest.raises(Damaged):
            list(Gate("").whole(blocks(archive[:length], 4096)))
    with pytest.raises(Damaged):
        list(Gate("").chosen(blocks(archive[:5000], 4096), lambda _member: True))
    passed = b"".join(bytes(each) for each in Gate("").whole(blocks(archive, 333)))
    assert passed.rstrip(b"\0") == archive.rstrip(b"\0")


def test_an_archive_may_come_in_small_pieces_and_end_late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("s3napback.streams.post_mortem._SETTLING_TIME", 0.1)
    (tmp_path / "a").write_bytes(b"x" * 3000)
    archive = made(tmp_path)

    def coming() -> Iterator[bytes]:
        for piece in blocks(archive, 512):
            yield bytes(piece)
            time.sleep(0.01)
        time.sleep(0.5)

    with Pipeline([Feed("a store", coming), *listing("/", "tar")]) as pipeline:
        assert b"./a\n" in read_all(pipeline)


@pytest.mark.parametrize(
    ("name", "plain"),
    [("./", ""), (".", ""), ("./etc/x", "etc/x"), ("bin/./ls", "bin/ls"), ("etc//a/", "etc/a"), (".hidden", ".hidden")],
)
def test_names_are_the_same_in_whatever_way_they_are_written(name: str, plain: str) -> None:
    assert plain_name(name) == plain


def test_paths_are_absolute_or_relative_to_the_source() -> None:
    assert members_of_paths("/etc", ["/etc/hosts", "ssh/", "/etc"]) == ("etc/hosts", "etc/ssh", "etc")
    assert members_of_paths("/", ["/etc/hosts", "srv"]) == ("etc/hosts", "srv")
    for path in ("/srv", "/etcetera", "..", "/etc/../srv"):
        with pytest.raises(NoSuchPath, match="does not lie in /etc"):
            members_of_paths("/etc", [path])
