"""gzip by several threads is one good gzip stream, in bounded memory, and leaves no thread behind."""

from __future__ import annotations

import random
import subprocess
import threading
import time
import zlib
from collections.abc import Callable
from contextlib import closing, suppress

import pytest
from isal import isal_zlib

from s3napback.errors import PipelineError
from s3napback.streams.parallel_gzip import BLOCK_SIZE, Deflate, ParallelGzip, gzipped
from s3napback.streams.pipeline import Pipeline
from s3napback.streams.processes import Stage
from s3napback.streams.transformations import Block, Transformation
from tests.streams.helpers import made_of

THREADS = 3
SENTENCES = random.Random(5).choices([random.Random(n).randbytes(40) for n in range(2000)], k=100_000)
PLAIN = b"".join(SENTENCES)


def deflate(window: bytes) -> Deflate:
    return isal_zlib.compressobj(1, wbits=-15, zdict=window)


def compressed(plain: bytes, make: Callable[[bytes], Deflate] = deflate, *, step: int = 100_000) -> bytes:
    return made_of(plain, lambda blocks: gzipped(blocks, make, THREADS), step)


@pytest.mark.parametrize("length", [0, 1, BLOCK_SIZE - 1, BLOCK_SIZE, BLOCK_SIZE + 1, len(PLAIN)])
@pytest.mark.parametrize("step", [7_777, BLOCK_SIZE, 3 * BLOCK_SIZE + 5])
def test_any_length_in_any_steps_is_one_member_that_gzip_reads(length: int, step: int) -> None:
    stored = compressed(PLAIN[:length], step=step)
    reader = zlib.decompressobj(wbits=31)
    assert reader.decompress(stored) == PLAIN[:length]
    assert reader.eof
    assert reader.unused_data == b""
    done = subprocess.run(["gzip", "--decompress"], input=stored, capture_output=True, check=True)
    assert done.stdout == PLAIN[:length]


def test_several_threads_cost_no_space() -> None:
    alone = isal_zlib.compressobj(1, wbits=31)
    in_one_go = alone.compress(PLAIN) + alone.flush()
    assert len(compressed(PLAIN)) < 1.01 * len(in_one_go)


def test_a_block_knows_what_came_before_it() -> None:
    chance = random.Random(1).randbytes(BLOCK_SIZE)
    plain = chance + chance[-20_000:]
    stored = compressed(plain, lambda window: zlib.compressobj(6, wbits=-15, zdict=window), step=BLOCK_SIZE)
    assert len(stored) < BLOCK_SIZE + 2_000


NOISE = random.Random(2).randbytes(12 * BLOCK_SIZE)


class _Deflating:
    """A stream that does what isal's or zlib's does, for others to do more."""

    def __init__(self, window: bytes) -> None:
        self._stream = self.begin(window)

    def begin(self, window: bytes) -> Deflate:
        return deflate(window)

    def compress(self, data: Block, /) -> bytes:
        return self._stream.compress(data)

    def flush(self, mode: int, /) -> bytes:
        return self._stream.flush(mode)


class _Counting(_Deflating):
    """A stream of zlib's slowest level that counts what it is given: all of its class together."""

    given = 0

    def begin(self, window: bytes) -> Deflate:
        return zlib.compressobj(9, wbits=-15, zdict=window)

    def compress(self, data: Block, /) -> bytes:
        type(self).given += len(data)
        return super().compress(data)


def test_what_does_not_shrink_costs_little_time_and_no_space() -> None:
    class Counting(_Counting):
        given = 0

    stored = compressed(NOISE, Counting)
    assert subprocess.run(["gzip", "-dc"], input=stored, capture_output=True, check=True).stdout == NOISE
    assert len(stored) < len(NOISE) + len(NOISE) // 5_000
    # Threads that began before the first block was found out deflate theirs as well.
    assert Counting.given < (THREADS + 2) * BLOCK_SIZE


