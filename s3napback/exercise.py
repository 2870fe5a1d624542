"""The part of the command line that proves: drills."""

from __future__ import annotations

from pathlib import Path

import click

from s3napback.command_group import OwnFile, given, past, whole_number
from s3napback.overview import Invocation
from s3napback.speaking import say

_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command("drill")
@click.argument("source", required=False, callback=given)
@click.option("--at", callback=past, metavar="WHEN", help="A date, a time, yesterday, '3 days ago', or an archive's "
    "key; otherwise the newest.")  # fmt: skip
@click.option(
    "--from", "origin", callback=given, metavar="NAME", help="Only from this Cycle, or archives of this name."
)
@click.option("--due", is_flag=True, help="Only what DrillEvery asks for, the oldest proof first.")
@click.option("--longest", type=click.FloatRange(0, 10_000), default=0, metavar="HOURS",
    help="Begin nothing more after so many hours.")  # fmt: skip
@click.option("--sample", callback=whole_number(0, 1_000_000), default="0", metavar="N",
    help="Of directories, prove N files chosen at random.")  # fmt: skip
@click.option("--against-live", is_flag=True, help="Hold directories against what is there now, too.")
@click.option("--scratch", type=_FOLDER, metavar="DIR", help="Where to restore to; otherwise TempDir.")
@click.option("--keep", type=_FOLDER, metavar="DIR", help="Leave what was restored in this folder.")
@click.option("--passphrase-file", type=OwnFile(exists=True, dir_okay=False, path_type=Path), metavar="FILE",
    help="Where the gpg key's passphrase stands.")  # fmt: skip
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
) -> None:
    """Read backups back into a scratch folder and prove what came: files by their index, databases by a server."""
    from s3napback.commands import drill
    from s3napback.config.loading import load_configuration

    request = drill.DrillRequest(
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
        test=invocation.test,
    )
    invocation.run_each(lambda path: drill.drill(load_configuration(path), request, invocation.day, say))
