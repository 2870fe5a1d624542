"""The locks of one archive and of what lies beside it, from the request for them to what is remembered."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime

from s3napback.archives import ArchiveRecord
from s3napback.backup.context import RunContext
from s3napback.config.settings import StoreSettings
from s3napback.deciding.plans import Plan
from s3napback.errors import StateError
from s3napback.locks import Lock, LockedArchive, locked_until, moment_of, whole_day
from s3napback.stores import LockingStore, Store, StoredObject

logger = logging.getLogger("s3napback")


def locks(settings: StoreSettings, store: Store) -> bool:
    """Whether archives are to be locked, in a store that can."""
    return bool(settings.object_lock) and isinstance(store, LockingStore)


class Locking:
    """Of one archive. What the store has told is noted, and remembered when all is there."""

    def __init__(self, context: RunContext, plan: Plan) -> None:
        """Compute until when."""
        self._context = context
        self._plan = plan
        self._stored: list[StoredObject] = []
        self.until: datetime | None = None
        settings = context.configuration.store
        if locks(settings, context.store):
            today = context.facts.day
            self.until = moment_of(locked_until(plan.job.schedule, plan.slot, today, today, settings.lock_days))

    def note(self, stored: StoredObject | None) -> None:
        """Take a note of what has arrived; None has not."""
        if stored is not None:
            self._stored.append(stored)

    def finish(self, record: ArchiveRecord) -> Sequence[str]:
        """Remember the locks, also that one did not take: it is tried once more at the run's end. Returns warnings."""
        if self.until is None:
            return []
        for each in self._stored:
            if each.lock_flaw:
                logger.debug("%s: %s", each.key, each.lock_flaw)
        objects = {each.key: lock_of(each) for each in self._stored}
        state, name, plan = self._context.state, self._plan.job.name, self._plan
        try:
            others = {key: each for key, each in state.locks(name).items() if key not in (plan.key, *plan.superseded)}
            mark = next((each.mark for each in self._stored if each.key == plan.key), "")
            entry = LockedArchive(record.id, record.parent, record.slot, record.day, objects, mark)
            state.remember_locks(name, {**others, plan.key: entry})
        except StateError as error:
            return [f"until when {plan.key} is locked could not be noted: {error}"]
        return []


def lock_of(stored: StoredObject) -> Lock:
    """What is remembered of the lock of an object."""
    is_locked = stored.locked_until is not None and not stored.lock_flaw
    return Lock(stored.version_id, whole_day(stored.locked_until) if is_locked and stored.locked_until else 0)
