"""Starts runs of the command line by the fork server, and finds what they left behind among the processes."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

TIME_LIMIT = 180  # seconds for one run


@dataclass(frozen=True)
class Ended:
    """A run that has ended: its exit code (negative for a signal) and what it wrote."""

    code: int
    stdout: str
    stderr: str


class Running:
    """A run under way.

    Attributes:
        pid: of the run.
        mark: of the run and all its children, the name of a folder at the end of their PATH.
    """

    def __init__(self, pid: int, mark: str, runner: Runner) -> None:
        self.pid = pid
        self.mark = mark
        self._runner = runner

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Signal the run, and nothing else."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def has_ended(self, seconds: float) -> bool:
        """Wait so long for its end."""
        return self._runner.has_answer(seconds)

    def wait(self) -> Ended:
        """Wait for its end."""
        if not self._runner.has_answer(TIME_LIMIT):
            self.kill()
            self._runner.answer()
            raise AssertionError(f"the run does not end:\n{self._runner.text('stderr')}")
        status = int(self._runner.answer())
        return Ended(os.waitstatus_to_exitcode(status), self._runner.text("stdout"), self._runner.text("stderr"))

    def children(self) -> list[int]:
        """Processes of this run that are still there."""
        return [pid for pid in processes_with(self.mark) if pid != self.pid]


class Runner:
    """One run after the other."""

    def __init__(self, server: subprocess.Popen[bytes], folder: Path) -> None:
        self._server = server
        self._folder = folder
        self._answers = b""

    def start(
        self, arguments: Sequence[str], environment: Mapping[str, str], *, fault: str = "", user: int = 0
    ) -> Running:
        """Begin a run; the one before must have ended, and have been waited for.

        Args:
            fault: one of ``fork_server.FAULTS``, or ``step:N``.
            user: number of an ordinary user who runs it; 0 is the one who runs the tests.
        """
        assert self._server.stdin is not None
        mark = uuid.uuid4().hex
        request = {
            "arguments": list(arguments),
            # PATH is among the few things that children inherit.
            "environment": {**environment, "PATH": f"{environment['PATH']}{os.pathsep}/{mark}"},
            "stdout": str(self._folder / "stdout"),
            "stderr": str(self._folder / "stderr"),
            "fault": fault,
            "user": user,
        }
        self._server.stdin.write(json.dumps(request).encode() + b"\n")
        self._server.stdin.flush()
        return Running(int(self.answer()), mark, self)

    def run(self, arguments: Sequence[str], environment: Mapping[str, str], *, fault: str = "", user: int = 0) -> Ended:
        """Run to the end."""
        return self.start(arguments, environment, fault=fault, user=user).wait()

    def has_answer(self, seconds: float) -> bool:
        """Wait so long for the server's next answer."""
        assert self._server.stdout is not None
        return b"\n" in self._answers or bool(select.select([self._server.stdout], [], [], seconds)[0])

    def answer(self) -> str:
        """The server's next answer."""
        assert self._server.stdout is not None
        while b"\n" not in self._answers:
            data = os.read(self._server.stdout.fileno(), 1000)
            assert data, "the fork server has ended"
            self._answers += data
        line, _, self._answers = self._answers.partition(b"\n")
        return line.decode()

    def text(self, name: str) -> str:
        """What the last run wrote to ``stdout`` or ``stderr``."""
        return (self._folder / name).read_text(errors="surrogateescape")


@contextmanager
def fork_server(folder: Path, within: Sequence[str] = ()) -> Iterator[Runner]:
    """A runner whose files lie in ``folder``; ``within`` is a command that starts it in surroundings of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [*within, sys.executable, "-m", "tests.faults.fork_server"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        try:
            yield Runner(server, folder)
        finally:
            assert server.stdin is not None
            server.stdin.close()
            server.wait(TIME_LIMIT)


def processes_with(mark: str) -> list[int]:
    """The processes that bear a run's mark, those that have ended left out."""
    wanted = f"{os.pathsep}/{mark}\0".encode()
    found = []
    for entry in Path("/proc").iterdir():
        # A process may end while it is looked at; those of other users may not be looked at.
        with suppress(FileNotFoundError, ProcessLookupError, PermissionError, NotADirectoryError):
            if entry.name.isdecimal() and wanted in (entry / "environ").read_bytes():
                found.append(int(entry.name))
    return found
