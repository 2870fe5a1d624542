"""The foot of a terminal, where something may be drawn that changes, and everything else that is written above it.

The cursor rests where the drawing begins. So whoever writes past us, as a signal's answer does, writes over it and not
into it, and what a terminal of another width makes of it is gone with the next drawing.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

ERASE = b"\r\x1b[J"
_NO_WRAPPING, _WRAPPING = b"\x1b[?7l", b"\x1b[?7h"
_PATIENCE = 2.0
"""Seconds to wait for whoever writes; a terminal that is stopped (Ctrl-S) must not hold up the end of a run."""

_lock = threading.RLock()
_feet: list[Foot] = []


class Foot:
    """What is drawn on one terminal."""

    def __init__(self, descriptor: int, encoding: str = "utf-8") -> None:
        """Draw nothing yet.

        Args:
            descriptor: of the terminal.
            encoding: that it understands.
        """
        self._descriptor = descriptor
        self._encoding = encoding
        self._is_drawn = False

    def __enter__(self) -> Foot:
        _feet.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        with held():
            self.erase()
            _feet.remove(self)

    def draw(self, lines: Sequence[str]) -> None:
        """Draw lines in the place of those before, none of which is wider than the terminal.

        Without lines nothing is written where nothing was drawn: what stands there then is somebody else's.
        """
        text = "\r\n".join(lines).encode(self._encoding, "replace")
        up = b"\x1b[%dA" % (len(lines) - 1) if len(lines) > 1 else b""
        with held() as is_free:
            if not is_free:
                return
            if lines:
                self._write(ERASE + _NO_WRAPPING + text + _WRAPPING + up + b"\r")
                self._is_drawn = True
            else:
                self.erase()

    def erase(self) -> None:
        """Leave nothing of it."""
        if self._is_drawn:
            self._write(ERASE)
            self._is_drawn = False

    def _write(self, data: bytes) -> None:
        with suppress(OSError):
            while data:
                data = data[os.write(self._descriptor, data) :]


@contextmanager
def held() -> Iterator[bool]:
    """Have the terminal for oneself; False if somebody else does not let go of it, who may hang."""
    is_free = _lock.acquire(timeout=_PATIENCE)
    try:
        yield is_free
    finally:
        if is_free:
            _lock.release()


@contextmanager
def above() -> Iterator[None]:
    """While the context lasts, lines may be written: nothing is drawn at the foot."""
    if not _feet:
        yield
        return
    with held():
        for foot in _feet:
            foot.erase()
        yield
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError, AttributeError):
                stream.flush()


def erasing() -> bytes:
    """What has to be written before a line that comes past ``above``; nothing where nothing is drawn."""
    return ERASE if _feet else b""
