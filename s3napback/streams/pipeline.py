"""Processes and filters joined by pipes, and the reader of their output, which never lies about the end."""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType

from s3napback.crews import Crew
from s3napback.errors import PipelineError, S3napbackError
from s3napback.streams.compression import Block, Filter, make_filter
from s3napback.streams.interrupts import deferred_signals
from s3napback.streams.pipes import PipeEnd, Silence, StopSignal, open_pipe
from s3napback.streams.processes import Process, Stage, collect_messages, end_processes
from s3napback.streams.pumps import Feed, Pump, Transformation, preceded
from s3napback.streams.silence import SilenceWatch
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

_SETTLING_TIME = 1.0  # seconds for the others to end by themselves once one has failed
_LAST_WORDS_TIME = 5.0  # seconds for what was said last to be read, once everybody has ended
_QUOTED_LINES = 10


class Pipeline:
    """A dump command, filters and further commands, each reading what the one before it writes.

    A context manager, used once: entering starts everything, leaving ends whatever still runs and gives back every
    process, thread and descriptor. It is a ``ByteSource``; one call of ``readinto`` may fill only part of the buffer.
    All methods are for one thread.

    Attributes:
        warnings: after the end, what stages said that ended with one of their warning codes.
    """

    def __init__(
        self,
        elements: Sequence[Stage | Feed | Filter | Transformation],
        *,
        stall_timeout: float | None = None,
        least_rate: float = 0,
    ) -> None:
        """Describe it; nothing is started yet.

        Args:
            elements: in the order of the stream. The first is a ``Stage`` or a ``Feed``.
            stall_timeout: seconds that calls of ``readinto`` wait while nothing moves anywhere; None is for ever.
            least_rate: bytes per second, over the whole of ``stall_timeout``; what moves less does not move.
        """
        first, *others = elements
        if not isinstance(first, Stage | Feed):
            raise TypeError("a pipeline begins with a process or a feed")
        # What the first stage produces is counted by the filter behind it, so there always is one.
        is_counted = isinstance(first, Feed) or (others and not isinstance(others[0], Stage))
        counting = [] if is_counted else [make_filter("none")]
        self._elements = [first, *counting, *others]
        self._stall_timeout = stall_timeout
        self._watch = SilenceWatch(stall_timeout, least_rate)
        self._given = 0
        self._members: list[Process | Pump] = []
        self._ends: list[PipeEnd] = []
        self._failure: PipelineError | None = None
        self.warnings: list[str] = []

    def __enter__(self) -> Pipeline:
        self._stop = StopSignal()
        self._threads = Crew(len(self._elements) + 1, "pipeline")
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
            try:
                with self._watch.waiting(self._progress) as patience:
                    count = self._output.read_into(buffer, self._stop, patience)
                    self._given += count
            except Silence:
                count = None
            if self._watch.is_over:
                self._require_progress()
            if count == 0:
                self._settle()
                self._check()
            if count is not None:
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
                pump = Pump(element, writer.keep(), self._stop).connect(upstream)
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
            self._threads.close()
            for end in self._ends:
                end.close()
            self._stop.close()

    @property
    def _processes(self) -> list[Process]:
        return [member for member in self._members if isinstance(member, Process)]

    @property
    def _pumps(self) -> list[Pump]:
        return [member for member in self._members if isinstance(member, Pump)]

    def _progress(self) -> int:
        return self._given + sum(pump.progress for pump in self._pumps)

    @property
    def _patience(self) -> str:
        return f"{self._stall_timeout:g} seconds (StallTimeout)"

    def _require_progress(self) -> None:
        """Raise if the stream has been silent for too long, and nothing excuses the one that holds it up."""
        if not self._watch.is_silent(self._progress()):
            return
        index = self._silent_member()
        member = self._members[index]
        below = self._members[index + 1 : index + 2]
        if isinstance(member, Process):
            has_written = any(isinstance(other, Pump) and other.bytes_read for other in below)
            if member.stage.may_ask and not has_written:
                return
            if member.stage.may_pause and self._watch.has_worked(member.processor_time):
                return
        raise PipelineError(*_with_words(member, f"has been {self._watch.verdict} for {self._patience}"))

    def _silent_member(self) -> int:
        """Follow the stream upwards, past all that only wait for their input, to the one that holds it up."""
        for index in range(len(self._members) - 1, 0, -1):
            member, above = self._members[index], self._members[index - 1]
            is_busy = isinstance(member, Pump) and not member.has_finished and member.waits_for != "input"
            if is_busy or (isinstance(above, Pump) and (above.waits_for == "output" or above.has_finished)):
                return index
        return 0

    def _settle(self) -> None:
        """Wait, from the last to the first, until all have ended, or one has failed and the others had a moment."""
        deadline: float | None = None
        for index in range(len(self._members) - 1, -1, -1):
            member = self._members[index]
            ended = member.wait(self._stall_timeout if deadline is None else max(0.0, deadline - time.monotonic()))
            if not ended and deadline is None:
                what = f"closed its output but did not end within {self._patience}"
                raise PipelineError(*_with_words(member, what))
            if isinstance(member, Process) and member.stage.review is not None and ended:
                member.messages.ended.wait(_LAST_WORDS_TIME)
            if deadline is None and self._verdict(index):
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
            raise PipelineError(*culprits)
        if not self._pumps[0].bytes_read:
            raise PipelineError(*_with_words(self._members[0], "produced nothing"))
        self.warnings = [line for process in self._processes for line in _warning_lines(process)]

    def _culprits(self) -> list[str]:
        """What there is to say of the failed members, line by line, the most causal first.

        Whoever ended because its reader had gone is a consequence, and the cause lies below the lowest of them.
        Apart from that, a failure is the cause of those below it.
        """
        verdicts = [(index, verdict) for index in range(len(self._members)) if (verdict := self._verdict(index))]
        consequences = {index for index, _ in verdicts if self._members[index].broke_on_output}
        lowest = max(consequences, default=-1)
        below = [verdict for index, verdict in verdicts if index > lowest]
        if not below:
            return [line for _, verdict in verdicts for line in verdict]
        above = [verdict for index, verdict in verdicts if index < lowest and index not in consequences]
        return [line for verdict in below + above for line in verdict]

    def _verdict(self, index: int) -> tuple[str, ...]:
        """What is wrong with a member that has ended, line by line; nothing while it runs, and if nothing is."""
        member = self._members[index]
        if isinstance(member, Pump):
            if isinstance(member.error, S3napbackError):
                return member.error.lines
            return () if member.error is None else (f"{member.name} failed: {member.error!r}",)
        if member.status is None:
            return ()
        if not member.is_good:
            return _with_words(member, member.describe_end())
        above = self._members[index - 1] if index else None
        # A filter closes its output only after it has finished, or failed by itself.
        if isinstance(above, Pump) and not above.has_finished and (above.error is None or above.broke_on_output):
            return _with_words(member, "ended before it had read everything")
        judge = member.stage.judge
        flaw = judge(member.messages.lines()) if judge else ""
        return (flaw,) if flaw else ()


def _with_words(member: Process | Pump, what: str) -> tuple[str, ...]:
    """A sentence on a member, and below it its own last words."""
    words = member.messages.lines()[-_QUOTED_LINES:] if isinstance(member, Process) else []
    return (f"{member.name} {what}" + (":" if words else ""), *(f"  {line}" for line in words))


def _warning_lines(process: Process) -> list[str]:
    """All that a process said which ended with a warning code; of the others, what they call a warning themselves."""
    lines = process.messages.lines()
    if process.is_excused and process.stage.review is not None:
        return process.stage.review.warnings
    if process.has_warned:
        return lines or [f"{process.name} ended with exit status {process.status}"]
    return [line for line in lines if "warning:" in line.lower()]
