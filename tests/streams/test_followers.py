"""What follows a stream sees all of it, changes nothing, and is put into the chain as one more transformation."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from s3napback.streams.followers import HEAD_SIZE, TAIL_SIZE, Counter, Ends
from s3napback.streams.pipeline import Pipeline
from s3napback.streams.processes import Stage
from s3napback.streams.transformations import Block, Transformation, composed
from tests.streams.helpers import ENDLESS, GZIP, failure_of, made_of, read_all
from tests.waiting import becomes

NUMBERS = b"".join(b"%d\n" % number for number in range(1, 300_001))
SEQUENCE = Stage(("seq", "300000"))


def test_a_counter_counts_what_passes_and_not_what_becomes_of_it() -> None:
    read, stored = Counter(), Counter()
    content = composed(Transformation("the count", read.passed), GZIP)
    with Pipeline([SEQUENCE, content, Stage(("cat",)), Transformation("the count", stored.passed)]) as pipeline:
        output = read_all(pipeline)
    assert read.count == len(NUMBERS)
    assert stored.count == len(output) < len(NUMBERS) / 2


def test_a_counter_is_read_by_other_threads_while_the_stream_runs() -> None:
    read = Counter()
    with Pipeline([ENDLESS, Transformation("the count", read.passed)]) as pipeline:
        buffer = memoryview(bytearray(1 << 20))
        counts = []
        for _ in range(3):
            counts.append(read.count)
            assert becomes(lambda: pipeline.readinto(buffer) > 0 and read.count > counts[-1] + 3 * len(buffer))


def test_who_watches_a_counter_is_told_after_each_block() -> None:
    told: list[tuple[int, str]] = []
    read = Counter(lambda count: told.append((count, threading.current_thread().name)))
    with Pipeline([SEQUENCE, Transformation("the count", read.passed)]) as pipeline:
        assert read_all(pipeline) == NUMBERS
    counts = [count for count, _ in told]
    assert counts == sorted(set(counts))
    assert counts[-1] == len(NUMBERS)
    assert max(after - before for before, after in zip([0, *counts], counts, strict=False)) <= 1 << 18
    assert {thread for _, thread in told} != {threading.current_thread().name}


def test_who_watches_a_counter_and_fails_is_named() -> None:
    def fail(_count: int) -> None:
        raise RuntimeError("told to fail")

    counting = Transformation("the count", Counter(fail).passed)
    assert failure_of(ENDLESS, counting) == "the count failed: RuntimeError('told to fail')"


@pytest.mark.parametrize("length", [0, 1, HEAD_SIZE - 1, HEAD_SIZE, TAIL_SIZE, TAIL_SIZE + 1, len(NUMBERS)])
@pytest.mark.parametrize("step", [1, 100, 5000])
def test_both_ends_are_kept_whatever_the_blocks(length: int, step: int) -> None:
    plain = NUMBERS[:length][-20_000:]
    ends = Ends()
    assert made_of(plain, ends.passed, step) == plain
    assert (ends.head, ends.tail) == (plain[:HEAD_SIZE], plain[-TAIL_SIZE:])


class Limiter:
    """Lets no more than so many bytes a second pass."""

    def __init__(self, rate: float) -> None:
        self._rate = rate

    def limited(self, blocks: Iterator[memoryview]) -> Iterator[Block]:
        for block in blocks:
            yield block
            time.sleep(len(block) / self._rate)


def test_a_limit_to_the_bandwidth_is_one_more_element_of_the_chain() -> None:
    limiter = Limiter(2 * len(NUMBERS))
    began = time.monotonic()
    with Pipeline([SEQUENCE, Transformation("the limit", limiter.limited), Stage(("cat",))]) as pipeline:
        assert read_all(pipeline) == NUMBERS
    assert 0.5 <= time.monotonic() - began < 30
