"""How long a store is waited for: one policy for every request, and the only place in which requests are repeated.

A failure says "no", or it does not (``s3_errors.is_passing``). One that does not is tried again, after pauses that
grow, until the outage has lasted for too long, counted from the first failure of this very request. Nothing of that is
shared between requests, or between sources: what one of them had to wait, and whether in vain, costs no other one a
single attempt. botocore's own retries are off, because they share a quota.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from s3napback.ending import slices
from s3napback.records import dataclass
from s3napback.stores.s3_errors import FAILURES, explain, is_passing

logger = logging.getLogger(__name__)

_Answer = TypeVar("_Answer")

_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 15.0
_SILENT_SECONDS = 4.0
"""Of waiting before anything is said of it: most hiccups are over by then."""
_SPEAKING_INTERVAL = 15.0
"""Seconds between two remarks on waiting, however many threads wait."""
_CHANCE = random.SystemRandom()
"""Threads that were refused together had better not come back together. Of its own, so that it disturbs nobody's."""
_SLOWNESS = 10  # how many times as long as a silence a whole answer may take


@dataclass(frozen=True)
class Waiting:
    """The limits, in seconds.

    Attributes:
        connect_seconds: until a connection has been made.
        read_seconds: until an answer begins, or a connection goes on.
        outage_seconds: from the first failure of a request to the beginning of its last attempt. Two are made at least.
        completion_seconds: the same two for the request that puts an upload in place: a store may have to copy all of
            it before it answers, and another one that is asked meanwhile may say that there is no such upload.
    """

    connect_seconds: float = 20
    read_seconds: float = 60
    outage_seconds: float = 120
    completion_seconds: float = 900

    @property
    def answer_seconds(self) -> float:
        """Until an answer has come to its end, however slowly it drips: ten minutes unless StallTimeout is less."""
        return _SLOWNESS * self.read_seconds

    @property
    def for_completion(self) -> Waiting:
        """The limits for the request that puts an upload in place."""
        return replace(self, read_seconds=max(self.read_seconds, self.completion_seconds))

    def within(self, stall_timeout: float) -> Waiting:
        """The same, in which nothing alone waits for longer than so many seconds; 0 changes nothing."""
        if not stall_timeout:
            return self
        return Waiting(
            connect_seconds=min(self.connect_seconds, stall_timeout),
            read_seconds=min(self.read_seconds, stall_timeout),
            outage_seconds=min(self.outage_seconds, stall_timeout),
            completion_seconds=min(self.completion_seconds, stall_timeout),
        )


PATIENT = Waiting()
"""For a nightly run, and whoever reads a whole store."""
IMPATIENT = Waiting(connect_seconds=5, read_seconds=10, outage_seconds=0, completion_seconds=0)
"""For somebody who waits, and rather hears that there is no answer."""


class Patience:
    """What is left of it, for one request."""

    _last_remark = -_SPEAKING_INTERVAL

    def __init__(self, seconds: float, cancelled: threading.Event | None = None) -> None:
        """Begin.

        Args:
            seconds: from the first failure to the beginning of the last attempt; two are made in any case.
            cancelled: ends a wait early.
        """
        self._seconds = seconds
        self._cancelled = cancelled or threading.Event()
        self.reset()

    def reset(self) -> None:
        """Begin anew: something has worked in between."""
        self._failures = 0
        self._first_failure = 0.0

    def allows_another(self, error: BaseException, doing: str) -> bool:
        """Pause after a failure; True if another attempt is worth while."""
        now = time.monotonic()
        self._first_failure = self._first_failure or now
        self._failures += 1
        left = self._first_failure + self._seconds - now
        if self._cancelled.is_set() or (self._failures > 1 and left <= 0):
            return False
        pause = min(_FIRST_PAUSE * 2 ** (self._failures - 1), _LONGEST_PAUSE) * _CHANCE.uniform(0.5, 1.0)
        pause = min(pause, max(left, 0.1))
        self._remark(error, doing, now, left)
        return not any(map(self._cancelled.wait, slices(pause)))

    def _remark(self, error: BaseException, doing: str, now: float, left: float) -> None:
        is_due = now - self._first_failure >= _SILENT_SECONDS and now - Patience._last_remark >= _SPEAKING_INTERVAL
        if is_due:
            Patience._last_remark = now
        level = logging.WARNING if is_due else logging.DEBUG
        logger.log(level, "%s: %s; trying again for %.0f seconds", doing, explain(error), max(left, 0.0))


def never(_error: BaseException) -> bool:
    """No failure counts as definite that may pass."""
    return False


def patiently(
    request: Callable[[], _Answer], doing: str, patience: Patience, *, at_once: Callable[[BaseException], bool] = never
) -> _Answer:
    """Make a request until its answer means something; raises what it raises then, or at the last attempt.

    Args:
        request: makes one attempt.
        doing: what for, for remarks.
        patience: how long it may take.
        at_once: tells failures that count as definite here.
    """
    while True:
        try:
            return request()
        except FAILURES as error:
            is_final = at_once(error) or not is_passing(error)
            if is_final or not patience.allows_another(error, doing):
                raise
