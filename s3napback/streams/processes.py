"""One child process of a pipeline: how it is started and ended, and what it says on its standard error."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import select
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from pathlib import Path, PurePath
from typing import Any

from s3napback.capabilities import NO_PROC, has_proc
from s3napback.ending import slices
from s3napback.environment import Family, User, child_environment
from s3napback.formatting import readable, shell_command, shortened
from s3napback.records import dataclass
from s3napback.streams.confinement import start_confined
from s3napback.streams.culprits import Culprit, ElementsFailed
from s3napback.streams.pipes import PipeEnd, StopSignal
from s3napback.streams.reviews import Review

logger = logging.getLogger("s3napback.pipeline")

_WHY_KILLED = {
    int(signal.SIGKILL): ", perhaps for want of memory",
    int(signal.SIGXFSZ): ": no file may become so large here (ulimit -f; of a unit of systemd LimitFSIZE=)",
    int(signal.SIGXCPU): ": no program may work for so long here (ulimit -t; of a unit of systemd LimitCPU=)",
}
_FIRST_LINES = 20
_LAST_LINES = 50
_LINE_BYTES = 1 << 16
_READ_BYTES = 1 << 16
_LONGEST_WORD = 1 << 17
"""Bytes of a word of a command line, its last zero included (execve(2))."""
_OTHER_BYTES = 8 << 10
"""About what the environment takes besides a command line, generously."""


@dataclass(frozen=True)
class Stage:
    """One process of a pipeline.

    Attributes:
        command: program and arguments; no shell.
        warning_codes: exit statuses other than 0 that leave the output good, such as tar's 1.
        environment: added to what ``family`` gets. It may hold secrets, and is never shown.
        judge: given what it said, tells what is wrong although it ended well; empty if nothing is.
        excuse: the same where it ended badly, and its work was done well all the same; empty if it was not.
        folder: descriptor of the folder that it works in, the only one that it can change; None is anywhere.
        offline: beside, it gets no network, as far as that is to be had.
        family: what kind of program it is, which decides on what it gets of our environment.
        user: whose rights it has; None are ours.
        directory: where it is started, with our own rights even if it has another user's; None is where we are.
        may_ask: before its first output it may be waiting for a person, for as long as that takes.
        answers_within: seconds after which it has written something, or ``helpers`` are to blame; None is StallTimeout.
        helpers: asked once it has not, whom it may wait for, one line each, with what to do.
        may_pause: it may do other things than reading and writing streams for a long time, and is not silent as long
            as it uses the processor.
        suspects: given the process's number while it is silent, tells what may hold it up, one line each.
        review: reads along, for one run; None where every status but 0 and ``warning_codes`` is a failure.
        umask: of what it makes; -1 leaves it ours.
        title: what messages call it, where its program's name tells nobody anything.
        lists: what must stand in files, by their paths, before it is started; whoever plans it does not write them.
    """

    command: tuple[str, ...]
    warning_codes: frozenset[int] = frozenset()
    environment: Mapping[str, str] = field(default_factory=dict)
    judge: Callable[[Sequence[str]], str] | None = None
    excuse: Callable[[Sequence[str]], str] | None = None
    folder: int | None = None
    offline: bool = False
    family: Family = Family.PLAIN
    user: User | None = None
    directory: str | None = None
    may_ask: bool = False
    answers_within: float | None = None
    helpers: Callable[[], Sequence[str]] = tuple
    may_pause: bool = False
    review: Review | None = None
    suspects: Callable[[int], Sequence[str]] | None = None
    umask: int = -1
    title: str = ""
    lists: Mapping[Path, bytes] = field(default_factory=dict)

    @property
    def pasted(self) -> tuple[str, ...]:
        """The command that does the same in a shell of our own user, once values of its variables are filled in."""
        where = () if self.directory is None else (f"--chdir={self.directory}",)
        variables = tuple(f"{name}=…" for name in self.environment)
        place = ("env", *where, *variables) if where or variables else ()
        if self.user is None:
            return (*place, *self.command)
        groups = ",".join(map(str, self.user.groups))
        further = f"--groups={groups}" if groups else "--clear-groups"
        return (*place, "setpriv", f"--reuid={self.user.uid}", f"--regid={self.user.gid}", further, *self.command)

    @property
    def name(self) -> str:
        """What messages call it: its title, or the program's name without its folder."""
        return self.title or PurePath(self.command[0]).name


