"""The end by force, which waits for nothing but the time; and children, which do not outlive us."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from s3napback.ending import deferred_signals
from s3napback.errors import Interrupted
from tests.waiting import becomes, is_running

BEGIN = """
import os, signal, subprocess, threading, time
from contextlib import suppress
from s3napback import ending
from s3napback.errors import Interrupted

def ready():
    print("ready", flush=True)

ending.catch_signals({seconds})
"""

HANGS = {
    "in its clean-up": """
try:
    ready()
    time.sleep(60)
finally: time.sleep(60)
""",
    "having lost the exception": """
with suppress(Interrupted):
    ready()
    time.sleep(60)
time.sleep(60)
""",
    # No handler of Python's ever runs: the call does not come back to it.
    "in a call that signals do not end": """
signal.pthread_sigmask(signal.SIG_BLOCK, ending.SIGNALS)
ready()
time.sleep(60)
""",
}


@contextmanager
def started(program: str, seconds: float = 1.0) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", BEGIN.format(seconds=seconds) + program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("program", HANGS.values(), ids=HANGS)
def test_a_run_that_hangs_is_ended_by_force_and_says_so(program: str) -> None:
    with started(program) as process:
        began = time.monotonic()
        process.terminate()
        _, said = process.communicate(timeout=30)
        assert time.monotonic() - began < 9
    assert process.returncode == 128 + signal.SIGTERM
    assert "SIGTERM came 1 seconds ago" in said
    assert "ended by force" in said


FULL = """
os.set_blocking(2, False)
os.write(2, bytes(1 << 20))
os.set_blocking(2, True)
try:
    ready()
    time.sleep(60)
finally: time.sleep(60)
"""


def test_the_end_by_force_does_not_wait_for_somebody_to_read_what_it_says() -> None:
    with started(FULL) as process:
        process.terminate()
        assert process.wait(20) == 128 + signal.SIGTERM


ORDERLY = """
try:
    ready()
    time.sleep(60)
except Interrupted as error:
    ending.leave(error.exit_code)
"""

STUBBORN = """
trap "" TERM
sh -c 'trap "" TERM; echo $$ >NOTE.inner; while :; do sleep 1; done' &
echo $$ >NOTE.outer
"""


@pytest.mark.parametrize(
    ("leads", "last"),
    [(True, "while :; do sleep 1; done"), (False, "while :; do sleep 1; done"), (True, "exit")],
    ids=["a group", "no group", "a group that has lost its leader"],
)
def test_all_that_descends_from_a_run_ends_with_it(tmp_path: Path, leads: bool, last: str) -> None:
    note = tmp_path / "note"
    notes = [Path(f"{note}.inner"), Path(f"{note}.outer")]
    script = STUBBORN.replace("NOTE", str(note)) + last
    child = f"process = subprocess.Popen(['sh', '-c', {script!r}], start_new_session={leads})\n{ORDERLY}"
    with started(child) as process:
        assert becomes(lambda: all(each.exists() and each.read_text().endswith("\n") for each in notes))
        children = [int(each.read_text()) for each in notes]
        assert is_running(children[0])
        process.send_signal(signal.SIGHUP)
        process.wait(20)
        try:
            assert becomes(lambda: not any(map(is_running, children)))
        finally:
            for each in filter(is_running, children):
                os.kill(each, signal.SIGKILL)


def test_a_thread_whose_program_is_ended_begins_no_other_one(tmp_path: Path) -> None:
    note = tmp_path / "note"
    script = f"echo $$ >>{note}; exec sleep 60"
    going_on = f"""
def go_on():
    while True:
        subprocess.Popen(["sh", "-c", {script!r}]).wait()
threading.Thread(target=go_on, daemon=True).start()
{ORDERLY}"""
    with started(going_on) as process:
        assert becomes(lambda: note.exists() and note.read_text().endswith("\n"))
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 128 + signal.SIGTERM
    begun = [int(each) for each in note.read_text().split()]
    try:
        assert not any(map(is_running, begun))
    finally:
        for each in filter(is_running, begun):
            os.kill(each, signal.SIGKILL)


def test_an_end_by_force_does_not_cut_the_orderly_one_short(tmp_path: Path) -> None:
    note = tmp_path / "note"
    script = STUBBORN.replace("NOTE", str(note)) + "exit"
    hasty = "ending.catch_signals(0.3)\n"
    child = f"{hasty}process = subprocess.Popen(['sh', '-c', {script!r}], start_new_session=True)\n{ORDERLY}"
    with started(child) as process:
        inner = Path(f"{note}.inner")
        assert becomes(lambda: inner.exists() and inner.read_text().endswith("\n"))
        process.terminate()
        process.wait(20)
        assert becomes(lambda: not is_running(int(inner.read_text())), 5)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_an_orderly_end_is_not_by_force(number: signal.Signals) -> None:
    with started(ORDERLY, seconds=20) as process:
        process.send_signal(number)
        _, said = process.communicate(timeout=30)
    assert (process.returncode, said) == (128 + number, "")


UNNOTICED = """
import threading

def kill_this_thread():
    time.sleep(0.1)
    signal.pthread_kill(threading.get_ident(), signal.SIGTERM)

threading.Thread(target=kill_this_thread).start()
"""


def test_a_signal_that_comes_just_before_the_main_thread_sleeps_wakes_it() -> None:
    """It is the same as one that another thread gets: there is a handler to be run, and nobody who looks for it."""
    with started(UNNOTICED + ORDERLY, seconds=20) as process:
        _, said = process.communicate(timeout=30)
    assert (process.returncode, said) == (128 + signal.SIGTERM, "")


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    program = BEGIN.format(seconds=1.0).replace(
        "ending.catch", "signal.signal(signal.SIGHUP, signal.SIG_IGN)\nending.catch"
    )
    program += "os.kill(os.getpid(), signal.SIGHUP)\ntime.sleep(1.5)\nprint('through')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "through\n")


def test_signals_wait_until_a_protected_stretch_is_over() -> None:
    events = []

    def interrupt(number: int, _frame: object) -> None:
        events.append("handled")
        raise Interrupted(number)

    previous = signal.signal(signal.SIGTERM, interrupt)
    try:
        with pytest.raises(Interrupted):
            with deferred_signals():
                os.kill(os.getpid(), signal.SIGTERM)
                os.kill(os.getpid(), signal.SIGTERM)
                events.append("finished")
        assert signal.getsignal(signal.SIGTERM) is interrupt
    finally:
        signal.signal(signal.SIGTERM, previous)
    assert events == ["finished", "handled"]


def test_a_signal_that_comes_when_all_is_done_changes_nothing() -> None:
    """While logs send what they have held back, say, which may take a while."""
    program = """
from s3napback import cli

def finish():
    ready()
    time.sleep(0.5)

cli.finish = finish
cli._run_command_line = lambda: 3
cli.main()
"""
    with started(program) as process:
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=30)[1] == ""
    assert process.returncode == 3
