"""The part of the command line that brings back: restore, dump."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from s3napback.command_group import AS_OF, AT, FROM, PASSPHRASE, SeveralKeys, given, whole_path
from s3napback.overview import Invocation
from s3napback.speaking import confirm, say


@click.command("dump")
@click.argument("source")
@click.argument("path", required=False)
@AT
@AS_OF
@FROM
@PASSPHRASE
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


@click.command("restore", cls=SeveralKeys)
@click.argument("source")
@click.argument("paths", nargs=-1, metavar="[PATH]...")
@click.option("--to", "where", required=True, callback=whole_path, metavar="WHERE", help="A directory that is new or "
    "empty; for a database a new file, or - for standard output; for Subversion a new repository, or - for its dumps.",
)  # fmt: skip
@AT
@AS_OF
@FROM
@click.option("--keys", multiple=True, metavar="KEY...", help="The chain, named by hand, the FULL first: for "
    "copies that lost their metadata.")  # fmt: skip
@click.option("--in-place", is_flag=True, help="Merge into a directory that holds something, deleting nothing.")
@click.option("--strict-metadata", "strict", is_flag=True, help="Restore nothing of a directory, unless the target "
    "takes all owners, permissions, attributes and devices.")  # fmt: skip
@click.option("--staging", callback=given, metavar="DIR", help="Prepare the restore of a directory in this folder, not "
    "in WHERE.")  # fmt: skip
@click.option("--yes", "agreed", is_flag=True, help="Do not ask before --in-place.")
@PASSPHRASE
@click.option("--require-signature", is_flag=True, help="Restore only what GpgSignKey has signed.")
@click.option("--original", is_flag=True, help="Only what the original tool left; otherwise if nothing else is as old.")
@click.option("-t", "-n", "--test", is_flag=True, help="Tell what would be fetched, in which order, and touch nothing.")
@click.pass_obj
def restore_command(
    invocation: Invocation,
    /,
    *,
    source: str,
    paths: tuple[str, ...],
    where: str,
    at: str | None,
    as_of: datetime | None,
    origin: str | None,
    keys: tuple[str, ...],
    in_place: bool,
    strict: bool,
    staging: str | None,
    agreed: bool,
    passphrase_file: Path | None,
    require_signature: bool,
    original: bool,
    test: bool,
) -> None:
    """Restore SOURCE, or only PATHs of a directory, as of a day."""
    from s3napback.commands import restore
    from s3napback.config.loading import load_for_reading as load

    if len(invocation.paths) > 1:
        raise click.UsageError("restore works with one configuration: give -c once")
    if not all((source, where, *paths)):
        raise click.UsageError("SOURCE, PATH or WHERE is empty: a variable of the shell may not be set")
    request = restore.RestoreRequest(
        source=source,
        where=Path(where),
        paths=paths,
        at=at or "",
        origin=origin or "",
        keys=keys,
        in_place=in_place,
        strict=strict,
        staging=Path(staging) if staging else None,
        agreed=agreed,
        passphrase_file=passphrase_file,
        require_signature=require_signature,
        original=original,
        test=test or invocation.test,
    )
    invocation.run_each(lambda path: restore.restore(load(path, as_of), request, invocation.day, say, confirm))
