"""Where a run stands: what it is at, what has come to an end, and how many requests it has made.

Told to whoever asks with SIGUSR1 (or SIGINFO, Ctrl-T, where there is one) by one line, at once; shown on a terminal by
``progress``.
"""

from __future__ import annotations

import atexit
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import field
from types import FrameType

from s3napback.ending import say_at_once
from s3napback.formatting import human_bytes, human_time, printable
from s3napback.records import dataclass

FAILED = "FAILED"
"""The outcome of a source that has got no archive."""

ASKING_SIGNALS = tuple(getattr(signal, name) for name in ("SIGUSR1", "SIGINFO") if hasattr(signal, name))


@dataclass(frozen=True, eq=False)
class Work:
    """What a run is at.

    Attributes:
        what: such as ``Directory /etc -> s3://bucket/etc-0-FULL``.
        counts: bytes so far, by what was done with them; asked at any time.
        expected: of the last of them in the end, in bytes; 0 is unknown.
        title: of what: ``Directory /etc``.
        stage: in one word: ``FULL``, ``verify``.
        began: by the monotonic clock.
    """

    what: str
    counts: Mapping[str, Callable[[], int]]
    expected: int = 0
    title: str = ""
    stage: str = ""
    began: float = field(default_factory=time.monotonic)

    @property
    def part(self) -> float | None:
        """How far along it is, from 0 to 1; None if that is not known, or more has come than was expected."""
        count = next(reversed(list(self.counts.values())), None)
        if count is None or not self.expected:
            return None
        part = count() / self.expected
        return part if part <= 1 else None

    def __str__(self) -> str:
        parts = [f"{human_bytes(count())} {name}" for name, count in self.counts.items()]
        if self.expected:
            part = self.part
            percent = "" if part is None else f" ({part:.0%})"
            parts.append(f"about {human_bytes(self.expected)} expected{percent}")
        return ", ".join([f"{self.what}: for {human_time(time.monotonic() - self.began)}", *parts])


@dataclass(frozen=True)
class Finished:
    """A source that has come to its end.

    Attributes:
        title: ``Directory /etc``.
        outcome: in few words: ``FULL``, ``failed``.
        read: bytes that it gave.
        stored: bytes that went into the store.
        seconds: that it took.
    """

    title: str
    outcome: str
    read: int = 0
    stored: int = 0
    seconds: float = 0.0


_works: list[Work] = []
_finished: list[Finished] = []
_requests = 0
_counting = threading.Lock()
_asking: list[Callable[[], bool]] = []
_wholes: list[Callable[[], str]] = []


@contextmanager
def working_on(
    what: str,
    counts: Mapping[str, Callable[[], int]] | None = None,
    *,
    expected: int = 0,
    title: str = "",
    stage: str = "",
) -> Iterator[None]:
    """While the context lasts, this is what a run is at; see ``Work``.

    Args:
        counts: asked in the main thread as well, in the midst of anything.
    """
    work = Work(what, counts or {}, expected, title or what, stage)
    _works.append(work)
    try:
        yield
    finally:
        _works.remove(work)


@contextmanager
def whole_of(describe: Callable[[], str]) -> Iterator[None]:
    """While the context lasts, this tells in a line how far along all of it is."""
    _wholes.append(describe)
    try:
        yield
    finally:
        _wholes.remove(describe)


@contextmanager
def asking_until(is_over: Callable[[], bool]) -> Iterator[None]:
    """While the context lasts, and until ``is_over``, a person may be asked something on the terminal, or reads."""
    _asking.append(is_over)
    try:
        yield
    finally:
        _asking.remove(is_over)


def may_be_asking() -> bool:
    """Whether a program may be asking somebody something on the terminal, or writes there: it must be left to it."""
    return not all(is_over() for is_over in list(_asking))


def works() -> Sequence[Work]:
    """All that the run is at, each innermost work of a thread among them."""
    return list(_works)


def whole() -> str:
    """How far along all of it is; empty where nobody tells."""
    return _wholes[-1]() if _wholes else ""


def note_finished(finished: Finished) -> None:
    """A source has come to its end."""
    _finished.append(finished)


def finished() -> Sequence[Finished]:
    """What has come to its end and was not taken."""
    return list(_finished)


def take_finished() -> Sequence[Finished]:
    """What has come to its end since this was last asked."""
    found = list(_finished)
    del _finished[: len(found)]
    return found


def note_request() -> None:
    """A request is made to a store far away. For several threads."""
    global _requests  # noqa: PLW0603 - of the process
    with _counting:
        _requests += 1


def requests() -> int:
    """How many requests were made in this process."""
    return _requests


def standing() -> str:
    """Where the run stands, as one line; within several works the innermost."""
    return printable(f"s3napback: {_works[-1] if _works else 'between two sources'}")


def answer_signals() -> None:
    """Answer ``ASKING_SIGNALS``, which would end the process, with a line on standard error.

    The interpreter takes its handlers away before it ends; from then on they are ignored, and no run that went well
    ends as if it was killed.
    """

    unanswered: deque[int] = deque()

    def answer(number: int, _frame: FrameType | None) -> None:
        unanswered.append(number)
        # Whoever asks again as soon as there is an answer does so within the handler that gave it, which then goes on.
        if len(unanswered) > 1:
            return
        while unanswered:
            say_at_once(standing())
            unanswered.popleft()

    for number in ASKING_SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, answer)
            atexit.register(signal.signal, number, signal.SIG_IGN)
