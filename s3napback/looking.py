"""The part of the command line that shows what was in directories: ls, find, history, diff."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from s3napback.command_group import AS_OF, AT, FROM, PASSPHRASE, all_past, given, past
from s3napback.overview import Invocation
from s3napback.speaking import say, say_bytes

if TYPE_CHECKING:
    from s3napback.commands.looking import LookRequest, Output

_SIGNATURE = click.option("--require-signature", is_flag=True, help="Believe only what GpgSignKey has signed.")
_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
_NAMES = click.option("-0", "--null", "as_names", is_flag=True, help="Print names alone, as they are, each ended by a "
    "NUL.")  # fmt: skip

Command = Callable[..., None]


def _reading(command: Command) -> Command:
    """The options that all of these commands have."""
    for option in (_SIGNATURE, PASSPHRASE, _JSON, FROM, AS_OF):
        command = option(command)
    return command


def _request(source: str, at: str | None, options: dict[str, Any]) -> LookRequest:
    from s3napback.commands.looking import LookRequest

    return LookRequest(
        source=source,
        at=at or "",
        origin=options["origin"] or "",
        passphrase_file=options["passphrase_file"],
        require_signature=options["require_signature"],
    )


def _output(*, as_json: bool, as_names: bool = False) -> Output:
    from s3napback.commands.looking import Output, OutputForm

    if as_json and as_names:
        raise click.UsageError("--json and -0 do not go together")
    layout = OutputForm.TERMINAL if sys.stdout.isatty() else OutputForm.PLAIN
    layout = OutputForm.JSON if as_json else OutputForm.NAMES if as_names else layout
    return Output(layout, say, say_bytes)


def _require_words(command: str, invocation: Invocation, *words: str) -> None:
    if len(invocation.paths) > 1:
        raise click.UsageError(f"{command} works with one configuration: give -c once")
    if not all(words):
        raise click.UsageError("a word is empty: a variable of the shell may not be set")


@click.command("ls")
@click.argument("source")
@click.argument("path", required=False)
@click.option("-R", "--recursive", "is_deep", is_flag=True, help="Also all that lies in folders.")
@AT
@_NAMES
@_reading
@click.pass_obj
def ls_command(
    invocation: Invocation,
    /,
    *,
    source: str,
    path: str | None,
    is_deep: bool,
    at: str | None,
    as_of: datetime | None,
    as_json: bool,
    as_names: bool,
    **options: Any,
) -> None:
    """Show what a directory held on a day, as a restore would bring it: of a folder what lies in it."""
    from s3napback.commands import ls
    from s3napback.config.loading import load_for_reading

    _require_words("ls", invocation, source, *([] if path is None else [path]))
    request, output = _request(source, at, options), _output(as_json=as_json, as_names=as_names)
    listing = (path or "", is_deep)
    invocation.run_each(lambda conf: ls.show(load_for_reading(conf, as_of), request, listing, invocation.day, output))


@click.command("find")
@click.argument("pattern")
@click.argument("source", required=False, callback=given)
@click.option("--at", callback=past, metavar="WHEN", help="Only in the backup of that day; otherwise in all of them.")
@_NAMES
@_reading
@click.pass_obj
def find_command(
    invocation: Invocation,
    /,
    *,
    pattern: str,
    source: str | None,
    at: str | None,
    as_of: datetime | None,
    as_json: bool,
    as_names: bool,
    **options: Any,
) -> None:
    """Look for names in all backups of SOURCE, or of all directories: *, ? and [a-z] stand for others; with a slash in
    it PATTERN is for absolute paths.
    """
    from s3napback.commands import find
    from s3napback.config.loading import load_for_reading

    _require_words("find", invocation, pattern)
    request, output = _request(source or "", at, options), _output(as_json=as_json, as_names=as_names)
    invocation.run_each(lambda conf: find.show(load_for_reading(conf, as_of), request, pattern, invocation.day, output))


@click.command("history")
@click.argument("words", nargs=-1, required=True, metavar="[SOURCE] PATH")
@_reading
@click.pass_obj
def history_command(
    invocation: Invocation, /, *, words: tuple[str, ...], as_of: datetime | None, as_json: bool, **options: Any
) -> None:
    """Show what became of one PATH over all backups: what it was on which days, when it was gone or not read."""
    from s3napback.commands import history
    from s3napback.config.loading import load_for_reading

    if len(words) > 2:
        raise click.UsageError("history takes one PATH, and in front of it maybe its SOURCE")
    _require_words("history", invocation, *words)
    request, output = _request("".join(words[:-1]), None, options), _output(as_json=as_json)
    invocation.run_each(
        lambda conf: history.show(load_for_reading(conf, as_of), request, words[-1], invocation.day, output)
    )


@click.command("diff")
@click.argument("source")
@click.argument("days", nargs=-1, callback=all_past, metavar="[DAY [DAY]]")
@_NAMES
@_reading
@click.pass_obj
def diff_command(
    invocation: Invocation,
    /,
    *,
    source: str,
    days: tuple[str, ...],
    as_of: datetime | None,
    as_json: bool,
    as_names: bool,
    **options: Any,
) -> None:
    """Show what differs in a directory between two DAYs, written as for --at; one DAY is compared with the newest
    backup, and without any that with the last one of an earlier day.
    """
    from s3napback.commands import diff
    from s3napback.config.loading import load_for_reading

    if len(days) > 2:
        raise click.UsageError("diff takes two DAYs at most")
    _require_words("diff", invocation, source, *days)
    request, output = _request(source, None, options), _output(as_json=as_json, as_names=as_names)
    invocation.run_each(lambda conf: diff.show(load_for_reading(conf, as_of), request, days, invocation.day, output))
