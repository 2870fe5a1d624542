"""Files pass in stretches only if their headers say nothing that would have to be looked at."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path

import pytest

from s3napback.streams.dumpdirs import MalformedArchive
from s3napback.streams.tar_headers import Member, read_header
from s3napback.streams.tar_ordinary import Passing, behind_ordinary
from s3napback.streams.tar_stream import selected
from tests.hostile.archives import BLOCK, END, GNU, file, header, member, padded, pax, pax_record, resummed

EVERY = Passing(lambda _folder: True, keeps=True)
TIME = pax_record("mtime", "1700000000.123456789")
LONG = pax_record("path", "top/" + "l" * 120)


def noting(seen: list[Member]) -> Callable[[Member], bool]:
    """Wants every member, and notes it."""

    def wants(found: Member) -> bool:
        seen.append(found)
        return True

    return wants


def behind(data: bytes, passing: Passing = EVERY) -> int:
    return behind_ordinary(memoryview(data), 0, passing)


def altered(place: int, value: bytes) -> bytes:
    """A file's header, right but for some bytes."""
    block = header("top/a")
    return resummed(block[:place] + value + block[place + len(value) :])


def test_what_tar_writes_of_most_files_passes() -> None:
    for content, front in product((0, 1, 512, 513), (b"", pax(TIME), pax(LONG), pax(LONG + TIME))):
        data = front + header("top/a", size=content) + padded(b"x" * content)
        assert behind(data * 3) == 3 * len(data)
        assert behind(data + header("top", b"5")) == len(data)


def test_a_content_may_go_on_behind_the_block() -> None:
    assert behind(header("top/a", size=5000)) == BLOCK + 5120


NOT_ORDINARY = [
    *(
        altered(100, each)
        for each in (b"0004755\0", b"0002755\0", b"0001755\0", b"0100644\0", b"000644 \0", b"+000644\0")
    ),
    *(altered(124, each) for each in (b"00000000000 ", b"\x80" + bytes(11), b"       0000\0")),
    *(altered(156, each) for each in (b"\0", b"1", b"2", b"3", b"4", b"5", b"6", b"7", b"D", b"g", b"L", b"S", b"M")),
    *(altered(257, each) for each in (GNU, b"ustar\x0001", b"Ustar\x0000")),
    *(altered(157, b"top"), altered(345, b"top"), altered(511, b"x")),
    header("top/a", checksum=b"0000000\0"),
    header("top/a")[:148] + b" 10000\0 " + header("top/a")[156:],
    *map(
        header, ("", "/top/a", "top/a/", "top//a", "top/./a", "top/../a", "../a", "./a", ".", "..", "top/.", "top/..")
    ),
    pax(LONG + TIME),
    pax(TIME) + header("top/a", b"5"),
    pax(TIME) + pax(TIME) + header("top/a"),
    pax(TIME, b"g") + header("top/a"),
    pax(TIME)[:148] + b"000001\0 " + pax(TIME)[156:] + header("top/a"),
    *(
        pax(records) + header("top/a")
        for records in (
            *(
                b"30 mtime=5\n",
                b"10 mtime=5\n",
                b"10 mtime=5",
                b"11 mtime=5\n\n",
                TIME + TIME,
                TIME + LONG,
                LONG + LONG,
            ),
            *(b"15 path=top/a\n", b"13 path=top/a\n", b"14 path=top/a\n10 mtime=5\n", b"14 path=top/a\n12 mtime=5\n"),
            *(pax_record("path", each) for each in ("", "/top", "top/", "top/../a", "top\0", "top\n")),
            *(
                pax_record(each, "5")
                for each in ("size", "uid", "atime", "linkpath", "GNU.sparse.name", "SCHILY.xattr.x")
            ),
        )
    ),
    *(
        pax(records, size=size) + header("top/a")
        for records, size in ((TIME, 29), (TIME, 31), (LONG + TIME, 31), (b"30 mtime=5\n", 30))
    ),
]


