"""What could not be read, vanished, or is never archived: a tree is told of it as plain tar replays it."""

from __future__ import annotations

import os
import socket
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from itertools import product
from pathlib import Path

import pytest

from s3napback.browsing.interest import Interest, read_pattern
from s3napback.browsing.nodes import IS_FOLDER, MISSING, OLDER, THERE, FolderRow, MemberRow
from s3napback.browsing.telling import tell
from s3napback.browsing.tree import Tree
from s3napback.config.settings import JobSettings
from s3napback.index.lines import FILE
from s3napback.index.records import DamagedIndex
from s3napback.recovery.inspecting import Members
from s3napback.streams.tar_headers import Member
from s3napback.streams.tar_stream import TarFollower
from tests.sources.chains import directory_source, open_folders, replay
from tests.sources.indexed_chain import BLIND, IndexedChain

States = dict[str, int]


class Nights:
    """A chain of archives, and the tree that each way of being told leads to."""

    def __init__(self, root: Path, *, margin: int = 0, tar_options: tuple[str, ...] = ()) -> None:
        self.root = root
        self.source = root / "source"
        (self.source / "folder" / "inner").mkdir(parents=True)
        for name in ("file", "folder/one", "folder/two", "folder/inner/deep"):
            (self.source / name).write_text(name)
        self.chain = IndexedChain(
            directory_source(self.source, JobSettings(tar_options=tar_options), margin=margin), root / "archives"
        )
        self.lines: list[bytes] = []
        self.top = str(self.source).strip("/").encode()

    def night(self, between: Callable[[], object] = lambda: None) -> None:
        self.chain.back_up(between)
        assert self.chain.lines is not None
        self.lines.append(zlib.decompress(self.chain.lines, 31))

    def by_lines(self, place: int, tree: Tree) -> None:
        tell([self.lines[place]], self.top, tree.wanted, tree)

    def by_members(self, place: int, tree: Tree) -> None:
        follower, members = TarFollower(), Members(self.top, tree)
        for part in follower.feed(memoryview(self.chain.archives[place].read_bytes())):
            if isinstance(part, Member):
                members.take(part)
        members.flush()

    def told(self, way: Callable[[int, Tree], None] | None = None) -> States:
        """What there is after the last night; by default each second archive tells in another way."""
        with Tree(Interest()) as tree:
            for place in range(len(self.lines)):
                with tree.archive(place + 1, is_full=place == 0):
                    (way or (self.by_lines if place % 2 else self.by_members))(place, tree)
            return {
                node.path.decode() + "/" * (node.letter == IS_FOLDER): node.state for node in tree.nodes() if node.path
            }

    def require_as_replayed(self) -> States:
        """What is told in every way is what plain tar brings."""
        restored = replay(self.chain.archives, self.root / f"restored {len(self.lines)}")
        open_folders(restored)
        tree = next(restored.rglob("source")) if restored.name != "source" else restored
        names = {f"{path.relative_to(tree)}{'/' * path.is_dir()}" for path in tree.rglob("*")}
        states = self.told(self.by_lines)
        assert states == self.told(self.by_members) == self.told()
        assert {name for name, state in states.items() if state != MISSING} == names
        return states


@pytest.fixture
def nights(tmp_path: Path) -> Nights:
    made = Nights(tmp_path)
    made.night()
    return made


def test_what_vanishes_while_it_is_read_comes_back_older_or_not_at_all(nights: Nights) -> None:
    source = nights.source
    (source / "file").write_text("changed")
    (source / "new").write_text("new")
    # More than all buffers hold, so that tar has not come to the others yet.
    (source / "0 large").write_bytes(bytes(40_000_000))

    def vanish() -> None:
        _wait_until_read(source / "0 large")
        (source / "file").unlink()
        (source / "new").unlink()

    nights.night(vanish)
    states = nights.require_as_replayed()
    assert (states["file"], states["new"], states["folder/one"]) == (OLDER, MISSING, THERE)
    (source / "new").write_text("there now")
    nights.night()
    states = nights.require_as_replayed()
    assert "file" not in states
    assert states["new"] == THERE


