"""DIFFs are exact: what times do not tell is taken all the same, nothing else is, and plain tar replays it."""

from __future__ import annotations

import gzip
import os
import stat
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from s3napback.config.settings import JobSettings
from s3napback.index import comparing, database, follower
from s3napback.index.head import HEAD_LENGTH, secret_in
from s3napback.rotation import ArchiveType
from s3napback.streams.tar_stream import END_MARK
from tests.hostile.mounts import failing_disk
from tests.sources.chains import directory_source
from tests.sources.indexed_chain import IndexedChain, blind_chain
from tests.sources.quiet_edits import OLD, QuietTree, quietly
from tests.sources.trees import RandomTree, assert_same_tree

NIGHTS = 4


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("is_followed", "options"), [(False, ()), (True, ()), (False, ("--sparse",)), (True, ("--sparse",))]
)
def test_what_no_time_tells_of_is_in_the_next_diff(
    tmp_path: Path, seed: int, is_followed: bool, options: tuple[str, ...]
) -> None:
    tree = QuietTree(tmp_path / "tree", seed)
    root = tree.root
    if is_followed:
        root = tmp_path / "link"
        root.symlink_to("tree")
    chain = blind_chain(root, tmp_path, *options)
    for _night in range(NIGHTS):
        chain.back_up()
        assert chain.warnings == []
        assert_same_tree(tree.root, chain.replay(tmp_path / "out"), hard_links=False)
        tree.edit(12)


@pytest.mark.parametrize("seed", range(2))
def test_what_did_not_change_is_never_taken_twice(tmp_path: Path, seed: int) -> None:
    tree = RandomTree(tmp_path / "tree", seed, size=150)
    root = tree.root
    for number, moment in enumerate((-2_177_452_800 * 10**9 + 1, -1, 10**9, 15_000_000_000 * 10**9 + 999_999_999)):
        os.utime(quietly(root / f"time {number}", ""), ns=(moment, moment))
    quietly(root / ("long" * 20) / ("long" * 50) / ("name" * 40), "long")
    os.chown(quietly(root / "owner", "x"), 4_294_967_290, 3_000_000_000)
    os.setxattr(quietly(root / "attribute", "x"), "user.a=b", b"1\n2\0")
    os.mknod(root / "device", stat.S_IFCHR | 0o600, os.makedev(1, 3))
    os.mkfifo(root / "pipe")
    chain = blind_chain(root, tmp_path, "--sparse")
    chain.back_up()
    assert_same_tree(root, chain.replay(tmp_path / "out"))
    assert (chain.back_up(), chain.warnings) == ([], [])
    tree.edit(30)
    chain.back_up()
    assert chain.back_up() == []


@pytest.mark.parametrize("held", [0, 1000, 100_000])
def test_names_are_compared_piece_by_piece_where_a_folder_holds_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: int
) -> None:
    for module in (comparing, follower):
        monkeypatch.setattr(module, "PART", 32)
    monkeypatch.setattr(database, "HELD", held)
    root = tmp_path / "tree"
    root.mkdir()
    names = [f"{number:03}" for number in range(100)]
    for name in names:
        (root / name).touch()
    chain = blind_chain(root, tmp_path)
    assert sorted(chain.back_up()) == names
    assert chain.back_up() == []
    quietly(root / "000", "first")
    quietly(root / "031", "at the end of a part")
    quietly(root / "032", "at the beginning of a part")
    (root / "050").unlink()
    quietly(root / "05", "between two others")
    quietly(root / "099", "last")
    quietly(root / "100", "beyond the last")
    assert sorted(chain.back_up()) == ["000", "031", "032", "05", "099", "100"]
    assert chain.back_up() == []
    assert_same_tree(root, chain.replay(tmp_path / "out"))


def _become_a_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("x" * 5)
    os.utime(path, ns=(OLD, OLD), follow_symlinks=False)


def _become_another_name(path: Path, of: Path) -> None:
    path.unlink()
    path.hardlink_to(of)


