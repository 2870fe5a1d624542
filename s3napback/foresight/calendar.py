"""The days to come of one source: which slot it fills, with what, and to which days one can then go back.

Each day is decided by ``deciding``, as the night itself will decide, on facts that are imagined: every backup is made,
the store holds what is remembered and what was foreseen, and no setting changes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import field, replace

from s3napback.archives import Owner, archive_key, slot_keys
from s3napback.chains import History, Link, Links, Memory, SourceState, extended_chain
from s3napback.config.settings import Job
from s3napback.deciding.facts import Held, Inspection, RunFacts, SourceFacts, Untold, Whereabouts
from s3napback.deciding.plans import Plan, decide, is_due
from s3napback.kinds import SourceName, kind_of
from s3napback.records import dataclass
from s3napback.rotation import ArchiveType, Schedule

_MEMORY = Memory()


@dataclass(frozen=True, slots=True)
class Night:
    """One day on which a source is backed up.

    Attributes:
        day: as a day number.
        slot: that is filled.
        type: of the archive.
        why: why a FULL stands in a DIFF's slot, as one clause; empty if none does.
        replaced: day number of the archive that the slot held; None if it was empty, as far as is known.
        refilled: day number of the day on which the slot is filled anew; None if it never is.
        restorable: day numbers to which one can go back afterwards, the oldest first.
    """

    day: int
    slot: int
    type: ArchiveType
    why: str
    replaced: int | None
    refilled: int | None
    restorable: tuple[int, ...]


def nights(state: SourceState, job: Job, run: RunFacts, count: int) -> Iterator[Night]:
    """The backups of a source on ``count`` days, the first of which is the run's.

    Args:
        state: what is remembered of the source; a fresh one if nothing is.
        job: the source.
        run: the first day's, not before the newest archive's; its recipients do not matter.
    """
    source = _Source(job, state, _as_remembered(run, state))
    for day in range(run.day, run.day + count):
        # Asked first because it is quickly answered; deciding asks it again.
        if is_due(job.schedule, day, source.newest) and (night := source.pass_night(day)) is not None:
            yield night


def _as_remembered(run: RunFacts, state: SourceState) -> RunFacts:
    """Nobody has to look keys up to foresee a rotation: recipients are taken to be those of the last archive."""
    content = state.history.content
    recipients, signer = content.get("GpgRecipient", ()), content.get("GpgSignKey", "")
    return replace(
        run,
        recipients=tuple(map(str, recipients)) if isinstance(recipients, list | tuple) else (),
        signer=str(signer),
        is_plain_on_purpose=True,
    )


_Situation = tuple[ArchiveType, tuple[tuple[int, int, bool, ArchiveType], ...]]
"""What a night among nights of which none has failed is decided by: see ``_Source._situation``."""


@dataclass
class _Source:
    """A source on its way through imagined nights.

    Attributes:
        slots: what each slot holds.
        builders: by an archive's id the id of the DIFF that builds on it.
        restorable: by id the days of all archives whose chain is whole, the oldest first.
        groups: by the days of archives the groups that they lie in.
        settled: by situation the type that was decided on, and the number of archives that it builds on.
    """

    job: Job
    state: SourceState
    run: RunFacts
    slots: dict[int, Link] = field(default_factory=dict)
    builders: dict[str, str] = field(default_factory=dict)
    restorable: dict[str, int] = field(default_factory=dict)
    groups: dict[int, int] = field(default_factory=dict)
    settled: dict[_Situation, tuple[ArchiveType, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.history = self.state.history
        parent = ""
        for link in self.history.chain:
            self._land(link, parent)
            parent = link.id
        own = ("GpgRecipient", "GpgSignKey")
        content = {name: value for name, value in self.history.content.items() if name not in own}
        self._inspection = Inspection(content)
        self._own = Owner(self.run.host, self.job.source)
        self._is_under_way = False

    @property
    def newest(self) -> Link | None:
        """The archive that was made last."""
        return self.history.chain[-1] if self.history.chain else None

    def pass_night(self, day: int) -> Night | None:
        """What comes of one day; None if nothing is done."""
        situation = self._situation(day)
        if self._is_under_way and situation in self.settled:
            archive_type, length = self.settled[situation]
            return self._passed(day, archive_type, self.history.chain[:length])
        plan = decide(self._facts(day))
        if not isinstance(plan, Plan):
            return None
        if self._is_under_way and plan.why is None:
            self.settled[situation] = plan.type, len(plan.base)
        # From now on the cycle and the settings are those that the chain was made with.
        self.history = History(self.history.chain, self.job.schedule.describe(), plan.content)
        self._is_under_way = True
        return self._passed(day, plan.type, plan.base, str(plan.why or ""))

    def _situation(self, day: int) -> _Situation:
        """All that the rules of ``deciding`` ask of a day and a chain that was foreseen, and neither as such.

        They ask how many days and groups ago an archive was made, whether it lies in the slot that is filled, and of
        which type it is. So the nights of a group are decided like those of the group before. Whether archives are
        still there, and what a DIFF needs, is not in question here. Only reasons, which name days, are told anew.
        """
        schedule = self.job.schedule
        slot, group = schedule.slot(day), schedule.group(day)
        return schedule.type(day), tuple(
            [
                (day - link.day, group - self.groups[link.day], slot == link.slot, link.type)
                for link in self.history.chain
            ]
        )

    def _passed(self, day: int, archive_type: ArchiveType, base: Links, why: str = "") -> Night:
        """Make the archive that was decided on."""
        job, slot = self.job, self.job.schedule.slot(day)
        key = archive_key(self.run.prefix, job.kind, job.name, slot, archive_type)
        link = Link(f"of day {day}", key, slot, archive_type, day, memory=_MEMORY)
        replaced = self.slots.get(slot)
        self._land(link, base[-1].id if base else "")
        self.history = History(extended_chain(base, link), self.history.schedule, self.history.content)
        return Night(
            day=day,
            slot=slot,
            type=archive_type,
            why=why,
            replaced=replaced.day if replaced else None,
            refilled=job.schedule.refilled(day),
            restorable=tuple(self.restorable.values()),
        )

    def _facts(self, day: int) -> SourceFacts:
        job, run = self.job, replace(self.run, day=day)
        keys = slot_keys(run.prefix, job.kind, job.name, job.schedule.slot(day))
        chain = {link.key: Held(self._own, link.id, day=link.day) for link in self.history.chain}
        return SourceFacts(
            run=run,
            job=job,
            state=replace(self.state, history=self.history),
            now=0,
            has_lost_mark=False,
            last_is=Whereabouts.THERE,
            objects={**dict.fromkeys(keys), **chain},
            inspection=self._inspection,
            footing=Untold(),
        )

    def _land(self, link: Link, parent: str) -> None:
        """Fill a slot; all that was built on what it held cannot be restored any more."""
        lost = self.slots.get(link.slot)
        gone = lost.id if lost else ""
        while gone:
            self.restorable.pop(gone, None)
            gone = self.builders.get(gone, "")
        self.slots[link.slot] = link
        self.groups[link.day] = self.job.schedule.group(link.day)
        if parent:
            self.builders[parent] = link.id
        self.restorable[link.id] = link.day


@dataclass(frozen=True)
class Foreseen:
    """Sources of which the same is foreseen.

    Attributes:
        cycle: name of the Cycle around them; empty for blocks of their own.
        sources: in the order of the configuration.
        nights: on which they are backed up.
    """

    cycle: str
    schedule: Schedule
    sources: tuple[SourceName, ...]
    nights: tuple[Night, ...]


def foresee(sources: Sequence[tuple[Job, SourceState]], run: RunFacts, first: int, count: int) -> list[Foreseen]:
    """What is going to be done for some sources, those beside each other of which the same is foreseen.

    Args:
        sources: jobs, and what is remembered of each; a fresh state if nothing is.
        run: of the day from which on all is imagined.
        first: day number of the first day that is told of, not before that of the run.
        count: days that are told of.
    """
    passed: dict[object, tuple[Night, ...]] = {}
    groups: dict[object, list[Job]] = {}
    for job, state in sources:
        alike = (job.cycle, job.schedule, kind_of(job.kind).has_diffs, state.history.schedule, _shape(state))
        if alike not in passed:
            every = nights(state, job, run, first - run.day + count)
            passed[alike] = tuple(night for night in every if night.day >= first)
        groups.setdefault(alike, []).append(job)
    return [
        Foreseen(jobs[0].cycle, jobs[0].schedule, tuple(job.source for job in jobs), passed[alike])
        for alike, jobs in groups.items()
    ]


def _shape(state: SourceState) -> tuple[tuple[int, ArchiveType, int, bool], ...]:
    """All of what is remembered that the nights to come depend on, the names apart."""
    return tuple((link.slot, link.type, link.day, link.memory is None) for link in state.history.chain)
