"""A calendar is read at 80 columns, and a Hanoi rotation is understood at a glance."""

from __future__ import annotations

from datetime import date

import pytest

from s3napback.chains import SourceState
from s3napback.config.settings import Job
from s3napback.deciding.facts import RunFacts
from s3napback.foresight.calendar import foresee
from s3napback.foresight.plain import WIDTH, plain_text
from s3napback.rotation import HanoiCycle, Schedule, SimpleCycle, day_number
from tests import manual
from tests.catalogues import HOST, job

FIRST = date(2026, 1, 1)
LAST = date(2026, 12, 31)


def shown(*jobs: Job, last: date = LAST) -> list[str]:
    sources = [(each, SourceState(each.name, each.source, each.cycle)) for each in jobs]
    count = (last - FIRST).days + 1
    return plain_text(FIRST, last, foresee(sources, RunFacts(HOST, day_number(FIRST)), day_number(FIRST), count))


@pytest.mark.parametrize(
    "schedule",
    [
        SimpleCycle(diffs=6, fulls=4),
        SimpleCycle(diffs=9_999, fulls=10),
        SimpleCycle(36_500, 36_499, fulls=10_000),
        HanoiCycle(),
        HanoiCycle(discs=9),
        HanoiCycle(discs=30),
        HanoiCycle(discs=10, archive_oldest_disc=True),
        HanoiCycle(discs=1, archive_oldest_disc=True),
        HanoiCycle(36_500, discs=30),
    ],
    ids=lambda each: each.describe(),
)
def test_a_year_stays_within_eighty_columns(schedule: Schedule) -> None:
    sources = [job(f"s{n}", schedule, source=f"Directory /srv/with blanks and more/number {n}") for n in range(9)]
    lines = shown(*sources)
    assert max(map(len, lines)) <= WIDTH
    assert sum("/srv/with" in line for line in lines) > 0


def test_the_discs_of_hanoi_are_columns_of_ages() -> None:
    text = "\n".join(shown(job(schedule=HanoiCycle(discs=4)), last=date(2026, 1, 12)))
    assert (
        text
        == """\
From 2026-01-01 to 2026-01-12, if every backup succeeds and no setting changes.

Cycle nightly: HanoiCycle Frequency 1 Discs 4
  Directory /etc
  After 8 days 4 backups can be restored at any time, and the oldest is 4 to 7
  days old.

  Age in days of what lies on each disc; F is made that night, and . is empty.

  DAY             0  1  2  3  OLDEST    REFILLED
  Thu 2026-01-01  F  .  .  .       0  2026-01-03
  Fri 2026-01-02  1  .  .  F       1  2026-01-10
  Sat 2026-01-03  F  .  .  1       1  2026-01-05
  Sun 2026-01-04  1  F  .  2       2  2026-01-08
  Mon 2026-01-05  F  1  .  3       3  2026-01-07
  Tue 2026-01-06  1  2  F  4       4  2026-01-14
  Wed 2026-01-07  F  3  1  5       5  2026-01-09
  Thu 2026-01-08  1  F  2  6       6  2026-01-12
  Fri 2026-01-09  F  1  3  7       7  2026-01-11
  Sat 2026-01-10  1  2  4  F       4  2026-01-18
  Sun 2026-01-11  F  3  5  1       5  2026-01-13
  Mon 2026-01-12  1  F  6  2       6  2026-01-16"""
    )


def test_a_simple_cycle_is_a_list_of_what_goes_and_what_can_be_restored() -> None:
    lines = shown(job(schedule=SimpleCycle(2, diffs=1, fulls=2)), last=date(2026, 1, 12))
    assert lines[2:] == [
        "Cycle nightly: SimpleCycle Frequency 2 Phase 0 Diffs 1 Fulls 2",
        "  Directory /etc",
        "  After 8 days 3 to 4 backups can be restored at any time, and the oldest is 4",
        "  to 7 days old.",
        "",
        "  DAY             SLOT  TYPE  REPLACES    REFILLED    ONE CAN GO BACK TO",
        "  Thu 2026-01-01     3  FULL  -           2026-01-09  2026-01-01",
        "                  a FULL in the place of a DIFF: there is no earlier backup to",
        "                  build on",
        "  Sat 2026-01-03     0  FULL  -           2026-01-11  2026-01-01 to 2026-01-03",
        "  Mon 2026-01-05     1  DIFF  -           2026-01-13  2026-01-01 to 2026-01-05",
        "  Wed 2026-01-07     2  FULL  -           2026-01-15  2026-01-01 to 2026-01-07",
        "  Fri 2026-01-09     3  DIFF  2026-01-01  2026-01-17  2026-01-03 to 2026-01-09",
        "  Sun 2026-01-11     0  FULL  2026-01-03  2026-01-19  2026-01-07 to 2026-01-11",
    ]


def test_no_backup_at_all_is_said() -> None:
    assert shown(job(schedule=SimpleCycle(30)), last=FIRST)[-1] == "  No backup falls into these days."


def test_names_cannot_drive_a_terminal() -> None:
    assert "\\x1b" in "\n".join(shown(job(source="Directory /a\x1b[31m"), last=FIRST))


def test_the_manual_shows_what_is_printed() -> None:
    discs = job(schedule=HanoiCycle(discs=4), source="Directory /srv/photos", cycle="decaying")
    assert manual.marked("schedule of Hanoi").splitlines() == shown(discs, last=date(2026, 1, 6))[2:]
