from __future__ import annotations

import os
import time
from collections.abc import Iterator
from threading import Thread

import pytest

from s3napback.streams.pipes import PIPE_SIZE, PipeEnd, StopSignal, open_pipe

_PIECE = 8 << 10
"""Bytes that gpg reads and writes at a time."""

_COUNT = 1 << 10


@pytest.fixture(name="stop")
def _stop() -> Iterator[StopSignal]:
    stop = StopSignal()
    yield stop
    stop.close()


@pytest.fixture(name="pipe")
def _pipe() -> tuple[PipeEnd, PipeEnd]:
    return open_pipe()


def test_what_comes_in_many_small_pieces_is_taken_in_few(pipe: tuple[PipeEnd, PipeEnd], stop: StopSignal) -> None:
    reader, writer = pipe

    def write() -> None:
        for _ in range(_COUNT):
            os.write(writer.fileno(), bytes(_PIECE))
            time.sleep(0.0001)
        writer.close()

    thread = Thread(target=write)
    thread.start()
    reader.keep()
    buffer = memoryview(bytearray(1 << 18))
    counts = []
    while count := reader.read_into(buffer, stop):
        counts.append(count)
    thread.join()
    reader.close()
    assert sum(counts) == _COUNT * _PIECE
    assert len(counts) < _COUNT / 3


def test_one_who_takes_small_pieces_is_brought_many_at_once(pipe: tuple[PipeEnd, PipeEnd], stop: StopSignal) -> None:
    reader, writer = pipe
    taken = []

    def read() -> None:
        while piece := os.read(reader.fileno(), _PIECE):
            taken.append(len(piece))
            time.sleep(0.0001)

    thread = Thread(target=read)
    thread.start()
    writer.keep()
    rest = memoryview(bytes(PIPE_SIZE + _COUNT * _PIECE))
    counts = []
    while rest:
        counts.append(writer.write_some(rest, stop))
        rest = rest[counts[-1] :]
    writer.close()
    thread.join()
    reader.close()
    assert sum(taken) == sum(counts) == PIPE_SIZE + _COUNT * _PIECE
    assert len(counts) < _COUNT / 3


def test_what_is_small_is_not_waited_for(
    pipe: tuple[PipeEnd, PipeEnd], stop: StopSignal, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr("s3napback.streams.pipes.time.sleep", slept.append)
    reader, writer = pipe
    reader.keep()
    buffer = memoryview(bytearray(1 << 18))
    for _ in range(3):
        os.write(writer.fileno(), b"a word")
        assert reader.read_into(buffer, stop) == 6
    writer.close()
    assert reader.read_into(buffer, stop) == 0
    reader.close()
    assert not slept
