"""A folder that is read at once is read as it is block by block, whatever its headers say."""

from __future__ import annotations

import os
import subprocess
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from s3napback.streams.dumpdirs import MalformedArchive
from s3napback.streams.tar_headers import Member
from s3napback.streams.tar_ordinary import ordinary_folder
from s3napback.streams.tar_stream import TarFollower
from tests.hostile.archives import BLOCK, END, dumpdir, file, header, pax, pax_record, resummed

TIME = pax_record("mtime", "1700000000.123456789")
LIST = pax_record("GNU.dumpdir", dumpdir(["Ya", "Nb", "Dc"]))
USUAL = pax(TIME + LIST) + header("top/folder/", b"5", mode=0o755)
FILE = file("top/folder/a", b"content")


def read(data: bytes, size: int) -> list[Any]:
    """All that a follower tells of an archive that comes in pieces of a size; the last is why it was refused."""
    told: list[Any] = []
    follower = TarFollower()
    try:
        for start in range(0, len(data), size):
            for part in follower.feed(memoryview(data[start : start + size])):
                if isinstance(part, Member):
                    told.append((part.header, part.size, list(part.raw), part.records, part.path, part.name))
                    told += [part.permissions, part.owner, part.group, part.modified_ns, part.is_plain, b""]
                else:
                    told[-1] += bytes(part)
        follower.finish()
    except MalformedArchive as error:
        told.append(str(error))
    return told


def whole(data: bytes) -> list[Any]:
    return read(data, len(data))


def by_blocks(data: bytes) -> list[Any]:
    """No headers are whole in one of these, so that each is read for itself."""
    return read(data, BLOCK)


def is_at_once(data: bytes) -> bool:
    return ordinary_folder(memoryview(data), 0) is not None


def test_folders_as_tar_writes_nearly_all_are_read_at_once() -> None:
    long = pax_record("path", "top/" + "l" * 120 + "/ä/")
    for records, entries in product((b"", TIME, long, long + TIME), ([], ["Ya"], ["Nb", "Dc"] * 2_000)):
        data = pax(records + pax_record("GNU.dumpdir", dumpdir(entries))) + header("top/folder/", b"5", mode=0o2755)
        assert is_at_once(data)
        assert whole(data + FILE + END) == by_blocks(data + FILE + END) == read(data + FILE + END, 8 * BLOCK)


