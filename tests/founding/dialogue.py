"""Somebody at a terminal who answers what the command asks."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

_SECONDS = 60.0
_START = "import os, sys, fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"


class Dialogue:
    """A command on a terminal of its own.

    Attributes:
        seen: all that the terminal got so far.
    """

    def __init__(self, ours: int, process: subprocess.Popen[bytes]) -> None:
        self._ours = ours
        self._process = process
        self._looked = 0
        self.seen = ""

    def answer(self, question: str, words: str | bytes) -> None:
        """Wait for a question that holds these words, and for its end, and write a line, which is shown behind it."""
        self.wait_for(question)
        while not self.seen.rstrip(" ").endswith(":"):
            assert self._read(), f"no question has come to its end: {self.seen}"
        os.write(self._ours, (words.encode() if isinstance(words, str) else words) + b"\n")

    def press(self, question: str, key: bytes) -> None:
        """Wait for a question, and press a key."""
        self.wait_for(question)
        os.write(self._ours, key)

    def wait_for(self, text: str) -> None:
        """Wait until the terminal has got a text, behind the last one that was waited for."""
        deadline = time.monotonic() + _SECONDS
        while (place := self.seen.find(text, self._looked)) < 0:
            assert time.monotonic() < deadline, f"{text!r} did not come: {self.seen}"
            assert self._read(), f"{text!r} did not come: {self.seen}"
        self._looked = place + len(text)

    def end(self) -> int:
        """Wait for the end; the exit code."""
        while self._read():
            pass
        return self._process.wait(_SECONDS)

    def _read(self) -> bool:
        if not select.select([self._ours], [], [], _SECONDS)[0]:
            return False
        try:
            data = os.read(self._ours, 65536)
        except OSError:
            return False
        self.seen += data.decode("utf-8", "backslashreplace")
        return bool(data)


@contextmanager
def dialogue(*arguments: str, environment: Mapping[str, str], folder: Path) -> Iterator[Dialogue]:
    """Start s3napback on a terminal; whatever is left of it at the end is ended."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", _START, sys.executable, "-m", "s3napback", *arguments]
    process = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, cwd=folder, start_new_session=True
    )
    os.close(theirs)
    try:
        yield Dialogue(ours, process)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
