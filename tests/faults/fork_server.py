"""Runs the command line again and again, each time in a forked child: the same code as ``s3napback``, started sooner.

Reads requests, one JSON object a line: ``arguments``, ``environment``, ``stdout`` and ``stderr`` (paths), ``fault``
(the name of one of ``FAULTS``, ``step:N`` to be killed before the Nth step at files, or empty), and ``user``, number of
an ordinary user that the child becomes (0: it stays what it is). Answers with the child's process id, and with its
exit status once it has ended. The child is a process of its own, in a session of its own, and ends as any other does;
what kills it is a real signal.
"""

from __future__ import annotations

import gc
import json
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any

import s3napback.backup.archiving
import s3napback.sources.directory
import s3napback.streams.processes
from s3napback.recovery import picking
from s3napback.recovery.opening import indexed
from s3napback.streams.transformations import Block, Transformation
from tests.botocore_data import share_botocore_data
from tests.forking import run_and_leave

# Nights follow one another within seconds here, and a DIFF is to hold what has changed.
vars(s3napback.sources.directory)["margin"] = lambda: 0


def breaking(after: float, act: Callable[[], None]) -> Transformation:
    """Passes everything on until so many bytes have come, and does something to the run then.

    A thread of this process cannot be made to fail from outside.
    """

    def transform(blocks: Iterator[memoryview]) -> Iterator[Block]:
        left = after
        for block in blocks:
            left -= len(block)
            if left <= 0:
                act()
            yield block
        act()

    return Transformation("gzip", transform)


def _run_out_of_memory() -> None:
    raise MemoryError


def _break_compression(after: float, act: Callable[[], None]) -> None:
    def make_compression(_kind: str, _level: int | None = None, _segments: object = None) -> Transformation:
        return breaking(after, act)

    vars(s3napback.backup.archiving)["make_compression"] = make_compression


def _kill_at(*steps: tuple[str, str]) -> None:
    """Die by SIGKILL before the last of these steps, once the others have been taken in this order.

    Args:
        steps: an event that Python reports to audit hooks, as a regular expression, and a part of the path that it
            is about.
    """
    to_come = list(steps)

    def watch(name: str, arguments: tuple[object, ...]) -> None:
        event, part_of_path = to_come[0]
        if re.fullmatch(event, name) and any(part_of_path in str(argument) for argument in arguments):
            if len(to_come) == 1:
                os.kill(os.getpid(), signal.SIGKILL)
            to_come.pop(0)

    sys.addaudithook(watch)


def _kill_at_step(step: int) -> None:
    """Die by SIGKILL before so many steps that concern the store or DiffDir, counted from 1, have been taken."""
    left = step

    def watch(name: str, arguments: tuple[object, ...]) -> None:
        nonlocal left
        if name != "open" and not name.startswith("os."):
            return
        if any("/vault" in str(argument) or "/diffs" in str(argument) for argument in arguments):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)


def open_second_wall() -> None:
    """Start what reads archives without the kernel's help, as it is where there is none."""

    def start_unconfined(folder: int, start: Callable[[str], object], *, offline: bool = False) -> object:
        del offline
        return start(f"/proc/self/fd/{folder}")

    vars(s3napback.streams.processes)["start_confined"] = start_unconfined


def _enter_everything() -> None:
    """Archives are read in parts however small they are, and however much of them is needed."""
    open_second_wall()
    vars(indexed)["LEAST_SIZE"] = 1
    vars(picking)["_WORTH_WHILE"] = 1000


FAULTS: dict[str, Callable[[], None]] = {
    "": lambda: None,
    "compression fails at the start": lambda: _break_compression(1, _run_out_of_memory),
    "compression fails in the middle": lambda: _break_compression(100_000, _run_out_of_memory),
    "compression fails at its end": lambda: _break_compression(float("inf"), _run_out_of_memory),
    "killed before the snapshot is moved": lambda: _kill_at(("os.rename", "working.snapshot")),
    "killed before the state is renamed": lambda: _kill_at(("os.rename", "state.json.new")),
    "killed after the state was renamed": lambda: _kill_at(
        ("os.rename", "state.json.new"), (r"os\.(listdir|scandir)", "/diffs/")
    ),
    "killed before the object is renamed": lambda: _kill_at(("os.rename", "/objects/")),
    "killed between commit and index": lambda: _kill_at(("os.rename", ".index/incoming-")),
    "killed between commit and checksum": lambda: _kill_at(("os.rename", ".sha256/incoming-")),
    "without the second wall": open_second_wall,
    "by indexes, without the second wall": _enter_everything,
}


def serve() -> bool:
    """Answer requests; True in a child that is to run the command line, False at the end of them."""
    gc.freeze()
    while line := sys.stdin.readline():
        request = json.loads(line)
        child = os.fork()
        if child == 0:
            _become(request)
            return True
        print(child, flush=True)  # noqa: T201 - the protocol
        print(os.waitpid(child, 0)[1], flush=True)  # noqa: T201
    return False


def _become(request: dict[str, Any]) -> None:
    os.setsid()
    for number, path in ((0, os.devnull), (1, request["stdout"]), (2, request["stderr"])):
        descriptor = os.open(path, os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(descriptor, number)
        os.close(descriptor)
    if request["user"]:
        become_user(request["user"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv = ["s3napback", *request["arguments"]]
    name, _, step = request["fault"].partition(":")
    if step:
        _kill_at_step(int(step))
    else:
        FAULTS[name]()


def become_user(user: int) -> None:
    """Give up all rights but those of an ordinary user, for good."""
    os.setgroups([])
    os.setgid(user)
    os.setuid(user)


if __name__ == "__main__":
    share_botocore_data(at_once=True)
    if serve():
        run_and_leave()
