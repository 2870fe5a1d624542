"""What is held stays as it is, however much is read behind it; and no more memory is taken than is held."""

from __future__ import annotations

import random
import time
import zlib
from collections.abc import Iterator

import pytest
from isal import isal_zlib

from s3napback.streams.buffers import BUFFER_SIZE, Buffers, hold, let_go
from s3napback.streams.parallel_gzip import Deflate, gzipped
from s3napback.streams.pipeline import Pipeline
from s3napback.streams.processes import Stage
from s3napback.streams.transformations import Block, Transformation, composed
from tests.streams.helpers import read_all


def filled(buffers: Buffers, data: bytes) -> memoryview:
    """A block with some data in it."""
    room = buffers.room()
    room[: len(data)] = data
    return buffers.block(len(data))


def test_what_is_held_stays_as_it_is_until_it_is_let_go() -> None:
    buffers, chance = Buffers(), random.Random(3)
    held: list[tuple[bytes, memoryview]] = []
    for number in range(2_000):
        data = chance.randbytes(min(chance.choice([1, 700, 60_000, 1 << 18]), len(buffers.room())))
        block = filled(buffers, data)
        assert bytes(block) == data
        if number % 3 and hold(block):
            held.append((data, block))
        while len(held) > 20 or (held and chance.random() < 0.1):
            before, now = held.pop(chance.randrange(len(held)))
            assert bytes(now) == before
            let_go(now)
    assert all(bytes(now) == before for before, now in held)


def test_memory_that_nobody_holds_is_used_again() -> None:
    buffers = Buffers()
    assert len({id(filled(buffers, bytes(100_000)).obj) for _ in range(1_000)}) == 1
    seen: dict[int, object] = {}
    held: list[memoryview] = []
    for _ in range(1_000):
        block = filled(buffers, bytes(100_000))
        assert hold(block)
        seen[id(block.obj)] = block.obj
        held.append(block)
        if len(held) > 4:
            let_go(held.pop(0))
    assert len(seen) <= 3


def test_small_blocks_that_are_held_lie_side_by_side() -> None:
    buffers = Buffers()
    held = [block for _ in range(40) if hold(block := filled(buffers, bytes(10_000)))]
    assert len({id(block.obj) for block in held}) == 1
    assert len(buffers.room()) <= BUFFER_SIZE - 400_000


@pytest.mark.parametrize("block", [b"bytes", memoryview(b"bytes"), memoryview(bytearray(9))])
def test_other_memory_cannot_be_held(block: Block) -> None:
    assert not hold(block)
    let_go(block)


class _Slow:
    """Deflates only when much more has been read."""

    def __init__(self, window: bytes) -> None:
        self._stream = isal_zlib.compressobj(1, wbits=-15, zdict=window)

    def compress(self, data: Block, /) -> bytes:
        time.sleep(0.003)
        return self._stream.compress(data)

    def flush(self, mode: int, /) -> bytes:
        return self._stream.flush(mode)


def _begin(window: bytes) -> Deflate:
    return _Slow(window)


@pytest.mark.parametrize("least", [1, 20_000, 300_000])
def test_what_is_deflated_late_is_what_came_in_whatever_is_done_to_it_on_the_way(least: int) -> None:
    """As a follower of archives does: pieces of blocks pass as they are, others are exchanged or left out."""
    wanted: list[bytes] = []

    def followed(blocks: Iterator[memoryview]) -> Iterator[Block]:
        chance = random.Random(least)
        for block in blocks:
            rest = block
            while rest:
                piece, rest = rest[: chance.randrange(1, 2 * least + 1)], rest[2 * least :]
                changed: Block = bytes(piece)[::-1] if chance.random() < 0.2 else piece
                wanted.append(bytes(changed))
                yield changed

    numbers = Stage(("seq", "300000" if least < 1_000 else "3000000"))
    gzip = Transformation("gzip", lambda blocks: gzipped(blocks, _begin, 3))
    with Pipeline([numbers, composed(Transformation("the follower", followed), gzip)]) as pipeline:
        stored = read_all(pipeline)
    assert zlib.decompress(stored, wbits=31) == b"".join(wanted)
