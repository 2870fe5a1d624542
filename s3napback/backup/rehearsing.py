"""The rehearsal of one source: its plan as text, with the commands that would make the archive."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from s3napback.backup.context import RunContext
from s3napback.backup.planning import plan_source
from s3napback.config.settings import Job
from s3napback.deciding.plans import Plan, Skip
from s3napback.errors import S3napbackError, StoreError
from s3napback.formatting import shell_command, shell_word
from s3napback.logs import log_lines, logger_for
from s3napback.sources import NothingNew
from s3napback.sources.registry import make_source
from s3napback.streams.compression import compression_command


@dataclass(frozen=True)
class Prospect:
    """What would come of a source.

    Attributes:
        fails: it would get no archive.
        warnings: how much would deserve a look.
    """

    fails: bool = False
    warnings: int = 0


def rehearse_source(context: RunContext, job: Job, say: Callable[[str], None], *, ask_store: bool) -> Prospect:
    """Tell what would be done for one source; nothing that is wrong with it ends the dry run.

    Args:
        context: the run that there would be.
        job: the configured source.
        say: takes the lines.
        ask_store: otherwise the store is taken to hold what state remembers.
    """
    log = logger_for(job.kind)
    try:
        source = make_source(job, context.tar)
        plan = plan_source(context, job, source, ask_store=ask_store)
    except StoreError as error:
        log_lines(log, logging.WARNING, error.under(f"{job.source}: could not look into the store"))
        rehearse_source(context, job, say, ask_store=False)
        return Prospect(fails=True)
    except S3napbackError as error:
        return _would_fail(job, error, say)
    if isinstance(plan, Skip):
        say(f"{job.source}: {plan.reason}")
        return Prospect()
    memory = plan.parent.memory if plan.parent else None
    try:
        stage = source.plan(plan.type, context.state.folder(job.name), memory)
    except NothingNew as news:
        say(f"{job.source}: {news}")
        return Prospect()
    say(f"{job.source} -> {context.store.location}/{plan.key}")
    if plan.why:
        say(f"    a FULL in the place of a DIFF: {plan.why}")
    for note in plan.notes:
        say(f"    {note}")
    if plan.problem is not None:
        say(f"    would fail: {plan.problem}")
        log_lines(log, logging.WARNING, plan.problem.under(str(job.source)))
        return Prospect(fails=True)
    for line in _paste_lines(context, plan, stage.pasted):
        say(f"    {line}")
    return Prospect(warnings=int(plan.is_unexpected))


def _would_fail(job: Job, error: S3napbackError, say: Callable[[str], None]) -> Prospect:
    say(f"{job.source}: would fail")
    log_lines(logger_for(job.kind), logging.WARNING, error.under(str(job.source)))
    return Prospect(fails=True)


def _paste_lines(context: RunContext, plan: Plan, dump: tuple[str, ...]) -> list[str]:
    """The stages as a shell pipeline, one a line, with the plain tools that do what happens inside s3napback."""
    settings = plan.job.settings
    stages = [shell_command(dump)]
    if compression := compression_command(settings.compression, settings.compression_level):
        stages.append(shell_command(compression))
    if context.encryption:
        stages.append(shell_command(context.encryption.command))
    store = context.configuration.store
    if store.folder is not None:
        stages[-1] += f" > {shell_word(str(store.folder / plan.key))}"
    else:
        endpoint = ("--endpoint-url", store.endpoint) if store.endpoint else ()
        stages.append(shell_command(("aws", *endpoint, "s3", "cp", "-", f"s3://{store.bucket}/{plan.key}")))
    lines = [stages[0], *(f"| {stage}" for stage in stages[1:])]
    return [*(f"{line} \\" for line in lines[:-1]), lines[-1]]
