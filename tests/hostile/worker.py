"""Runs the command line again and again in one process, as one user: sooner than a process for each, for fuzzers.

The first wall has to hold alone, so there is no second one here.

Reads requests, one JSON object a line with ``arguments``; answers each with ``code`` and ``stderr``.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
from pathlib import Path

import s3napback.ending
from s3napback.cli import main
from tests.faults.fork_server import become_user, open_second_wall
from tests.forking import LOADED

assert LOADED
SECONDS = 60  # for one run
LARGEST = 100_000  # bytes that are said, at most


def serve(output: Path, user: int) -> None:
    """Answer requests; what a run says goes through a file."""
    answers = os.fdopen(os.dup(1), "w")
    descriptor = os.open(output, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    if user:
        become_user(user)
    # What is loaded stays for all runs, and what each leaves does not.
    gc.freeze()
    vars(gc)["freeze"] = gc.collect
    # A run starts a thread for its own end, and it would outlive each of thousands of runs.
    vars(s3napback.ending)["catch_signals"] = lambda: None
    open_second_wall()
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    for line in sys.stdin:
        os.ftruncate(descriptor, 0)
        os.lseek(descriptor, 0, os.SEEK_SET)
        signal.alarm(SECONDS)
        code = _run(json.loads(line)["arguments"])
        signal.alarm(0)
        said = os.pread(descriptor, LARGEST, 0).decode(errors="surrogateescape")
        answers.write(json.dumps({"code": code, "stderr": said}) + "\n")
        answers.flush()


def _run(arguments: list[str]) -> int:
    sys.argv = ["s3napback", *arguments]
    try:
        main()
    except SystemExit as ended:
        sys.stdout.flush()
        return ended.code if isinstance(ended.code, int) else 1
    return 0


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]))
