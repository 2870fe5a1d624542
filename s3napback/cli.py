"""The command line: options, and the only place where an error becomes a message and an exit code."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

import click

from s3napback import __version__
from s3napback.errors import Interrupted, S3napbackError

if TYPE_CHECKING:
    from s3napback.planning import Wishes

EXIT_CODES = """\b
Exit codes:
  0        everything is done, or nothing was due
  1        at least one source failed; the others were done
  2        the command line, a configuration, a key, credentials or a bucket
           cannot be used; nothing of that configuration was begun
  3        done, with warnings (only with --strict)
  4        another run holds the lock
  70       a bug in s3napback
  129, 130, 143  interrupted by SIGHUP, SIGINT, SIGTERM
"""
EXIT_USAGE = 2
EXIT_WARNINGS = 3
EXIT_BUG = 70

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

logger = logging.getLogger("s3napback")


@click.group(
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=EXIT_CODES,
)
@click.version_option(__version__, "--version", message="s3napback %(version)s")
@click.option(
    "-c", "--config", "arguments", metavar="CONF", multiple=True, help="A configuration file; may be repeated. A bare "
    "NAME means /etc/s3napback/NAME.conf.",
)  # fmt: skip
@click.option("-t", "--test", is_flag=True, help="Report what would be done, and touch nothing.")
@click.option("-f", "--force", is_flag=True, help="Back up what is not due, done already, or looks suspicious.")
@click.option("-d", "--debug", is_flag=True, help="Print debug messages, and tracebacks.")
@click.option("--full", is_flag=True, help="Make FULLs where DIFFs would be due.")
@click.option("--take-over", is_flag=True, help="Replace archives that belong to another host or source.")
@click.option("--today", type=click.DateTime(["%Y-%m-%d"]), metavar="YYYY-MM-DD", help="Pretend that this is the date.")
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
    full: bool,
    take_over: bool,
    today: datetime | None,
    strict: bool,
    log_config: Path | None,
) -> None:
    """Back up what the configurations name: the nightly run, unless a COMMAND says otherwise."""
    from s3napback.config.loading import resolve_configuration_path
    from s3napback.logs import configure_logging
    from s3napback.planning import Wishes

    paths = [resolve_configuration_path(argument) for argument in arguments]
    configure_logging(log_config, paths, debug)
    context.obj = Invocation(tuple(paths), today.date() if today else date.today())
    if context.invoked_subcommand is None:
        wishes = Wishes(force=force, full=full, take_over=take_over)
        context.obj.run_each(lambda path: _run_one(path, context.obj.day, wishes, test=test, strict=strict))


@dataclass(frozen=True)
class Invocation:
    """What every command needs of the options that stand before it.

    Attributes:
        paths: of the configurations, as ``-c`` named them.
        day: the calendar date of the run.
    """

    paths: tuple[Path, ...]
    day: date

    def run_each(self, action: Callable[[Path], int]) -> NoReturn:
        """Do something with each configuration, and end the process with the highest exit code.

        Each stands by itself: a bad one does not stop the others.

        Raises:
            click.UsageError: there is none.
        """
        if not self.paths:
            raise click.UsageError("no configuration given; name one with -c CONF")
        sys.exit(max([_exit_code(partial(action, path)) for path in self.paths]))


def _run_one(path: Path, day: date, wishes: Wishes, *, test: bool, strict: bool) -> int:
    from s3napback.commands import backup
    from s3napback.config.loading import load_configuration

    configuration = load_configuration(path)
    tally = backup.rehearse(configuration, day, wishes, click.echo) if test else backup.run(configuration, day, wishes)
    return tally.exit_code or (EXIT_WARNINGS if strict and tally.warnings else 0)


def _exit_code(action: Callable[[], int]) -> int:
    """Do something, and turn what goes wrong into messages and an exit code."""
    try:
        return action()
    except S3napbackError as error:
        for line in str(error).splitlines():
            logger.error("%s", line)
        logger.debug("details", exc_info=True)
        return error.exit_code
    except (click.ClickException, click.exceptions.Exit):
        raise
    except Exception as error:
        logger.error("a bug in s3napback: %s: %s; run with -d for details", type(error).__name__, error)
        logger.debug("details", exc_info=True)
        return EXIT_BUG


def _raise_on_signals() -> None:
    """Let the first SIGINT, SIGTERM or SIGHUP raise ``Interrupted``; later ones do not disturb the clean-up."""

    def interrupt(number: int, _frame: FrameType | None) -> None:
        for each in caught:
            signal.signal(each, signal.SIG_IGN)
        raise Interrupted(number)

    # A signal that is ignored already, as SIGHUP is under nohup, stays ignored.
    caught = [each for each in _SIGNALS if signal.getsignal(each) is not signal.SIG_IGN]
    for each in caught:
        signal.signal(each, interrupt)


def main() -> None:
    """Run the command line and end the process with its exit code."""
    _raise_on_signals()
    try:
        sys.exit(_exit_code(lambda: command_line.main(prog_name="s3napback")))
    except Interrupted as interruption:
        logger.error("%s; the archive that was being made is discarded, the former one stays", interruption)
        sys.exit(interruption.exit_code)
