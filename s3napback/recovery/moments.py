"""As of when: what a person writes after ``--at``, in forms that each have one meaning. Pure.

A date is ISO 8601's, written in full. Whatever else people and their scripts write (a slot's number, ``05.11.2026``, a
month's name) means different days to different readers, and an older state brought back unnoticed is a loss.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import date, datetime, timedelta, timezone

from s3napback.archives import join_prefix, split_key
from s3napback.errors import S3napbackError
from s3napback.records import dataclass
from s3napback.regexes import regex
from s3napback.rotation import day_number

_DATE = regex(r"\d{4}-\d\d-\d\d", re.ASCII)
_TIME = regex(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?) ?(Z|UTC|[+-]\d\d(?::?\d\d)?)?", re.ASCII)
_AGO = regex(r"(\d{1,5}) (day|week)s? ago", re.ASCII)
_DAYS = {"day": 1, "week": 7}
_MINUTE = timedelta(seconds=59, microseconds=999_999)
"""From the first moment of a minute to its last one."""


class UnclearMoment(S3napbackError):
    """The text has not one meaning."""

    exit_code = 2


@dataclass(frozen=True)
class Moment:
    """As of when. At most one of the attributes is set besides the text; none is the newest of all.

    Attributes:
        text: as it was written.
        day: a day number.
        instant: a point in time, timezone-aware.
        key: an archive's, as it is in the store.
    """

    text: str = ""
    day: int | None = None
    instant: datetime | None = None
    key: str = ""


NEWEST = Moment()


def as_keys(*texts: str) -> list[str]:
    """Those of some texts, each in the form of ``--at``, that can be keys of archives: one knows it who has looked."""
    return [text for text in texts if split_key(text) and not _DATE.fullmatch(text)]


def read_moment(text: str, keys: Collection[str], prefix: str = "", *, today: date) -> Moment:
    """Understand ``--at``.

    Args:
        text: ``latest``, ``today``, ``yesterday``, ``3 days ago``, ``2 weeks ago``, a date as ``2026-11-23``, a date
            with a time of the day as ``2026-11-23 14:30`` (local without a time zone), or a key with or without the
            prefix.
        keys: of all archives.
        prefix: of the configuration.
        today: the calendar date from which days are counted back.

    Raises:
        UnclearMoment: it is none of these.
    """
    for key in (text, join_prefix(prefix, text)):
        if key in keys:
            return Moment(text, key=key)
    word = " ".join(text.split()).lower()
    if word == "latest":
        return Moment(text)
    try:
        day = _day(word, today)
        return Moment(text, instant=_end_of(text.strip())) if day is None else Moment(text, day=day_number(day))
    except (ValueError, OverflowError):
        raise UnclearMoment(
            f"{text!r}: neither an archive's key nor a moment; write a date as 2026-11-23, a time as '2026-11-23 "
            "14:30', yesterday, '3 days ago', latest, or a key that list shows"
        ) from None


def read_time(text: str) -> datetime:
    """A date with a time of the day, as ``2026-11-23 14:30``, local without a time zone.

    Raises:
        ValueError: it is none.
        OverflowError: it is out of range.
        UnclearMoment: it is two.
    """
    return _instant(text.strip())


def _day(word: str, today: date) -> date | None:
    """The calendar date that a word means; None if it is no date. ValueError if there is no such date."""
    if word in ("today", "yesterday"):
        return today - timedelta(days=word == "yesterday")
    if ago := _AGO.fullmatch(word):
        return today - timedelta(days=int(ago[1]) * _DAYS[ago[2]])
    return date.fromisoformat(word) if _DATE.fullmatch(word) else None


def _end_of(text: str) -> datetime:
    """The last moment of a time that may have no seconds: of what ``list`` shows as begun at 14:30 nobody sees any."""
    found = _TIME.fullmatch(text)
    is_minute = found is not None and len(found[2]) == len("14:30")
    return _instant(text) + (_MINUTE if is_minute else timedelta())


def _instant(text: str) -> datetime:
    """A point in time. ValueError if there is none such."""
    from dateutil.parser import isoparse  # noqa: PLC0415 - takes a while to import, and most runs do not need it

    found = _TIME.fullmatch(text)
    if found is None:
        raise ValueError(text)
    zone = (found[3] or "").replace("UTC", "Z")
    written = isoparse(f"{found[1]}T{found[2]}{zone}")
    if written.tzinfo is None:
        _require_one(written, text)
    return written.astimezone(timezone.utc)


def _require_one(local: datetime, text: str) -> None:
    """Refuse a local time that comes twice, or not at all, since clocks are changed."""
    readings = [local.replace(fold=fold).astimezone() for fold in (0, 1)]
    if readings[0].utcoffset() != readings[1].utcoffset():
        zones = " or ".join(f"{each:%z}"[:3] + ":" + f"{each:%z}"[3:5] for each in readings)
        raise UnclearMoment(
            f"{text!r}: clocks are changed in that hour; write it with {zones} behind it, as you mean it"
        )
