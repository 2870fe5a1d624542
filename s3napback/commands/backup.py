"""The nightly run of one configuration: look at everything that it needs, then give each source its turn."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import date

from s3napback.adopting import settle
from s3napback.backup.around import Around
from s3napback.backup.context import RunContext, prepared_run
from s3napback.backup.journal import Journal, has_failed
from s3napback.backup.leaving import leaving_word
from s3napback.backup.owing import write_owed
from s3napback.backup.rehearsing import hook_lines, rehearse_source
from s3napback.backup.renewing import renew_locks
from s3napback.backup.tally import FAILED, NOTHING, Tally
from s3napback.backup.together import back_up_together
from s3napback.backup.turns import Tidying, Turns, expanded, remarks_tally
from s3napback.backup.unfinished import marks_of
from s3napback.config.settings import Configuration, Job
from s3napback.deciding.facts import BackupOptions
from s3napback.errors import ConfigurationError, StateError
from s3napback.foresight.early_deletion import early_deletions
from s3napback.formatting import counted, human_bytes, human_time
from s3napback.logs import logger_for
from s3napback.run_lock import lock_holder, locked, make_diff_dir, require_own_diff_dir
from s3napback.standing import requests, whole_of
from s3napback.surroundings import diff_dir, host_name

logger = logging.getLogger("s3napback")


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
    clock, before = time.monotonic(), requests()
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
        stack.enter_context(whole_of(lambda: _so_far(configuration, journal)))
        around = Around(configuration, host_name(configuration), folder)
        undone = around.undo_unfinished()
        context = stack.enter_context(prepared_run(configuration, today, options, patient=True))
        context = replace(context, journal=journal)
        settle(context.state)
        journal.store, journal.answered = context.store, context.unreachable is None
        tally = Tally(warnings=_warn(context.warnings)) + undone + _back_up_all(context, around)
        journal.exit_code, journal.warnings = tally.exit_code_of(options.strict), tally.warnings
    asked = requests() - before
    tally += Tally(warnings=journal.untold)
    logger.info(
        "%s: %s done, %s skipped, %s failed; %s read, %s stored; %s%s",
        *(configuration.path, tally.done, tally.skipped, tally.failed),
        *(human_bytes(tally.read), human_bytes(tally.stored), human_time(time.monotonic() - clock)),
        f"; {counted(asked, 'request')}" if asked else "",
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
        tally = Tally(warnings=_warn((*context.warnings, *early_deletions(configuration))))
        if context.unreachable:
            logger.warning("could not look into the store, planning without: %s", context.unreachable)
            tally += Tally(exit_code=1)
        for mark in marks_of(diff_dir(configuration), configuration.path):
            say(f"an earlier run was ended before After, with which this one would begin: {mark.after or mark.path}")
        for job in configuration.jobs:
            tally += _rehearse_job(context, job, say, shows_commands=shows_commands)
    return tally


def _rehearse_job(context: RunContext, job: Job, say: Callable[[str], None], *, shows_commands: bool) -> Tally:
    """Tell what would be done for the sources that one job stands for."""
    expansion = expanded(context, job)
    if job.settings.before and has_failed(expansion):
        say(f"{job.source}: what it holds is seen only after Before, which is not run now")
        for line in hook_lines(job):
            say(f"    {line}")
        return NOTHING
    for level, remark in expansion.remarks:
        if level >= logging.ERROR:
            say(f"{job.source}: would fail")
        logger_for(job.kind).log(min(level, logging.WARNING), "%s", remark)
    tally = remarks_tally(expansion)
    for each in expansion.jobs:
        prospect = rehearse_source(
            context, each, say, ask_store=context.unreachable is None, shows_commands=shows_commands
        )
        tally += Tally(warnings=prospect.warnings) + (FAILED if prospect.fails else NOTHING)
    return tally


def _so_far(configuration: Configuration, journal: Journal) -> str:
    """How far along a run is, in a line."""
    outcomes = [attempt.outcome for attempt in list(journal.attempts.values())]
    failed = outcomes.count("failed")
    jobs = max(len(configuration.jobs), len(outcomes))
    return f"{len(outcomes)} of {counted(jobs, 'source')}" + (f", {failed} failed" if failed else "")


def _require_jobs(configuration: Configuration) -> None:
    """Refuse a run that would back up nothing, and so be a success each night."""
    if nothing_to_do := configuration.nothing_to_do:
        raise ConfigurationError([nothing_to_do])


def _warn(warnings: tuple[str, ...]) -> int:
    for warning in warnings:
        logger.warning("%s", warning)
    return len(warnings)


def _back_up_all(context: RunContext, around: Around) -> Tally:
    jobs, several = _in_order(context), context.configuration.concurrency
    owed = write_owed(context)
    with Tidying(context) as tidying, around:
        turns = Turns(context, tidying, around)
        if several.jobs == 1:
            tally = sum((_back_up(turns, job) for job in jobs), NOTHING)
        else:
            tally = back_up_together(turns, jobs, several)
        tally += tidying.finish()
    return owed + tally + renew_locks(context)


def _in_order(context: RunContext) -> Sequence[Job]:
    """As they are configured; where a run may end early, those first that have been put off for the longest time."""
    jobs = context.configuration.jobs
    if not context.configuration.longest_run:
        return jobs
    return sorted(jobs, key=lambda job: -max(1, _missed(context, job)))


def _missed(context: RunContext, job: Job) -> int:
    """Periods that have begun since that of its newest archive."""
    try:
        state = context.state.load(job.name)
    except StateError:
        return 0
    newest = None if state is None else state.newest
    schedule = job.schedule
    return 0 if newest is None else schedule.period(context.facts.day) - schedule.period(newest.day)


def _back_up(turns: Turns, job: Job) -> Tally:
    """Back up the sources that one job stands for, one after the other."""
    found, tally = turns.expanded(job)
    return sum(map(turns.back_up, found), tally)