def test_what_is_of_another_type_takes_the_place_of_what_was_there(nights: Nights) -> None:
    source = nights.source
    (source / "folder" / "inner" / "deep").unlink()
    (source / "folder" / "inner").rmdir()
    (source / "folder" / "inner").write_text("a file now")
    (source / "file").unlink()
    (source / "file").mkdir()
    (source / "file" / "within").write_text("")
    nights.night()
    states = nights.require_as_replayed()
    assert {"file/", "file/within", "folder/inner"} <= states.keys()
    nights.night()
    assert nights.require_as_replayed() == states


SOUGHT = (
    Interest(pattern=read_pattern(b"d*")),
    Interest(pattern=read_pattern(b"*/deep"), top=b"/source"),
    Interest(b"folder/inner/deep", is_alone=True),
    Interest(b"folder/inner"),
)


@pytest.mark.parametrize("place", ["folder", "folder/inner"])
@pytest.mark.parametrize("kind", ["file", "link", "second name"])
def test_what_takes_the_place_of_a_folder_ends_what_is_looked_for_in_it(nights: Nights, place: str, kind: str) -> None:
    path = nights.source / place
    path.rename(nights.root / "aside")
    if kind == "file":
        path.write_text("a file now")
    elif kind == "link":
        path.symlink_to("file")
    else:
        path.hardlink_to(nights.source / "file")
    nights.night()
    for way, wanted in product((nights.by_lines, nights.by_members), SOUGHT):
        with Tree(wanted, is_recorded=True) as tree:
            for number, count in ((1, 1), (2, 0)):
                with tree.archive(number, is_full=number == 1):
                    way(number - 1, tree)
                assert sum(node.name == b"deep" for node in tree.nodes()) == count
            assert [(first, last) for node, first, last in tree.spans() if node.name == b"deep"] == [(1, 1)]


def test_a_socket_in_the_place_of_a_folder_and_of_nothing(nights: Nights) -> None:
    source = nights.source
    (source / "folder" / "inner" / "deep").unlink()
    (source / "folder" / "inner").rmdir()
    for name in ("folder/inner", "socket"):
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(f"/proc/self/fd/{_opened(source)}/{name}")
    nights.night()
    states = nights.require_as_replayed()
    assert "folder/inner/" not in states
    for _ in range(2):
        nights.night()
        assert not {"socket", "folder/inner"} & set(nights.require_as_replayed())


def test_a_socket_that_is_older_than_the_folder_in_whose_place_it_is_leaves_nothing_of_that(tmp_path: Path) -> None:
    # As if a file system had been set back, or kept no time of changes of status.
    nights = Nights(tmp_path, margin=BLIND)
    nights.night()
    folder = nights.source / "folder" / "inner"
    folder.rename(tmp_path / "aside")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(f"/proc/self/fd/{_opened(nights.source)}/folder/inner")
    for _ in range(2):
        nights.night()
        states = nights.require_as_replayed()
        assert not any(name.startswith("folder/inner/") for name in states)
    folder.unlink()
    (tmp_path / "aside").rename(folder)
    nights.night()
    assert "folder/inner/deep" in nights.require_as_replayed()


def test_a_socket_in_the_place_of_a_file_leaves_nothing_of_it(nights: Nights) -> None:
    source = nights.source
    (source / "file").unlink()
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(f"/proc/self/fd/{_opened(source)}/file")
    for _ in range(2):
        nights.night()
        assert "file" not in nights.require_as_replayed()


@pytest.mark.parametrize("nights_between", [0, 1])
@pytest.mark.parametrize("what", ["socket", "folder left out"])
def test_what_takes_the_place_of_a_file_that_was_not_read_leaves_nothing_of_the_older_one(
    tmp_path: Path, what: str, nights_between: int
) -> None:
    nights = Nights(tmp_path, tar_options=("--exclude-tag-all=tag",))
    nights.night()
    source, file, aside = nights.source, nights.source / "folder" / "one", tmp_path / "aside"
    file.unlink()
    file.write_text("changed")
    # More than all buffers hold, so that tar has not come to the other yet.
    (source / "0 large").write_bytes(bytes(40_000_000))

    def vanish() -> None:
        _wait_until_read(source / "0 large")
        file.rename(aside)

    nights.night(vanish)
    assert nights.require_as_replayed()["folder/one"] == OLDER
    for _ in range(nights_between):
        aside.rename(file)
        (source / "0 large").write_bytes(bytes(40_000_000))
        nights.night(vanish)
        assert nights.require_as_replayed()["folder/one"] == OLDER
    if what == "socket":
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(f"/proc/self/fd/{_opened(source)}/folder/one")
    else:
        file.mkdir()
        (file / "tag").touch()
    nights.night()
    assert "folder/one" not in nights.require_as_replayed()


