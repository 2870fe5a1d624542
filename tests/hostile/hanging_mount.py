"""A file system that hangs, for a process with this as its ``sitecustomize``: reading from a vault never returns.

What hangs inside the kernel on a dead mount cannot be had without one, so the process's own call takes its place.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

_really = os.pread


def _hangs(descriptor: int, size: int, offset: int) -> bytes:
    hanging = os.environ.get("HANGING_AT", "")
    if hanging and "/vault/" in str(Path(f"/proc/self/fd/{descriptor}").readlink()) and offset + size > int(hanging):
        Path(os.environ["HANGING_NOTE"]).touch()
        while True:
            time.sleep(3600)
    return _really(descriptor, size, offset)


os.pread = _hangs
