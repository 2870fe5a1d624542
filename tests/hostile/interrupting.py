"""A command that hangs, and the signal that it gets then: how long it takes to end, and what it leaves behind."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.site import Site
from tests.waiting import becomes

LIMIT = 30.0
"""Seconds from a signal to the end, as README promises."""

MARK = "/interrupted-by-a-test-"
"""Begins an element of PATH, which is among the few things that children inherit."""


@dataclass(frozen=True)
class Ended:
    """What became of it.

    Attributes:
        code: as a shell tells it.
        seconds: from the signal to the end.
        left: processes that it has left running.
    """

    code: int
    stderr: str
    seconds: float
    left: list[int]


def interrupt(site: Site, *options: str, when: Callable[[], bool], number: signal.Signals = signal.SIGTERM) -> Ended:
    """Run a command, wait until it hangs (``when``), and signal it."""
    mark = f"{MARK}{os.getpid()}-{time.monotonic_ns()}"
    search_path = f"{site.full_environment()['PATH']}{os.pathsep}{mark}"
    error_file = site.root / "stderr.txt"
    with error_file.open("wb") as errors:
        process = subprocess.Popen(
            site.command(*options),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            env=site.full_environment({"PATH": search_path}),
            cwd=site.root,
        )
    try:
        deadline = time.monotonic() + 60
        while not when():
            assert process.poll() is None, f"it ended by itself:\n{error_file.read_text()}"
            assert time.monotonic() < deadline, "it has not come to where it hangs"
            time.sleep(0.05)
        time.sleep(0.3)
        began = time.monotonic()
        process.send_signal(number)
        process.wait(LIMIT + 10)
        seconds = time.monotonic() - began
        # What a killed shell was just waiting for ends by itself.
        becomes(lambda: not _running(mark), 3)
        return Ended(process.returncode, error_file.read_text(), seconds, _running(mark))
    finally:
        process.kill()
        process.wait()
        for left in _running(mark):
            os.kill(left, signal.SIGKILL)


def _running(mark: str) -> list[int]:
    wanted = f"{os.pathsep}{mark}\0".encode()
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdecimal() and wanted in (entry / "environ").read_bytes():
                found.append(int(entry.name))
    return found
