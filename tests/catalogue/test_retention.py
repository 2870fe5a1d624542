from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3napback.archives import UNKNOWN_OWNER, Owner
from s3napback.catalogue.claims import Claims
from s3napback.catalogue.contents import Catalogue, CataloguedArchive
from s3napback.catalogue.retention import (
    Disposition,
    deletable,
    judge_archives,
    judge_sum,
    span,
    sums_without_archive,
    upload_keys,
)
from s3napback.catalogue.sums import SumNote
from s3napback.chains import History, Link, Memory, extended_chain
from s3napback.config.settings import Job
from s3napback.deciding.facts import BackupOptions
from s3napback.kinds import SourceName
from s3napback.rotation import ArchiveType, HanoiCycle, Schedule, SimpleCycle
from tests.catalogues import EPOCH, HOST, archive, catalogue, group, job, keys, nameless
from tests.deciding.facts import imagined, plan_of

TWO_WEEKS = SimpleCycle(diffs=6, fulls=2)
LATER = 1000


def judged(
    archives: Sequence[CataloguedArchive], *jobs: Job, day: int = LATER, unowned: bool = False
) -> list[Disposition]:
    return judge_archives(catalogue(archives), Claims(HOST, jobs), day, unowned=unowned)


def deleted(archives: Sequence[CataloguedArchive], *jobs: Job, day: int = LATER, unowned: bool = False) -> list[str]:
    return keys(disposition.archive for disposition in deletable(judged(archives, *jobs, day=day, unowned=unowned)))


def note(host: str, source: str, day: int) -> SumNote:
    return SumNote("ab" * 32, "etc-0-FULL", "one", Owner(host, SourceName.parse(source)), EPOCH + timedelta(days=day))


def reason_to_keep(archives: Sequence[CataloguedArchive], key: str, *jobs: Job, day: int = LATER) -> str:
    dispositions = judged(archives, *jobs, day=day, unowned=True)
    return next(disposition.kept for disposition in dispositions if disposition.archive.key == key)


@pytest.mark.parametrize(
    ("schedule", "days"),
    [
        (SimpleCycle(), 4),
        (TWO_WEEKS, 14),
        (SimpleCycle(frequency=7, diffs=1, fulls=3), 42),
        (HanoiCycle(), 16),
        (HanoiCycle(discs=1), 1),
        (HanoiCycle(frequency=7, discs=3, archive_oldest_disc=True), 28),
    ],
)
def test_a_rotation_spans(schedule: Schedule, days: int) -> None:
    assert span(schedule) == days


@pytest.mark.parametrize("schedule", [TWO_WEEKS, SimpleCycle(frequency=3, fulls=5), HanoiCycle(frequency=2, discs=4)])
def test_every_slot_is_filled_anew_within_the_span(schedule: Schedule) -> None:
    for start in range(500, 500 + span(schedule)):
        filled = {schedule.slot(day) for day in range(start, start + span(schedule)) if schedule.is_due(day)}
        assert filled == {schedule.slot(day) for day in range(2000) if schedule.is_due(day)}


def test_an_undisturbed_rotation_has_nothing_to_delete() -> None:
    archives = [*group("etc", 0, 14, 7), *group("etc", 7, 21, 7)]
    assert judged(archives, job("etc", TWO_WEEKS), day=27) == []


def test_an_archive_that_is_listed_twice_has_not_replaced_itself() -> None:
    archives = [*group("etc", 0, 14, 7), *group("etc", 7, 21, 7)]
    assert judged([*archives, *group("etc", 0, 14, 7)], job("etc", TWO_WEEKS), day=LATER) == []


def test_slots_beyond_the_present_cycle_go_diffs_first() -> None:
    archives = [*group("etc", 0, 900, 2), *group("etc", 14, 800, 3)]
    assert deleted(archives, job("etc", TWO_WEEKS)) == ["etc-16-DIFF", "etc-15-DIFF", "etc-14-FULL"]