def rights_of(user: User | None) -> dict[str, Any]:
    """Arguments for ``subprocess`` by which a process has a user's rights; those for None leave it ours."""
    return {} if user is None else {"user": user.uid, "group": user.gid, "extra_groups": list(user.groups)}


def too_long(stage: Stage) -> str:
    """Why a process could never be started, if its command line is longer than the system takes; else empty."""
    words = [*stage.command, *(f"{name}={value}" for name, value in stage.environment.items())]
    sizes = [len(os.fsencode(word)) + 1 for word in words]
    pointers = 8 * len(words)
    if max(sizes) <= _LONGEST_WORD and sum(sizes) + pointers + _OTHER_BYTES <= os.sysconf("SC_ARG_MAX"):
        return ""
    return start_problem(stage.command[0], None, OSError(errno.E2BIG, os.strerror(errno.E2BIG)))


def start_problem(program: str, user: User | None, error: OSError | ValueError) -> str:
    """Why a process could not be started, and what to do."""
    if isinstance(error, OSError) and error.errno == errno.EPERM and user is not None:
        return (
            f"cannot start {program} as {user}: s3napback may not change its user here. Where systemd starts it, write "
            "CapabilityBoundingSet=CAP_DAC_READ_SEARCH CAP_SETUID CAP_SETGID CAP_KILL into its service"
        )
    if isinstance(error, FileNotFoundError) and error.filename in (None, program):
        if program.startswith("/") and os.path.lexists(program):
            return f"cannot start {program}: what its first line names, or its loader, is missing"
        return f"cannot start {program}: it is not installed, or not on PATH"
    if isinstance(error, FileNotFoundError) and not has_proc():
        return f"cannot start {program}: {NO_PROC}"
    if isinstance(error, OSError) and error.errno == errno.E2BIG:
        return (
            f"cannot start {program}: its command line, or one word of it, is longer than the system takes (see "
            "getconf ARG_MAX). Give it fewer options, or its options in a file, if it reads one"
        )
    why = error.strerror if isinstance(error, OSError) else f"{error}"
    if isinstance(error, OSError) and error.errno == errno.ENOEXEC:
        why = "it is no program, or a script whose first line is not #! and an interpreter"
    return f"cannot start {program}: {why}"


