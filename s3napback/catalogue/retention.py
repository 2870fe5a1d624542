"""What of a store a configuration's rotation no longer needs, and what of that stays nevertheless. Pure.

An archive is needless for one of the reasons in ``_needless``. It stays all the same if it could still be missed:
whatever is in doubt stays, since an archive too many costs space and one too few costs the backup.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from s3napback.archives import ArchiveRecord, slot_keys, split_key
from s3napback.catalogue.claims import Claim, Claims, possible_names
from s3napback.catalogue.contents import Catalogue, CataloguedArchive, newest_first
from s3napback.catalogue.indexes import indexed_key
from s3napback.catalogue.sums import SumNote, summed_key
from s3napback.config.settings import Job
from s3napback.kinds import kind_of
from s3napback.records import dataclass
from s3napback.rotation import HanoiCycle, Schedule, day_number
from s3napback.stores import StoredObject
from s3napback.watch.proofs import proven_key


@dataclass(frozen=True, slots=True)
class Disposition:
    """What is to become of an archive that the rotation no longer needs.

    Attributes:
        needless: why it is not needed.
        kept: why it stays all the same; empty if it can go.
    """

    archive: CataloguedArchive
    needless: str
    kept: str = ""


def span(schedule: Schedule) -> int:
    """Days until every slot of a rotation has been filled anew; archived discs apart."""
    if isinstance(schedule, HanoiCycle):
        return schedule.frequency << (schedule.discs - 1)
    return schedule.frequency * schedule.slots


def judge_archives(catalogue: Catalogue, claims: Claims, day: int, *, unowned: bool = False) -> list[Disposition]:
    """Every archive that the rotation no longer needs, in the order in which they can go: DIFFs before their FULL.

    Without blocks in the configuration there is none.

    Args:
        catalogue: all there is, other hosts' archives as well.
        claims: of the configuration.
        day: today, as a day number.
        unowned: also names that no block claims.
    """
    if not claims.jobs:
        return []
    judge = _Judge(catalogue, claims, day, unowned=unowned)
    dispositions = [
        disposition for archive in catalogue.archives if (disposition := judge.first_disposition(archive)) is not None
    ]
    going = {disposition.archive.key for disposition in dispositions if not disposition.kept}
    supports = _supports(catalogue, (archive for archive in catalogue.archives if archive.key not in going))
    dispositions = [_unless_support(disposition, supports) for disposition in dispositions]
    return sorted(dispositions, key=lambda disposition: newest_first(disposition.archive))


class _Judge:
    """Looks at one archive after the other, knowing all of them."""

    def __init__(self, catalogue: Catalogue, claims: Claims, day: int, *, unowned: bool) -> None:
        self._catalogue = catalogue
        self._claims = claims
        self._day = day
        self._unowned = unowned
        self._protected = _newest_ids(catalogue, claims)
        self._spans: dict[str, int] = {}
        for job in claims.jobs:
            self._spans[job.cycle] = max(span(job.schedule), self._spans.get(job.cycle, 0))
        self._newest_of_slot: dict[tuple[str, int], CataloguedArchive] = {}
        self._newest_day: dict[str, int] = {}
        self._bases_with_nameless: set[str] = set()
        unseen = {
            archive.base: f"{archive.key}, of the same name, cannot be looked at"
            for archive in catalogue.archives
            if archive.flaw
        }
        gone = {
            base: f"{key}, of the same name, is listed, and the store says that it is not there"
            for key, base in catalogue.vanished.items()
        }
        self._unseen = {**gone, **unseen}
        for archive in sorted(catalogue.archives, key=newest_first):
            if archive.record is None or _is_where_it_was_made(archive, archive.record):
                self._newest_of_slot.setdefault((archive.base, archive.slot), archive)
            if archive.record is None:
                self._bases_with_nameless.add(archive.base)
            else:
                known = self._newest_day.get(archive.base, archive.record.day)
                self._newest_day[archive.base] = max(known, archive.record.day)

    def first_disposition(self, archive: CataloguedArchive) -> Disposition | None:
        """What holds for an archive by itself; None if the rotation needs it, or it is not ours to judge."""
        record = archive.record
        claim, job = self._claims.judge(archive)
        if record is None or not _is_where_it_was_made(archive, record):
            return None
        needless = self._needless(archive, record, claim, job)
        return Disposition(archive, needless, self._reason_to_stay(archive, record, claim, job)) if needless else None

    def _needless(self, archive: CataloguedArchive, record: ArchiveRecord, claim: Claim, job: Job | None) -> str:
        if claim is Claim.NO_BLOCK and self._unowned:
            return "no block of the configuration claims its name"
        if claim is Claim.FORMER_NAME and job is not None and not _is_kept_for_good(job.schedule, archive.slot):
            return f"it lies under a former name; its source is kept as {job.name!r} now"
        if claim is not Claim.CURRENT or job is None:
            return ""
        return self._needless_in_use(archive, record, job.schedule)

    def _needless_in_use(self, archive: CataloguedArchive, record: ArchiveRecord, schedule: Schedule) -> str:
        slots = _slots(schedule)
        if slots is not None and archive.slot >= slots:
            return f"slot {archive.slot} is beyond the present cycle, which has {slots}"
        newest = self._newest_of_slot[archive.base, archive.slot]
        if newest.key != archive.key and newest.record is not None and newest.record.owner == record.owner:
            return f"its slot has been filled anew with {newest.key}"
        problem = self._catalogue.chain(archive).problem
        if problem and archive.base not in self._bases_with_nameless:
            return f"it cannot be restored: {problem}"
        return ""

    def _reason_to_stay(self, archive: CataloguedArchive, record: ArchiveRecord, claim: Claim, job: Job | None) -> str:
        """Why a needless archive stays; empty if nothing speaks for that."""
        days = self._span(record, job)
        if self._day - record.day < days:
            return _too_young(days)
        if claim is not Claim.CURRENT and self._day - self._newest_day[archive.base] < days:
            return f"its name was in use within the last {days} days, the span of the present rotation"
        if archive.base in self._unseen:
            return self._unseen[archive.base]
        if record.id in self._protected:
            return "it belongs to the newest restorable backup of its source"
        return ""

    def _span(self, record: ArchiveRecord, job: Job | None) -> int:
        """Of the job that keeps the source; else of its Cycle's jobs, or of all: the longest."""
        if job is not None:
            return span(job.schedule)
        return self._spans.get(record.cycle) or max(self._spans.values())


