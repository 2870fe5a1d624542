"""Nothing of a pipeline outlives it, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import pytest

from s3napback.errors import Interrupted
from s3napback.streams.pipeline import Pipeline
from s3napback.streams.processes import Stage, end_processes
from s3napback.streams.transformations import Transformation
from tests.streams.helpers import ENDLESS, GZIP, HANGING, Fake, read_all
from tests.waiting import becomes, is_running


@pytest.mark.parametrize("reads", [0, 1])
def test_leaving_early_ends_everything_at_once(reads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("s3napback.streams.running.end_processes", partial(end_processes, grace=60))
    began = time.monotonic()
    with Pipeline([ENDLESS, GZIP, Stage(("cat",))]) as pipeline:
        for _ in range(reads):
            assert pipeline.readinto(memoryview(bytearray(10)))
    assert time.monotonic() - began < 30


def test_leaving_early_ends_stages_that_ignore_it_and_what_they_started(fake: Fake, tmp_path: Path) -> None:
    note = tmp_path / "note"
    stubborn = fake("tar", f'trap "" TERM; echo; sleep 1000 & echo $! $$ >{note}.new; mv {note}.new {note}; wait; wait')
    with Pipeline([stubborn, GZIP]):
        assert becomes(note.exists)
    # The kernel kills a moment after it was told to.
    assert becomes(lambda: not any(is_running(int(word)) for word in note.read_text().split()))


def test_what_runs_on_in_the_background_does_not_keep_us(fake: Fake, tmp_path: Path) -> None:
    note = tmp_path / "note"
    began = time.monotonic()
    with Pipeline([fake("dump", f"echo; setsid sleep 1000 >/dev/null & echo $! >{note}")]) as pipeline:
        assert read_all(pipeline) == b"\n"
    assert time.monotonic() - began < 10
    os.kill(int(note.read_text()), signal.SIGKILL)


def test_leaving_early_does_not_wait_for_what_holds_the_pipe_in_the_background(fake: Fake, tmp_path: Path) -> None:
    note = tmp_path / "note"
    with Pipeline([fake("dump", f"setsid sleep 1000 & echo $! >{note}.new; mv {note}.new {note}"), GZIP]):
        assert becomes(note.exists)
    os.kill(int(note.read_text()), signal.SIGKILL)


@pytest.mark.parametrize(
    "elements",
    [(Stage(("sh", "-c", HANGING)), GZIP), (Stage(("sh", "-c", f"exec >&-; {HANGING}")),)],
    ids=["waiting for bytes", "waiting for the end of a process"],
)
def test_an_interrupt_comes_out_of_a_blocked_read(elements: tuple[Stage | Transformation, ...]) -> None:
    def interrupt(number: int, _frame: object) -> None:
        raise Interrupted(number)

    previous = signal.signal(signal.SIGTERM, interrupt)
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGTERM))
    try:
        timer.start()
        with pytest.raises(Interrupted):
            with Pipeline(elements) as pipeline:
                read_all(pipeline)
    finally:
        signal.signal(signal.SIGTERM, previous)
        timer.join()


def test_stages_die_with_us_even_when_we_are_killed(fake: Fake, tmp_path: Path) -> None:
    program = f"""
import time
from functools import partial
from s3napback.streams.pipeline import Pipeline
from s3napback.streams.processes import Stage
with Pipeline([Stage(("{fake("dump", 'echo $$ >"$0.pid"; exec cat /dev/zero').command[0]}",)), Stage(("cat",))]):
    time.sleep(1000)
"""
    note = tmp_path / "dump.pid"
    parent = subprocess.Popen([sys.executable, "-c", program])
    try:
        assert becomes(lambda: note.exists() and note.read_text().endswith("\n"))
        child = int(note.read_text())
        assert is_running(child)
    finally:
        parent.kill()
        parent.wait()
    assert becomes(lambda: not is_running(child))
