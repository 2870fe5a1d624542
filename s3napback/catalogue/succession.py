"""Whether our own archives have taken the place of what the original tool left of a source. Pure.

That is so when one rotation is complete: from then on they reach back as far as they ever will.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from s3napback.catalogue.claims import Claim, Claims, keeps
from s3napback.catalogue.contents import Catalogue, CataloguedArchive
from s3napback.catalogue.retention import span
from s3napback.config.settings import Job
from s3napback.kinds import SourceName, kind_of
from s3napback.original.chains import OriginalArchive
from s3napback.original.keys import before_wildcards
from s3napback.records import dataclass
from s3napback.rotation import HanoiCycle, day_date


@dataclass(frozen=True)
class Succession:
    """What holds for one archive of the original.

    Attributes:
        claimed: a block of the configuration backs its source up.
        lacking: why our own archives have not caught up yet, as one clause; empty if they have.
    """

    archive: OriginalArchive
    claimed: bool
    lacking: str = ""


def successions(
    catalogue: Catalogue, claims: Claims, archives: Sequence[OriginalArchive], day: int
) -> list[Succession]:
    """What holds for each of some archives of the original, in their order.

    Args:
        catalogue: all there is.
        claims: of the configuration.
        day: today, as a day number.
    """
    current: dict[int, list[CataloguedArchive]] = {}
    for archive in catalogue.archives:
        claim, job = claims.judge(archive)
        if claim is Claim.CURRENT and job is not None:
            current.setdefault(id(job), []).append(archive)
    return [_of(catalogue, claims, archive, current, day) for archive in archives]


def _of(
    catalogue: Catalogue,
    claims: Claims,
    archive: OriginalArchive,
    current: dict[int, list[CataloguedArchive]],
    day: int,
) -> Succession:
    sources = archive.name.sources
    jobs = [job for job in claims.jobs if any(succeeds(job, source) for source in sources)]
    for job in jobs:
        own = current.get(id(job), [])
        if kind_of(job.kind).folder_of:
            targets = {source.target for source in sources}
            own = [each for each in own if each.record and each.record.owner.source.target in targets]
        if lacking := _lacking(catalogue, job, own, day):
            return Succession(archive, claimed=True, lacking=lacking)
    return Succession(archive, claimed=bool(jobs))


def succeeds(job: Job, source: SourceName) -> bool:
    """Whether a job backs up what the original did as this source.

    Its keys did not tell a database's user, and its shell expanded ``/home/*``, for which ``/home`` stands today.
    """
    if keeps(job, source) or keeps(job, replace(source, target=before_wildcards(source.target))):
        return True
    kind = kind_of(job.kind)
    return job.kind == source.kind and not kind.is_path and kind.key_base(job.target) == kind.key_base(source.target)


def _lacking(catalogue: Catalogue, job: Job, own: Sequence[CataloguedArchive], day: int) -> str:
    """Why a job's rotation is not complete; empty if it is."""
    where = f"{job.source}" + (f" in Cycle {job.cycle}" if job.cycle else "")
    days = [each.record.day for each in own if each.record and catalogue.chain(each).archives]
    if not days:
        return f"there is no archive of our own of {where} that could be restored"
    schedule = job.schedule
    if isinstance(schedule, HanoiCycle):
        filled = {min(each.slot, schedule.discs - 1) for each in own}
        missing = sorted(set(range(schedule.discs)) - filled)
        return f"disc {missing[-1]} of {where} has not been filled yet" if missing else ""
    oldest = min(each.record.day for each in own if each.record)
    ready = oldest + span(schedule) - schedule.frequency
    if day < ready:
        return f"the first rotation of {where} is complete on {day_date(ready)}"
    if max(days) < day - span(schedule):
        return f"the newest archive of our own of {where} is of {day_date(max(days))}"
    return ""
