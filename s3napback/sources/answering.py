"""Which file system does not answer: a dead network mount, a FUSE program that is gone astray.

Whoever asks such a one for anything hangs inside the kernel, some past all killing. So only programs of their own ask,
which can be given up; and the kernel's list of mounts, which asks nobody, tells whom there is to ask.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from s3napback.config.settings import Job
from s3napback.errors import SourceSilent
from s3napback.formatting import counted, printable, shortened
from s3napback.sources.mounts import (
    Mount,
    current_mounts,
    is_at_or_below,
    is_made_by_the_kernel,
    is_of_this_machine,
    visible_within,
)
from s3napback.streams.environment import Family, child_environment

_MOST_ASKED = 100
_PATIENCE = 10.0  # seconds for all to answer; what is as slow as that holds up anything that has many files
_ENDING = 2.0  # seconds
_SHOWN = 5


class Entering:
    """The folders that a search for sources comes into, of which each may be where a mount begins."""

    def __init__(self, job: Job) -> None:
        """Note which mounts there are.

        Args:
            job: whose StallTimeout counts.
        """
        self._timeout = job.settings.stall_timeout
        self._points = {mount.point for mount in current_mounts() if _is_foreign(mount)}

    def require_answer(self, folder: str) -> None:
        """Look whether a folder answers if a mount begins there; what lies above it has been asked.

        Raises:
            SourceSilent: it does not.
        """
        if folder in self._points:
            require_answer(folder, self._timeout)


def require_answer_of(job: Job) -> None:
    """Look whether the file system answers on which the target of a job lies, which is a path.

    Raises:
        SourceSilent: it does not, for as long as StallTimeout.
    """
    require_answer(job.target, job.settings.stall_timeout)


def require_answer(path: str, timeout: float) -> None:
    """Look whether the file system answers on which a path lies, wherever links lead.

    Args:
        path: absolute.
        timeout: in seconds; 0 waits for ever.

    Raises:
        SourceSilent: it does not.
    """
    if any(map(_is_foreign, current_mounts())) and _silent([path], timeout or None):
        mounted = [mount for mount in current_mounts() if is_at_or_below(path, mount.point) and _is_foreign(mount)]
        where = f" ({_described(mounted[-1])})" if mounted else ""
        waited = f"for {timeout:g} seconds (StallTimeout)"
        raise SourceSilent(f"{path} has not answered {waited}: its file system hangs{where}")


def real_path(path: str) -> str:
    """An absolute path without symbolic links; as it is written if its file system does not answer within seconds."""
    with suppress(SourceSilent):
        require_answer(path, _PATIENCE)
        return os.path.realpath(path)
    return path


def what_holds_up(top: str, process: int) -> list[str]:
    """What may be the reason that a process which reads a directory tree stands still, one line each.

    Args:
        top: of the tree: absolute, without symbolic links.
        process: its number.
    """
    foreign = [mount for mount in visible_within(top, current_mounts()) if _is_foreign(mount)]
    asked = {mount.point: mount for mount in foreign[:_MOST_ASKED]}
    silent = _silent(list(asked), _PATIENCE)
    lines = [f"{_described(asked[point])} does not answer; Exclude it, or unmount it" for point in silent[:_SHOWN]]
    if more := len(silent) - len(lines):
        lines.append(f"{counted(more, 'other file system')} below {top} do not answer either")
    if place := _last_opened(top, process):
        lines.append(f"what it has open is {shortened(printable(place))}")
    return lines


def _is_foreign(mount: Mount) -> bool:
    return not (is_of_this_machine(mount) or is_made_by_the_kernel(mount))


def _described(mount: Mount) -> str:
    return f"the file system at {shortened(printable(mount.point))} ({printable(mount.type)})"


def _silent(paths: Sequence[str], timeout: float | None) -> list[str]:
    """Those of some paths whose file systems do not answer in time, all together."""
    environment = child_environment(os.environ, Family.PLAIN)
    asking: list[tuple[str, subprocess.Popen[bytes]]] = []
    silent = []
    try:
        for path in paths:
            command = ("stat", "--file-system", "--", path)
            with suppress(OSError):
                asking.append((path, _started(command, environment)))
        deadline = None if timeout is None else time.monotonic() + timeout
        for path, process in asking:
            try:
                process.wait(None if deadline is None else max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                silent.append(path)
    finally:
        _give_up([process for _path, process in asking])
    return silent


def _give_up(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.kill()
    deadline = time.monotonic() + _ENDING
    for process in processes:
        # What hangs past all killing is left to the system.
        with suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, deadline - time.monotonic()))


def _started(command: Sequence[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    nowhere = subprocess.DEVNULL
    return subprocess.Popen(command, stdin=nowhere, stdout=nowhere, stderr=nowhere, env=environment)


def _last_opened(top: str, process: int) -> str:
    """The deepest of the files and folders of a tree that a process has open; empty if there is none."""
    opened = []
    with suppress(OSError):
        for link in Path(f"/proc/{process}/fd").iterdir():
            with suppress(OSError):
                opened.append(str(link.readlink()))
    return max((path for path in opened if is_at_or_below(path, top)), key=len, default="")
