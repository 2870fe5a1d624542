"""Several sources at a time, each in a thread of its own: who begins when, and how all of them end.

What they share is the store with its part buffers, and the survey of it. A source's state is in a folder of its own.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

from s3napback import ending
from s3napback.backup.servers import may_share_server
from s3napback.backup.tally import NOTHING, Tally
from s3napback.backup.turns import Turns
from s3napback.config.settings import Concurrency, Job
from s3napback.crews import Crew, result_of
from s3napback.errors import Interrupted

_UNDOING_SECONDS = 6.0
"""For sources to discard what they were at, when a signal has come; then their processes are ended."""
_LAST_SECONDS = 10.0
"""For those that waited for such a process. Together less than ``ending.CLEANING_SECONDS``."""


class Queue:
    """Who is next. Methods may be called from several threads."""

    def __init__(self, jobs: Sequence[Job], jobs_per_server: int) -> None:
        """Begin with nobody at work.

        Args:
            jobs: in the order in which they begin, unless one has to wait for its database server.
            jobs_per_server: that may be dumped from one server at a time.
        """
        self._waiting = [(job, False) for job in jobs]
        self._at_work: list[Job] = []
        self._jobs_per_server = jobs_per_server
        self._change = threading.Condition()

    def take(self) -> tuple[Job, bool] | None:
        """Wait for the next job, and whether it is one source for sure; None when there will not be any more."""
        with self._change:
            while True:
                for number, (job, is_single) in enumerate(self._waiting):
                    if self._may_begin(job):
                        del self._waiting[number]
                        self._at_work.append(job)
                        return job, is_single
                if not self._waiting and not self._at_work:
                    return None
                ending.wait_for_change(self._change)

    def put_first(self, jobs: Sequence[Job]) -> None:
        """Let sources begin before all others: what a folder of them holds."""
        with self._change:
            self._waiting[:0] = [(job, True) for job in jobs]
            self._change.notify_all()

    def finish(self, job: Job) -> None:
        """A job that was taken has come to its end."""
        with self._change:
            self._at_work.remove(job)
            self._change.notify_all()

    def _may_begin(self, job: Job) -> bool:
        return sum(may_share_server(job, other) for other in self._at_work) < self._jobs_per_server


def back_up_together(turns: Turns, jobs: Sequence[Job], several: Concurrency) -> Tally:
    """Back up everything, several sources at a time.

    Raises:
        Interrupted: a signal has come; what the sources were at has been discarded as far as there was time.
    """
    queue = Queue(jobs, several.jobs_per_server)
    crew = Crew(several.jobs, "source")
    workers = [crew.submit(_in_turn, queue, turns) for _ in range(several.jobs)]
    try:
        tally = sum(map(result_of, workers), NOTHING)
    except Interrupted:
        if not crew.close(_UNDOING_SECONDS):
            # Whoever waits for a process comes back when it has gone.
            ending.end_descendants()
            crew.close(_LAST_SECONDS)
        raise
    crew.close()
    return tally


def _in_turn(queue: Queue, turns: Turns) -> Tally:
    with ending.heeding():
        tally = NOTHING
        while (taken := queue.take()) is not None:
            job, is_single = taken
            try:
                if is_single:
                    tally += turns.back_up(job)
                    continue
                found, said = turns.expanded(job)
                tally += said
                if list(found) == [job]:
                    tally += turns.back_up(job)
                else:
                    queue.put_first(found)
            finally:
                queue.finish(job)
        return tally
