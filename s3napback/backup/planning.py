"""Find out what one source's backup of today is: look at state, store and source, and let ``deciding`` decide.

Only as much is looked at as the decision depends on. The dry run and the real one plan alike, and neither changes
anything.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from s3napback.answering import unless_silent
from s3napback.backup.context import RunContext
from s3napback.catalogue.sums import read_sum, sum_key
from s3napback.catalogue.telling import require_answers
from s3napback.chains import SourceState
from s3napback.config.settings import Job
from s3napback.deciding.facts import (
    Alarm,
    Footing,
    Held,
    Inspection,
    Look,
    NotLookedAt,
    SourceFacts,
    Untold,
    Whereabouts,
)
from s3napback.deciding.plans import Plan, Refusal, Skip, decide, why_not_due
from s3napback.errors import DamagedState, SourceError, SourceRefused, SourceSilent, StoreError
from s3napback.records import dataclass
from s3napback.sources import Source
from s3napback.state import remembered_of_several


def plan_source(
    context: RunContext,
    job: Job,
    source: Source,
    *,
    ask_store: bool = True,
    before: Callable[[], None] = lambda: None,
) -> Plan | Skip:
    """Plan one source.

    Args:
        context: the run.
        job: the configured source.
        source: the same, as it can be looked at.
        ask_store: otherwise the store is taken to hold what state remembers.
        before: called when the source is about to be looked at, which it is if all else lets it be backed up.

    Raises:
        SourceError: the slot belongs to another owner, the clock was set back, the store is not what it was, or the
            source does not answer.
        StateError: state cannot be read.
        StoreError: the store's answer does not allow a decision.
    """
    looks = Probes(context, job, source, before)
    facts = looks.first_facts()
    outcome = decide_by(looks, facts if ask_store else facts.with_imagined_store())
    if isinstance(outcome, Refusal):
        raise SourceRefused(outcome.reason, outcome.about)
    return outcome


def decide_by(looks: Probes, facts: SourceFacts) -> Plan | Skip | Refusal:
    """Decide, looking at what the decision turns out to depend on.

    Args:
        looks: how that is done.
        facts: what is known already.
    """
    while True:
        try:
            return decide(facts)
        except NotLookedAt as missing:
            facts = looks.complemented(facts, missing)


@dataclass(frozen=True)
class Probes:
    """The ways of finding out about one source, one for each kind of fact; none of them changes anything."""

    context: RunContext
    job: Job
    source: Source
    before: Callable[[], None] = lambda: None

    def first_facts(self) -> SourceFacts:
        """What every decision begins with: the run, the job, and what is remembered.

        Raises:
            StateError: state cannot be read.
        """
        state, notes = self._state()
        cut_off = frozenset(each.id for each in self.context.state.noted_uploads(self.job.name))
        return SourceFacts(self.context.facts, self.job, state, time.time(), notes, cut_off)

    def complemented(self, facts: SourceFacts, missing: NotLookedAt) -> SourceFacts:
        """The facts, with the one that a decision was missing.

        Raises:
            StoreError: the store gives no definite answer.
        """
        key = missing.key
        match missing.look:
            case Look.MARK:
                return replace(facts, has_lost_mark=self.has_lost_mark())
            case Look.KEY:
                return replace(facts, objects={**facts.objects, key: self.held(key, facts.state)})
            case Look.SUM:
                return replace(facts, noted_ids={**facts.noted_ids, key: self.noted_id(key)})
            case Look.SOURCE:
                self.before()
                return replace(facts, inspection=self.inspection(facts.state))
            case Look.FOOTING:
                self.before()
                return replace(facts, footing=self.footing(facts))
            case Look.LAST:
                return replace(facts, last_is=self.whereabouts(key, facts))

    def has_lost_mark(self) -> bool:
        """Whether the store does not bear the mark that earlier backups left there."""
        # In this order: on a first night another source may store the first archive in between.
        return self.context.state.knows_store() and not self.context.store.is_recognised()

    def held(self, key: str, state: SourceState) -> Held | None:
        """What lies under a key; None only if it is definitely nothing.

        The run's listing is enough where it shows an archive of ours as it was when it had arrived, or nothing, and we
        know of nothing there either. Whatever is replaced is looked at once more in any case, by ``SlotWatch``.
        """
        mark = self.context.survey.mark(key)
        known = state.stored.get(key)
        if mark and known and known.mark == mark:
            return Held.remembered(known)
        if mark is None and not known and all(link.key != key for link in state.history.chain):
            return None
        found = self.context.store.head(key)
        if found is None:
            return None
        if mark is None:
            self.context.survey.warn_of_left_out(found)
        return Held.of(found.metadata, found.size)

    def whereabouts(self, key: str, facts: SourceFacts) -> Whereabouts:
        """What has become of the archive made last; what cannot be looked at, or is mute, may still be it."""
        try:
            held = self.held(key, facts.state)
        except StoreError:
            return Whereabouts.THERE
        if held is None:
            return Whereabouts.GONE
        known = {link.id for link in facts.state.history.chain} | facts.cut_off
        return Whereabouts.REPLACED if held.id and held.id not in known else Whereabouts.THERE

    def noted_id(self, key: str) -> str | None:
        """Id of the archive that the checksum beside a key speaks of; None if there is none to be read."""
        if self.context.store.head(sum_key(key)) is None:
            return None
        try:
            note = read_sum(self.context.store, key)
        except StoreError as error:
            require_answers(self.context.store, error)
            # One that cannot be read, as in cold storage, is as good as none: the archive is made once more.
            return None
        return None if note is None else note.id

    def inspection(self, state: SourceState) -> Inspection:
        """The source itself, and the settings that shape its archives.

        Raises:
            SourceSilent: it can be asked for nothing.
        """
        notes: tuple[str, ...] = ()
        problem = None
        try:
            check, settings = partial(self._checked, state), self.job.settings
            notes = tuple(unless_silent(self.job.target, settings.stall_timeout, check))
        except SourceSilent:
            raise
        except SourceError as error:
            problem = error
        return Inspection(self.source.content(), notes, problem)

    def _checked(self, state: SourceState) -> Sequence[str]:
        if self.context.facts.options.force:
            return self.source.check(had_content=False, remembered={})
        memory = state.newest.memory if state.newest else None
        return self.source.check(had_content=state.had_content, remembered=memory.notes if memory else {})

    def footing(self, facts: SourceFacts) -> Footing:
        """That on which a DIFF would build, besides the archives."""
        memory = facts.base[-1].memory if facts.base else None
        return Untold() if memory is None else self.source.footing(memory, self.context.state.folder(self.job.name))

    def _state(self) -> tuple[SourceState, tuple[str, ...]]:
        job, state = self.job, self.context.state
        fresh = SourceState(job.name, job.source, job.cycle)
        try:
            remembered = state.load(job.name)
        except DamagedState as error:
            return fresh, (Alarm(f"{error}; going on without it, so that this archive is a FULL"),)
        if remembered is not None:
            notes = () if remembered.cycle == job.cycle else (Alarm(_other_cycle(job, remembered.cycle)),)
            return replace(remembered, source=job.source, cycle=job.cycle), notes
        return fresh, tuple(
            f"{job.source} was kept as {name!r} and is kept as {job.name!r} from now on; "
            f"the archives under the former name stay where they are"
            for name in state.former_names(job.source, job.cycle, job.name)
        )


def _other_cycle(job: Job, before: str) -> str:
    """What to say of a source that another Cycle has had: that was renamed, or stands in another configuration."""
    former, present = (f"the Cycle {name}" if name else "a block outside of Cycles" for name in (before, job.cycle))
    return (
        f"{job.source}: {former} made its archives until now, and {present} does from now on. If another "
        "configuration has the same source, both fill the same slots, and one replaces what the other still needs: "
        "give one of them a Prefix, or write both Cycles into one file"
    )


def folder_not_due(context: RunContext, job: Job) -> str:
    """Why nothing that a folder of sources may hold is due today; empty if something is.

    What it holds is known from state alone, since the folder may be missing.
    """
    newest = [state.newest for _, state in remembered_of_several(context.state, job)] or [None]
    reasons = [why_not_due(job.schedule, context.facts.day, link) for link in newest]
    return reasons[0] if all(reasons) else ""
