"""Where a run stands, for whoever asks with SIGUSR1 (or SIGINFO, Ctrl-T, where there is one): one line, at once."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType

from s3napback.ending import say_at_once
from s3napback.formatting import human_bytes, human_time, printable

ASKING_SIGNALS = tuple(getattr(signal, name) for name in ("SIGUSR1", "SIGINFO") if hasattr(signal, name))


@dataclass(frozen=True)
class _Work:
    what: str
    counts: Mapping[str, Callable[[], int]]
    expected: int
    began: float = field(default_factory=time.monotonic)

    def __str__(self) -> str:
        parts = [f"{human_bytes(count())} {name}" for name, count in self.counts.items()]
        if self.expected:
            parts.append(f"about {human_bytes(self.expected)} expected")
        return ", ".join([f"{self.what}: for {human_time(time.monotonic() - self.began)}", *parts])


_works: list[_Work] = []


@contextmanager
def working_on(
    what: str, counts: Mapping[str, Callable[[], int]] | None = None, *, expected: int = 0
) -> Iterator[None]:
    """While the context lasts, this is what a run is at.

    Args:
        what: such as ``Directory /etc -> s3://bucket/etc-0-FULL``.
        counts: bytes so far, by what was done with them; asked in the main thread, in the midst of anything.
        expected: of the last of them in the end, in bytes; 0 is unknown.
    """
    work = _Work(what, counts or {}, expected)
    _works.append(work)
    try:
        yield
    finally:
        _works.remove(work)


def standing() -> str:
    """Where the run stands, as one line; within several works the innermost."""
    return printable(f"s3napback: {_works[-1] if _works else 'between two sources'}")


def answer_signals() -> None:
    """Answer ``ASKING_SIGNALS``, which would end the process, with a line on standard error."""

    def answer(_number: int, _frame: FrameType | None) -> None:
        say_at_once(standing())

    for number in ASKING_SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, answer)
