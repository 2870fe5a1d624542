"""Running programs to their end, and what that took: wall time, processor time, and memory."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

_SAMPLING_INTERVAL = 0.02  # seconds between two looks at a process's memory


class Failed(Exception):
    """A program ended with another status than 0; the message quotes its last words."""


@dataclass(frozen=True)
class Usage:
    """What one run took.

    Attributes:
        seconds: of wall time, from starting the first process to the end of the last one.
        processor: seconds of processor time, of all processes and the children that they waited for.
        peak: bytes resident in the largest of the processes started here, their children apart.
        stored: bytes of the result, or of what was fetched, where that was looked at.
        said: what the processes wrote to standard error.
    """

    seconds: float
    processor: float
    peak: int
    stored: int = 0
    said: str = ""


@dataclass(frozen=True)
class Run:
    """Programs joined by pipes.

    Attributes:
        commands: argument lists, in the order of the stream.
        folder: where they run.
        environment: complete.
        source: file that the first one reads; None is nothing.
        target: file that the last one writes; None is nowhere.
    """

    commands: Sequence[Sequence[str]]
    folder: Path
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    source: Path | None = None
    target: Path | None = None


def measure(run: Run) -> Usage:
    """Run programs to their end.

    Raises:
        Failed: one of them is missing or failed.
    """
    with tempfile.TemporaryFile() as errors:
        began = time.monotonic()
        try:
            processes = _start(run, errors)
        except FileNotFoundError as error:
            raise Failed(f"{error.filename} is not installed") from error
        memory = _MemoryWatch([process.pid for process in processes])
        processor = sum(_wait(process) for process in processes)
        seconds = time.monotonic() - began
        peak = memory.finish()
        for process, command in zip(processes, run.commands, strict=True):
            if process.returncode:
                errors.seek(0)
                words = errors.read().decode(errors="replace").strip().splitlines() or ["it did not say why"]
                raise Failed(f"{command[0]} ended with {process.returncode}: {' / '.join(words[-3:])}")
        errors.seek(0)
        return Usage(seconds, processor, peak, said=errors.read().decode(errors="replace"))


def _start(run: Run, errors: IO[bytes]) -> list[subprocess.Popen[bytes]]:
    with contextlib.ExitStack() as opened:
        stdin = opened.enter_context((run.source or Path(os.devnull)).open("rb"))
        stdout = opened.enter_context((run.target or Path(os.devnull)).open("wb"))
        processes: list[subprocess.Popen[bytes]] = []
        for index, command in enumerate(run.commands):
            is_last = index == len(run.commands) - 1
            process = subprocess.Popen(
                list(command),
                stdin=processes[-1].stdout if processes else stdin,
                stdout=stdout if is_last else subprocess.PIPE,
                stderr=errors,
                cwd=run.folder,
                env=dict(run.environment),
            )
            if process.stdout is not None:
                opened.enter_context(process.stdout)
            processes.append(process)
    return processes


def _wait(process: subprocess.Popen[bytes]) -> float:
    """Wait for its end; returns the seconds of processor time that it and its children took."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_utime + usage.ru_stime


class _MemoryWatch:
    """Looks again and again how large processes have been at most.

    ``ru_maxrss`` would not do: a child begins with that of the process which started it.
    """

    def __init__(self, process_ids: Sequence[int]) -> None:
        self._files = [Path(f"/proc/{process_id}/status") for process_id in process_ids]
        self._peak = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def _look(self) -> None:
        while not self._ended.wait(_SAMPLING_INTERVAL):
            for file in self._files:
                with contextlib.suppress(OSError):
                    if found := re.search(r"VmHWM:\s*(\d+) kB", file.read_text()):
                        self._peak = max(self._peak, int(found[1]) * 1024)

    def finish(self) -> int:
        """Stop looking, and return the largest size in bytes."""
        self._ended.set()
        self._thread.join()
        return self._peak
