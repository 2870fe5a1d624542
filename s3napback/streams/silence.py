"""Whether a stream that somebody waits for moves at all, be it ever so slowly."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class SilenceWatch:
    """Counts the time for which a stream is waited for, from one moment at which enough had moved to the next.

    Only waiting counts: a stream that nobody asks for anything may rest.
    """

    def __init__(self, timeout: float | None, least_rate: float = 0) -> None:
        """Begin.

        Args:
            timeout: in seconds; None is for ever.
            least_rate: in bytes per second, over the whole of ``timeout``.
        """
        self._timeout = timeout
        self._least = max(1.0, least_rate * (timeout or 0))
        self._waited = 0.0
        self._before = 0
        self._moved = 0
        self._work: int | None = None

    @contextmanager
    def waiting(self, progress: Callable[[], int]) -> Iterator[float | None]:
        """Wait for the stream, for as long as is yielded, in seconds; None is for ever.

        Args:
            progress: bytes that have moved anywhere, since the beginning.
        """
        if self._timeout is None:
            yield None
            return
        began = time.monotonic()
        try:
            yield max(0.0, self._timeout - self._waited)
        finally:
            self._waited += time.monotonic() - began
            if progress() - self._before >= self._least:
                self._begin_anew(progress())

    @property
    def is_over(self) -> bool:
        """Whether the time is over."""
        return self._timeout is not None and self._waited >= self._timeout

    def is_silent(self, progress: int) -> bool:
        """Judge, and begin anew."""
        self._moved = progress - self._before
        self._begin_anew(progress)
        return self._moved < self._least

    @property
    def has_moved(self) -> bool:
        """Whether anything had moved when the stream was judged last."""
        return self._moved > 0

    @property
    def verdict(self) -> str:
        """What the stream was when it was judged last."""
        return "as good as silent" if self.has_moved else "silent"

    def has_worked(self, work: int) -> bool:
        """Whether a process has used the processor since the last silence.

        Args:
            work: clock ticks since its beginning; 0 is not known.
        """
        before, self._work = self._work, work
        return work > 0 and work != before

    def _begin_anew(self, progress: int) -> None:
        self._before = progress
        self._waited = 0.0
