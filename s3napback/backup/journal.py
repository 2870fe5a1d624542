"""What came of the sources of a run, noted as they have their turns: what the run's word is made of."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from s3napback.archives import Transfer
from s3napback.config.settings import Job
from s3napback.deciding.plans import Plan
from s3napback.errors import (
    PipelineError,
    S3napbackError,
    SourceRefused,
    StateError,
    StoreError,
    StoreUnreachable,
    UnusableKey,
    UnusableStore,
    UnusableTool,
)
from s3napback.sources import Expansion
from s3napback.standing import FAILED, Finished, note_finished
from s3napback.stores import Store
from s3napback.watch.composing import Attempt

_CLASSES: tuple[tuple[type[Exception], str], ...] = (
    (PipelineError, "tool"),
    (StateError, "tool"),
    (UnusableTool, "tool"),
    (StoreError, "store"),
    (UnusableStore, "store"),
    (UnusableKey, "key"),
    (S3napbackError, "source"),
)


def error_class(error: Exception) -> str:
    """Of which of the word's classes a failure is. What it says holds paths, and stays here."""
    if isinstance(error, SourceRefused):
        return error.about
    return next((name for kind, name in _CLASSES if isinstance(error, kind)), "bug")


def _since_boot() -> float:
    """Seconds that nobody sets, and that go on while the machine sleeps, where it has such."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Journal:
    """Takes notes, from several threads if need be. What is not in it had no turn.

    Attributes:
        clock: when the run began by the monotonic clock, in seconds.
        store: that the run works with; None if it has not come so far.
        answered: the store did when the run began.
        exit_code: the run's.
        warnings: of the run without those; 0 if it has not come to its end.
        untold: warnings that came after the run's end: of its word, and of whom it tells.
    """

    def __init__(self) -> None:
        self.clock = time.monotonic()
        self._began = _since_boot()
        self.store: Store | None = None
        self.answered = False
        self.exit_code = 0
        self.warnings = 0
        self.untold = 0
        self._attempts: dict[str, Attempt] = {}
        self._unanswered: set[str] = set()
        self._expansions: dict[str, Expansion] = {}

    def began(self, now: datetime) -> datetime:
        """When the run did, by the clock as it is now: it may have been set meanwhile, as at a machine's start."""
        return now - timedelta(seconds=_since_boot() - self._began)

    def done(self, plan: Plan, transfer: Transfer, warnings: int) -> None:
        """A source's archive has arrived."""
        title, outcome = str(plan.job.source), plan.type.value
        note_finished(Finished(title, outcome, transfer.read, transfer.stored, transfer.seconds))
        self._attempts[plan.job.name] = Attempt(
            outcome="done",
            warnings=warnings,
            read=transfer.read,
            seconds=round(transfer.seconds, 1),
            size_before=plan.state.expected_sizes.get(plan.type.value),
            day_before=plan.state.newest.day if plan.state.newest else None,
        )

    def skipped(self, job: Job, *, is_current: bool = False) -> None:
        """Nothing was due; or nothing is new, so that the newest archive holds all that there is."""
        self._attempts[job.name] = Attempt("skipped", is_current=is_current)

    def put_off(self, job: Job) -> None:
        """A source has not begun, for want of time."""
        note_finished(Finished(str(job.source), "put off"))
        self._attempts[job.name] = Attempt("skipped", "time")

    def failed(self, job: Job, error: Exception) -> None:
        """A source has got no archive."""
        note_finished(Finished(str(job.source), FAILED))
        self._attempts[job.name] = Attempt("failed", error_class(error))
        if isinstance(error, StoreUnreachable):
            self._unanswered.add(job.name)

    def warned(self, job: Job, count: int) -> None:
        """So many warnings have come after a source's archive had arrived."""
        attempt = self._attempts.get(job.name)
        if attempt is not None and count:
            self._attempts[job.name] = replace(attempt, warnings=attempt.warnings + count)

    def expanded(self, job: Job, expansion: Expansion) -> None:
        """The sources were looked for that a job stands for."""
        self._expansions[job.name] = expansion

    @property
    def attempts(self) -> Mapping[str, Attempt]:
        """What came of each source, by its name."""
        return self._attempts

    def expansion_of(self, job: Job) -> Expansion | None:
        """What a job was found to stand for; None if nobody has looked."""
        return self._expansions.get(job.name)

    def has_reached_store(self) -> bool:
        """Whether the store has answered in this run, as far as is known."""
        attempts = dict(self._attempts)  # a source may still be at work that a signal did not end in time
        if any(attempt.outcome == "done" for attempt in attempts.values()):
            return True
        return self.answered and (not attempts or any(name not in self._unanswered for name in attempts))


def has_failed(expansion: Expansion) -> bool:
    """Whether one of the sources that a job stands for could not be found."""
    return any(level >= logging.ERROR for level, _ in expansion.remarks)