ALONE: dict[str, Callable[[Path], object]] = {
    "permissions": lambda path: path.chmod(0o600),
    "user": lambda path: os.chown(path, 1, -1),
    "group": lambda path: os.chown(path, -1, 1),
    "an earlier time": lambda path: os.utime(path, ns=(OLD - 10**9, OLD - 10**9)),
    "less than a second": lambda path: os.utime(path, ns=(OLD + 1, OLD + 1)),
    "size": lambda path: quietly(path, "longer than it was"),
    "type": _become_a_link,
    "a name more": lambda path: _become_another_name(path.parent / "folder/other", path),
}


@pytest.mark.parametrize("what", ALONE)
def test_one_thing_alone_that_is_another_is_noticed(tmp_path: Path, what: str) -> None:
    root = tmp_path / "tree"
    for name in ("a", "b", "c", "folder/other"):
        quietly(root / name, "first" + name)
    chain = blind_chain(root, tmp_path)
    chain.back_up()
    assert chain.back_up() == []
    ALONE[what](root / "b")
    assert "b" in chain.back_up()
    assert_same_tree(root, chain.replay(tmp_path / "out"))
    assert chain.back_up() == []


EXCLUSIONS: Sequence[tuple[Sequence[str], dict[str, object], Callable[[Path], Path]]] = (
    (("--exclude=*.o",), {}, lambda top: top / "a.o"),
    ((), {"exclude": ("*.o",)}, lambda top: top / "deep/b.o"),
    ((), {"exclude": ("cache/*",)}, lambda top: top / "cache/a"),
    (("--exclude-from=LIST",), {}, lambda top: top / "listed"),
    (("--exclude-backups",), {}, lambda top: top / "file~"),
    (("--exclude-vcs",), {}, lambda top: top / ".git/config"),
    (("--exclude-caches",), {}, lambda top: top / "marked/x"),
    (("--exclude-caches-all",), {}, lambda top: top / "marked/x"),
    (("--exclude-tag=.tag",), {}, lambda top: top / "marked/x"),
    (("--exclude-tag-all=.tag",), {}, lambda top: top / "marked/x"),
)


def test_a_folder_that_is_a_tag_is_left_out_without_a_warning(tmp_path: Path) -> None:
    """tar writes it without what is in it, among the files, and does so in every archive."""
    root = tmp_path / "tree"
    for name in ("kept", "clone/.git/config", "clone/source"):
        quietly(root / name, name)
    chain = blind_chain(root, tmp_path, "--exclude-tag=.git")
    for _night in range(2):
        chain.back_up()
        assert chain.warnings == []
    out = chain.replay(tmp_path / "out")
    assert sorted(str(path.relative_to(out)) for path in out.rglob("*")) == ["clone", "kept"]
    (root / "clone/.git").rename(root / "clone/git")
    assert {"clone/source", "clone/git/config"} <= set(chain.back_up())
    assert_same_tree(root, chain.replay(tmp_path / "later"))
    assert chain.back_up() == []


@pytest.mark.parametrize(
    ("options", "settings", "excluded"), EXCLUSIONS, ids=lambda each: str(each) if isinstance(each, tuple) else ""
)
def test_what_an_option_excludes_is_never_taken(
    tmp_path: Path, options: Sequence[str], settings: dict[str, object], excluded: Callable[[Path], Path]
) -> None:
    (tmp_path / "list").write_text("listed\n")
    root = tmp_path / "tree"
    quietly(root / "kept", "kept")
    quietly(root / "marked/.tag", "")
    quietly(root / "marked/CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc55\n")
    path = quietly(excluded(root), "excluded at first")
    chain = blind_chain(root, tmp_path, *(each.replace("LIST", str(tmp_path / "list")) for each in options), **settings)
    name = str(path.relative_to(root))
    another = quietly(path.with_name("another~" if path.name == "file~" else f"another-{path.name}"), "")
    another.unlink() if path.name in ("listed", "config") else None
    assert name not in chain.back_up()
    quietly(path, "excluded and changed")
    quietly(root / "kept", "kept, and changed")
    # Of what a tag leaves out tar takes the tag itself, each time.
    tags = {"marked/.tag", "marked/CACHEDIR.TAG"}
    assert set(chain.back_up()) - tags == {"kept"}
    path.unlink()
    path.symlink_to("excluded")
    quietly(path.parent / ("more~" if path.name == "file~" else f"more-{path.name}"), "new")
    new = {str(each.relative_to(root)) for each in path.parent.glob("more*")}
    taken = set(chain.back_up()) - tags
    assert name not in taken
    assert taken <= (new if path.name in ("listed",) else set())
    assert set(chain.back_up()) <= tags


