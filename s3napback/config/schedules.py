"""The cycle of a block, and how its sources are dumped, from the settings in force there."""

from __future__ import annotations

from collections.abc import Iterable

from s3napback.config.descriptions import DirectiveContext
from s3napback.config.directives import HANOI_CYCLE, Directives
from s3napback.config.excludes import plain_pattern
from s3napback.config.naming import all_directives
from s3napback.config.problems import Change, Problems
from s3napback.config.scopes import Scope
from s3napback.config.settings import JobSettings, Position
from s3napback.formatting import shown
from s3napback.regexes import regex
from s3napback.rotation import HanoiCycle, Schedule, SimpleCycle

_MOST_SLOTS = 100_000
_CYCLE_DIRECTIVES = tuple(description for description in all_directives() if description.cycle)
_HIGHEST_LEVEL = {"gzip": 9, "zstd": 19}
_VARIABLE = regex(r"[A-Za-z_][A-Za-z0-9_]*")


def schedule(scope: Scope, problems: Problems) -> Schedule | None:
    """The schedule that holds in a block; None if its settings contradict each other, which is then reported."""
    _check_compression(scope, problems)
    cycle_type = scope.text(Directives.CYCLE_TYPE)
    _warn_of_the_other_cycle(cycle_type, scope, problems)
    if cycle_type == HANOI_CYCLE:
        return HanoiCycle(
            frequency=scope.integer(Directives.FREQUENCY),
            discs=scope.integer(Directives.DISCS),
            archive_oldest_disc=scope.switch(Directives.ARCHIVE_OLDEST_DISC),
        )
    cycle = SimpleCycle(
        frequency=scope.integer(Directives.FREQUENCY),
        phase=scope.integer(Directives.PHASE),
        diffs=scope.integer(Directives.DIFFS),
        fulls=scope.integer(Directives.FULLS),
        offset=scope.integer(Directives.OFFSET),
    )
    return _checked(cycle, scope, problems)


def _warn_of_the_other_cycle(cycle_type: str, scope: Scope, problems: Problems) -> None:
    """Warn of settings of the other cycle type; one from file level may be meant for other blocks."""
    for description in _CYCLE_DIRECTIVES:
        setting = scope.find(description)
        if setting is None or description.cycle == cycle_type or setting.place is DirectiveContext.FILE:
            continue
        why = scope.find(Directives.CYCLE_TYPE)
        reason = f"CycleType at {why.position}" if why else "the default CycleType"
        advice = f"leave it out, or write CycleType {description.cycle}"
        message = f"{description.name} has no effect in a {cycle_type} ({reason}); {advice}"
        # Written in a Cycle, it may have its effect in other blocks of it.
        change = Change(setting.position, message)
        if setting.place is scope.place:
            problems.outdated(change)
        else:
            problems.warning(change.position, change.message)


def _checked(cycle: SimpleCycle, scope: Scope, problems: Problems) -> SimpleCycle | None:
    if cycle.phase >= cycle.frequency:
        position = scope.at(Directives.PHASE)
        message = f"Phase {cycle.phase} must be less than Frequency, which is {cycle.frequency}"
        given = scope.find(Directives.FREQUENCY)
        where = f"at {given.position}" if given else "by default"
        same = f"Phase {cycle.phase % cycle.frequency} falls on the same days"
        problems.error(position, f"{message} {where}; {same}")
        return None
    if cycle.slots > _MOST_SLOTS:
        slots = f"Fulls × (Diffs + 1) is {cycle.slots:,} slots"
        problems.error(scope.at(Directives.FULLS), f"{slots}, and {_MOST_SLOTS:,} are the most")
        return None
    if cycle.fulls == 1 and cycle.diffs > 0:
        message = "Fulls 1 with Diffs: from each new full backup on, no older day can be restored; use Fulls 2 or more"
        problems.warning(scope.at(Directives.FULLS), message)
    return cycle


def warn_of_short_memory(source: str, position: Position, plan: Schedule, scope: Scope, problems: Problems) -> None:
    """Warn if a source that is always full is kept much shorter than its cycle suggests, and nobody said so for it."""
    fulls = scope.find(Directives.FULLS)
    chosen = fulls is not None and fulls.place is DirectiveContext.SOURCE
    if isinstance(plan, SimpleCycle) and plan.diffs > 0 and not chosen:
        kept = "only the last backup is" if plan.fulls == 1 else f"only the last {plan.fulls} backups are"
        advice = "a block of its own with more Fulls keeps more"
        problems.warning(position, f"{shown(source)} is always full, so Diffs do not count and {kept} kept; {advice}")


def _check_compression(scope: Scope, problems: Problems) -> None:
    level = scope.find(Directives.COMPRESSION_LEVEL)
    compression = scope.text(Directives.COMPRESSION)
    if level is None or not isinstance(level.value, int):
        return
    if compression not in _HIGHEST_LEVEL:
        if level.place is scope.place:
            problems.warning(level.position, f"CompressionLevel has no effect with Compression {compression}")
        return
    highest = _HIGHEST_LEVEL[compression]
    if level.value > highest:
        chosen = scope.find(Directives.COMPRESSION)
        where = f"at {chosen.position}" if chosen else "by default"
        message = f"CompressionLevel {level.value} is out of range: it is 1 to {highest} with Compression {compression}"
        problems.error(level.position, f"{message} ({where})")


def check_environment(words: Iterable[str], position: Position, problems: Problems) -> None:
    """Report what is no variable. Of its value nothing is shown, since it may be a secret."""
    names = set()
    for word in words:
        name, value = _variable(word)
        if "=" not in word or not _VARIABLE.fullmatch(name):
            problems.error(position, "Environment takes NAME=VALUE, NAME being made of letters, digits and underscores")
        elif "\0" in value:
            problems.error(position, f"Environment {name}: no value can hold a zero byte")
        elif name in names:
            problems.error(position, f"Environment {name} is set already")
        names.add(name)


def _variable(word: str) -> tuple[str, str]:
    name, _, value = word.partition("=")
    return name, value


def job_settings(scope: Scope) -> JobSettings:
    """How the sources of a block are dumped."""
    compression = scope.text(Directives.COMPRESSION)
    level = scope.integer(Directives.COMPRESSION_LEVEL)
    return JobSettings(
        exclude=tuple(dict.fromkeys(plain_pattern(pattern) for pattern in scope.all_words(Directives.EXCLUDE))),
        tar_options=scope.words(Directives.TAR_OPTIONS),
        one_file_system=scope.switch(Directives.ONE_FILE_SYSTEM),
        unreadable=scope.integer(Directives.UNREADABLE),
        mysql_options=scope.words(Directives.MYSQL_OPTIONS),
        postgresql_options=scope.words(Directives.POSTGRESQL_OPTIONS),
        run=scope.words(Directives.RUN),
        run_as=scope.text(Directives.RUN_AS),
        environment=tuple(_variable(word) for word in scope.words(Directives.ENVIRONMENT)),
        least_bytes=scope.integer(Directives.LEAST_BYTES),
        drill=scope.words(Directives.DRILL),
        drill_every=scope.integer(Directives.DRILL_EVERY),
        before=scope.words(Directives.BEFORE),
        after=scope.words(Directives.AFTER),
        use_temp_file=scope.switch(Directives.USE_TEMP_FILE),
        stall_timeout=scope.integer(Directives.STALL_TIMEOUT),
        grace=scope.integer(Directives.GRACE),
        compression=compression,
        compression_level=level if level and compression in _HIGHEST_LEVEL else None,
    )