def test_discs_beyond_the_present_number_go_but_not_those_kept_for_good() -> None:
    archives = [archive("etc", slot, 100 + slot) for slot in range(8)]
    assert deleted(archives, job("etc", HanoiCycle(discs=5))) == ["etc-6-FULL", "etc-5-FULL"]
    assert deleted(archives, job("etc", HanoiCycle(discs=5, archive_oldest_disc=True))) == []


def test_an_orphaned_diff_goes_and_says_why() -> None:
    archives = [archive("etc", 0, 900), *group("etc", 0, 800, 3)[1:]]
    dispositions = judged(archives, job("etc", TWO_WEEKS))
    assert keys(disposition.archive for disposition in dispositions) == ["etc-2-DIFF", "etc-1-DIFF"]
    assert dispositions[1].needless == ("it cannot be restored: its FULL was overwritten: etc-0-FULL is of 1972-06-19")


def test_a_diff_stays_where_its_parent_may_only_have_lost_its_metadata() -> None:
    archives = [archive("etc", 7, 900), nameless("etc-0-FULL", "etc", 800), *group("etc", 0, 800, 3)[1:]]
    assert judged(archives, job("etc", TWO_WEEKS)) == []


def test_what_is_left_of_a_slot_filled_anew_goes() -> None:
    archives = [archive("etc", 3, 100), *group("etc", 2, 900, 2)]
    assert deleted(archives, job("etc", TWO_WEEKS)) == ["etc-3-FULL"]
    others = [archive("etc", 3, 100), *group("etc", 2, 900, 2, host="other")]
    assert deleted([archive("etc", 1, 950), *others], job("etc", TWO_WEEKS)) == []


def test_a_former_name_goes_once_the_present_one_has_been_used_for_a_rotation() -> None:
    former = group("etc", 0, 100, 3)
    present = [archive("nightly/etc", 0, 120)]
    claim = job("nightly/etc", TWO_WEEKS)
    assert deleted([*former, *present], claim, day=130) == ["etc-2-DIFF", "etc-1-DIFF", "etc-0-FULL"]
    assert deleted([*former, *present], claim, day=115) == []
    kept = reason_to_keep([*former, *present], "etc-0-FULL", claim, day=115)
    assert kept == "its name was in use within the last 14 days, the span of the present rotation"


def test_a_former_name_stays_while_it_is_all_there_is() -> None:
    former = group("etc", 0, 100, 3)
    dispositions = judged(former, job("nightly/etc", TWO_WEEKS))
    assert [disposition.kept for disposition in dispositions] == [
        "it belongs to the newest restorable backup of its source"
    ] * 3


def test_discs_kept_for_good_stay_under_a_former_name() -> None:
    archives = [archive("etc", slot, 100 + slot) for slot in range(8)] + [archive("nightly/etc", 0, 900)]
    schedule = HanoiCycle(discs=5, archive_oldest_disc=True)
    assert deleted(archives, job("nightly/etc", schedule)) == [f"etc-{slot}-FULL" for slot in (3, 2, 1, 0)]


def test_names_without_a_block_go_only_if_asked_for() -> None:
    archives = [
        archive("etc", 0, 900),
        archive("old/etc", 0, 100, cycle="old"),
        *group("var", 0, 100, 2, source="Directory /var"),
        archive("var", 7, 200, source="Directory /var"),
    ]
    assert judged(archives, job("etc", TWO_WEEKS)) == []
    assert deleted(archives, job("etc", TWO_WEEKS), unowned=True) == ["var-1-DIFF", "old/etc-0-FULL", "var-0-FULL"]
    assert "newest restorable" in reason_to_keep(archives, "var-7-FULL", job("etc", TWO_WEEKS))


def test_a_name_without_a_block_is_measured_by_its_cycles_longest_rotation_or_that_of_all() -> None:
    jobs = (job("etc", TWO_WEEKS), job("srv", SimpleCycle(frequency=30), source="Directory /srv", cycle="monthly"))
    archives = [archive("var", slot, 900 + slot, source="Directory /var") for slot in range(2)]
    assert deleted(archives, *jobs, day=920, unowned=True) == ["var-0-FULL"]
    strange = [archive("var", slot, 900 + slot, source="Directory /var", cycle="gone") for slot in range(2)]
    assert deleted(strange, *jobs, day=920, unowned=True) == []
    assert deleted(strange, *jobs, day=1021, unowned=True) == ["var-0-FULL"]


