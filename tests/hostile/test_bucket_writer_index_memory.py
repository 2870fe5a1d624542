"""However much an index tells, and however often it leads on, a restore needs little memory and little time."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from tests.hostile.archives import file
from tests.hostile.attacks import W, full
from tests.hostile.indexes import honest, id_of, put_entered, text_of, told
from tests.hostile.restoring import SHAPES, Restorer, harm_done
from tests.hostile.test_bucket_writer_memory import MOST, OURSELVES, restore_and_measure
from tests.hostile.world import SOURCE

pytestmark = pytest.mark.long(20)

SIZE = 24 << 20
CONTENT = full(file(f"{SOURCE}/large", bytes(SIZE)))
"""An honest archive, large enough to be read in parts, and for an index of any length."""
HONEST = honest(CONTENT)
MEMBERS = told(CONTENT)
SUM = b"0" * 64


def unfolded(pieces: Iterator[bytes]) -> bytes:
    compressor = zlib.compressobj(1, wbits=31)
    return b"".join(map(compressor.compress, pieces)) + compressor.flush()


def first_part(line: bytes, count: int) -> bytes:
    """A first part, which nobody has authenticated, of so many lines."""
    title = b"s3napback-index 1\narchive %s\nbytes-in-segment %d\n" % (id_of(0), 1 << 22)
    lines = line * 10_000
    return unfolded(iter([title, *[lines] * (count // 10_000)]))


def many(line: Callable[[int], bytes], count: int) -> bytes:
    """An index that its secret authenticates, with so many more lines of members."""
    return replace(HONEST, lines=HONEST.lines + b"".join(map(line, range(count)))).data()


def names() -> bytes:
    """Members in the place of the large one, each of which takes no room but for its headers."""
    text = text_of(MEMBERS[:-1]) + b":%d %s\nkind 0 file 644 0 0 1\n" % (MEMBERS[-1].start, W.encode())
    lines = (b"0 0 1700000000 %s%d\n" % (b"n" * 60_000, number) for number in range(3_000))
    return replace(HONEST, lines=text + b"".join(lines)).data()


ENDLESS: dict[str, Callable[[], bytes]] = {
    "nothing but zeros": lambda: unfolded(bytes(1 << 20) for _ in range(250)),
    "a line without end": lambda: first_part(b"segment 1 " + SUM, 2_000_000),
    "segments without end": lambda: first_part(b"segment 1 %s\n" % SUM, 2_000_000),
    "segments of nothing": lambda: first_part(b"segment 0 %s\n" % SUM, 2_000_000),
    "kinds without end": lambda: many(lambda number: b"kind %d file 644 0 0 1\n" % number, 600_000),
    "names without end": names,
}


@pytest.mark.parametrize("name", ENDLESS)
def test_an_index_without_end_takes_no_memory(restores: Restorer, name: str) -> None:
    world = restores.world(OURSELVES)
    world.prepare(in_place=False)
    put_entered(world.vault, 0, CONTENT, ENDLESS[name]())
    ended, memory = restore_and_measure(restores, world, "PATH")
    assert ended.code == 0, ended.stderr
    assert memory < MOST, ended.stderr
    assert not harm_done(world, SHAPES["PATH"], ended)
