"""Which class backs up which kind of source. A new kind is one line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from s3napback.config.settings import Job
from s3napback.errors import UnknownKind
from s3napback.kinds import DIRECTORY, MYSQL, POSTGRESQL, SUBVERSION, SUBVERSION_DIR, kind_of
from s3napback.sources import Expansion, Source
from s3napback.sources.directory import DirectorySource
from s3napback.sources.mysql import mysql_source
from s3napback.sources.postgresql import postgresql_source
from s3napback.sources.subversion import SubversionSource
from s3napback.sources.subversion_dir import expand_subversion_dir

Entry = TypeVar("Entry")


class Expander(Protocol):
    """Finds the jobs that one job stands for; see ``expand_job``."""

    def __call__(self, job: Job, all_jobs: Sequence[Job], *, may_be_empty: bool) -> Expansion: ...  # noqa: D102


@dataclass(frozen=True)
class Maker:
    """How sources of one kind are made.

    Attributes:
        make: makes the source that a job describes; the second argument is the name under which GNU tar was found.
        needs_tar: it is dumped by GNU tar.
    """

    make: Callable[[Job, str], Source]
    needs_tar: bool = False


MAKERS: dict[str, Maker] = {
    DIRECTORY.name: Maker(DirectorySource, needs_tar=True),
    MYSQL.name: Maker(lambda job, _tar: mysql_source(job)),
    POSTGRESQL.name: Maker(lambda job, _tar: postgresql_source(job)),
    SUBVERSION.name: Maker(lambda job, _tar: SubversionSource(job)),
}

EXPANDERS: dict[str, Expander] = {
    SUBVERSION_DIR.name: expand_subversion_dir,
}


def needs_tar(job: Job) -> bool:
    """Whether GNU tar is needed for what a job stands for."""
    kind = kind_of(job.kind)
    maker = MAKERS.get(kind.folder_of or kind.name)
    return maker is not None and maker.needs_tar


def make_source(job: Job, tar: str = "tar") -> Source:
    """The source that a job describes.

    Args:
        tar: the name under which GNU tar was found.

    Raises:
        UnknownKind: nothing backs up this kind.
    """
    return _entry(MAKERS, job.kind).make(job, tar)


def expand_job(job: Job, all_jobs: Sequence[Job], *, may_be_empty: bool = False) -> Expansion:
    """The jobs that one job stands for: itself, unless its kind is a folder of several sources.

    Args:
        all_jobs: those of the whole configuration; what has a job of its own is left to that.
        may_be_empty: accept a folder that holds none of what it is a folder of.

    Raises:
        SourceError: the folder does not exist, cannot be read, or holds nothing.
        UnknownKind: nothing looks into folders of this kind.
    """
    if not kind_of(job.kind).folder_of:
        return Expansion((job,))
    return _entry(EXPANDERS, job.kind)(job, all_jobs, may_be_empty=may_be_empty)


def _entry(registry: Mapping[str, Entry], kind: str) -> Entry:
    try:
        return registry[kind]
    except KeyError:
        raise UnknownKind(f"nothing is registered that could back up sources of the kind {kind!r}") from None