def test_a_file_that_lies_on_another_file_system_is_left_out_as_long_as_it_does(tmp_path: Path) -> None:
    root = tmp_path / "tree"
    covered = quietly(root / "covered", "below")
    quietly(root / "kept", "kept")
    other = Path("/dev/shm") / f"other-{os.getpid()}"
    chain = blind_chain(root, tmp_path, one_file_system=True)
    try:
        quietly(other, "of another file system")
        subprocess.run(["mount", "--bind", str(other), str(covered)], check=True)
        try:
            assert chain.back_up() == ["kept"]
            quietly(other, "of another file system, and changed")
            assert chain.back_up() == []
        finally:
            subprocess.run(["umount", str(covered)], check=True)
    finally:
        other.unlink()
    assert chain.back_up() == ["covered"]
    assert_same_tree(root, chain.replay(tmp_path / "out"))


def test_of_one_file_with_two_names_both_are_taken_and_stay_one(tmp_path: Path) -> None:
    root = tmp_path / "tree"
    quietly(root / "one/name", "first")
    (root / "two").mkdir()
    (root / "two/name").hardlink_to(root / "one/name")
    quietly(root / "alone", "first")
    chain = blind_chain(root, tmp_path)
    chain.back_up()
    quietly(root / "one/name", "changed")
    assert sorted(chain.back_up()) == ["one/name", "two/name"]
    assert_same_tree(root, chain.replay(tmp_path / "out"))
    # tar takes the new name by itself, and the supplement the changed one: they must come back as one.
    quietly(root / "one/name", "changed again, and another name")
    (root / "new").hardlink_to(root / "one/name")
    chain.back_up()
    assert_same_tree(root, chain.replay(tmp_path / "out"))
    assert chain.back_up() == []


@pytest.mark.parametrize("option", ["--owner=1000", "--group=1000", "--mode=a+r", "--owner=root:0", "--numeric-owner"])
def test_headers_that_are_altered_make_nothing_look_changed(tmp_path: Path, option: str) -> None:
    root = tmp_path / "tree"
    os.chown(quietly(root / "file", "first"), 1234, 1234)
    (root / "file").chmod(0o600)
    chain = blind_chain(root, tmp_path, option)
    chain.back_up()
    assert chain.back_up() == []
    quietly(root / "file", "changed")
    assert (chain.back_up(), chain.warnings) == (["file"], [])


def test_what_cannot_be_read_is_taken_as_soon_as_it_can(tmp_path: Path) -> None:
    root = tmp_path / "tree"
    disk = root / "disk"
    quietly(disk / "file", "x" * 5000)
    quietly(root / "kept", "kept")
    chain = blind_chain(root, tmp_path, unreadable=10)
    chain.back_up()
    with failing_disk(disk, tmp_path / "image", {"file": b"y" * 9000}):
        (disk / "file").lstat()
        chain.back_up()
        assert any("could not be read" in line or "not whole" in line for line in chain.warnings)
    assert chain.back_up() == ["disk/file"]
    assert_same_tree(root, chain.replay(tmp_path / "out"))


