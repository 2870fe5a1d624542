"""What passes the guard, whatever the blocks in which it comes; archives are real tar's."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from s3napback.config.settings import JobSettings
from s3napback.index.lines import Entry, read_entries
from s3napback.rotation import ArchiveType
from s3napback.sources.directory import member_name
from s3napback.sources.live_tree import LiveTree
from s3napback.sources.tar_guard import TarGuard
from tests.descriptors import descriptors_left
from tests.sources.chains import directory_source
from tests.sources.trees import RandomTree

SNAPSHOT = b"GNU tar-1.34-2\n1\x000\0"
"""That of an archive without a folder."""

SIZES = (1, 511, 512, 513, 1537, 10_240, 100_003, 1 << 30)


def raw_archive(path: Path, work: Path, *options: str) -> bytes:
    """What tar writes of a tree, in records of the size that it has by itself."""
    work.mkdir(exist_ok=True)
    source = directory_source(path, JobSettings(tar_options=options))
    (work / "working.snapshot").unlink(missing_ok=True)
    command = [
        "--blocking-factor=20" if word.startswith("--blocking-factor=") else word
        for word in source.dump(ArchiveType.FULL, None, work).stage.command
    ]
    return subprocess.run(command, capture_output=True, env={**os.environ, "LC_ALL": "C"}, check=True).stdout


def in_blocks(data: bytes, size: int) -> Iterator[memoryview]:
    """One buffer is used again and again, as a pipeline does."""
    buffer = bytearray(min(size, len(data)))
    for at in range(0, len(data), size):
        piece = data[at : at + size]
        buffer[: len(piece)] = piece
        yield memoryview(buffer)[: len(piece)]


def guarded(data: bytes, path: Path, size: int, *, is_compared: bool = True) -> tuple[bytes, TarGuard]:
    tree = LiveTree(os.path.realpath(path), since_ns=1 << 62) if is_compared else None
    guard = TarGuard(member_name(str(path), followed=path.is_symlink()), tree, is_full=True)
    if tree is None:
        return b"".join(bytes(piece) for piece in guard.guarded(in_blocks(data, size))), guard
    with tree:
        return b"".join(bytes(piece) for piece in guard.guarded(in_blocks(data, size))), guard


@pytest.fixture(scope="module", params=range(4))
def wild(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree of several owners, with everything in it that a tree can hold."""
    folder = tmp_path_factory.mktemp("wild")
    tree = RandomTree(folder / "tree", request.param, size=150)
    choice = random.Random(request.param)
    (tree.root / "cache").mkdir()
    (tree.root / "cache/CACHEDIR.TAG").write_text("Signature: 8a477f597d28d172789f06886806bc55\n")
    (tree.root / "cache/below").mkdir()
    for path in sorted(tree.root.rglob("*")):
        mode = path.lstat().st_mode & 0o7777
        os.lchown(path, choice.choice((0, 0, 1234, 3_000_000_000)), 0)
        if not path.is_symlink():
            path.chmod(mode)
    return tree.root


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("is_compared", [True, False])
def test_what_belongs_to_the_tree_passes_byte_for_byte(
    wild: Path, tmp_path: Path, size: int, is_compared: bool
) -> None:
    data = raw_archive(wild, tmp_path / "work")
    out, guard = guarded(data, wild, size, is_compared=is_compared)
    assert guard.warnings == []
    assert out == data


@pytest.mark.parametrize(
    "option",
    [
        *("--exclude-caches", "--exclude-caches-all", "--exclude-caches-under", "--exclude-tag-all=name-1"),
        *("--sort=inode", "--hard-dereference", "--sparse-version=0.1", "--sparse-version=0.0", "--no-xattrs"),
        "--exclude=name-*",
    ],
)
def test_no_option_of_tar_makes_an_archive_that_does_not_pass(wild: Path, tmp_path: Path, option: str) -> None:
    data = raw_archive(wild, tmp_path / "work", option)
    out, guard = guarded(data, wild, 65_536)
    assert guard.warnings == []
    assert out == data


