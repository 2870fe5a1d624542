"""The nightly run of one configuration: look at everything that it needs, then back up one source after the other."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import date

from s3napback.backup.archiving import Made, Workshop, make_archive
from s3napback.backup.planning import Night, Skip, Wishes, folder_not_due, plan_job
from s3napback.commands.dry_run import print_plan
from s3napback.config.settings import Configuration, Job
from s3napback.encryption.gpg import prepare_encryption
from s3napback.errors import S3napbackError, SourceError, StoreUnreachable
from s3napback.formatting import human_bytes, human_time
from s3napback.logs import log_lines, logger_for
from s3napback.rotation import day_number
from s3napback.sources import Expansion, NothingNew
from s3napback.sources.in_use import DatabasesInUse
from s3napback.sources.registry import Tools, expand_job, make_source, needs_tar
from s3napback.state import StoreState, lock_holder, locked, make_diff_dir, require_own_diff_dir
from s3napback.surroundings import configured_store, diff_dir, find_gnu_tar, host_name, temp_dir

logger = logging.getLogger("s3napback")

EXIT_BUG = 70
"""Exit code of a failure that nobody foresaw (sysexits.h: EX_SOFTWARE)."""


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


@dataclass(frozen=True)
class Equipment:
    """A run's surroundings, all of them looked at and found usable.

    Attributes:
        unreachable: why the store could not be looked at. It may answer by the time that a source needs it.
    """

    night: Night
    workshop: Workshop
    tools: Tools
    warnings: tuple[str, ...]
    unreachable: StoreUnreachable | None


def run(configuration: Configuration, today: date, wishes: Wishes) -> Tally:
    """Back up what is due.

    Args:
        configuration: validated.
        today: the local calendar date at the program's start, or that of ``--today``.
        wishes: what the command line asks for.

    Raises:
        UnusableConfiguration: nothing was begun.
        LockHeld: another run is at work.
    """
    clock = time.monotonic()
    with ExitStack() as stack:
        folder = diff_dir(configuration)
        if configuration.diff_dir is None:
            make_diff_dir(folder)
        stack.enter_context(locked(folder, lock_holder(configuration.path)))
        equipment = stack.enter_context(_equipped(configuration, today, wishes, patient=True))
        tally = Tally(warnings=_say(equipment.warnings))
        for job in configuration.jobs:
            tally = _back_up_all(equipment, job, tally)
    logger.info(
        "%s: %s done, %s skipped, %s failed; %s read, %s stored; %s",
        *(configuration.path, tally.done, tally.skipped, tally.failed),
        *(human_bytes(tally.read), human_bytes(tally.stored), human_time(time.monotonic() - clock)),
    )
    return tally


def rehearse(configuration: Configuration, today: date, wishes: Wishes, say: Callable[[str], None]) -> Tally:
    """Tell what ``run`` would do, touching nothing.

    Args:
        say: takes the lines that are the result.

    Raises:
        UnusableConfiguration: nothing of it would be begun.
    """
    require_own_diff_dir(diff_dir(configuration))
    with _equipped(configuration, today, wishes, patient=False) as equipment:
        tally = Tally(warnings=_say(equipment.warnings))
        night = equipment.night
        if equipment.unreachable:
            logger.warning("could not look into the store, planning without: %s", equipment.unreachable)
        for job in configuration.jobs:
            expansion = _expanded(night, job)
            for level, remark in expansion.remarks:
                if level >= logging.ERROR:
                    say(f"{job.source}: would fail")
                logger_for(job.kind).log(min(level, logging.WARNING), "%s", remark)
            for each in expansion.jobs:
                print_plan(night, each, equipment.tools, equipment.workshop, say, look=not equipment.unreachable)
    return tally


@contextmanager
def _equipped(configuration: Configuration, today: date, wishes: Wishes, *, patient: bool) -> Iterator[Equipment]:
    folder = temp_dir(configuration)
    tar = find_gnu_tar() if any(map(needs_tar, configuration.jobs)) else Tools.tar
    tools = Tools(tar, str(folder), DatabasesInUse(configuration.jobs))
    store = configured_store(configuration, patient=patient)
    with prepare_encryption(configuration.encryption, today) as encryption:
        unreachable = None
        try:
            store.check()
        except StoreUnreachable as error:
            unreachable = error
        night = Night(
            configuration=configuration,
            store=store,
            state=StoreState(diff_dir(configuration), store.identity, configuration.store.prefix),
            host=host_name(configuration),
            day=day_number(today),
            fingerprints=encryption.fingerprints if encryption else (),
            signer=encryption.signer if encryption else "",
            wishes=wishes,
        )
        warnings = configuration.warnings + (encryption.warnings if encryption else ())
        yield Equipment(night, Workshop(encryption, folder), tools, warnings, unreachable)


def _say(warnings: tuple[str, ...]) -> int:
    for warning in warnings:
        logger.warning("%s", warning)
    return len(warnings)


def _back_up_all(equipment: Equipment, job: Job, tally: Tally) -> Tally:
    """Back up the sources that one job stands for."""
    expansion = _expanded(equipment.night, job)
    for level, remark in expansion.remarks:
        logger_for(job.kind).log(level, "%s", remark)
        if level >= logging.ERROR:
            tally = replace(tally, failed=tally.failed + 1, exit_code=max(tally.exit_code, 1))
        elif level == logging.WARNING:
            tally = replace(tally, warnings=tally.warnings + 1)
    for each in expansion.jobs:
        tally = _back_up(equipment, each, tally)
    return tally


def _expanded(night: Night, job: Job) -> Expansion:
    """The sources that one job stands for; none, with a remark on why, if they cannot be found."""
    force = night.wishes.force
    try:
        return expand_job(job, night.configuration.jobs, may_be_empty=force)
    except SourceError as error:
        if not force and (reason := folder_not_due(night, job)):
            return Expansion(remarks=[(logging.INFO, f"{job.source}: {reason}")])
        return Expansion(remarks=[(logging.ERROR, f"{job.source} FAILED: {error}")])


def _back_up(equipment: Equipment, job: Job, tally: Tally) -> Tally:
    """Back up one source; whatever goes wrong with it, the others have their turn."""
    log = logger_for(job.kind)
    try:
        return _try_to_back_up(equipment, job, tally, log)
    except S3napbackError as error:
        log_lines(log, logging.ERROR, error.under(f"{job.source} FAILED"))
        log.debug("details", exc_info=True)
        return replace(tally, failed=tally.failed + 1, exit_code=max(tally.exit_code, 1))
    except Exception as error:
        # Even a bug that one source meets must not cost the others their backup.
        log.error("%s FAILED by a bug in s3napback: %s: %s", job.source, type(error).__name__, error)
        log.debug("details", exc_info=True)
        return replace(tally, failed=tally.failed + 1, exit_code=EXIT_BUG)


def _try_to_back_up(equipment: Equipment, job: Job, tally: Tally, log: logging.Logger) -> Tally:
    night = equipment.night
    source = make_source(job, equipment.tools)
    plan = plan_job(night, job, source)
    if isinstance(plan, Skip):
        log.info("%s: %s", job.source, plan.reason)
        return replace(tally, skipped=tally.skipped + 1)
    if plan.problem is not None:
        raise plan.problem
    for note in plan.notes:
        log.info("%s", note)
    unexpected = bool(plan.decision.reason and plan.state.newest and not night.wishes.full)
    if plan.decision.reason:
        level = logging.WARNING if unexpected else logging.INFO
        log.log(level, "%s: a FULL is made in the place of a DIFF: %s", job.source, plan.decision.reason)
    try:
        made = make_archive(night, plan, source, equipment.workshop)
    except NothingNew as news:
        log.info("%s: %s", job.source, news)
        return replace(tally, skipped=tally.skipped + 1)
    return _report(night, job, made, tally, log, warned=unexpected)


def _report(night: Night, job: Job, made: Made, tally: Tally, log: logging.Logger, *, warned: bool) -> Tally:
    transfer = made.transfer
    for warning in transfer.warnings:
        log.warning("%s: %s", job.source, warning)
    log.info(
        "%s -> %s/%s: %s read, %s stored, %s",
        *(job.source, night.store.location, made.key),
        *(human_bytes(transfer.read), human_bytes(transfer.stored), human_time(transfer.seconds)),
    )
    return replace(
        tally,
        done=tally.done + 1,
        warnings=tally.warnings + len(transfer.warnings) + warned,
        read=tally.read + transfer.read,
        stored=tally.stored + transfer.stored,
    )
