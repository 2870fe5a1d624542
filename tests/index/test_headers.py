"""Numbers, times and paths of headers, in every form in which tar writes them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from s3napback.index.headers import (
    Headers,
    UnknownForm,
    folder_at,
    folder_form,
    group_length,
    moment,
    number,
    own_description,
    path_below,
    plain_size,
)
from s3napback.index.line_text import moment_text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"1700000000.123456789", (1_700_000_000, 123_456_789)),
        (b"1700000000.5", (1_700_000_000, 500_000_000)),
        (b"1700000000", (1_700_000_000, 0)),
        (b"-1", (-1, 0)),
        (b"-0.000000001", (-1, 999_999_999)),
        (b"-2.25", (-3, 750_000_000)),
        (b"15000000000.999999999", (15_000_000_000, 999_999_999)),
    ],
)
def test_times(text: bytes, expected: tuple[int, int]) -> None:
    assert moment(text) == expected


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        (b"00000000644\0", 0o644),
        (b"\0" * 8, 0),
        (b"\x80\0\0\0\0\0\0\x02\0\0\0\0", 2 << 32),
        (b"\xff" * 12, -1),
    ],
)
def test_numbers(field: bytes, expected: int) -> None:
    assert number(field) == expected


def test_what_is_no_number_is_of_no_known_form() -> None:
    with pytest.raises(UnknownForm):
        number(b"x0000000000\0")


@pytest.mark.parametrize(
    ("path", "top", "expected"),
    [
        (b"./", b".", b""),
        (b"./etc/", b".", b"etc"),
        (b".", b".", b""),
        (b"etc/", b"etc", b""),
        (b"etc/a/b", b"etc", b"a/b"),
        (b"srv/link/./a/", b"srv/link", b"a"),
        (b"srv/link/./", b"srv/link", b""),
    ],
)
def test_paths_are_relative_to_the_source(path: bytes, top: bytes, expected: bytes) -> None:
    assert path_below(path, top) == expected


def test_headers_that_nobody_knows_are_not_guessed() -> None:
    described = b"\0" * 124 + b"00000000010\0" + b"\0" * 20 + b"x" + b"\0" * 355
    broken = described + b"10 a=b" + b"\0" * 506 + b"\0" * 512
    assert group_length(broken, 0) == len(broken)
    with pytest.raises(UnknownForm):
        Headers(broken)
    with pytest.raises(UnknownForm):
        Headers(described + b"\0" * 512 + described + b"\0" * 1024)


def archive_of(folder: Path) -> Iterator[bytes]:
    """The headers of all members of an incremental archive."""
    names = [
        "long" + "x" * 120,
        "a\n30 mtime=1700000000.000000001\n22 GNU.dumpdir=Dx",
        "back\\slash\ttab",
        "plain",
        "ü.",
    ]
    for count, name in enumerate([*names, *(f"d{each}" for each in range(9))]):
        inner = folder / "tree" / name / "inner"
        inner.mkdir(parents=True)
        (inner / "file").touch()
        (inner / "link").symlink_to(name)
        moment = (-5, 1_700_000_000_500_000_000, 1_700_000_000_000_000_000, 7)[count % 4]
        for path in (inner / "file", inner / "link", inner):
            os.utime(path, ns=(moment, moment), follow_symlinks=False)
    command = [
        "tar",
        "-c",
        "--format=posix",
        "--pax-option=delete=atime,delete=ctime",
        "-g",
        str(folder / "snapshot"),
        "-C",
        str(folder),
    ]
    data = subprocess.run([*command, "tree"], check=True, capture_output=True).stdout
    position = 0
    while data[position]:
        length = group_length(data, position)
        yield data[position : position + length]
        position += length


def test_what_is_read_for_speed_is_what_is_read_thoroughly(tmp_path: Path) -> None:
    folders = members = 0
    for group in archive_of(tmp_path):
        headers = Headers(group)
        if form := folder_form(group):
            folders += 1
            assert (form.path, form.modified) == (headers.path, moment_text(*headers.modified))
            assert folder_at(memoryview(b"before" + group + b"behind"), 6) == (group, form)
            assert folder_at(memoryview(group[:-1]), 0) is None
            assert (form.start, form.end) == headers.dumpdir
        elif len(group) == 1536 and headers.dumpdir is None and (told := own_description(memoryview(group), 0)):
            members += 1
            assert told[0] in (b"", headers.path)
            assert told[1] in (None, headers.modified)
            assert (told[0] or group[1024:1124].partition(b"\0")[0]) == headers.path
    assert folders > 15
    assert members > 8


def test_what_is_seen_at_once_of_a_members_size_is_its_size(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "folder").mkdir(parents=True)
    for name, size in (("empty", 0), ("one", 1), ("block", 512), ("more", 10_000), ("n" * 120, 513), ("sparse", 3)):
        (tree / name).write_bytes(b"x" * size)
        os.setxattr(tree / name, "user.colour", b"green")
    os.truncate(tree / "sparse", 1 << 33)
    (tree / "hard").hardlink_to(tree / "more")
    (tree / "link").symlink_to("more")
    os.mkfifo(tree / "pipe")
    command = ["tar", "-c", "--format=posix", "--sparse", "--xattrs", "-C", str(tmp_path), "tree"]
    data = subprocess.run(command, check=True, capture_output=True).stdout
    position = seen = unseen = 0
    while data[position]:
        length = group_length(data, position)
        headers = Headers(group := data[position : position + length])
        content = headers.stored_size + -headers.stored_size % 512
        told = plain_size(group)
        assert told in (None, content)
        seen, unseen = seen + (told is not None), unseen + (told is None)
        position += length + content
    assert (seen, unseen) == (8, 3)


def test_a_name_that_looks_like_records_is_not_taken_for_them() -> None:
    crafted = b"%d path=a\n18 mtime=%d.000\n9 GNU.dumpdir=Dx\0\0\n"
    content = crafted % (len(crafted % (10, 1)), 1)
    content = crafted % (len(content), 1)
    first = bytes(124) + b"%011o\0" % len(content) + bytes(20) + b"x" + bytes(100) + b"ustar\x0000" + bytes(247)
    own = bytes(124) + b"00000000000\0" + bytes(20) + b"5" + bytes(100) + b"ustar\x0000" + bytes(247)
    group = first + content + bytes(-len(content) % 512) + own
    assert folder_form(group) is None
