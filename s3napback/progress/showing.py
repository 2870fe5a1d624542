"""Shows where a run stands, again and again: at the foot of a terminal, and to systemd."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import TextIO

from s3napback import standing
from s3napback.formatting import counted
from s3napback.progress.lines import Glimpse, foot_lines
from s3napback.progress.summary import summary_lines
from s3napback.screen import Foot
from s3napback.standing import Work

_SECONDS = 0.25  # between two drawings
_STATUS_SECONDS = 2.0  # between two words to systemd
_READY_SECONDS = 2.0  # for the first one, without which systemd ends the service
_RATE_SECONDS = 5.0  # over which a rate is taken
_PATIENCE = 3.0  # for the last drawing


def is_suitable(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Whether something can be drawn: a terminal that knows how to erase, and is ours at the moment."""
    try:
        return stream.isatty() and environment.get("TERM", "") not in ("", "dumb", "unknown")
    except (ValueError, AttributeError):
        return False


@contextmanager
def showing_progress(*, is_wanted: bool) -> Iterator[None]:
    """While the context lasts, whoever can see it is shown where the run stands.

    Args:
        is_wanted: by the terminal; systemd is told in any case, if it has asked (sd_notify(3)).
    """
    standing.take_finished()
    with ExitStack() as shown:
        if address := os.environ.get("NOTIFY_SOCKET", ""):
            notifier = _Notifier(address)
            shown.callback(notifier.tell_end)
            shown.enter_context(_repeated(notifier.tell, _STATUS_SECONDS))
        if is_wanted and is_suitable(sys.stderr, os.environ):
            before = standing.requests()
            # Entered first, so that it is printed when nothing is drawn any more.
            shown.callback(_print_summary, before)
            foot = shown.enter_context(Foot(sys.stderr.fileno(), sys.stderr.encoding))
            shown.enter_context(_repeated(_Drawing(foot).draw, _SECONDS))
        yield


@contextmanager
def _repeated(action: Callable[[], None], seconds: float) -> Iterator[None]:
    """Do something again and again, in a thread of its own."""
    is_over = threading.Event()

    def repeat() -> None:
        while not is_over.wait(seconds):
            with suppress(OSError, ValueError):
                action()

    thread = threading.Thread(target=repeat, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join(_PATIENCE)


def _print_summary(before: int) -> None:
    encoding = sys.stderr.encoding
    for line in summary_lines(standing.take_finished(), standing.requests() - before, _size()[0]):
        with suppress(OSError, ValueError):
            sys.stderr.write(f"{line}\n".encode(encoding, "replace").decode(encoding))


def _size() -> tuple[int, int]:
    try:
        size = os.get_terminal_size(sys.stderr.fileno())
    except (OSError, ValueError):
        return 80, 24
    return size.columns or 80, size.lines or 24


class _Drawing:
    """What is drawn on a terminal."""

    def __init__(self, foot: Foot) -> None:
        self._foot = foot
        self._meters: dict[Work, _Meter] = {}

    def draw(self) -> None:
        """Draw it, unless somebody else has the terminal: a shell, or a program that asks for a passphrase."""
        descriptor = sys.stderr.fileno()
        if standing.may_be_asking() or os.tcgetpgrp(descriptor) != os.getpgrp():
            self._foot.draw([])
            return
        width, height = _size()
        works = standing.works()
        self._meters = {work: self._meters.get(work) or _Meter() for work in works}
        # In the last column some terminals wrap all the same.
        self._foot.draw(foot_lines([self._glimpse(work) for work in works], standing.whole(), width - 1, height))

    def _glimpse(self, work: Work) -> Glimpse:
        counts = tuple((name, count()) for name, count in work.counts.items())
        now = time.monotonic()
        # All that is read may be waiting to be stored.
        rate = max(self._meters[work].rates([count for _, count in counts], now), default=None)
        return Glimpse(work.title, work.stage, counts, rate, work.part, time.monotonic() - work.began)


class _Meter:
    """The rates of some counts over the last seconds."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, Sequence[int]]] = deque()

    def rates(self, counts: Sequence[int], now: float) -> list[float]:
        """Of each count; of none as long as there is nothing to compare with."""
        self._samples.append((now, counts))
        while now - self._samples[0][0] > _RATE_SECONDS and len(self._samples) > 2:
            self._samples.popleft()
        then, before = self._samples[0]
        return [(count - old) / (now - then) for count, old in zip(counts, before, strict=True)] if now > then else []


class _Notifier:
    """Tells systemd, of a service of ``Type=notify``, that the run is at work, and what at."""

    def __init__(self, address: str) -> None:
        # An abstract name is written with an @ (sd_notify(3)).
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._send("READY=1\nSTATUS=at work", _READY_SECONDS)

    def tell(self) -> None:
        """Tell where the run stands."""
        whole = standing.whole()
        # Said once more, in case that the first time was lost: the service would be ended as one that does not start.
        self._send(f"READY=1\nSTATUS={f'{whole}; ' if whole else ''}{standing.standing().removeprefix('s3napback: ')}")

    def tell_end(self) -> None:
        """Tell that the run is over."""
        outcomes = [each.outcome for each in standing.finished()]
        done = f": {counted(len(outcomes), 'source')}, {outcomes.count(standing.FAILED)} failed" if outcomes else ""
        self._send(f"STOPPING=1\nSTATUS=at its end{done}")

    def _send(self, text: str, seconds: float = 0.0) -> None:
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            # 0 does not wait: nobody who is late must hold a run up.
            channel.settimeout(seconds)
            channel.connect(self._address)
            channel.send(text.encode("utf-8", "backslashreplace"))
