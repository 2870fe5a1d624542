"""Streams within this process, as iterators of blocks: what begins one, and what makes another one of it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack

from s3napback.records import dataclass

Block = bytes | memoryview
"""A piece of a stream. Whoever gives a ``memoryview`` may use its memory again as soon as the next one is asked for."""

Transform = Callable[[Iterator[memoryview]], Iterator[Block]]
"""From the blocks of a stream to those of another."""


@dataclass(frozen=True)
class Feed:
    """A stream that comes from this process, in the place of a pipeline's first process.

    Attributes:
        name: as messages call it.
        blocks: begins it. What it raises fails the pipeline.
        arrived: bytes that have come for it so far, also those that it has not given on.
    """

    name: str
    blocks: Callable[[], Iterator[Block]]
    arrived: Callable[[], int] = lambda: 0


@dataclass(frozen=True)
class Transformation:
    """What makes another stream of a stream, be it compressed, chosen from, or only counted.

    It asks for its input itself, so that a small block which becomes a large one needs no memory.

    Attributes:
        name: as messages call it.
        transform: from the blocks of the input to those of the output. It reads its input to the end, or raises, which
            fails the pipeline. A generator is closed when the stream is given up before its end.
    """

    name: str
    transform: Transform


UNCHANGED = Transformation("none", lambda blocks: blocks)
"""Passes everything on as it is."""


def composed(*transformations: Transformation) -> Transformation:
    """One transformation after the other, as a single one: in one thread, without a pipe between them.

    Messages call it by the name of the last.
    """

    def run(blocks: Iterator[memoryview]) -> Iterator[Block]:
        with ExitStack() as stack:
            made: Iterator[Block] = blocks
            for each in transformations:
                made = each.transform(map(memoryview, made))
                # A failure further down refers to this generator, and would keep it from being closed by itself.
                if isinstance(made, Generator):
                    stack.callback(made.close)
            yield from made

    return Transformation(transformations[-1].name, run)
