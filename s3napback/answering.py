"""Which file system does not answer: a dead network mount, a FUSE program that is gone astray.

Whoever asks such a one for anything hangs inside the kernel, some past all killing. So only programs of their own ask
first, which can be given up; and the kernel's list of mounts, which asks nobody, tells whom there is to ask.
"""

from __future__ import annotations

import logging
import os
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TypeVar

from s3napback.crews import TookTooLong, within
from s3napback.environment import Family, child_environment
from s3napback.errors import SourceSilent
from s3napback.formatting import printable, shortened
from s3napback.mounts import Mount, current_mounts, is_at_or_below, is_made_by_the_kernel, is_of_this_machine

logger = logging.getLogger(__name__)

PATIENCE = 10.0
"""Seconds for all to answer; what is as slow as that holds up anything that has many files."""
_ENDING = 2.0  # seconds

_Result = TypeVar("_Result")


def require_answer(path: str, timeout: float) -> None:
    """The same for one path."""
    require_answers([path], timeout)


def require_answers(paths: Sequence[str], timeout: float) -> None:
    """Look whether the file systems answer on which some paths lie, wherever links lead. What takes long is told.

    Args:
        paths: absolute.
        timeout: in seconds, for all together; 0 waits for ever.

    Raises:
        SourceSilent: one does not.
    """
    if not any(map(is_foreign, current_mounts())):
        return
    for path in _silent_at_last(paths, timeout or None):
        raise _silence(path, timeout)


def unless_silent(path: str, timeout: float, look: Callable[[], _Result]) -> _Result:
    """Look at what lies on a file system, and give that up if it hangs: one may do so that has answered for itself.

    What passes on what others have, and is asked how much room there is, tells of itself alone.

    Args:
        path: on it; what is not absolute is none.
        timeout: in seconds, for all of the look; 0 waits for ever.
        look: may run on when it has been given up.

    Raises:
        SourceSilent: it does.
    """
    if not timeout or not path.startswith("/") or not any(map(is_foreign, current_mounts())):
        return look()
    try:
        return within(timeout, look, "look")
    except TookTooLong:
        raise _silence(path, timeout) from None


def _silence(path: str, timeout: float) -> SourceSilent:
    mounted = [mount for mount in current_mounts() if is_at_or_below(path, mount.point) and is_foreign(mount)]
    where = f" ({described(mounted[-1])})" if mounted else ""
    waited = f"for {timeout:g} seconds (StallTimeout)"
    return SourceSilent(f"{path} has not answered {waited}: its file system hangs{where}", path)


def _silent_at_last(paths: Sequence[str], timeout: float | None) -> list[str]:
    first = PATIENCE if timeout is None else min(PATIENCE, timeout)
    silent = silent_among(paths, first)
    if not silent or first == timeout:
        return silent
    most = "as long as it takes" if timeout is None else f"at most for {timeout:g} seconds"
    for path in silent:
        logger.warning("%s does not answer: waiting for it, %s (StallTimeout)", shortened(printable(path)), most)
    return silent_among(silent, None if timeout is None else timeout - first)


def real_path(path: str) -> str:
    """An absolute path without symbolic links; as it is written if its file system does not answer within seconds."""
    with suppress(SourceSilent):
        require_answer(path, PATIENCE)
        return os.path.realpath(path)
    return path


def is_foreign(mount: Mount) -> bool:
    """Whether another machine, or a program, answers for it, and may not."""
    return not (is_of_this_machine(mount) or is_made_by_the_kernel(mount))


def described(mount: Mount) -> str:
    """What to call it in a message."""
    return f"the file system at {shortened(printable(mount.point))} ({printable(mount.type)})"


def silent_among(paths: Sequence[str], timeout: float | None) -> list[str]:
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
