"""The nightly run of one configuration: look at everything that it needs, then back up one source after the other."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import date

from s3napback.archives import Transfer
from s3napback.backup.archiving import make_archive
from s3napback.backup.context import RunContext, prepared_run
from s3napback.backup.journal import Journal
from s3napback.backup.leaving import leaving_word
from s3napback.backup.planning import folder_not_due, plan_source
from s3napback.backup.rehearsing import rehearse_source
from s3napback.config.settings import Configuration, Job
from s3napback.deciding.facts import BackupOptions
from s3napback.deciding.plans import Plan, Skip
from s3napback.errors import EXIT_BUG, ConfigurationError, S3napbackError, SourceError
from s3napback.formatting import human_bytes, human_time
from s3napback.logs import log_lines, logger_for
from s3napback.sources import Alarm, Expansion, NothingNew
from s3napback.sources.registry import expand_job, make_source
from s3napback.state import lock_holder, locked, make_diff_dir, require_own_diff_dir
from s3napback.surroundings import diff_dir

logger = logging.getLogger("s3napback")


@dataclass(frozen=True)
class Tally:
    """What came of a run so far.

    Attributes:
        done: sources whose archive has arrived.
        skipped: sources that were not due, done already, or held nothing new.
        failed: sources without a new archive.
        warnings: lines that deserve a look.
        read: bytes that the sources gave.
        stored: bytes that went into the store.
        exit_code: the highest so far.
    """

    done: int = 0
    skipped: int = 0
    failed: int = 0
    warnings: int = 0
    read: int = 0
    stored: int = 0
    exit_code: int = 0


def run(configuration: Configuration, today: date, options: BackupOptions) -> Tally:
    """Back up what is due.

    Args:
        configuration: validated.
        today: the local calendar date at the program's start, or that of ``--today``.
        options: what the command line asks for beyond the schedule.

    Raises:
        UnusableConfiguration: nothing was begun.
        LockHeld: another run is at work.
    """
    clock = time.monotonic()
    _require_jobs(configuration)
    journal = Journal()
    with ExitStack() as stack:
        # The outermost of all: a run that cannot begin leaves its word, too.
        telling = stack.enter_context(leaving_word(configuration, today, journal))
        folder = diff_dir(configuration)
        if configuration.diff_dir is None:
            make_diff_dir(folder)
        stack.enter_context(locked(folder, lock_holder(configuration.path)))
        telling.begin()
        context = stack.enter_context(prepared_run(configuration, today, options, patient=True))
        context = replace(context, journal=journal)
        journal.store, journal.answered = context.store, context.unreachable is None
        tally = Tally(warnings=_warn(context.warnings))
        for job in configuration.jobs:
            tally = _back_up_all(context, job, tally)
        journal.exit_code = tally.exit_code
    tally = replace(tally, warnings=tally.warnings + journal.untold)
    logger.info(
        "%s: %s done, %s skipped, %s failed; %s read, %s stored; %s",
        *(configuration.path, tally.done, tally.skipped, tally.failed),
        *(human_bytes(tally.read), human_bytes(tally.stored), human_time(time.monotonic() - clock)),
    )
    return tally


def rehearse(
    configuration: Configuration,
    today: date,
    options: BackupOptions,
    say: Callable[[str], None],
    *,
    shows_commands: bool = False,
) -> Tally:
    """Tell what ``run`` would do, touching nothing.

    Args:
        say: takes the lines that are the result.
        shows_commands: also those that would make the archives.

    Returns:
        What would come of it: no source is done, those that would fail are failed.

    Raises:
        UnusableConfiguration: nothing of it would be begun.
    """
    _require_jobs(configuration)
    require_own_diff_dir(diff_dir(configuration))
    with prepared_run(configuration, today, options, patient=False) as context:
        tally = Tally(warnings=_warn(context.warnings))
        if context.unreachable:
            logger.warning("could not look into the store, planning without: %s", context.unreachable)
            tally = replace(tally, exit_code=1)
        for job in configuration.jobs:
            expansion = _expanded(context, job)
            for level, remark in expansion.remarks:
                if level >= logging.ERROR:
                    say(f"{job.source}: would fail")
                logger_for(job.kind).log(min(level, logging.WARNING), "%s", remark)
            tally = _with_remarks(tally, expansion)
            for each in expansion.jobs:
                prospect = rehearse_source(
                    context, each, say, ask_store=context.unreachable is None, shows_commands=shows_commands
                )
                tally = _failed(tally) if prospect.fails else tally
                tally = replace(tally, warnings=tally.warnings + prospect.warnings)
    return tally


def _require_jobs(configuration: Configuration) -> None:
    """Refuse a run that would back up nothing, and so be a success each night."""
    if not configuration.jobs:
        raise ConfigurationError(
            [f"{configuration.path}: it names no source, so nothing is backed up; does an Include match nothing?"]
        )


def _warn(warnings: tuple[str, ...]) -> int:
    for warning in warnings:
        logger.warning("%s", warning)
    return len(warnings)


def _back_up_all(context: RunContext, job: Job, tally: Tally) -> Tally:
    """Back up the sources that one job stands for."""
    expansion = _expanded(context, job)
    for level, remark in expansion.remarks:
        logger_for(job.kind).log(level, "%s", remark)
    tally = _with_remarks(tally, expansion)
    context.journal.expanded(job, expansion)
    for each in expansion.jobs:
        tally = _back_up(context, each, tally)
    return tally


def _with_remarks(tally: Tally, expansion: Expansion) -> Tally:
    for level, _remark in expansion.remarks:
        if level >= logging.ERROR:
            tally = _failed(tally)
        elif level == logging.WARNING:
            tally = replace(tally, warnings=tally.warnings + 1)
    return tally


def _failed(tally: Tally, exit_code: int = 1) -> Tally:
    return replace(tally, failed=tally.failed + 1, exit_code=max(tally.exit_code, exit_code))


def _expanded(context: RunContext, job: Job) -> Expansion:
    """The sources that one job stands for; none, with a remark on why, if they cannot be found."""
    force = context.facts.options.force
    try:
        return expand_job(job, context.configuration.jobs, may_be_empty=force)
    except SourceError as error:
        if not force and (reason := folder_not_due(context, job)):
            return Expansion(remarks=[(logging.INFO, f"{job.source}: {reason}")])
        return Expansion(remarks=[(logging.ERROR, str(SourceError(*error.under(f"{job.source} FAILED"))))])


def _back_up(context: RunContext, job: Job, tally: Tally) -> Tally:
    """Back up one source; whatever goes wrong with it, the others have their turn."""
    log = logger_for(job.kind)
    try:
        return _try_to_back_up(context, job, tally, log)
    except S3napbackError as error:
        log_lines(log, logging.ERROR, error.under(f"{job.source} FAILED"))
        log.debug("details", exc_info=True)
        context.journal.failed(job, error)
        return _failed(tally)
    except Exception as error:
        # Even a bug that one source meets must not cost the others their backup.
        log.error("%s FAILED by a bug in s3napback: %s: %s", job.source, type(error).__name__, error)
        log.debug("details", exc_info=True)
        context.journal.failed(job, error)
        return _failed(tally, EXIT_BUG)


def _try_to_back_up(context: RunContext, job: Job, tally: Tally, log: logging.Logger) -> Tally:
    source = make_source(job, context.tools)
    plan = plan_source(context, job, source)
    if isinstance(plan, Skip):
        log.info("%s: %s", job.source, plan.reason)
        context.journal.skipped(job)
        return replace(tally, skipped=tally.skipped + 1)
    if plan.problem is not None:
        raise plan.problem
    for note in plan.notes:
        log.log(logging.WARNING if isinstance(note, Alarm) else logging.INFO, "%s", note)
    tally = replace(tally, warnings=tally.warnings + sum(isinstance(note, Alarm) for note in plan.notes))
    if plan.why:
        level = logging.WARNING if plan.is_unexpected else logging.INFO
        log.log(level, "%s: a FULL is made in the place of a DIFF: %s", job.source, plan.why)
    try:
        transfer = make_archive(context, plan, source)
    except NothingNew as news:
        log.info("%s: %s", job.source, news)
        context.journal.skipped(job, is_current=True)
        return replace(tally, skipped=tally.skipped + 1)
    alarms = sum(isinstance(note, Alarm) for note in plan.notes)
    context.journal.done(plan, transfer, alarms + len(transfer.warnings) + plan.is_unexpected)
    return _report(context, plan, transfer, tally, log)


def _report(context: RunContext, plan: Plan, transfer: Transfer, tally: Tally, log: logging.Logger) -> Tally:
    source = plan.job.source
    for warning in transfer.warnings:
        log.warning("%s: %s", source, warning)
    log.info(
        "%s -> %s/%s: %s read, %s stored, %s",
        *(source, context.store.location, plan.key),
        *(human_bytes(transfer.read), human_bytes(transfer.stored), human_time(transfer.seconds)),
    )
    return replace(
        tally,
        done=tally.done + 1,
        warnings=tally.warnings + len(transfer.warnings) + plan.is_unexpected,
        read=tally.read + transfer.read,
        stored=tally.stored + transfer.stored,
    )