@pytest.mark.parametrize("version", ["0.0", "0.1", "1.0"])
def test_files_with_holes_are_compared_by_their_real_size(tmp_path: Path, version: str) -> None:
    root = tmp_path / "tree"
    root.mkdir()

    def write(size: int) -> None:
        with (root / "file").open("wb") as file:
            file.truncate(size)
            file.seek(100_000)
            file.write(b"island")
        os.utime(root / "file", ns=(OLD, OLD))

    write(300_000)
    chain = blind_chain(root, tmp_path, "--sparse", f"--sparse-version={version}")
    chain.back_up()
    assert chain.back_up() == []
    write(400_000)
    assert len(chain.back_up()) == 1
    assert_same_tree(root, chain.replay(tmp_path / "out"))
    assert (chain.back_up(), chain.warnings) == ([], [])


def test_sockets_are_not_asked_for_again_and_again(tmp_path: Path) -> None:
    root = tmp_path / "tree"
    root.mkdir()
    os.mknod(root / "socket", stat.S_IFSOCK | 0o600)
    quietly(root / "kept", "kept")
    chain = blind_chain(root, tmp_path)
    chain.back_up()
    assert (chain.back_up(), chain.warnings) == ([], [])


@pytest.mark.parametrize("exclude", ["", "*.o"])
def test_a_socket_is_unread_in_no_archive_whatever_else_changes(tmp_path: Path, exclude: str) -> None:
    root = tmp_path / "tree"
    root.mkdir()
    os.mknod(root / "socket", stat.S_IFSOCK | 0o600)
    chain = IndexedChain(directory_source(root, JobSettings(exclude=(exclude,) if exclude else ())), tmp_path / "work")
    told_of = {2: [b"Dnew"]}
    for night in range(5):
        for name in (f"{night}", f"{night}.o"):
            (root / name).write_text("x")
        if night in told_of:
            os.mknod(root / "new", stat.S_IFSOCK | 0o600)
        chain.back_up()
        told = gzip.decompress(chain.lines or b"").splitlines()
        assert (b"N%d.o" % night in told) == bool(exclude)
        assert [line for line in told if line.endswith((b"socket", b"new"))] == told_of.get(night, [])


@pytest.mark.parametrize("sees_changes", [True, False])
def test_what_a_socket_has_taken_the_place_of_does_not_come_back(tmp_path: Path, sees_changes: bool) -> None:
    root = tmp_path / "tree"
    root.mkdir()
    for name in ("file", "link", "kept"):
        quietly(root / name, name)
    (root / "link").unlink()
    (root / "link").symlink_to("kept")
    chain = blind_chain(root, tmp_path)
    if sees_changes:
        chain = IndexedChain(directory_source(root), tmp_path / "work")
    chain.back_up()
    for name in ("file", "link"):
        (root / name).unlink()
        os.mknod(root / name, stat.S_IFSOCK | 0o600)
        os.utime(root / name, ns=(OLD, OLD))
    for _ in range(2):
        chain.back_up()
        assert [path.name for path in chain.replay(tmp_path / "out").iterdir()] == ["kept"]


def test_an_archive_whose_tree_tar_takes_alone_is_tars_own_byte_for_byte(tmp_path: Path) -> None:
    tree = RandomTree(tmp_path / "tree", 5, size=100)
    for size in (511, 1537, 1 << 18):
        dump = directory_source(tree.root).dump(ArchiveType.FULL, None, tmp_path)
        made = subprocess.run(dump.stage.command, check=True, capture_output=True, env={**os.environ, "LC_ALL": "C"})
        own = made.stdout
        pieces = (memoryview(own)[start : start + size] for start in range(0, len(own), size))
        passed = b"".join(map(bytes, dump.guard.transform(pieces)))
        assert secret_in(passed) is not None
        assert passed[HEAD_LENGTH:].rstrip(b"\0") == own.rstrip(b"\0")
        assert passed.endswith(END_MARK)
        assert len(passed) % 10_240 == 0
        for file in tmp_path.glob("working.*"):
            file.unlink()
