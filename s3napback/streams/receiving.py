"""One process that is given a stream piece by piece by whoever holds it, from as many sources as there are."""

from __future__ import annotations

import signal

from s3napback.errors import S3napbackError
from s3napback.streams.pipes import Silence
from s3napback.streams.processes import Process, Stage, collect_messages
from s3napback.streams.running import Running
from s3napback.streams.silence import SilenceWatch
from s3napback.streams.transformations import Block

_QUOTED_LINES = 10
_LAST_WORDS_TIME = 5.0  # seconds for what was said last to be read, once the process has ended


class ReceiverFailed(S3napbackError):
    """The process that was given a stream did not take it; what the stream comes from is not to blame.

    Attributes:
        was_killed: by a signal, or it could not be waited for; what it was given may be good.
    """

    was_killed = False


class Receiver(Running):
    """A process that reads what is written to it, and whose own output counts as something said.

    A context manager, used once: leaving it ends the process if it still runs. All methods are for one thread.
    """

    def __init__(self, stage: Stage, stall_timeout: float | None = None) -> None:
        """Start nothing yet.

        Args:
            stage: what to start.
            stall_timeout: seconds for which it may take nothing while it does not use the processor; None is for ever.
        """
        super().__init__(1, "receiver")
        self._stage = stage
        self._stall_timeout = stall_timeout
        self._watch = SilenceWatch(stall_timeout)

    def write(self, block: Block) -> None:
        """Give it more.

        Raises:
            ReceiverFailed: it has ended, or takes nothing for too long.
        """
        rest = memoryview(block)
        try:
            while rest:
                try:
                    rest = rest[self._input.write_some(rest, self._stop, self._stall_timeout) :]
                except Silence:
                    self._be_patient()
        except BrokenPipeError:
            self.finish()
            raise ReceiverFailed(*self._with_words("ended before it had read everything")) from None

    def finish(self) -> None:
        """Nothing more will come: wait until it has ended.

        Raises:
            ReceiverFailed: not well, or not at all.
        """
        self._input.close()
        while not self._process.wait(self._stall_timeout):
            self._be_patient()
        self._process.messages.ended.wait(_LAST_WORDS_TIME)
        if not self._process.is_good:
            error = ReceiverFailed(*self._with_words(self._process.describe_end()))
            error.was_killed = (self._process.status or 0) < 0
            raise error

    @property
    def has_ended(self) -> bool:
        """Whether it runs no more."""
        return self._process.status is not None

    @property
    def is_good(self) -> bool:
        """Whether it has ended well."""
        return self._process.is_good

    def end(self) -> None:
        """End it by force, at once; for any thread."""
        self._process.send(signal.SIGKILL)

    def words(self) -> list[str]:
        """The last lines that it said so far."""
        return self._process.messages.lines()[-_QUOTED_LINES:]

    def _be_patient(self) -> None:
        """Nothing has moved for StallTimeout. It may have more to do than to read."""
        if not self._watch.has_worked(self._process.processor_time):
            error = ReceiverFailed(
                *self._with_words(f"has been silent for {self._stall_timeout:g} seconds (StallTimeout)")
            )
            error.was_killed = True
            raise error

    def _with_words(self, what: str) -> tuple[str, ...]:
        words = self.words()
        return (f"{self._process.name} {what}" + (":" if words else ""), *(f"  {line}" for line in words))

    def _start(self) -> None:
        reader, self._input = self._open_pipe()
        said, says = self._open_pipe()
        self._process = Process(self._stage, reader, says, says)
        self._processes.append(self._process)
        # Only the child may hold these, else neither of us would ever see an end.
        reader.close()
        says.close()
        self._input.keep()
        self._threads.submit(collect_messages, [(said, self._process.messages)], self._stop)
