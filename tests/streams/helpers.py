"""Pipelines made of fakes, and questions about what is left of them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from s3napback.errors import PipelineError
from s3napback.streams.compression import make_compression
from s3napback.streams.pipeline import Pipeline
from s3napback.streams.processes import Stage
from s3napback.streams.spooling import Measured
from s3napback.streams.transformations import Block, Feed, Transformation

GZIP = make_compression("gzip")
ENDLESS = Stage(("cat", "/dev/zero"))
HANGING = "exec sleep 1000"
Fake = Callable[[str, str], Stage]


def working(seconds: float, then: str) -> str:
    """The last line of a shell script: a process that uses the processor for so long, however busy the machine is.

    Args:
        then: in Python, without single quotes.
    """
    program = f"import sys, time\nwhile time.process_time() < {seconds}: pass\n{then}"
    return f"exec {sys.executable} -S -c '{program}'"


def open_descriptors() -> dict[str, str]:
    links = {}
    for path in Path("/proc/self/fd").iterdir():
        try:
            links[path.name] = str(path.readlink())
        except FileNotFoundError:  # the one that listed the folder
            continue
    return links


def children() -> set[int]:
    """Our child processes, also those that have ended and were not reaped."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = path.read_text().rpartition(")")[2].split()[1]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(parent) == os.getpid():
            found.add(int(path.parent.name))
    return found


def read_all(source: Pipeline | Measured) -> bytes:
    buffer = memoryview(bytearray(100_000))
    collected = bytearray()
    while count := source.readinto(buffer):
        collected += buffer[:count]
    return bytes(collected)


def made_of(plain: bytes, transform: Callable[[Iterator[memoryview]], Iterator[Block]], step: int = 1 << 18) -> bytes:
    """All that a transformation makes of ``plain``, given in ``step`` bytes at a time, in the same memory."""

    def blocks() -> Iterator[memoryview]:
        buffer = memoryview(bytearray(step))
        for start in range(0, len(plain), step):
            block = plain[start : start + step]
            buffer[: len(block)] = block
            yield buffer[: len(block)]

    return b"".join(map(bytes, transform(blocks())))


def failure_of(*elements: Stage | Feed | Transformation, stall_timeout: float | None = None) -> str:
    """Read until the pipeline says what is wrong; it must say so again when asked again."""
    with Pipeline(elements, stall_timeout=stall_timeout) as pipeline:
        with pytest.raises(PipelineError) as caught:
            read_all(pipeline)
        with pytest.raises(PipelineError):
            read_all(pipeline)
    return "\n".join(caught.value.lines)
