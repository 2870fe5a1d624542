"""Processes and filters joined by pipes, and the reader of their output, which never lies about the end."""

from __future__ import annotations

import concurrent.futures
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from types import TracebackType
from typing import Literal

from s3napback.errors import PipelineError, S3napbackError
from s3napback.streams.compression import Block, Filter, compressed, make_filter
from s3napback.streams.interrupts import deferred_signals
from s3napback.streams.pipes import PipeEnd, Silence, StopSignal, open_pipe
from s3napback.streams.processes import Process, Stage, collect_messages, end_processes
from s3napback.streams.spooling import Measured, spool

__all__ = [
    "Block",
    "Feed",
    "Filter",
    "Measured",
    "Pipeline",
    "Stage",
    "Transformation",
    "make_filter",
    "preceded",
    "spool",
]

HEAD_SIZE = 512  # bytes; the first block of a tar archive
TAIL_SIZE = 1024  # bytes; the two blocks that end it
_BLOCK_SIZE = 1 << 18  # bytes; stays in the processor cache, measured faster than a mebibyte
_SETTLING_TIME = 1.0  # seconds for the others to end by themselves once one has failed
_LAST_WORDS_TIME = 5.0  # seconds for what was said last to be read, once everybody has ended
_QUOTED_LINES = 10


@dataclass(frozen=True)
class Feed:
    """A stream that comes from this process, in the place of the first stage.

    Attributes:
        name: as messages call it.
        blocks: begins it. What it raises fails the pipeline.
    """

    name: str
    blocks: Callable[[], Iterator[Block]]


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


class _Pump:
    """A feed or filter at work: it writes into a pipe what it makes, of what it reads from another if it has one.

    Attributes:
        name: of the filter.
        bytes_read: so far.
        bytes_written: so far.
        head: the first bytes read, at most ``HEAD_SIZE``.
        tail: the last bytes read so far, at most ``TAIL_SIZE``.
        waits_for: ``input`` or ``output`` while it cannot go on.
        has_finished: everything has been passed on.
    """

    def __init__(self, element: Feed | Filter | Transformation, target: PipeEnd, stop: StopSignal) -> None:
        self.name = element.name
        self.bytes_read = 0
        self.bytes_written = 0
        self.head = b""
        self.tail = b""
        self.waits_for: Literal["input", "output", ""] = ""
        self.has_finished = False
        self.future: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._element = element
        self._source: PipeEnd | None = None
        self._target = target
        self._stop = stop

    def connect(self, source: PipeEnd | None) -> _Pump:
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
        self.bytes_written += len(data)

    def wait(self, timeout: float | None) -> bool:
        """Wait for its end, in seconds; False if it has not come."""
        return not concurrent.futures.wait([self.future], timeout).not_done

    @property
    def error(self) -> BaseException | None:
        """What ended it before its time; None also while it runs."""
        return self.future.exception() if self.future.done() else None

    @property
    def broke_on_output(self) -> bool:
        """Whether it ended because nobody read its output any more."""
        return isinstance(self.error, BrokenPipeError)


