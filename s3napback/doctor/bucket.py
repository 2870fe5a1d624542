"""The store's part: what protects backups from whoever has the machine's key. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from s3napback.config.settings import Configuration
from s3napback.doctor.checks import Check, bad, good, unknown
from s3napback.formatting import counted
from s3napback.locks import LockTerms
from s3napback.rotation import HanoiCycle
from s3napback.stores.lifecycle import named
from s3napback.stores.s3_examining import Right, Told
from s3napback.stores.s3_locks import enabling

PART = "store"
_CLOCKS = 300.0
"""Seconds that two clocks may differ; servers refuse requests at 900."""

_DEEDS = {
    Right.DELETE_VERSIONS: "delete versions for good",
    Right.PUT_VERSIONING: "suspend versioning",
    Right.PUT_LIFECYCLE: "put a lifecycle rule that removes versions",
    Right.PUT_POLICY: "give itself further rights by a bucket policy",
    Right.BYPASS: "delete what is locked for governance",
}


def judge_bucket(
    configuration: Configuration, told: Told, rights: Mapping[Right, bool | None], now: datetime
) -> Iterator[Check]:
    """What a bucket tells, and what the key may do, against what the configuration needs.

    Args:
        rights: what the present key may do; None is not known.
        now: this machine's clock.
    """
    yield _versioning(configuration.store.bucket, told)
    yield _days(configuration, told)
    if told.rules:
        yield _deletion(configuration, told)
        yield _freezing(told)
    yield _locks(configuration, told)
    yield from (_right(right, may, told) for right, may in rights.items())
    yield _clock(told, now)


def _versioning(bucket: str, told: Told) -> Check:
    subject = "older versions"
    if told.versioning is None:
        return unknown(PART, subject, f"the bucket does not tell whether it keeps them: {told.refusals['versioning']}")
    if told.versioning == "Enabled":
        return good(PART, subject, "the bucket keeps what is replaced or deleted")
    command = f"aws s3api put-bucket-versioning --bucket {bucket} --versioning-configuration Status=Enabled"
    return bad(
        PART,
        subject,
        f"the bucket does not keep what is replaced or deleted{' any more' if told.versioning else ''}: whoever has "
        f"this machine's key can destroy every backup. Let it: {command}",
    )


def _days(configuration: Configuration, told: Told) -> Check:
    subject, enough = "how long it keeps them", configuration.store.lock_days
    if not told.rules:
        return unknown(PART, subject, f"the bucket does not tell: {told.refusals['lifecycle']}")
    if told.days is None:
        return good(PART, subject, "no lifecycle rule removes older versions: they stay, and cost what they weigh")
    found = f"a lifecycle rule ({named(told.rule)}) removes them {counted(told.days, 'day')} after they were replaced"
    if told.days >= enough:
        return good(PART, subject, f"{found}: for so long a theft may go unnoticed")
    return bad(
        PART,
        subject,
        f"{found}: a theft that is noticed later cannot be undone. Set its NoncurrentDays to {enough} or more, the "
        "days of LockDays",
    )


def _deletion(configuration: Configuration, told: Told) -> Check:
    subject, found = "what deletes archives", told.deletion
    if found is None:
        return good(PART, subject, "no lifecycle rule does, only the rotation")
    rule = f"a lifecycle rule ({named(found.rule)})"
    schedules = [job.schedule for job in configuration.jobs]
    is_kept_for_good = any(isinstance(each, HanoiCycle) and each.archive_oldest_disc for each in schedules)
    needed = max((each.span for each in schedules), default=0) + configuration.store.lock_days
    if found.days <= needed or is_kept_for_good:
        when = f"{counted(found.days, 'day')} after they were stored" if found.days else "from a day on"
        lacking = "the cycles keep some for good" if is_kept_for_good else f"the cycles need {counted(needed, 'day')}"
        return bad(
            PART,
            subject,
            f"{rule} deletes archives {when}, and {lacking}, so that what was made since cannot be restored. Take its "
            "Expiration out: the rotation replaces archives, and prune deletes what it does not need",
        )
    return good(
        PART,
        subject,
        f"{rule} does {counted(found.days, 'day')} after they were stored, when the cycles have replaced them; but if "
        "this machine dies, every backup is gone then",
    )


def _freezing(told: Told) -> Check:
    subject, found = "what moves archives", told.freezing
    if found is None:
        return good(PART, subject, "no lifecycle rule moves them into a cold class")
    return bad(
        PART,
        subject,
        f"a lifecycle rule ({named(found.rule)}) moves archives, and their checksums and indexes, into "
        f"{found.storage_class} {counted(found.days, 'day')} after they were stored: restore, verify and drill have to "
        "wait for hours then, and ls and find cannot look into them. Take that out, and set StorageClass or "
        "FullStorageClass, which spare what has to be read",
    )


def _locks(configuration: Configuration, told: Told) -> Check:
    subject, store = "locks", configuration.store
    if told.lock is None:
        return unknown(PART, subject, f"the bucket does not tell: {told.refusals['locks']}")
    terms = LockTerms(bool(store.object_lock), store.lock_days)
    forecasts = [terms.forecast(job.schedule) for job in configuration.jobs]
    needed = max((each.retention for each in forecasts), default=0)
    if not told.lock.is_on:
        text = "objects in this bucket cannot be locked"
        if store.object_lock:
            return bad(PART, subject, f"{text}, and ObjectLock is set: {enabling(store.bucket)}")
        return good(PART, subject, f"{text}: older versions protect from a stolen key, not from an administrator's")
    default = (
        f"the default retention is {counted(told.lock.days, 'day')}"
        if told.lock.days
        else "there is no default retention"
    )
    if store.object_lock:
        stays = min((each.newest_least for each in forecasts), default=0)
        found = f"ObjectLock {store.object_lock} locks archives as long as the cycles need; {default}; {_stay(stays)}"
        return good(PART, subject, found)
    if told.lock.days >= needed:
        stays = min((each.newest_least + told.lock.days - each.retention for each in forecasts), default=0)
        return good(PART, subject, f"{default}, and the cycles need {needed}; {_stay(stays)}")
    return bad(
        PART,
        subject,
        f"{default}, and the cycles need {counted(needed, 'day')} so that nothing is unlocked that can be restored. "
        "Set that, or ObjectLock",
    )


def _stay(days: int) -> str:
    return f"if the machine dies, the newest backup stays locked for {counted(days, 'day')} at least"


def _right(right: Right, may: bool | None, told: Told) -> Check:
    deed = _DEEDS[right]
    subject = f"the present key, {right.value}"
    if may is None:
        return unknown(PART, subject, f"whether it may {deed} could not be found out without trying")
    if not may:
        return good(PART, subject, f"it may not {deed}")
    if right is Right.BYPASS and told.lock is not None and not told.lock.is_on:
        return good(PART, subject, "nothing is locked here")
    return bad(
        PART,
        subject,
        f"it may {deed}, and so may whoever steals it. Take that right from it: the policy in the manual, under Amazon "
        "S3, has all that a machine needs",
    )


def _clock(told: Told, now: datetime) -> Check:
    subject = "clocks"
    if told.clock is None:
        return unknown(PART, subject, "the store does not tell its own")
    apart = abs((now - told.clock).total_seconds())
    if apart <= _CLOCKS:
        return good(PART, subject, "this machine's and the store's agree")
    return bad(
        PART,
        subject,
        f"this machine's and the store's are {counted(round(apart / 60), 'minute')} apart: set this machine's",
    )
