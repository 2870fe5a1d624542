"""Transformations, one after the other, in one thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from s3napback.errors import PipelineError
from s3napback.streams.pipeline import Pipeline
from s3napback.streams.processes import Stage
from s3napback.streams.transformations import UNCHANGED, Block, Transformation, composed
from tests.streams.helpers import ENDLESS, GZIP, Fake, failure_of, made_of, read_all


def doubled(blocks: Iterator[memoryview]) -> Iterator[Block]:
    for block in blocks:
        yield bytes(block) * 2


def bracketed(blocks: Iterator[memoryview]) -> Iterator[Block]:
    for block in blocks:
        yield b"[" + block + b"]"


DOUBLED, BRACKETED = Transformation("double", doubled), Transformation("bracket", bracketed)


@pytest.mark.parametrize(
    ("transformations", "expected"),
    [
        ((DOUBLED, BRACKETED), b"[abab][cc]"),
        ((BRACKETED, DOUBLED), b"[ab][ab][c][c]"),
        ((BRACKETED, BRACKETED, DOUBLED), b"[[ab]][[ab]][[c]][[c]]"),
        ((composed(BRACKETED, DOUBLED), BRACKETED), b"[[ab][ab]][[c][c]]"),
        ((UNCHANGED, DOUBLED, UNCHANGED), b"ababcc"),
        ((UNCHANGED,), b"abc"),
    ],
)
def test_each_is_given_what_the_one_before_it_makes(
    transformations: tuple[Transformation, ...], expected: bytes
) -> None:
    assert made_of(b"abc", composed(*transformations).transform, 2) == expected


def test_they_run_in_one_thread() -> None:
    seen = []

    def seeing(blocks: Iterator[memoryview]) -> Iterator[Block]:
        for block in blocks:
            seen.append(threading.current_thread())
            yield block

    each = Transformation("see", seeing)
    with Pipeline([Stage(("echo",)), composed(each, each, each)]) as pipeline:
        assert read_all(pipeline) == b"\n"
    assert len(seen) == 3
    assert len(set(seen)) == 1


def test_messages_call_them_by_the_last_ones_name() -> None:
    def failing(_blocks: Iterator[memoryview]) -> Iterator[Block]:
        raise ArithmeticError("no room")

    failing_first = composed(Transformation("first", failing), Transformation("second", doubled))
    assert failure_of(ENDLESS, failing_first) == "second failed: ArithmeticError('no room')"


def test_those_before_a_failure_are_closed_though_its_traceback_refers_to_them() -> None:
    closed = threading.Event()

    def held(blocks: Iterator[memoryview]) -> Iterator[Block]:
        try:
            yield from blocks
        finally:
            closed.set()

    def failing(blocks: Iterator[memoryview]) -> Iterator[Block]:
        for _ in blocks:
            raise ArithmeticError("no room")
        yield b""

    transformation = composed(Transformation("hold", held), GZIP, Transformation("fail", failing))
    with Pipeline([ENDLESS, transformation]) as pipeline:
        with pytest.raises(PipelineError, match="fail failed"):
            read_all(pipeline)
        assert closed.is_set()
        assert not any(thread.name.startswith("gzip") for thread in threading.enumerate())


def test_one_that_fails_before_it_reads_does_not_hold_up_who_writes(fake: Fake, tmp_path: Path) -> None:
    def failing(_blocks: Iterator[memoryview]) -> Iterator[Block]:
        raise ArithmeticError("no room")

    note = tmp_path / "note"
    dump = fake("dump", f"cat /dev/zero; echo >{note}")
    assert failure_of(dump, Transformation("fail", failing)) == "fail failed: ArithmeticError('no room')"
    assert note.exists(), "cat has met a closed pipe, and nobody had to end the dump"
