"""``drill``: read archives back into a scratch folder, prove what came, and leave a note of that beside them."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import field
from datetime import date, datetime, timedelta, timezone
from functools import cached_property
from typing import NamedTuple

from s3napback.backup.telling import Telling
from s3napback.catalogue.claims import is_stray
from s3napback.catalogue.contents import CataloguedArchive
from s3napback.catalogue.losses import unprotected_sources
from s3napback.catalogue.marking import leave_mark
from s3napback.catalogue.sums import SumNote, read_own_sum, sum_key
from s3napback.commands.drill_original import are_originals_meant, drill_originals
from s3napback.config.settings import Configuration, Job
from s3napback.drilling.blame import speaks_of_archive
from s3napback.drilling.registry import prover_of
from s3napback.drilling.request import DrillRequest
from s3napback.drilling.task import Proven, Task, require_warm
from s3napback.ending import CLEANING_SECONDS
from s3napback.errors import EXIT_BUG, Interrupted, S3napbackError
from s3napback.formatting import counted, human_time
from s3napback.kinds import DIRECTORY, SourceName, kind_of
from s3napback.records import dataclass
from s3napback.recovery.choosing import source_of
from s3napback.recovery.holdings import Holdings, look_at_store
from s3napback.recovery.moments import as_keys
from s3napback.recovery.opening.decoder import Decoder
from s3napback.recovery.registry import UnclearRequest, recovery_of
from s3napback.rotation import day_date
from s3napback.scarcity import foreseen
from s3napback.standing import working_on
from s3napback.surroundings import host_name
from s3napback.watch.metrics import Drilled, drill_metrics_text
from s3napback.watch.proofs import Proof, ReadBack, newest_of

logger = logging.getLogger("s3napback")

_COUNTED = "proven: "
_NAMED = 5  # sources in a message


def drill(configuration: Configuration, request: DrillRequest, today: date, say: Callable[[str], None]) -> int:
    """Prove one source after the other, whatever is found wrong with any.

    Args:
        today: completes ``--at``.
        say: takes the lines of the report.

    Returns:
        The exit code: 1 if anything is not proven.

    Raises:
        S3napbackError: the store cannot be read, or there is nothing to prove.
    """
    if request.due and request.source:
        raise UnclearRequest("--due chooses the sources, so none can be named beside it")
    if request.due and not request.test:
        with _telling_of_failure(configuration):
            return _drill(configuration, request, today, say)
    return _drill(configuration, request, today, say)


@contextmanager
def _telling_of_failure(configuration: Configuration) -> Iterator[None]:
    """What ends a drill on a schedule before its time is told as loudly as what ends a night so."""
    try:
        yield
    except UnclearRequest:
        raise
    except Interrupted as interruption:
        _tell_of_end(configuration, interruption.exit_code, interruption.moment + CLEANING_SECONDS)
        raise
    except Exception as error:
        failure = foreseen(error)
        _tell_of_end(configuration, failure.exit_code if failure else EXIT_BUG)
        raise


def _tell_of_end(configuration: Configuration, exit_code: int, deadline: float | None = None) -> None:
    telling, host = Telling(configuration.notices), host_name(configuration)
    telling.end_drill("", [], host, configuration.path, exit_code, deadline)


def _drill(configuration: Configuration, request: DrillRequest, today: date, say: Callable[[str], None]) -> int:
    holdings = look_at_store(configuration, request.source, request.origin, as_keys(request.at))
    if are_originals_meant(holdings, request, today):
        return drill_originals(holdings, request, today, say)
    drills = _Drills(holdings, request, today, say)
    lacking = drills.lacking()
    aims, young = drills.chosen()
    if request.source and lacking and not holdings.has_any(request.source):
        aims = []
    if not aims and not lacking and not request.due:
        raise holdings.nothing_that("proven")
    if not aims and not lacking:
        say("nothing is due")
    for line in young:
        say(f"{line}: not tried")
    for name in lacking:
        say(f"{name}: NOT PROVEN: it is configured, and there is no whole backup of it")
    bad = [*lacking, *drills.run(aims)]
    if request.due and not request.test:
        drills.tell(bad)
    if bad:
        more = f" and {len(bad) - _NAMED} more" if len(bad) > _NAMED else ""
        logger.error("%s not proven: %s%s", counted(len(bad), "source"), ", ".join(bad[:_NAMED]), more)
    return 1 if bad else 0


class _Aim(NamedTuple):
    """What is to be proven: a source, or what is under one of its names.

    Attributes:
        word: as the configuration calls the source, or as somebody has written it.
        origin: ``--from``, or one of several names; else empty.
    """

    word: str
    origin: str = ""


@dataclass(frozen=True)
class _Drills:
    """One run."""

    holdings: Holdings
    request: DrillRequest
    today: date
    say: Callable[[str], None]
    fresh: set[_Aim] = field(default_factory=set)

    def lacking(self) -> list[str]:
        """The configured sources, of a schedule's those that have one, of which there is nothing to prove."""
        configuration, request = self.holdings.configuration, self.request
        found = unprotected_sources(self.holdings.catalogue, configuration, host_name(configuration), request.source)
        return sorted({str(job.source) for job in found if job.settings.drill_every or not request.due})

    def chosen(self) -> tuple[list[_Aim], list[str]]:
        """What to prove, and one line for each source that is younger than ``--at``.

        Raises:
            S3napbackError: all are younger.
        """
        request = self.request
        if request.source or request.due:
            return [_Aim(request.source, request.origin)] if request.source else self.due(), []
        words, young = self.holdings.sources_as_of(request.at, self.today, request.origin)
        return [aim for word in words for aim in self._aims(word)], young

    def _aims(self, word: str) -> list[_Aim]:
        """A source, or, where several Cycles back it up, each of its names under which there is something."""
        request = self.request
        jobs = [job for job in self.holdings.configuration.jobs if job.source in self._shared]
        aims = [self._aim_of(job, word) for job in jobs if word in self._keys_of(job)]
        return [_Aim(word, request.origin)] if request.origin or request.at or len(aims) < 2 else aims

    @cached_property
    def _shared(self) -> Collection[SourceName]:
        """What several Cycles back up, each under a name of its own: one proves nothing of the other."""
        count = Counter(job.source for job in self.holdings.configuration.jobs)
        return {source for source in count if count[source] > 1}

    def due(self) -> list[_Aim]:
        """What was proven last longer ago than its DrillEvery says, that first which never was."""
        now = datetime.now(timezone.utc)
        found: dict[_Aim, datetime] = {}
        never = datetime.fromtimestamp(0, timezone.utc)
        for job in self.holdings.configuration.jobs:
            if not job.settings.drill_every:
                continue
            for source, keys in self._keys_of(job).items():
                seen = newest_of(keys, self.holdings.catalogue.drills)
                # What a wrong clock has dated into the future would put the next drill off until then.
                is_none = seen is None or (seen.is_good and seen.is_sample) or seen.moment > now + timedelta(days=1)
                last = never if seen is None or is_none else seen.moment
                # A drill on a schedule begins at the same hour each time, and ends later.
                is_due = now - last >= timedelta(days=job.settings.drill_every) - timedelta(hours=12)
                aim = self._aim_of(job, source)
                is_due = is_due or (seen is not None and (not seen.is_good or self._has_newer_bad(aim)))
                if is_due and aim not in found:
                    found[aim] = last
        return sorted(found, key=lambda aim: (found[aim], aim))

    def _aim_of(self, job: Job, source: str) -> _Aim:
        if job.source not in self._shared:
            return _Aim(source, self.request.origin)
        # What a pattern or a folder stands for has names of its own.
        return _Aim(source, job.name if source == str(job.source) else job.cycle)

    def _has_newer_bad(self, aim: _Aim) -> bool:
        """Whether what was proven is older than what cannot be restored."""
        with suppress(S3napbackError):  # is told when it is proven
            return bool(self.holdings.chain_with_problems(aim.word, "", self.today, aim.origin)[1])
        return False

    def _keys_of(self, job: Job) -> dict[str, list[str]]:
        """The archives of what a job stands for, by source; of one that is shared those under the job's name."""
        found: dict[str, list[str]] = {}
        for archive in self.holdings.catalogue.archives:
            if archive.record is None or is_stray(archive):
                continue
            source = archive.record.owner.source
            is_own = source == job.source and (archive.base == job.name or source not in self._shared)
            is_of_cycle = archive.record.cycle == job.cycle or job.source not in self._shared
            if is_own or (source != job.source and is_of_cycle and _stands_for(job, source)):
                found.setdefault(str(source), []).append(archive.key)
        return found

    def run(self, aims: Sequence[_Aim]) -> list[str]:
        """Prove; returns the sources of what was not proven."""
        bad: list[str] = []
        clock = time.monotonic()
        for number, aim in enumerate(aims):
            if self.request.is_over(time.monotonic() - clock):
                self.say(self.request.not_begun(len(aims) - number))
                logger.info("not begun: %s", ", ".join(each.word for each in aims[number:]))
                break
            if not self._prove(aim):
                bad.append(aim.word)
        return bad

    def tell(self, bad: Sequence[str]) -> None:
        """Tell whoever is told of failed nights, and write the metrics."""
        configuration, host = self.holdings.configuration, host_name(self.holdings.configuration)
        drilled: dict[str, list[Drilled]] = {}
        for each in self._drilled(bad):
            drilled.setdefault(each.source, []).append(each)
        text = drill_metrics_text(host, configuration.path.stem, map(_together, drilled.values()))
        Telling(configuration.notices).end_drill(text, bad, host, configuration.path, 1 if bad else 0)

    def _drilled(self, bad: Collection[str]) -> Iterator[Drilled]:
        """What is known now of every source that is drilled on a schedule; of a shared one of each of its names."""
        now = datetime.now(timezone.utc)
        for job in self.holdings.configuration.jobs:
            for source, keys in self._keys_of(job).items() if job.settings.drill_every else ():
                seen = newest_of(keys, self.holdings.catalogue.drills)
                before = seen.moment if seen and seen.is_good and not seen.is_sample else None
                is_fresh = self._aim_of(job, source) in self.fresh
                has_failed = source in bad or (not is_fresh and seen is not None and not seen.is_good)
                yield Drilled(source, now if is_fresh else before, has_failed)
        for source in self.lacking():
            yield Drilled(source, None, has_failed=True)

    def _called(self, aim: _Aim, name: str) -> str:
        """What a source is called, with its Cycle where that alone tells what is meant."""
        # The root directory alone has an empty name.
        jobs = self.holdings.configuration.jobs if aim.origin else ()
        cycles = [job.cycle for job in jobs if job.cycle and aim.origin in (job.name, job.cycle)]
        return f"{name} (Cycle {cycles[0]})" if cycles else name

    def _prove(self, aim: _Aim) -> bool:
        clock = time.monotonic()
        try:
            chain, problems = self.holdings.chain_with_problems(aim.word, self.request.at, self.today, aim.origin)
            source = source_of(aim.word, chain)
        except S3napbackError as error:
            self._tell(f"{self._called(aim, aim.word)}: NOT PROVEN", error)
            return False
        for problem in problems:
            self.say(problem)
        called = self._called(aim, str(source))
        what = f"{called} of {_day(chain[-1])}"
        if self.request.test:
            self.say(f"would prove {what}: {', '.join(archive.key for archive in chain)}")
            return True
        try:
            decoder = self.holdings.decoder(self.request.passphrase_file)
            arrived, size = decoder.transport.total, sum(archive.stored.size for archive in chain)
            counts = {"fetched": lambda: arrived.size}
            with working_on(f"proving {what}", counts, expected=size, title=str(source), stage="drill"):
                proven = self._proven(source, chain, decoder)
        except S3napbackError as error:
            self._tell(f"{what}: NOT PROVEN", error)
            # What cannot be tried here says nothing of the archive.
            if speaks_of_archive(error):
                self._remember(chain[-1], is_good=False, said=type(error).__name__)
            return False
        self.say(f"{what}: {_COUNTED}{proven.said}, {human_time(time.monotonic() - clock)}")
        for remark in proven.remarks:
            self.say(f"  {remark}")
        self._remember(chain[-1], is_good=True, said=proven.said)
        if problems:
            day = _day(chain[-1])
            self.say(f"{called}: NOT PROVEN: the state of {day} is, and what is said above cannot be restored")
        elif not self._is_sample(source):
            self.fresh.add(aim)
        return not problems

    def _tell(self, title: str, error: S3napbackError) -> None:
        for line in error.under(title):
            self.say(line)

    def _proven(self, source: SourceName, chain: Sequence[CataloguedArchive], decoder: Decoder) -> Proven:
        require_warm(chain)
        notes = [self._note(archive) for archive in chain]
        needed = sum(note.read or 0 for note in notes if note) or sum(archive.stored.size for archive in chain)
        configuration = self.holdings.configuration
        jobs = [job for job in configuration.jobs if job.source == source]
        task = Task(
            source=source,
            chain=chain,
            decoder=decoder,
            note=notes[-1],
            scratch=self.request.place(configuration.temp_dir),
            restore=recovery_of(source).restore,
            needed=needed,
            job=min(jobs, key=lambda job: job.name != chain[-1].base, default=None),
            sample=self.request.sample,
            against_live=self.request.against_live,
            keeps=self.request.keep is not None,
        )
        return prover_of(source)(task)

    def _note(self, archive: CataloguedArchive) -> SumNote | None:
        if sum_key(archive.key) not in self.holdings.catalogue.sums or archive.record is None:
            return None
        try:
            return read_own_sum(self.holdings.store, archive.key, archive.record.id)
        except S3napbackError as error:
            logger.warning("what was noted of %s when it was made is not known: %s", archive.key, error)
            return None

    def _is_sample(self, source: SourceName) -> bool:
        return bool(self.request.sample) and source.kind == DIRECTORY.name

    def _remember(self, archive: CataloguedArchive, *, is_good: bool, said: str) -> None:
        """Leave the note beside the archive; failing at that is a warning, since the proof was given."""
        if archive.record is None:
            return
        store, host = self.holdings.store, host_name(self.holdings.configuration)
        moment = datetime.now(timezone.utc)
        is_sample = self._is_sample(archive.record.owner.source)
        proof = Proof(archive.record.id, host, moment, is_good, said, self.request.sample if is_sample else 0)
        mark = ReadBack.DISPROVEN if not is_good else ReadBack.SAMPLED if is_sample else ReadBack.PROVEN
        try:
            if not leave_mark(store, archive, mark, proof, self.holdings.catalogue.proofs):
                logger.info("%s was replaced while it was tried, so nothing is noted beside it", archive.key)
        except S3napbackError as error:
            logger.warning("that %s was tried could not be noted beside it: %s", archive.key, error)


def _together(drilled: Sequence[Drilled]) -> Drilled:
    """What is known of one source that several Cycles back up: the worst of it."""
    moments = [each.proven for each in drilled if each.proven is not None]
    proven = min(moments) if len(moments) == len(drilled) else None
    return Drilled(drilled[0].source, proven, any(each.has_failed for each in drilled))


def _stands_for(job: Job, source: SourceName) -> bool:
    kind = kind_of(job.kind)
    return source.kind in kind.kinds_within(job.target) and kind.covers(job.target, source.target)


def _day(archive: CataloguedArchive) -> str:
    return f"{day_date(archive.record.day)}" if archive.record else "an unknown day"
