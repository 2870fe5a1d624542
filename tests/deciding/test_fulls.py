"""When a DIFF becomes a FULL: every reason by itself, all of them together, and their words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from s3napback.chains import History, Link, Memory
from s3napback.deciding.facts import BackupOptions, Held, Inspection, Revisions, Snapshot, SourceFacts, Untold
from s3napback.deciding.fulls import Reason, changed_settings
from s3napback.deciding.plans import Plan, decide
from s3napback.rotation import ArchiveType, HanoiCycle, Schedule, SimpleCycle, day_date
from tests.catalogues import job
from tests.deciding.facts import KEPT, KNOWN_REVISIONS, NOW, WHOLE_SNAPSHOT, any_facts, imagined, link, plan_of

FULL, DIFF = ArchiveType.FULL, ArchiveType.DIFF
WEEKLY_FULL = SimpleCycle(diffs=6, fulls=3)
MONDAY = 21 * 1000  # a day on which a rotation of WEEKLY_FULL begins
SETTINGS: Mapping[str, object] = {"Exclude": ["*.o"], "TarOptions": [], "OneFileSystem": False}
CONTENT = {**SETTINGS, "GpgRecipient": ["AB"]}
BY_FORCE = BackupOptions(force=True)


def week(*days: int, schedule: Schedule = WEEKLY_FULL) -> History:
    """A chain of a FULL on the first of the days after MONDAY and DIFFs on the others."""
    chain = tuple(link(MONDAY + day, DIFF if number else FULL, schedule) for number, day in enumerate(days))
    return History(chain, schedule.describe(), CONTENT)


def on(
    day: int,
    history: History,
    *,
    schedule: Schedule = WEEKLY_FULL,
    content: Mapping[str, object] = CONTENT,
    options: BackupOptions = BY_FORCE,
) -> Plan:
    """What is made on the given day after MONDAY."""
    own = {name: value for name, value in content.items() if name != "GpgRecipient"}
    facts = imagined(MONDAY + day, schedule, history, content=own, options=options)
    recipients = content["GpgRecipient"]
    assert isinstance(recipients, list)
    return plan_of(replace(facts, run=replace(facts.run, recipients=tuple(recipients))))


def assert_diff_on(plan: Plan, base: tuple[Link, ...]) -> None:
    assert (plan.type, plan.base, plan.why) == (DIFF, base, None)


def assert_plain_full(plan: Plan) -> None:
    assert (plan.type, plan.base, plan.why) == (FULL, (), None)


def assert_full_because(plan: Plan, reason: Reason, *words: str) -> None:
    assert (plan.type, plan.base) == (FULL, ())
    assert plan.why is not None
    assert plan.why.reason is reason
    for word in words:
        assert word in str(plan.why)


def test_a_diff_builds_on_the_newest_archive_where_nothing_speaks_against_it() -> None:
    history = week(0, 1, 2)
    assert_diff_on(on(3, history), history.chain)


def test_a_diff_builds_on_the_newest_archive_also_after_missed_nights() -> None:
    history = week(0, 1)
    assert_diff_on(on(6, history), history.chain)


def test_the_first_slot_of_a_group_is_a_full_and_needs_no_reason() -> None:
    assert_plain_full(on(7, week(0, 1, 2, 3, 4, 5, 6)))
    assert_plain_full(on(0, History(), options=BackupOptions(full=True)))


@pytest.mark.parametrize("schedule", [SimpleCycle(diffs=0, fulls=4), HanoiCycle(discs=5)])
def test_a_cycle_without_diffs_makes_fulls(schedule: Schedule) -> None:
    assert_plain_full(on(1, week(0, schedule=schedule), schedule=schedule))


def test_a_chain_of_the_same_group_one_rotation_ago_makes_a_full() -> None:
    assert_full_because(on(21 + 3, week(0, 1)), Reason.OTHER_GROUP)


def test_a_chain_that_reaches_back_into_another_group_makes_a_full() -> None:
    assert_full_because(on(3, week(-1, 1, 2)), Reason.OTHER_GROUP, day_date(MONDAY - 1).isoformat())


def test_a_chain_that_began_in_the_middle_of_its_group_is_built_on() -> None:
    history = week(2, 3)
    assert_diff_on(on(4, history), history.chain)


@pytest.mark.parametrize("type_there", [FULL, DIFF])
def test_a_slot_that_holds_an_ancestor_makes_a_full(type_there: ArchiveType) -> None:
    """Either key counts: a DIFF would delete the FULL beside it once it has arrived."""
    ancestor = replace(link(MONDAY + 4, type_there, WEEKLY_FULL), id="ancestor")
    chain = (link(MONDAY, FULL, WEEKLY_FULL), ancestor, link(MONDAY + 5, DIFF, WEEKLY_FULL))
    # The clock was set back by a day, and -f was given.
    plan = on(4, History(chain, WEEKLY_FULL.describe(), CONTENT))
    assert_full_because(plan, Reason.ANCESTOR_IN_SLOT, "slot 4")


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
    assert on(2, replace(history, schedule=changed.describe()), schedule=changed).type is DIFF
    assert_full_because(on(2, history, schedule=changed), Reason.CYCLE_CHANGED, before.describe())


def test_a_cycle_that_was_a_hanoi_cycle_makes_a_full() -> None:
    history = replace(week(0, 1), schedule=HanoiCycle().describe())
    assert_full_because(on(2, history), Reason.CYCLE_CHANGED, "HanoiCycle")


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
    plan = on(3, week(0, 1, 2), content={**CONTENT, name: value})
    assert_full_because(plan, Reason.SETTINGS_CHANGED, f"{name} changed")
    assert plan.content == {**CONTENT, name: value}


def test_another_key_that_signs_makes_a_full() -> None:
    facts = intact(WHOLE_SNAPSHOT)
    assert_full_because(
        plan_of(replace(facts, run=replace(facts.run, signer="CD"))), Reason.SETTINGS_CHANGED, "GpgSignKey changed"
    )


def test_all_settings_that_changed_are_named() -> None:
    now = {**CONTENT, "OneFileSystem": True, "Exclude": []}
    assert str(on(3, week(0, 1, 2), content=now).why) == "Exclude and OneFileSystem changed"


def test_a_setting_that_only_one_side_knows_has_changed() -> None:
    assert changed_settings({}, {"New": 1}) == changed_settings({"New": 1}, {}) == ["New"]
    assert changed_settings({"Same": [1]}, {"Same": [1]}) == []


def test_the_newest_slot_once_more_builds_on_the_parent_of_what_is_there() -> None:
    history = week(0, 1, 2)
    assert_diff_on(on(2, history), history.chain[:-1])


def test_the_newest_slot_once_more_on_a_later_day_of_its_period_builds_on_the_parent_too() -> None:
    schedule = SimpleCycle(frequency=2, diffs=6, fulls=3)
    history = week(0, 2, 4, schedule=schedule)
    assert_diff_on(on(5, history, schedule=schedule), history.chain[:-1])


def test_a_full_that_stands_in_the_place_of_a_diff_is_replaced_by_a_full() -> None:
    assert_full_because(on(2, week(2)), Reason.NOTHING_TO_BUILD_ON)


Trouble = Callable[[SourceFacts], SourceFacts]


def intact(footing: Snapshot | Revisions) -> SourceFacts:
    """The fourth night of a week, with nothing that speaks against a DIFF."""
    history = replace(week(0, 1, 2), content={**SETTINGS, "GpgRecipient": []})
    whose = job(schedule=WEEKLY_FULL, source="Directory /etc" if isinstance(footing, Snapshot) else "Subversion /etc")
    return replace(imagined(MONDAY + 3, WEEKLY_FULL, history, content=SETTINGS, whose=whose), footing=footing)


def remembering(facts: SourceFacts, **changed: object) -> SourceFacts:
    history = replace(facts.state.history, **changed)  # type: ignore[arg-type]
    return replace(facts, state=replace(facts.state, history=history))


def with_links(facts: SourceFacts, change: Callable[[Link], Link]) -> SourceFacts:
    return remembering(facts, chain=tuple(map(change, facts.state.history.chain)))


def with_memory(facts: SourceFacts, memory: Memory | None) -> SourceFacts:
    return with_links(facts, lambda each: replace(each, memory=memory))


def with_footing(facts: SourceFacts, **changed: object) -> SourceFacts:
    assert facts.footing is not None
    return replace(facts, footing=replace(facts.footing, **changed))  # type: ignore[arg-type]


def with_ancestor_in_slot(facts: SourceFacts) -> SourceFacts:
    key, chain = facts.keys[0], facts.state.history.chain
    if not chain:
        return facts
    changed = remembering(facts, chain=(replace(chain[0], key=key), *chain[1:]))
    return with_object(changed, 0, Held(facts.own, chain[0].id, day=chain[0].day))


def with_object(facts: SourceFacts, position: int, held: Held | None) -> SourceFacts:
    chain = facts.state.history.chain
    return replace(facts, objects={**facts.objects, chain[position].key: held}) if chain else facts


def with_cut_object(facts: SourceFacts, position: int) -> SourceFacts:
    facts = with_links(facts, lambda each: replace(each, size=8))
    chain = facts.state.history.chain
    return with_object(facts, position, Held(facts.own, chain[position].id, size=7)) if chain else facts


COMMON: Mapping[Reason, Trouble] = {
    Reason.FULL_WANTED: lambda facts: replace(facts, run=replace(facts.run, options=BackupOptions(full=True))),
    Reason.NEVER_A_DIFF: lambda facts: replace(
        facts, job=replace(facts.job, kind="MySQL"), objects={**facts.objects, "etc-3": None}
    ),
    Reason.NOTHING_TO_BUILD_ON: lambda facts: remembering(facts, chain=()),
    Reason.CYCLE_CHANGED: lambda facts: remembering(facts, schedule="that of before"),
    Reason.SETTINGS_CHANGED: lambda facts: replace(facts, inspection=Inspection({**SETTINGS, "Exclude": []})),
    Reason.OTHER_GROUP: lambda facts: with_links(facts, lambda each: replace(each, day=each.day - 7)),
    Reason.ANCESTOR_IN_SLOT: with_ancestor_in_slot,
    Reason.NOT_KEPT: lambda facts: with_memory(facts, None),
    Reason.LINK_GONE: lambda facts: with_object(facts, 0, None),
    Reason.LINK_REPLACED: lambda facts: with_object(facts, 1, Held(facts.own, "another")),
    Reason.LINK_CUT: lambda facts: with_cut_object(facts, 1),
}
OF_SNAPSHOTS: Mapping[Reason, Trouble] = {
    Reason.SNAPSHOT_MISSING: lambda facts: with_footing(facts, is_there=False),
    Reason.SNAPSHOT_UNREADABLE: lambda facts: with_footing(facts, unreadable="Is a directory"),
    Reason.SNAPSHOT_DAMAGED: lambda facts: with_footing(facts, damage="it ends within a directory's record"),
    Reason.SNAPSHOT_ALTERED: lambda facts: with_footing(facts, sha256="cd"),
    Reason.SNAPSHOT_OF_THE_FUTURE: lambda facts: with_footing(facts, time=NOW + 1),
    Reason.INDEX_MISSING: lambda facts: with_footing(facts, index_sha256=""),
    Reason.INDEX_ALTERED: lambda facts: with_footing(facts, index_sha256="gh"),
}
OF_REVISIONS: Mapping[Reason, Trouble] = {
    Reason.REVISION_UNKNOWN: lambda facts: with_links(
        facts, lambda each: replace(each, memory=each.memory and replace(each.memory, notes={"uuid": "uuid"}))
    ),
    Reason.OTHER_REPOSITORY: lambda facts: with_footing(facts, uuid="another"),
    Reason.REVISIONS_GONE: lambda facts: with_footing(facts, youngest=6),
    Reason.REVISION_ALTERED: lambda facts: with_footing(facts, mark="7 now"),
    Reason.HISTORY_ALTERED: lambda facts: with_footing(facts, is_other=True),
}
KINDS = (
    (intact(WHOLE_SNAPSHOT), {**COMMON, **OF_SNAPSHOTS}),
    (intact(KNOWN_REVISIONS), {**COMMON, **OF_REVISIONS}),
)

WORDS = {
    Reason.FULL_WANTED: "--full was given",
    Reason.NEVER_A_DIFF: "MySQL is always dumped whole",
    Reason.NOTHING_TO_BUILD_ON: "there is no earlier backup to build on",
    Reason.CYCLE_CHANGED: "the cycle changed (it was that of before)",
    Reason.SETTINGS_CHANGED: "Exclude changed",
    Reason.OTHER_GROUP: "the last FULL is of 2027-06-24, in another group of the rotation",
    Reason.ANCESTOR_IN_SLOT: "slot 3 holds an archive that the DIFF would build on",
    Reason.NOT_KEPT: "what a DIFF on the last archive needs was not kept",
    Reason.SNAPSHOT_MISSING: "the snapshot of the last backup is missing",
    Reason.SNAPSHOT_UNREADABLE: "the snapshot of the last backup cannot be read: Is a directory",
    Reason.SNAPSHOT_DAMAGED: "the snapshot of the last backup is damaged: it ends within a directory's record",
    Reason.SNAPSHOT_ALTERED: "the snapshot of the last backup is damaged: its checksum differs",
    Reason.SNAPSHOT_OF_THE_FUTURE: "the snapshot of the last backup bears a time in the future",
    Reason.INDEX_MISSING: "the index of the last backup is missing, or cannot be read",
    Reason.INDEX_ALTERED: "the index of the last backup is damaged: its checksum differs",
    Reason.REVISION_UNKNOWN: "state does not tell which revision was archived last",
    Reason.OTHER_REPOSITORY: "the repository's UUID is another, and was uuid: it is another repository",
    Reason.REVISIONS_GONE: "its youngest revision is 6, and 7 was archived: an older copy was put back",
    Reason.REVISION_ALTERED: "its revision 7 is not the one that was archived: an older copy was put back",
    Reason.HISTORY_ALTERED: "it was made anew under its old UUID, and its revisions up to 7 are others than before",
    Reason.LINK_GONE: "etc-0-FULL of 2027-07-01, on which the DIFF would build, is no longer in the store",
    Reason.LINK_REPLACED: "etc-1-DIFF of 2027-07-02, on which the DIFF would build, was replaced by another archive",
    Reason.LINK_CUT: (
        "etc-1-DIFF of 2027-07-02, on which the DIFF would build, is damaged: it has 7 bytes in place of 8"
    ),
}


@pytest.mark.parametrize("reason", Reason)
def test_each_reason_is_given_where_it_alone_holds(reason: Reason) -> None:
    for facts, troubles in KINDS:
        if reason in troubles:
            assert_full_because(plan_of(troubles[reason](facts)), reason)
            assert str(plan_of(troubles[reason](facts)).why) == WORDS[reason]
    assert any(reason in troubles for _, troubles in KINDS)


@given(st.sampled_from(KINDS), st.data())
def test_of_several_reasons_the_first_is_given_and_without_one_a_diff_is_made(
    kind: tuple[SourceFacts, Mapping[Reason, Trouble]], data: st.DataObject
) -> None:
    facts, troubles = kind
    chosen = data.draw(st.lists(st.sampled_from(sorted(troubles, key=list(Reason).index)), unique=True, max_size=5))
    # What is missing cannot be damaged as well: of two that speak of the same the first one is made last.
    for reason in sorted(chosen, key=list(Reason).index, reverse=True):
        facts = troubles[reason](facts)
    plan = plan_of(facts)
    if chosen:
        assert_full_because(plan, min(chosen, key=list(Reason).index))
    else:
        assert_diff_on(plan, facts.state.history.chain)


@pytest.mark.parametrize("position", range(3))
def test_of_a_chain_that_is_not_whole_the_oldest_archive_that_fails_is_told(position: int) -> None:
    facts = intact(WHOLE_SNAPSHOT)
    for later in range(position, 3):
        facts = with_object(facts, later, None if later > position else Held())
    key = facts.state.history.chain[position].key
    assert_full_because(plan_of(facts), Reason.LINK_REPLACED, key)


def test_names_with_braces_are_shown_as_they_are() -> None:
    facts = remembering(intact(WHOLE_SNAPSHOT), schedule="{before} {0}")
    assert str(plan_of(facts).why) == "the cycle changed (it was {before} {0})"


@given(any_facts())
def test_a_diff_is_made_only_on_what_is_all_there(facts: SourceFacts) -> None:
    plan = decide(facts)
    assume(isinstance(plan, Plan))
    assert isinstance(plan, Plan)
    day, history = facts.run.day, facts.state.history
    assert plan.key in facts.keys
    assert plan.key not in plan.superseded
    if plan.type is FULL:
        assert plan.base == ()
        assert (plan.why is None) == (facts.schedule.type(day) is FULL)
        return
    assert plan.why is None
    assert facts.schedule.type(day) is DIFF
    assert not facts.run.options.full
    assert plan.base in (history.chain, history.chain[:-1])
    assert plan.base[0].type is FULL
    assert {facts.schedule.group(each.day) for each in plan.base} == {facts.schedule.group(day)}
    for each in plan.base:
        held = facts.objects[each.key]
        assert held is not None
        assert held.id == each.id
        assert each.key not in (plan.key, *plan.superseded)
    assert plan.parent is not None
    assert plan.parent.memory is not None
    assert history.schedule == facts.schedule.describe()
    assert history.content == plan.content
    assert facts.footing in (WHOLE_SNAPSHOT, KNOWN_REVISIONS, Untold())


def test_a_chain_that_began_without_an_index_goes_on_without() -> None:
    facts = with_memory(intact(WHOLE_SNAPSHOT), replace(KEPT, index="", index_sha256=""))
    assert plan_of(with_footing(facts, index_sha256="")).why is None