def test_a_folder_that_is_gone_takes_all_in_it_along_and_comes_back_without_it(nights: Nights) -> None:
    source = nights.source
    kept = nights.root / "kept"
    (source / "folder").rename(kept)
    nights.night()
    assert not any(name.startswith("folder") for name in nights.require_as_replayed())
    (kept / "two").unlink()
    kept.rename(source / "folder")
    nights.night()
    assert {"folder/", "folder/one", "folder/inner/deep"} <= nights.require_as_replayed().keys()


@pytest.mark.parametrize(
    "text",
    [
        b":2\n0 5 1 source\n",
        b":2\nkind 0 file 644 0 0 1\n0 5 1 source\n",
        b":2\nkind 0 folder 755 0 0 0\n0 5 1 elsewhere/source\n",
        b":x\n",
        b":2\nkind 0 folder 755 0 0 0",
        b":7 source\nkind 1 file 644 18446744073709551615 0 3\n1 1 1 name\n",
        b"x" * 70_000,
    ],
)
def test_lines_that_make_no_sense_are_damage_and_change_nothing(text: bytes) -> None:
    with Tree(Interest()) as tree:
        with pytest.raises(DamagedIndex), tree.archive(1, is_full=True):
            tell([text], b"source", tree.wanted, tree)
        assert list(tree.nodes()) == []
        assert tree.number == 0


def _opened(path: Path) -> int:
    return os.open(path, os.O_PATH)


def _wait_until_read(path: Path) -> None:
    """Wait until a program has a file open, which has listed its folder by then."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for link in Path("/proc").glob("[0-9]*/fd/*"):
            with suppress(OSError):
                if link.readlink() == path:
                    return
    raise AssertionError(f"nobody reads {path}")


@pytest.mark.parametrize("line", [b"0 9999999999999999999 0 file", b"0 0 -9999999999999999999 file"])
def test_a_number_that_is_none_of_a_file_is_damage(line: bytes) -> None:
    with pytest.raises(DamagedIndex, match="larger than any"), Tree(Interest()) as tree, tree.archive(1, is_full=True):
        tell(
            [b"kind 0 folder 755 0 0 0\n0 3 0 top\n:7 top\nkind 0 file 644 0 0 3\n" + line + b"\n"],
            b"top",
            tree.wanted,
            tree,
        )


@pytest.mark.parametrize("what", ["nothing", "a file", "a folder"])
def test_what_lies_in_a_folder_whose_own_headers_are_missing_goes_when_that_is_read_again(what: str) -> None:
    """It vanished when tar came to it, and was there again when tar came to what lies in it."""
    one = MemberRow(b"one", FILE, 0o644, 0, 0, 1, 1, 0, b"")
    wishes = (Interest(), Interest(b"out/in"), Interest(pattern=read_pattern(b"one")))
    for wanted, is_told in product(wishes, (False, True)):
        with Tree(wanted) as tree:
            with tree.archive(1, is_full=True):
                tree.folder(_folder(b""), b"Dout\0\0")
                tree.folder(_folder(b"out"), b"\0")
            with tree.archive(2, is_full=False):
                tree.folder(_folder(b""), b"Dout\0\0")
                tree.members(b"out/in", [one])
            assert tree.node(b"out/in/one") is not None
            with tree.archive(3, is_full=False):
                tree.folder(_folder(b""), b"Dout\0\0")
                letter = {"nothing": b"", "a file": b"Yin\0", "a folder": b"Din\0"}[what]
                tree.folder(_folder(b"out"), letter + b"\0" if is_told else None)
                if what == "a folder":
                    tree.folder(_folder(b"out/in"), b"\0" if is_told else None)
                if what == "a file":
                    tree.members(b"out", [one._replace(name=b"in")])
            assert tree.node(b"out/in/one") is None, (wanted, is_told)


def _folder(path: bytes) -> FolderRow:
    return FolderRow(path, 0o755, 0, 0, 1, 0)
