"""How things stand with a source, a host, a store: what a word says, held against what lies in the store. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import Enum
from types import MappingProxyType

from s3napback.archives import join_prefix
from s3napback.formatting import counted
from s3napback.records import dataclass
from s3napback.watch.keys import Place
from s3napback.watch.proofs import NOTHING_KNOWN, Known, Seen
from s3napback.watch.word import Dropped, SourceWord, Word

CLOCK_TOLERANCE = timedelta(hours=1)
"""Between a run's own clock and the store's."""

NOTHING_UNLISTED: Mapping[str, str] = MappingProxyType({})
LEAST_LOCK = timedelta(days=14)
_SUSPICIOUS_MISSES = 2


class State(Enum):
    """How things stand; the value is the exit code of monitoring plugins."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3

    @property
    def badness(self) -> int:
        """The higher, the worse: what is not known must not hide what is lost."""
        return _ORDER.index(self)


_ORDER = (State.OK, State.WARNING, State.UNKNOWN, State.CRITICAL)


def worst(states: Iterable[State]) -> State:
    """The worst of some states; OK if there are none."""
    return max(states, key=lambda each: each.badness, default=State.OK)


class Cause(Enum):
    """What kind of thing is wrong, for whoever tells what to do about it."""

    UNREAD = "unread"
    SILENT = "silent"
    LOST = "lost"
    LATE = "late"
    FAILED = "failed"
    PUT_OFF = "put off"
    FIRST = "first"
    WARNED = "warned"
    DISPROVEN = "disproven"
    DAMAGED = "damaged"
    NOTHING_BEGUN = "nothing begun"
    CLOCK = "clock"
    CLONE = "clone"
    DROPPED = "dropped"
    LOCKS = "locks"


@dataclass(frozen=True)
class Clause:
    """One thing that is to be said of something: how bad, what kind of thing, and a clause."""

    state: State
    cause: Cause
    said: str


@dataclass(frozen=True)
class Verdict:
    """How things stand with something, and why.

    Attributes:
        reasons: clauses, the worst first; none if all is well.
        causes: what kinds of things these are, in the same order.
    """

    state: State
    reasons: tuple[str, ...] = ()
    causes: tuple[Cause, ...] = ()


def judge_source(
    said: SourceWord,
    prefix: str,
    sizes: Mapping[str, int],
    now: datetime,
    known: Known = NOTHING_KNOWN,
    unlisted: Mapping[str, str] = NOTHING_UNLISTED,
) -> Verdict:
    """How things stand with one source.

    Args:
        said: what its run has said.
        prefix: of the run's keys.
        sizes: bytes of every object of the store, by its key.
        now: timezone-aware.
        known: what was found when archives of it were read.
        unlisted: folders of the store that it could not list, with a slash behind each, and why, as clauses.
    """
    needed = {join_prefix(prefix, key) for key in (*said.chain, *([said.key] if said.key else ()))}
    found = [*_drilled(known.drill), *_damaged(known.damaged, needed)]
    return _joined([*_missing(said, prefix, sizes, unlisted), *_late(said, now), *_outcome(said), *found])


def _critical(cause: Cause, said: str) -> Clause:
    return Clause(State.CRITICAL, cause, said)


def _warning(cause: Cause, said: str) -> Clause:
    return Clause(State.WARNING, cause, said)


def _drilled(drill: Seen | None) -> list[Clause]:
    if drill is None or drill.is_good:
        return []
    return [_critical(Cause.DISPROVEN, f"a drill could not prove {drill.key}, at {_time(drill.moment)}")]


def _damaged(damaged: Sequence[Seen], needed: Collection[str]) -> list[Clause]:
    found = []
    for each in damaged:
        is_needed = each.key in needed
        state = State.CRITICAL if is_needed else State.WARNING
        rest = "" if is_needed else "; only older days need it"
        found.append(Clause(state, Cause.DAMAGED, f"verify found {each.key} damaged, at {_time(each.moment)}{rest}"))
    return found


