"""What the original tool's configurations hold and ours do not need: told in a warning, with what to write today.

The original parsed with Perl's Config::ApacheFormat, looked up the directives that it knew, and passed over all others.
"""

from __future__ import annotations

import re
import shlex

from s3napback.config.descriptions import DirectiveDescription, Type
from s3napback.config.directives import Directives
from s3napback.config.option_rules import Rules
from s3napback.config.problems import Change, Problems
from s3napback.config.program_options import RULES
from s3napback.config.syntax import Block, Directive
from s3napback.config.values import InvalidValueError
from s3napback.formatting import shown
from s3napback.regexes import regex

_LOGGING = "where log lines go, and how many, stands in logging.ini"
_IGNORED = {
    "notifyemail": "who gets mail stands in logging.ini, or in cron's MAILTO",
    "logfile": _LOGGING,
    "loglevel": _LOGGING,
}
"""Directives of its examples of 2008 and 2009, which it never looked at, in lower case."""

_FIRST_COUNTS = (
    Directives.CYCLE_TYPE,
    Directives.FREQUENCY,
    Directives.PHASE,
    Directives.DIFFS,
    Directives.FULLS,
    Directives.DISCS,
    Directives.ARCHIVE_OLDEST_DISC,
    Directives.USE_TEMP_FILE,
    Directives.CHUNK_SIZE,
)
"""Directives of the original's of which it looked at the first word: ``Frequency 7 days``. A path or a name of several
words has more probably lost its quotes."""

_OPTIONS_IN_ONE = (Directives.MYSQL_OPTIONS.name, Directives.POSTGRESQL_OPTIONS.name)
_SHELL_SYNTAX = regex(r"[$`;&|<>(){}*?~\\\n]")
_SEVERAL_OPTIONS = regex(r"-.*\s-|-[A-Za-z]\s|--[A-Za-z-]+\s", re.DOTALL)


def passed_over(entry: Directive, problems: Problems) -> bool:
    """Whether a directive is one that the original's examples had without effect; it is then warned of."""
    reason = _IGNORED.get(entry.name.lower())
    if reason is None:
        return False
    problems.outdated(Change(entry.position, f"{entry.name} has no effect and never had: leave it out; {reason}"))
    return True


def name_by_position(block: Block, number: int, problems: Problems) -> str:
    """The name of a Cycle that has none.

    Args:
        block: the Cycle.
        number: how many Cycles of the configuration begin before this one ends, and itself.
    """
    name = f"cycle-{number}"
    message = (
        f"<{block.name}> has no name, and is called {name} by its position; write <{block.name} {name}>, or it is "
        "called otherwise when another Cycle is put before it"
    )
    problems.outdated(Change(block.position, message, f"<{block.name} {name}>"))
    return name


def repeated(known: DirectiveDescription, entry: Directive, where: str, problems: Problems) -> None:
    """Warn of a directive that was set before and takes one value."""
    message = f"{known.name} is set already {where}, which counts; leave this one out"
    problems.outdated(Change(entry.position, message))


def words_of(known: DirectiveDescription, entry: Directive, problems: Problems) -> tuple[str, ...]:
    """The words of a directive as they are written today: a number or a switch has one, and each option is one.

    Raises:
        InvalidValueError: options in quotes cannot be split.
    """
    if known.type is Type.SWITCH and not entry.values:
        message = f"{known.name} without a value is On"
        problems.outdated(Change(entry.position, message, f"{known.name} On"), is_told=False)
        return ("On",)
    if len(entry.values) > 1 and known in _FIRST_COUNTS and not entry.values[0].startswith("="):
        first = entry.values[0]
        message = f"{known.name} takes one value, and the first of these counts; write {known.name} {shown(first)}"
        problems.outdated(Change(entry.position, message, f"{known.name} {first}"))
        return (first,)
    if known.name in _OPTIONS_IN_ONE and any(map(_holds_several, entry.values)):
        return _separate_options(known.name, entry, problems)
    return entry.values


def _separate_options(name: str, entry: Directive, problems: Problems) -> tuple[str, ...]:
    """Options of a program, each a word of its own.

    The original gave what stands in quotes to a shell, which split it at the blanks.

    Args:
        name: of the directive, as the table writes it.
        entry: its line.
        problems: takes the warning.

    Raises:
        InvalidValueError: they cannot be split without a shell.
    """
    words: list[str] = []
    for value in entry.values:
        pieces = _split(value) if _holds_several(value) else [value]
        if pieces is None:
            message = f"{name}: what stands in quotes is one word here; write each option without quotes around several"
            raise InvalidValueError(message)
        words += pieces
    # The values may be secrets, which are refused afterwards, and not shown.
    options = " ".join(each for each in _names(words, RULES[name]))
    message = f"{name}: what quotes hold together is split ({shown(options)}); write each option as a word of its own"
    problems.outdated(Change(entry.position, message, " ".join((name, *map(_quoted, words)))))
    return tuple(words)


def _holds_several(value: str) -> bool:
    return _SEVERAL_OPTIONS.match(value) is not None


def _split(value: str) -> list[str] | None:
    """The words that a shell makes of a value; None where it would do more than that."""
    if _SHELL_SYNTAX.search(value):
        return None
    try:
        return shlex.split(value)
    except ValueError:
        return None


def _names(words: list[str], rules: Rules) -> list[str]:
    return [rules.name_of(word) for word in words if word.startswith("-")]


def _quoted(word: str) -> str:
    if not re.search(r"[\s\"'#\\]", word):
        return word
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'