def test_the_root_of_a_followed_link(wild: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(wild)
    data = raw_archive(link, tmp_path / "work")
    out, guard = guarded(data, link, 65_536)
    assert (out, guard.warnings) == (data, [])


@pytest.fixture
def robbed() -> Iterator[Path]:
    """The tree of a user, of which tar has read another one's ``secret`` and ``also`` behind a link.

    Its path is so short that each name is in one field of tar's headers.
    """
    with tempfile.TemporaryDirectory(prefix="s3n-") as folder:
        _make_robbed(Path(folder))
        yield Path(folder)


def _make_robbed(tmp_path: Path) -> None:
    for name in ("home/u/mid/docs", "etc/docs"):
        folder = tmp_path / name
        folder.mkdir(parents=True)
        for file in ("also", "secret", "zero"):
            (folder / file).write_text(f"{name}{file}" * 200)
    for path in (tmp_path / "home/u").rglob("*"):
        os.lchown(path, 1234, 1234)
    os.lchown(tmp_path / "home/u", 1234, 1234)
    os.link(tmp_path / "etc/docs/secret", tmp_path / "etc/docs/zero2")
    (tmp_path / "home/u/mid/docs/zero2").write_text("")


def robbery(robbed: Path) -> bytes:
    """The archive of ``home`` as it is when ``u/mid`` was a link to ``etc``, and its lists were made before."""
    home, etc = robbed / "home", robbed / "etc"
    lists = raw_archive(home, robbed / "work")
    middle = home / "u/mid"
    middle.rename(home / "u/aside")
    middle.symlink_to(etc)
    names = [f"{str(middle)[1:]}/docs/{name}" for name in ("also", "secret", "zero", "zero2")]
    files = subprocess.run(
        ["tar", "-c", "--format=posix", "--pax-option=delete=atime,delete=ctime", "-C", "/", *names],
        check=True,
        capture_output=True,
    ).stdout
    middle.unlink()
    (home / "u/aside").rename(middle)
    # Directories come first; the first file is where the two differ.
    directories = lists[: lists.index(f"{str(middle)[1:]}/docs/PaxHeaders/also".encode())]
    return directories + files


@pytest.mark.parametrize("size", SIZES)
def test_what_was_read_behind_a_link_that_is_gone_again_is_kept_out(robbed: Path, size: int) -> None:
    data = robbery(robbed)
    assert b"etc/docssecret" in data
    out, guard = guarded(data, robbed / "home", size)
    assert b"etc/docs" not in out.replace(str(robbed).encode(), b"")
    assert len(out) % 10_240 == 0
    start = f"{robbed}/home/u/mid/docs/"[1:].encode()
    assert set(guard.out.paths) == {start + name for name in (b"also", b"secret", b"zero", b"zero2")}
    listed = subprocess.run(["tar", "-t"], input=out, check=True, capture_output=True)
    assert listed.stderr == b""
    assert len(listed.stdout.splitlines()) == 4


def followed(data: bytes, path: Path, work: Path, size: int) -> tuple[bytes, list[Entry] | None, Sequence[str]]:
    """What passes guard and index together, what the index tells of, and the warnings."""
    for file in work.glob("working.*"):
        file.unlink()
    dump = directory_source(path).dump(ArchiveType.FULL, None, work)
    (work / "working.snapshot").write_bytes(SNAPSHOT)
    out = b"".join(map(bytes, dump.guard.transform(in_blocks(data, size))))
    lines = dump.listing() if dump.listing else None
    entries = list(read_entries([zlib.decompress(lines.path.read_bytes(), 31)])) if lines else None
    return out, entries, dump.conclude().warnings


@pytest.mark.parametrize("size", [512, 1537, 1 << 30])
def test_the_index_tells_of_nothing_that_was_kept_out(robbed: Path, size: int) -> None:
    out, entries, warnings = followed(robbery(robbed), robbed / "home", robbed / "work", size)
    assert b"etc/docs" not in out.replace(str(robbed).encode(), b"")
    assert sum("was kept out" in line for line in warnings) == 4
    assert [entry.path.rpartition(b"/")[2] for entry in entries or ()] == [b"home", b"u", b"mid", b"docs"]


@pytest.mark.parametrize("size", [512, 1537, 1 << 30])
def test_what_the_index_cannot_follow_is_guarded_all_the_same(robbed: Path, size: int) -> None:
    data = bytearray(robbery(robbed))
    # A folder of the form that tar wrote long ago, in the last of the headers before the files.
    at = data.index(b"docs/PaxHeaders/also") // 512 * 512 - 512
    assert data[at + 156] == ord("5")
    data[at + 156] = ord("D")
    data[at + 148 : at + 156] = b" " * 8
    data[at + 148 : at + 156] = b"%06o\0 " % sum(data[at : at + 512])
    out, entries, warnings = followed(bytes(data), robbed / "home", robbed / "work", size)
    assert entries is None
    assert any("cannot be followed" in line for line in warnings)
    assert b"etc/docs" not in out.replace(str(robbed).encode(), b"")
    assert sum("was kept out" in line for line in warnings) == 4
    assert subprocess.run(["tar", "-t"], input=out, check=True, capture_output=True).stderr == b""


def test_files_that_pass_in_rows_are_indexed_as_one_by_one(robbed: Path) -> None:
    folder = robbed / "tree/docs"
    folder.mkdir(parents=True)
    usual = 1_700_000_000_123_456_789
    # Of as many digits as usual: without the last ones, before 1970, without any, and long after.
    moments = (*[usual] * 6, usual // 1000 * 1000, -123_456_789_123_456_789, 10**18, 15 * 10**18 + 10)
    for number in range(240):
        name = ("plain", "back\\slash", "new\nline", "long" * 30, "tab\t")[number // 4 % 5]
        path = folder / f"{number:04}-{name}"
        path.write_bytes(b"x" * (number * 37 % 1100))
        os.utime(path, ns=(0, moments[number % 10]))
        os.chown(path, 1234 if number % 13 else 0, number % 50 // 25)
    (robbed / "tree/later").mkdir()
    (robbed / "tree/later/file").write_bytes(b"x")
    os.chown(folder, 1234, 0)
    data = raw_archive(robbed / "tree", robbed / "work")
    told = []
    for size in (512, 1 << 30):
        _out, entries, warnings = followed(data, robbed / "tree", robbed / "work", size)
        with closing(sqlite3.connect(robbed / "work/working.index")) as connection:
            told.append((entries, warnings, list(connection.execute("SELECT * FROM folder ORDER BY path, first"))))
    assert told[0] == told[1]
    assert len(told[0][0] or ()) == 244


def test_a_file_of_roots_with_the_same_name_in_the_users_folder_is_not_taken_for_the_secret(robbed: Path) -> None:
    data = robbery(robbed)
    os.lchown(robbed / "home/u/mid/docs/secret", 0, 0)
    out, _guard = guarded(data, robbed / "home", 65_536)
    assert b"etc/docssecret" not in out


def test_many_that_are_kept_out_are_counted(robbed: Path) -> None:
    home, etc = robbed / "home", robbed / "etc"
    for number in range(70):
        for folder in (etc / "docs", home / "u/mid/docs"):
            (folder / f"n{number:03}").write_text(folder.name)
    lists = raw_archive(home, robbed / "work")
    for number in range(70):
        os.utime(home / f"u/mid/docs/n{number:03}", (1, 1))
        os.lchown(home / f"u/mid/docs/n{number:03}", 99, 99)
    _out, guard = guarded(lists, home, 65_536)
    assert len(guard.warnings) == 51
    assert guard.warnings[-1] == "20 other paths were kept out likewise"


@pytest.mark.parametrize("place", ["a header", "a folder's own"])
def test_an_archive_that_cannot_be_followed_passes_as_it_is_with_a_warning(robbed: Path, place: str) -> None:
    data = bytearray(raw_archive(robbed / "home", robbed / "work"))
    if place == "a header":
        data[data.index(b"ustar\x0000", 5000)] ^= 1
    else:
        data[data.index(b"ustar\x0000", 1024) + 250] ^= 1
    out, guard = guarded(bytes(data), robbed / "home", 4096)
    assert out == data
    assert len(guard.warnings) == 1
    assert "could not be told" in guard.warnings[0]


def test_folders_nested_deeper_than_files_may_be_open_are_looked_at(tmp_path: Path) -> None:
    (tmp_path / "estate").mkdir()
    os.chown(tmp_path / "estate", 4321, 4321)
    folder = tmp_path / "estate/" / "/".join(["d"] * 200)
    folder.mkdir(parents=True)
    (folder / "file").write_bytes(b"content")
    data = raw_archive(tmp_path / "estate", tmp_path / "work")
    with descriptors_left(100):
        passed, guard = guarded(data, tmp_path / "estate", 10_240)
    assert guard.warnings == []
    assert passed == data
