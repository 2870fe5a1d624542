"""Folders of Subversion repositories: each repository directly below one is a source of its own."""

from __future__ import annotations

import logging
import os
import posixpath
import stat
from collections.abc import Mapping, Sequence
from dataclasses import replace

from s3napback.answering import real_path
from s3napback.config.settings import Job
from s3napback.errors import SourceError, SourceSilent
from s3napback.formatting import printable
from s3napback.kinds import SUBVERSION
from s3napback.sources import Expansion
from s3napback.sources.holding_up import Entering, require_answer_of


def expand_subversion_dir(job: Job, all_jobs: Sequence[Job], *, may_be_empty: bool) -> Expansion:
    """One job for each repository.

    Args:
        job: the folder's.
        all_jobs: those of the whole configuration; a repository that has one of its own is left to that.
        may_be_empty: accept a folder that holds no repository.

    Raises:
        SourceError: the folder does not exist, cannot be read, or holds no repository.
    """
    require_answer_of(job)
    entering = Entering(job)
    folder = job.target
    own = {real_path(other.target): other for other in all_jobs if other.kind == SUBVERSION.name}
    names = {other.name: other for other in all_jobs}
    jobs: list[Job] = []
    remarks: list[tuple[int, str]] = []
    found = False
    for entry in _folders(job):
        path = posixpath.join(folder, entry)
        try:
            entering.require_answer(path)
        except SourceSilent as error:
            remarks.append((logging.ERROR, f"{job.kind} {printable(path)} FAILED: {error}"))
            found = True
            continue
        if not is_repository(path):
            remarks.append((logging.INFO, f"{printable(path)} is not a Subversion repository and is passed over"))
            continue
        found = True
        candidate = replace(job, kind=SUBVERSION.name, target=path, name=posixpath.join(job.name, entry))
        remark = _remark(candidate, own, names)
        if remark:
            remarks.append(remark)
        else:
            jobs.append(candidate)
    if not found and not may_be_empty:
        raise SourceError(
            f"{job.source} holds no repository. Is a disk not mounted? If it is meant to be empty, run once with -f"
        )
    return Expansion(jobs, remarks)


def is_repository(path: str) -> bool:
    """Whether a folder looks like a repository, damaged or not, by what ``svnadmin create`` puts into every one.

    What may not be looked at counts as one, so that its backup fails aloud.
    """
    try:
        # Something else in the place of the file is damage, and not for us to pass over.
        os.stat(posixpath.join(path, "format"), follow_symlinks=False)  # noqa: PTH116 - any bytes
        return stat.S_ISDIR(os.stat(posixpath.join(path, "db")).st_mode)  # noqa: PTH116
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True


def _folders(job: Job) -> list[str]:
    """Names of all that is no plain file, in order."""
    try:
        with os.scandir(job.target) as entries:
            return sorted(entry.name for entry in entries if not entry.is_file())
    except FileNotFoundError:
        raise SourceError(f"{job.source} does not exist") from None
    except NotADirectoryError:
        raise SourceError(f"{job.source} is not a directory") from None
    except OSError as error:
        raise SourceError(f"{job.source} cannot be read: {error.strerror}") from None


def _remark(job: Job, own: Mapping[str, Job], names: Mapping[str, Job]) -> tuple[int, str] | None:
    """Why a repository does not get the job that it would; None if nothing speaks against it."""
    if (other := own.get(os.path.realpath(job.target))) is not None:
        return logging.INFO, f"{job.source} has an entry of its own at {other.position} and is left to that"
    if not _is_utf8(job.target):
        return (
            logging.WARNING,
            f"{printable(str(job.source))} is passed over and NOT backed up: its name is not UTF-8; rename it",
        )
    if (other := names.get(job.name)) is not None:
        return logging.ERROR, (
            f"{job.source} FAILED: its archives would have the names of those of {other.source} at {other.position}; "
            "put the two into Cycles of different names"
        )
    return None


def _is_utf8(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)
