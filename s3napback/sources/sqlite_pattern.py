"""Patterns of SQLite databases: each file that one matches is a source of its own."""

from __future__ import annotations

import logging
import os
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from s3napback.answering import real_path
from s3napback.config.settings import Job
from s3napback.errors import SourceError, SourceSilent
from s3napback.formatting import printable
from s3napback.kinds import kind_of
from s3napback.records import dataclass
from s3napback.sources import Expansion
from s3napback.sources.holding_up import Entering
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
    others = _Others.of(job, all_jobs)
    for path in sorted(_matching("/", job.target.lstrip("/").split("/"), remarks, Entering(job))):
        found = True
        inner = replace(job, target=path, name=kind_of(job.kind).name_within(job.name, job.target, path))
        remark = _remark(inner, job, others)
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


def _matching(folder: str, parts: Sequence[str], remarks: list[Remark], entering: Entering) -> Iterator[str]:
    """Paths below a folder, of files that match; what could not be looked into is remarked on."""
    first, *others = parts
    try:
        entering.require_answer(folder)
        names = _names(folder, first)
    except (FileNotFoundError, NotADirectoryError):
        return
    except (OSError, SourceSilent) as error:
        why = error.strerror if isinstance(error, OSError) else error
        what = f"{printable(folder)} cannot be looked into, and what may match there is NOT backed up: {why}"
        remarks.append((logging.WARNING, what))
        return
    for name in names:
        path = posixpath.join(folder, name)
        if others:
            yield from _matching(path, others, remarks, entering)
        elif not name.endswith(_COMPANIONS) and os.path.lexists(path) and not os.path.isdir(path):  # noqa: PTH112
            yield path


def _names(folder: str, pattern: str) -> list[str]:
    if not has_wildcard(pattern):
        return [pattern]
    with os.scandir(folder) as entries:
        return [entry.name for entry in entries if matches_pattern(pattern, entry.name)]


@dataclass(frozen=True)
class _Others:
    """What else there is in the configuration.

    Attributes:
        own: entries of one database, by its path, and by that without symbolic links.
        before: patterns that come before this one.
        names: every entry, by its name.
    """

    own: Mapping[str, Job]
    before: Sequence[Job]
    names: Mapping[str, Job]

    @classmethod
    def of(cls, job: Job, all_jobs: Sequence[Job]) -> _Others:
        """Those beside a pattern, looked up once for all that it matches; the first of several counts."""
        same = [other for other in all_jobs if other.kind == job.kind]
        several = kind_of(job.kind).stands_for_several
        own: dict[str, Job] = {}
        for other in same:
            if not several(other.target):
                own.setdefault(other.target, other)
                own.setdefault(real_path(other.target), other)
        before = same[: next(number for number, each in enumerate(same) if each is job)]
        names: dict[str, Job] = {}
        for other in all_jobs:
            names.setdefault(other.name, other)
        return cls(own, [other for other in before if several(other.target)], names)


def _remark(inner: Job, job: Job, others: _Others) -> Remark | None:
    """Why a file does not get the job that it would; None if nothing speaks against it."""
    path = printable(inner.target)
    kind = kind_of(job.kind)
    if any("\ud800" <= character <= "\udfff" for character in inner.target):
        return logging.WARNING, f"{path} is passed over and NOT backed up: its name is not UTF-8; rename it"
    try:
        normalised_path(inner.target)
    except InvalidNameError as error:
        return logging.WARNING, f"{path} is passed over and NOT backed up: {error}; rename it"
    own = others.own.get(inner.target) or others.own.get(os.path.realpath(inner.target))
    if own is not None:
        return logging.INFO, f"{inner.source} has an entry of its own at {own.position} and is left to that"
    for other in others.before:
        covers = kind.covers(other.target, inner.target)
        if covers and kind.name_within(other.name, other.target, inner.target) == inner.name:
            return logging.INFO, f"{inner.source} is matched by {other.source} at {other.position} and is left to that"
    if (clash := others.names.get(inner.name)) is not None:
        return logging.ERROR, (
            f"{inner.source} FAILED: its archives would have the names of those of {clash.source} at "
            f"{clash.position}; put the two into Cycles of different names"
        )
    return None
