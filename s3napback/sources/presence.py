"""Whether a directory is there, holds anything, and is not left out by what its own configuration excludes."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from s3napback.config.settings import Job
from s3napback.errors import SourceError
from s3napback.sources.programs import answer_of
from s3napback.streams.environment import Family

_NOT_EXPANDED = re.compile(r"[*?\[$~]|\{.*\}")


def holds_anything(job: Job) -> bool:
    """Whether there is anything in the directory.

    Raises:
        SourceError: it is missing, no directory, or cannot be read.
    """
    try:
        with os.scandir(job.target) as entries:
            return next(entries, None) is not None
    except FileNotFoundError:
        hint = "; wildcards and variables are not expanded" if _NOT_EXPANDED.search(job.target) else ""
        raise SourceError(f"{job.source} does not exist{hint}") from None
    except NotADirectoryError:
        raise SourceError(f"{job.source} is not a directory") from None
    except OSError as error:
        raise SourceError(f"{job.source} cannot be read: {error.strerror}") from None


def require_something_left(job: Job, command: Sequence[str]) -> None:
    """Refuse a directory that is excluded itself, by its name or that of one above it.

    tar is asked, with the options of the backup: which pattern matches what only it knows for certain.

    Args:
        job: of the directory.
        command: that archives it, the directory's name at its end behind ``--``.

    Raises:
        SourceError: nothing would be archived.
    """
    *options, dashes, name = command
    if not (job.settings.exclude or job.settings.tar_options):
        return
    try:
        patience = job.settings.stall_timeout or None
        entry = answer_of((*options, "--no-recursion", dashes, name), family=Family.PLAIN, timeout=patience)
    except SourceError:
        return  # what else may be wrong with tar or the directory, the backup itself says
    if not entry.strip("\0"):
        raise SourceError(nothing_left(job))


def nothing_left(job: Job) -> str:
    """What is said of a directory of which nothing would be archived."""
    return f"nothing of {job.target} would be archived: an Exclude, or a TarOptions, matches the directory itself"
