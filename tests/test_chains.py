"""When a DIFF becomes a FULL: each rule by itself, and all of them over many simulated nights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3napback.archives import archive_key, slot_keys
from s3napback.chains import Chain, Decision, History, Link, base_for_slot, changed_settings, decide
from s3napback.rotation import ArchiveType, HanoiCycle, Schedule, SimpleCycle
from s3napback.state import extended_chain
from tests.rotations import guaranteed

FULL, DIFF = ArchiveType.FULL, ArchiveType.DIFF
WEEKLY_FULL = SimpleCycle(diffs=6, fulls=3)
MONDAY = 21 * 1000  # a day on which a rotation of WEEKLY_FULL begins
CONTENT: Mapping[str, object] = {"Exclude": ["*.o"], "TarOptions": [], "OneFileSystem": False, "GpgRecipient": ["AB"]}


def key(slot: int, archive_type: ArchiveType) -> str:
    return archive_key("", "Directory", "etc", slot, archive_type)


def keys(slot: int) -> tuple[str, ...]:
    return slot_keys("", "Directory", "etc", slot)


def link(day: int, archive_type: ArchiveType, schedule: Schedule = WEEKLY_FULL) -> Link:
    slot = schedule.slot(day)
    return Link(f"id of day {day}", key(slot, archive_type), slot, archive_type, day)


def week(*days: int, schedule: Schedule = WEEKLY_FULL) -> History:
    """A chain of a FULL on the first of the days after MONDAY and DIFFs on the others."""
    chain = tuple(link(MONDAY + day, DIFF if number else FULL, schedule) for number, day in enumerate(days))
    return History(chain, schedule.describe(), CONTENT)


def decide_on(
    day: int,
    history: History,
    *,
    schedule: Schedule = WEEKLY_FULL,
    content: Mapping[str, object] = CONTENT,
    full_wanted: bool = False,
) -> Decision:
    """What is made on the given day after MONDAY."""
    today = MONDAY + day
    return decide(schedule, today, history, content=content, keys=keys(schedule.slot(today)), full_wanted=full_wanted)


def test_a_diff_builds_on_the_newest_archive_where_nothing_speaks_against_it() -> None:
    history = week(0, 1, 2)
    assert decide_on(3, history) == Decision(DIFF, history.chain, "")


def test_a_diff_builds_on_the_newest_archive_also_after_missed_nights() -> None:
    history = week(0, 1)
    assert decide_on(6, history) == Decision(DIFF, history.chain, "")


def test_the_first_slot_of_a_group_is_a_full_and_needs_no_reason() -> None:
    assert decide_on(7, week(0, 1, 2, 3, 4, 5, 6)) == Decision(FULL, (), "")
    assert decide_on(0, History(), full_wanted=True) == Decision(FULL, (), "")


def test_a_cycle_without_diffs_makes_fulls() -> None:
    schedule = SimpleCycle(diffs=0, fulls=4)
    assert decide_on(1, week(0, schedule=schedule), schedule=schedule) == Decision(FULL, (), "")


def test_a_hanoi_cycle_makes_fulls() -> None:
    schedule = HanoiCycle(discs=5)
    assert decide_on(1, week(0, schedule=schedule), schedule=schedule) == Decision(FULL, (), "")


def assert_full_because(decision: Decision, *words: str) -> None:
    assert decision.type is FULL
    assert decision.base == ()
    for word in words:
        assert word in decision.reason


def test_without_an_earlier_backup_a_diff_becomes_a_full() -> None:
    assert_full_because(decide_on(2, History()), "no earlier backup")


def test_a_chain_of_the_group_before_makes_a_full() -> None:
    assert_full_because(decide_on(8, week(0, 1)), "group")


def test_a_chain_of_the_same_group_one_rotation_ago_makes_a_full() -> None:
    assert_full_because(decide_on(21 + 3, week(0, 1)), "group")


def test_a_chain_that_began_in_the_middle_of_its_group_is_built_on() -> None:
    history = week(2, 3)
    assert decide_on(4, history) == Decision(DIFF, history.chain, "")


@pytest.mark.parametrize("type_there", [FULL, DIFF])
def test_a_slot_that_holds_an_ancestor_makes_a_full(type_there: ArchiveType) -> None:
    """Either key counts: a DIFF would delete the FULL beside it once it has arrived."""
    ancestor = replace(link(MONDAY + 4, type_there), id="ancestor")
    chain = (link(MONDAY, FULL), ancestor, link(MONDAY + 5, DIFF))
    # The clock was set back by a day, and -f was given.
    decision = decide_on(4, History(chain, WEEKLY_FULL.describe(), CONTENT))
    assert_full_because(decision, "slot 4", "build on")


@pytest.mark.parametrize(
    "changed",
    [
        SimpleCycle(diffs=6, fulls=4),
        SimpleCycle(diffs=13, fulls=3),
        SimpleCycle(frequency=2, diffs=6, fulls=3),
        SimpleCycle(frequency=2, phase=1, diffs=6, fulls=3),
    ],
    ids=["Fulls", "Diffs", "Frequency", "Phase"],
)
def test_another_cycle_makes_a_full(changed: SimpleCycle) -> None:
    before = SimpleCycle(frequency=2, diffs=6, fulls=3) if changed.phase else WEEKLY_FULL
    history = week(0, schedule=before)
    assert decide_on(2, replace(history, schedule=changed.describe()), schedule=changed).type is DIFF
    assert_full_because(decide_on(2, history, schedule=changed), "cycle changed", before.describe())


def test_a_cycle_that_was_a_hanoi_cycle_makes_a_full() -> None:
    history = replace(week(0, 1), schedule=HanoiCycle().describe())
    assert_full_because(decide_on(2, history), "cycle changed", "HanoiCycle")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Exclude", []),
        ("Exclude", ["*.o", "*.a"]),
        ("TarOptions", ["--sparse"]),
        ("OneFileSystem", True),
        ("GpgRecipient", ["AB", "CD"]),
        ("GpgRecipient", []),
    ],
)
def test_a_change_of_what_shapes_the_content_makes_a_full(name: str, value: object) -> None:
    assert_full_because(decide_on(3, week(0, 1, 2), content={**CONTENT, name: value}), f"{name} changed")


def test_all_settings_that_changed_are_named() -> None:
    now = {**CONTENT, "OneFileSystem": True, "Exclude": []}
    assert_full_because(decide_on(3, week(0, 1, 2), content=now), "Exclude and OneFileSystem changed")


def test_a_setting_that_only_one_side_knows_has_changed() -> None:
    assert changed_settings({}, {"New": 1}) == changed_settings({"New": 1}, {}) == ["New"]
    assert changed_settings({"Same": [1]}, {"Same": [1]}) == []


def test_full_on_the_command_line_makes_a_full() -> None:
    assert_full_because(decide_on(3, week(0, 1, 2), full_wanted=True), "--full")


def test_the_newest_slot_once_more_builds_on_the_parent_of_what_is_there() -> None:
    history = week(0, 1, 2)
    assert decide_on(2, history) == Decision(DIFF, history.chain[:-1], "")


def test_the_newest_slot_once_more_on_a_later_day_of_its_period_builds_on_the_parent_too() -> None:
    schedule = SimpleCycle(frequency=2, diffs=6, fulls=3)
    history = week(0, 2, 4, schedule=schedule)
    assert decide_on(5, history, schedule=schedule) == Decision(DIFF, history.chain[:-1], "")


def test_a_full_that_stands_in_the_place_of_a_diff_is_replaced_by_a_full() -> None:
    assert_full_because(decide_on(2, week(2)), "no earlier backup")


def test_the_part_of_a_chain_that_stays() -> None:
    chain = week(0, 1, 2).chain
    assert base_for_slot(chain, chain[-1].slot, period_is_newest=True) == chain[:-1]
    assert base_for_slot(chain, chain[-1].slot, period_is_newest=False) == chain
    assert base_for_slot(chain, chain[-1].slot + 1, period_is_newest=True) == chain
    assert base_for_slot((), 0, period_is_newest=True) == ()


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
        for each in keys(made.slot):
            self.objects.pop(each, None)
        self.objects[made.key] = made.id


@dataclass
class SimulatedSource:
    """Makes archives as ``decide`` says, and holds them to the promises."""

    schedule: SimpleCycle
    content: str = "as it was"
    history: History = field(default_factory=History)
    store: SimulatedStore = field(default_factory=SimulatedStore)
    periods: list[int] = field(default_factory=list)

    def back_up(self, day: int, *, full_wanted: bool = False) -> None:
        slot = self.schedule.slot(day)
        content = {"Exclude": self.content}
        decision = decide(self.schedule, day, self.history, content=content, keys=keys(slot), full_wanted=full_wanted)
        made = Link(f"archive {len(self.store.parents)}", key(slot, decision.type), slot, decision.type, day)
        parent = decision.base[-1].id if decision.base else ""
        assert (decision.type is DIFF) == bool(parent)
        self.store.land(made, parent, self.schedule.period(day))
        assert self.store.is_restorable(made.id), "an archive was made on ancestors that are gone, or that it destroyed"
        self.history = History(extended_chain(decision.base, made), self.schedule.describe(), content)
        if not self.periods or self.periods[-1] != self.schedule.period(day):
            self.periods.append(self.schedule.period(day))

    def is_due(self, day: int) -> bool:
        chain: Chain = self.history.chain
        missed = bool(chain) and self.schedule.period(chain[-1].day) < self.schedule.period(day)
        return self.schedule.is_due(day) or missed

    def change_schedule(self, schedule: SimpleCycle) -> None:
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
