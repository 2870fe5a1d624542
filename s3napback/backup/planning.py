"""What one source's backup of today is: skipped, or which archive, in which slot, built on what.

Planning only looks: at state, at the source and at the store. The dry run and the real one plan alike.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from s3napback.archives import ArchiveRecord, Owner, archive_key, owner_of, slot_keys
from s3napback.catalogue.sums import read_sum, sum_key
from s3napback.chains import Chain, Decision, History, decide
from s3napback.config.settings import Configuration, Job
from s3napback.errors import DamagedState, SourceError, StoreError, StoreUnreachable
from s3napback.kinds import kind_of
from s3napback.rotation import ArchiveType, day_date
from s3napback.sources import Source
from s3napback.state import SourceState, StoreState
from s3napback.stores import Store, StoredObject


@dataclass(frozen=True)
class Wishes:
    """What the command line asks for beyond the schedule.

    Attributes:
        force: ``-f``: also what is not due, done already, or suspicious.
        full: ``--full``: FULLs in the place of DIFFs.
        take_over: ``--take-over``: replace slots that belong to another owner.
    """

    force: bool = False
    full: bool = False
    take_over: bool = False


@dataclass(frozen=True)
class Night:
    """What is the same for every source of one run.

    Attributes:
        host: HostName.
        day: the calendar day, as a day number.
        fingerprints: of the keys that archives are encrypted to.
        signer: fingerprint of the key that signs them; empty if none does.
    """

    configuration: Configuration
    store: Store
    state: StoreState
    host: str
    day: int
    fingerprints: tuple[str, ...] = ()
    signer: str = ""
    wishes: Wishes = Wishes()


@dataclass(frozen=True)
class Skip:
    """Nothing is to be done for a source today.

    Attributes:
        reason: why, as one clause.
    """

    reason: str


@dataclass(frozen=True)
class Plan:
    """The archive that is to be made.

    Attributes:
        key: where it goes.
        decision: FULL or DIFF, on what, and why.
        state: what is remembered of the source; a fresh one if nothing is.
        content: what shapes the archive's content: the source's own settings, and for whom it is encrypted.
        present: keys of the slot that hold an object now.
        taken_over: owners that may be replaced, with those that this run takes over.
        notes: what should be said, one line each.
        problem: why the source cannot be backed up, if it cannot.
    """

    job: Job
    key: str
    slot: int
    decision: Decision
    state: SourceState
    content: Mapping[str, object]
    present: tuple[str, ...] = ()
    taken_over: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    problem: SourceError | None = None


def plan_job(night: Night, job: Job, source: Source, *, look: bool = True) -> Plan | Skip:
    """Plan one source.

    Args:
        look: ask the store. Without, an archive is planned on state alone.

    Raises:
        SourceError: the slot belongs to another owner, or the clock was set back.
        StateError: state cannot be read.
        StoreError: the store's answer does not allow a decision.
    """
    state, notes = _remembered(night, job)
    _refuse_later_archives(night, state)
    if not night.wishes.force and (reason := not_due(night, job, state)):
        return Skip(reason)
    present = _look_at_slot(night, job) if look else ()
    taken_over = _claim(night, job, state, present)
    own = _own_records(night, job, present)
    if not night.wishes.force and any(_is_done(night, state, *each) for each in own.items()):
        return Skip("done already today")
    _refuse_later_archives(night, state, own.values())
    problem = None
    try:
        notes += source.check(had_content=state.had_content and not night.wishes.force)
    except SourceError as error:
        problem = error
    # Every archive of a chain is signed by the same key, or none is, so that the chain can be trusted as a whole.
    signer = {"GpgSignKey": night.signer} if night.signer else {}
    content = {**source.content(), "GpgRecipient": list(night.fingerprints), **signer}
    decision = _decide(night, job, source, state, content, look=look)
    slot = job.schedule.slot(night.day)
    return Plan(
        job=job,
        key=archive_key(_prefix(night), job.kind, job.name, slot, decision.type),
        slot=slot,
        decision=decision,
        state=state,
        content=content,
        present=tuple(found.key for found in present),
        taken_over=taken_over,
        notes=tuple(notes),
        problem=problem,
    )


def not_due(night: Night, job: Job, state: SourceState) -> str:
    """Why nothing is due today; empty if something is. A night that was missed is made up."""
    schedule = job.schedule
    if schedule.is_due(night.day):
        return ""
    newest = state.newest
    if newest is not None and schedule.period(newest.day) < schedule.period(night.day):
        return ""
    next_day = next(day for day in range(night.day + 1, night.day + schedule.frequency + 1) if schedule.is_due(day))
    return f"not due until {day_date(next_day)}"


def folder_not_due(night: Night, job: Job) -> str:
    """Why nothing that a folder of sources may hold is due today; empty if something is.

    What it holds is known from state alone, since the folder may be missing.
    """
    known = [state for state in night.state.all() if state.cycle == job.cycle and _lies_below(state.name, job.name)]
    reasons = [not_due(night, job, state) for state in known or [SourceState(job.name, job.source, job.cycle)]]
    return reasons[0] if all(reasons) else ""


def _lies_below(name: str, folder: str) -> bool:
    return name.startswith(f"{folder}/") if folder else True


def leftover_keys(night: Night, plan: Plan, *, limit: int = 7) -> list[str]:
    """Keys at which runs since the newest archive may have left something unfinished, of few slots."""
    schedule = plan.job.schedule
    newest = plan.state.newest
    slots = dict.fromkeys(
        schedule.slot(day)
        for day in range(night.day, max(night.day - limit * schedule.frequency, 0), -schedule.frequency)
        if newest is None or schedule.period(day) >= schedule.period(newest.day)
    )
    keys = (slot_keys(_prefix(night), plan.job.kind, plan.job.name, slot) for slot in {plan.slot: None, **slots})
    # A run that was killed after its commit may have been writing the checksum.
    sums = [sum_key(newest.key)] if newest else []
    return [key for pair in keys for key in pair] + sums


def _prefix(night: Night) -> str:
    return night.configuration.store.prefix


def _remembered(night: Night, job: Job) -> tuple[SourceState, list[str]]:
    fresh = SourceState(job.name, job.source, job.cycle)
    try:
        state = night.state.load(job.name)
    except DamagedState as error:
        return fresh, [f"{error}; going on without it"]
    if state is not None:
        return replace(state, source=job.source, cycle=job.cycle), []
    former = night.state.former_names(job.source, job.cycle, job.name)
    return fresh, [
        f"{job.source} was kept as {name!r} and is kept as {job.name!r} from now on; "
        f"the archives under the former name stay where they are"
        for name in former
    ]


def _look_at_slot(night: Night, job: Job) -> tuple[StoredObject, ...]:
    _refuse_unmounted(night)
    keys = slot_keys(_prefix(night), job.kind, job.name, job.schedule.slot(night.day))
    return tuple(found for key in keys if (found := night.store.head(key)) is not None)


def _refuse_unmounted(night: Night) -> None:
    if night.wishes.force or night.store.is_recognised() or not night.state.knows_store():
        return
    raise SourceError(
        f"{night.store.location} does not hold the mark that earlier backups left there. Is the disk not mounted? "
        "If it was emptied on purpose, run once with -f"
    )


def _claim(night: Night, job: Job, state: SourceState, present: Sequence[StoredObject]) -> tuple[str, ...]:
    """Owners that this name may replace; raises if the slot is another's."""
    own = Owner(night.host, job.source)
    taken_over = state.taken_over
    for found in present:
        owner = owner_of(found.metadata)
        if owner == own or str(owner) in taken_over:
            continue
        if not night.wishes.take_over:
            raise SourceError(
                f"{night.store.location}/{found.key} belongs to {owner}, not to {own}. Nothing was changed. "
                "Give this configuration a Prefix or another Bucket, or let it replace what is there by running once "
                "with --take-over"
            )
        taken_over = (*taken_over, str(owner))
    return taken_over


