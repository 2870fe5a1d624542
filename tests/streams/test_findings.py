"""What is found out about a stream belongs to the stream's thread until it has ended well."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator

import pytest

from s3napback.streams.findings import Finding
from s3napback.streams.pipeline import Pipeline
from s3napback.streams.processes import Stage
from s3napback.streams.transformations import Block
from tests.streams.helpers import read_all


def lines_and_thread(blocks: Iterator[memoryview]) -> Generator[Block, None, tuple[int, str]]:
    count = 0
    for block in blocks:
        count += bytes(block).count(b"\n")
        yield block
    return count, threading.current_thread().name


def test_it_is_handed_over_when_the_stream_has_ended() -> None:
    finding = Finding("the count of lines", lines_and_thread)
    with Pipeline([Stage(("seq", "2000000")), finding.transformation]) as pipeline:
        with pytest.raises(RuntimeError, match=r"count of lines was asked .* before the stream"):
            finding.result()
        read_all(pipeline)
        count, thread = finding.result()
    assert count == 2_000_000
    assert thread != threading.current_thread().name
