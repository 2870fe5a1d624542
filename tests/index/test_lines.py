"""The lines tell of each member what it is and where it stands, as tar wrote it, and are read strictly."""

from __future__ import annotations

import os
import stat
import subprocess
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from s3napback.config.settings import JobSettings
from s3napback.index.document import DocumentReader, first_part
from s3napback.index.head import head_of, secret_in
from s3napback.index.line_text import escaped, unescaped
from s3napback.index.lines import FILE, FOLDER, LINK, SYMLINK, Entry, Lines, read_entries
from s3napback.index.records import DamagedIndex
from s3napback.rotation import ArchiveType, SimpleCycle
from s3napback.streams.compression import make_compression
from s3napback.streams.pipeline import Pipeline
from s3napback.streams.segments import SEGMENT_SIZE, Segments
from s3napback.streams.transformations import composed
from tests.sources.chains import directory_source
from tests.sources.trees import RandomTree

ID = "0123456789abcdef" * 2
ODD_NAMES = [
    *(b"a\nb", b"tab\tname", b"back\\slash", b"\\n", b" lead", b"trail ", b"-> x", b":colon", b"kind 0"),
    *("ü".encode(), b"\xff\xfe", b"x" * 250),
]


def odd_tree(root: Path) -> Path:
    RandomTree(root, 5, size=80)
    folder = root / "odd"
    folder.mkdir()
    for name in ODD_NAMES:
        (folder / os.fsdecode(name)).write_bytes(b"content of " + name)
    os.link(folder / "ü", folder / "another\nname of it")
    (folder / "link\n").symlink_to("tar\nget\\")
    for number, moment in enumerate((-2_177_452_800 * 10**9 + 1, -1, 0, 10**9, 15_000_000_000 * 10**9 + 999_999_999)):
        (folder / f"time {number}").touch()
        os.utime(folder / f"time {number}", ns=(moment, moment))
    (folder / "deep" / ("long" * 40) / ("long" * 40)).mkdir(parents=True)
    (folder / "deep" / ("long" * 40) / ("long" * 40) / "file").write_bytes(bytes(5000))
    os.mknod(folder / "device", stat.S_IFCHR | 0o600, os.makedev(1, 3))
    os.mkfifo(folder / "pipe")
    with (folder / "sparse").open("wb") as file:
        file.seek(3_000_000)
        file.write(b"x" * 10_000)
        file.truncate(9_000_000)
    return root


def made(root: Path, folder: Path, *options: str, diffs: int = 6) -> tuple[bytes, Lines, Segments]:
    """An archive of a tree, its lines and its segments."""
    folder.mkdir()
    source = directory_source(root, replace(JobSettings(tar_options=options)))
    if not diffs:
        source = replace(source, job=replace(source.job, schedule=SimpleCycle()))
    dump = source.dump(ArchiveType.FULL, None, folder)
    segments, stored = Segments(os.urandom(32)), bytearray()
    buffer = memoryview(bytearray(1 << 16))
    with Pipeline([dump.stage, composed(dump.guard, make_compression("none", None, segments))]) as pipeline:
        while count := pipeline.readinto(buffer):
            stored += buffer[:count]
    assert dump.conclude().warnings in ([], ())
    assert dump.listing is not None
    lines = dump.listing()
    assert lines is not None
    return bytes(stored), lines, segments


def text_of(lines: Lines) -> Iterator[bytes]:
    yield zlib.decompress(lines.path.read_bytes(), 31)


@pytest.mark.parametrize("options", [(), ("--sparse",), ("--owner=3000000000", "--numeric-owner")])
@pytest.mark.parametrize("diffs", [0, 6])
def test_every_member_is_told_with_its_place_and_what_it_is(
    tmp_path: Path, options: tuple[str, ...], diffs: int
) -> None:
    stored, lines, _ = made(odd_tree(tmp_path / "tree"), tmp_path / "work", *options, diffs=diffs)
    (tmp_path / "archive").write_bytes(stored)
    entries = list(read_entries(text_of(lines)))
    with tarfile.open(tmp_path / "archive", errors="surrogateescape") as archive:
        members = list(archive)
    assert len(entries) == len(members)
    for entry, member in zip(entries, members, strict=True):
        assert os.fsdecode(entry.path) == member.pax_headers.get("GNU.sparse.name", member.name)
        assert (entry.mode, entry.owner, entry.group) == (member.mode, member.uid, member.gid)
        assert entry.start == member.offset
        assert (entry.type == FOLDER, entry.type == LINK, entry.type == SYMLINK) == (
            member.isdir(),
            member.islnk(),
            member.issym(),
        )
        if member.issym() or member.islnk():
            assert os.fsdecode(entry.more) == member.linkname
        if entry.type == FILE:
            assert entry.size == member.size
        assert (
            abs(entry.seconds + entry.nanoseconds / 10**9 - float(member.pax_headers.get("mtime", member.mtime))) < 1e-3
        )
    assert stored[entries[-1].end :].strip(b"\0") == b""


def test_plain_tar_passes_over_the_head_of_an_archive(tmp_path: Path) -> None:
    stored, lines, _ = made(RandomTree(tmp_path / "tree", 5, size=80).root, tmp_path / "work")
    assert secret_in(stored) == lines.secret
    (tmp_path / "out").mkdir()
    command = ["tar", "--extract", "--listed-incremental=/dev/null", f"--directory={tmp_path / 'out'}"]
    done = subprocess.run(command, input=stored, capture_output=True, check=True)
    assert done.stderr == b""


