"""Which class backs up which kind of source. A new kind is one new file and one line here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from s3napback.config.settings import Job
from s3napback.errors import SourceError
from s3napback.sources import Source
from s3napback.sources.directory import DirectorySource


@dataclass(frozen=True)
class Tools:
    """Programs that were looked up once for the whole run.

    Attributes:
        tar: the name under which GNU tar was found.
    """

    tar: str = "tar"


_MAKERS: dict[str, Callable[[Job, Tools], Source]] = {
    "Directory": lambda job, tools: DirectorySource(job, tools.tar),
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


def expand_job(job: Job, all_jobs: Sequence[Job]) -> Sequence[Job]:
    """The jobs that one job stands for: itself, unless its kind is a folder of several sources.

    Args:
        all_jobs: those of the whole configuration; what has a job of its own is left to that.
    """
    del all_jobs
    return (job,)
