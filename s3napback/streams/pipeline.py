"""The life of a pipeline: processes and transformations are started, joined by pipes, read from, and ended."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import ExitStack

from s3napback.errors import PipelineError
from s3napback.standing import asking_until
from s3napback.streams.pipes import PipeEnd, Silence
from s3napback.streams.post_mortem import PostMortem
from s3napback.streams.processes import Messages, Process, Stage, collect_messages
from s3napback.streams.pumps import Pump, feeding, transforming
from s3napback.streams.running import Running
from s3napback.streams.silence import SilenceWatch
from s3napback.streams.transformations import UNCHANGED, Feed, Transformation


class Pipeline(Running):
    """A dump command, transformations and further commands, each reading what the one before it writes.

    A context manager, used once: entering starts everything, leaving ends whatever still runs and gives back every
    process, thread and descriptor. It is a ``ByteSource``; one call of ``readinto`` may fill only part of the buffer.
    All methods are for one thread.

    Attributes:
        warnings: after the end, what stages said that ended with one of their warning codes.
    """

    def __init__(
        self,
        elements: Sequence[Stage | Feed | Transformation],
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
        # Whether the first stage has produced anything is known to the pump behind it, so there always is one.
        is_pumped = isinstance(first, Feed) or (others and not isinstance(others[0], Stage))
        self._elements = [first, *([] if is_pumped else [UNCHANGED]), *others]
        # One for each, and one for what they say.
        super().__init__(len(self._elements) + 1, "pipeline")
        self._watch = SilenceWatch(stall_timeout, least_rate)
        limits = [each.answers_within for each in elements if isinstance(each, Stage) and each.answers_within]
        limit = min(limits, default=math.inf)
        # Until something comes out at the end, and so out of each, or others have been silent for as long.
        self._first = SilenceWatch(limit) if limit < (stall_timeout or math.inf) else None
        self._given = 0
        self._pumps: list[Pump] = []
        self._members: list[Process | Pump] = []
        self._post_mortem = PostMortem(self._members, stall_timeout)
        self._failure: PipelineError | None = None
        self._asking = ExitStack()
        self.warnings: list[str] = []

    def readinto(self, buffer: memoryview, /) -> int:
        """Read the next bytes of the output.

        Returns:
            How many; 0 only when every process and transformation has ended well.

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
                with (self._first or self._watch).waiting(self._progress) as patience:
                    count = self._output.read_into(buffer, self._stop, patience)
                    self._given += count
            except Silence:
                count = None
            if count:
                self._first = None
            elif self._first and self._first.is_over and self._first.is_silent(self._progress()):
                self._first = None
                self._post_mortem.accuse_the_mute()
            if self._watch.is_over and self._watch.is_silent(self._progress()):
                self._post_mortem.accuse_the_silent(self._watch)
            if count == 0:
                self.warnings = self._post_mortem.conclude()
            if count is not None:
                return count

    def _progress(self) -> int:
        return self._given + sum(pump.progress for pump in self._pumps)

    def _start(self) -> None:
        if any(isinstance(element, Stage) and element.may_ask for element in self._elements):
            self._asking.enter_context(asking_until(self._has_been_answered))
        stderrs: list[tuple[PipeEnd, Messages]] = []
        upstream: PipeEnd | None = None
        for element in self._elements:
            reader, writer = self._open_pipe()
            if isinstance(element, Stage):
                stderrs.append(self._start_process(element, upstream, writer))
            elif isinstance(element, Feed):
                self._start_pump(feeding(element, writer, self._stop))
            elif upstream is not None:
                self._start_pump(transforming(element, upstream, writer, self._stop))
            upstream = reader
        self._output = reader.keep()
        self._threads.submit(collect_messages, stderrs, self._stop)

    def _has_been_answered(self) -> bool:
        """Whether what may ask a person something has written, so that it has asked."""
        return any(
            isinstance(above, Process) and above.stage.may_ask and isinstance(member, Pump) and member.bytes_read > 0
            for above, member in zip(list(self._members), list(self._members)[1:], strict=False)
        )

    def _close(self) -> None:
        super()._close()
        self._asking.close()

    def _start_process(self, stage: Stage, upstream: PipeEnd | None, writer: PipeEnd) -> tuple[PipeEnd, Messages]:
        stderr_reader, stderr_writer = self._open_pipe()
        process = Process(stage, upstream, writer, stderr_writer)
        self._processes.append(process)
        self._members.append(process)
        # Only the child may hold these, else no end of file would ever be seen.
        for end in (upstream, writer, stderr_writer):
            if end is not None:
                end.close()
        return stderr_reader, process.messages

    def _start_pump(self, pump: Pump) -> None:
        self._pumps.append(pump)
        self._members.append(pump)
        pump.future = self._threads.submit(pump.run)
