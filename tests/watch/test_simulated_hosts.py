"""Thirty hosts of six sources, sixty nights, and faults spread over them: each is found on each day, and nothing else.

By ``status`` and by the page; what the alerting rules find by metrics, ``test_alerts`` looks at.

What is expected is told by what was done to the hosts, and not by the code that is tested: a fault knows from which
morning on it is what, and how soon it heals.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, time, timedelta, timezone

from s3napback.archives import join_prefix
from s3napback.chains import History, Link, Memory, SourceState, extended_chain
from s3napback.config.settings import Job, JobSettings
from s3napback.deciding.plans import Plan, decide
from s3napback.page.attention import attention
from s3napback.page.facts import StoreView
from s3napback.rotation import HanoiCycle, Schedule, SimpleCycle, day_date
from s3napback.watch.composing import Attempt, Kept, Run, compose
from s3napback.watch.keys import Place
from s3napback.watch.overview import Standing, StoreContents, Wordless, standings
from s3napback.watch.states import Heard, State
from s3napback.watch.word import LARGEST, Unreadable, read, written
from tests.catalogues import job
from tests.deciding.facts import imagined

FIRST = 20_454
NIGHTS = 60
CYCLES: list[tuple[int, Schedule]] = [
    (1, SimpleCycle(diffs=2, fulls=2)),
    (1, SimpleCycle()),
    (2, HanoiCycle(2, discs=4)),
    (7, SimpleCycle(7, diffs=1, fulls=2)),
    (1, HanoiCycle()),
]
"""With the days from one backup to the next; all fall on multiples of that."""


def moment(day: int, hour: int) -> datetime:
    return datetime.combine(day_date(day), time(hour)).astimezone(timezone.utc)


@dataclass
class Source:
    """One source, and what was done to it.

    Attributes:
        good: day of the last backup; None if there is none.
        failed: the last run failed.
        warned: the last archive was made with a warning.
        harmed: somebody has done something to the newest chain.
    """

    job: Job
    frequency: int
    state: SourceState
    good: int | None = None
    failed: bool = False
    warned: bool = False
    harmed: bool = False
    first_due: int = 0

    def expected(self, morning: int, grace: int) -> State:
        """What this source is on a morning, by what is known to have been done to it."""
        if self.harmed:
            return State.CRITICAL
        due = self.first_due if self.good is None else (self.good // self.frequency + 1) * self.frequency
        if morning > due + grace + max(1, self.frequency):
            return State.CRITICAL
        is_bad = morning > due + grace or self.failed or self.warned or self.good is None
        return State.WARNING if is_bad else State.OK


@dataclass
class Host:
    """One machine, the faults that wait for it, and what lies in the store."""

    number: int
    grace: int = 0
    sources: list[Source] = field(default_factory=list)
    objects: dict[str, int] = field(default_factory=dict)
    word: bytes = b""
    modified: datetime = datetime(2026, 1, 1, tzinfo=timezone.utc)
    instance: str = "mine"
    missed: int = 0
    whole: State = State.OK
    dropped_on: int | None = None
    previous_instance: str = ""
    found: tuple[bytes, Heard] | None = None

    @property
    def place(self) -> Place:
        return Place(f"prefix/{self.number}", f"host-{self.number}", "nightly")

    def heard(self) -> Heard:
        """The word as it is found, read once."""
        if self.found is None or self.found[0] is not self.word:
            self.found = self.word, self._heard()
        return self.found[1]

    def _heard(self) -> Heard:
        if len(self.word) > LARGEST:
            return Heard(self.place, self.modified, flaw="it is larger than words are")
        try:
            return Heard(self.place, self.modified, read(self.word))
        except Unreadable as error:
            return Heard(self.place, self.modified, flaw=str(error))

    def night(self, day: int, tonight: dict[object, str]) -> None:
        """A run, with the faults of tonight: of sources by their numbers, of the host by ``None``."""
        trouble = tonight.get(None, "")
        if trouble == "off":
            return
        ran = trouble != "exit 2"
        self.missed = 0 if ran else self.missed + 1
        kept = [
            Kept(each.job, each.state if each.state.newest else None, self._attempt(each, day, tonight.get(n, ""), ran))
            for n, each in enumerate(self.sources)
        ]
        # An attempt changes the state, so that it is looked at afterwards.
        kept = [replace(each, state=source.state) for each, source in zip(kept, self.sources, strict=True)]
        self._leave(day, kept, trouble, ran=ran)

    def _leave(self, day: int, kept: list[Kept], trouble: str, *, ran: bool) -> None:
        instance = "clone" if trouble == "clone" else self.instance
        skew = timedelta(hours=3) if trouble == "clock" else timedelta()
        ended = moment(day, 3) + timedelta(minutes=30) + skew
        error = None if ran else "key"
        run = Run(
            self.place, "1", instance, ended - timedelta(minutes=30), ended, day_date(day), ran, error, 0 if ran else 2
        )
        previous = self.heard().word if self.word else None
        self.word = written(compose(run, kept, previous))
        self.modified = ended - skew
        is_clone = bool(self.previous_instance) and self.previous_instance != instance
        self.previous_instance = instance
        is_dropped = self.dropped_on is not None and 0 <= day - self.dropped_on < 7
        self.whole = State.CRITICAL if self.missed > 1 else State.OK
        if self.whole is State.OK and (is_clone or is_dropped or trouble == "clock" or not ran):
            self.whole = State.WARNING

    def _attempt(self, source: Source, day: int, trouble: str, ran: bool) -> Attempt:
        source.first_due = source.first_due or -(-day // source.frequency) * source.frequency
        facts = imagined(day, source.job.schedule, source.state.history, whose=source.job)
        plan = decide(facts)
        if not ran or (trouble == "failed" and isinstance(plan, Plan)):
            source.failed, source.warned = True, False
            return Attempt("failed", "key" if not ran else "source")
        if not isinstance(plan, Plan):
            source.failed = False
            return Attempt("skipped")
        source.failed = False
        if trouble == "current" and source.state.newest:
            source.good = day
            return Attempt("skipped", is_current=True)
        if source.harmed:
            # A chain that is not whole is not built upon.
            plan = decide(replace(facts, state=replace(source.state, history=History())))
            assert isinstance(plan, Plan)
        link = Link(
            f"{day}", join_prefix(self.place.prefix, plan.key), plan.slot, plan.type, day, 100 + day % 7, Memory()
        )
        history = History(extended_chain(plan.base, link), source.job.schedule.describe(), plan.content)
        source.state = replace(source.state, history=history)
        self.objects[link.key] = link.size
        for key in [key for key in facts.keys if key != plan.key]:
            self.objects.pop(join_prefix(self.place.prefix, key), None)
        source.good, source.harmed, source.warned = day, False, trouble == "warning"
        return Attempt("done", warnings=int(source.warned), read=1_000, seconds=1.0)

    def harm(self, number: int, how: str) -> None:
        """What somebody does to archives, or to the word, by day."""
        source = self.sources[number]
        chain = source.state.history.chain
        if how == "deleted":
            del self.objects[chain[-1].key]
        elif how == "cut off":
            self.objects[chain[-1].key] -= 1
        elif how == "without its FULL":
            assert len(chain) > 1
            del self.objects[chain[0].key]
        source.harmed = True


def made(number: int) -> Host:
    host = Host(number, grace=14 if number == 20 else 0)
    for each in range(6):
        frequency, schedule = CYCLES[(number + each) % len(CYCLES)]
        named = job(f"s{each}", schedule, source=f"Directory /s{each}")
        named = replace(named, settings=JobSettings(grace=host.grace))
        host.sources.append(Source(named, frequency, SourceState(named.name, named.source, named.cycle)))
    return host


FAULTS: list[tuple[int, int | None, int, int, str]] = [
    # host, source, first and last night, what
    (0, None, 20, 25, "off"),
    (1, None, 30, 60, "off"),
    (2, 3, 10, 10, "failed"),
    (3, 0, 12, 20, "failed"),
    (4, 5, 0, 60, "failed"),
    (5, None, 15, 15, "exit 2"),
    (6, None, 15, 17, "exit 2"),
    (7, 2, 8, 8, "warning"),
    (8, None, 22, 24, "clone"),
    (9, None, 31, 33, "clock"),
    (20, None, 20, 30, "off"),
    (21, 1, 20, 45, "current"),
    (22, 5, 40, 59, "failed"),
    (23, None, 5, 6, "off"),
    (23, 4, 6, 7, "failed"),
    (24, None, 0, 1, "exit 2"),
]
HARM: list[tuple[int, int, int, str]] = [
    (10, 0, 14, "deleted"),
    (11, 2, 14, "deleted"),
    (12, 1, 20, "cut off"),
    (13, 2, 23, "without its FULL"),
    (14, 0, 33, "cut off"),
]
JUNK: list[tuple[int, int, bytes]] = [
    (15, 11, b"{"),
    (16, 12, b'{"schema":2}'),
    (17, 13, b" " * (LARGEST + 1)),
    (18, 14, b"[" * 100_000),
]
DROPPED = (19, 5, 25)
WORDLESS = 29


def expected_on(hosts: list[Host], morning: int, unread: set[int]) -> Counter[tuple[str, str, str]]:
    found: Counter[tuple[str, str, str]] = Counter()
    for host in hosts:
        name = host.place.host
        if host.number == WORDLESS or host.number in unread:
            found[name, "", "UNKNOWN"] += 1
            continue
        if host.whole is not State.OK:
            found[name, "", host.whole.name] += 1
        for source in host.sources:
            state = source.expected(morning, host.grace)
            if state is not State.OK:
                found[name, str(source.job.source), state.name] += 1
    return found


def seen_on(hosts: list[Host], morning: int) -> Counter[tuple[str, str, str]]:
    sizes = {key: size for host in hosts for key, size in host.objects.items()}
    stored = StoreContents(sizes, [host.heard() for host in hosts if host.number != WORDLESS])
    below = f"prefix/{WORDLESS}/"
    unread = tuple(f"{each.place.prefix}/" for each in stored.heard if each.word is None)
    unspoken = [name for name in stored.unspoken if not name.startswith(unread or ("nowhere",))]
    # What was dropped is spoken of for a week, and then left to prune.
    others = [name for name in unspoken if not name.startswith((below, f"prefix/{DROPPED[0]}/s{DROPPED[1]}"))]
    assert others == []
    assert any(name.startswith(below) for name in unspoken)
    wordless = [Wordless(f"host-{WORDLESS}", below.rstrip("/"), ("s0",))]
    found = standings(stored, wordless, moment(morning, 12))
    seen = Counter(
        (each.place.host, each.source, each.verdict.state.name) for each in found if each.verdict.state is not State.OK
    )
    assert shown(found) == seen
    return seen


ALARM = re.compile(
    r'<li class="a-(\w+)">.*?<h3>(?:<bdi>(Directory /s\d)</bdi> on )?<bdi>prefix/\d+/(host-\d+)(?:/nightly)?</bdi>'
    r'.*?<ul class="why"><li>.*?<ul class="advice" aria-label="What to do"><li>.'
)


def shown(found: Sequence[Standing]) -> Counter[tuple[str, str, str]]:
    """What needs attention by the page, each with a reason and with what to do."""
    listed = str(attention([StoreView("s3://bucket", "all.conf", found)], {}))
    return Counter((host, source, state.upper()) for state, source, host in ALARM.findall(listed))


def pass_day(hosts: list[Host], night: int, *, is_harmed: bool = True) -> set[int]:
    """A night and, if wanted, the harm that is done on the day after; the hosts whose words cannot be read then."""
    for host in hosts:
        tonight: dict[object, str] = {
            source: what
            for number, source, first, last, what in FAULTS
            if number == host.number and first <= night <= last
        }
        if (host.number, night) == (DROPPED[0], DROPPED[2]):
            del host.sources[DROPPED[1]]
            host.dropped_on = FIRST + night
        host.night(FIRST + night, tonight)
    if not is_harmed:
        return set()
    for number, source, day, how in HARM:
        if day == night:
            hosts[number].harm(source, how)
    for number, day, junk in JUNK:
        if day == night:
            hosts[number].word = junk
    return {number for number, day, _ in JUNK if day == night}


def test_each_fault_is_found_on_each_day_and_nothing_else() -> None:
    hosts = [made(number) for number in range(30)]
    alarms: Counter[str] = Counter()
    for night in range(NIGHTS):
        unread = pass_day(hosts, night)
        morning = FIRST + night
        seen, expected = seen_on(hosts, morning), expected_on(hosts, morning, unread)
        assert seen == expected, f"night {night}: false {seen - expected}, missed {expected - seen}"
        alarms.update(state for _, _, state in seen)
    # The simulation is not empty: every state was there, and most of what was there was well.
    assert min(alarms.values()) > 30
    assert sum(alarms.values()) < NIGHTS * 180 / 10
