"""Ordinary files pass the gate in stretches, and nothing comes of that which looking at each of them would not give."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from functools import partial
from random import Random
from typing import cast
from unittest.mock import patch

from s3napback.errors import PipelineError
from s3napback.recovery.groundwork import Groundwork
from s3napback.recovery.members import Gate
from s3napback.recovery.paths import Reading, WantedPaths, first_reading, second_reading, whole_reading
from s3napback.streams import tar_stream
from s3napback.streams.findings import Finding
from s3napback.streams.tar_headers import Member
from s3napback.streams.tar_ordinary import Passing, behind_ordinary
from s3napback.streams.transformations import Block
from tests.hostile.archives import BLOCK, END, file, folder, header, member, pax, raw

PARTS = (
    *("a", "b", "B", "wanted", "WANTED", "ä", "Ä", ".hidden", "..x", "l" * 99, b"not utf-8 \xff", "new\nline"),
    *("..", ".", ""),
)
TIMES = (b"1700000000.123456789", b"1700000000.5", b"-1.5", b"17", b"1700000000.1234567890", b"x", b"")
WANTED = WantedPaths.of(("top/a/wanted", "top/b", "top/ä/Ä"))


def cut(data: bytes, size: int) -> Iterator[memoryview]:
    """The same buffer again and again, as a pipeline gives it."""
    buffer = memoryview(bytearray(size))
    for start in range(0, len(data), size):
        piece = data[start : start + size]
        buffer[: len(piece)] = piece
        yield buffer[: len(piece)]


class Author:
    """Writes archives, in many of which all is as tar writes it, but for one thing or two."""

    def __init__(self, seed: int) -> None:
        self.chance = Random(seed)
        self._oddness = self.chance.choice((0, 0.01, 0.01, 0.2))

    def is_odd(self) -> bool:
        return self.chance.random() < self._oddness

    def name(self) -> bytes:
        known = PARTS if self.is_odd() else PARTS[:-3]
        parts = [raw(self.chance.choice(known)) for _ in range(self.chance.choice((1, 1, 2, 2, 3)))]
        top = self.chance.choice((b"other", b"", b"./top", b"topper")) if self.is_odd() else b"top"
        return b"/".join([top, *parts])

    def records(self) -> list[tuple[bytes, bytes]]:
        found = [(b"mtime", self.chance.choice(TIMES if self.is_odd() else TIMES[:4]))]
        if self.chance.random() < 0.3:
            found.insert(self.chance.choice((0, 0, 1)), (b"path", self.name()))
        if self.is_odd():
            others = (b"size", b"path", b"mtime", b"uid", b"SCHILY.xattr.user.x", b"GNU.sparse.major", b"comment")
            found.append((self.chance.choice(others), self.chance.choice((b"0", b"5", b"top/a/odd"))))
        return found[self.is_odd() :]

    def usual(self) -> bytes:
        content = self.chance.randbytes(self.chance.choice((0, 1, 511, 512, 513, 3000)))
        size, odd_sizes = len(content), (b"%012o" % len(content), b"%11o " % len(content))
        modes = (0o4755, 0, b"0000644 ", b"0100644", b"   644", b"+000755") if self.is_odd() else (0o644, 0o755)
        own = header(
            self.name(),
            self.chance.choice((b"\0", b"7", b"1", b"2", b"5")) if self.is_odd() else b"0",
            size=self.chance.choice(odd_sizes) if self.is_odd() else size,
            mode=self.chance.choice(modes),
            tail=b"top/prefix" * self.is_odd(),
            link=b"top/a" * self.is_odd(),
        )
        front = pax(self.records()) if self.chance.random() < 0.8 else b""
        return front + own + content + bytes(-size % BLOCK)

    def odd(self) -> bytes:
        name = self.name()
        return self.chance.choice(
            (
                folder(name, [b"Y" + raw(self.chance.choice(PARTS[:8]))]),
                member(name, b"1", link=self.name()),
                member(name, b"2", link=b"anywhere"),
                file(name, records=[("SCHILY.xattr.user.x", "y")]),
                pax([("comment", "x")], b"g") + file(name),
                pax([("mtime", "5.5")]) + pax([("mtime", "5.5")]) + file(name),
                self.chance.choice((END, bytes(BLOCK), END + file(name))),
                header(name, magic=b"ustar  \0"),
            )
        )

    def archive(self) -> bytes:
        members = [self.odd() if self.is_odd() else self.usual() for _ in range(self.chance.randrange(25))]
        return b"".join(members) + END * (self.chance.choice((0, 5)) if self.is_odd() else 1)

    def damaged(self, data: bytes) -> bytes:
        """Mostly one byte of it changed, be it with a right sum afterwards."""
        if not data or self.chance.random() < 0.5:
            return data
        changed = bytearray(data)
        start = self.chance.randrange(len(data)) // BLOCK * BLOCK
        place = self.chance.choice((0, 1, 98, 99, 100, 104, 107, 110, 124, 130, 135, 136, 148, 149, 154, 155, 156, 157))
        place = self.chance.choice((place, self.chance.randrange(BLOCK)))
        changed[start + place] = self.chance.choice((0, 32, 48, 49, 55, 56, 47, 46, 255, changed[start + place] ^ 1))
        if self.chance.random() < 0.5:
            changed[start + 148 : start + 156] = b" " * 8
            changed[start + 148 : start + 156] = b"%06o\0 " % sum(changed[start : start + BLOCK])
        if self.chance.random() < 0.1:
            del changed[start : start + BLOCK]
        return bytes(changed[: self.chance.choice((len(changed),) * 9 + (start + place,))])


class Ground:
    """Notes what a restore would do for tar."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def leaves(self, member: Member) -> bool:
        if not member.is_directory:
            self.note_files(member.name.rpartition("/")[0])
        return True

    def note_files(self, folder: str) -> None:
        if self.done[-1:] != [folder]:
            self.done.append(folder)

    def headers(self, member: Member) -> Sequence[bytes]:
        return member.raw

    def leave(self) -> None:
        """There is nothing to let go of."""


