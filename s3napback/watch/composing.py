"""From what came of a run to the word that it leaves. Pure.

What the word before said is used where state does not tell: since when something is so. It may be anybody's, so that
nothing but the word itself depends on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from datetime import date, datetime, timedelta

from s3napback.archives import join_prefix
from s3napback.chains import Link, SourceState
from s3napback.config.settings import Job
from s3napback.locks import moment_of
from s3napback.records import dataclass
from s3napback.rotation import day_date, day_number
from s3napback.watch.deadlines import deadlines
from s3napback.watch.keys import Place
from s3napback.watch.word import Dropped, SourceWord, Word

DROPPED_DAYS = 7
"""For how long it is told that something is not backed up any more."""


@dataclass(frozen=True)
class Attempt:
    """What came of one source.

    Attributes:
        outcome: ``done``, ``skipped`` or ``failed``.
        error: of the word's classes; None where there is none.
        warnings: their number.
        read: bytes that the source gave.
        seconds: that the archive took.
        size_before: bytes of the last archive of its type.
        is_current: nothing was made because the newest archive holds all that there is.
        day_before: day number of the archive that was the newest to this DiffDir until then; None if there was none,
            or no archive was made.
    """

    outcome: str
    error: str | None = None
    warnings: int = 0
    read: int | None = None
    seconds: float | None = None
    size_before: int | None = None
    is_current: bool = False
    day_before: int | None = None


@dataclass(frozen=True)
class Kept:
    """One source of the configuration.

    Attributes:
        state: what is remembered of it after the run; None if nothing is.
        attempt: what came of it in this run.
    """

    job: Job
    state: SourceState | None
    attempt: Attempt


@dataclass(frozen=True)
class Run:
    """A run, as far as it concerns all of its sources.

    Attributes:
        place: whose run it is.
        program: its version.
        instance: of DiffDir; empty if it cannot be told.
        started: when.
        ended: when.
        today: the calendar day that it counted for.
        ran: any source had its turn.
        error: why none had.
        exit: its exit code.
        locked: by the names of sources, also of such as are not configured any more, the day number until which the
            newest backup is locked; those of which that is not known are not in it.
    """

    place: Place
    program: str
    instance: str
    started: datetime
    ended: datetime
    today: date
    ran: bool
    error: str | None
    exit: int
    locked: Mapping[str, int] = field(default_factory=dict)


def compose(run: Run, kept: Sequence[Kept], previous: Word | None) -> Word:
    """The word of a run.

    Args:
        kept: the sources of the configuration, in its order.
        previous: the word before; None if there is none that can be read.
    """
    before = {} if previous is None else {each.name: each for each in previous.sources}
    sources = tuple(_source(run, each, before.get(each.job.name)) for each in kept)
    offset = run.ended.astimezone().utcoffset() or timedelta()
    return Word(
        program=run.program,
        host=run.place.host,
        configuration=run.place.configuration,
        instance=run.instance,
        started=run.started,
        ended=run.ended,
        utc_offset=round(offset.total_seconds()),
        ran=run.ran,
        exit=run.exit,
        missed=0 if run.ran else 1 + (previous.missed if previous else 0),
        error=run.error,
        other_instance=_is_another(run, previous),
        expected_by=min((each.expected_by for each in sources if each.expected_by), default=None),
        locks_until=_locks_until(run, sources),
        dropped=_dropped(run, kept, previous),
        sources=sources,
    )


def backed_up_elsewhere(word: Word, kept: Sequence[Kept], previous: Word | None) -> list[tuple[Job, date, date]]:
    """The sources that others have backed up since this DiffDir did.

    A DiffDir that is new knows of no earlier archive, and tells of nothing: it has taken the place of one that is lost.

    Returns:
        Of each the day of the archive that this DiffDir knew of as the newest, and that of the one that came later.
    """
    if previous is None or not word.other_instance:
        return []
    last = {each.name: each.last_good for each in previous.sources}
    found: list[tuple[Job, date, date]] = []
    for each in kept:
        before, said = each.attempt.day_before, last.get(each.job.name)
        if before is not None and said is not None and said > day_date(before):
            found.append((each.job, day_date(before), said))
    return found


def _locks_until(run: Run, sources: Sequence[SourceWord]) -> datetime | None:
    """Until when the newest backups are all locked, as far as it is known."""
    days = [run.locked[each.name] for each in sources if each.key and each.name in run.locked]
    return moment_of(min(days)) if days else None


def _is_another(run: Run, previous: Word | None) -> bool:
    return previous is not None and bool(run.instance and previous.instance) and previous.instance != run.instance


def _source(run: Run, kept: Kept, before: SourceWord | None) -> SourceWord:
    """What is said of one source. What it has in the store is carried over what failed, or was not due."""
    job = kept.job
    chain = kept.state.history.chain if kept.state else ()
    word = SourceWord(
        name=job.name,
        source=str(job.source),
        cycle=job.cycle,
        outcome=kept.attempt.outcome,
        error=kept.attempt.error,
        warnings=kept.attempt.warnings,
    )
    if chain:
        word = _with_newest(word, run, chain, kept.attempt, before)
    elif kept.state is None and kept.attempt.outcome == "done":
        # State cannot be read any more, since the disk of DiffDir has died meanwhile.
        word = replace(word, last_good=run.today)
    elif kept.state is None and before is not None:
        # State cannot be read, as when nothing of the configuration ran.
        return replace(before, outcome=word.outcome, error=word.error, warnings=word.warnings)
    return _with_deadlines(word, run, job, before)


def _with_newest(
    word: SourceWord, run: Run, chain: Sequence[Link], attempt: Attempt, before: SourceWord | None
) -> SourceWord:
    """With what is said of the newest archive."""
    newest = chain[-1]
    start = join_prefix(run.place.prefix, "")
    word = replace(
        word,
        key=newest.key.removeprefix(start),
        size=newest.size,
        size_before=attempt.size_before,
        read=attempt.read,
        seconds=attempt.seconds,
        chain=tuple(link.key.removeprefix(start) for link in chain[:-1]),
        chain_size=sum(link.size for link in chain),
        last_good=run.today if attempt.is_current else day_date(newest.day),
    )
    if attempt.outcome == "done" or before is None or (before.key, before.size) != (word.key, word.size):
        return word
    return replace(
        word,
        size_before=before.size_before,
        read=before.read,
        seconds=before.seconds,
        warnings=before.warnings if attempt.outcome == "skipped" else word.warnings,
        # A repository in which nothing was committed is as good as backed up on each day on which that was seen.
        last_good=before.last_good if _is_later(before.last_good, word.last_good, run.today) else word.last_good,
    )


def _is_later(said: date | None, known: date | None, today: date) -> bool:
    return said is not None and (known is None or said > known) and said <= today


def _with_deadlines(word: SourceWord, run: Run, job: Job, before: SourceWord | None) -> SourceWord:
    if word.last_good is None and before is not None and before.last_good is None and before.expected_by:
        # A source that fails from its first night on must not be expected anew each night.
        return replace(word, expected_by=before.expected_by, critical_by=before.critical_by)
    good = None if word.last_good is None else day_number(word.last_good)
    found = deadlines(job.schedule, good, day_number(run.today), job.settings.grace)
    return word if found is None else replace(word, expected_by=found[0], critical_by=found[1])


def _dropped(run: Run, kept: Sequence[Kept], previous: Word | None) -> tuple[Dropped, ...]:
    """What was backed up and is not any more. A source that goes by another name now is not among it."""
    if previous is None:
        return ()
    names = {each.job.name for each in kept}
    sources = {(str(each.job.source), each.job.cycle) for each in kept}
    fresh = [
        Dropped(each.name, each.last_good, run.today, _day(run.locked.get(each.name)))
        for each in previous.sources
        if each.name not in names and (each.source, each.cycle) not in sources and each.key
    ]
    known = [each for each in previous.dropped if each.name not in names]
    return tuple(each for each in (*known, *fresh) if (run.today - each.since).days < DROPPED_DAYS)


def _day(number: int | None) -> date | None:
    return None if number is None else day_date(number)