STAYING = {
    "without metadata": nameless("etc-50-FULL", "etc", 100),
    "of another host": archive("etc", 50, 100, host="other"),
    "of another source": archive("etc", 50, 100, source="Subversion /etc"),
    "a copy under a name of its own": archive("keep/etc", 50, 100),
    "a copy in another slot": archive("etc", 50, 100, key="etc-60-FULL"),
    "a copy of another type": archive("etc", 50, 100, key="etc-50-DIFF"),
    "from the future": archive("etc", 50, LATER + 1),
}


@pytest.mark.parametrize("case", STAYING)
def test_nothing_goes_that_is(case: str) -> None:
    archives = [archive("etc", 0, 999), STAYING[case]]
    assert deleted(archives, job("etc", TWO_WEEKS), unowned=True) == []


def test_what_is_younger_than_the_rotation_stays() -> None:
    archives = [archive("etc", 0, 120), archive("etc", 20, 100)]
    assert deleted(archives, job("etc", TWO_WEEKS), day=114) == ["etc-20-FULL"]
    assert deleted(archives, job("etc", TWO_WEEKS), day=113) == []
    kept = reason_to_keep(archives, "etc-20-FULL", job("etc", TWO_WEEKS), day=113)
    assert kept == "it is younger than the present rotation, which spans 14 days"


def test_what_a_younger_archive_builds_on_stays() -> None:
    archives = [archive("etc", 0, 122), *group("etc", 50, 100, 20)]
    claim = job("etc", SimpleCycle())
    assert deleted(archives, claim, day=122) == []
    assert reason_to_keep(archives, "etc-50-FULL", claim, day=122) == "etc-69-DIFF, which stays, builds on it"
    assert len(deleted(archives, claim, day=123)) == 20


def test_the_newest_backup_of_every_name_in_use_stays() -> None:
    """Also where another Cycle has newer ones of the same source."""
    jobs = (job("a/etc", TWO_WEEKS, cycle="a"), job("b/etc", TWO_WEEKS, cycle="b"))
    archives = [archive("a/etc", 0, 900, cycle="a"), archive("b/etc", 20, 100, cycle="b")]
    assert deleted(archives, *jobs) == []


def test_without_blocks_nothing_goes() -> None:
    archives = [*group("etc", 0, 900, 2), archive("etc", 50, 1), archive("var", 0, 1, source="Directory /var")]
    assert judged(archives, unowned=True) == []
    assert judge_sum("etc", note(HOST, "Directory /etc", 1), Claims(HOST, ()), LATER, unowned=True) is None


SOURCES = ("Directory /etc", "Directory /var", "MySQL all", "Subversion /srv/svn/repo")
NAMES = ("etc", "nightly/etc", "var", "MySQL/all", "srv/svn/repo", "x/etc")
schedules = st.one_of(
    st.builds(SimpleCycle, frequency=st.integers(1, 3), diffs=st.integers(0, 3), fulls=st.integers(1, 3)),
    st.builds(HanoiCycle, discs=st.integers(1, 4), archive_oldest_disc=st.booleans()),
)
JOBS = (
    ("etc", "Directory /etc", "nightly"),
    ("nightly/etc", "Directory /etc", "nightly"),
    ("var", "Directory /var", "weekly"),
    ("MySQL/all", "MySQL all", "nightly"),
    ("srv/svn", "SubversionDir /srv/svn", "nightly"),
)
TODAY = 60


@st.composite
def claims_of_any_kind(draw: st.DrawFn) -> Claims:
    chosen = draw(st.lists(st.sampled_from(JOBS), unique_by=lambda each: (each[1], each[2])))
    return Claims(HOST, tuple(job(name, draw(schedules), source=source, cycle=cycle) for name, source, cycle in chosen))


