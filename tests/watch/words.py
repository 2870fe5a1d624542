"""Words of runs that never were."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone

from s3napback.watch.word import SourceWord, Word

NOW = datetime(2026, 11, 26, 12, tzinfo=timezone.utc)
TODAY = date(2026, 11, 26)
DAY = timedelta(days=1)


def source_word(**fields: object) -> SourceWord:
    """A source that was backed up today."""
    usual: dict[str, object] = {
        "name": "etc",
        "source": "Directory /etc",
        "cycle": "nightly",
        "outcome": "done",
        "key": "etc-5-DIFF",
        "size": 20,
        "size_before": 18,
        "read": 99,
        "seconds": 3.1,
        "chain": ("etc-4-FULL",),
        "chain_size": 120,
        "last_good": TODAY,
        "expected_by": NOW + DAY,
        "critical_by": NOW + 2 * DAY,
    }
    return SourceWord(**{**usual, **fields})  # type: ignore[arg-type]


def word(*sources: SourceWord, **fields: object) -> Word:
    """A run that ended an hour ago and was good."""
    usual: dict[str, object] = {
        "program": "1.0",
        "host": "atlas",
        "configuration": "nightly",
        "instance": "ab",
        "started": NOW - timedelta(hours=2),
        "ended": NOW - timedelta(hours=1),
        "utc_offset": 3600,
        "ran": True,
        "exit": 0,
        "sources": sources,
    }
    return Word(**{**usual, **fields})  # type: ignore[arg-type]