def judge_sum(base: str, note: SumNote | None, claims: Claims, day: int, *, unowned: bool = False) -> str | None:
    """Why a checksum or an index without an archive stays: empty if it can go, None if it is not ours to judge.

    Args:
        base: the key base of the archive that it was of.
        note: what it says, or its metadata do; None if it is not one that s3napback wrote.
        claims: of the configuration.
        day: today, as a day number.
        unowned: also those of sources that no block claims.
    """
    if note is None or note.started is None or note.owner.host != claims.host or not claims.jobs:
        return None
    source = note.owner.source
    jobs = claims.keepers(source)
    if not jobs and not unowned:
        return None
    plain = possible_names(source, "")
    if not any(base == name or base.endswith(f"/{name}") for name in plain):
        return None
    days = max(span(job.schedule) for job in jobs or claims.jobs)
    return _too_young(days) if day - day_number(note.started.date()) < days else ""


def _too_young(days: int) -> str:
    return f"it is younger than the present rotation, which spans {days} days"


def _present(catalogue: Catalogue) -> Collection[str]:
    """Keys of archives that are there, as far as the store tells."""
    return {*catalogue.passed_over, *catalogue.vanished, *(archive.key for archive in catalogue.archives)}


def sums_without_archive(catalogue: Catalogue) -> list[StoredObject]:
    """Checksum objects of archives that are not there; of other files' sums there are none."""
    present = _present(catalogue)
    return [
        found
        for key, found in sorted(catalogue.sums.items())
        if (archive_key := summed_key(key)) not in present and split_key(archive_key) is not None
    ]


