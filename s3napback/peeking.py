"""The part of the command line that looks into archives."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from s3napback.command_group import AS_OF, OwnFile, given, past
from s3napback.overview import Invocation
from s3napback.speaking import say


@click.command("dump")
@click.argument("source")
@click.argument("path", required=False)
@click.option("--at", callback=past, metavar="WHEN", help="A date, a time, yesterday, '3 days ago', or an archive's "
    "key; otherwise the newest.")  # fmt: skip
@AS_OF
@click.option(
    "--from", "origin", callback=given, metavar="NAME", help="Only from this Cycle, or archives of this name."
)
@click.option("--passphrase-file", type=OwnFile(exists=True, dir_okay=False, path_type=Path), metavar="FILE",
    help="Where the gpg key's passphrase stands.")  # fmt: skip
@click.option("--require-signature", is_flag=True, help="Write only what GpgSignKey has signed.")
@click.pass_obj
def dump_command(
    invocation: Invocation,
    *,
    source: str,
    path: str | None,
    at: str | None,
    as_of: datetime | None,
    origin: str | None,
    passphrase_file: Path | None,
    require_signature: bool,
) -> None:
    """Write a file of a directory, or a folder as tar, to standard output; it is whole only if this ends with 0."""
    from s3napback.commands import restore
    from s3napback.config.loading import load_for_reading
    from s3napback.recovery.single_file import TO_STANDARD_OUTPUT

    if len(invocation.paths) > 1:
        raise click.UsageError("dump works with one configuration: give -c once")
    if "" in (source, path):
        raise click.UsageError("SOURCE or PATH is empty: a variable of the shell may not be set")
    request = restore.RestoreRequest(
        source=source,
        where=TO_STANDARD_OUTPUT,
        paths=(path,) if path else (),
        at=at or "",
        origin=origin or "",
        passphrase_file=passphrase_file,
        require_signature=require_signature,
        test=invocation.test,
    )
    invocation.run_each(
        lambda conf: restore.restore(load_for_reading(conf, as_of), request, invocation.day, say, lambda _: None)
    )
