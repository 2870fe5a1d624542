"""How a source is looked at, what is due of a folder, and where earlier runs may have left something."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from s3napback.backup.archiving import leftover_keys
from s3napback.backup.context import RunContext, prepared_run
from s3napback.backup.planning import folder_not_due, plan_source
from s3napback.backup.survey import Survey
from s3napback.chains import History, Link, SourceState
from s3napback.commands import backup
from s3napback.config.loading import load_configuration
from s3napback.config.settings import Configuration, Job, StoreSettings
from s3napback.deciding.facts import BackupOptions, RunFacts
from s3napback.deciding.plans import Plan, Skip
from s3napback.kinds import SourceName
from s3napback.rotation import ArchiveType, HanoiCycle, Schedule, SimpleCycle, day_date
from s3napback.sources.registry import make_source
from s3napback.state import StoreState
from s3napback.stores import StoredObject
from s3napback.stores.directory import DirectoryStore
from tests.catalogues import HOST, job
from tests.site import FIRST_DAY, Site

WEEKLY = SimpleCycle(frequency=7, fulls=3)
DAY = 20_454  # a multiple of 7


RUN = RunFacts(HOST, DAY, prefix="below")


@pytest.fixture
def context(tmp_path: Path) -> RunContext:
    store = DirectoryStore(tmp_path)
    (tmp_path / "diffs").mkdir()
    configuration = Configuration(tmp_path / "x.conf", StoreSettings(folder=tmp_path, prefix="below"))
    state = StoreState(tmp_path / "diffs", store.identity, "")
    return RunContext(configuration, RUN, store, state, tmp_path, Survey(store, "below", 1))


def remembered(name: str = "etc", *, day: int | None = None, slot: int = 0, cycle: str = "nightly") -> SourceState:
    """State of a source whose newest archive is of a day, or that has none."""
    chain = () if day is None else (Link("id", f"below/{name}-{slot}-FULL", slot, ArchiveType.FULL, day),)
    return SourceState(name, SourceName("Directory", f"/{name}"), cycle, History(chain=chain))


def test_a_folder_of_sources_is_due_if_one_of_those_below_it_is(context: RunContext) -> None:
    folder = replace(job("srv/svn", WEEKLY), kind="SubversionDir", target="/srv/svn")
    today = replace(context, facts=replace(RUN, day=DAY + 3))
    assert folder_not_due(today, folder) == f"not due until {day_date(DAY + 7)}"
    today.state.commit(remembered("srv/svn/done", day=DAY))
    today.state.commit(remembered("srv/svnother", day=DAY - 7))
    today.state.commit(remembered("srv/svn/elsewhere", day=DAY - 7, cycle="another"))
    assert folder_not_due(today, folder) == f"not due until {day_date(DAY + 7)}"
    today.state.commit(remembered("srv/svn/missed", day=DAY - 7))
    assert folder_not_due(today, folder) == ""


class AskedStore(DirectoryStore):
    """Remembers what it was asked for."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.asked: list[str] = []

    def head(self, key: str) -> StoredObject | None:
        self.asked.append(key)
        return super().head(key)

    def read(self, key: str, *, start: int = 0, end: int | None = None, version: str = "") -> Iterator[bytes]:
        self.asked.append(f"content of {key}")
        return super().read(key, start=start, end=end, version=version)


@dataclass(frozen=True)
class Planner:
    """Plans for a source that has been backed up in three nights, and tells which questions that costs."""

    site: Site

    def plan(self, night: int, *, schedule: Schedule | None = None) -> tuple[Plan | Skip, list[str]]:
        configuration = load_configuration(self.site.configuration)
        store = AskedStore(self.site.vault)
        with prepared_run(configuration, FIRST_DAY + timedelta(days=night), BackupOptions(), patient=False) as context:
            (job,) = configuration.jobs
            job = replace(job, schedule=schedule or job.schedule)
            outcome = plan_source(replace(context, store=store), job, make_source(job, context.tools))
        return outcome, [key.replace(f"{self.site.name()}-", "") for key in store.asked]


