"""Until when archives are locked in a store that can: the rule, and what is remembered of locks. Pure.

An archive is locked until the present cycle next fills its slot, and some days longer, in which a machine may be off
or a run may fail. Where the cycle never fills the slot, the lock goes on as long as the archive is there. A lock is
never made shorter, so that only what makes one longer has to be asked for.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, field
from datetime import date, datetime, time, timedelta, timezone
from typing import Any

from s3napback.records import dataclass
from s3napback.rotation import LAST_DAY, HanoiCycle, Schedule, day_date, day_number

LONGEST = 36_500
"""Days that a lock lasts at most from the day on which it is asked for: Amazon takes no longer one."""
_ALL_ZONES = timedelta(hours=36)
"""From the beginning of a day in UTC until it is over everywhere: at noon of the next one."""


@dataclass(frozen=True)
class Lock:
    """The lock of one object.

    Attributes:
        version: id of the locked version; empty where it is not known.
        until: day number of the last whole day on which it is locked; 0 if it is not.
    """

    version: str = ""
    until: int = 0


@dataclass(frozen=True)
class LockedArchive:
    """What is remembered of an archive whose lock may have to be made longer.

    Attributes:
        id: its identity.
        parent: id of the archive that it builds on; empty for a FULL.
        day: the day it counts for.
        objects: locks by key: the archive's own, and of what lies beside it.
        mark: what a listing shows of the archive, see ``StoredObject.mark``; empty where that is not known.
    """

    id: str
    parent: str
    slot: int
    day: int
    objects: Mapping[str, Lock] = field(default_factory=dict)
    mark: str = ""


Ledger = Mapping[str, LockedArchive]
"""All archives of one name, by their keys."""


@dataclass(frozen=True)
class Renewal:
    """A lock that has to last longer.

    Attributes:
        archive: key of the archive.
        key: of the object: the archive's, or of what lies beside it.
        version: of the object; empty where it is not known.
        until: day number.
    """

    archive: str
    key: str
    version: str
    until: int


def locked_until(schedule: Schedule, slot: int, made: int, today: int, lock_days: int) -> int:
    """The last whole day on which an archive is to be locked, as a run sees it that is done with the source.

    Args:
        schedule: the present one.
        slot: where the archive lies.
        made: the day that it counts for.
        today: the run's day.
        lock_days: that the lock lasts longer than the archive is needed.
    """
    filled = schedule.next_filled(slot, max(today, made))
    # A slot of archived discs may be one that the cycle comes to in a hundred years.
    if filled is not None and filled - today <= 2 * schedule.span:
        return min(filled + lock_days, today + LONGEST, LAST_DAY)
    # Twice as long as a rotation takes, and then on and on: so locks are made longer once a rotation.
    step = max(schedule.span, lock_days)
    rounds = max(2, -(-(today + lock_days - made) // step))
    return min(made + rounds * step, today + LONGEST, LAST_DAY)


def restorable(ledger: Ledger) -> Iterator[str]:
    """Keys of the archives of which everything is there that they build on."""
    parents = {archive.id: archive.parent for archive in ledger.values()}
    for key, archive in ledger.items():
        identity, seen = archive.id, set[str]()
        while identity in parents and identity not in seen:
            seen.add(identity)
            identity = parents[identity]
        if not identity:
            yield key


def renewals(
    ledger: Ledger, schedule: Schedule, today: int, lock_days: int, *, is_help: Callable[[str], bool]
) -> list[Renewal]:
    """Which locks have to last longer, once a run is done with the source.

    Args:
        ledger: of one name.
        schedule: the present one.
        today: the run's day.
        lock_days: that a lock lasts longer than the archive is needed.
        is_help: whether all comes back without what lies under a key: that is locked once, when it is made.
    """
    found: list[Renewal] = []
    for key in restorable(ledger):
        archive = ledger[key]
        until = locked_until(schedule, archive.slot, archive.day, today, lock_days)
        found += [
            Renewal(key, each, lock.version, until)
            for each, lock in archive.objects.items()
            if lock.until < until and not (lock.until and is_help(each))
        ]
    return found


def locked_through(ledger: Ledger, archives: Mapping[str, str]) -> int:
    """The last whole day on which all of some archives are locked; 0 if that is not known of one.

    Args:
        archives: their identities, by their keys.
    """
    known = {key: ledger[key] for key, name in archives.items() if key in ledger and ledger[key].id == name}
    if len(known) < len(archives):
        return 0
    return min((archive.objects.get(key, Lock()).until for key, archive in known.items()), default=0)


@dataclass(frozen=True)
class LockForecast:
    """What locks come to, if every backup succeeds.

    Attributes:
        is_ruled: archives are locked by ``locked_until``; else by the bucket's default retention alone.
        days: that a lock lasts longer than the archive is needed.
        retention: days of default retention that keep every archive locked as long, from the day on which it is made.
        newest_least: days for which the newest backup, with all that it builds on, stays locked at least when no run
            comes any more: on the eve of the next one.
        newest_most: the same, right after it was made.
    """

    is_ruled: bool
    days: int
    retention: int
    newest_least: int
    newest_most: int


@dataclass(frozen=True)
class LockTerms:
    """By what archives are locked, or could be.

    Attributes:
        is_ruled: by ``locked_until``; else by the bucket's default retention alone.
        days: that a lock is to last longer than the archive is needed.
    """

    is_ruled: bool
    days: int

    def forecast(self, schedule: Schedule) -> LockForecast:
        """What locks come to in a cycle. What ArchiveOldestDisc keeps for good apart: a default retention ends."""
        retention = schedule.span + self.days
        stays = schedule.least_stay + self.days
        if isinstance(schedule, HanoiCycle) and not self.is_ruled:
            stays = retention
        return LockForecast(self.is_ruled, self.days, retention, stays - schedule.frequency + 1, stays)


def moment_of(day: int) -> datetime:
    """The moment at which a day is over in every time zone, in UTC."""
    return datetime.combine(day_date(min(day, LAST_DAY - 2)), time.min, timezone.utc) + _ALL_ZONES


def whole_day(moment: datetime) -> int:
    """The last day that is over everywhere at a moment: what a lock until then is good for."""
    return day_number((moment.astimezone(timezone.utc) - _ALL_ZONES).date())


_FORMAT = 1


def ledger_document(ledger: Ledger) -> bytes:
    """A ledger as a JSON document that a person can read: days are written as dates."""
    archives = {key: asdict(archive) for key, archive in ledger.items()}
    for archive in archives.values():
        archive["day"] = str(day_date(archive["day"]))
        for lock in archive["objects"].values():
            lock["until"] = str(day_date(lock["until"])) if lock["until"] else None
    return json.dumps({"format": _FORMAT, "archives": archives}, indent=1, sort_keys=True).encode()


def read_ledger(document: bytes) -> Ledger:
    """What ``ledger_document`` has written; nothing of a document that makes no sense, which costs looks only."""
    try:
        found = json.loads(document)
        if found["format"] != _FORMAT:
            return {}
        return {key: _archive(each) for key, each in found["archives"].items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def _archive(written: Mapping[str, Any]) -> LockedArchive:
    objects = {
        str(key): Lock(str(lock["version"]), _day(lock["until"]) if lock["until"] else 0)
        for key, lock in written["objects"].items()
    }
    identity, parent, slot = str(written["id"]), str(written["parent"]), int(written["slot"])
    # Earlier versions did not keep it; what lies there is looked at once more then.
    mark = str(written.get("mark", ""))
    return LockedArchive(identity, parent, slot, _day(written["day"]), objects, mark)


def _day(written: str) -> int:
    return day_number(date.fromisoformat(written))