def test_whatever_says_more_or_says_it_otherwise_does_not_pass() -> None:
    assert [data for data in NOT_ORDINARY if behind(data + END)] == []


def test_a_sum_is_not_taken_for_another_one() -> None:
    """Adler's checksum counts modulo 65,521."""
    full = header("\xff" * 50 + "top", link=b"\xff" * 100, tail=b"\xff" * 167)
    full = full[:265] + b"\xff" * 64 + full[329:]
    total = sum(full[:148]) + 8 * 32 + sum(full[156:])
    wrong = full[:148] + b"%06o\0 " % (total - 65_521) + full[156:]
    with pytest.raises(MalformedArchive):
        read_header(wrong)
    assert behind(wrong) == 0


def test_a_header_that_began_in_the_block_before_is_not_read_anew() -> None:
    """Behind a cut, what is left of a header and the content after it look like one of a file elsewhere."""
    forged = header("top/forged", size=0)
    first = header("top/first", size=BLOCK)
    whole = resummed(first[:-24] + forged[:24])
    data = whole + forged[24:] + bytes(24) + END

    def pieces() -> Iterator[memoryview]:
        yield memoryview(data[: BLOCK - 24])
        yield memoryview(data[BLOCK - 24 :])

    seen: list[Member] = []
    passed = b"".join(map(bytes, selected(pieces(), noting(seen), passing=EVERY)))
    assert [found.size for found in seen] == [BLOCK]
    assert passed == data


def test_a_map_of_holes_that_never_ends_is_followed_into_the_next_content() -> None:
    records = [
        ("GNU.sparse.major", "1"),
        ("GNU.sparse.minor", "0"),
        ("GNU.sparse.realsize", "9"),
        ("GNU.sparse.name", "top/a"),
    ]
    data = member("top/x", content=b"5\n1\n2\n", records=records) + file("top/b", b"no number\n") + END
    for passing in (None, EVERY):
        with pytest.raises(MalformedArchive):
            list(selected(iter([memoryview(data)]), lambda _: True, passing=passing))


def test_it_is_asked_of_folders_in_order_and_names_are_noticed() -> None:
    asked: list[bytes] = []

    def enters(folder: bytes) -> bool:
        asked.append(folder)
        return folder != b"top/closed"

    data = b"".join(header(f"top/{folder}/{name}") for folder, name in product(("x", "y", "closed", "z"), ("a", "b")))
    assert behind(data, Passing(enters)) == 4 * BLOCK
    assert asked == [b"top/x", b"top/y", b"top/closed"]
    assert behind(data, Passing(enters, frozenset((b"b",)))) == BLOCK
    assert behind(header("top/x/B") + data, Passing(enters, frozenset((b"b",)))) == 0
    assert behind(header("top/x/ä") + data, Passing(enters, frozenset((b"b",)))) == 0
    assert behind(header("top/x/ä") + data, Passing(enters)) == 5 * BLOCK


def test_nearly_all_files_of_a_tree_pass(tmp_path: Path) -> None:
    for number in range(100):
        path = tmp_path / "top" / f"{number % 7}" / f"ä {number}" / ("long" * (number % 40) or "short")
        path.parent.mkdir(parents=True)
        path.write_bytes(os.urandom(number * 20))
        os.utime(path, ns=(0, 10**18 + number))
    command = ["tar", "--create", "--format=posix", "--pax-option=delete=atime,delete=ctime", "--acls", "--xattrs"]
    command += [f"--listed-incremental={tmp_path / 'snapshot'}", "--file=-", "top"]
    data = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True).stdout
    seen: list[Member] = []
    passed = selected(iter([memoryview(data)]), noting(seen), passing=EVERY)
    assert (
        b"".join(map(bytes, passed))
        == data.rstrip(b"\0").ljust(-(-len(data.rstrip(b"\0")) // BLOCK) * BLOCK, b"\0") + END
    )
    assert all(found.is_directory for found in seen)
