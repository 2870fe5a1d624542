"""Until when the next backup of a source has to be there, as its cycle promises. Pure."""

from __future__ import annotations

from datetime import datetime, time, timedelta, timezone

from s3napback.rotation import LAST_DAY, Schedule, day_date

_ROOM = 400


def deadlines(schedule: Schedule, last_good: int | None, today: int, grace: int) -> tuple[datetime, datetime] | None:
    """When the next backup is expected to be there, and when its lack is critical; None if no calendar has that day.

    Args:
        last_good: day number of the newest backup; None if there is none.
        today: day number; the first backup is expected on the first due day from then on.
        grace: days beyond the day on which it is due, for machines that are often off.
    """
    begin = today if last_good is None else last_good + 1
    due = next(day for day in range(begin, begin + schedule.frequency) if schedule.is_due(day))
    if due + grace + schedule.frequency + _ROOM > LAST_DAY:
        return None
    expected = _end_of(due + grace)
    return expected, expected + timedelta(days=max(1, schedule.frequency))


def _end_of(day: int) -> datetime:
    """The midnight at which a day ends here, in UTC."""
    return datetime.combine(day_date(day + 1), time.min).astimezone(timezone.utc)
