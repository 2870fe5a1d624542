"""What is paid for archives that are replaced before their storage class's time is over."""

from __future__ import annotations

import pytest

from s3napback.config.loading import load_configuration
from s3napback.config.settings import StoreSettings
from s3napback.foresight.early_deletion import LEAST_DAYS, class_of, early_deletions, factor, lives
from s3napback.rotation import ArchiveType, HanoiCycle, Schedule, SimpleCycle
from tests.site import Site

WEEKS = SimpleCycle(diffs=6, fulls=4)


@pytest.mark.parametrize(
    ("schedule", "storage_class", "lock_days", "expected"),
    [
        (WEEKS, "GLACIER", 0, 90 / 28),
        (WEEKS, "STANDARD_IA", 0, 30 / 28),
        (WEEKS, "DEEP_ARCHIVE", 0, 180 / 28),
        (WEEKS, "GLACIER", 62, 1),
        (WEEKS, "GLACIER", 32, 1.5),
        (HanoiCycle(discs=5), "STANDARD_IA", 0, 6),
        (HanoiCycle(discs=1), "STANDARD_IA", 0, 30),
        (HanoiCycle(discs=5, archive_oldest_disc=True), "STANDARD_IA", 0, 15 * 30 / 64),
        (HanoiCycle(discs=1, archive_oldest_disc=True), "STANDARD_IA", 0, 1),
        (HanoiCycle(discs=30, frequency=7), "STANDARD_IA", 0, (30 / 14 + 30 / 28 + 28) / 30),
        (SimpleCycle(diffs=0, fulls=4), "STANDARD_IA", 0, 7.5),
        (SimpleCycle(frequency=7, diffs=3, fulls=2), "STANDARD_IA", 0, 1),
    ],
)
def test_the_factor_is_what_is_paid_by_what_lies_there(
    schedule: Schedule, storage_class: str, lock_days: int, expected: float
) -> None:
    assert factor(lives(schedule), LEAST_DAYS[storage_class], lock_days) == pytest.approx(expected)


@pytest.mark.parametrize("schedule", [WEEKS, SimpleCycle(frequency=3, phase=1, diffs=2, fulls=3), HanoiCycle(2, 4)])
def test_lives_are_those_that_slots_have(schedule: Schedule) -> None:
    begin = 20_000 * schedule.span
    due = [day for day in range(begin, begin + schedule.span) if schedule.is_due(day)]
    refilled = {day: schedule.refilled(day) for day in due}
    found = sorted((schedule.type(day).value, later - day) for day, later in refilled.items() if later is not None)
    assert sorted((each.type.value, each.days) for each in lives(schedule) for _ in range(each.count)) == found


def test_fulls_and_diffs_may_have_classes_of_their_own() -> None:
    store = StoreSettings(storage_class="STANDARD_IA", diff_storage_class="STANDARD")
    assert class_of(store, ArchiveType.FULL) == "STANDARD_IA"
    assert class_of(store, ArchiveType.DIFF) == "STANDARD"


CYCLES = """
<Cycle short>
Diffs 6
Fulls 4
Directory /etc /opt
</Cycle>
<Cycle long>
Frequency 7
Diffs 3
Fulls 5
Directory /srv
</Cycle>
"""


def test_it_is_told_once_a_cycle(site: Site) -> None:
    def told(*settings: str) -> list[str]:
        text = "\n".join(("Bucket bucket", "Encryption Off", *settings)) + CYCLES
        site.configuration.write_text(text)
        return early_deletions(load_configuration(site.configuration))

    (line,) = told("StorageClass GLACIER")
    assert line.startswith("Cycle short: archives are replaced before the 90 days are over for which GLACIER has them")
    assert "paid: 3.2 times" in line
    assert told("StorageClass GLACIER", "DiffStorageClass STANDARD")[0].startswith("Cycle short: ")
    assert told("DiffStorageClass GLACIER")[0].startswith("Cycle short: ")
    assert len(told("StorageClass DEEP_ARCHIVE")) == 2
    for quiet in ("StorageClass STANDARD", "StorageClass STANDARD_IA", "Region x", "StorageClass SOMETHING_ELSE"):
        assert told(quiet) == []


def test_schedule_a_dry_run_and_doctor_warn(site: Site) -> None:
    general = "Bucket bucket\nEndpoint http://127.0.0.1:9\nStorageClass GLACIER\nEncryption Off"
    site.configuration.write_text(f"{general}\nDiffDir {site.diff_dir}\nTempDir {site.temp_dir}\n{CYCLES}")
    assert "3.2 times the storage" in site.run("schedule").stderr
    keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    assert "3.2 times the storage" in site.run("-t", expect=None, environment=keys).stderr
    found = " ".join(site.run("doctor", expect=1, environment=keys).stdout.split())
    assert "NO bill: Cycle short: archives are replaced before the 90 days are over for which GLACIER has them" in found
    assert "3.2 times the storage" in found