@st.composite
def any_catalogue(draw: st.DrawFn) -> Catalogue:
    """Anything that may lie in a store: chains whole and broken, foreign, copied and without metadata."""
    found: dict[str, CataloguedArchive] = {}
    for number in range(draw(st.integers(0, 25))):
        name, slot, day = draw(st.sampled_from(NAMES)), draw(st.integers(0, 9)), draw(st.integers(0, TODAY + 1))
        source = draw(st.sampled_from(SOURCES))
        parents = [each.record.id for each in found.values() if each.record and str(each.record.owner.source) == source]
        parent = draw(st.sampled_from(["", *parents, "gone"])) if not source.startswith("MySQL") else ""
        made = archive(
            name,
            slot,
            day,
            parent=parent,
            source=source,
            cycle=draw(st.sampled_from(["nightly", "weekly", ""])),
            host=draw(st.sampled_from([HOST, HOST, HOST, "other"])),
            identity=f"id-{number}",
        )
        if draw(st.integers(0, 9)) == 0:
            made = nameless(made.key, name, day)
        found[made.key] = made
    return catalogue(found.values())


def whole_chain(archives: Sequence[CataloguedArchive], last: CataloguedArchive) -> list[CataloguedArchive]:
    """A chain by a way of its own: from the FULLs upwards."""
    reached: dict[str, list[CataloguedArchive]] = {}
    todo = [each for each in archives if each.record]
    progress = True
    while progress:
        progress = False
        for each in list(todo):
            assert each.record is not None
            if each.record.type is ArchiveType.FULL or each.record.parent in reached:
                reached[each.record.id] = [*reached.get(each.record.parent, []), each]
                todo.remove(each)
                progress = True
    return reached.get(last.record.id, []) if last.record else []


def owner(each: CataloguedArchive) -> Owner:
    assert each.record is not None
    return each.record.owner


@settings(max_examples=400, deadline=None)
@given(found=any_catalogue(), claims=claims_of_any_kind(), unowned=st.booleans())
def test_whatever_lies_in_a_store_what_matters_stays(found: Catalogue, claims: Claims, unowned: bool) -> None:
    going = [disposition.archive for disposition in deletable(judge_archives(found, claims, TODAY, unowned=unowned))]
    assert not going or claims.jobs
    own_sources = {each.source for each in claims.jobs} | {SourceName("Subversion", "/srv/svn/repo")}
    for each in going:
        assert each.record is not None
        assert owner(each).host == HOST
        assert owner(each).source in own_sources or unowned
        spans = [span(other.schedule) for other in claims.jobs if other.name == each.base]
        assert TODAY - each.record.day >= min(spans or [span(other.schedule) for other in claims.jobs])
    staying = [each for each in found.archives if each not in going]
    for each in staying:
        assert keys(whole_chain(staying, each)) == keys(whole_chain(found.archives, each))
    for whose in {owner(each) for each in found.archives if each.record}:
        own = [each for each in found.archives if each.record and owner(each) == whose]
        good = [each for each in own if whole_chain(found.archives, each)]
        if good:
            newest = max(each.record.day for each in good if each.record)
            assert any(each.record and each.record.day == newest for each in good if each in staying)


@st.composite
def history(draw: st.DrawFn) -> tuple[list[CataloguedArchive], Schedule, int]:
    """What is in the store after a run of nights, some of them failed, with one change of the cycle in between."""
    first = draw(st.builds(SimpleCycle, diffs=st.integers(0, 5), fulls=st.integers(1, 4)))
    second = draw(st.builds(SimpleCycle, diffs=st.integers(0, 5), fulls=st.integers(1, 4)))
    nights, change = draw(st.integers(1, 80)), draw(st.integers(0, 80))
    failed = draw(st.sets(st.integers(0, 79)))
    remembered = History()
    objects: dict[str, CataloguedArchive] = {}
    for day in range(nights):
        schedule = first if day < change else second
        if day in failed:
            continue
        slot = schedule.slot(day)
        both = (f"etc-{slot}-FULL", f"etc-{slot}-DIFF")
        plan = plan_of(imagined(day, schedule, remembered, options=BackupOptions(force=True)))
        made = archive("etc", slot, day, parent=plan.parent.id if plan.parent else "")
        assert made.record is not None
        for key in both:
            objects.pop(key, None)
        objects[made.key] = made
        link = Link(made.record.id, made.key, slot, plan.type, day, memory=Memory())
        remembered = History(extended_chain(plan.base, link), schedule.describe(), plan.content)
    return list(objects.values()), (first if nights <= change else second), nights


