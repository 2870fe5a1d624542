"""What is at work in a pipeline besides processes: feeds, filters and transformations, each in a thread of its own."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future
from concurrent.futures import wait as wait_for_futures
from contextlib import closing
from dataclasses import dataclass
from typing import Literal

from s3napback.streams.compression import Block, Filter, compressed
from s3napback.streams.pipes import PipeEnd, StopSignal

HEAD_SIZE = 512  # bytes; the first block of a tar archive
TAIL_SIZE = 1024  # bytes; the two blocks that end it
_BLOCK_SIZE = 1 << 18  # bytes; stays in the processor cache, measured faster than a mebibyte


@dataclass(frozen=True)
class Feed:
    """A stream that comes from this process, in the place of the first stage.

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
    """A filter that asks for its input itself, so that a small block which becomes a large one needs no memory.

    Attributes:
        name: as messages call it.
        transform: from the blocks of the input to those of the output. It reads its input to the end, or raises.
    """

    name: str
    transform: Callable[[Iterator[memoryview]], Iterator[Block]]


def preceded(transform: Callable[[Iterator[memoryview]], Iterator[Block]], then: Filter) -> Transformation:
    """A filter that is given what ``transform`` makes of the input; within one thread, without a pipe between them."""
    return Transformation(then.name, lambda blocks: compressed(then.make(), map(memoryview, transform(blocks))))


class Pump:
    """A feed or filter at work: it writes into a pipe what it makes, of what it reads from another if it has one.

    Attributes:
        name: of the filter.
        bytes_read: so far.
        head: the first bytes read, at most ``HEAD_SIZE``.
        tail: the last bytes read so far, at most ``TAIL_SIZE``.
        waits_for: ``input`` or ``output`` while it cannot go on.
        has_finished: everything has been passed on.
    """

    def __init__(self, element: Feed | Filter | Transformation, target: PipeEnd, stop: StopSignal) -> None:
        self.name = element.name
        self.bytes_read = 0
        self.head = b""
        self.tail = b""
        self.waits_for: Literal["input", "output", ""] = ""
        self.has_finished = False
        self.future: Future[None] = Future()
        self._element = element
        self._source: PipeEnd | None = None
        self._target = target
        self._stop = stop

    def connect(self, source: PipeEnd | None) -> Pump:
        """Say where it reads from; a feed reads from nowhere."""
        self._source = None if source is None or isinstance(self._element, Feed) else source.keep()
        return self

    def run(self) -> None:
        """Pass on everything. Closing both ends then tells the neighbours, whatever happened."""
        try:
            with closing(self._blocks()) as blocks:
                for block in blocks:
                    self._write(block)
            self.has_finished = True
        finally:
            if self._source is not None:
                self._source.close()
            self._target.close()

    def _blocks(self) -> Generator[Block, None, None]:
        if isinstance(self._element, Feed):
            for block in self._element.blocks():
                self._note(block)
                yield block
        elif isinstance(self._element, Transformation):
            yield from self._element.transform(self._input())
        else:
            yield from compressed(self._element.make(), self._input())

    def _input(self) -> Iterator[memoryview]:
        if self._source is None:
            raise TypeError(f"{self.name} has nothing to read from")
        buffer = memoryview(bytearray(_BLOCK_SIZE))
        while True:
            self.waits_for = "input"
            count = self._source.read_into(buffer, self._stop)
            self.waits_for = ""
            if not count:
                return
            self._note(buffer[:count])
            yield buffer[:count]

    def _note(self, block: Block) -> None:
        self.bytes_read += len(block)
        if len(self.head) < HEAD_SIZE:
            self.head += bytes(block[: HEAD_SIZE - len(self.head)])
        self.tail = (self.tail + bytes(block[-TAIL_SIZE:]))[-TAIL_SIZE:]

    def _write(self, data: Block) -> None:
        self.waits_for = "output"
        self._target.write_all(data, self._stop)
        self.waits_for = ""

    @property
    def progress(self) -> int:
        """Grows with every byte that comes in or goes out."""
        arrived = self._element.arrived() if isinstance(self._element, Feed) else 0
        return arrived + self.bytes_read + self._target.bytes_written

    def wait(self, timeout: float | None) -> bool:
        """Wait for its end, in seconds; False if it has not come."""
        return not wait_for_futures([self.future], timeout).not_done

    @property
    def error(self) -> BaseException | None:
        """What ended it before its time; None also while it runs."""
        return self.future.exception() if self.future.done() else None

    @property
    def broke_on_output(self) -> bool:
        """Whether it ended because nobody read its output any more."""
        return isinstance(self.error, BrokenPipeError)
