"""The part of the command line that proves: by reading archives, and by restoring them."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from s3napback.command_group import AS_OF, AT, FROM, PASSPHRASE, ExistingPath, given, whole_number
from s3napback.overview import Invocation
from s3napback.speaking import say

_FOLDER = ExistingPath(exists=True, file_okay=False, path_type=Path)


@click.command("verify")
@click.argument("source", required=False, callback=given)
@AT
@AS_OF
@FROM
@click.option("--all", "every", is_flag=True, help="Every archive that can be restored, not only the newest chain.")
@click.option("--keyless", is_flag=True, help="Check stored bytes against their sums, where the secret key is not.")
@click.option(
    "--compare", "against_live", is_flag=True, help="Compare the state of directories with what is there now."
)
@PASSPHRASE
@click.option("--original", is_flag=True, help="What the original tool left, be it of SOURCE or all of it.")
@click.pass_obj
def verify_command(
    invocation: Invocation,
    /,
    *,
    source: str | None,
    at: str | None,
    as_of: datetime | None,
    origin: str | None,
    every: bool,
    keyless: bool,
    against_live: bool,
    passphrase_file: Path | None,
    original: bool,
) -> None:
    """Decode the archives that a restore of SOURCE, or of all sources, would need, to nothing; report on each."""
    from s3napback.commands import verify
    from s3napback.config.loading import load_for_reading

    if against_live and (every or keyless):
        raise click.UsageError("--compare goes neither with --all nor with --keyless")
    if every and at:
        raise click.UsageError("--at names one state, so it does not go with --all")
    request = verify.VerifyRequest(
        source or "", at or "", origin or "", every, keyless, against_live, passphrase_file, original, invocation.test
    )
    invocation.run_each(
        lambda path: verify.verify(load_for_reading(path, as_of), request, invocation.day, say), has_heading=True
    )


@click.command("drill")
@click.argument("source", required=False, callback=given)
@AT
@FROM
@click.option("--due", is_flag=True, help="Only what DrillEvery asks for, the oldest proof first.")
@click.option("--longest", type=click.FloatRange(0, 10_000), default=0, metavar="HOURS",
    help="Begin nothing more after so many hours.")  # fmt: skip
@click.option("--sample", callback=whole_number(0, 1_000_000), default="0", metavar="N",
    help="Of directories, prove N files chosen at random.")  # fmt: skip
@click.option("--against-live", is_flag=True, help="Hold directories against what is there now, too.")
@click.option("--scratch", type=_FOLDER, metavar="DIR", help="Where to restore to; otherwise TempDir.")
@click.option("--keep", type=_FOLDER, metavar="DIR", help="Leave what was restored in this folder.")
@PASSPHRASE
@click.option("--original", is_flag=True, help="What the original tool left, be it of SOURCE or all of it.")
@click.pass_obj
def drill_command(
    invocation: Invocation,
    *,
    source: str | None,
    at: str | None,
    origin: str | None,
    due: bool,
    longest: float,
    sample: int,
    against_live: bool,
    scratch: Path | None,
    keep: Path | None,
    passphrase_file: Path | None,
    original: bool,
) -> None:
    """Read backups back into a scratch folder and prove what came: files by their index, databases by a server."""
    from s3napback.commands import drill
    from s3napback.config.loading import load_for_reading
    from s3napback.drilling.request import DrillRequest

    request = DrillRequest(
        source=source or "",
        at=at or "",
        origin=origin or "",
        due=due,
        longest=longest,
        sample=sample,
        against_live=against_live,
        scratch=scratch,
        keep=keep,
        passphrase_file=passphrase_file,
        original=original,
        test=invocation.test,
    )
    invocation.run_each(lambda path: drill.drill(load_for_reading(path), request, invocation.day, say))
