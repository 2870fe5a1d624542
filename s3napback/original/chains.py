"""Which archives of the original have to be restored one after the other. Pure.

They do not say what they build on. What is known is the time at which the store took each: a DIFF holds what changed
since the archive before it, whatever slots the two have.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise

from s3napback.original.keys import OriginalName
from s3napback.records import dataclass
from s3napback.rotation import ArchiveType

_AS_AFTER_A_COPY = timedelta(minutes=10)
"""The original made one archive of a source a day. Times that are nearer to each other are probably those of a copy."""


@dataclass(frozen=True)
class OriginalArchive:
    """One archive of the original.

    Attributes:
        name: what its keys tell.
        chunks: how many objects it consists of.
        size: bytes of them all.
        modified: when the store took the newest of them, timezone-aware.
        problem: why it is not whole, as one clause; empty if nothing speaks against that.
        storage_class: of the first object that cannot be read at once, else of any.
    """

    name: OriginalName
    chunks: int
    size: int
    modified: datetime
    problem: str = ""
    storage_class: str = ""

    @property
    def base(self) -> str:
        """Its keys without the number."""
        return self.name.base

    @property
    def is_full(self) -> bool:
        """It builds on nothing."""
        return self.name.type is ArchiveType.FULL


@dataclass(frozen=True)
class OriginalChain:
    """What has to be restored, in order, to get an archive's content.

    Attributes:
        archives: a FULL and the DIFFs on it, oldest first; empty if it cannot be restored.
        problem: why not, as one clause.
        doubts: what should be known before it is relied upon, one sentence each.
    """

    archives: tuple[OriginalArchive, ...] = ()
    problem: str = ""
    doubts: tuple[str, ...] = ()


def chain_to(target: OriginalArchive, archives: Iterable[OriginalArchive]) -> OriginalChain:
    """The chain that ends with an archive.

    Args:
        target: the last of it.
        archives: all of the store, or at least those of its series.
    """
    if target.problem:
        return OriginalChain(problem=target.problem)
    series = sorted((each for each in archives if each.name.series == target.name.series), key=_by_time)
    earlier = [each for each in series if each.modified <= target.modified]
    fulls = [each for each in earlier if each.is_full]
    if target.is_full:
        links = [target]
    elif not fulls:
        return OriginalChain(problem="its FULL was overwritten: there is none as old as it is")
    else:
        links = [fulls[-1], *(each for each in earlier if not each.is_full and each.modified >= fulls[-1].modified)]
    problem = _flaw(links, fulls)
    return OriginalChain(problem=problem) if problem else OriginalChain(tuple(links), doubts=_doubts(links, series))


def chain_by_hand(archives: Sequence[OriginalArchive]) -> OriginalChain:
    """A chain in the order in which a person named it."""
    for number, archive in enumerate(archives):
        if archive.problem:
            return OriginalChain(problem=f"{archive.base}: {archive.problem}")
        if archive.name.series != archives[0].name.series:
            return OriginalChain(problem=f"{archive.base} does not build on {archives[0].base}: their names differ")
        if archive.is_full is not (number == 0):
            return OriginalChain(problem=f"a chain is one FULL and DIFFs after it, and {archive.base} is out of place")
    return OriginalChain(tuple(archives), doubts=_gaps(archives))


def _flaw(links: Sequence[OriginalArchive], fulls: Sequence[OriginalArchive]) -> str:
    """Why a chain cannot be restored."""
    broken = next((link for link in links if link.problem), None)
    if broken is not None:
        return f"it builds on {broken.base}, which cannot be restored: {broken.problem}"
    pairs = [] if len(links) == 1 else [*pairwise(fulls[-2:]), *pairwise(links)]
    same = next((pair for pair in pairs if pair[0].modified == pair[1].modified), None)
    if same is not None:
        names = " and ".join(each.base for each in same)
        return f"{names} are of the same second, so that their order is not known; name it with --keys"
    return ""


def _doubts(links: Sequence[OriginalArchive], series: Sequence[OriginalArchive]) -> tuple[str, ...]:
    near = [after.base for before, after in pairwise(series) if after.modified - before.modified < _AS_AFTER_A_COPY]
    if not near:
        return _gaps(links)
    doubt = (
        f"{near[0]} was stored within minutes of the archive before it: if these are the times of a copy of the "
        "bucket, and not of backups, name the right ones with --keys"
    )
    return (*_gaps(links), doubt)


def _gaps(links: Sequence[OriginalArchive]) -> tuple[str, ...]:
    return tuple(
        f"{after.base} follows {before.base}: if a night between them was not run, that is harmless; if its upload "
        "failed, what changed that day is missing until the next FULL"
        for before, after in pairwise(links)
        if after.name.slot != before.name.slot + 1
    )


def _by_time(archive: OriginalArchive) -> tuple[datetime, bool, int]:
    return archive.modified, not archive.is_full, archive.name.slot


def newest_first(archives: Iterable[OriginalArchive]) -> list[OriginalArchive]:
    """Archives by the time at which they were stored; of one second a DIFF, and a higher slot, is the newer one."""
    return sorted(archives, key=_by_time, reverse=True)
