"""What is done for a source, or not: due, done, whose the slot is, what the clock says; and what is looked at."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given

from s3napback.archives import Owner
from s3napback.chains import History
from s3napback.deciding.facts import Alarm, BackupOptions, Held, Inspection, Look, SourceFacts, Whereabouts
from s3napback.deciding.fulls import Reason
from s3napback.deciding.plans import Plan, Refusal, Skip, decide, why_not_due
from s3napback.errors import SourceError
from s3napback.kinds import SourceName
from s3napback.rotation import ArchiveType, SimpleCycle, day_date
from tests.deciding.facts import any_facts, decided_by_and_by, imagined, link, plan_of

WEEKLY = SimpleCycle(frequency=7, fulls=3)
DAILY = SimpleCycle(diffs=6, fulls=2)
DAY = 20_454  # a multiple of 7, on which a group of DAILY begins
NEWEST = link(DAY, ArchiveType.FULL, WEEKLY)


def second_night(options: BackupOptions | None = None) -> SourceFacts:
    """A DIFF is due, on the FULL of the night before."""
    content = {"GpgRecipient": list[str]()}
    history = History((link(DAY, ArchiveType.FULL, DAILY),), DAILY.describe(), content)
    return imagined(DAY + 1, DAILY, history, options=options)


def holding(facts: SourceFacts, held: Held, *, noted_id: str | None = None, position: int = 1) -> SourceFacts:
    """The same with an object in the slot: under the FULL's key, or the DIFF's at position 1."""
    key = facts.keys[position]
    return replace(facts, objects={**facts.objects, key: held}, noted_ids={**facts.noted_ids, key: noted_id})


def forgetting(facts: SourceFacts) -> SourceFacts:
    return replace(facts, state=replace(facts.state, history=History()))


def today(facts: SourceFacts, **others: str) -> Held:
    named = {"id": "unknown", **others}
    return Held(facts.own, named["id"], named.get("parent", ""), facts.run.day)


def test_nothing_is_due_before_the_day_that_is_named() -> None:
    for days in range(1, 7):
        assert why_not_due(WEEKLY, DAY + days, NEWEST) == f"not due until {day_date(DAY + 7)}"
    assert why_not_due(WEEKLY, DAY + 7, NEWEST) == ""


def test_a_source_that_was_never_backed_up_waits_for_its_day_and_a_missed_one_does_not() -> None:
    assert why_not_due(WEEKLY, DAY + 3, None) != ""
    assert why_not_due(WEEKLY, DAY + 3, replace(NEWEST, day=DAY - 7)) == ""
    # made up yesterday, for the same period
    assert why_not_due(WEEKLY, DAY + 3, replace(NEWEST, day=DAY + 2)) != ""


def test_an_archive_of_tomorrow_is_no_sign_of_a_wrong_clock_and_nothing_is_done_until_then() -> None:
    facts = second_night()
    newest = replace(facts.state.history.chain[-1], day=facts.run.day + 1)
    flown = replace(facts, state=replace(facts.state, history=replace(facts.state.history, chain=(newest,))))
    tomorrow = day_date(facts.run.day + 1)
    assert decide(flown) == Skip(f"the newest archive is of {tomorrow}, which is tomorrow here; done until then")
    assert isinstance(decide(replace(flown, run=replace(flown.run, options=BackupOptions(force=True)))), Plan)
    later = replace(facts.run, day=facts.run.day - 1)
    assert isinstance(decide(replace(flown, run=later)), Refusal)


def test_what_is_not_due_is_skipped_without_a_look_unless_it_is_forced() -> None:
    facts = imagined(DAY + 3, WEEKLY)
    assert decided_by_and_by(facts) == (Skip(f"not due until {day_date(DAY + 7)}"), [])
    forced = imagined(DAY + 3, WEEKLY, options=BackupOptions(force=True))
    assert plan_of(forced).key == f"etc-{WEEKLY.slot(DAY + 3)}-FULL"


def test_for_a_full_nothing_of_the_chain_is_looked_at_but_whether_the_last_backup_is_there() -> None:
    facts = imagined(DAY + 7, DAILY, second_night().state.history)
    outcome, asked = decided_by_and_by(facts)
    assert isinstance(outcome, Plan)
    assert outcome.why is None
    of_slot = [(Look.MARK, ""), *((Look.KEY, key) for key in facts.keys), (Look.SOURCE, "")]
    assert asked == [*of_slot, (Look.LAST, "etc-0-FULL")]
    assert outcome.notes == ()


@pytest.mark.parametrize(
    ("fate", "told"),
    [
        (Whereabouts.GONE, "is no longer in the store"),
        (Whereabouts.REPLACED, "was replaced by a run that this DiffDir knows nothing of"),
    ],
)
def test_for_a_full_it_is_told_that_the_last_backup_is_gone(fate: Whereabouts, told: str) -> None:
    facts = imagined(DAY + 7, DAILY, second_night().state.history)
    emptied = replace(facts, last_is=fate)
    outcome = decide(emptied)
    assert isinstance(outcome, Plan)
    (note,) = outcome.notes
    assert isinstance(note, Alarm)
    assert note.startswith(f"{facts.job.source}: the last backup, etc-0-FULL of 2026-01-01, {told}")
    forced = decide(replace(emptied, run=replace(emptied.run, options=replace(emptied.run.options, force=True))))
    assert isinstance(forced, Plan)
    assert forced.notes == ()


def test_for_a_diff_each_thing_is_looked_at_once_and_the_chain_last() -> None:
    facts = second_night()
    outcome, asked = decided_by_and_by(facts)
    assert isinstance(outcome, Plan)
    assert outcome.type is ArchiveType.DIFF
    of_slot = [(Look.MARK, ""), *((Look.KEY, key) for key in facts.keys), (Look.SOURCE, ""), (Look.FOOTING, "")]
    assert asked == [*of_slot, (Look.KEY, "etc-0-FULL")]


@given(any_facts())
def test_what_was_not_looked_at_could_not_have_changed_the_decision(facts: SourceFacts) -> None:
    outcome, asked = decided_by_and_by(facts)
    assert outcome == decide(facts)
    assert len(asked) == len(set(asked))
    of_store = {key for look, key in asked if look is Look.KEY}
    assert of_store <= {*facts.keys, *(each.key for each in facts.base)}
    assert {key for look, key in asked if look is Look.SUM} <= of_store & set(facts.keys)


@given(any_facts())
def test_what_is_forced_is_never_skipped_and_what_is_taken_over_is_not_refused_to_anybody(facts: SourceFacts) -> None:
    forced = replace(facts, run=replace(facts.run, options=BackupOptions(force=True)))
    present = [held for key in facts.keys if (held := facts.objects[key])]
    assert isinstance(decide(forced), Refusal) == any(held.owner != facts.own for held in present)
    plan = plan_of(replace(facts, run=replace(facts.run, options=BackupOptions(force=True, take_over=True))))
    assert set(plan.taken_over) == {str(held.owner) for held in present if held.owner != facts.own}


def test_a_store_without_its_mark_is_refused_before_it_is_asked_for_more() -> None:
    outcome, asked = decided_by_and_by(replace(second_night(), has_lost_mark=True))
    assert isinstance(outcome, Refusal)
    assert outcome.reason.startswith("file:///vault does not hold the mark")
    assert asked == [(Look.MARK, "")]
    assert plan_of(replace(second_night(BackupOptions(force=True)), has_lost_mark=True)).why is None


@pytest.mark.parametrize("held", [Held(), Held(Owner("elsewhere", second_night().own.source), "x")])
def test_a_slot_of_somebody_elses_is_refused_unless_it_is_or_was_taken_over(held: Held) -> None:
    facts = holding(second_night(BackupOptions(force=True)), held)
    outcome = decide(facts)
    assert isinstance(outcome, Refusal)
    assert f"file:///vault/{facts.keys[1]} belongs to {held.owner}, not to {facts.own}" in outcome.reason
    taking = plan_of(holding(second_night(BackupOptions(take_over=True)), held))
    assert taking.taken_over == (str(held.owner),)
    known = plan_of(replace(facts, state=replace(facts.state, taken_over=(str(held.owner),))))
    assert known.taken_over == (str(held.owner),)


def test_where_a_disk_takes_two_sources_for_one_nobody_is_told_to_let_one_replace_the_other() -> None:
    facts = second_night(BackupOptions(force=True))
    own = facts.own
    other = SourceName(own.source.kind, own.source.target.upper())
    outcome = decide(holding(facts, Held(Owner(own.host, other), "x")))
    assert isinstance(outcome, Refusal)
    assert f"belongs to {Owner(own.host, other)}, not to {own}: the store takes upper and lower case" in outcome.reason
    assert "--take-over" not in outcome.reason
    elsewhere = decide(holding(facts, Held(Owner(own.host.upper(), own.source), "x")))
    assert isinstance(elsewhere, Refusal)
    assert "--take-over" in elsewhere.reason


def is_done_by_another(outcome: object) -> bool:
    """Whether nothing is to be done, with a warning: another machine of the same name may have done it."""
    return isinstance(outcome, Skip) and outcome.reason == "done already today" and "another machine" in outcome.doubt


def test_a_slot_that_is_somebody_elses_in_part_is_refused_although_today_is_done() -> None:
    facts = second_night()
    facts = holding(facts, today(facts), noted_id="unknown")
    assert is_done_by_another(decide(facts))
    assert isinstance(decide(holding(facts, Held(), position=0)), Refusal)


def test_what_state_knows_as_the_archive_of_today_is_done() -> None:
    facts = second_night()
    newest = link(DAY + 1, ArchiveType.DIFF, DAILY)
    history = replace(facts.state.history, chain=(*facts.state.history.chain, newest))
    facts = replace(facts, state=replace(facts.state, history=history))
    assert decide(holding(facts, today(facts, id=newest.id))) == Skip("done already today")


def test_what_has_been_cut_since_it_arrived_is_not_done() -> None:
    facts = second_night()
    newest = replace(link(DAY + 1, ArchiveType.DIFF, DAILY), size=8)
    history = replace(facts.state.history, chain=(*facts.state.history.chain, newest))
    facts = replace(facts, state=replace(facts.state, history=history))
    held = today(facts, id=newest.id)
    assert decide(holding(facts, replace(held, size=8))) == Skip("done already today")
    plan = decide(holding(facts, replace(held, size=7)))
    assert isinstance(plan, Plan)
    assert plan.type is ArchiveType.DIFF, "on what was there before"


@pytest.mark.parametrize(
    ("noted_id", "parent", "is_done"),
    [
        ("unknown", f"id of day {DAY}", True),
        ("unknown", "", True),
        ("unknown", "of a chain that was replaced", False),
        ("another", f"id of day {DAY}", False),
        (None, f"id of day {DAY}", False),
    ],
)
def test_what_state_does_not_know_is_done_if_its_run_went_to_its_end_and_it_builds_on_what_is_known(
    noted_id: str | None, parent: str, is_done: bool
) -> None:
    facts = second_night()
    outcome = decide(holding(facts, today(facts, parent=parent), noted_id=noted_id))
    assert is_done_by_another(outcome) == is_done


def test_without_state_an_archive_of_today_is_done_if_its_run_went_to_its_end() -> None:
    facts = forgetting(second_night())
    held = today(facts, parent="whatever")
    assert is_done_by_another(decide(holding(facts, held, noted_id="unknown")))
    assert plan_of(holding(facts, held)).superseded == ("etc-1-DIFF",)


def test_an_archive_of_today_without_an_identity_is_not_done() -> None:
    facts = forgetting(second_night())
    assert isinstance(decide(holding(facts, today(facts, id=""))), Plan)


def test_a_checksum_is_looked_at_only_beside_an_archive_of_today() -> None:
    facts = second_night()
    for day, looks in ((facts.run.day, 1), (facts.run.day - 14, 0)):
        _, asked = decided_by_and_by(holding(facts, replace(today(facts), day=day)))
        assert [look for look, _ in asked].count(Look.SUM) == looks


def test_a_clock_that_was_set_back_is_refused_by_state_and_without_it_by_the_slot() -> None:
    facts = second_night()
    back = replace(facts, run=replace(facts.run, day=DAY - 2))
    outcome, asked = decided_by_and_by(back)
    assert isinstance(outcome, Refusal)
    assert f"the newest archive is of {day_date(DAY)}, and today is {day_date(DAY - 2)}" in outcome.reason
    assert asked == []
    lost = forgetting(facts)
    later = decide(holding(lost, replace(today(lost), day=DAY + 15)))
    assert isinstance(later, Refusal)
    assert day_date(DAY + 15).isoformat() in later.reason
    # State knows the newest one. The slot still holds what was made under a wrong clock.
    assert isinstance(decide(holding(facts, replace(today(facts), day=DAY + 15))), Plan)


def test_what_goes_once_the_archive_has_arrived_is_the_slots_other_key() -> None:
    facts = second_night()
    old = replace(today(facts), day=DAY - 13)
    assert plan_of(holding(facts, old)).superseded == ()
    assert plan_of(holding(facts, old, position=0)).superseded == (facts.keys[0],)


def test_a_problem_of_the_source_and_all_notes_come_with_the_plan() -> None:
    problem = SourceError("it does not exist")
    facts = replace(second_night(), notes=("of state",), inspection=Inspection({}, ("of the source",), problem))
    plan = plan_of(facts)
    assert (plan.notes, plan.problem) == (("of state", "of the source"), problem)


def test_a_full_that_nobody_asked_for_is_unexpected_unless_it_is_the_first_archive() -> None:
    assert not plan_of(second_night()).is_unexpected
    assert not plan_of(second_night(BackupOptions(full=True))).is_unexpected
    first = plan_of(forgetting(second_night()))
    assert first.why is not None
    assert first.why.reason is Reason.NOTHING_TO_BUILD_ON
    assert not first.is_unexpected
    assert plan_of(replace(second_night(), objects=dict.fromkeys(second_night().objects))).is_unexpected


def without_recipient(*, said: bool = False, options: BackupOptions | None = None) -> SourceFacts:
    """The second night of a source whose archives were encrypted, where no recipient is configured any more."""
    history = History((link(DAY, ArchiveType.FULL, DAILY),), DAILY.describe(), {"GpgRecipient": ["FINGERPRINT"]})
    facts = imagined(DAY + 1, DAILY, history, options=options)
    return replace(facts, run=replace(facts.run, is_plain_on_purpose=said))


def test_what_was_encrypted_does_not_become_plain_text_unless_that_is_said() -> None:
    refusal = decide(without_recipient())
    assert isinstance(refusal, Refusal)
    assert "its archives were encrypted until now" in refusal.reason
    assert plan_of(without_recipient(said=True)).type is ArchiveType.FULL
    assert plan_of(without_recipient(options=BackupOptions(force=True))).type is ArchiveType.FULL


def test_what_the_slot_holds_tells_of_encryption_where_nothing_is_remembered() -> None:
    facts = forgetting(second_night())
    plain, encrypted = (replace(today(facts), day=DAY - 20, is_encrypted=each) for each in (False, True))
    assert isinstance(decide(holding(facts, encrypted)), Refusal)
    assert plan_of(holding(facts, plain)).replaced == {facts.keys[1]: DAY - 20}
    others = replace(encrypted, owner=Owner("another", facts.job.source))
    taken = holding(facts, others)
    assert plan_of(replace(taken, run=replace(taken.run, options=BackupOptions(take_over=True))))
