"""Lets bytes pass no faster than BandwidthLimit says, whichever thread, source or direction they are of.

Each turn begins where the one before it has ended in time, so that those who wait share the rate evenly, and what was
given out of turn, no more than a second of it, is the only error over any time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime

from s3napback import ending
from s3napback.config.bandwidth import Bandwidth
from s3napback.stores import ByteSource

_CREDIT_SECONDS = 1.0
"""Of the rate that is not lost when nobody asked for it."""
_TURNS_A_SECOND = 16
"""So that 16 parts under way each move every second, and no server takes one for dead."""
_LEAST_PIECE = 1024
_LONGEST_SLEEP = 0.1  # seconds; then whoever waits looks whether it is still wanted


def minute_of_day() -> int:
    """By the local clock, since midnight."""
    now = datetime.now()
    return now.hour * 60 + now.minute


class Throttle:
    """Of one store. Methods may be called by several threads."""

    def __init__(
        self,
        bandwidth: Bandwidth,
        clock: Callable[[], float] = time.monotonic,
        minute: Callable[[], int] = minute_of_day,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Begin.

        Args:
            bandwidth: what may pass.
            clock: in seconds, never set back.
            minute: of the day.
            sleep: waits so many seconds.
        """
        self._bandwidth = bandwidth
        self._clock = clock
        self._minute = minute
        self._sleep = sleep
        self._free_at = 0.0
        self._lock = threading.Lock()

    def piece(self, most: int) -> int:
        """Bytes that should pass at a time."""
        rate = self._rate()
        return most if rate is None else max(_LEAST_PIECE, min(most, rate // _TURNS_A_SECOND))

    def take(self, count: int, is_wanted: Callable[[], bool] = lambda: True) -> None:
        """Wait until so many bytes may pass.

        Args:
            is_wanted: asked again and again; False ends the waiting.

        Raises:
            Interrupted: a signal has come.
        """
        rate = self._rate()
        if rate is None:
            return
        with self._lock:
            begin = max(self._free_at, self._clock() - _CREDIT_SECONDS)
            self._free_at = begin + count / rate
        while (left := begin - self._clock()) > 0 and is_wanted():
            ending.heed()
            self._sleep(min(left, _LONGEST_SLEEP))

    def passed(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        """Pass blocks on as they may."""
        for block in blocks:
            start = 0
            while start < len(block):
                piece = block[start : start + self.piece(len(block))]
                self.take(len(piece))
                yield piece
                start += len(piece)

    def _rate(self) -> int | None:
        return self._bandwidth.rate_at(self._minute()) if self._bandwidth.is_limited else None


class ThrottledSource:
    """A source of bytes that gives them no faster than a throttle lets them pass. Fulfils ``ByteSource``."""

    def __init__(self, source: ByteSource, throttle: Throttle) -> None:
        self._source = source
        self._throttle = throttle

    def readinto(self, buffer: memoryview, /) -> int:
        """See ``ByteSource``."""
        count = self._source.readinto(buffer[: self._throttle.piece(len(buffer))])
        self._throttle.take(count)
        return count
