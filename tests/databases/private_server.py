"""What database servers for tests have in common: a short private folder, a user of their own, an end by process id."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
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


def as_user(user: str) -> dict[str, Any]:
    """Arguments for ``subprocess`` that start a program as ``user``, because these servers refuse to be root."""
    return {"user": user, "group": user, "extra_groups": []} if os.geteuid() == 0 else {}


@contextmanager
def running(
    command: Sequence[str], user: str, folder: Path, is_up: Callable[[], bool]
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server until the end of the block, or until a test has ended it."""
    log = folder / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=folder, **as_user(user)
        )
    try:
        deadline = time.monotonic() + PATIENCE
        while not is_up():
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
