"""What a shell proposes when somebody presses Tab: configurations, sources, days and keys.

Everything is known of the configuration and of DiffDir; the store is not asked. What takes long, as a dead mount does,
is given up: nobody waits for a proposal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from s3napback.chains import SourceState
    from s3napback.config.settings import Configuration, Job

LONGEST_SECONDS = 0.8

_Proposal = Callable[[click.Context, str], "list[CompletionItem]"]


def teach(command: click.Command) -> None:
    """Let the parameters of a command propose what they take, by their names."""
    proposals: dict[str, _Proposal] = {
        "arguments": _configurations,
        "source": partial(_promptly, _sources),
        "at": partial(_promptly, _moments),
        "keys": partial(_promptly, _keys),
        "origin": partial(_promptly, _origins),
        "days": partial(_promptly, _moments),
        "topic": _words_of_the_manual,
        **dict.fromkeys(("where", "target", "key_file"), partial(_path, "file")),
        **dict.fromkeys(("staging", "directories", "diff_dir", "store"), partial(_path, "dir")),
        **dict.fromkeys(("path", "paths", "words"), _path_of_a_source),
    }
    for parameter in command.params:
        if parameter.name in proposals:
            vars(parameter).update(shell_complete=proposals[parameter.name])


def _item(value: str, **more: Any) -> CompletionItem:
    from click.shell_completion import CompletionItem

    return CompletionItem(value, **more)


def _configurations(_context: click.Context, incomplete: str) -> list[CompletionItem]:
    """Names of the system's configurations, unless a path is begun."""
    from s3napback.config.loading import SYSTEM_FOLDER

    if "/" in incomplete:
        return [_item(incomplete, type="file")]
    found: list[CompletionItem] = []
    with suppress(OSError):
        found = [_item(path.stem) for path in sorted(SYSTEM_FOLDER.glob("*.conf"))]
    return [item for item in found if str(item.value).startswith(incomplete)]


def _path(kind: str, _context: click.Context, incomplete: str) -> list[CompletionItem]:
    """Files or folders, which the shell itself looks for."""
    return [_item(incomplete, type=kind)]


def _path_of_a_source(context: click.Context, incomplete: str) -> list[CompletionItem]:
    """What is there now, of an absolute path: what lay there then, no configuration tells."""
    return _path("file", context, incomplete) if incomplete.startswith("/") else []


def _words_of_the_manual(_context: click.Context, incomplete: str) -> list[CompletionItem]:
    """Topics with what they are about; where one is begun that is none, commands and directives as well."""
    from s3napback.topics import topics, words

    with suppress(OSError):
        found = [_item(name, help=topic.sentence) for name, topic in topics().items()]
        others = [_item(word) for word in words() if incomplete and word not in topics()]
        return [item for item in (*found, *others) if str(item.value).startswith(incomplete)]
    return []


def _promptly(
    propose: Callable[[Sequence[Configuration], str], Iterator[tuple[str, str]]],
    context: click.Context,
    incomplete: str,
) -> list[CompletionItem]:
    """What is proposed of the configurations that are named, if it comes in time."""
    from s3napback.crews import TookTooLong, within

    source = str(context.params.get("source") or "")

    def items() -> list[CompletionItem]:
        found = dict(propose(_loaded(context), source))
        return [_item(word, help=help_) for word, help_ in found.items() if word.startswith(incomplete)]

    # Whatever is wrong is said when the command is given.
    with suppress(TookTooLong, Exception):
        return within(LONGEST_SECONDS, items)
    return []


def _loaded(context: click.Context) -> list[Configuration]:
    from s3napback.config.loading import configuration_paths, load_for_reading

    general = context.find_root().params.get("arguments") or ()
    return [load_for_reading(path) for path in configuration_paths(general, "s3napback")]


def _sources(configurations: Sequence[Configuration], _source: str) -> Iterator[tuple[str, str]]:
    """As one writes them: paths as they are, others as ``KIND/TARGET``."""
    for configuration in configurations:
        for job, state in _remembered(configuration):
            if state is not None or not _stands_for_several(job):
                yield _word(job), job.kind


def _moments(configurations: Sequence[Configuration], source: str) -> Iterator[tuple[str, str]]:
    """Days of archives, the newest first, and what is not in the calendar."""
    from s3napback.rotation import day_date

    days = {day for _, day in _archives(configurations, source)}
    yield "yesterday", ""
    for day in sorted(days, reverse=True):
        yield day_date(day).isoformat(), ""


def _keys(configurations: Sequence[Configuration], source: str) -> Iterator[tuple[str, str]]:
    """Keys of archives, the newest first."""
    from s3napback.rotation import day_date

    for key, day in sorted(_archives(configurations, source), key=lambda pair: (-pair[1], pair[0])):
        yield key, day_date(day).isoformat()


def _origins(configurations: Sequence[Configuration], _source: str) -> Iterator[tuple[str, str]]:
    """Names of Cycles."""
    for configuration in configurations:
        yield from ((job.cycle, "") for job in configuration.jobs if job.cycle)


def _archives(configurations: Sequence[Configuration], source: str) -> Iterator[tuple[str, int]]:
    """Keys and days of the archives that are remembered, of one source, or of all if it is empty."""
    for configuration in configurations:
        for job, state in _remembered(configuration):
            if state is None or (source and source not in (_word(job), str(job.source), job.name)):
                continue
            yield from ((key, stored.day) for key, stored in state.stored.items())
            yield from ((link.key, link.day) for link in state.history.chain)


def _remembered(configuration: Configuration) -> Iterator[tuple[Job, SourceState | None]]:
    """The sources of a configuration, with what is remembered of each; those of a folder as they were last seen."""
    from s3napback.adopting import state_of
    from s3napback.state import remembered_of_several

    state = state_of(configuration)
    for job in configuration.jobs:
        if _stands_for_several(job):
            yield from remembered_of_several(state, job)
        else:
            yield job, state.load(job.name)


def _stands_for_several(job: Job) -> bool:
    from s3napback.kinds import kind_of

    return kind_of(job.kind).stands_for_several(job.target)


def _word(job: Job) -> str:
    return job.target if job.target.startswith("/") else f"{job.kind}/{job.target}"
