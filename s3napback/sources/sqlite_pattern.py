"""Patterns of SQLite databases: each file that one matches is a source of its own."""

from __future__ import annotations

import logging
import os
import posixpath
from collections.abc import Iterator, Sequence
from dataclasses import replace

from s3napback.config.settings import Job
from s3napback.errors import SourceError
from s3napback.formatting import printable
from s3napback.kinds import kind_of
from s3napback.sources import Expansion
from s3napback.targets import InvalidNameError, has_wildcard, matches_pattern, normalised_path

_COMPANIONS = ("-wal", "-shm", "-journal")
"""Ends of the names of what SQLite keeps beside a database ("Temporary Files Used By SQLite")."""

Remark = tuple[int, str]


def expand_pattern(job: Job, all_jobs: Sequence[Job], *, may_be_empty: bool) -> Expansion:
    """One job for each file that matches.

    Args:
        job: the pattern's.
        all_jobs: those of the whole configuration; a file that has one of its own is left to that, and one that several
            patterns would keep under one name to the first of them.
        may_be_empty: accept a pattern that matches nothing.

    Raises:
        SourceError: it matches nothing.
    """
    remarks: list[Remark] = []
    jobs: list[Job] = []
    found = False
    for path in sorted(_matching("/", job.target.lstrip("/").split("/"), remarks)):
        found = True
        inner = replace(job, target=path, name=kind_of(job.kind).name_within(job.name, job.target, path))
        remark = _remark(inner, job, all_jobs)
        if remark:
            remarks.append(remark)
        else:
            jobs.append(inner)
    if not found and not may_be_empty:
        blocked = "".join(f"; {text}" for level, text in remarks if level >= logging.WARNING)
        raise SourceError(
            f"{job.source} matches no file. Is a disk not mounted? If there is meant to be none, run once with -f"
            f"{blocked}"
        )
    return Expansion(jobs, remarks)


def _matching(folder: str, parts: Sequence[str], remarks: list[Remark]) -> Iterator[str]:
    """Paths below a folder, of files that match; what could not be looked into is remarked on."""
    first, *others = parts
    try:
        names = _names(folder, first)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        what = f"{printable(folder)} cannot be looked into, and what may match there is NOT backed up: {error.strerror}"
        remarks.append((logging.WARNING, what))
        return
    for name in names:
        path = posixpath.join(folder, name)
        if others:
            yield from _matching(path, others, remarks)
        elif not name.endswith(_COMPANIONS) and os.path.lexists(path) and not os.path.isdir(path):  # noqa: PTH112
            yield path


def _names(folder: str, pattern: str) -> list[str]:
    if not has_wildcard(pattern):
        return [pattern]
    with os.scandir(folder) as entries:
        return [entry.name for entry in entries if matches_pattern(pattern, entry.name)]


def _remark(inner: Job, job: Job, all_jobs: Sequence[Job]) -> Remark | None:
    """Why a file does not get the job that it would; None if nothing speaks against it."""
    path = printable(inner.target)
    kind = kind_of(job.kind)
    if any("\ud800" <= character <= "\udfff" for character in inner.target):
        return logging.WARNING, f"{path} is passed over and NOT backed up: its name is not UTF-8; rename it"
    try:
        normalised_path(inner.target)
    except InvalidNameError as error:
        return logging.WARNING, f"{path} is passed over and NOT backed up: {error}; rename it"
    same = [other for other in all_jobs if other.kind == job.kind]
    for other in same:
        if not kind.stands_for_several(other.target) and _is_same_file(other.target, inner.target):
            return logging.INFO, f"{inner.source} has an entry of its own at {other.position} and is left to that"
    for other in same[: next(number for number, each in enumerate(same) if each is job)]:
        several = kind.stands_for_several(other.target) and kind.covers(other.target, inner.target)
        if several and kind.name_within(other.name, other.target, inner.target) == inner.name:
            return logging.INFO, f"{inner.source} is matched by {other.source} at {other.position} and is left to that"
    for other in all_jobs:
        if other.name == inner.name:
            return logging.ERROR, (
                f"{inner.source} FAILED: its archives would have the names of those of {other.source} at "
                f"{other.position}; put the two into Cycles of different names"
            )
    return None


def _is_same_file(one: str, other: str) -> bool:
    return one == other or os.path.realpath(one) == os.path.realpath(other)