def judge_run(word: Word, modified: datetime, now: datetime) -> Verdict:
    """How things stand with a run as a whole.

    Args:
        word: what it has said.
        modified: when the store took that.
        now: timezone-aware.
    """
    found: list[Clause] = []
    if word.missed >= _SUSPICIOUS_MISSES:
        error = f" ({word.error})" if word.error else ""
        found.append(
            Clause(
                State.CRITICAL,
                Cause.NOTHING_BEGUN,
                f"nothing was begun, {word.missed} times running{error}: exit {word.exit}",
            )
        )
    elif not word.ran:
        error = f" ({word.error})" if word.error else ""
        found.append(_warning(Cause.NOTHING_BEGUN, f"nothing was begun{error}: exit {word.exit}"))
    if abs(word.ended - modified) > CLOCK_TOLERANCE:
        times = f"it ended at {_time(word.ended)} by its own, and the store took its word at {_time(modified)}"
        found.append(_warning(Cause.CLOCK, f"its clock and the store's differ: {times}"))
    if modified - now > CLOCK_TOLERANCE:
        told = f"its last run ended at {_time(modified)}, which is still to come here, so that nothing seems late"
        found.append(_warning(Cause.CLOCK, f"{told}: either the clock here is behind, or that of the store was ahead"))
    if word.other_instance:
        found.append(_warning(Cause.CLONE, "another machine or DiffDir leaves its word under the same name"))
    found += [
        Clause(
            State.WARNING,
            Cause.DROPPED,
            _without_a_future(each)
            + (f", and locked until {each.locked}: no run makes that longer" if each.locked else ""),
        )
        for each in word.dropped
    ]
    found += _locks(word, now)
    return _joined(found)


def _missing(said: SourceWord, prefix: str, sizes: Mapping[str, int], unlisted: Mapping[str, str]) -> list[Clause]:
    if said.key is None:
        return []
    size = sizes.get(join_prefix(prefix, said.key))
    if size is None:
        where = _whereabouts(join_prefix(prefix, said.key), unlisted)
        return [_critical(Cause.LOST, f"its newest archive {said.key} {where}")]
    if size != said.size:
        return [_critical(Cause.LOST, f"its newest archive {said.key} has {size} bytes, and had {said.size}")]
    lost = [key for key in said.chain if join_prefix(prefix, key) not in sizes]
    if lost:
        where = _whereabouts(join_prefix(prefix, lost[0]), unlisted)
        return [_critical(Cause.LOST, f"{lost[0]}, which its newest archive builds on, {where}")]
    if said.chain and size + sum(sizes[join_prefix(prefix, key)] for key in said.chain) != said.chain_size:
        return [_critical(Cause.LOST, "an archive which its newest one builds on has another size than it had")]
    return []


def _whereabouts(key: str, unlisted: Mapping[str, str]) -> str:
    """What is known of an archive that no listing shows."""
    folder = next((each for each in unlisted if key.startswith(each)), "")
    return f"may be in {folder}: {unlisted[folder]}" if folder else "is not in the store"


def _without_a_future(each: Dropped) -> str:
    name = each.name or "/"
    if not each.last:
        return f"{name} is not backed up any more; there never was a backup of it"
    return f"{name} is not backed up any more; its last backup is of {each.last}"


def _late(said: SourceWord, now: datetime) -> list[Clause]:
    last, due = said.last_good, _due(said)
    never = f"there never was a backup, and it was due by {due}"
    if said.critical_by is not None and now > said.critical_by:
        told = f"no backup since {last}, and it was due by {due}" if last else never
        return [Clause(State.CRITICAL, Cause.LATE, told)]
    if said.expected_by is not None and now > said.expected_by:
        told = f"late: the last backup is of {last}, the next was due by {due}" if last else f"late: {never}"
        return [_warning(Cause.LATE, told)]
    return []


def _due(said: SourceWord) -> str:
    return _time(said.expected_by) if said.expected_by else "an unknown day"


def _outcome(said: SourceWord) -> list[Clause]:
    found = []
    if said.outcome == "failed":
        found.append(_warning(Cause.FAILED, f"the last run failed{f' ({said.error})' if said.error else ''}"))
    elif said.error == "time":
        # Whether that is bad is a matter of the day by which it must be there.
        found.append(Clause(State.OK, Cause.PUT_OFF, "put off by the last run (LongestRun)"))
    if said.outcome != "failed" and said.last_good is None:
        found.append(_warning(Cause.FIRST, "there is no backup yet"))
    if said.warnings:
        found.append(_warning(Cause.WARNED, f"the last run gave {counted(said.warnings, 'warning')}"))
    return found


def _locks(word: Word, now: datetime) -> list[Clause]:
    is_late = any(each.expected_by is not None and now > each.expected_by for each in word.sources)
    if not is_late or word.locks_until is None or word.locks_until - now >= LEAST_LOCK:
        return []
    return [_warning(Cause.LOCKS, f"its newest backups are locked until {_time(word.locks_until)} only")]


def _joined(found: Iterable[Clause]) -> Verdict:
    ordered = sorted(found, key=lambda each: -each.state.badness)
    return Verdict(
        worst(each.state for each in ordered),
        tuple(each.said for each in ordered),
        tuple(each.cause for each in ordered),
    )


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


@dataclass(frozen=True)
class Heard:
    """A word, as it was found.

    Attributes:
        place: whose it is, by its key.
        modified: when the store took it.
        word: what it says; None if it cannot be read.
        flaw: why not, as a clause.
    """

    place: Place
    modified: datetime
    word: Word | None = None
    flaw: str = ""
