"""How the command line reads what people write: options anywhere, names from elsewhere, and values that can be used."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from s3napback.completing import teach
from s3napback.formatting import alike, printable
from s3napback.ownership import require_own
from s3napback.regexes import regex
from s3napback.speaking import cannot_be_written

Given = Callable[[], Sequence[click.Command]]
"""Imports some commands."""

HELP = "help"
"""The command that is there when nothing else is well."""
ALIASES: Mapping[str, str] = {"snapshots": "list", "check": "verify"}
"""What other backup programs call a command, and ours."""
_NIGHTLY = frozenset({"run", "backup", "create", "save", "snapshot"})
_ELSEWHERE: Mapping[str, str] = {
    **dict.fromkeys(("--dry-run", "--dryrun", "--simulate", "--just-print"), "--test"),
    "--verbose": "--debug",
    "--silent": "--quiet",
}
"""What other programs call an option, and ours; it is named, not taken, lest it mean something else."""
_COMPLETING = "_S3NAPBACK_COMPLETE"
"""The variable by which a shell asks (click, "Shell Completion")."""
_OF_READERS = (
    "It is for list, restore, verify, dump, ls, find, history and diff, which only read: what was cannot be changed, "
    "nor backed up to."
)
_WHOLE = 1000
"""Characters that no first sentence of a command's help has."""
_DAY = regex(r"\d{4}-\d\d-\d\d", re.ASCII)


class ExistingPath(click.Path):
    """What is there. What may not be looked at is said to be that, and not to be absent."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """See ``click``; the path."""
        try:
            os.stat(value)  # noqa: PTH116 - any bytes
        except (FileNotFoundError, NotADirectoryError, ValueError):
            pass  # click says so
        except OSError as error:
            self.fail(f"{printable(os.fsdecode(value))} cannot be looked at: {error.strerror}", param, ctx)
        return super().convert(value, param, ctx)


class OwnFile(ExistingPath):
    """An existing file that nobody else can change. What gives its content once, as a pipe, is none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """See ``click``; the path of the file."""
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        require_own(path)
        if path.is_fifo():
            # It is read for each archive, and by processes that do not have our descriptors.
            self.fail(f"{path} is a pipe, which gives its content once: write it into a file of mode 600", param, ctx)
        # /dev/stdin is another file to every other process.
        return path.resolve()


