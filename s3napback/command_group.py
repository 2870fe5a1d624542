"""How the command line reads what people write: options anywhere, names from elsewhere, and values that can be used."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from s3napback.ownership import require_own

ALIASES: Mapping[str, str] = {"snapshots": "list", "check": "verify"}
"""What other backup programs call a command, and ours."""
_NIGHTLY = frozenset({"run", "backup", "create", "save", "snapshot"})


class OwnFile(click.Path):
    """An existing file that nobody else can change."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """See ``click``; the path of the file."""
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        require_own(path)
        return path


def given(_context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """A text that was left out, or is not empty as that of a variable which the shell has not set.

    Raises:
        click.BadParameter: it is empty.
    """
    if value is not None and not value.strip():
        raise click.BadParameter("it is empty: a variable of the shell may not be set", param=parameter)
    return value


class CommandGroup(click.Group):
    """Commands with general options that may stand before the command or behind it."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """See ``click``. General options behind the command are moved in front of it."""
        return super().parse_args(ctx, self._general_first(ctx, args))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """See ``click``."""
        return super().get_command(ctx, ALIASES.get(cmd_name, cmd_name))

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