def restored(gate: Gate) -> Finding[Reading]:
    """As a whole restore reads it."""
    ground = Ground()

    def read(blocks: Iterator[memoryview]) -> Generator[Block, None, Reading]:
        passed = yield from replace(gate, groundwork=cast(Groundwork, ground)).whole(blocks)
        return Reading(passed, nearby=tuple(ground.done))

    return Finding("", read)


LOOKS: dict[str, Callable[[Gate], Finding[Reading]]] = {
    "verify": whole_reading,
    "restore": restored,
    "paths": partial(first_reading, wanted=WANTED),
    "links": partial(second_reading, wanted=WANTED, left_out={"top/a/b": "top/ä/a", "top/b/ä": "top/b/wanted"}),
}


def outcome(finding: Finding[Reading], data: bytes, size: int) -> object:
    """What reaches tar and what was found, or why the archive was refused."""
    try:
        passed = b"".join(map(bytes, finding.passed(cut(data, size))))
    except PipelineError as error:
        return type(error), str(error)
    return passed, finding.result()


class Counted:
    """Counts the stretches."""

    def __init__(self) -> None:
        self.count = 0

    def behind(self, block: memoryview, position: int, passing: Passing) -> int:
        found = behind_ordinary(block, position, passing)
        self.count += found > position
        return found


def one_by_one(_block: memoryview, position: int, _passing: Passing) -> int:
    return position


def differing(seed: int, counted: Counted) -> list[str]:
    """Ways of reading one random archive in which stretches make a difference."""
    author = Author(seed)
    data = author.damaged(author.archive())
    size = author.chance.choice((512, 700, 4096, 1 << 18))
    gate = Gate(author.chance.choice(("top", "top", "")))
    found = []
    for name, look in LOOKS.items():
        with patch.object(tar_stream, "behind_ordinary", one_by_one):
            expected = outcome(look(gate), data, size)
        with patch.object(tar_stream, "behind_ordinary", counted.behind):
            if outcome(look(gate), data, size) != expected:
                found.append(name)
    return found


def test_whatever_an_archive_holds_stretches_of_it_change_nothing() -> None:
    counted = Counted()
    refused = [seed for seed in range(500) if differing(seed, counted)]
    assert not refused
    assert counted.count > 1500