def indexes_without_archive(catalogue: Catalogue) -> list[StoredObject]:
    """Index objects of archives that are not there."""
    present = _present(catalogue)
    return [found for key, found in sorted(catalogue.indexes.items()) if indexed_key(key) not in present]


def proofs_without_archive(catalogue: Catalogue) -> list[StoredObject]:
    """What drills and verify left beside archives that are not there."""
    present = _present(catalogue)
    return [found for key, found in sorted(catalogue.proofs.items()) if proven_key(key) not in present]


def upload_keys(catalogue: Catalogue, claims: Claims, prefix: str) -> Iterator[str]:
    """Every key to which the configuration's runs upload archives: for each source two for each slot.

    Names under which another owner keeps archives are left out: what is unfinished there may be the other's.
    """
    single = (job for job in claims.jobs if not kind_of(job.kind).stands_for_several(job.target))
    names: dict[str, Job] = {job.name: job for job in single}
    foreign = set()
    highest: dict[str, int] = {}
    for archive in catalogue.archives:
        claim, job = claims.judge(archive)
        if claim is Claim.CURRENT and job is not None:
            names.setdefault(archive.base, job)
            highest[archive.base] = max(archive.slot, highest.get(archive.base, 0))
        else:
            foreign.add(archive.base)
    return (
        key
        for name, job in names.items()
        if name not in foreign
        for slot in range(_slots(job.schedule) or highest.get(name, 0) + 2)
        for key in slot_keys(prefix, job.kind, name, slot)
    )


def _slots(schedule: Schedule) -> int | None:
    """How many slots a cycle has; None where their number grows."""
    if isinstance(schedule, HanoiCycle):
        return None if schedule.archive_oldest_disc else schedule.discs
    return schedule.slots


def _is_kept_for_good(schedule: Schedule, slot: int) -> bool:
    return isinstance(schedule, HanoiCycle) and schedule.archive_oldest_disc and slot >= schedule.discs - 1


def _is_where_it_was_made(archive: CataloguedArchive, record: ArchiveRecord) -> bool:
    """Whether key and metadata agree; if not, somebody has copied or renamed it by hand, and knows why."""
    parts = split_key(archive.key)
    return parts is not None and parts[1] == record.slot and parts[2] in ("", record.type.value)


def _newest_ids(catalogue: Catalogue, claims: Claims) -> set[str]:
    """Identities of the newest restorable chains: of every source of every host, and of every name in use."""
    chains = list(catalogue.newest_chains().values())
    by_name: dict[str, list[CataloguedArchive]] = {}
    for archive in catalogue.archives:
        if claims.judge(archive)[0] is Claim.CURRENT:
            by_name.setdefault(archive.base, []).append(archive)
    for archives in by_name.values():
        whole = (catalogue.chain(archive) for archive in sorted(archives, key=newest_first))
        chains += [chain for chain in whole if chain.archives][:1]
    return {archive.record.id for chain in chains for archive in chain.archives if archive.record}


def _supports(catalogue: Catalogue, staying: Iterable[CataloguedArchive]) -> Mapping[str, str]:
    """For every member of a chain to an archive that stays: its identity, and the key of one that builds on it."""
    supports: dict[str, str] = {}
    for archive in staying:
        for link in catalogue.chain(archive).archives[:-1]:
            if link.record is not None:
                supports[link.record.id] = archive.key
    return supports


def _unless_support(disposition: Disposition, supports: Mapping[str, str]) -> Disposition:
    record = disposition.archive.record
    if disposition.kept or record is None or record.id not in supports:
        return disposition
    return Disposition(disposition.archive, disposition.needless, f"{supports[record.id]}, which stays, builds on it")


def deletable(dispositions: Sequence[Disposition]) -> list[Disposition]:
    """Those of which nothing says that they should stay."""
    return [disposition for disposition in dispositions if not disposition.kept]
