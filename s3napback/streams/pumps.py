"""The pump: what a pipeline does within this process, a feed or a transformation, at work in a thread of its own."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from concurrent.futures import Future
from contextlib import closing
from typing import Literal

from s3napback.crews import has_come
from s3napback.streams.buffers import Buffers
from s3napback.streams.pipes import PipeEnd, StopSignal
from s3napback.streams.transformations import UNCHANGED, Block, Feed, Transformation


class Pump:
    """Writes into a pipe what a transformation makes of a stream.

    Attributes:
        name: of what is at work.
        bytes_read: so far.
        waits_for: ``input`` or ``output`` while it cannot go on.
        has_finished: everything has been passed on.
    """

    def __init__(
        self,
        feed: Feed,
        transformation: Transformation,
        target: PipeEnd,
        stop: StopSignal,
        source: PipeEnd | None = None,
    ) -> None:
        """Start nothing yet.

        Args:
            feed: what it reads.
            transformation: makes of it what is written.
            target: where it writes to.
            stop: calls off all waiting.
            source: where the feed reads from, if that is a pipe.
        """
        self.name = feed.name
        self.bytes_read = 0
        self.waits_for: Literal["input", "output", ""] = ""
        self.has_finished = False
        self.future: Future[None] = Future()
        self._feed = feed
        self._transformation = transformation
        self._ends = [end for end in (source, target) if end is not None]
        self._target = target.keep()
        self._stop = stop
        self._is_inner = source is not None

    def run(self) -> None:
        """Pass on everything. Closing both ends then tells the neighbours, whatever happened."""
        try:
            with closing(self._blocks()) as blocks:
                for block in blocks:
                    self._write(block)
            self.has_finished = True
        finally:
            for end in self._ends:
                end.close()

    def _blocks(self) -> Generator[Block, None, None]:
        yield from self._transformation.transform(self._input())

    def _input(self) -> Iterator[memoryview]:
        blocks = self._feed.blocks()
        while (block := self._next(blocks)) is not None:
            self.bytes_read += len(block)
            yield memoryview(block)

    def _next(self, blocks: Iterator[Block]) -> Block | None:
        self.waits_for = "input"
        block = next(blocks, None)
        self.waits_for = ""
        return block

    def _write(self, data: Block) -> None:
        self.waits_for = "output"
        self._target.write_all(data, self._stop)
        self.waits_for = ""

    @property
    def element(self) -> Feed | Transformation:
        """What the pipeline was made with: the feed that begins it, or a transformation."""
        return self._transformation if self._is_inner else self._feed

    @property
    def progress(self) -> int:
        """Grows with every byte that comes in or goes out."""
        return self._feed.arrived() + self.bytes_read + self._target.bytes_written

    def wait(self, timeout: float | None) -> bool:
        """Wait for its end, in seconds; False if it has not come."""
        return has_come(self.future, timeout)

    @property
    def error(self) -> BaseException | None:
        """What ended it before its time; None also while it runs."""
        return self.future.exception() if self.future.done() else None

    @property
    def broke_on_output(self) -> bool:
        """Whether it ended because nobody read its output any more."""
        return isinstance(self.error, BrokenPipeError)


def feeding(feed: Feed, target: PipeEnd, stop: StopSignal) -> Pump:
    """A pump that begins a pipeline."""
    return Pump(feed, UNCHANGED, target, stop)


def transforming(transformation: Transformation, source: PipeEnd, target: PipeEnd, stop: StopSignal) -> Pump:
    """A pump between two pipes."""
    source.keep()

    def blocks() -> Iterator[Block]:
        buffers = Buffers()
        while count := source.read_into(buffers.room(), stop):
            yield buffers.block(count)

    return Pump(Feed(transformation.name, blocks), transformation, target, stop, source)
