"""``-t``: one source's plan as text, with the commands that would make the archive."""

from __future__ import annotations

import logging
from collections.abc import Callable

from s3napback.backup.archiving import Workshop
from s3napback.backup.planning import Night, Plan, Skip, plan_job
from s3napback.config.settings import Job
from s3napback.errors import S3napbackError, StoreError
from s3napback.formatting import shell_command, shell_word
from s3napback.logs import log_lines, logger_for
from s3napback.sources import NothingNew
from s3napback.sources.registry import Tools, make_source
from s3napback.streams.compression import compression_command


def print_plan(
    night: Night,
    job: Job,
    tools: Tools,
    workshop: Workshop,
    say: Callable[[str], None],
    *,
    look: bool,
) -> None:
    """Print what would be done for one source; nothing that is wrong with it ends the dry run.

    Args:
        say: takes the lines.
        look: ask the store.
    """
    log = logger_for(job.kind)
    try:
        source = make_source(job, tools)
        plan = plan_job(night, job, source, look=look)
    except StoreError as error:
        log_lines(log, logging.WARNING, error.under(f"{job.source}: could not look into the store"))
        print_plan(night, job, tools, workshop, say, look=False)
        return
    except S3napbackError as error:
        say(f"{job.source}: would fail")
        log_lines(log, logging.WARNING, error.under(str(job.source)))
        return
    if isinstance(plan, Skip):
        say(f"{job.source}: {plan.reason}")
        return
    memory = plan.decision.base[-1].memory if plan.decision.base else None
    try:
        stage = source.plan(plan.decision.type, night.state.folder(job.name), memory)
    except NothingNew as news:
        say(f"{job.source}: {news}")
        return
    say(f"{job.source} -> {night.store.location}/{plan.key}")
    if plan.decision.reason:
        say(f"    a FULL in the place of a DIFF: {plan.decision.reason}")
    for note in plan.notes:
        say(f"    {note}")
    if plan.problem is not None:
        log_lines(log, logging.WARNING, plan.problem.lines)
    for line in _paste_lines(night, plan, stage.pasted, workshop):
        say(f"    {line}")


def _paste_lines(night: Night, plan: Plan, dump: tuple[str, ...], workshop: Workshop) -> list[str]:
    """The stages as a shell pipeline, one a line, with the plain tools that do what happens inside s3napback."""
    settings = plan.job.settings
    stages = [shell_command(dump)]
    if compression := compression_command(settings.compression, settings.compression_level):
        stages.append(shell_command(compression))
    if workshop.encryption:
        stages.append(shell_command(workshop.encryption.command))
    store = night.configuration.store
    if store.folder is not None:
        stages[-1] += f" > {shell_word(str(store.folder / plan.key))}"
    else:
        endpoint = ("--endpoint-url", store.endpoint) if store.endpoint else ()
        stages.append(shell_command(("aws", *endpoint, "s3", "cp", "-", f"s3://{store.bucket}/{plan.key}")))
    lines = [stages[0], *(f"| {stage}" for stage in stages[1:])]
    return [*(f"{line} \\" for line in lines[:-1]), lines[-1]]
