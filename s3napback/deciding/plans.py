"""From the facts of a source to what its backup of today is: an archive, nothing, or a refusal. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import field

from s3napback.archives import Owner, archive_key
from s3napback.chains import Link, Links, SourceState
from s3napback.config.settings import Job
from s3napback.deciding.facts import Alarm, Held, RunFacts, SourceFacts, Whereabouts
from s3napback.deciding.fulls import Reason, Why, why_full
from s3napback.errors import SourceError
from s3napback.records import dataclass
from s3napback.rotation import ArchiveType, Schedule, day_date


@dataclass(frozen=True)
class Skip:
    """Nothing is to be done for a source today.

    Attributes:
        reason: why, as one clause.
        doubt: why that may be wrong, and what to do then, as a warning; mostly empty.
    """

    reason: str
    doubt: str = ""

    @property
    def words(self) -> str:
        """The whole of it, on one line."""
        return ": ".join(filter(None, (self.reason, self.doubt)))


@dataclass(frozen=True)
class Refusal:
    """Something must not be done for a source today, until somebody has looked.

    Attributes:
        reason: why, and what to do.
        about: what is wrong, in one word: ``owner``, ``clock``, ``store`` or ``key``.
    """

    reason: str
    about: str


@dataclass(frozen=True)
class Plan:
    """The archive that is to be made.

    Attributes:
        key: where it goes.
        base: for a DIFF the chain that it builds on, whose last link is its parent; empty for a FULL.
        why: why a FULL is made in the place of a DIFF; None if nothing was changed.
        state: what is remembered of the source; a fresh one if nothing is.
        content: what shapes the archive's content: the source's own settings, and for whom it is encrypted.
        replaced: day numbers of what the slot holds now, by key.
        superseded: keys of objects in the slot that go once the archive has arrived.
        taken_over: owners that may be replaced, with those that this run takes over.
        notes: what should be said, one line each.
        problem: why the source cannot be backed up, if it cannot.
    """

    job: Job
    key: str
    slot: int
    type: ArchiveType
    state: SourceState
    content: Mapping[str, object]
    base: Links = ()
    why: Why | None = None
    replaced: Mapping[str, int] = field(default_factory=dict)
    superseded: tuple[str, ...] = ()
    taken_over: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    problem: SourceError | None = None

    @property
    def parent(self) -> Link | None:
        """The archive that a DIFF builds on; None for a FULL."""
        return self.base[-1] if self.base else None

    @property
    def is_unexpected(self) -> bool:
        """Whether a FULL is made that nobody asked for, of a source that has archives already."""
        return self.why is not None and self.why.reason is not Reason.FULL_WANTED and self.state.newest is not None


def decide(facts: SourceFacts) -> Plan | Skip | Refusal:
    """What is to be done for a source.

    Raises:
        NotLookedAt: it depends on what is not known yet. What is known already decides the same with every fact that
            is added, so that it can be asked again.
    """
    for rule in _RULES:
        if (outcome := rule(facts)) is not None:
            return outcome
    return _plan(facts)


def is_due(schedule: Schedule, day: int, newest: Link | None) -> bool:
    """Whether something is due on a day: a period begins, or that of an earlier night was missed."""
    return schedule.is_due(day) or (newest is not None and schedule.period(newest.day) < schedule.period(day))


def why_not_due(schedule: Schedule, day: int, newest: Link | None) -> str:
    """Why nothing is due on a day; empty if something is. A night that was missed is made up.

    Args:
        newest: the archive that was made last; None if there is none.
    """
    if is_due(schedule, day, newest):
        return ""
    next_day = next(later for later in range(day + 1, day + schedule.frequency + 1) if schedule.is_due(later))
    return f"not due until {day_date(next_day)}"


def _refuse_remembered_future(facts: SourceFacts) -> Skip | Refusal | None:
    newest = facts.state.newest
    return _refuse_future(facts, newest.day) if newest else None


def _skip_not_due(facts: SourceFacts) -> Skip | None:
    reason = why_not_due(facts.schedule, facts.run.day, facts.state.newest)
    return Skip(reason) if reason and not facts.run.options.force else None


def _refuse_strange_store(facts: SourceFacts) -> Refusal | None:
    if facts.run.options.force or not facts.mark_is_lost():
        return None
    return Refusal(
        f"{facts.run.location} does not hold the mark that earlier backups left there. Is the disk not mounted? "
        "If it was emptied on purpose, run once with -f",
        "store",
    )


def _refuse_owner(facts: SourceFacts) -> Refusal | None:
    for key, held in _present(facts).items():
        if reason := why_not_replaced(facts.run, facts.own, facts.state.taken_over, key, held):
            return Refusal(reason, "owner")
    return None


def why_not_replaced(run: RunFacts, own: Owner, taken_over: Collection[str], key: str, held: Held | None) -> str:
    """Why what lies under a key must not be replaced, or deleted; empty if it may be, or nothing is there.

    Args:
        own: whose the archives of the source are.
        taken_over: owners whose archives may be replaced all the same.
    """
    if held is None or held.owner == own or run.options.take_over or str(held.owner) in taken_over:
        return ""
    if held.owner.host == own.host and str(held.owner.source).casefold() == str(own.source).casefold():
        return (
            f"{run.location}/{key} belongs to {held.owner}, not to {own}: the store takes upper and lower case for the "
            "same. Nothing was changed. Back up one of them with a configuration and a Prefix of its own"
        )
    return (
        f"{run.location}/{key} belongs to {held.owner}, not to {own}. Nothing was changed. "
        "Give this configuration a Prefix or another Bucket, or let it replace what is there by running once "
        "with --take-over"
    )


def why_in_vain(run: RunFacts, plan: Plan, key: str, held: Held | None, known: Collection[str]) -> str:
    """Why an archive would replace that of another run of today, which came after it was planned; empty if not so.

    Args:
        held: what lies under a key that the archive replaces.
        known: ids of archives that a run of this DiffDir was at.
    """
    if held is None or held.owner != Owner(run.host, plan.job.source) or held.id in known:
        return ""
    has_come = held.day == run.day and plan.replaced.get(key) != run.day
    return f"{run.location}/{key} was stored meanwhile {_BY_ANOTHER}" if has_come else ""


_BY_ANOTHER = (
    "by a run that this DiffDir knows nothing of. If it was another machine, the files of this one are in no backup: "
    "give each a HostName and a Prefix of its own"
)


def _skip_done(facts: SourceFacts) -> Skip | None:
    if facts.run.options.force:
        return None
    done = {held.id for key, held in _own(facts).items() if _is_done(facts, key, held)}
    if not done:
        return None
    return Skip("done already today", doubt="" if done & _known_ids(facts) else _BY_ANOTHER)


def _known_ids(facts: SourceFacts) -> set[str]:
    """Those of the archives that runs of this DiffDir have made, or were at, as far as is remembered."""
    remembered = {link.id for link in facts.state.history.chain} | {each.id for each in facts.state.stored.values()}
    return remembered | facts.cut_off


def _refuse_stored_future(facts: SourceFacts) -> Skip | Refusal | None:
    # What state remembers counts. Where the clock was wrong once, slots hold archives of later days for a while.
    if facts.state.newest is not None:
        return None
    return _refuse_future(facts, max((held.day for held in _own(facts).values()), default=facts.run.day))


def _refuse_plain_text(facts: SourceFacts) -> Refusal | None:
    """Two lines that got lost from a configuration must not make archives that anybody can read."""
    if facts.run.recipients or facts.run.is_plain_on_purpose or facts.run.options.force:
        return None
    was_encrypted = facts.state.history.content.get("GpgRecipient") or any(
        held.is_encrypted for held in _own(facts).values()
    )
    if not was_encrypted:
        return None
    return Refusal(
        "its archives were encrypted until now, and no GpgRecipient is configured any more. Nothing was changed. Put "
        "the recipient back; or if archives are to be plain text, write “Encryption Off”, or run once with -f",
        "key",
    )


_RULES: tuple[Callable[[SourceFacts], Skip | Refusal | None], ...] = (
    _refuse_remembered_future,
    _skip_not_due,
    _refuse_strange_store,
    _refuse_owner,
    _skip_done,
    _refuse_stored_future,
    _refuse_plain_text,
)
"""Whatever keeps an archive from being made at all; the first one that holds counts."""


def _plan(facts: SourceFacts) -> Plan:
    inspection = facts.inspected()
    is_diff, why = facts.schedule.type(facts.run.day) is ArchiveType.DIFF, None
    if is_diff:
        why = why_full(facts)
    archive_type = ArchiveType.DIFF if is_diff and why is None else ArchiveType.FULL
    losses = _losses(facts, why) if archive_type is ArchiveType.FULL else ()
    key = archive_key(facts.run.prefix, facts.job.kind, facts.job.name, facts.slot, archive_type)
    return Plan(
        job=facts.job,
        key=key,
        slot=facts.slot,
        type=archive_type,
        state=facts.state,
        content=facts.content,
        base=facts.base if archive_type is ArchiveType.DIFF else (),
        why=why,
        replaced={present: held.day for present, held in _present(facts).items()},
        superseded=tuple(present for present in _present(facts) if present != key),
        taken_over=_taken_over(facts),
        notes=(*facts.notes, *inspection.notes, *losses, *_replacements(facts)),
        problem=inspection.problem,
    )


def _losses(facts: SourceFacts, why: Why | None) -> tuple[Alarm, ...]:
    """What a FULL would pass over in silence: that the last backup is gone, or another archive in its place."""
    newest = facts.state.newest
    is_told = why is not None and why.reason in {Reason.LINK_GONE, Reason.LINK_REPLACED}
    if newest is None or is_told or facts.run.options.force:
        return ()
    whereabouts = facts.whereabouts(newest)
    last = f"{newest.key} of {day_date(newest.day)}"
    if whereabouts is Whereabouts.REPLACED:
        return (Alarm(f"{facts.job.source}: the last backup, {last}, was replaced {_BY_ANOTHER}"),)
    if whereabouts is Whereabouts.THERE:
        return ()
    said = (
        f"{facts.job.source}: the last backup, {last}, is no longer in the store: "
        "somebody, or a rule of the bucket, has deleted it. “s3napback list” shows what is left"
    )
    return (Alarm(said),)


def _replacements(facts: SourceFacts) -> tuple[Alarm, ...]:
    """What is said of whole archives of today that are replaced, and are not of this DiffDir."""
    if facts.run.options.force:
        return ()
    known = _known_ids(facts)
    strange = [
        key
        for key, held in _own(facts).items()
        if held.day == facts.run.day and held.id not in known and facts.noted_id(key) == held.id
    ]
    return tuple(
        Alarm(
            f"{facts.job.source}: {key}, which is replaced, was stored today by a run that this DiffDir knows nothing "
            "of. If it was another machine, the files of that one are in no backup of today: give each a HostName and "
            "a Prefix of its own"
        )
        for key in strange
    )


def _present(facts: SourceFacts) -> dict[str, Held]:
    """What the slot holds now, by key."""
    found = {key: facts.held(key) for key in facts.keys}
    return {key: held for key, held in found.items() if held is not None}


def _own(facts: SourceFacts) -> dict[str, Held]:
    return {key: held for key, held in _present(facts).items() if held.owner == facts.own}


def _taken_over(facts: SourceFacts) -> tuple[str, ...]:
    others = (str(held.owner) for held in _present(facts).values() if held.owner != facts.own)
    return tuple(dict.fromkeys((*facts.state.taken_over, *others)))


def _is_done(facts: SourceFacts, key: str, held: Held) -> bool:
    """Whether an archive of ours is a good one of today.

    One that state does not know may be what a run left that failed after completion, not to be trusted, or it may
    build on what has been replaced since. The checksum, which comes last, tells of a run that went to its end.
    """
    if held.day != facts.run.day:
        return False
    newest = facts.state.newest
    if newest is not None and newest.id == held.id:
        return held.has_size_of(newest)
    builds_on_known = (
        newest is None or not held.parent or any(link.id == held.parent for link in facts.state.history.chain)
    )
    return builds_on_known and facts.noted_id(key) == held.id


def _refuse_future(facts: SourceFacts, newest: int) -> Skip | Refusal | None:
    if newest <= facts.run.day or facts.run.options.force:
        return None
    if newest == facts.run.day + 1:
        # So it is after a flight to the west over the date line, or midnight's clock set back by minutes.
        return Skip(f"the newest archive is of {day_date(newest)}, which is tomorrow here; done until then")
    return Refusal(
        f"the newest archive is of {day_date(newest)}, and today is {day_date(facts.run.day)}: the clock may be "
        "wrong. If it is right, run once with -f",
        "clock",
    )
