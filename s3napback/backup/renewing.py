"""Locks that have to last longer, after all sources of a run have had their turns.

A night that is missed, or a cycle that is changed, leaves an archive in its slot for longer than was thought when it
was locked. What is needed is asked for only where something changes; what is not known of a lock is looked at once.
An archive's index is locked once: everything comes back without it, and each lock that lasts longer is a request.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from s3napback.archives import ArchiveRecord, Owner, join_prefix, split_key
from s3napback.backup.context import RunContext
from s3napback.backup.locking import lock_of, locks
from s3napback.backup.tally import NOTHING, Tally
from s3napback.catalogue.indexes import index_key, is_index_key
from s3napback.catalogue.sums import sum_key
from s3napback.config.settings import Job
from s3napback.crews import Crew
from s3napback.errors import S3napbackError, StoreError, StoreUnreachable
from s3napback.formatting import counted
from s3napback.kinds import kind_of
from s3napback.locks import Ledger, Lock, LockedArchive, Renewal, moment_of, renewals
from s3napback.logs import logger_for
from s3napback.records import dataclass
from s3napback.rotation import day_date
from s3napback.state import remembered_of_several
from s3napback.stores import LockingStore

logger = logging.getLogger("s3napback")

_NOT_OURS = LockedArchive("", "", 0, 0)
"""Remembered so that it is not looked at each night."""


def renew_locks(context: RunContext) -> Tally:
    """Bring the locks of every archive that can be restored up to the date that holds now; failing is a warning."""
    if not locks(context.configuration.store, context.store):
        return NOTHING
    tally = NOTHING
    renewing = _Renewing(context, _keys_by_name(context))
    for job in _jobs(context):
        log = logger_for(job.kind)
        try:
            warnings = renewing.renew(job, log)
        except StoreUnreachable as error:
            # Each of the others would wait as long.
            log.warning("%s: locks could not be renewed, nor are those of the sources behind it: %s", job.source, error)
            return tally + Tally(warnings=1)
        except S3napbackError as error:
            warnings = [f"its locks could not be renewed: {error}"]
        for warning in warnings:
            log.warning("%s: %s", job.source, warning)
        context.journal.warned(job, len(warnings))
        tally += Tally(warnings=len(warnings))
    return tally


def _jobs(context: RunContext) -> Iterator[Job]:
    """Every source that anything is remembered of, also of such as could not be looked for."""
    for job in context.configuration.jobs:
        if kind_of(job.kind).stands_for_several(job.target):
            yield from (each for each, _ in remembered_of_several(context.state, job))
        else:
            yield job


def _keys_by_name(context: RunContext) -> Mapping[str, Sequence[tuple[str, int]]]:
    """Archives' keys in the run's listing, with their slots, by the name that they are under."""
    found: dict[str, list[tuple[str, int]]] = {}
    own = join_prefix(context.facts.prefix, "")
    for key in context.survey.archive_keys():
        parts = split_key(key.removeprefix(own))
        if parts is not None:
            found.setdefault(parts[0], []).append((key, parts[1]))
    return found


@dataclass(frozen=True)
class _Renewing:
    """One run's.

    Attributes:
        listed: archives' keys with their slots, by name.
    """

    context: RunContext
    listed: Mapping[str, Sequence[tuple[str, int]]]

    def renew(self, job: Job, log: logging.Logger) -> Sequence[str]:
        """Renew the locks of one source; returns warnings.

        Raises:
            StateError: what is remembered cannot be read or written.
            StoreUnreachable: the store does not answer.
        """
        context = self.context
        known = context.state.locks(job.name)
        there = self._still_there(known)
        ledger = {**there, **self._found(job, known, there)}
        days = context.configuration.store.lock_days
        warnings: list[str] = []
        renewed = 0
        try:
            for renewal in renewals(ledger, job.schedule, context.facts.day, days, is_help=is_index_key):
                if warning := self._carry_out(renewal, ledger):
                    warnings.append(warning)
                else:
                    renewed += 1
        finally:
            if ledger != known:
                context.state.remember_locks(job.name, ledger)
        if renewed:
            log.info("%s: %s made to last longer", job.source, counted(renewed, "lock"))
        return warnings

    def _still_there(self, known: Ledger) -> dict[str, LockedArchive]:
        """Those archives that the run's listing shows, or that are later than it; not what has taken their place.

        A run that was killed leaves an archive in the slot, and what is remembered there is of the one before it.
        """
        today, mark = self.context.facts.day, self.context.survey.mark
        return {key: each for key, each in known.items() if each.day >= today or mark(key) in ("", each.mark)}

    def _found(self, job: Job, known: Ledger, there: Ledger) -> dict[str, LockedArchive]:
        """Archives of ours that nothing is remembered of: from before ObjectLock was set, of a run that was killed, or
        DiffDir was lost.
        """
        # The run's listing shows what this run has replaced by an archive of the other type.
        filled = {each.slot for each in there.values() if each.day >= self.context.facts.day}
        keys = [key for key, slot in self.listed.get(job.name, ()) if key not in there and slot not in filled]
        if not keys:
            return {}
        owner = Owner(self.context.facts.host, job.source)
        with Crew(self.context.configuration.store.upload_threads, "locks") as threads:
            found = threads.map(lambda key: self._looked_at(key, owner, known.get(key)), keys)
            return {key: each for key, each in zip(keys, found, strict=True) if each is not None}

    def _looked_at(self, key: str, owner: Owner, before: LockedArchive | None) -> LockedArchive | None:
        """What lies there, to be remembered; None if that cannot be told.

        Args:
            before: what is remembered of the archive that has lain there. Another version with its id, be it a copy or
                a forgery, does not take its place: the one that we have made is to stay locked.
        """
        store, mark = self.context.store, self.context.survey.mark(key) or ""
        try:
            found = store.head(key)
            record = ArchiveRecord.from_metadata(found.metadata) if found else None
            if found is None or record is None or record.owner != owner:
                return replace(_NOT_OURS, mark=mark)
            if before and record.id == before.id:
                return replace(before, mark=mark)
            beside = [store.head(make(key)) for make in (index_key, sum_key)]
        except StoreUnreachable:
            raise
        except StoreError as error:
            logger.debug("%s: %s", key, error)
            return before
        objects = {each.key: lock_of(each) for each in (found, *beside) if each is not None}
        return LockedArchive(record.id, record.parent, record.slot, record.day, objects, mark)

    def _carry_out(self, renewal: Renewal, ledger: dict[str, LockedArchive]) -> str:
        """Ask for one lock, and take a note; returns a warning if there is to be one."""
        store = self.context.store
        if not isinstance(store, LockingStore):
            return ""
        archive = ledger[renewal.archive]
        try:
            store.lock(renewal.key, renewal.version, moment_of(renewal.until))
        except StoreUnreachable:
            raise
        except StoreError as error:
            if renewal.key != renewal.archive and store.head(renewal.key) is None:
                objects = {key: lock for key, lock in archive.objects.items() if key != renewal.key}
                ledger[renewal.archive] = replace(archive, objects=objects)
                return ""
            return f"{renewal.key} is not locked until {day_date(renewal.until)}, as it should be: {error}"
        objects = {**archive.objects, renewal.key: Lock(renewal.version, renewal.until)}
        ledger[renewal.archive] = replace(archive, objects=objects)
        return ""
