"""The structure of a Subversion dump, read while it passes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from s3napback.recovery.dump_stream import Beginning, DumpReader, dump_beginning
from s3napback.recovery.opening.failures import Damaged

HEADER = b"SVN-fs-dump-format-version: 3\n\nUUID: one\n\n"
TRAP = b"\n\nRevision-number: 99\nContent-length: 5\n\n"


def revision(number: int, content: bytes = TRAP) -> bytes:
    """A revision with a file whose content looks like headers."""
    file = b"Node-path: x\nNode-kind: file\nContent-length: %d\n\n%s\n\n" % (len(content), content)
    return b"Revision-number: %d\nProp-content-length: 10\nContent-length: 10\n\nPROPS-END\n\n" % number + file


def read(dump: bytes, size: int = 1000) -> DumpReader:
    reader = DumpReader()
    blocks: Iterator[bytes] = (dump[start : start + size] for start in range(0, len(dump), size))
    assert b"".join(bytes(block) for block in reader.passed(blocks)) == dump
    return reader


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_revisions_are_counted_whatever_the_blocks_and_the_content(size: int) -> None:
    found = read(HEADER + revision(3) + revision(4, bytes(5000)) + revision(5), size)
    assert (found.uuid, found.first, found.last) == ("one", 3, 5)


def test_a_revision_that_is_missing_is_noticed() -> None:
    with pytest.raises(Damaged, match="revision 5 follows revision 3"):
        read(HEADER + revision(3) + revision(5))


def test_an_end_within_a_record_is_noticed() -> None:
    dump = HEADER + revision(3)
    for length in (0, 10, len(HEADER), len(HEADER) + 5, len(dump) - 10):
        with pytest.raises(Damaged, match="too early"):
            read(dump[:length])


@pytest.mark.parametrize("end", ["\u2028", "\x85", "\x0b", "\x0c", "\x1c", "\r"])
def test_only_a_newline_ends_a_header(end: str) -> None:
    """A path may hold anything else, and what follows it there is no revision."""
    path = f"a{end}Revision-number: 7{end}UUID: two{end}Content-length: 99".encode()
    found = read(HEADER + revision(3) + b"Node-path: %s\nNode-kind: dir\n\n\n" % path + revision(4))
    assert (found.uuid, found.first, found.last) == ("one", 3, 4)


def test_the_beginning_is_told_without_a_look_at_the_rest() -> None:
    assert dump_beginning(HEADER + revision(3) + b"Revision-number: x\n\n") == Beginning("one", 3)


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"x" * 100,
        HEADER,
        b"\n" + HEADER + revision(3),
        (HEADER + revision(3))[20:],
        HEADER.replace(b"UUID: one\n\n", b"") + revision(3),
        HEADER + b"Content-length: 45\n\n" + revision(3)[:40],
        HEADER.replace(b"one", b"\x1b[31m") + revision(3),
    ],
)
def test_a_dump_that_begins_like_none_is_refused(head: bytes) -> None:
    with pytest.raises(Damaged):
        dump_beginning(head)


@pytest.mark.parametrize(
    "dump",
    [
        b"x" * 3_000_000,
        HEADER + b"Revision-number: x\n\n",
        HEADER + b"Revision-number: 1_0\n\n",
        HEADER + "Revision-number: ٣\n\n".encode(),
        b"Content-length: -\n\n",
        HEADER + revision(1) + b"Content-length: -21\n\n" + revision(2),  # which would lead back to its own beginning
        HEADER + revision(1) + b"Content-length: " + b"9" * 5000 + b"\n\n",
    ],
)
@pytest.mark.timeout(30)
def test_what_is_no_dump_is_refused_without_keeping_it(dump: bytes) -> None:
    with pytest.raises(Damaged):
        read(dump)
