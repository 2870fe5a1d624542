"""What is decided over many simulated nights: no archive is made on what is not there, or destroys what is needed."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from s3napback.archives import slot_keys
from s3napback.chains import History, Link, Memory, extended_chain
from s3napback.deciding.facts import BackupOptions
from s3napback.deciding.plans import why_not_due
from s3napback.rotation import ArchiveType, Schedule, SimpleCycle
from tests.deciding.facts import imagined, plan_of
from tests.rotations import guaranteed


@dataclass
class SimulatedStore:
    """Slots by key, and what everything that was ever made builds on.

    Attributes:
        objects: identity by key.
        parents: identity of the parent by identity.
        periods: which backup of the schedule each archive is.
    """

    objects: dict[str, str] = field(default_factory=dict)
    parents: dict[str, str] = field(default_factory=dict)
    periods: dict[str, int] = field(default_factory=dict)

    def ancestors(self, identity: str) -> list[str]:
        found = []
        while identity := self.parents[identity]:
            found.append(identity)
        return found

    def is_restorable(self, identity: str) -> bool:
        return {identity, *self.ancestors(identity)} <= set(self.objects.values())

    def restorable_periods(self) -> set[int]:
        return {self.periods[each] for each in self.objects.values() if self.is_restorable(each)}

    def land(self, made: Link, parent: str, period: int) -> None:
        """Replace what the slot held, under either key, as a backup does."""
        self.parents[made.id], self.periods[made.id] = parent, period
        for each in slot_keys("", "Directory", "etc", made.slot):
            self.objects.pop(each, None)
        self.objects[made.key] = made.id


@dataclass
class SimulatedSource:
    """Makes archives as it is decided, and holds them to the promises."""

    schedule: Schedule
    content: str = "as it was"
    history: History = field(default_factory=History)
    store: SimulatedStore = field(default_factory=SimulatedStore)
    periods: list[int] = field(default_factory=list)

    def back_up(self, day: int, *, full_wanted: bool = False) -> None:
        options = BackupOptions(force=True, full=full_wanted)
        facts = imagined(day, self.schedule, self.history, content={"Exclude": self.content}, options=options)
        plan = plan_of(facts)
        made = Link(f"archive {len(self.store.parents)}", plan.key, plan.slot, plan.type, day, memory=Memory())
        parent = plan.parent.id if plan.parent else ""
        assert (plan.type is ArchiveType.DIFF) == bool(parent)
        self.store.land(made, parent, self.schedule.period(day))
        assert self.store.is_restorable(made.id), "an archive was made on ancestors that are gone, or that it destroyed"
        self.history = History(extended_chain(plan.base, made), self.schedule.describe(), plan.content)
        if not self.periods or self.periods[-1] != self.schedule.period(day):
            self.periods.append(self.schedule.period(day))

    def is_due(self, day: int) -> bool:
        newest = self.history.chain[-1] if self.history.chain else None
        return not why_not_due(self.schedule, day, newest)

    def change_schedule(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self.periods = []


@st.composite
def cycles_with_diffs(draw: st.DrawFn) -> SimpleCycle:
    frequency = draw(st.integers(1, 4))
    return SimpleCycle(
        frequency, draw(st.integers(0, frequency - 1)), diffs=draw(st.integers(1, 4)), fulls=draw(st.integers(1, 4))
    )


EVENTS = st.sampled_from(["", "", "", "", "", "again", "forced", "content", "full"])
TROUBLES = st.sampled_from(["", "", "", "failed", "failed", "clock back", "schedule"])


@settings(deadline=None)
@given(cycles_with_diffs(), st.integers(10_000, 30_000), st.lists(EVENTS, min_size=10, max_size=60))
def test_the_guaranteed_backups_are_restorable_whatever_is_forced_or_changed_if_no_night_failed(
    schedule: SimpleCycle, first_day: int, events: list[str]
) -> None:
    source = SimulatedSource(schedule)
    for day, event in enumerate(events, first_day):
        if event == "content":
            source.content = f"changed on day {day}"
        if source.is_due(day) or event in {"forced", "again"}:
            source.back_up(day, full_wanted=event == "full")
        if event == "again":
            source.back_up(day)
        newest = source.periods[-guaranteed(schedule) :]
        assert set(newest) <= source.store.restorable_periods()


@settings(deadline=None)
@given(
    cycles_with_diffs(),
    st.integers(10_000, 30_000),
    st.lists(st.tuples(EVENTS, TROUBLES, cycles_with_diffs()), min_size=10, max_size=60),
)
def test_no_archive_destroys_its_ancestors_whatever_happens(
    schedule: SimpleCycle, first_day: int, nights: list[tuple[str, str, SimpleCycle]]
) -> None:
    source = SimulatedSource(schedule)
    for day, (event, trouble, other_schedule) in enumerate(nights, first_day):
        if trouble == "failed":
            continue
        if trouble == "schedule":
            source.change_schedule(other_schedule)
        if event == "content":
            source.content = f"changed on day {day}"
        if trouble == "clock back":
            source.back_up(day - 3)
        elif source.is_due(day) or event in {"forced", "again"}:
            source.back_up(day, full_wanted=event == "full")
        if event == "again":
            source.back_up(day)
    assert all(source.store.is_restorable(link.id) for link in source.history.chain[-1:])
