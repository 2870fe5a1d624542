"""What is foreseen as a JSON document. Pure.

``schedule --json`` prints it for each configuration. It has these fields; new ones may be added, and none changes its
meaning while ``format`` stays the same:

- ``format``: 1. ``configuration``: its file. ``from``: the first day. ``days``: how many are told of.
- ``schedules``: one for all sources of which the same is foreseen: ``cycle`` (empty outside any), ``schedule`` (its
  settings, as one line), ``sources`` (``Directory /etc``);
  ``reach``: what holds once ``after_days`` have passed without a failure: ``least_backups`` and ``most_backups`` that
  can be restored, ``least_age`` and ``most_age`` of the oldest of them in days;
  ``locks``: null for a directory store; else ``by`` (``ObjectLock``, or ``default retention``, which is what the bucket
  can do by itself), ``days`` (for which a lock lasts longer than the archive is needed), ``retention`` (days of default
  retention that keep every archive locked as long), ``newest_least`` and ``newest_most`` (days for which the newest
  backup stays locked, with all that it builds on, if the machine dies);
  ``nights``: one for each backup: ``day``, ``slot``, ``type`` (``FULL``, ``DIFF``), ``why`` (why it is a FULL in the
  place of a DIFF, else empty), ``replaces`` (the day of the archive that goes, or null), ``refilled`` (the day on which
  the slot is filled anew, or null), ``restorable`` (the days to which one can go back then, the oldest first).

All days are ``YYYY-MM-DD``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from typing import Any

from s3napback.foresight.calendar import Foreseen, Night
from s3napback.locks import LockForecast, LockTerms
from s3napback.rotation import LAST_DAY, day_date

_FORMAT = 1


def json_document(
    configuration: str, first: date, count: int, foreseen: Sequence[Foreseen], terms: LockTerms | None = None
) -> str:
    """The document that the module's description describes."""
    document = {
        "format": _FORMAT,
        "configuration": configuration,
        "from": first.isoformat(),
        "days": count,
        "schedules": [_schedule(each, terms) for each in foreseen],
    }
    return json.dumps(document, indent=1)


def _locks(found: LockForecast) -> dict[str, Any]:
    fields = {name: value for name, value in asdict(found).items() if name != "is_ruled"}
    return {"by": "ObjectLock" if found.is_ruled else "default retention", **fields}


def _schedule(each: Foreseen, terms: LockTerms | None) -> dict[str, Any]:
    return {
        "cycle": each.cycle,
        "schedule": each.schedule.describe(),
        "sources": [str(source) for source in each.sources],
        "reach": asdict(each.schedule.reach()),
        "locks": None if terms is None else _locks(terms.forecast(each.schedule)),
        "nights": list(map(_night, each.nights)),
    }


def _night(night: Night) -> dict[str, Any]:
    return {
        "day": _shown(night.day),
        "slot": night.slot,
        "type": night.type.value,
        "why": night.why,
        "replaces": _shown(night.replaced),
        "refilled": _shown(night.refilled),
        "restorable": [_shown(day) for day in night.restorable],
    }


def _shown(day: int | None) -> str | None:
    """A day; None also for one that no calendar has any more."""
    return None if day is None or day > LAST_DAY else day_date(day).isoformat()
