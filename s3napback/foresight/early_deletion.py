"""Whether archives are replaced before the time is over for which their storage class has them paid. Pure.

Minima are Amazon's, by the class's name alone ("Amazon S3 pricing": minimum storage duration). Sizes are not known, so
every archive of a rotation counts the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from s3napback.config.settings import Configuration, Job, StoreSettings
from s3napback.records import dataclass
from s3napback.rotation import ArchiveType, HanoiCycle, Schedule, SimpleCycle

LEAST_DAYS: Mapping[str, int] = {
    "STANDARD_IA": 30,
    "ONEZONE_IA": 30,
    "GLACIER_IR": 90,
    "GLACIER": 90,
    "DEEP_ARCHIVE": 180,
}
WORTH_A_WORD = 1.25
"""The factor from which on it is told."""


@dataclass(frozen=True)
class Life:
    """Archives of one rotation that lie in the store for the same time.

    Attributes:
        count: how many.
        days: for each, until it is replaced.
        type: of them all.
    """

    count: int
    days: int
    type: ArchiveType = ArchiveType.FULL


def lives(schedule: Schedule) -> Iterator[Life]:
    """How long the archives of one rotation lie there; what is kept for good is left out."""
    match schedule:
        case SimpleCycle():
            yield Life(schedule.fulls, schedule.span)
            if schedule.diffs:
                yield Life(schedule.fulls * schedule.diffs, schedule.span, ArchiveType.DIFF)
        case HanoiCycle():
            last = schedule.discs - 1
            for disc in range(last):
                yield Life(2 ** (last - 1 - disc), 2 ** (disc + 1) * schedule.frequency)
            if not schedule.archive_oldest_disc:
                yield Life(1, schedule.span)


def factor(found: Iterable[Life], least_days: int, lock_days: int = 0) -> float:
    """By how much more is paid for than lies there: Σ max(life, minimum) ÷ Σ life; 1 if nothing is.

    Args:
        least_days: that each archive is paid for.
        lock_days: that each lies there when its slot has been filled anew, since it is locked.
    """
    known = list(found)
    held = sum(each.count * (each.days + lock_days) for each in known)
    paid = sum(each.count * max(each.days + lock_days, least_days) for each in known)
    return paid / held if held else 1.0


def class_of(store: StoreSettings, archive_type: ArchiveType) -> str:
    """The storage class of archives of a type; empty is the bucket's."""
    own = store.full_storage_class if archive_type is ArchiveType.FULL else store.diff_storage_class
    return own or store.storage_class


def early_deletions(configuration: Configuration) -> list[str]:
    """What is to be said of a configuration, one line for each of its cycles at most."""
    worst: dict[str, tuple[float, str]] = {}
    for job in configuration.jobs:
        for storage_class, paid in _factors(configuration.store, job.schedule).items():
            place = _place(job)
            if paid >= WORTH_A_WORD and paid > worst.get(place, (0.0, ""))[0]:
                worst[place] = (paid, storage_class)
    return [
        f"{place}: archives are replaced before the {LEAST_DAYS[storage_class]} days are over for which "
        f"{storage_class} has them paid: {paid:.1f} times the storage that is used. Keep them for longer, "
        "or choose another class (of DIFFs alone: DiffStorageClass)"
        for place, (paid, storage_class) in worst.items()
    ]


def _factors(store: StoreSettings, schedule: Schedule) -> dict[str, float]:
    """Of each storage class that has a minimum."""
    if store.folder is not None:
        return {}
    lock_days = store.lock_days if store.object_lock else 0
    found = list(lives(schedule))
    by_class: dict[str, list[Life]] = {}
    for each in found:
        by_class.setdefault(class_of(store, each.type), []).append(each)
    return {name: factor(those, LEAST_DAYS[name], lock_days) for name, those in by_class.items() if name in LEAST_DAYS}


def _place(job: Job) -> str:
    return f"Cycle {job.cycle}" if job.cycle else str(job.source)
