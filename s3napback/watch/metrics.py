"""The word of a run as metrics, in the text format that Prometheus' node exporter collects from files. Pure.

Every metric has the labels ``host`` and ``configuration``; those of sources ``source`` and ``cycle`` as well, and
``name``, since a source may be kept under several. Times are seconds since 1970, UTC. What is not known is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, time

from s3napback.records import dataclass
from s3napback.regexes import regex
from s3napback.watch.proofs import NOTHING_KNOWN, Known
from s3napback.watch.word import SourceWord, Word

_BEGINNING = b"# HELP s3napback_"
_SAMPLE = regex(rb'^s3napback_\w+\{(host="(?:[^"\\]|\\.)*",configuration="(?:[^"\\]|\\.)*")', re.MULTILINE)


@dataclass(frozen=True)
class _Metric:
    name: str
    help: str


_PROVEN = _Metric("s3napback_last_proven_timestamp_seconds", "When a drill last proved the source.")
_RUN = {
    "ended": _Metric("s3napback_run_timestamp_seconds", "When the last run ended, however it did."),
    "duration": _Metric("s3napback_run_duration_seconds", "How long the last run took."),
    "exit": _Metric("s3napback_run_exit_code", "Exit code of the last run; 0 is good."),
    "failed": _Metric("s3napback_run_failed_sources", "Sources that the last run could not back up."),
    "missed": _Metric("s3napback_run_missed", "Runs in a row, with the last one, that could begin nothing."),
    "other": _Metric("s3napback_run_other_instance", "1 if the run before was another machine's or DiffDir's, else 0."),
    "dropped": _Metric("s3napback_dropped_sources", "Sources that were backed up and are not any more, for a week."),
}
_SOURCE = {
    "success": _Metric("s3napback_last_success_timestamp_seconds", "Begin of the newest day that can be restored."),
    "failed": _Metric("s3napback_last_run_failed", "1 if the last run could not back the source up, else 0."),
    "warnings": _Metric("s3napback_warnings", "Warnings with which the newest archive was made."),
    "duration": _Metric("s3napback_duration_seconds", "How long the newest archive took."),
    "read": _Metric("s3napback_read_bytes", "Bytes that the source gave for the newest archive."),
    "stored": _Metric("s3napback_stored_bytes", "Bytes of the newest archive in the store."),
    "expected": _Metric("s3napback_expected_by_timestamp_seconds", "By when the next backup is to be there."),
    "critical": _Metric("s3napback_critical_by_timestamp_seconds", "From when on its lack is critical."),
    "days": _Metric("s3napback_restorable_backups", "Days to which the source can be restored."),
    "broken": _Metric("s3napback_broken_archives", "Archives that cannot be restored, and should be."),
    "damaged": _Metric("s3napback_damaged_archives", "Archives that verify has found damaged, and not good since."),
    "verified": _Metric("s3napback_last_verified_timestamp_seconds", "When verify last found an archive of it good."),
    "proven": _PROVEN,
}

_DRILL_FAILED = _Metric("s3napback_last_drill_failed", "1 if the last drill could not prove the source, else 0.")


@dataclass(frozen=True)
class Restorable:
    """What the store holds of one source under one name.

    Attributes:
        days: to which it can be restored.
        broken: archives that cannot be, though the rotation has not gone on since.
        known: what was found when archives of it were read.
    """

    days: int
    broken: int = 0
    known: Known = NOTHING_KNOWN


def metrics_text(word: Word, restorable: Mapping[str, Restorable] | None = None) -> str:
    """All metrics of a run, each with its help and type, each line with its end.

    Args:
        restorable: what the store holds, by the names of sources, as far as it was looked at.
    """
    there = restorable or {}
    common = {"host": word.host, "configuration": word.configuration}
    run = _of_run(word)
    lines = [line for key, metric in _RUN.items() for line in _lines(metric, [(common, run[key])])]
    sources = [
        (
            {**common, "source": each.source, "cycle": each.cycle, "name": each.name},
            {**_of_source(each), **_of_store(there.get(each.name))},
        )
        for each in word.sources
    ]
    for key, metric in _SOURCE.items():
        lines += _lines(metric, ((labels, values[key]) for labels, values in sources))
    return "".join(f"{line}\n" for line in lines)


@dataclass(frozen=True)
class Drilled:
    """What is known of the drills of one source.

    Attributes:
        source: such as ``Directory /etc``.
        proven: when one last went well, timezone-aware; None is never.
        has_failed: the last one did not.
    """

    source: str
    proven: datetime | None
    has_failed: bool


def drill_metrics_text(host: str, configuration: str, drilled: Iterable[Drilled]) -> str:
    """The metrics of drills, likewise."""
    rows = [({"host": host, "configuration": configuration, "source": each.source}, each) for each in drilled]
    lines = _lines(_PROVEN, ((labels, _seconds(each.proven)) for labels, each in rows))
    failed = _lines(_DRILL_FAILED, ((labels, float(each.has_failed)) for labels, each in rows))
    return "".join(f"{line}\n" for line in (*lines, *failed))


def _of_run(word: Word) -> Mapping[str, float | None]:
    return {
        "ended": word.ended.timestamp(),
        "duration": (word.ended - word.started).total_seconds(),
        "exit": word.exit,
        "failed": sum(each.outcome == "failed" for each in word.sources),
        "missed": word.missed,
        "other": word.other_instance,
        "dropped": len(word.dropped),
    }


def _of_source(said: SourceWord) -> Mapping[str, float | None]:
    return {
        "success": _begin(said.last_good),
        "failed": said.outcome == "failed",
        "warnings": said.warnings,
        "duration": said.seconds,
        "read": said.read,
        "stored": said.size,
        "expected": _seconds(said.expected_by),
        "critical": _seconds(said.critical_by),
    }


def _of_store(found: Restorable | None) -> Mapping[str, float | None]:
    if found is None:
        return dict.fromkeys(("days", "broken", "damaged", "verified", "proven"))
    verified, drill = found.known.verified, found.known.drill
    return {
        "days": found.days,
        "broken": found.broken,
        "damaged": len(found.known.damaged),
        "verified": verified.moment.timestamp() if verified and verified.is_good else None,
        "proven": drill.moment.timestamp() if drill and drill.is_good and not drill.is_sample else None,
    }


def _begin(day: date | None) -> float | None:
    return None if day is None else datetime.combine(day, time.min).timestamp()


def _seconds(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()


def _lines(metric: _Metric, samples: Iterable[tuple[Mapping[str, str], float | None]]) -> Iterator[str]:
    yield f"# HELP {metric.name} {metric.help}"
    yield f"# TYPE {metric.name} gauge"
    for labels, value in samples:
        if value is not None:
            shown = ",".join(f'{name}="{_escaped(text)}"' for name, text in labels.items())
            yield f"{metric.name}{{{shown}}} {float(value):.15g}"


def _escaped(text: str) -> str:
    """A label's value as the format wants it. Bytes of names that are not UTF-8 are shown by their codes."""
    plain = text.encode("utf-8", "backslashreplace").decode()
    return plain.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def labels_in(text: bytes) -> bytes | None:
    """Whose metrics a text is: the labels of host and configuration as they stand there.

    Args:
        text: or its beginning, in UTF-8.

    Returns:
        Empty if it is empty, or holds no sample; None if it is none of these metrics.
    """
    if text and not text.startswith(_BEGINNING):
        return None
    found = _SAMPLE.search(text)
    return found[1] if found else b""