def given(_context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """A text that was left out, or is not empty as that of a variable which the shell has not set.

    Raises:
        click.BadParameter: it is empty.
    """
    if value is not None and not value.strip():
        raise click.BadParameter("it is empty: a variable of the shell may not be set", param=parameter)
    return value


def day(_context: click.Context, parameter: click.Parameter, value: str | None) -> date | None:
    """A calendar date, if one was given.

    Raises:
        click.BadParameter: it is none.
    """
    if value is None:
        return None
    try:
        if _DAY.fullmatch(value):
            return date.fromisoformat(value)
    except ValueError:
        pass
    raise click.BadParameter(f"{value!r} is no date; write it as 2026-11-23", param=parameter)


def whole_number(least: int, most: int) -> Callable[[click.Context, click.Parameter, str], int]:
    """Reads a whole number, or raises ``click.BadParameter`` if it is none, or out of range."""

    def read(_context: click.Context, parameter: click.Parameter, value: str) -> int:
        if re.fullmatch(r"\d{1,9}", value, re.ASCII) and least <= int(value) <= most:
            return int(value)
        raise click.BadParameter(f"{value!r} is no whole number from {least} to {most}", param=parameter)

    return read


def whole_path(_context: click.Context, parameter: click.Parameter, value: Path | None) -> Path | None:
    """A path that begins with no ``~``: within quotes, and behind ``--to=``, the shell leaves it as it is.

    Raises:
        click.BadParameter: it does, and a folder of that name would be made.
    """
    if value is not None and os.fsdecode(value).startswith("~"):
        raise click.BadParameter(
            "~ is expanded neither by the shell in this place, nor here; write the path in full", param=parameter
        )
    return value


def past(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """A day that has been, or tomorrow, which it is elsewhere already: else the newest archive is not what is meant.

    Raises:
        click.BadParameter: it is empty, or begins with a later date.
    """
    given(context, parameter, value)
    found = _DAY.match(value or "")
    today = max(date.today(), getattr(context.obj, "day", date.min))
    if found and _is_date(found[0]) and found[0] > (today + timedelta(days=1)).isoformat():
        raise click.BadParameter(f"{value} lies in the future; today is {today}", param=parameter)
    return value


def all_past(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """Days of which ``past`` holds for each."""
    for value in values:
        past(context, parameter, value)
    return values


def _is_date(text: str) -> bool:
    """Whether there is such a day; what there is not, is told as that by whoever reads it."""
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def instant(_context: click.Context, parameter: click.Parameter, value: str | None) -> datetime | None:
    """A point in time, if one was given; a date alone is none: it can mean its begin or its end.

    Raises:
        click.BadParameter: it is none.
    """
    from s3napback.recovery.moments import read_time  # noqa: PLC0415 - takes a while, and most commands need none

    if value is None:
        return None
    try:
        return read_time(value)
    except (ValueError, OverflowError):
        raise click.BadParameter(
            f"{value!r} is no time; write it as '2026-11-23 14:30', or with a zone as 2026-11-23T14:30:00Z",
            param=parameter,
        ) from None


def require_none_of_the_run(context: click.Context, **options: bool) -> None:
    """Refuse a command with options that only the nightly run obeys: whoever writes them relies on them.

    Args:
        options: by the names of parameters, whether they were given.

    Raises:
        click.UsageError: there is one.
    """
    for name in [name for name, is_given in options.items() if is_given]:
        written = "--" + name.replace("_", "-")
        raise click.UsageError(f"{written} is for the nightly run, and has no meaning for {context.invoked_subcommand}")


AS_OF = click.option(
    "--as-of", callback=instant, default=None, metavar="TIME", help="Show the store as it was at this time by its own "
    "clock, as far as it keeps older versions: what has been overwritten or deleted since is there, and nothing newer.",
)  # fmt: skip


AT = click.option(
    "--at", callback=past, metavar="WHEN", help="A date, a time, yesterday, '3 days ago', or an archive's key; "
    "otherwise the newest.",
)  # fmt: skip
FROM = click.option(
    "--from", "origin", callback=given, metavar="NAME", help="Only from this Cycle, or archives of this name."
)
PASSPHRASE = click.option(
    "--passphrase-file", type=OwnFile(exists=True, dir_okay=False, path_type=Path), metavar="FILE",
    help="Where the gpg key's passphrase stands.",
)  # fmt: skip


def stand_somewhere(context: click.Context) -> None:
    """Leave a current folder that has been removed: tar does not begin there, and the nightly run needs nothing of it.

    Raises:
        click.UsageError: there is a command, which may be given paths that begin there.
    """
    try:
        Path.cwd()
    except FileNotFoundError:
        if context.invoked_subcommand is not None:
            raise click.UsageError("the current folder has been removed: go to another one (cd /)") from None
        os.chdir("/")


def _is_option(word: str) -> bool:
    """Keys of the root directory, as ``-0-FULL``, begin with a dash, too."""
    return word.startswith("-") and not word[1:2].isdigit()


class SeveralKeys(click.Command):
    """Takes several words after one ``--keys``."""

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        """See ``click``."""
        words: list[str] = []
        in_keys = False
        for word, behind in zip(args, [*args, "--"][1:], strict=True):
            if word == "--keys" and _is_option(behind) and not context.resilient_parsing:
                raise click.UsageError("--keys names no key: a variable of the shell may not be set", context)
            in_keys = word == "--keys" or (in_keys and not _is_option(word))
            words += ["--keys", word] if in_keys and word != "--keys" else [] if in_keys else [word]
        return super().parse_args(context, words)


class CommandGroup(click.Group):
    """Commands with general options that may stand before the command or behind it.

    Most are added when one of them is looked at: their modules are not imported before.
    """

    def __init__(self, *args: Any, later: Mapping[Given, Sequence[str]], **attributes: Any) -> None:
        """See ``click``.

        Args:
            later: what gives commands, and the names of these.
        """
        super().__init__(*args, **attributes)
        self._later = {name: give for give, names in later.items() for name in names}
        teach(self)

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        """See ``click``. The parameters of commands learn to propose what they take."""
        super().add_command(cmd, name)
        cmd.epilog = f"More of it: s3napback help {cmd.name}" if cmd.name != HELP else None
        teach(cmd)

    def main(self, *args: Any, **extra: Any) -> Any:
        """See ``click``. Its own words (help, version) may find no room, as those of commands."""
        if _COMPLETING in os.environ:
            from s3napback.shell_scripts import register  # noqa: PLC0415 - nobody else needs it

            register()
        try:
            return super().main(*args, **extra)
        except click.NoSuchOption as error:
            if error.option_name == "--as-of":
                raise click.UsageError(f"{error.message} {_OF_READERS}", error.ctx) from error
            if not _is_option(error.option_name):
                raise click.UsageError(
                    f"{error.message} A key that begins with a dash stands behind --", error.ctx
                ) from error
            if error.option_name not in _ELSEWHERE:
                raise
            hint = f"{error.message} Here it is called {_ELSEWHERE[error.option_name]}"
            raise click.UsageError(hint, error.ctx) from error
        except OSError as error:
            if error.filename is not None:
                raise
            raise cannot_be_written(error) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """See ``click``, which cuts sentences short where a terminal is narrow."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, each.get_short_help_str(_WHOLE)) for name, each in self.every(ctx).items()])

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """See ``click``. General options behind the command are moved in front of it."""
        return super().parse_args(ctx, self._general_first(ctx, args))

    def every(self, ctx: click.Context | None = None) -> Mapping[str, click.Command]:
        """All commands by their names, in order."""
        context = ctx or click.Context(self)
        found = ((name, self.get_command(context, name)) for name in self.list_commands(context))
        return {name: command for name, command in found if command}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """See ``click``."""
        return sorted({*super().list_commands(ctx), *self._later})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """See ``click``."""
        name = ALIASES.get(cmd_name, cmd_name)
        if name in self._later and name not in self.commands:
            for command in self._later[name]():
                self.add_command(command)
        return super().get_command(ctx, name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """See ``click``. The original took configurations' names in this place, and gets the line that is meant."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            if args[0].lower() in _NIGHTLY:
                raise click.UsageError(
                    f"{error.message} The nightly run has no name: leave the word out", ctx
                ) from error
            if near := alike(args[0].lower(), [*self.list_commands(ctx), *ALIASES], 1):
                raise click.UsageError(f"{error.message} Did you mean {near[0]!r}?", ctx) from error
            named = [*ctx.params.get("arguments", ()), *(word for word in args if not word.startswith("-"))]
            written = shlex.join(part for word in named for part in ("-c", str(word)))
            hint = f"{error.message} Configurations are named with -c: s3napback {written}"
            raise click.UsageError(hint, ctx) from error

    def _general_first(self, context: click.Context, words: Sequence[str]) -> list[str]:
        general = _options(self.params)
        at = _first_argument(words, general)
        command = self.get_command(context, words[at]) if at < len(words) else None
        if command is None:
            return list(words)
        # An option of the command itself wins over a general one of the same name.
        own = {"-h": 0, "--help": 0, **_options(command.params)}
        moved: list[str] = []
        kept: list[str] = []
        position = at + 1
        while position < len(words):
            if words[position] == "--":
                kept += words[position:]
                break
            known = own if _length(words[position], own) else general
            length = _length(words[position], known)
            (moved if length and known is general else kept).extend(words[position : position + max(length, 1)])
            position += max(length, 1)
        return [*words[:at], *moved, words[at], *kept]


def _options(parameters: Sequence[click.Parameter]) -> Mapping[str, int]:
    """Every spelling of every option, and how many words it takes besides itself."""
    return {
        spelling: 0 if option.is_flag or option.count else option.nargs
        for option in parameters
        if isinstance(option, click.Option)
        for spelling in (*option.opts, *option.secondary_opts)
    }


def _length(word: str, options: Mapping[str, int]) -> int:
    """How many words an option takes that begins here, with itself; 0 if it is none of these."""
    if word.startswith("--"):
        name, equals, _value = word.partition("=")
        return 0 if name not in options else 1 if equals else 1 + options[name]
    if not word.startswith("-") or word == "-":
        return 0
    # Several flags behind one dash; the last one may take a value, with or without a blank.
    for place, letter in enumerate(word[1:], 1):
        taken = options.get(f"-{letter}")
        if taken is None:
            return 0
        if taken:
            return 1 if word[place + 1 :] else 1 + taken
    return 1


def _first_argument(words: Sequence[str], options: Mapping[str, int]) -> int:
    """The place of the command; the number of words if there is none."""
    position = 0
    while position < len(words) and words[position] != "--" and words[position].startswith("-"):
        position += max(_length(words[position], options), 1)
    return position
