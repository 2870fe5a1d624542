"""Stretches of code that must not be torn by a signal."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def deferred_signals() -> Iterator[None]:
    """Hold back the Python handlers of SIGINT, SIGTERM and SIGHUP until the block has ended, then let them run.

    A handler that raises would otherwise leave a process started and not yet noted, or a clean-up half done. Does
    nothing outside the main thread, which alone runs handlers. Ignored and default dispositions stay as they are.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        received.append(number)

    previous = {number: signal.getsignal(number) for number in _SIGNALS}
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
