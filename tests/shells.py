"""Real shells on a terminal, in which somebody presses Tab."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Sequence
from pathlib import Path

from tests.site import START

_SECONDS = 30.0
_STARTS = {
    "bash": ["bash", "--noprofile", "--norc", "-i"],
    "zsh": ["zsh", "-f", "-i"],
    "fish": ["fish", "--no-config", "-i"],
}
_READIES = {
    "bash": "PS1='re''ady> '; bind 'set bell-style none'; source {script}",
    "zsh": "PS1='re''ady> '; autoload -Uz compinit; compinit -D -u; source {script}",
    "fish": "function fish_prompt; echo -n 're''ady> '; end; function fish_right_prompt; end; source {script}",
}
# The machine that tests run on may have much to do.
_PATIENT = (
    "import s3napback.completing; s3napback.completing.LONGEST_SECONDS = 30; from s3napback.cli import main; main()"
)
# It completes as s3napback does, and notes what it is called with in place of doing it.
_STAND_IN = """#!/bin/sh
test -z "$_S3NAPBACK_COMPLETE" || exec {python} -c '{patient}'
printf '%s\\t' "$@" >>{record}
echo >>{record}
"""


class Shell:
    """A shell that knows how to complete s3napback; use as a context manager."""

    def __init__(self, name: str, folder: Path) -> None:
        self._record = folder / f"{name}.calls"
        programs = folder / f"{name}.bin"
        programs.mkdir()
        stand_in = programs / "s3napback"
        stand_in.write_text(_STAND_IN.format(patient=_PATIENT, python=sys.executable, record=self._record))
        stand_in.chmod(0o755)
        self._environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("LC_")},
            "PATH": f"{programs}:{os.environ['PATH']}",
            "LC_ALL": "C.UTF-8",
            "HOME": str(folder),
            "TERM": "xterm",
            "HISTFILE": "/dev/null",
            "ZDOTDIR": str(folder),
            "fish_greeting": "",
        }
        script = folder / f"{name}.script"
        environment = {**self._environment, "_S3NAPBACK_COMPLETE": f"{name}_source"}
        script.write_bytes(subprocess.run(START, capture_output=True, check=True, env=environment).stdout)
        self._name, self._ready = name, _READIES[name].format(script=script)

    def __enter__(self) -> Shell:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 400, 0, 0))
        session = (
            "import os, sys, fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execvp(sys.argv[1], sys.argv[1:])"
        )
        command = [sys.executable, "-c", session, *_STARTS[self._name]]
        self._process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, env=self._environment, start_new_session=True
        )
        os.close(theirs)
        self.seen = ""
        self._write(f"{self._ready}\r")
        self._wait_for("ready> ")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._ours)

    def completed(self, line: str) -> Sequence[str]:
        """What a line calls s3napback with, when Tab was pressed at its end."""
        before = self._calls()
        self._write(f"{line}\t\r")
        deadline = time.monotonic() + _SECONDS
        while (calls := self._calls()) == before:
            assert time.monotonic() < deadline, self.seen
            self._read(0.05)
        self._wait_for("ready> ")
        return list(calls[-1])

    def _calls(self) -> Sequence[Sequence[str]]:
        if not self._record.exists():
            return []
        return [line.split("\t")[:-1] for line in self._record.read_text().split("\n")[:-1]]

    def _write(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def _wait_for(self, text: str) -> None:
        deadline = time.monotonic() + _SECONDS
        while text not in self.seen:
            assert time.monotonic() < deadline, self.seen
            self._read(0.1)
        self.seen = ""

    def _read(self, seconds: float) -> bool:
        if not select.select([self._ours], [], [], seconds)[0]:
            return False
        text = os.read(self._ours, 65536).decode("utf-8", "replace")
        self.seen += text
        # fish asks the terminal what it is, and waits for the answer (VT100, primary device attributes).
        if "\x1b[c" in text or "\x1b[0c" in text:
            self._write("\x1b[?6c")
        return True
