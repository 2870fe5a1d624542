"""What the manual promises of cycles."""

from __future__ import annotations

from s3napback.rotation import HanoiCycle, Schedule


def guaranteed(schedule: Schedule) -> int:
    """How many backups can be restored at any time, if no night failed; those of a SimpleCycle are the newest ones."""
    if isinstance(schedule, HanoiCycle):
        return schedule.discs
    return (schedule.fulls - 1) * (schedule.diffs + 1) + 1
