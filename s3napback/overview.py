"""The part of the command line that looks at the whole: what is there, how things stand, what will be done, or go."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import NoReturn, Protocol

import click

from s3napback.command_group import AS_OF, day, given, whole_number
from s3napback.speaking import say, say_bytes


class Invocation(Protocol):
    """What these commands need of the options that stand before them."""

    @property
    def paths(self) -> tuple[Path, ...]:
        """Of the configurations."""
        ...

    @property
    def is_named(self) -> bool:
        """Whether they were named, and not found by the usual name."""
        ...

    @property
    def test(self) -> bool:
        """Whether nothing may be touched."""
        ...

    @property
    def day(self) -> date:
        """The calendar date of the run."""
        ...

    def run_each(self, action: Callable[[Path], int], *, has_heading: bool = False) -> NoReturn:
        """Do something with each configuration, and end the process with the highest exit code."""
        ...


@click.command("list")
@click.argument("source", required=False, callback=given)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document for each configuration.")
@AS_OF
@click.option("--versions", is_flag=True, help="Every version of an archive that the store still holds, and when the "
    "store changed: which TIME to name.")  # fmt: skip
@click.pass_obj
def list_command(
    invocation: Invocation, /, *, source: str | None, as_json: bool, as_of: datetime | None, versions: bool
) -> None:
    """Show the days to which each source can be restored, and every archive; of one SOURCE, if that is given."""
    from s3napback.commands import list as listing
    from s3napback.commands import versions as all_versions
    from s3napback.config.loading import load_for_reading

    if versions and (as_json or as_of):
        raise click.UsageError("--versions goes neither with --as-of, as it shows all that ever was, nor with --json")
    if versions:
        invocation.run_each(lambda path: all_versions.show(load_for_reading(path), source or "", say), has_heading=True)
    layout = listing.Layout.JSON if as_json else listing.suitable_layout(sys.stdout)
    invocation.run_each(
        lambda path: listing.show(load_for_reading(path, as_of), source or "", layout, say), has_heading=not as_json
    )


@click.command("schedule")
@click.option("--days", "count", callback=whole_number(1, 3660), default="35", metavar="N", help="How many days to "
    "tell of; 35 otherwise.")  # fmt: skip
@click.option("--from", "first", callback=day, metavar="YYYY-MM-DD", help="The first of them; "
    "today otherwise.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document for each configuration.")
@click.pass_obj
def schedule_command(invocation: Invocation, *, count: int, first: date | None, as_json: bool) -> None:
    """Show which source will fill which slot on which day, and to which days one can go back then."""
    from s3napback.commands import schedule
    from s3napback.config.loading import load_configuration
    from s3napback.rotation import EPOCH

    begin = first or invocation.day
    if not EPOCH <= begin <= date.max - timedelta(days=count):
        raise click.UsageError(f"--from {begin} with --days {count}: there are days from {EPOCH} to {date.max}")
    invocation.run_each(
        lambda path: schedule.show(load_configuration(path), invocation.day, begin, count, say, as_json=as_json),
        has_heading=not as_json,
    )


@click.command("status")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document for each configuration.")
@click.option("--check", "is_check", is_flag=True, help="Print one line, and exit with 0, 1, 2 or 3 as monitoring "
    "plugins do: all is well, a warning, critical, not known.")  # fmt: skip
@click.option("--forget", callback=given, metavar="HOST/CONF", help="Note that this machine, or its configuration, is "
    "gone on purpose.")  # fmt: skip
@click.pass_obj
def status_command(invocation: Invocation, *, as_json: bool, is_check: bool, forget: str | None) -> None:
    """Show how things stand with each source; of every host, if the configuration names no sources."""
    from s3napback.commands import status
    from s3napback.config.loading import load_configuration

    if sum((as_json, is_check, forget is not None)) > 1:
        raise click.UsageError("--json, --check and --forget do not go together")
    if is_check and invocation.paths:
        sys.exit(status.check(invocation.paths, say))
    if forget is not None:
        invocation.run_each(lambda path: status.forget(load_configuration(path), forget, say, test=invocation.test))
    width = _columns(otherwise=0)
    invocation.run_each(
        lambda path: status.show(load_configuration(path), say, as_json=as_json, width=width), has_heading=not as_json
    )


@click.command("report")
@click.option("--html", "target", required=True, callback=given, metavar="FILE", help="Write the page there, in one "
    "step, readable by its owner alone unless it was there and was readable; - is standard output.")  # fmt: skip
@click.pass_obj
def report_command(invocation: Invocation, *, target: str) -> None:
    """Make a page for a browser: what needs attention, the days that can be restored, sizes and durations."""
    from s3napback.commands import report

    if not invocation.paths:
        invocation.run_each(lambda _: 0)
    write = _say_pieces if target == "-" else partial(report.write_page, Path(target), say, test=invocation.test)
    code = report.make(invocation.paths, invocation.day, write, remembers=not invocation.test)
    sys.exit(code)


def _say_pieces(data: Iterable[bytes]) -> None:
    for piece in data:
        say_bytes(piece)


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document for each configuration.")
@click.pass_obj
def doctor_command(invocation: Invocation, *, as_json: bool) -> None:
    """Look at all that backups need and are protected by, say what is to be done, and change nothing."""
    from s3napback.commands import doctor
    from s3napback.doctor.checks import MOST_WIDTH

    width = _columns(otherwise=MOST_WIDTH)
    invocation.run_each(
        lambda path: doctor.examine(path, invocation.day, say, as_json=as_json, width=width), has_heading=not as_json
    )


def _columns(*, otherwise: int) -> int:
    """How wide the terminal is that gets the result, or a number where that is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else otherwise


@click.command("prune")
@click.option("--yes", is_flag=True, help="Delete it, in place of only showing it.")
@click.option("--unowned", is_flag=True, help="Also archives under names that no block of the configuration claims.")
@click.option("--original", is_flag=True, help="What the original tool left, and nothing else.")
@click.option(
    "--upload-age", callback=whole_number(0, 36_500), default="7", metavar="DAYS", help="Unfinished uploads that are "
    "as old, 7 days otherwise; younger ones may be another machine's that is at work.",
)  # fmt: skip
@click.pass_obj
def prune_command(invocation: Invocation, *, yes: bool, unowned: bool, original: bool, upload_age: int) -> None:
    """Show, and with --yes delete, what the rotation no longer needs."""
    from s3napback.commands import prune
    from s3napback.config.loading import load_configuration

    delete = yes and not invocation.test
    invocation.run_each(
        lambda path: prune.prune(
            load_configuration(path),
            invocation.day,
            say,
            delete=delete,
            unowned=unowned,
            original=original,
            upload_age=upload_age,
        ),
        has_heading=True,
    )
