"""One child process of a pipeline: how it is started and ended, and what it says on its standard error."""

from __future__ import annotations

import contextlib
import logging
import os
import select
import shlex
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath

from s3napback.errors import PipelineError
from s3napback.streams.confinement import start_confined
from s3napback.streams.pipes import PipeEnd, StopSignal

logger = logging.getLogger("s3napback.pipeline")

_FIRST_LINES = 20
_LAST_LINES = 50
_LINE_BYTES = 500
_READ_BYTES = 1 << 16


@dataclass(frozen=True)
class Stage:
    """One process of a pipeline.

    Attributes:
        command: program and arguments; no shell.
        warning_codes: exit statuses other than 0 that leave the output good, such as tar's 1.
        environment: added to our own. ``LC_ALL`` is ``C`` if it is not given here.
        judge: given what it said, tells what is wrong although it ended well; empty if nothing is.
        folder: descriptor of the folder that it works in, the only one that it can change; None is anywhere.
    """

    command: tuple[str, ...]
    warning_codes: frozenset[int] = frozenset()
    environment: Mapping[str, str] = field(default_factory=dict)
    judge: Callable[[Sequence[str]], str] | None = None
    folder: int | None = None

    @property
    def name(self) -> str:
        """The program's name without its folder."""
        return PurePath(self.command[0]).name


class Messages:
    """What a process wrote to its standard error: the first and the last lines, in bounded memory.

    Attributes:
        ended: set when nothing more will come.
    """

    def __init__(self, name: str) -> None:
        self.ended = threading.Event()
        self._name = name
        self._first: list[str] = []
        self._last: deque[str] = deque(maxlen=_LAST_LINES)
        self._count = 0
        self._line = bytearray()
        self._lock = threading.Lock()

    def feed(self, data: bytes) -> None:
        """Take in the next bytes."""
        *complete, rest = data.split(b"\n")
        for line in complete:
            self._extend(line)
            self._end_line()
        self._extend(rest)

    def finish(self) -> None:
        """Nothing more will come: a last line need not end with a newline."""
        if self._line:
            self._end_line()
        self.ended.set()

    def lines(self) -> list[str]:
        """All lines, or the first and the last with a remark between them."""
        with self._lock:
            omitted = self._count - len(self._first) - len(self._last)
            remark = [f"… {omitted} lines left out …"] if omitted else []
            return [*self._first, *remark, *self._last]

    def _extend(self, data: bytes) -> None:
        # One byte more than is shown tells that the line was cut.
        self._line += data[: _LINE_BYTES + 1 - len(self._line)]

    def _end_line(self) -> None:
        line = readable(bytes(self._line))
        self._line.clear()
        logger.debug("%s: %s", self._name, line)
        with self._lock:
            self._count += 1
            (self._first if len(self._first) < _FIRST_LINES else self._last).append(line)


def readable(line: bytes) -> str:
    """A tool's line as text that no terminal, log or mail obeys: cut, decoded, control characters escaped."""
    text = line[:_LINE_BYTES].rstrip(b"\r").decode(errors="replace")
    harmless = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return harmless + ("…" if len(line) > _LINE_BYTES else "")


def collect_messages(sources: Sequence[tuple[PipeEnd, Messages]], stop: StopSignal) -> None:
    """Read what several processes say until all of them have ended or ``stop`` is set. For a thread of its own."""
    poll = select.poll()
    poll.register(stop.fileno(), select.POLLIN)
    waiting = {end.fileno(): (end, messages) for end, messages in sources}
    for descriptor in waiting:
        poll.register(descriptor, select.POLLIN)
    while waiting and not stop.is_set:
        for descriptor, _event in poll.poll():
            if descriptor not in waiting:
                continue
            end, messages = waiting[descriptor]
            data = os.read(descriptor, _READ_BYTES)
            if data:
                messages.feed(data)
                continue
            poll.unregister(descriptor)
            del waiting[descriptor]
            end.close()
            messages.finish()


class Process:
    """A running stage. It leads a process group of its own, so that Ctrl-C reaches it only through us.

    Attributes:
        stage: what was started.
        messages: what it says.
    """

    def __init__(self, stage: Stage, stdin: PipeEnd | None, stdout: PipeEnd, stderr: PipeEnd) -> None:
        """Start it.

        Args:
            stage: what to start.
            stdin: where it reads from; None is ``/dev/null``.
            stdout: where it writes to.
            stderr: where it says what it has to say.

        Raises:
            PipelineError: it cannot be started.
        """
        self.stage = stage
        self.name = stage.name
        self._ends = (stdin, stdout, stderr)
        self.messages = Messages(stage.name)
        try:
            self._popen = self._start(None) if stage.folder is None else start_confined(stage.folder, self._start)
        except FileNotFoundError as error:
            raise PipelineError(f"cannot start {stage.command[0]}: it is not installed, or not on PATH") from error
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise PipelineError(f"cannot start {stage.command[0]}: {reason}") from error
        logger.debug("process %s: %s", self._popen.pid, shlex.join(stage.command))

    def _start(self, folder: str | None) -> subprocess.Popen[bytes]:
        stdin, stdout, stderr = self._ends
        return subprocess.Popen(
            self.stage.command,
            stdin=subprocess.DEVNULL if stdin is None else stdin.fileno(),
            stdout=stdout.fileno(),
            stderr=stderr.fileno(),
            env={**os.environ, "LC_ALL": "C", **self.stage.environment},
            start_new_session=True,
            cwd=folder,
        )

    @property
    def status(self) -> int | None:
        """The exit status, negative for a signal, None while it runs."""
        return self._popen.poll()

    def wait(self, timeout: float | None) -> bool:
        """Wait for its end, in seconds; False if it has not come."""
        try:
            self._popen.wait(timeout)
        except subprocess.TimeoutExpired:
            return False
        return True

    def send(self, number: signal.Signals) -> None:
        """Signal its whole group, unless it has ended."""
        if self.status is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._popen.pid, number)

    @property
    def is_good(self) -> bool:
        """Whether it has ended, and its output is good."""
        return self.status == 0 or self.has_warned

    @property
    def has_warned(self) -> bool:
        """Whether it has ended with a status that stands for a warning."""
        return self.status in self.stage.warning_codes

    @property
    def broke_on_output(self) -> bool:
        """Whether it ended because nobody read its output any more (also as a shell in between reports that)."""
        return self.status in (-signal.SIGPIPE, 128 + signal.SIGPIPE)

    def describe_end(self) -> str:
        """How it ended, as the middle of a sentence."""
        status = self.status
        if status is None:
            return "has not ended"
        if status >= 0:
            return f"failed with exit status {status}"
        try:
            name = signal.Signals(-status).name
        except ValueError:
            name = f"signal {-status}"
        hint = ", perhaps for want of memory" if status == -signal.SIGKILL else ""
        return f"was killed by {name}{hint}"


def end_processes(processes: Sequence[Process], *, grace: float = 2.0, patience: float = 10.0) -> None:
    """End those that still run, and reap all.

    Args:
        processes: in any state.
        grace: seconds that they have to follow SIGTERM before SIGKILL comes.
        patience: seconds to wait for one that hangs inside the kernel (a dead network file system).
    """
    for process in processes:
        process.send(signal.SIGTERM)
    deadline = time.monotonic() + grace
    for process in processes:
        process.wait(max(0.0, deadline - time.monotonic()))
        process.send(signal.SIGKILL)
    for process in processes:
        if not process.wait(patience):
            logger.warning("%s does not end even when killed: it hangs inside the kernel", process.name)
