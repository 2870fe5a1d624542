"""tar's headers are seen as a reading tar sees them, and what could be read otherwise is refused."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from s3napback.streams.dumpdirs import MalformedArchive
from s3napback.streams.tar_headers import Member, plain_name, read_records
from s3napback.streams.tar_stream import END_MARK, TarFollower, selected, watched
from tests.peaks import peak_of

PIECES = (31, 512, 513, 1 << 18)


def cut(data: bytes, size: int) -> Iterator[memoryview]:
    """The same buffer again and again, as a pipeline gives it."""
    buffer = memoryview(bytearray(size))
    for start in range(0, len(data), size):
        piece = data[start : start + size]
        buffer[: len(piece)] = piece
        yield buffer[: len(piece)]


def members(data: bytes, size: int = 1 << 18) -> list[Member]:
    found: list[Member] = []
    passed = b"".join(bytes(block) for block in watched(cut(data, size), found.append))
    assert passed.endswith(END_MARK)
    assert data.startswith(passed)
    assert not data[len(passed) :].strip(b"\0")
    return found


def run_tar(folder: Path, *arguments: str) -> bytes:
    return subprocess.run(
        ["tar", "--create", "--file=-", *arguments], cwd=folder, check=True, capture_output=True, timeout=60
    ).stdout


def block(name: bytes, kind: bytes = b"0", size: bytes = b"%011o\0" % 0, link: bytes = b"") -> bytes:
    """A header block with a right sum."""
    header = bytearray(512)
    header[: len(name)] = name
    header[100:124] = b"0000644\0" + b"0000000\0" * 2
    header[124:136] = size
    header[136:148] = b"%011o\0" % 0
    header[148:156] = b" " * 8
    header[156:157] = kind
    header[157 : 157 + len(link)] = link
    header[257:265] = b"ustar\x0000"
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


def padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % 512)


def record(keyword: bytes, value: bytes) -> bytes:
    rest = b" " + keyword + b"=" + value + b"\n"
    length = len(rest) + 1
    while len(b"%d" % length) + len(rest) != length:
        length += 1
    return b"%d" % length + rest


def extended(*records: bytes, kind: bytes = b"x") -> bytes:
    content = b"".join(records)
    return block(b"PaxHeaders", kind, b"%011o\0" % len(content)) + padded(content)


def make_tree(folder: Path) -> None:
    (folder / "d/sub").mkdir(parents=True)
    (folder / "d/a").write_bytes(os.urandom(3000))
    (folder / "d/empty").touch()
    os.setxattr(folder / "d/empty", b"user. odd=%\n\xff name", b"\0=\n")
    (folder / "d" / ("long" * 60)).write_text("x")
    (folder / "d/sub/link").symlink_to("../" * 40 + "a")
    os.link(folder / "d/a", folder / "d/sub/other")
    os.mkfifo(folder / "d/sub/fifo")
    (folder / "d/\udcff odd\nname".encode(errors="surrogateescape").decode(errors="surrogateescape")).write_text("y")
    with (folder / "d/sparse").open("wb") as sparse:
        for place in (1 << 20, 5 << 20, (9 << 20) + 100):
            sparse.seek(place)
            sparse.write(b"data" * 1000)


OPTIONS = (
    ("--format=posix", "--listed-incremental=snapshot", "--no-check-device", "--acls", "--xattrs"),
    ("--format=posix", "--sparse", "--listed-incremental=snapshot"),
    ("--format=posix", "--sparse", "--sparse-version=0.1"),
    ("--format=posix", "--sparse", "--sparse-version=0.0"),
    ("--format=gnu", "--listed-incremental=snapshot"),
)


@pytest.mark.parametrize("options", OPTIONS, ids=" ".join)
@pytest.mark.parametrize("size", PIECES)
def test_the_members_are_those_that_tar_lists(tmp_path: Path, options: Sequence[str], size: int) -> None:
    make_tree(tmp_path)
    data = run_tar(tmp_path, *options, "d")
    listed = subprocess.run(
        ["tar", "--list", "--file=-", "--quoting-style=literal", "--null", "--show-transformed-names"],
        input=data,
        capture_output=True,
        check=True,
        timeout=60,
    )
    found = members(data, size)
    names = [member.path.decode(errors="surrogateescape") for member in found]
    assert "".join(f"{name}\n" for name in names) == listed.stdout.decode(errors="surrogateescape")
    with tarfile.open(fileobj=io.BytesIO(data), errors="surrogateescape") as archive:
        for member, told in zip(found, archive, strict=True):
            assert member.owner == told.uid
            assert member.permissions == told.mode & 0o7777
            assert (plain_name(told.linkname) if told.islnk() else "") == member.link_target


@pytest.mark.parametrize("size", PIECES)
def test_chosen_members_pass_as_they_were(tmp_path: Path, size: int) -> None:
    make_tree(tmp_path)
    data = run_tar(tmp_path, *OPTIONS[0], "d")
    everything = b"".join(map(bytes, selected(cut(data, size), lambda _member: True)))
    assert everything.rstrip(b"\0") == data.rstrip(b"\0")
    assert everything.endswith(END_MARK)
    one = b"".join(map(bytes, selected(cut(data, size), lambda member: member.name == "d/a")))
    with tarfile.open(fileobj=io.BytesIO(one)) as archive:
        assert archive.getnames() == ["d/a"]
        content = archive.extractfile("d/a")
        assert content is not None
        assert content.read() == (tmp_path / "d/a").read_bytes()


@pytest.mark.parametrize("size", PIECES)
def test_the_end_mark_goes_on_when_all_before_it_has_ended(size: int) -> None:
    content = block(b"a", size=b"%011o\0" % 600) + bytes(1024)
    passed: list[bytes] = []
    at_the_end: list[bytes] = []

    def source() -> Iterator[memoryview]:
        yield from cut(content + bytes(9 * 512), size)
        at_the_end.append(b"".join(passed))

    for piece in watched(source(), lambda _member: None):
        passed.append(bytes(piece))
    assert b"".join(passed) == content + END_MARK
    (before,) = at_the_end
    assert len(content) <= len(before) < len(content) + 512


def test_entries_are_all_names_that_a_directory_held(tmp_path: Path) -> None:
    make_tree(tmp_path)
    found = {member.name: member for member in members(run_tar(tmp_path, *OPTIONS[0], "--exclude=empty", "d"))}
    assert sorted(found["d"].entries) == sorted(path.name for path in (tmp_path / "d").iterdir())
    assert found["d/a"].dumpdir is None


GOOD = block(b"d/a", size=b"%011o\0" % 3) + padded(b"abc")
FILE = block(b"f")


def directory(dumpdir: bytes) -> bytes:
    return extended(record(b"GNU.dumpdir", dumpdir)) + block(b"d", b"5")


def sparse(size: int, *records: tuple[str, str]) -> bytes:
    encoded = [record(b"GNU.sparse." + name.encode(), value.encode()) for name, value in records]
    return extended(*encoded) + block(b"s", size=b"%011o\0" % size) + bytes(size + -size % 512)


NEW = (("major", "1"), ("minor", "0"), ("name", "s"), ("realsize", "9"))

REFUSED = {
    "damaged header": b"x" + GOOD[1:] + END_MARK,
    "lost end": GOOD,
    "one empty block": GOOD + bytes(512),
    "something behind the end": GOOD + END_MARK + FILE,
    "volume header": block(b"v", b"V") + END_MARK,
    "multi-volume": block(b"m", b"M") + END_MARK,
    "old sparse": block(b"s", b"S") + END_MARK,
    "contiguous": block(b"f", b"7") + END_MARK,
    "no type": block(b"f", b"\0") + END_MARK,
    "directory with content": block(b"d", b"5", b"%011o\0" % 512) + FILE + END_MARK,
    "link with content": block(b"l", b"1", b"%011o\0" % 512, b"d/a") + FILE + END_MARK,
    "size without digits": block(b"f", size=b"    0      \0") + END_MARK,
    "negative size": block(b"f", size=b"\xff" * 12) + END_MARK,
    "size record on a directory": extended(record(b"size", b"512")) + block(b"d", b"5") + FILE + END_MARK,
    "size record with a sign": extended(record(b"size", b"+0")) + FILE + END_MARK,
    "absolute name": block(b"/d/a") + END_MARK,
    "leading out": block(b"d/../../a") + END_MARK,
    "absolute name in a record": extended(record(b"path", b"/etc/passwd")) + FILE + END_MARK,
    "no name": block(b"") + END_MARK,
    "file like a directory": block(b"d/") + END_MARK,
    "link leading out": block(b"l", b"1", link=b"../x") + END_MARK,
    "absolute link": block(b"l", b"1", link=b"/etc/shadow") + END_MARK,
    "link to nothing": block(b"l", b"2") + END_MARK,
    "NUL in a name": extended(record(b"path", b"a\0b")) + FILE + END_MARK,
    "two names": extended(record(b"path", b"a"), record(b"path", b"b")) + FILE + END_MARK,
    "broken record": extended(b"12 path=abcde\n") + FILE + END_MARK,
    "record with blanks": extended(b" 9 path=a\n") + FILE + END_MARK,
    "record with a blank keyword": extended(record(b" path", b"a")) + FILE + END_MARK,
    "record with a tab": extended(record(b"\tsize", b"0")) + FILE + END_MARK,
    "sum larger by what Adler's counts to": FILE[:148]
    + b"%07o\0" % (int(FILE[148:154], 8) + 65_521)
    + FILE[156:]
    + END_MARK,
    "record longer than all": extended(b"99 path=a\n") + FILE + END_MARK,
    "names for all": extended(record(b"path", b"a"), kind=b"g") + FILE + END_MARK,
    "sizes for all": extended(record(b"size", b"0"), kind=b"g") + FILE + END_MARK,
    "two extended headers": extended(record(b"path", b"a")) * 2 + FILE + END_MARK,
    "long name and extended header": block(b"L", b"L", b"%011o\0" % 2) + padded(b"a\0") + directory(b"\0") + END_MARK,
    "broken long name": block(b"L", b"L", b"%011o\0" % 4) + padded(b"a\0b\0") + FILE + END_MARK,
    "headers without a member": extended(record(b"path", b"a")) + END_MARK,
    "huge header": block(b"x", b"x", b"%011o\0" % (1 << 30)),
    "huge long name": block(b"L", b"L", b"%011o\0" % (1 << 24)),
    "rename": directory(b"Ra\0Tb\0\0") + END_MARK,
    "temporary name": directory(b"X/outside\0\0") + END_MARK,
    "entry with a slash": directory(b"Ya/b\0\0") + END_MARK,
    "entry that is the folder above": directory(b"Y..\0\0") + END_MARK,
    "entry without a name": directory(b"Y\0\0") + END_MARK,
    "entries without an end": directory(b"Ya\0") + END_MARK,
    "entries behind the end": directory(b"Ya\0\0X/b\0\0") + END_MARK,
    "entries of a file": extended(record(b"GNU.dumpdir", b"\0")) + FILE + END_MARK,
    "rename in the older format": block(b"d", b"D", b"%011o\0" % 5) + padded(b"Xa\0\0") + END_MARK,
    "several volumes": extended(record(b"GNU.volume.label", b"a")) + FILE + END_MARK,
    "sparse size alone": sparse(512, ("realsize", "0")) + END_MARK,
    "sparse without a map": sparse(512, ("size", "0"), ("numblocks", "0")) + END_MARK,
    "sparse with two maps": sparse(
        512, ("size", "512"), ("numblocks", "1"), ("map", "0,512"), ("offset", "0"), ("numbytes", "512")
    )
    + END_MARK,
    "sparse places in one record": sparse(
        512, ("size", "512"), ("numblocks", "2"), ("offset", "0,512"), ("numbytes", "512,0")
    )
    + END_MARK,
    "sparse map of other size": sparse(1024, ("size", "512"), ("numblocks", "1"), ("map", "0,512")) + END_MARK,
    "sparse map within a block": sparse(612, ("size", "612"), ("numblocks", "2"), ("map", "0,100,100,512")) + END_MARK,
    "sparse map in the content of other size": extended(
        *(record(f"GNU.sparse.{k}".encode(), v.encode()) for k, v in NEW)
    )
    + block(b"s", size=b"%011o\0" % 512)
    + padded(b"1\n0\n512\n")
    + END_MARK,
    "sparse map without an end": extended(*(record(f"GNU.sparse.{k}".encode(), v.encode()) for k, v in NEW))
    + block(b"s", size=b"%011o\0" % 1024)
    + b"1" * 1024
    + END_MARK,
    "sparse version 2": sparse(512, ("major", "2"), ("minor", "0"), ("name", "s"), ("realsize", "9")) + END_MARK,
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("size", (512, 1 << 18))
def test_what_tar_could_read_otherwise_is_refused(case: str, size: int) -> None:
    with pytest.raises(MalformedArchive):
        list(watched(cut(REFUSED[case], size), lambda _member: None))
    with pytest.raises(MalformedArchive):
        list(selected(cut(REFUSED[case], size), lambda _member: True))


def test_what_resembles_the_refused_is_read() -> None:
    assert [member.name for member in members(GOOD + END_MARK)] == ["d/a"]
    comment = extended(record(b"comment", b"0" * 64), kind=b"g")
    assert [member.name for member in members(comment + directory(b"Ya\0Nb\0Dc\0\0") + FILE + END_MARK)] == ["d", "f"]
    assert members(sparse(512, ("size", "512"), ("numblocks", "1"), ("map", "0,512")) + END_MARK)[0].size == 512


def test_no_block_goes_on_before_its_headers_were_looked_at() -> None:
    data = GOOD + directory(b"X/outside\0\0") + END_MARK
    passed = []
    with pytest.raises(MalformedArchive):
        for each in watched(cut(data, 512), lambda _member: None):
            passed.append(bytes(each))
    assert b"outside" not in b"".join(passed)


def test_many_records_take_time_in_proportion() -> None:
    """A file in many pieces has as many records, and so has an archive that somebody else has made."""
    pairs = record(b"GNU.sparse.offset", b"0") + record(b"GNU.sparse.numbytes", b"0")
    start = time.process_time()
    records = read_records(pairs * 200_000)
    assert time.process_time() - start < 20
    assert len(records[b"GNU.sparse.offset"]) == 399_999


def test_a_list_of_very_many_names_is_held_twice_at_most() -> None:
    """As what passes on, and as what is looked at; of a folder of a million files each is 20 MB."""
    dumpdir = b"".join(b"Nname%012d\0" % number for number in range(100_000)) + b"\0"
    follower = TarFollower()
    content = extended(record(b"GNU.dumpdir", dumpdir)) + block(b"d", b"5") + END_MARK

    def follow() -> None:
        found = [part for piece in cut(content, 1 << 18) for part in follower.feed(piece) if isinstance(part, Member)]
        assert sum(1 for _entry in found[0].entries) == 100_000

    # What is gathered may have an eighth to spare.
    assert peak_of(follow) < 2.4 * len(dumpdir)
