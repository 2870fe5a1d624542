"""The command line: options, and the only place where an error becomes a message and an exit code."""

from __future__ import annotations

import gc
import logging
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import date
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from s3napback import __version__, ending, standing
from s3napback.command_group import HELP, CommandGroup, day, require_none_of_the_run, stand_somewhere
from s3napback.errors import EXIT_BUG, EXIT_WARNINGS, Interrupted, LockHeld
from s3napback.formatting import printable
from s3napback.letters import note_outcome
from s3napback.logs import finish, log_lines, say_last
from s3napback.records import dataclass
from s3napback.scarcity import foreseen
from s3napback.speaking import drop_unwritten_errors, say
from s3napback.zones import require_local_time, zone_warning

if TYPE_CHECKING:
    from s3napback.deciding.facts import BackupOptions

EXIT_CODES = """The manual: s3napback help

\b
Exit codes:
  0        everything is done, or nothing was due
  1        at least one source failed; the others were done
  2        the command line, a configuration, a key, credentials or a bucket
           cannot be used; nothing of that configuration was begun
  3        done, with warnings (only with --strict)
  4        another run holds the lock
  70       a bug in s3napback
  129, 130, 131, 143  interrupted by SIGHUP, SIGINT, SIGQUIT, SIGTERM
"""
DEFAULT_CONFIGURATION = "s3napback"
"""The name that is meant without ``-c``."""
_MILD = (0, EXIT_WARNINGS, LockHeld.exit_code)
"""Nothing has failed. Whoever does not mind these must not be shown one of them where something has."""

logger = logging.getLogger("s3napback")


def _beginning() -> Sequence[click.Command]:
    from s3napback.beginning import init_command, migrate_command

    return init_command, migrate_command


def _exercise() -> Sequence[click.Command]:
    from s3napback.exercise import drill_command, verify_command

    return drill_command, verify_command


def _helping() -> Sequence[click.Command]:
    from s3napback.helping import help_command

    return (help_command,)


def _looking() -> Sequence[click.Command]:
    from s3napback.looking import diff_command, find_command, history_command, ls_command

    return diff_command, find_command, history_command, ls_command


def _overview() -> Sequence[click.Command]:
    from s3napback.overview import (
        doctor_command,
        list_command,
        prune_command,
        report_command,
        schedule_command,
        status_command,
    )

    return doctor_command, list_command, prune_command, report_command, schedule_command, status_command


def _restoring() -> Sequence[click.Command]:
    from s3napback.restoring import dump_command, restore_command

    return dump_command, restore_command


_COMMANDS = {
    _beginning: ("init", "migrate"),
    _exercise: ("drill", "verify"),
    _helping: (HELP,),
    _looking: ("diff", "find", "history", "ls"),
    _overview: ("doctor", "list", "prune", "report", "schedule", "status"),
    _restoring: ("dump", "restore"),
}
"""What gives commands, and their names, by which one of them is asked for: the nightly run needs none."""


@click.group(
    cls=CommandGroup,
    later=_COMMANDS,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=EXIT_CODES,
)
@click.version_option(__version__, "--version", message="s3napback %(version)s")
@click.option(
    "-c", "--config", "arguments", metavar="CONF", multiple=True, help="A configuration file; may be repeated. A bare "
    "NAME means /etc/s3napback/NAME.conf, never a file of the current folder. Without -c it is s3napback.",
)  # fmt: skip
@click.option("-t", "-n", "--test", is_flag=True, help="Report what would be done, and touch nothing.")
@click.option("-f", "--force", is_flag=True, help="Back up what is not due, done already, or looks suspicious.")
@click.option("-d", "-v", "--debug", is_flag=True, help="Print debug messages, and tracebacks.")
@click.option("-q", "--quiet", is_flag=True, help="Log nothing but warnings and errors to the terminal.")
@click.option("--full", is_flag=True, help="Make FULLs where DIFFs would be due.")
@click.option("--take-over", is_flag=True, help="Replace archives that belong to another host or source.")
@click.option("--today", callback=day, metavar="YYYY-MM-DD", help="Pretend that this is the date.")
@click.option("--strict", is_flag=True, help="Exit with 3 where there were warnings.")
@click.option(
    "--log-config", type=click.Path(path_type=Path), metavar="FILE", help="Logging settings, in the format of Python's "
    "fileConfig. Otherwise logging.ini beside the configuration, or in /etc/s3napback.",
)  # fmt: skip
@click.pass_context
def command_line(
    context: click.Context,
    /,
    *,
    arguments: Sequence[str],
    test: bool,
    force: bool,
    debug: bool,
    quiet: bool,
    full: bool,
    take_over: bool,
    today: date | None,
    strict: bool,
    log_config: Path | None,
) -> None:
    """Back up what the configurations name: the nightly run, unless a COMMAND says otherwise."""
    if context.invoked_subcommand is not None:
        require_none_of_the_run(context, force=force, full=full, take_over=take_over, strict=strict)
    if context.invoked_subcommand == HELP:
        return
    stand_somewhere(context)
    from s3napback.config.loading import configuration_paths
    from s3napback.logs import configure_logging

    paths = configuration_paths(arguments, DEFAULT_CONFIGURATION)
    is_night = not (test or context.invoked_subcommand)
    configure_logging(log_config, paths, debug, quiet=quiet, begins_with_failure=is_night)
    if context.invoked_subcommand is not None and (warning := zone_warning()):
        logger.warning("%s", warning)
    context.obj = Invocation(tuple(paths), today or date.today(), test, quiet, strict, is_named=bool(arguments))
    if context.invoked_subcommand is None:
        from s3napback.deciding.facts import BackupOptions

        wanted = BackupOptions(force=force, full=full, take_over=take_over, strict=strict)
        context.obj.run_each(
            lambda path: _run_one(path, context.obj.day, wanted, test=test, debug=debug),
            has_heading=test,
        )