@pytest.fixture
def planner(site: Site) -> Planner:
    (site.source / "file").touch()
    site.configure_cycle("Diffs 6\nFulls 2")
    for night in range(3):
        backup.run(load_configuration(site.configuration), FIRST_DAY + timedelta(days=night), BackupOptions())
    assert site.slots() == ["0-FULL", "1-DIFF", "2-DIFF"]
    return Planner(site)


def test_the_store_is_asked_for_no_more_than_the_decision_depends_on(planner: Planner) -> None:
    def outcome_and_questions(night: int, schedule: Schedule | None = None) -> tuple[str, list[str]]:
        plan, asked = planner.plan(night, schedule=schedule)
        return plan.reason if isinstance(plan, Skip) else plan.type.value, asked

    assert outcome_and_questions(2) == ("done already today", ["2-FULL", "2-DIFF"])
    assert outcome_and_questions(3) == ("DIFF", ["3-FULL", "3-DIFF", "0-FULL", "1-DIFF", "2-DIFF"])
    assert outcome_and_questions(7) == ("FULL", ["7-FULL", "7-DIFF", "2-DIFF"])
    assert outcome_and_questions(3, WEEKLY) == (f"not due until {FIRST_DAY + timedelta(days=7)}", [])
    (planner.site.vault / f"{planner.site.name()}-0-FULL").unlink()
    assert outcome_and_questions(3) == ("FULL", ["3-FULL", "3-DIFF", "0-FULL"])


def test_without_state_the_checksum_of_an_archive_of_today_is_read(planner: Planner) -> None:
    for file in planner.site.diff_dir.rglob("state.json"):
        file.unlink()
    sums = ["2-DIFF.sha256", "content of 2-DIFF.sha256"]
    plan, asked = planner.plan(2)
    assert isinstance(plan, Skip)
    assert plan.words.startswith("done already today: by a run that this DiffDir knows nothing of")
    assert asked == ["2-FULL", "2-DIFF", *sums]


def planned(schedule: Schedule, day: int, state: SourceState, **others: str) -> Plan:
    wanted: Job = replace(job(schedule=schedule), **others)  # type: ignore[arg-type]
    slot = schedule.slot(day)
    return Plan(wanted, f"below/etc-{slot}-FULL", slot, ArchiveType.FULL, state, {})


def test_leftovers_are_looked_for_in_the_slots_since_the_newest_archive() -> None:
    cycle = SimpleCycle(diffs=2, fulls=4)  # slot 6 on the day
    plan = planned(cycle, DAY, remembered(day=DAY - 2, slot=4))
    assert leftover_keys(RUN, plan) == [
        *("below/etc-6-FULL", "below/etc-6-DIFF", "below/etc-5-FULL", "below/etc-5-DIFF"),
        *("below/etc-4-FULL", "below/etc-4-DIFF", "below/etc-4-FULL.index", "below/etc-4-FULL.sha256"),
    ]


def test_leftovers_of_a_source_that_was_never_backed_up_are_looked_for_in_few_slots() -> None:
    plan = planned(SimpleCycle(diffs=20, fulls=4), DAY, remembered())
    found = leftover_keys(RUN, plan)
    assert len(found) == 2 * 7
    assert len(set(found)) == len(found)
    assert not any(key.endswith(".sha256") for key in found)
    assert len(leftover_keys(RUN, plan, limit=3)) == 2 * 3


def test_the_slot_of_a_forced_run_is_looked_at_once() -> None:
    plan = planned(HanoiCycle(discs=1), DAY, remembered(day=DAY))
    pair = ["below/etc-0-FULL", "below/etc-0-DIFF"]
    assert leftover_keys(RUN, plan) == [*pair, "below/etc-0-FULL.index", "below/etc-0-FULL.sha256"]