class Messages:
    """What a process wrote to its standard error: the first and the last lines, in bounded memory.

    Attributes:
        ended: set when nothing more will come.
    """

    def __init__(self, name: str, review: Review | None = None) -> None:
        self.ended = threading.Event()
        self._name = name
        self._review = review
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
        # One byte more than is kept tells that the line was cut.
        self._line += data[: _LINE_BYTES + 1 - len(self._line)]

    def _end_line(self) -> None:
        whole = bytes(self._line)
        self._line.clear()
        if self._review is not None:
            self._review.read(whole)
        line = shortened(readable(whole, _LINE_BYTES))
        logger.debug("%s: %s", self._name, line)
        with self._lock:
            self._count += 1
            (self._first if len(self._first) < _FIRST_LINES else self._last).append(line)


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
            ElementsFailed: it cannot be started.
        """
        self.stage = stage
        self.name = stage.name
        self._ends = (stdin, stdout, stderr)
        self._has_left_others = False
        self.messages = Messages(stage.name, stage.review)
        try:
            self._popen = (
                self._start(stage.directory)
                if stage.folder is None
                else start_confined(stage.folder, self._start, offline=stage.offline)
            )
        except (OSError, ValueError) as error:
            raise ElementsFailed(Culprit(stage, [start_problem(stage.command[0], stage.user, error)])) from error
        logger.debug("process %s: %s", self._popen.pid, shell_command(stage.command))

    @property
    def element(self) -> Stage:
        """What the pipeline was made with."""
        return self.stage

    def _start(self, directory: str | None) -> subprocess.Popen[bytes]:
        stage, (stdin, stdout, stderr) = self.stage, self._ends
        return subprocess.Popen(
            stage.command,
            stdin=subprocess.DEVNULL if stdin is None else stdin.fileno(),
            stdout=stdout.fileno(),
            stderr=stderr.fileno(),
            env={**child_environment(os.environ, stage.family, stage.user), **stage.environment},
            start_new_session=True,
            cwd=directory,
            umask=stage.umask,
            **rights_of(stage.user),
        )

    @property
    def status(self) -> int | None:
        """The exit status, negative for a signal, None while it runs."""
        return self._popen.poll()

    @property
    def suspects(self) -> Sequence[str]:
        """What may hold it up, one line each."""
        return self.stage.suspects(self._popen.pid) if self.stage.suspects and self.status is None else ()

    @property
    def processor_time(self) -> int:
        """Clock ticks that it has worked so far (proc(5), stat: utime and stime); 0 where there is no ``/proc``."""
        try:
            fields = Path(f"/proc/{self._popen.pid}/stat").read_bytes().rpartition(b")")[2].split()
        except OSError:
            return 0
        return int(fields[11]) + int(fields[12])

    def wait(self, timeout: float | None) -> bool:
        """Wait for its end, in seconds; False if it has not come."""
        for piece in slices(timeout):
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._popen.wait(piece)
                return True
        return False

    def has_ended_without_others(self) -> bool:
        """Whether it has ended, for whoever knows that something that it started has not: this goes with it then."""
        self._has_left_others = self.wait(0)
        return self._has_left_others

    def send(self, number: signal.Signals) -> None:
        """Signal its whole group, unless it has ended; then what it has left, if that was noticed."""
        # As long as there is somebody in a group, no other process gets its number.
        is_left = self._has_left_others and not Path(f"/proc/{self._popen.pid}").exists()
        if self.status is None or is_left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._popen.pid, number)

    @property
    def is_good(self) -> bool:
        """Whether it has ended, and its output is good."""
        return self.status == 0 or self.has_warned or self.is_excused

    @property
    def is_excused(self) -> bool:
        """Whether it has ended with a failure that spoils nothing, by what it said."""
        status, review = self.status, self.stage.review
        if status is None or status <= 0 or review is None or self.has_warned:
            return False
        # Only after its last word is it known that there was no worse one.
        return self.messages.ended.is_set() and review.excuses(status)

    @property
    def has_warned(self) -> bool:
        """Whether it has ended with a status that stands for a warning, and all that it said was looked at."""
        is_reviewed = self.stage.review is None or self.messages.ended.is_set()
        return is_reviewed and self.status in self.stage.warning_codes

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
            complaint = self.stage.review.complaint if self.stage.review else ""
            return f"failed with exit status {status}" + (f": {complaint}" if complaint else "")
        try:
            name = signal.Signals(-status).name
        except ValueError:
            name = f"signal {-status}"
        return f"was killed by {name}{_WHY_KILLED.get(-status, '')}"


def end_processes(processes: Sequence[Process], *, grace: float = 2.0, patience: float = 5.0) -> None:
    """End those that still run, and reap all.

    Args:
        processes: in any state.
        grace: seconds that they have to follow SIGTERM before SIGKILL comes.
        patience: seconds to wait for those that hang inside the kernel (a dead network file system).
    """
    for process in processes:
        process.send(signal.SIGTERM)
    deadline = time.monotonic() + grace
    for process in processes:
        process.wait(max(0.0, deadline - time.monotonic()))
        process.send(signal.SIGKILL)
    deadline = time.monotonic() + patience
    for process in processes:
        if not process.wait(max(0.0, deadline - time.monotonic())):
            logger.warning("%s does not end even when killed: it hangs inside the kernel", process.name)
