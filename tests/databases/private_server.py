"""What database servers for tests have in common: a short private folder, a user of their own, an end by process id."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PATIENCE = 60  # seconds that a server has to start or to end


@contextmanager
def short_folder(user: str) -> Iterator[Path]:
    """A folder whose name is short enough for the path of a socket, belonging to ``user`` if we are root."""
    folder = Path(tempfile.mkdtemp(prefix="s3n-", dir="/tmp"))
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, user, user)
        folder.chmod(0o755)
        yield folder
    finally:
        shutil.rmtree(folder)


def as_user(user: str, folder: Path) -> dict[str, Any]:
    """Arguments for ``subprocess`` that start a program in ``folder`` as ``user``: these servers refuse to be root.

    What is temporary lies there as well. A server of MySQL or MariaDB that begins removes from ``/tmp`` what others,
    that are at work, have put there.
    """
    own = {"user": user, "group": user, "extra_groups": []} if os.geteuid() == 0 else {}
    return {"cwd": folder, "env": {**os.environ, "TMPDIR": str(folder)}, **own}


@contextmanager
def running(command: Sequence[str], user: str, folder: Path, ping: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server until the end of the block, or until a test has ended it.

    Args:
        ping: a command that succeeds as soon as the server is up.
    """
    log = folder / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, **as_user(user, folder)
        )
    try:
        deadline = time.monotonic() + PATIENCE
        while subprocess.run(ping, capture_output=True, check=False).returncode:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{command[0]} did not start:\n{log.read_text(errors='replace')}")
            time.sleep(0.05)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE)
        finally:
            process.kill()
            process.wait()


@contextmanager
def kept_open(command: Sequence[str], text: str) -> Iterator[None]:
    """A client that has read ``text``, whose last answer is the line ``done``, and keeps its connection."""
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client:
        assert client.stdin is not None
        assert client.stdout is not None
        client.stdin.write(text)
        client.stdin.flush()
        assert client.stdout.readline() == "done\n"
        yield
        client.stdin.close()
        client.wait(PATIENCE)