class Pipeline:
    """A dump command, filters and further commands, each reading what the one before it writes.

    A context manager, used once: entering starts everything, leaving ends whatever still runs and gives back every
    process, thread and descriptor. It is a ``ByteSource``; one call of ``readinto`` may fill only part of the buffer.
    All methods are for one thread.

    Attributes:
        warnings: after the end, what stages said that ended with one of their warning codes.
    """

    def __init__(
        self, elements: Sequence[Stage | Feed | Filter | Transformation], *, stall_timeout: float | None = None
    ) -> None:
        """Describe it; nothing is started yet.

        Args:
            elements: in the order of the stream. The first is a ``Stage`` or a ``Feed``.
            stall_timeout: seconds that a call of ``readinto`` waits while nothing moves anywhere; None is for ever.
        """
        first, *others = elements
        if not isinstance(first, Stage | Feed):
            raise TypeError("a pipeline begins with a process or a feed")
        # What the first stage produces is counted by the filter behind it, so there always is one.
        is_counted = isinstance(first, Feed) or (others and not isinstance(others[0], Stage))
        counting = [] if is_counted else [make_filter("none")]
        self._elements = [first, *counting, *others]
        self._stall_timeout = stall_timeout
        self._members: list[Process | _Pump] = []
        self._ends: list[PipeEnd] = []
        self._failure: PipelineError | None = None
        self.warnings: list[str] = []

    def __enter__(self) -> Pipeline:
        self._stop = StopSignal()
        self._threads = concurrent.futures.ThreadPoolExecutor(len(self._elements) + 1, "pipeline")
        try:
            with deferred_signals():
                self._start()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._close()

    @property
    def bytes_produced(self) -> int:
        """Bytes that came out of the first stage so far."""
        return self._pumps[0].bytes_read

    @property
    def head(self) -> bytes:
        """The first ``HEAD_SIZE`` bytes that the first stage produced."""
        return self._pumps[0].head

    @property
    def tail(self) -> bytes:
        """The last ``TAIL_SIZE`` bytes that the first stage produced so far."""
        return self._pumps[0].tail

    def readinto(self, buffer: memoryview, /) -> int:
        """Read the next bytes of the output.

        Returns:
            How many; 0 only when every process and filter has ended well.

        Raises:
            PipelineError: one failed, or was silent for too long, or the first stage produced nothing. The message
                names it and quotes its own last words. Every later call raises as well.
        """
        if not len(buffer):
            raise ValueError("an empty buffer would look like the end")
        if self._failure is None:
            try:
                return self._read(buffer)
            except PipelineError as error:
                self._failure = error
        raise self._failure

    def _read(self, buffer: memoryview) -> int:
        while True:
            before = self._progress()
            try:
                count = self._output.read_into(buffer, self._stop, self._stall_timeout)
            except Silence:
                if self._progress() == before:
                    raise self._stall_error() from None
                continue
            if not count:
                self._settle()
                self._check()
            return count

    def _start(self) -> None:
        stderrs = []
        upstream: PipeEnd | None = None
        for element in self._elements:
            reader, writer = self._open_pipe()
            if isinstance(element, Stage):
                stderr_reader, stderr_writer = self._open_pipe()
                process = Process(element, upstream, writer, stderr_writer)
                self._members.append(process)
                stderrs.append((stderr_reader, process.messages))
                # Only the child may hold these, else no end of file would ever be seen.
                for end in (upstream, writer, stderr_writer):
                    if end is not None:
                        end.close()
            else:
                pump = _Pump(element, writer.keep(), self._stop).connect(upstream)
                self._members.append(pump)
                pump.future = self._threads.submit(pump.run)
            upstream = reader
        self._output = reader.keep()
        self._threads.submit(collect_messages, stderrs, self._stop)

    def _open_pipe(self) -> tuple[PipeEnd, PipeEnd]:
        ends = open_pipe()
        self._ends += ends
        return ends

    def _close(self) -> None:
        with deferred_signals():
            self._stop.set()
            end_processes(self._processes)
            self._threads.shutdown()
            for end in self._ends:
                end.close()
            self._stop.close()

    @property
    def _processes(self) -> list[Process]:
        return [member for member in self._members if isinstance(member, Process)]

    @property
    def _pumps(self) -> list[_Pump]:
        return [member for member in self._members if isinstance(member, _Pump)]

    def _progress(self) -> int:
        return sum(pump.bytes_read + pump.bytes_written for pump in self._pumps)

    @property
    def _patience(self) -> str:
        return f"{self._stall_timeout:g} seconds (StallTimeout)"

    def _stall_error(self) -> PipelineError:
        """Follow the stream upwards, past all that only wait for their input, to the one that holds it up."""
        culprit = self._members[0]
        for above, member in zip(self._members[-2::-1], self._members[:0:-1], strict=True):
            is_busy = isinstance(member, _Pump) and member.waits_for != "input"
            if is_busy or (isinstance(above, _Pump) and above.waits_for == "output"):
                culprit = member
                break
        return PipelineError(_with_words(culprit, f"has been silent for {self._patience}"))

    def _settle(self) -> None:
        """Wait, from the last to the first, until all have ended, or one has failed and the others had a moment."""
        deadline: float | None = None
        for index in range(len(self._members) - 1, -1, -1):
            member = self._members[index]
            ended = member.wait(self._stall_timeout if deadline is None else max(0.0, deadline - time.monotonic()))
            if not ended and deadline is None:
                what = f"closed its output but did not end within {self._patience}"
                raise PipelineError(_with_words(member, what))
            if deadline is None and self._verdict(index) is not None:
                deadline = time.monotonic() + _SETTLING_TIME
        for process in self._processes:
            # What a process that has ended left running in the background may hold its standard error open for ever.
            if process.status is not None:
                process.messages.ended.wait(_LAST_WORDS_TIME)

    def _check(self) -> None:
        culprits = self._culprits() or [
            f"{member.name} has not ended" for member in self._members if not member.wait(0)
        ]
        if culprits:
            raise PipelineError("\n".join(culprits))
        if not self._pumps[0].bytes_read:
            raise PipelineError(_with_words(self._members[0], "produced nothing"))
        self.warnings = [line for process in self._processes for line in _warning_lines(process)]

    def _culprits(self) -> list[str]:
        """What there is to say of the failed members, the most causal first.

        Whoever ended because its reader had gone is a consequence, and the cause lies below the lowest of them.
        Apart from that, a failure is the cause of those below it.
        """
        verdicts = [(index, verdict) for index in range(len(self._members)) if (verdict := self._verdict(index))]
        consequences = {index for index, _ in verdicts if self._members[index].broke_on_output}
        lowest = max(consequences, default=-1)
        below = [verdict for index, verdict in verdicts if index > lowest]
        if not below:
            return [verdict for _, verdict in verdicts]
        return below + [verdict for index, verdict in verdicts if index < lowest and index not in consequences]

    def _verdict(self, index: int) -> str | None:
        """What is wrong with a member that has ended; None while it runs, and if nothing is."""
        member = self._members[index]
        if isinstance(member, _Pump):
            if isinstance(member.error, S3napbackError):
                return str(member.error)
            return None if member.error is None else f"{member.name} failed: {member.error!r}"
        if member.status is None:
            return None
        if not member.is_good:
            return _with_words(member, member.describe_end())
        above = self._members[index - 1] if index else None
        # A filter closes its output only after it has finished, or failed by itself.
        if isinstance(above, _Pump) and not above.has_finished and (above.error is None or above.broke_on_output):
            return _with_words(member, "ended before it had read everything")
        judge = member.stage.judge
        return (judge(member.messages.lines()) or None) if judge else None


def _with_words(member: Process | _Pump, what: str) -> str:
    """A sentence on a member, and below it its own last words."""
    words = member.messages.lines()[-_QUOTED_LINES:] if isinstance(member, Process) else []
    return "\n  ".join([f"{member.name} {what}" + (":" if words else ""), *words])


def _warning_lines(process: Process) -> list[str]:
    """All that a process said which ended with a warning code; of the others, what they call a warning themselves."""
    lines = process.messages.lines()
    if process.is_excused and process.stage.review:
        return process.stage.review.warnings
    if process.has_warned:
        return lines or [f"{process.name} ended with exit status {process.status}"]
    return [line for line in lines if "warning:" in line.lower()]
