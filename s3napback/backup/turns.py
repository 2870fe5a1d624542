"""One source's turn: its plan, its archive, and what is said of both. Whatever goes wrong, the others have theirs."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import field, replace
from types import TracebackType

from s3napback import ending
from s3napback.archives import Transfer
from s3napback.backup.archiving import Made, make_archive
from s3napback.backup.around import Around, HookedBlock
from s3napback.backup.context import RunContext
from s3napback.backup.planning import folder_not_due, plan_source
from s3napback.backup.tally import FAILED, NOTHING, SKIPPED, Tally
from s3napback.config.settings import Job
from s3napback.crews import Crew, result_of
from s3napback.deciding.facts import Alarm
from s3napback.deciding.plans import Plan, Skip
from s3napback.errors import EXIT_BUG, S3napbackError, SourceError
from s3napback.formatting import counted, human_bytes, human_time
from s3napback.kinds import kind_of
from s3napback.logs import log_lines, logger_for
from s3napback.records import dataclass
from s3napback.scarcity import foreseen
from s3napback.sources import Expansion, NothingNew
from s3napback.sources.registry import expand_job, make_source
from s3napback.standing import working_on

_TIDYING_THREADS = 2  # each has a buffer of 5 MiB
_MOST_WAITING = 16
"""Archives whose index and checksum are still to be written; each holds a file open."""


class Tidying:
    """What is left to do for archives that are safe, while the next source has its turn.

    A context manager; leaving it by an exception gives up what is under way. Methods may be called by several threads.
    """

    def __init__(self, context: RunContext) -> None:
        """Begin nothing. With a store that is not distant there is nothing to be gained by threads."""
        self._journal = context.journal
        self._crew = Crew(_TIDYING_THREADS, "tidying") if context.store.is_distant else None
        self._begun: list[Future[Tally]] = []
        self._waiting: deque[Future[Tally]] = deque()
        self._noting = threading.Lock()

    def __enter__(self) -> Tidying:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._crew is not None:
            self._crew.__exit__(kind, error, traceback)

    def add(self, job: Job, made: Made) -> Tally:
        """Do it, or have it done; returns what came of it already."""
        if self._crew is None:
            return self._tidied(job, made)
        oldest = self._begin(self._crew.submit(self._tidied, job, made))
        if oldest is not None:
            result_of(oldest)
        return NOTHING

    def _begin(self, future: Future[Tally]) -> Future[Tally] | None:
        """Note what was begun; returns what has to end first if too much is under way."""
        with self._noting:
            self._begun.append(future)
            self._waiting.append(future)
            while self._waiting[0].done() and len(self._waiting) > 1:
                self._waiting.popleft()
            return self._waiting[0] if len(self._waiting) > _MOST_WAITING else None

    def finish(self) -> Tally:
        """Wait until all is done; returns what came of it."""
        tally = NOTHING
        for future in self._begun:
            tally += result_of(future)
        return tally

    def _tidied(self, job: Job, made: Made) -> Tally:
        log = logger_for(job.kind)
        try:
            warnings = made.finish()
        except Exception as error:
            failure = foreseen(error)
            what = failure or f"a bug in s3napback: {type(error).__name__}: {error}"
            log.error("%s: after the archive was made: %s", job.source, what)
            log.debug("details", exc_info=True)
            return Tally(exit_code=failure.exit_code if failure else EXIT_BUG)
        for warning in warnings:
            log.warning("%s: %s", job.source, warning)
        self._journal.warned(job, len(warnings))
        return Tally(warnings=len(warnings))


class OutOfTime(Exception):
    """The run has taken as long as it may: a source that is due does not begin. The message says so."""


@dataclass(frozen=True)
class Turns:
    """Gives sources their turns. Methods may be called by several threads.

    Attributes:
        speaking: held while several lines are logged that belong together.
    """

    context: RunContext
    tidying: Tidying
    around: Around
    speaking: threading.Lock = field(default_factory=threading.Lock)

    def expanded(self, job: Job) -> tuple[Sequence[Job], Tally]:
        """The sources that one job stands for, and what is to be said of that."""
        block = self.around.block_of(job)
        expansion = self._expansion(job, block)
        self.context.journal.expanded(job, expansion)
        for level, remark in expansion.remarks:
            logger_for(job.kind).log(level, "%s", remark)
        return expansion.jobs, remarks_tally(expansion) + block.expect(len(expansion.jobs))

    def _expansion(self, job: Job, block: HookedBlock) -> Expansion:
        if not (block.has_before and kind_of(job.kind).stands_for_several(job.target)):
            return expanded(self.context, job)
        # What is there is seen only when Before has been run, which it is for something that is due.
        if not self.context.facts.options.force and (reason := folder_not_due(self.context, job)):
            return Expansion(remarks=[(logging.INFO, f"{job.source}: {reason}")])
        try:
            self._require_time()
            block.begin()
        except OutOfTime as late:
            return Expansion(remarks=[(logging.WARNING, f"{job.source}: {late}")])
        except S3napbackError as error:
            return failed_expansion(job, error)
        return expanded(self.context, job)

    def _require_time(self) -> None:
        hours = self.context.configuration.longest_run
        if hours and time.monotonic() - self.context.journal.clock >= hours * 3600:
            raise OutOfTime(
                f"not begun, since the run has taken {counted(hours, 'hour')} (LongestRun); it waits for the next night"
            )

    def back_up(self, job: Job) -> Tally:
        """Back up one source, with what is to be done around its block."""
        block, outcome = self.around.block_of(job), "interrupted"
        try:
            tally = self._back_up(job, block)
            outcome = "failed" if tally.failed else "done" if tally.done else "skipped"
        finally:
            after = block.leave(outcome)
        self.context.journal.warned(job, after.exit_code)
        return tally + after

    def _back_up(self, job: Job, block: HookedBlock) -> Tally:
        log = logger_for(job.kind)
        try:
            return self._try_to_back_up(job, block, log)
        except OutOfTime as late:
            log.warning("%s: %s", job.source, late)
            self.context.journal.put_off(job)
            return SKIPPED + Tally(warnings=1)
        except Exception as error:
            # Even a bug that one source meets must not cost the others their backup.
            ending.heed()  # else what a signal has ended would be told as if it had failed
            failure = foreseen(error)
            if failure:
                log_lines(log, logging.ERROR, failure.under(f"{job.source} FAILED"))
            else:
                log.error("%s FAILED by a bug in s3napback: %s: %s", job.source, type(error).__name__, error)
            log.debug("details", exc_info=True)
            self.context.journal.failed(job, failure or error)
            return FAILED if failure else replace(FAILED, exit_code=EXIT_BUG)

    def _try_to_back_up(self, job: Job, block: HookedBlock, log: logging.Logger) -> Tally:
        def begin() -> None:
            self._require_time()
            block.begin()

        source = make_source(job, self.context.tools)
        with working_on(f"{job.source}: looking at it", title=str(job.source), stage="look"):
            plan = plan_source(self.context, job, source, before=begin)
        if isinstance(plan, Skip):
            is_doubtful = bool(plan.doubt)
            log.log(logging.WARNING if is_doubtful else logging.INFO, "%s: %s", job.source, plan.words)
            self.context.journal.skipped(job)
            self.context.journal.warned(job, is_doubtful)
            return SKIPPED + Tally(warnings=is_doubtful)
        if plan.problem is not None:
            raise plan.problem
        with self.speaking:
            tally = _announce(plan, log)
        try:
            made = make_archive(self.context, plan, source)
        except NothingNew as news:
            log.info("%s: %s", job.source, news)
            self.context.journal.skipped(job, is_current=True)
            return tally + SKIPPED
        with self.speaking:
            tally += _report(self.context, plan, made.transfer, log)
        self.context.journal.done(plan, made.transfer, tally.warnings)
        return tally + self.tidying.add(job, made)


def expanded(context: RunContext, job: Job) -> Expansion:
    """The sources that one job stands for; none, with a remark on why, if they cannot be found."""
    force = context.facts.options.force
    try:
        return expand_job(job, context.configuration.jobs, may_be_empty=force)
    except SourceError as error:
        if not force and (reason := folder_not_due(context, job)):
            return Expansion(remarks=[(logging.INFO, f"{job.source}: {reason}")])
        return failed_expansion(job, error)


def failed_expansion(job: Job, error: S3napbackError) -> Expansion:
    """No source at all, because of a failure."""
    return Expansion(remarks=[(logging.ERROR, str(SourceError(*error.under(f"{job.source} FAILED"))))])


def remarks_tally(expansion: Expansion) -> Tally:
    """What the remarks on an expansion count as."""
    tally = NOTHING
    for level, _remark in expansion.remarks:
        if level >= logging.ERROR:
            tally += FAILED
        elif level == logging.WARNING:
            tally += Tally(warnings=1)
    return tally


def _announce(plan: Plan, log: logging.Logger) -> Tally:
    """Say what deserves to be known beforehand."""
    for note in plan.notes:
        log.log(logging.WARNING if isinstance(note, Alarm) else logging.INFO, "%s", note)
    if plan.why:
        level = logging.WARNING if plan.is_unexpected else logging.INFO
        log.log(level, "%s: a FULL is made in the place of a DIFF: %s", plan.job.source, plan.why)
    return Tally(warnings=sum(isinstance(note, Alarm) for note in plan.notes))


def _report(context: RunContext, plan: Plan, transfer: Transfer, log: logging.Logger) -> Tally:
    source = plan.job.source
    for warning in transfer.warnings:
        log.warning("%s: %s", source, warning)
    log.info(
        "%s -> %s/%s: %s read, %s stored, %s",
        *(source, context.store.location, plan.key),
        *(human_bytes(transfer.read), human_bytes(transfer.stored), human_time(transfer.seconds)),
    )
    warnings = len(transfer.warnings) + plan.is_unexpected
    return Tally(done=1, warnings=warnings, read=transfer.read, stored=transfer.stored)
