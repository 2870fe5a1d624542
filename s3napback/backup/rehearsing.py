"""The rehearsal of one source: its plan as text, with the commands that would make the archive."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence

from s3napback.backup.around import hooks_problem
from s3napback.backup.context import RunContext
from s3napback.backup.pasting import Pasted
from s3napback.backup.planning import plan_source
from s3napback.config.settings import Job
from s3napback.deciding.facts import Alarm
from s3napback.deciding.plans import Plan, Skip
from s3napback.encryption.options import private_home_options
from s3napback.errors import S3napbackError, SourceError, StoreError, without_subject
from s3napback.formatting import human_bytes, shell_command
from s3napback.kinds import kind_of
from s3napback.logs import log_lines, logger_for
from s3napback.records import dataclass
from s3napback.rotation import day_date
from s3napback.sources import WORKING, NothingNew
from s3napback.sources.registry import make_source
from s3napback.streams.compression import compression_command
from s3napback.streams.processes import Stage, too_long


@dataclass(frozen=True)
class Prospect:
    """What would come of a source.

    Attributes:
        fails: it would get no archive.
        warnings: how much would deserve a look.
    """

    fails: bool = False
    warnings: int = 0


def rehearse_source(
    context: RunContext, job: Job, say: Callable[[str], None], *, ask_store: bool, shows_commands: bool
) -> Prospect:
    """Tell what would be done for one source; nothing that is wrong with it ends the dry run.

    Args:
        context: the run that there would be.
        job: the configured source.
        say: takes the lines.
        ask_store: otherwise the store is taken to hold what state remembers.
        shows_commands: also those that would make the archive.
    """
    log = logger_for(job.kind)
    try:
        source = make_source(job, context.tools)
        plan = plan_source(context, job, source, ask_store=ask_store)
    except StoreError as error:
        log_lines(log, logging.WARNING, error.under(f"{job.source}: could not look into the store"))
        rehearse_source(context, job, say, ask_store=False, shows_commands=shows_commands)
        return Prospect(fails=True)
    except S3napbackError as error:
        return _would_fail(job, error, say)
    if isinstance(plan, Skip):
        say(f"{job.source}: {plan.words}")
        return Prospect()
    memory = plan.parent.memory if plan.parent else None
    try:
        stage = source.plan(plan.type, context.state.folder(job.name), memory)
    except NothingNew as news:
        say(f"{job.source}: {news}")
        return Prospect()
    say(f"{job.source} -> {context.store.location}/{plan.key}")
    for line in (*_described(context, plan), *hook_lines(job)):
        say(f"    {line}")
    unstartable = too_long(stage)
    if unstartable:
        say(f"    would fail: {unstartable}")
    problem = _problem(plan, say)
    if problem is not None:
        say(f"    would fail: {without_subject(str(problem), str(job.source))}")
        log_lines(log, logging.WARNING, problem.under(str(job.source)))
    # What somebody has written as a command is what there is to look at.
    if not unstartable and (shows_commands or kind_of(job.kind).needs_block):
        for line in _pasted(context, plan, stage).lines():
            say(f"    {line}")
    alarms = sum(isinstance(note, Alarm) for note in plan.notes)
    return Prospect(fails=problem is not None or bool(unstartable), warnings=plan.is_unexpected + alarms)


def hook_lines(job: Job) -> Iterator[str]:
    """What stands around a block, as commands for a shell."""
    for name, command in (("Before", job.settings.before), ("After", job.settings.after)):
        if command:
            yield f"{name}: {shell_command(command)}"


def _problem(plan: Plan, say: Callable[[str], None]) -> SourceError | None:
    """Why a source would fail. What it is like now tells nothing where Before, which was not run, brings it about."""
    if problem := hooks_problem(plan.job):
        return SourceError(problem)
    if plan.problem is None or not plan.job.settings.before:
        return plan.problem
    say(f"    as it is now, without Before: {without_subject(str(plan.problem), str(plan.job.source))}")
    return None


def _described(context: RunContext, plan: Plan) -> Iterator[str]:
    """What stands below a plan: why it is a FULL, how large it may get, what it replaces, and what else is said."""
    if plan.why:
        yield f"a FULL in the place of a DIFF: {plan.why}"
    if size := plan.state.expected_sizes.get(plan.type.value):
        yield f"about {human_bytes(size)}, as the last {plan.type.value}"
    for key, day in plan.replaced.items():
        yield f"replaces {context.store.location}/{key}{f', of {day_date(day)}' if day else ''}"
    yield from plan.notes


def _would_fail(job: Job, error: S3napbackError, say: Callable[[str], None]) -> Prospect:
    say(f"{job.source}: would fail")
    log_lines(logger_for(job.kind), logging.WARNING, error.under(str(job.source)))
    return Prospect(fails=True)


def _pasted(context: RunContext, plan: Plan, stage: Stage) -> Pasted:
    """The commands of an archive, with what they need of a run's private folders."""
    dump = stage.pasted
    settings, keyring = plan.job.settings, context.configuration.encryption.keyring
    compression = compression_command(settings.compression, settings.compression_level)
    encryption = context.encryption.command if context.encryption else ()
    places: dict[str, str] = {}
    preparations: list[Sequence[str]] = []
    folder = context.state.folder(plan.job.name)
    snapshot = str(folder / WORKING)
    if any(snapshot in word for word in dump):
        places[snapshot] = "snapshot"
        if plan.parent and plan.parent.memory:
            preparations.append(("cp", "--", str(folder / plan.parent.memory.snapshot), snapshot))
    files = {
        path.name: content.decode("utf-8", "surrogateescape").splitlines() for path, content in stage.lists.items()
    }
    places |= {str(path): path.name for path in stage.lists}
    if encryption and keyring is not None:
        home = encryption[encryption.index("--homedir") + 1]
        places[home] = "gpg"
        preparations += [
            ("mkdir", "-m", "700", home),
            ("gpg", "--batch", "--quiet", "--homedir", home, *private_home_options(), "--import", str(keyring)),
        ]
    return Pasted([words for words in (dump, compression, encryption) if words], places, preparations, files)