@dataclass(frozen=True)
class Invocation:
    """What every command needs of the options that stand before it.

    Attributes:
        paths: of the configurations, as ``-c`` named them.
        day: the calendar date of the run.
        test: ``-t``: nothing may be touched.
        quiet: ``-q``: the terminal is shown nothing but warnings.
        strict: ``--strict``: what was done with warnings is no success.
        is_named: ``-c`` was given; otherwise what there is was found by its usual name.
    """

    paths: tuple[Path, ...]
    day: date
    test: bool = False
    quiet: bool = False
    strict: bool = False
    is_named: bool = True

    def run_each(self, action: Callable[[Path], int], *, has_heading: bool = False) -> NoReturn:
        """Do something with each configuration, and end the process with the gravest exit code.

        Each stands by itself: a bad one does not stop the others.

        Args:
            action: returns an exit code.
            has_heading: what is printed of several ones stands below their names.

        Raises:
            click.UsageError: there is none.
        """
        if not self.paths:
            from s3napback.commands.init import own_one

            raise click.UsageError(
                f"no configuration given, and there is no /etc/s3napback/{DEFAULT_CONFIGURATION}.conf; "
                f"name one with -c CONF{own_one()}"
            )

        def act(path: Path) -> int:
            if has_heading and len(self.paths) > 1:
                say(f"{path}:")
            return action(path)

        from s3napback.progress.showing import showing_progress

        with showing_progress(is_wanted=not (self.test or self.quiet)):
            codes = [_exit_code(partial(act, path)) for path in self.paths]
        code = max(codes, key=_weight)
        # Mail goes out at the very end, and may not be taken.
        sys.exit(EXIT_WARNINGS if code == 0 and self.strict and not finish() else code)


def _weight(code: int) -> tuple[bool, int]:
    """By which exit codes of several configurations are ordered."""
    return code not in _MILD, code


def _run_one(path: Path, day: date, options: BackupOptions, *, test: bool, debug: bool) -> int:
    from s3napback.commands import backup
    from s3napback.config.loading import load_configuration

    note_outcome(path.stem, "not begun")
    configuration = load_configuration(path)
    try:
        if test:
            tally = backup.rehearse(configuration, day, options, say, shows_commands=debug)
        else:
            tally = backup.run(configuration, day, options)
    except Interrupted as interruption:
        note_outcome(path.stem, str(interruption))
        raise
    note_outcome(path.stem, f"{tally.done} done, {tally.skipped} skipped, {tally.failed} failed")
    return tally.exit_code_of(options.strict)


def _exit_code(action: Callable[[], int]) -> int:
    """Do something, and turn what goes wrong into messages and an exit code."""
    try:
        return action()
    except (click.ClickException, click.exceptions.Exit):
        raise
    except Exception as error:
        if failure := foreseen(error):
            log_lines(logger, logging.ERROR, failure.lines)
            logger.debug("details", exc_info=True)
            return failure.exit_code
        logger.error(
            "a bug in s3napback: %s: %s; run it with -d, and report what that prints", type(error).__name__, error
        )
        logger.debug("details", exc_info=True)
        return EXIT_BUG


def _run_command_line() -> int:
    """Do what the arguments ask for, or say what is wrong with them."""
    ending.catch_signals()
    standing.answer_signals()
    require_local_time()
    try:
        return int(command_line.main(prog_name="s3napback", standalone_mode=False) or 0)
    except click.ClickException as error:
        # It quotes arguments, which a script may have from anywhere.
        shown = click.UsageError(printable(error.format_message()), getattr(error, "ctx", None))
        # A full disk behind standard error changes nothing about what was asked for.
        with suppress(OSError):
            shown.show()
        return error.exit_code


def main() -> None:
    """Run the command line and end the process with its exit code."""
    try:
        try:
            sys.exit(_exit_code(_run_command_line))
        finally:
            ending.disregard_signals()
    except Interrupted as interruption:
        say_last(f"{interruption}; what was not finished is discarded, and what was there before stays")
        ending.leave(interruption.exit_code)
    finally:
        finish()
        drop_unwritten_errors()
        # All memory ends with the process; searching it for cycles before would take 10 ms and more.
        gc.freeze()
