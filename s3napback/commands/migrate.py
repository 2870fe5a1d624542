"""``migrate``: an old configuration in today's words, which plans the same. Touches nothing but the new file."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from s3napback.config.differences import differences
from s3napback.config.loading import examine
from s3napback.config.migrating import Migration
from s3napback.config.reading import read_text
from s3napback.config.settings import Configuration, Position
from s3napback.durable import sync_folder, write_private
from s3napback.errors import ConfigurationError, UnusableConfiguration
from s3napback.formatting import counted

logger = logging.getLogger("s3napback")

_NOWHERE = Position("", 0)


def migrate(path: Path, target: Path | None, say: Callable[[str], None], *, test: bool) -> int:
    """Write a configuration anew.

    Args:
        path: the old one.
        target: where the new one goes; None shows it.
        say: takes the text that is the result.
        test: show what would differ, and write nothing.

    Returns:
        The exit code.

    Raises:
        ConfigurationError: the old one cannot be used.
        UnusableConfiguration: the new one would plan something else, or cannot be written.
    """
    examined = examine(path)
    there = (target or path).absolute()
    notes = differences(examined.entries)
    text = Migration(examined, notes, there.parent, read_text).text()
    changed, noted = len(examined.changes), sum(map(len, notes.values()))
    _require_same_plan(examined.configuration, there, text)
    if test:
        old, new = read_text(path).split("\n"), text.split("\n")
        say(
            "".join(f"{line}\n" for line in difflib.unified_diff(old, new, str(path), str(target or path), lineterm=""))
        )
    elif target is None:
        say(text)
    else:
        _write(target, text)
    summary = f"{counted(changed, 'change')}, {counted(noted, 'remark')} on what differs"
    logger.info("%s: %s; what it plans is the same", target or path, summary)
    return 0


def _require_same_plan(old: Configuration, path: Path, text: str) -> None:
    """Make sure that what is going to be written means the same.

    Raises:
        UnusableConfiguration: it does not.
    """
    try:
        new = examine(path, text)
    except ConfigurationError as error:
        raise UnusableConfiguration(
            f"{old.path} cannot be migrated, because what would be written could not be read:", *error.lines
        ) from error
    if _plan(new.configuration) != _plan(old):
        raise UnusableConfiguration(
            f"{old.path} cannot be migrated: what would be written would plan something else; change it by hand, after "
            "the warnings that -t shows"
        )


def _plan(configuration: Configuration) -> Configuration:
    jobs = tuple(replace(job, position=_NOWHERE) for job in configuration.jobs)
    return replace(configuration, path=Path(), jobs=jobs, warnings=())


def _write(target: Path, text: str) -> None:
    try:
        write_private(target, text.encode())
        sync_folder(target.absolute().parent)
    except FileExistsError:
        raise UnusableConfiguration(f"{target} exists, and was left as it is: name a file that does not") from None
    except OSError as error:
        raise UnusableConfiguration(f"{target} cannot be written: {error.strerror}") from error
