"""How a run ends that a signal asks to: within half a minute, whatever it is waiting for.

The first of ``SIGNALS`` raises ``Interrupted`` in the main thread, and all that was begun is undone on the
way out. Each step of that has a limit of its own. Should one hang all the same, in a dead network file system, in a
log's mail server, a thread that waits for nothing but the time ends what is left of the run. It learns of the signal by
itself: the main thread may hang where no signal reaches it. ``.github/ARCHITECTURE.md`` tells it from the beginning.
"""

from __future__ import annotations

import math
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import field
from pathlib import Path
from types import FrameType
from typing import NoReturn

from s3napback.errors import Interrupted
from s3napback.records import dataclass
from s3napback.screen import erasing

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
CLEANING_SECONDS = 22.0
"""From the signal to the end by force. An orderly end takes a few seconds, and less than 20 in the worst of cases."""

_LOOK_SECONDS = 3.0  # between two looks for a signal that the main thread does not take in
_CHILDREN_SECONDS = 1.0  # for children to follow SIGTERM, at the very end, and to be gone after SIGKILL
_SPEAKING_SECONDS = 0.5

_BEGINNINGS = frozenset({"subprocess.Popen", "os.posix_spawn", "os.fork", "os.forkpty"})
"""What Python's audit hooks call the beginning of a process."""

_SLICE_SECONDS = 0.5  # of a wait, in a thread that no signal reaches

_begun = threading.Event()
_taken = threading.Event()
"""The main thread has been told."""
_number = signal.SIGTERM  # of the signal that has come
_moment = math.inf  # at which it came, by the monotonic clock
_thread = threading.local()


def has_begun() -> bool:
    """Whether a signal has asked the run to end. Whoever cleans up then does not wait for long."""
    return _begun.is_set()


def seconds_left() -> float:
    """Until the end by force, if a signal has come; infinitely many otherwise."""
    return _moment + CLEANING_SECONDS - time.monotonic()


@contextmanager
def heeding() -> Iterator[None]:
    """While the context lasts, this thread takes part in the run, and ends when a signal asks to, at its next wait."""
    _thread.heeds = True
    try:
        yield
    finally:
        _thread.heeds = False


def heeds() -> bool:
    """Whether this thread has to look for a signal while it waits. The main thread is told by the interpreter."""
    return getattr(_thread, "heeds", False)


def heed() -> None:
    """Raise ``Interrupted``, once, in a thread that takes part in the run, if a signal has come.

    Its clean-up is then left alone, as the main thread's is.
    """
    if _begun.is_set() and heeds():
        _thread.heeds = False
        raise Interrupted(_number)


def slices(seconds: float | None) -> Iterator[float | None]:
    """Cut a wait into pieces between which this thread heeds signals; in other threads there is one piece.

    Args:
        seconds: in all; None is for ever.
    """
    if not heeds():
        yield seconds
        return
    deadline = math.inf if seconds is None else time.monotonic() + seconds
    while True:
        heed()
        left = deadline - time.monotonic()
        yield max(0.0, min(_SLICE_SECONDS, left))
        if left <= _SLICE_SECONDS:
            return


def wait_for_change(condition: threading.Condition) -> None:
    """Wait until a condition may have changed, which the caller holds."""
    heed()
    condition.wait(_SLICE_SECONDS if heeds() else None)


def catch_signals(cleaning_seconds: float = CLEANING_SECONDS) -> None:
    """Let the first of ``SIGNALS`` end the run, now in the main thread. Later ones do not disturb the clean-up.

    A signal that is ignored already, as SIGHUP is under nohup, stays ignored.

    Args:
        cleaning_seconds: that the clean-up may take before the process is ended by force.
    """
    caught = [each for each in SIGNALS if signal.getsignal(each) is not signal.SIG_IGN]

    def interrupt(number: int, _frame: FrameType | None) -> None:
        for each in caught:
            signal.signal(each, signal.SIG_IGN)
        _begin(number)
        _taken.set()
        raise Interrupted(number)

    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for each in caught:
        signal.signal(each, interrupt)
    threading.Thread(target=_watch, args=(reader, caught, cleaning_seconds), name="ending", daemon=True).start()


def disregard_signals() -> None:
    """Let a signal change nothing any more, since all is done but what the process ends with.

    Should that hang, one that has come still ends it by force.
    """
    for number in SIGNALS:
        if callable(signal.getsignal(number)):
            signal.signal(number, lambda _number, _frame: None)


@contextmanager
def deferred_signals() -> Iterator[None]:
    """Hold back the Python handlers of ``SIGNALS`` until the block has ended, then let them run.

    A handler that raises would otherwise leave a process started and not yet noted, or a clean-up half done. Does
    nothing outside the main thread, which alone runs handlers. Ignored and default dispositions stay as they are.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        received.append(number)

    previous = {number: signal.getsignal(number) for number in SIGNALS}
    held = {number: handler for number, handler in previous.items() if callable(handler)}
    try:
        for number in held:
            signal.signal(number, note)
        yield
    finally:
        for number, handler in held.items():
            signal.signal(number, handler)
        for received_number in dict.fromkeys(received):
            signal.raise_signal(received_number)


def leave(code: int) -> NoReturn:
    """End the process after an orderly clean-up, together with what it left running: threads, children."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()
    _end_with_descendants(code)


