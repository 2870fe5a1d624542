"""Whose the archives in a store are, seen from one configuration: which of them its blocks claim. Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from functools import cached_property
from itertools import takewhile
from operator import itemgetter
from pathlib import PurePosixPath

from s3napback.archives import ArchiveRecord
from s3napback.catalogue.contents import Catalogue, CataloguedArchive
from s3napback.config.settings import Job
from s3napback.kinds import SourceName, kind_of
from s3napback.records import dataclass
from s3napback.targets import has_wildcard


class Claim(Enum):
    """What a configuration has to do with an archive; the value says it in a few words."""

    CURRENT = "current"
    FORMER_NAME = "former name"
    NO_BLOCK = "no block"
    OTHER_SOURCE = "name of another source"
    ELSEWHERE = "another prefix, or a copy"
    OTHER_HOST = "another host"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Claims:
    """The blocks of a configuration, as claims to names.

    Attributes:
        host: the HostName under which they own archives.
        jobs: one for each source in each cycle.
    """

    host: str
    jobs: Sequence[Job]

    def judge(self, archive: CataloguedArchive) -> tuple[Claim, Job | None]:
        """What the configuration has to do with an archive, and the job that claims it or its source.

        - ``CURRENT``: a block keeps this source under this name.
        - ``FORMER_NAME``: a block keeps this source in the same Cycle, under another name now.
        - ``NO_BLOCK``: the name is one that this source had, and no block claims it.
        - ``OTHER_SOURCE``: the name is claimed for another source.
        - ``ELSEWHERE``: the source never had this name: another configuration's Prefix, or a copy made by hand.
        - ``OTHER_HOST``: it belongs to another HostName.
        - ``UNKNOWN``: it has no metadata.
        """
        record = archive.record
        if record is None:
            return Claim.UNKNOWN, None
        if record.owner.host != self.host:
            return Claim.OTHER_HOST, None
        for job in self._candidates(record.owner.source):
            if record.owner.source in sources_of(job, archive.base):
                return Claim.CURRENT, job
        if archive.base in self._names:
            return Claim.OTHER_SOURCE, None
        if is_stray(archive) or not record.owner.source.kind:
            return Claim.ELSEWHERE, None
        return self._judge_unclaimed(record)

    def keepers(self, source: SourceName) -> list[Job]:
        """The jobs that back up a source, under whatever name, and first the blocks of its own."""
        return [job for job in self._candidates(source) if keeps(job, source)]

    def _candidates(self, source: SourceName) -> Iterator[Job]:
        """All jobs that can have to do with a source: there may be thousands, and each is asked for each archive."""
        yield from self._single.get(source, ())
        folders = {source.target, *map(str, PurePosixPath(source.target).parents)} if self._several else ()
        found = [pair for folder in folders for pair in self._several.get(folder, ())]
        yield from (job for _, job in sorted(found, key=itemgetter(0)))

    @cached_property
    def _names(self) -> frozenset[str]:
        return frozenset(job.name for job in self.jobs)

    @cached_property
    def _single(self) -> Mapping[SourceName, Sequence[Job]]:
        found: dict[SourceName, list[Job]] = {}
        for job in self.jobs:
            if not kind_of(job.kind).stands_for_several(job.target):
                found.setdefault(job.source, []).append(job)
        return found

    @cached_property
    def _several(self) -> Mapping[str, Sequence[tuple[int, Job]]]:
        """Those that stand for several, with their number, by a folder in which all of these lie."""
        found: dict[str, list[tuple[int, Job]]] = {}
        for number, job in enumerate(self.jobs):
            if kind_of(job.kind).stands_for_several(job.target):
                found.setdefault(_folder_of(job.target), []).append((number, job))
        return found

    def _judge_unclaimed(self, record: ArchiveRecord) -> tuple[Claim, Job | None]:
        for job in self.keepers(record.owner.source):
            if job.cycle == record.cycle:
                return Claim.FORMER_NAME, job
        return Claim.NO_BLOCK, None


def _folder_of(target: str) -> str:
    """The innermost folder in which everything lies that a path, or a pattern, means."""
    fixed = takewhile(lambda part: not has_wildcard(part), target.split("/"))
    return "/".join(fixed) or "/"


def acting_host(catalogue: Catalogue, host: str, *, is_configured: bool) -> str:
    """Whose archives a configuration looks at: its own host's; on a machine without any, those of the only other one.

    Args:
        host: HostName, or the machine's own name.
        is_configured: HostName is set, so that nobody else's archives can be meant.
    """
    hosts = {archive.record.owner.host for archive in catalogue.archives if archive.record}
    return next(iter(hosts)) if len(hosts) == 1 and not is_configured else host


def unprotected(catalogue: Catalogue, claims: Claims) -> list[Job]:
    """The sources of the configuration, one for each cycle, of which no archive can be restored, in its order."""
    kept = set()
    for archive in catalogue.archives:
        claim, job = claims.judge(archive)
        if job is not None and claim in (Claim.CURRENT, Claim.FORMER_NAME) and job.name not in kept:
            kept |= {job.name} if catalogue.chain(archive).archives else set()
    return [job for job in claims.jobs if job.name not in kept]


def sources_of(job: Job, base: str) -> set[SourceName]:
    """The sources that a job keeps under a name, in every form in which metadata may call them."""
    kind = kind_of(job.kind)
    if not kind.stands_for_several(job.target):
        return {job.source} if base == job.name else set()
    start = kind.name_within(job.name, job.target, "/")
    target = posixpath.normpath(f"/{base.removeprefix(start)}")
    if kind.name_within(job.name, job.target, target) != base or not kind.covers(job.target, target):
        return set()
    return {SourceName(each, target) for each in kind.kinds_within(job.target)}


def keeps(job: Job, source: SourceName) -> bool:
    """Whether a job backs up a source, under whatever name."""
    kind = kind_of(job.kind)
    if source.kind in kind.kinds_within(job.target):
        return kind.covers(job.target, source.target)
    return source == job.source


def is_stray(archive: CataloguedArchive) -> bool:
    """Whether an archive lies under a name that its source never had: another configuration's Prefix, or a copy."""
    record = archive.record
    if record is None or not record.owner.source.kind:
        return False  # of a kind that is not known here, nobody knows the names either
    return archive.base not in possible_names(record.owner.source, record.cycle)


def possible_names(source: SourceName, cycle: str) -> set[str]:
    """The names that the nightly run can have given to a source in a Cycle, the plain one and the qualified one."""
    if not source.kind:
        return set()
    plain = kind_of(source.kind).key_base(source.target)
    return {plain, f"{cycle}/{plain}"} if cycle else {plain}