def test_those_of_a_real_tree_are_the_same_read_at_once(tmp_path: Path) -> None:
    for number in range(60):
        path = tmp_path / "top" / f"{number % 7}" / f"ä {number}" / ("long" * (number % 40) or "short")
        path.mkdir(parents=True)
        for name in range(number % 5):
            (path / f"{name}").touch()
        os.utime(path, ns=(0, 10**18 + number // 2 * 1_001))
    command = ["tar", "--create", "--format=posix", "--pax-option=delete=atime,delete=ctime", "--acls", "--xattrs"]
    command += [f"--listed-incremental={tmp_path / 'snapshot'}", "--file=-", "top"]
    data = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True).stdout
    follower = TarFollower()
    folders = [each for each in follower.feed(memoryview(data)) if isinstance(each, Member) and each.is_directory]
    assert len(folders) == 1 + 7 + 2 * 60
    assert all(is_at_once(b"".join(each.raw)) for each in folders)
    assert whole(data) == by_blocks(data)


ODD_RECORDS = [
    TIME,
    LIST + TIME,
    TIME + TIME + LIST,
    TIME + LIST + LIST,
    b"30 mtime=5\n" + LIST,
    b"11 mtime=5\n\n" + LIST,
    pax_record("mtime", "-5.5") + LIST,
    pax_record("atime", "5") + LIST,
    pax_record("uid", "77") + LIST,
    pax_record("SCHILY.xattr.user.x", "5") + LIST,
    pax_record("SCHILY.acl.access", "user::rwx,mask::r-x") + LIST,
    TIME + pax_record("path", "top/other/") + LIST,
    b"17 path=top/folder\n" + LIST,
    b"19 path=top/folder\n" + LIST,
    *(
        pax_record("path", each) + TIME + LIST
        for each in ("", "/top", "top/../x", "..", "top\0", "top\nx", "./top/", "a//b")
    ),
    *(
        TIME + pax_record("GNU.dumpdir", each)
        for each in (
            *(b"", b"\0\0", b"Ya", b"Ya\0", b"Ya\0\0\0", b"Ya\0\0Yb\0\0", b"Ra\0Tb\0\0", b"Xtmp\0\0", b"Ya/b\0\0"),
            *(b"Y..\0\0", b"D.\0\0", b"Y\0\0", b"ya\0\0", b"Ya\0Z\0\0", b"Y.a\0D..b\0\0", b"Ya\n30 mtime=5\n\0\0"),
        )
    ),
    TIME + LIST + pax_record("mtime", "5"),
    TIME + LIST[:-1],
    TIME + LIST + b"\n",
    TIME + b"99 " + LIST.partition(b" ")[2],
    TIME + b"09 " + LIST.partition(b" ")[2],
]


@pytest.mark.parametrize("records", ODD_RECORDS)
def test_odd_records_are_read_the_same(records: bytes) -> None:
    data = pax(records) + header("top/folder/", b"5", mode=0o755) + FILE + END
    assert whole(data) == by_blocks(data)


def test_odd_headers_are_read_the_same() -> None:
    names = ("", "/top", "top/..", "../x", ".", "./top/", "top//x/", "n" * 100, b"\xff" * 100)
    own = [*(header(name, b"5") for name in names), header("top", b"5", size=5), header("top", b"5", tail=b"prefix")]
    own += [header("top", kind) for kind in (b"0", b"1", b"2", b"3", b"D", b"x", b"g", b"L")]
    own += [header("top", b"5", uid=1 << 40), header("top", b"5", mode=b"+000755\0"), pax(TIME) + header("top", b"5")]
    for block in own:
        data = pax(TIME + LIST) + block + FILE + END
        assert whole(data) == by_blocks(data)
    for size in (0, 1, len(TIME + LIST) - 1, len(TIME + LIST) + 1, BLOCK, BLOCK + 1, 8**11 - 1):
        data = pax(TIME + LIST, size=size) + header("top/folder", b"5") + FILE + END
        assert whole(data) == by_blocks(data)


def test_no_altered_byte_is_passed_over() -> None:
    """With the sum as it was, and with the right one, so that something else has to notice it."""
    assert is_at_once(USUAL)
    outcomes = set()
    content = BLOCK + len(TIME + LIST)
    for place, value in product((*range(content), *range(2 * BLOCK, 3 * BLOCK)), b"\x00\xff 0/Rx"):
        altered = bytearray(USUAL)
        altered[place] = value
        start = place // BLOCK * BLOCK
        block = bytes(altered[start : start + BLOCK])
        for other in (block,) if start == BLOCK else (block, resummed(block)):
            altered[start : start + BLOCK] = other
            data = bytes(altered) + END
            told = whole(data)
            assert told == by_blocks(data), (place, value)
            outcomes.add(str(told[-1]))
    assert len(outcomes) > 10


def test_a_sum_is_not_taken_for_another_one() -> None:
    """Adler's checksum counts modulo 65,521."""
    full = header(b"\xff" * 100, b"5", uid=b"\xff" * 8, gid=b"\xff" * 8, mtime=b"\xff" * 12, link=b"\xff" * 100)
    full = resummed(full[:265] + b"\xff" * 80 + full[345:])
    total = sum(full[:148]) + 8 * 32 + sum(full[156:])
    assert total > 65_521
    wrong = full[:148] + b"%06o\0 " % (total - 65_521) + full[156:]
    assert not is_at_once(pax(TIME + LIST) + wrong)