@pytest.mark.parametrize("make", [deflate, _Counting], ids=["isal", "zlib"])
def test_what_shrinks_is_deflated_again_after_what_does_not(make: Callable[[bytes], Deflate]) -> None:
    plain = NOISE + PLAIN + NOISE[::-1] + PLAIN
    stored = compressed(plain, make)
    assert zlib.decompress(stored, wbits=31) == plain
    # Between the two, a block may be half of this kind and half of the other.
    assert len(stored) < 2 * (len(NOISE) + len(compressed(PLAIN, make)) + BLOCK_SIZE)


@pytest.mark.parametrize("noise_first", [True, False])
def test_a_block_of_which_a_quarter_shrinks_is_deflated(noise_first: bool) -> None:
    """Samples lie all over the block: a file that begins with noise, block after block, is not taken for noise."""
    noise, zeros = NOISE[: BLOCK_SIZE // 4 * 3], bytes(BLOCK_SIZE // 4)
    plain = NOISE + 8 * (noise + zeros if noise_first else zeros + noise)
    assert len(compressed(plain)) < len(NOISE) + 8 * len(noise) + 20_000


def test_no_samples_are_taken_of_what_shrinks() -> None:
    class Counting(_Counting):
        given = 0

    compressed(PLAIN, Counting)
    assert Counting.given == len(PLAIN)


def test_damage_is_noticed_wherever_it_is() -> None:
    stored = bytearray(compressed(PLAIN))
    for place in (len(stored) // 3, len(stored) - 7, len(stored) - 2):
        damaged = bytearray(stored)
        damaged[place] ^= 4
        assert subprocess.run(["gzip", "--test"], input=damaged, capture_output=True, check=False).returncode == 1
    assert subprocess.run(["gzip", "--test"], input=stored[:-9], capture_output=True, check=False).returncode == 1


class _Late(_Deflating):
    """A stream that takes a while, each block another one."""

    def compress(self, data: Block, /) -> bytes:
        time.sleep(0.02 * (data[0] % 4))
        return super().compress(data)


def test_blocks_keep_their_order_whichever_is_ready_first() -> None:
    assert zlib.decompress(compressed(PLAIN, _Late), wbits=31) == PLAIN


def test_input_waits_while_no_block_gets_done() -> None:
    """Otherwise a source faster than the processor would fill the memory."""
    free = threading.Event()
    taken = 0

    class Held(_Late):
        def compress(self, data: Block, /) -> bytes:
            free.wait(60)
            return super().compress(data)

    def feed(gzip: ParallelGzip) -> None:
        nonlocal taken
        for _ in range(100):
            gzip.compress(memoryview(bytes(BLOCK_SIZE)))
            taken += 1

    with closing(ParallelGzip(Held, THREADS)) as gzip:
        feeder = threading.Thread(target=feed, args=(gzip,))
        feeder.start()
        feeder.join(1)
        assert feeder.is_alive()
        assert THREADS <= taken <= THREADS + 10
        free.set()
        feeder.join(60)
        assert taken == 100


class _Broken(_Late):
    def flush(self, _mode: int, /) -> bytes:
        raise MemoryError("no room")


def test_a_failure_in_a_thread_reaches_whoever_feeds_it() -> None:
    with pytest.raises(MemoryError, match="no room"):
        compressed(PLAIN, _Broken)


def gzip_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("gzip")]


@pytest.mark.parametrize("make", [deflate, _Broken], ids=["given up", "broken"])
def test_a_pipeline_that_is_left_early_leaves_no_thread_behind(make: Callable[[bytes], Deflate]) -> None:
    before = gzip_threads()
    endless = Stage(("cat", "/dev/zero"))
    with Pipeline([endless, Transformation("gzip", lambda blocks: gzipped(blocks, make, THREADS))]) as pipeline:
        with suppress(PipelineError):
            pipeline.readinto(memoryview(bytearray(10)))
    assert gzip_threads() == before
