"""The part of the command line that makes configurations: init, migrate."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from s3napback.command_group import given, whole_path
from s3napback.overview import Invocation
from s3napback.speaking import at_terminal, say, say_file


@click.command("init")
@click.option("--store", callback=given, metavar="WHERE", help="Where archives go: a folder, or the name of a bucket.")
@click.option("--endpoint", callback=given, metavar="URL", help="Of an S3 server other than Amazon's.")
@click.option("--region", callback=given, metavar="REGION", help="Of the bucket.")
@click.option("--key-file", callback=given, metavar="FILE", help="A file with the lines key=… and secret=… for S3; "
    "otherwise boto3 finds credentials.")  # fmt: skip
@click.option(
    "--directory", "directories", multiple=True, metavar="DIR", help="A folder that is backed up; may be repeated."
)
@click.option("--recipient", callback=given, metavar="KEY", help="Encrypt for this gpg key: a fingerprint or address.")
@click.option("--make-key", "makes_key", is_flag=True, help="Make a new gpg key, without a passphrase.")
@click.option("--no-encryption", "is_plain", is_flag=True, help="Let archives be plain text.")
@click.option(
    "--start",
    type=click.Choice(("systemd", "cron", "none")),
    metavar="HOW",
    help="systemd, cron or none: what starts it every night; otherwise the first that there is.",
)
@click.option("--diff-dir", callback=given, metavar="DIR", help="Where is remembered what the next night needs.")
@click.pass_obj
def init_command(
    invocation: Invocation,
    /,
    *,
    store: str | None,
    endpoint: str | None,
    region: str | None,
    key_file: str | None,
    directories: tuple[str, ...],
    recipient: str | None,
    makes_key: bool,
    is_plain: bool,
    start: str | None,
    diff_dir: str | None,
) -> None:
    """Make a first configuration: a few questions, unless options answer them; nothing is ever overwritten."""
    from s3napback.commands import init
    from s3napback.founding.questions import Wishes

    if len(invocation.paths) > 1:
        raise click.UsageError("init makes one configuration: give -c once")
    if sum((recipient is not None, makes_key, is_plain)) > 1:
        raise click.UsageError("--recipient, --make-key and --no-encryption do not go together")
    wishes = Wishes(
        store=store,
        endpoint=endpoint,
        region=region,
        key_file=key_file,
        directories=directories,
        recipient=recipient,
        makes_key=makes_key,
        is_plain=is_plain,
        start=start,
        diff_dir=diff_dir,
    )
    terminal = at_terminal()
    if terminal is None and (lacking := wishes.lacking()):
        raise click.UsageError(f"there is no terminal to ask at; what is missing: {'; '.join(lacking)}")
    path = invocation.paths[0] if invocation.is_named else init.default_path()
    sys.exit(init.found(path, wishes, terminal, say, test=invocation.test))


@click.command("migrate")
@click.option("--to", "target", callback=whole_path, type=click.Path(path_type=Path), metavar="NEW.conf",
    help="Write it there; the file must not exist. Otherwise it is printed.")  # fmt: skip
@click.pass_obj
def migrate_command(invocation: Invocation, target: Path | None) -> None:
    """Write a configuration of the original's anew, in today's words, each change explained; -t shows a diff."""
    from s3napback.commands import migrate

    if target is not None and len(invocation.paths) > 1:
        raise click.UsageError("--to takes one configuration: give -c once")
    invocation.run_each(lambda path: migrate.migrate(path, target, say_file, test=invocation.test))
