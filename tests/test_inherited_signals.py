"""Tests do not mind how they were started: in the background, by ``nohup``, or with signals blocked."""

from __future__ import annotations

import signal
import subprocess
import sys

from tests.manual import CHECKOUT

WITH_SIGNALS_BLOCKED = """
import os, signal, sys
signal.pthread_sigmask(signal.SIG_SETMASK, {signal.SIGINT, signal.SIGTERM})
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


def test_signals_end_what_a_test_starts() -> None:
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM):
        with subprocess.Popen(["sleep", "60"]) as process:
            process.send_signal(number)
            try:
                assert process.wait(timeout=5) == -number
            finally:
                process.kill()


def test_they_do_so_however_the_tests_were_started() -> None:
    alone = [
        "-m",
        "pytest",
        "-q",
        "-n",
        "0",
        "-p",
        "no:cacheprovider",
        f"{__file__}::{test_signals_end_what_a_test_starts.__name__}",
    ]
    ignoring = ["sh", "-c", "trap '' INT QUIT HUP TERM; exec \"$@\"", "sh", sys.executable, *alone]
    blocking = [sys.executable, "-c", WITH_SIGNALS_BLOCKED, *alone]
    for command in (ignoring, blocking):
        done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout
        assert "1 passed" in done.stdout
