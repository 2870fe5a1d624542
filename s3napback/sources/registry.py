"""Which class backs up which kind of source. A new kind is one new file and one line here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from s3napback.config.settings import Job
from s3napback.errors import SourceError
from s3napback.sources import Expansion, Source
from s3napback.sources.directory import DirectorySource
from s3napback.sources.mysql import mysql_source
from s3napback.sources.postgresql import postgresql_source
from s3napback.sources.subversion import SubversionSource
from s3napback.sources.subversion_dir import expand_subversion_dir


@dataclass(frozen=True)
class Tools:
    """Programs that were looked up once for the whole run.

    Attributes:
        tar: the name under which GNU tar was found.
    """

    tar: str = "tar"


class Expander(Protocol):
    """Finds the jobs that one job stands for; see ``expand_job``."""

    def __call__(self, job: Job, all_jobs: Sequence[Job], *, may_be_empty: bool) -> Expansion: ...  # noqa: D102


_MAKERS: dict[str, Callable[[Job, Tools], Source]] = {
    "Directory": lambda job, tools: DirectorySource(job, tools.tar),
    "MySQL": lambda job, _tools: mysql_source(job),
    "PostgreSQL": lambda job, _tools: postgresql_source(job),
    "Subversion": lambda job, _tools: SubversionSource(job),
}

_EXPANDERS: dict[str, Expander] = {
    "SubversionDir": expand_subversion_dir,
}


def make_source(job: Job, tools: Tools) -> Source:
    """The source that a job describes.

    Raises:
        SourceError: no class backs up this kind.
    """
    try:
        maker = _MAKERS[job.kind]
    except KeyError:
        raise SourceError(f"{job.source}: sources of kind {job.kind} are not yet supported") from None
    return maker(job, tools)


def expand_job(job: Job, all_jobs: Sequence[Job], *, may_be_empty: bool = False) -> Expansion:
    """The jobs that one job stands for: itself, unless its kind is a folder of several sources.

    Args:
        all_jobs: those of the whole configuration; what has a job of its own is left to that.
        may_be_empty: accept a folder that holds none of what it is a folder of.

    Raises:
        SourceError: the folder does not exist, cannot be read, or holds nothing.
    """
    expand = _EXPANDERS.get(job.kind)
    return Expansion((job,)) if expand is None else expand(job, all_jobs, may_be_empty=may_be_empty)