@settings(max_examples=300, deadline=None)
@given(history())
def test_pruning_a_real_history_costs_no_day_of_the_present_rotation(
    lived: tuple[list[CataloguedArchive], Schedule, int],
) -> None:
    archives, schedule, today = lived
    going = deleted(archives, job("etc", schedule), day=today)
    before = catalogue(archives)
    after = catalogue([each for each in archives if each.key not in going])

    def days(found: Catalogue) -> set[int]:
        return {each.record.day for each in found.archives if each.record and found.chain(each).archives}

    assert {day for day in days(before) if today - day < span(schedule)} <= days(after)
    assert max(days(before), default=0) == max(days(after), default=0)
    for each in after.archives:
        old = each.record is not None and today - each.record.day >= span(schedule)
        in_use = (
            bool(after.chain(each).archives) and not isinstance(schedule, HanoiCycle) and each.slot < schedule.slots
        )
        needed = any(each in after.chain(other).archives for other in after.archives)
        assert not old or in_use or needed, each.key


def test_sums_without_an_archive_are_found_and_only_those() -> None:
    found = catalogue(
        [archive("etc", 0, 1)], sums=["etc-0-FULL", "etc-1-DIFF", "MySQL/all-3", "photos/IMG.JPG", "etc-1-DIFF.tar"]
    )
    assert [each.key for each in sums_without_archive(found)] == ["MySQL/all-3.sha256", "etc-1-DIFF.sha256"]


@pytest.mark.parametrize(
    ("base", "said", "gone", "gone_if_unowned"),
    [
        ("etc", note(HOST, "Directory /etc", 100), True, True),
        ("nightly/etc", note(HOST, "Directory /etc", 100), True, True),
        ("other", note(HOST, "Directory /etc", 100), False, False),
        ("etc", note("other", "Directory /etc", 100), False, False),
        ("var", note(HOST, "Directory /var", 100), False, True),
        ("etc", note(HOST, "Directory /etc", LATER - 13), False, False),
        ("etc", replace(note(HOST, "Directory /etc", 100), started=None), False, False),
        ("etc", replace(note(HOST, "Directory /etc", 100), owner=UNKNOWN_OWNER), False, False),
        ("etc", None, False, False),
    ],
)
def test_a_sum_without_an_archive_goes(base: str, said: SumNote | None, gone: bool, gone_if_unowned: bool) -> None:
    claims = Claims(HOST, (job("etc", TWO_WEEKS),))
    assert (judge_sum(base, said, claims, LATER) == "") == gone
    assert (judge_sum(base, said, claims, LATER, unowned=True) == "") == gone_if_unowned


def test_uploads_are_looked_for_in_the_slots_of_names_that_are_ours() -> None:
    jobs = (
        job("etc", SimpleCycle(fulls=2)),
        job("MySQL/all", HanoiCycle(discs=2), source="MySQL all"),
        job("var", HanoiCycle(discs=2, archive_oldest_disc=True), source="Directory /var"),
        job("srv/svn", SimpleCycle(fulls=1), source="SubversionDir /srv/svn"),
        job("home", SimpleCycle(), source="Directory /home"),
    )
    archives = [
        archive("srv/svn/one", 0, 1, source="Subversion /srv/svn/one"),
        archive("var", 2, 1, source="Directory /var"),
        archive("home", 0, 1, source="Directory /home", host="other"),
    ]
    assert [*upload_keys(catalogue(archives), Claims(HOST, jobs), "p")] == [
        *("p/etc-0-FULL", "p/etc-0-DIFF", "p/etc-1-FULL", "p/etc-1-DIFF"),
        *("p/MySQL/all-0", "p/MySQL/all-1"),
        *(f"p/var-{slot}-{kind}" for slot in range(4) for kind in ("FULL", "DIFF")),
        *("p/srv/svn/one-0-FULL", "p/srv/svn/one-0-DIFF"),
    ]