def _own_records(night: Night, job: Job, present: Sequence[StoredObject]) -> dict[str, ArchiveRecord]:
    own = Owner(night.host, job.source)
    records = {found.key: ArchiveRecord.from_metadata(found.metadata) for found in present}
    return {key: record for key, record in records.items() if record is not None and record.owner == own}


def _is_done(night: Night, state: SourceState, key: str, record: ArchiveRecord) -> bool:
    """Whether an archive of ours is a good one of today.

    One that state does not know may be what a run left that failed after completion, not to be trusted, or it may
    build on what has been replaced since. The checksum, which comes last, tells of a run that went to its end.
    """
    if record.day != night.day:
        return False
    if state.newest is None or state.newest.id == record.id:
        return state.newest is not None or _has_sum(night.store, key, record)
    builds_on_known = not record.parent or any(link.id == record.parent for link in state.history.chain)
    return builds_on_known and _has_sum(night.store, key, record)


def _has_sum(store: Store, key: str, record: ArchiveRecord) -> bool:
    if store.head(sum_key(key)) is None:
        return False
    try:
        note = read_sum(store, key)
    except StoreUnreachable:
        raise
    except StoreError:
        # One that cannot be read, as in cold storage, is as good as none: the archive is made once more.
        return False
    return note is not None and note.id == record.id


def _refuse_later_archives(night: Night, state: SourceState, own_records: Iterable[ArchiveRecord] = ()) -> None:
    # What state remembers counts. Where the clock was wrong once, slots hold archives of later days for a while.
    days = [state.newest.day] if state.newest else [record.day for record in own_records]
    if max(days, default=night.day) > night.day and not night.wishes.force:
        raise SourceError(
            f"the newest archive is of {day_date(max(days))}, and today is {day_date(night.day)}: the clock may be "
            "wrong. If it is right, run once with -f"
        )


def _decide(
    night: Night, job: Job, source: Source, state: SourceState, content: Mapping[str, object], *, look: bool
) -> Decision:
    history = state.history if kind_of(job.kind).has_diffs else History()
    decision = decide(
        job.schedule,
        night.day,
        history,
        content=content,
        keys=slot_keys(_prefix(night), job.kind, job.name, job.schedule.slot(night.day)),
        full_wanted=night.wishes.full,
    )
    if decision.type is ArchiveType.FULL:
        return decision
    memory = decision.base[-1].memory
    if memory is None:
        return Decision(ArchiveType.FULL, (), "what a DIFF on the last archive needs was not kept")
    reason = source.obstacle(memory, night.state.folder(job.name), time.time())
    if not reason and look:
        reason = _broken_link(night.store, decision.base)
    return Decision(ArchiveType.FULL, (), reason) if reason else decision


def _broken_link(store: Store, chain: Chain) -> str:
    for link in chain:
        found = store.head(link.key)
        if found is None:
            return f"{link.key} of {day_date(link.day)}, on which the DIFF would build, is no longer in the store"
        record = ArchiveRecord.from_metadata(found.metadata)
        if record is None or record.id != link.id:
            return f"{link.key} of {day_date(link.day)}, on which the DIFF would build, was replaced by another archive"
    return ""
