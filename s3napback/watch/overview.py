"""How things stand in a store: every word in it, held against what lies there, and what nobody speaks of. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from datetime import date, datetime
from functools import cached_property

from s3napback.archives import join_prefix, split_key
from s3napback.config.settings import Job
from s3napback.kinds import kind_of
from s3napback.records import dataclass
from s3napback.watch.keys import Place
from s3napback.watch.proofs import NOTHING_KNOWN, Known, known_of, known_together
from s3napback.watch.states import Cause, Heard, State, Verdict, judge_run, judge_source, worst
from s3napback.watch.word import SourceWord


@dataclass(frozen=True)
class Standing:
    """How things stand with one source, or, where there is none, with a host's run as a whole.

    Attributes:
        said: what the run has said of the source; None for the run as a whole, and where it has not spoken of it.
        known: what was found when archives of it were read.
        source: such as ``Directory /etc``; empty for the run as a whole.
    """

    place: Place
    source: str
    verdict: Verdict
    said: SourceWord | None = None
    known: Known = NOTHING_KNOWN

    @property
    def last_good(self) -> date | None:
        """The day to which the newest archive brings back; None if there is none."""
        return self.said.last_good if self.said and self.said.key else None


@dataclass(frozen=True)
class StoreContents:
    """What lies in a store.

    Attributes:
        sizes: bytes of every object, by its key.
        heard: every word.
        moments: when the store took each object, by its key.
        unlisted: folders that could not be listed, with a slash behind each, and why, as clauses.
    """

    sizes: Mapping[str, int] = field(default_factory=dict)
    heard: Sequence[Heard] = ()
    moments: Mapping[str, datetime] = field(default_factory=dict)
    unlisted: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def known(self) -> dict[str, Known]:
        """Of every name of archives that were read, be it by drills or by verify, what was found."""
        by_name: dict[str, list[Known]] = {}
        for key, known in known_of(self.moments).items():
            by_name.setdefault((split_key(key) or (key,))[0], []).append(known)
        return {name: known_together(found) for name, found in by_name.items()}

    @cached_property
    def unspoken(self) -> dict[str, str]:
        """Of every name of archives that no word speaks of one archive's key."""
        spoken = {
            join_prefix(heard.place.prefix, name)
            for heard in self.heard
            if heard.word is not None
            for name in (*(each.name for each in heard.word.sources), *(each.name for each in heard.word.dropped))
        }
        found: dict[str, str] = {}
        for key in self.sizes:
            parts = split_key(key)
            if parts is not None and parts[0] not in spoken:
                found[parts[0]] = key
        return found


@dataclass(frozen=True)
class Wordless:
    """Archives of a host that has left no word.

    Attributes:
        host: HostName, as their metadata say.
        prefix: below which they lie; empty if it cannot be told.
        names: under which.
    """

    host: str
    prefix: str
    names: tuple[str, ...]


def standings(stored: StoreContents, wordless: Iterable[Wordless], now: datetime) -> list[Standing]:
    """How things stand with everything, the worst first.

    Args:
        now: timezone-aware.
    """
    found = [standing for heard in stored.heard for standing in _of_word(heard, stored, now)]
    found += [
        Standing(
            Place(each.prefix, each.host, "-"),
            "",
            Verdict(State.UNKNOWN, (f"it has archives, and has left no word: {_some(each.names)}",), (Cause.SILENT,)),
        )
        for each in wordless
    ]
    if not found and not stored.heard:
        # A wrong Prefix, or a folder in which nothing is mounted, must not look like machines that are all well.
        nothing = "no run has left its word here, and there are no archives: are Bucket and Prefix the right ones?"
        found.append(Standing(Place("", "-", "-"), "", Verdict(State.UNKNOWN, (nothing,))))
    return in_order(found)


def standings_of(configured: Sequence[Job], place: Place, stored: StoreContents, now: datetime) -> list[Standing]:
    """How things stand with one configuration, the worst first: also with what no run has spoken of yet."""
    heard = next((each for each in stored.heard if each.place == place), None)
    if heard is None:
        silent = Verdict(State.UNKNOWN, ("no run of it has left its word yet",), (Cause.SILENT,))
        return [Standing(place, "", silent)]
    found = _of_word(heard, stored, now)
    if heard.word is None or heard.word.forgotten:
        return in_order(found)
    told = {each.name for each in heard.word.sources}
    lacking = Verdict(State.WARNING, ("it is configured, and no run has spoken of it yet",), (Cause.FIRST,))
    found += [
        Standing(place, str(job.source), lacking)
        for job in configured
        if job.name not in told and not kind_of(job.kind).stands_for_several(job.target)
    ]
    return in_order(found)


def in_order(found: Iterable[Standing]) -> list[Standing]:
    """The worst first, then those of which there never was a backup, then by name."""
    return sorted(
        found,
        key=lambda each: (
            -each.verdict.state.badness,
            each.last_good is not None,
            *(each.place.prefix, each.place.host, each.place.configuration, each.source),
        ),
    )


def overall(found: Iterable[Standing]) -> State:
    """The worst of all."""
    return worst(each.verdict.state for each in found)


def _of_word(heard: Heard, stored: StoreContents, now: datetime) -> list[Standing]:
    word, place = heard.word, heard.place
    if word is None:
        unread = Verdict(State.UNKNOWN, (f"its word cannot be read: {heard.flaw}",), (Cause.UNREAD,))
        return [Standing(place, "", unread)]
    if word.forgotten:
        return []
    whole = judge_run(word, heard.modified, now)
    found = []
    for each in word.sources:
        known = stored.known.get(join_prefix(place.prefix, each.name), NOTHING_KNOWN)
        verdict = judge_source(each, place.prefix, stored.sizes, now, known, stored.unlisted)
        found.append(Standing(place, each.source, verdict, each, known))
    if whole.state is not State.OK or not found:
        found.append(Standing(place, "", whole))
    return found


def _some(names: Sequence[str], most: int = 3) -> str:
    shown = ", ".join(name or "/" for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
