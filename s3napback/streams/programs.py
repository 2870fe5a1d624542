"""One program by itself, whose output is words and no content: run to its end, with all that it says read along."""

from __future__ import annotations

import time

from s3napback.streams.processes import Messages, Process, Stage, collect_messages
from s3napback.streams.running import Running

_LAST_WORDS_SECONDS = 1.0
"""For what it said to arrive. A service that it has started may hold its standard output open for ever."""


class Program(Running):
    """A running program; reads nothing. Leaving the context ends it with its process group, if it still runs.

    Both of its outputs go to ``Stage.review``. All methods are for one thread.
    """

    def __init__(self, stage: Stage) -> None:
        """Describe it; entering the context starts it, and raises ``ElementsFailed`` if it cannot be started."""
        super().__init__(1, "words")
        self._stage = stage

    def wait(self, seconds: float | None) -> bool:
        """Wait for its end; False if it has not come. None is for ever, but where a signal reaches us."""
        if not self._process.wait(seconds):
            return False
        deadline = time.monotonic() + _LAST_WORDS_SECONDS
        for messages in (self._output, self._process.messages):
            messages.ended.wait(max(0.0, deadline - time.monotonic()))
        return True

    @property
    def is_good(self) -> bool:
        """Whether it has ended well."""
        return self._process.is_good

    def describe_end(self) -> str:
        """How it ended, as the end of a sentence that begins with its name."""
        return self._process.describe_end()

    def last_words(self, count: int) -> list[str]:
        """The last lines that it said, on standard error if it said anything there."""
        lines = self._process.messages.lines() or self._output.lines()
        return lines[-count:]

    def _start(self) -> None:
        stage = self._stage
        output, output_writer = self._open_pipe()
        errors, errors_writer = self._open_pipe()
        self._process = Process(stage, None, output_writer, errors_writer)
        self._processes.append(self._process)
        # Only the child may hold these, else no end would ever be seen.
        output_writer.close()
        errors_writer.close()
        self._output = Messages(stage.name, stage.review)
        self._threads.submit(collect_messages, [(output, self._output), (errors, self._process.messages)], self._stop)
