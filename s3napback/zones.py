"""The time zone that the system was told to use: whether that is one at all, and whether the system knows it."""

from __future__ import annotations

import os
import time
from datetime import datetime
from itertools import takewhile

from s3napback.errors import UnusableConfiguration
from s3napback.formatting import printable

_UTC_NAMES = frozenset({"UTC", "UCT", "GMT"})


def require_local_time() -> None:
    """Look whether times of this zone can be told.

    Raises:
        UnusableConfiguration: ``TZ`` makes no sense.
    """
    try:
        datetime.now().astimezone()
    except (OverflowError, ValueError) as error:
        zone = printable(os.environ.get("TZ", ""))
        raise UnusableConfiguration(f"TZ {zone} is no time zone: write one such as Europe/Berlin") from error


def zone_warning() -> str:
    """What is to be said of the zone; empty if nothing is."""
    zone = os.environ.get("TZ", "")
    if not _is_unknown(zone, time.tzname, time.timezone or time.altzone):
        return ""
    return (
        f"TZ {printable(zone)} is a time zone that this machine does not know, so that days and times are UTC's: "
        "correct it, or install tzdata"
    )


def _is_unknown(zone: str, names: tuple[str, str], offset: int) -> bool:
    """Whether the system took a zone for UTC that may be another.

    Where glibc finds no file for what is told, it takes the letters at its beginning for the name of a zone at UTC
    (tzset(3)). Those at UTC that it does know bear other names: ``Africa/Abidjan`` is called GMT.

    Args:
        zone: as it is told, in the form of ``TZ``.
        names: that the system has for the zone, in winter and in summer.
        offset: of either, from UTC in seconds.
    """
    letters = "".join(takewhile(str.isalpha, zone.removeprefix(":")))
    has_own_offset = any(map(str.isdigit, zone))
    return bool(zone) and not (offset or has_own_offset) and names == (letters, letters) and letters not in _UTC_NAMES
