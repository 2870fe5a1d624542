"""Kill a process at every step of a commit of state: ``crashing_commit.py DIFFDIR``.

Works on copies: ``DIFFDIR-1`` is what remains of DIFFDIR after a kill before the first step, and so on; the last copy
is that of the process which was not killed, and its steps are printed, one a line. A step is whatever Python reports to
audit hooks of files, and each call of ``os.fsync`` and ``os.write``.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from s3napback.state import StoreState
from tests.states import STORE, next_night


def commit_next_night(diff_dir: Path) -> None:
    state = StoreState(diff_dir, STORE, "")
    with state.workplace("etc") as folder:
        state.commit(*next_night(folder))


def reported(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(descriptor: int, *arguments: object) -> object:
        sys.audit(f"os.{name}", Path(f"/proc/self/fd/{descriptor}").readlink())
        return call(descriptor, *arguments)

    return wrapper


def run_until(step: int, diff_dir: Path) -> list[str]:
    """Run with a kill before the given step; the steps, if there were fewer."""
    steps: list[str] = []

    def count(event: str, arguments: tuple[object, ...]) -> None:
        if event not in {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.fsync", "os.write", "open"}:
            return
        names = [Path(each).name for each in arguments if isinstance(each, str | Path)]
        steps.append(" ".join([event, *names[:2]]))
        if len(steps) == step:
            os.kill(os.getpid(), signal.SIGKILL)

    os.write = reported("write", os.write)
    os.fsync = reported("fsync", os.fsync)
    sys.addaudithook(count)
    commit_next_night(diff_dir)
    return steps


def main(diff_dir: str) -> None:
    for step in range(1, 1000):
        copy = Path(f"{diff_dir}-{step}")
        shutil.copytree(diff_dir, copy)
        child = os.fork()
        if child == 0:
            steps = run_until(step, copy)
            sys.stdout.write("".join(f"{each}\n" for each in steps))
            sys.stdout.flush()
            os._exit(0)
        if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0:
            return
    raise RuntimeError("there is no end to the steps")


if __name__ == "__main__":
    main(sys.argv[1])
