"""The structure of a Subversion dump, read while it passes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from s3napback.recovery.decoding import Damaged
from s3napback.recovery.dump_stream import DumpReader

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


@pytest.mark.parametrize("dump", [b"x" * 3_000_000, HEADER + b"Revision-number: x\n\n", b"Content-length: -\n\n"])
def test_what_is_no_dump_is_refused_without_keeping_it(dump: bytes) -> None:
    with pytest.raises(Damaged):
        read(dump)
