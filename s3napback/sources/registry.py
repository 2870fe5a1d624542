"""Which class backs up which kind of source. A new kind is one line here.

It is imported when a source of that kind is met, which of most kinds no configuration has any.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import Protocol, TypeVar

from s3napback.config.settings import Job
from s3napback.errors import UnknownKind
from s3napback.kinds import COMMAND, DIRECTORY, MYSQL, POSTGRESQL, SQLITE, SUBVERSION, SUBVERSION_DIR, kind_of
from s3napback.records import dataclass
from s3napback.sources import Expansion, Source
from s3napback.sources.in_use import DatabasesInUse

Entry = TypeVar("Entry")


@dataclass(frozen=True)
class Tools:
    """What is looked up once for all sources of a run.

    Attributes:
        tar: the name under which GNU tar was found.
        temp_dir: TempDir; empty is the system's.
        databases: what is in use on this machine.
    """

    tar: str = "tar"
    temp_dir: str = ""
    databases: DatabasesInUse = field(default_factory=DatabasesInUse)


class Expander(Protocol):
    """Finds the jobs that one job stands for; see ``expand_job``."""

    def __call__(self, job: Job, all_jobs: Sequence[Job], *, may_be_empty: bool) -> Expansion: ...  # noqa: D102


@dataclass(frozen=True)
class Maker:
    """How sources of one kind are made.

    Attributes:
        make: makes the source that a job describes.
        needs_tar: it is dumped by GNU tar.
    """

    make: Callable[[Job, Tools], Source]
    needs_tar: bool = False


def _directory(job: Job, tools: Tools) -> Source:
    from s3napback.sources.directory import DirectorySource

    return DirectorySource(job, tools.tar, tools.databases)


def _mysql(job: Job, _tools: Tools) -> Source:
    from s3napback.sources.mysql import mysql_source

    return mysql_source(job)


def _postgresql(job: Job, _tools: Tools) -> Source:
    from s3napback.sources.postgresql import postgresql_source

    return postgresql_source(job)


def _subversion(job: Job, _tools: Tools) -> Source:
    from s3napback.sources.subversion import SubversionSource

    return SubversionSource(job)


def _subversions(job: Job, all_jobs: Sequence[Job], *, may_be_empty: bool) -> Expansion:
    from s3napback.sources.subversion_dir import expand_subversion_dir

    return expand_subversion_dir(job, all_jobs, may_be_empty=may_be_empty)


def _sqlite(job: Job, tools: Tools) -> Source:
    from s3napback.sources.sqlite import SQLiteSource

    return SQLiteSource(job, tools.temp_dir)


def _sqlites(job: Job, all_jobs: Sequence[Job], *, may_be_empty: bool) -> Expansion:
    from s3napback.sources.sqlite_pattern import expand_pattern

    return expand_pattern(job, all_jobs, may_be_empty=may_be_empty)


def _command(job: Job, _tools: Tools) -> Source:
    from s3napback.sources.command import CommandSource

    return CommandSource(job)


MAKERS: dict[str, Maker] = {
    DIRECTORY.name: Maker(_directory, needs_tar=True),
    MYSQL.name: Maker(_mysql),
    POSTGRESQL.name: Maker(_postgresql),
    SUBVERSION.name: Maker(_subversion),
    SQLITE.name: Maker(_sqlite),
    COMMAND.name: Maker(_command),
}

EXPANDERS: dict[str, Expander] = {
    SUBVERSION_DIR.name: _subversions,
    SQLITE.name: _sqlites,
}


def needs_tar(job: Job) -> bool:
    """Whether GNU tar is needed for what a job stands for."""
    kind = kind_of(job.kind)
    maker = MAKERS.get(kind.folder_of or kind.name)
    return maker is not None and maker.needs_tar


def make_source(job: Job, tools: Tools | None = None) -> Source:
    """The source that a job describes.

    Args:
        tools: of the run.

    Raises:
        UnknownKind: nothing backs up this kind.
    """
    return _entry(MAKERS, job.kind).make(job, tools or Tools())


def expand_job(job: Job, all_jobs: Sequence[Job], *, may_be_empty: bool = False) -> Expansion:
    """The jobs that one job stands for: itself, unless it is a folder, or a pattern, of several sources.

    Args:
        all_jobs: those of the whole configuration; what has a job of its own is left to that.
        may_be_empty: accept a folder that holds none of what it is a folder of.

    Raises:
        SourceError: the folder does not exist, cannot be read, or holds nothing.
        UnknownKind: nothing looks into folders of this kind.
    """
    if not kind_of(job.kind).stands_for_several(job.target):
        return Expansion((job,))
    return _entry(EXPANDERS, job.kind)(job, all_jobs, may_be_empty=may_be_empty)


def _entry(registry: Mapping[str, Entry], kind: str) -> Entry:
    try:
        return registry[kind]
    except KeyError:
        raise UnknownKind(f"nothing is registered that could back up sources of the kind {kind!r}") from None
