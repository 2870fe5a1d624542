"""The command line in a process forked from one that has imported its modules: the same code, started sooner.

Most of what a small command costs is the start of Python and its imports, and tests run thousands. What forks is
``tests/forking.py``. How commands start is tested by those that run ``Site.command()`` themselves.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

DECIDE_AT_THE_START = ("PYTHON", "LC_", "LANG", "LD_")
"""How variables are called that Python, or the linker, heeds only once."""


class ForkedCommand:
    """Starts commands; what they are forked from is started with the first one."""

    def __init__(self) -> None:
        self._server: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None
        self._environment: Mapping[str, str] = {}

    def suits(self, environment: Mapping[str, str]) -> bool:
        """Whether a command with these variables would not run otherwise, were it started by itself.

        Commands of other threads have to be: here they would come one after the other.
        """
        if threading.current_thread() is not threading.main_thread():
            return False
        self._start()
        return _deciding(environment) == _deciding(self._environment)

    def run(
        self, arguments: Sequence[str], environment: Mapping[str, str], folder: Path, timeout: float
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, as ``subprocess.run`` does.

        Args:
            arguments: what follows ``s3napback``.
            folder: the current one.
            timeout: seconds.
        """
        umask = os.umask(0o077)
        os.umask(umask)
        request = {"arguments": arguments, "environment": environment, "folder": str(folder), "umask": umask}
        with _text_file() as output, _text_file() as errors:
            try:
                status = self._status(json.dumps(request).encode(), [output.fileno(), errors.fileno()], timeout)
            except TimeoutError:
                raise subprocess.TimeoutExpired(arguments, timeout, _text(output), _text(errors)) from None
            code = os.waitstatus_to_exitcode(status)
            return subprocess.CompletedProcess(arguments, code, _text(output), _text(errors))

    def _status(self, request: bytes, descriptors: list[int], timeout: float) -> int:
        """Have a command run; whatever interrupts that ends it, and leaves no answer for the next one."""
        channel = self._start()
        channel.settimeout(None)
        child = 0
        try:
            socket.send_fds(channel, [request], descriptors)
            child = int(channel.recv(100))
            channel.settimeout(timeout)
            return int(channel.recv(100))
        except BaseException:
            if child:
                with suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
            self.stop()
            raise

    def stop(self) -> None:
        """End what was started."""
        if self._channel is not None and self._server is not None:
            self._channel.close()
            self._server.wait(30)
        self._channel = self._server = None

    def _start(self) -> socket.socket:
        if self._channel is None:
            self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            self._environment = dict(os.environ)
            # The package that is tested is the one that tests import, wherever they were started.
            code = f"import sys; sys.path[:] = {sys.path!r}; from tests.forking import serve; serve({theirs.fileno()})"
            command = [sys.executable, "-c", code]
            self._server = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()])
            theirs.close()
        return self._channel


FORKED = ForkedCommand()


def _deciding(environment: Mapping[str, str]) -> Mapping[str, str]:
    return {name: value for name, value in environment.items() if name.startswith(DECIDE_AT_THE_START)}


def _text_file() -> IO[str]:
    return tempfile.TemporaryFile("w+", encoding="utf-8", errors="surrogateescape")


def _text(file: IO[str]) -> str:
    file.seek(0)
    return file.read()