def say_at_once(text: str) -> None:
    """Write a line to standard error, past everything that logging may do, unless nobody takes it at this moment."""
    with suppress(OSError, ValueError, AttributeError):
        descriptor = sys.stderr.fileno()
        if select.select([], [descriptor], [], _SPEAKING_SECONDS)[1]:
            os.write(descriptor, erasing() + f"{text}\n".encode(errors="backslashreplace")[: select.PIPE_BUF])


def _begin(number: int) -> None:
    global _number, _moment  # noqa: PLW0603 - a process ends once
    _number = signal.Signals(number)
    _moment = min(_moment, time.monotonic())
    _begun.set()


def _watch(reader: int, caught: Collection[signal.Signals], cleaning_seconds: float) -> None:
    # Only what a thread blocks itself does the system call pending for it.
    signal.pthread_sigmask(signal.SIG_BLOCK, caught)
    number = _first_signal(reader, caught)
    _begin(number)
    deadline = time.monotonic() + cleaning_seconds
    # One that came just before the main thread went into the kernel did not wake it there.
    while not _taken.wait(min(_LOOK_SECONDS, max(0.0, deadline - time.monotonic()))) and time.monotonic() < deadline:
        signal.pthread_kill(threading.main_thread().ident or 0, number)
    time.sleep(max(0.0, deadline - time.monotonic()))
    say_at_once(
        f"s3napback: {signal.Signals(number).name} came {cleaning_seconds:.0f} seconds ago, and something hangs: ended "
        "by force. What was there before stays; unfinished uploads, and .s3napback-restore-… in a restore's target, "
        "may be left behind"
    )
    _end_with_descendants(128 + number)


def _first_signal(reader: int, caught: Collection[signal.Signals]) -> int:
    """Wait for the interpreter's word, or for a signal that waits in vain for the main thread to leave the kernel."""
    # select() knows descriptors up to 1,023 only.
    poll = select.poll()
    poll.register(reader, select.POLLIN)
    while True:
        # Of other signals that have a handler there is word as well.
        if poll.poll(_LOOK_SECONDS * 1000) and (number := os.read(reader, 1)[0]) in caught:
            return int(number)
        pending = signal.sigpending() & set(caught)
        if pending:
            return int(min(pending))


@dataclass(frozen=True)
class _Process:
    """Told by ``start``, in clock ticks since the machine's, from a later one of the same number."""

    number: int
    start: int
    parent: int = field(compare=False)
    group: int = field(compare=False)


_known: set[_Process] = set()
"""Descendants seen so far, also by the other thread: the end by force may come while an orderly one is at this."""


def _end_with_descendants(code: int) -> NoReturn:
    # A thread that nobody waits for, and whose program has been ended, may go on to the next one.
    sys.addaudithook(_refuse_programs)
    end_descendants()
    os._exit(code)


def _refuse_programs(event: str, _arguments: tuple[object, ...]) -> None:
    if event in _BEGINNINGS:
        is_main = threading.current_thread() is threading.main_thread()
        # Of this one nothing is printed where a thread ends by it.
        raise Interrupted(_number) if is_main else SystemExit


def end_descendants() -> None:
    """End all that descends from us, and reap what ends. What has made itself a daemon, as gpg's agent, goes on."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        # Whoever has lost its parent to the first signal is known from an earlier look only.
        _known.update(_descendants())
        alive = frozenset(_known) & _processes()
        for each in alive:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(each.number, number)
        deadline = time.monotonic() + _CHILDREN_SECONDS
        while alive and time.monotonic() < deadline:
            for each in alive:
                with suppress(ChildProcessError):
                    os.waitpid(each.number, os.WNOHANG)
            time.sleep(0.02)
            alive = frozenset(_known) & _processes()


def end_started_by(thread: int) -> None:
    """End by force what a thread of ours has started, and all that descends from that; it reaps them itself.

    Args:
        thread: its native number. Where the kernel does not tell its children (proc(5), children), nothing is ended.
    """
    with suppress(OSError, ValueError):
        children = {int(each) for each in Path(f"/proc/self/task/{thread}/children").read_text().split()}
        for each in _descendants(children):
            with suppress(ProcessLookupError, PermissionError):
                os.kill(each.number, signal.SIGKILL)


def _descendants(of: Collection[int] | None = None) -> set[_Process]:
    """All processes that descend from us, or certain processes with all that descend from them."""
    everybody = _processes()
    numbers = set(of or ())
    found = {each for each in everybody if each.number in numbers}
    ancestors = {os.getpid()} if of is None else set()
    while True:
        more = {each for each in everybody if each.parent in numbers | ancestors or each.group in numbers}
        if more <= found:
            return found
        found |= more
        numbers |= {each.number for each in more}


def _processes() -> set[_Process]:
    """All there are (proc(5), stat). Where there is no ``/proc``, children learn by their pipes that we have gone."""
    found = set()
    with suppress(OSError):
        for entry in Path("/proc").iterdir():
            with suppress(OSError, ValueError):
                # The second field is a name in parentheses, which may hold any character.
                fields = (entry / "stat").read_bytes().rpartition(b")")[2].split()
                found.add(_Process(int(entry.name), int(fields[19]), int(fields[1]), int(fields[2])))
    return found
