"""Facts that are imagined: what there would be to decide on, if things were so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from enum import Enum

from hypothesis import strategies as st

from s3napback.archives import Owner, archive_key
from s3napback.chains import History, Link, Links, Memory, SourceState
from s3napback.config.settings import Job
from s3napback.deciding.facts import (
    BackupOptions,
    Footing,
    Held,
    Inspection,
    Look,
    NotLookedAt,
    Revisions,
    RunFacts,
    Snapshot,
    SourceFacts,
    Untold,
    Whereabouts,
)
from s3napback.deciding.plans import Plan, Refusal, Skip, decide
from s3napback.rotation import ArchiveType, HanoiCycle, Schedule, SimpleCycle
from tests.catalogues import HOST, job

NOW = 2_000_000_000
"""Seconds since 1970."""

KEPT = Memory("x.snapshot", "ab", {"uuid": "uuid", "revision": "7", "mark": "7 then"}, "x.index", "ef")
"""What is remembered of an archive that can be built on, whatever kind its source is of."""

WHOLE_SNAPSHOT = Snapshot(sha256="ab", time=NOW, index_sha256="ef")
KNOWN_REVISIONS = Revisions(9, "uuid", "7 then")


def imagined(
    day: int,
    schedule: Schedule,
    history: History | None = None,
    *,
    content: Mapping[str, object] | None = None,
    options: BackupOptions | None = None,
    whose: Job | None = None,
) -> SourceFacts:
    """All facts of a source, with nothing that speaks against a DIFF: its chain is in the store, its slot empty.

    Args:
        content: the source's own settings.
        whose: a job; ``/etc`` by default.
    """
    configured = whose or job(schedule=schedule)
    run = RunFacts(HOST, day, "file:///vault", options=options or BackupOptions())
    state = SourceState(configured.name, configured.source, configured.cycle, history or History())
    facts = SourceFacts(run, configured, state, NOW, inspection=Inspection(content or {}), footing=Untold())
    return facts.with_imagined_store()


def plan_of(facts: SourceFacts) -> Plan:
    """What is decided, which is an archive."""
    plan = decide(facts)
    assert isinstance(plan, Plan), plan
    return plan


def link(day: int, archive_type: ArchiveType, schedule: Schedule) -> Link:
    """An archive of ``/etc``, with all that is needed to build on it."""
    slot = schedule.slot(day)
    key = archive_key("", "Directory", "etc", slot, archive_type)
    return Link(f"id of day {day}", key, slot, archive_type, day, memory=KEPT)


def decided_by_and_by(facts: SourceFacts) -> tuple[Plan | Skip | Refusal, list[tuple[Look, str]]]:
    """What is decided if nothing is looked at unasked, and what was asked for."""
    known = replace(facts, has_lost_mark=None, objects={}, noted_ids={}, inspection=None, footing=None, last_is=None)
    asked: list[tuple[Look, str]] = []
    while True:
        try:
            return decide(known), asked
        except NotLookedAt as missing:
            asked.append((missing.look, missing.key))
            known = _with(known, facts, missing)


def _with(known: SourceFacts, facts: SourceFacts, missing: NotLookedAt) -> SourceFacts:
    key = missing.key
    match missing.look:
        case Look.MARK:
            return replace(known, has_lost_mark=facts.has_lost_mark)
        case Look.KEY:
            return replace(known, objects={**known.objects, key: facts.objects[key]})
        case Look.SUM:
            return replace(known, noted_ids={**known.noted_ids, key: facts.noted_ids[key]})
        case Look.SOURCE:
            return replace(known, inspection=facts.inspection)
        case Look.FOOTING:
            return replace(known, footing=facts.footing)
        case Look.LAST:
            return replace(known, last_is=facts.last_is)


OPTIONS = st.builds(BackupOptions, st.booleans(), st.sampled_from([False, False, True]), st.booleans())
GOOD_FOOTINGS: st.SearchStrategy[Footing] = st.sampled_from([WHOLE_SNAPSHOT, KNOWN_REVISIONS])
WRONG_FOOTINGS: st.SearchStrategy[Footing] = st.sampled_from(
    [
        *(Snapshot(is_there=False), Snapshot(sha256="cd"), replace(WHOLE_SNAPSHOT, time=NOW + 1)),
        replace(WHOLE_SNAPSHOT, index_sha256=""),
        *(Revisions(9, "another", "7 then"), Revisions(6, "uuid"), Revisions(9, "uuid", "7 another time")),
        Revisions(9, "uuid", "7 then", is_other=True),
    ]
)


class Part(Enum):
    """What may be wrong, or at least unusual."""

    SCHEDULE = 1
    DAYS = 2
    MEMORY = 3
    HISTORY = 4
    OPTIONS = 5
    CHAIN = 6
    SLOT = 7
    MARK = 8
    FOOTING = 9
    LAST = 10


@st.composite
def any_facts(draw: st.DrawFn) -> SourceFacts:
    """Facts in which everything may be as it should, and anything may be wrong."""
    odd = draw(st.sets(st.sampled_from(Part), max_size=3))
    schedule = draw(_schedules(usual=Part.SCHEDULE not in odd))
    today = 21_000 + draw(st.integers(0, 40))
    chain = draw(_chains(schedule, today, usual=Part.DAYS not in odd))
    if chain and Part.MEMORY in odd:
        chain = (*chain[:-1], replace(chain[-1], memory=None))
    content = {"Exclude": ["*.o"], "GpgRecipient": list[str]()}
    history = History(chain, schedule.describe(), content)
    if Part.HISTORY in odd:
        history = draw(st.sampled_from([replace(history, schedule="another"), replace(history, content={})]))
    options = draw(OPTIONS) if Part.OPTIONS in odd else BackupOptions()
    facts = imagined(today, schedule, history, content={"Exclude": ["*.o"]}, options=options)
    others = [None, Held(facts.own, "another", day=today), Held(), Held(Owner("elsewhere", facts.own.source), "x")]
    changed = [each.key for each in chain if Part.CHAIN in odd] + [key for key in facts.keys if Part.SLOT in odd]
    objects = {**facts.objects, **{key: draw(st.sampled_from(others)) for key in changed}}
    ids = {key: draw(st.sampled_from([held.id if held else None, None, "of before"])) for key, held in objects.items()}
    footing = draw(WRONG_FOOTINGS if Part.FOOTING in odd else GOOD_FOOTINGS)
    fate = draw(st.sampled_from([Whereabouts.GONE, Whereabouts.REPLACED])) if Part.LAST in odd else Whereabouts.THERE
    facts = replace(facts, has_lost_mark=Part.MARK in odd, last_is=fate)
    return replace(facts, objects=objects, noted_ids=ids, footing=footing)


def _schedules(*, usual: bool) -> st.SearchStrategy[Schedule]:
    cycles = st.builds(SimpleCycle, st.integers(1, 3), diffs=st.integers(2, 6), fulls=st.integers(1, 3))
    others = st.one_of(st.just(SimpleCycle()), st.builds(HanoiCycle, st.integers(1, 3), discs=st.integers(1, 4)))
    return cycles if usual else others


@st.composite
def _chains(draw: st.DrawFn, schedule: Schedule, today: int, *, usual: bool) -> Links:
    """A FULL and DIFFs on it; usually of the group of today and of days before it."""
    days = range(today - 20, today + (1 if usual else 2))
    if usual:
        days = range(next(day for day in days if schedule.group(day) == schedule.group(today)), today + 1)
    chosen = draw(
        st.lists(st.sampled_from(days), unique_by=schedule.period, min_size=0 if not usual else 1, max_size=6)
    )
    types = (ArchiveType.FULL, *[ArchiveType.DIFF] * 6)
    return tuple(link(day, archive_type, schedule) for day, archive_type in zip(sorted(chosen), types, strict=False))