def test_only_a_head_of_our_own_holds_a_secret() -> None:
    secret = os.urandom(32)
    head = head_of(secret)
    assert secret_in(head) == secret_in(head + b"more") == secret
    assert secret_in(head[:-1]) is None
    for place in (0, 130, 150, 156, 520, 560, 1000):
        changed = bytearray(head)
        changed[place] ^= 1
        assert secret_in(bytes(changed)) != secret


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_name_comes_back_from_its_line(name: bytes) -> None:
    assert unescaped(escaped(name)) == name
    assert not {b"\n", b"\t"} & {escaped(name)[place : place + 1] for place in range(len(escaped(name)))}


@pytest.mark.parametrize("size", [1, 77, 1 << 20])
def test_whoever_wants_one_folder_reads_its_members_alone(tmp_path: Path, size: int) -> None:
    _, lines, _ = made(odd_tree(tmp_path / "tree"), tmp_path / "work")
    text = next(text_of(lines))
    pieces = [text[start : start + size] for start in range(0, len(text), size)]
    every = list(read_entries([text]))
    odd = os.fsencode(tmp_path / "tree" / "odd").lstrip(b"/")
    found = list(read_entries(pieces, lambda folder: folder == odd))
    assert found == [each for each in every if each.type == FOLDER or each.path.rpartition(b"/")[0] == odd]
    assert len(found) < len(every)


BROKEN = [
    b":3\nkind 0 file 644 0 0 1\n0 1 1 name\n",
    b"kind 0 folder 755 0 0 0\n0 1 1 name\n",
    b":x folder\n",
    b"nonsense\n",
    b"0 1 1 name\n",
    b"kind 0 file 644 0 0 0\n0 1 1 name\n",
    b"kind 0 socket 644 0 0 1\n",
    b"kind 0 file 644 0 0 1\n0 -1 1 name\n",
    b"kind 0 file 644 0 0 1\n0 1 1 na\\me\n",
    b"kind 0 file 644 0 0 1\n0 1 1 name",
    b"kind 0 file 644 0 0 1\n0 1 1 " + b"x" * 100_000,
]


@pytest.mark.parametrize("text", BROKEN)
def test_lines_of_another_form_are_refused(text: bytes) -> None:
    with pytest.raises(DamagedIndex):
        list(read_entries([b":2 folder\n" + text]))


def read(stored: bytes, secret: bytes, size: int = 1 << 30, archive_id: str = ID) -> list[Entry]:
    reader = DocumentReader((stored[place : place + 777] for place in range(0, len(stored), 777)), size)
    document = reader.document(archive_id, secret)
    return list(read_entries(reader.lines(document)))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    folder = tmp_path_factory.mktemp("document")
    _, lines, segments = made(odd_tree(folder / "tree"), folder / "work")
    return first_part(ID, segments, lines) + lines.path.read_bytes(), lines.secret


def test_a_document_is_read_with_the_secret_of_its_archive_alone(whole: tuple[bytes, bytes]) -> None:
    stored, secret = whole
    assert len(read(stored, secret)) > 80
    for secret_, archive_id in ((os.urandom(32), ID), (secret, ID[::-1])):
        with pytest.raises(DamagedIndex):
            read(stored, secret_, archive_id=archive_id)


def test_a_flipped_bit_anywhere_in_a_document_is_refused_or_changes_nothing(whole: tuple[bytes, bytes]) -> None:
    stored, secret = whole
    entries = read(stored, secret)
    for place in range(0, len(stored), max(1, len(stored) // 150)):
        changed = bytearray(stored)
        changed[place] ^= 0x10
        with suppress(DamagedIndex):
            assert read(bytes(changed), secret) == entries


@pytest.mark.parametrize("end", [0, 1, 100, -1, -9])
def test_a_document_that_is_cut_off_is_refused(whole: tuple[bytes, bytes], end: int) -> None:
    with pytest.raises(DamagedIndex):
        read(whole[0][:end], whole[1])


def test_what_follows_a_document_is_refused(whole: tuple[bytes, bytes]) -> None:
    with pytest.raises(DamagedIndex):
        read(whole[0] + b"x", whole[1])


def test_segments_that_cannot_be_are_refused_even_with_the_secret(whole: tuple[bytes, bytes], tmp_path: Path) -> None:
    (tmp_path / "lines").write_bytes(b"")
    lines = Lines(tmp_path / "lines", os.urandom(32), 0, b"\0" * 32)
    for lengths, stored in (([2 * SEGMENT_SIZE], 1 << 30), ([1000, 1000], 1999)):
        segments = Segments()
        for length in lengths:
            segments.add(bytes(length))
            segments.end()
        segments.is_whole = True
        with pytest.raises(DamagedIndex, match="cannot be"):
            read(first_part(ID, segments, lines), lines.secret, stored)


def test_a_document_that_never_ends_is_given_up(whole: tuple[bytes, bytes]) -> None:
    bomb = zlib.compressobj(9, zlib.DEFLATED, 31)
    endless = bomb.compress(bytes(1 << 24)) + bomb.flush()
    with pytest.raises(DamagedIndex, match="longer"):
        read(endless, whole[1], 1000)
