"""The word that a run leaves in the store, however it ends: what ``status`` reads.

It is never a reason to fail, and nothing but another word, and ``status``, depends on it.
"""

from __future__ import annotations

import io
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime, timezone

from s3napback import __version__
from s3napback.adopting import state_of
from s3napback.backup.journal import Journal, error_class, has_failed
from s3napback.backup.last_lines import LastLines, body_of, keeping_last_lines, secrets_of
from s3napback.backup.telling import Telling
from s3napback.catalogue.words import fetched_if_any
from s3napback.chains import SourceState
from s3napback.config.settings import Configuration, Job
from s3napback.crews import TookTooLong, within
from s3napback.ending import CLEANING_SECONDS
from s3napback.errors import EXIT_BUG, Interrupted, LockHeld, S3napbackError, StateError, StoreError, UnusableStore
from s3napback.formatting import counted, printable
from s3napback.kinds import kind_of
from s3napback.locks import locked_through
from s3napback.scarcity import foreseen
from s3napback.state import StoreState, instance_of, remembered_of_several
from s3napback.stores import Store
from s3napback.surroundings import configured_store, diff_dir, host_name
from s3napback.watch.composing import Attempt, Kept, Run, backed_up_elsewhere, compose
from s3napback.watch.keys import Place
from s3napback.watch.metrics import Restorable
from s3napback.watch.word import Word, written

logger = logging.getLogger("s3napback")

_SECONDS = 300.0
_LOOK_SECONDS = 300.0
_HURRIED_SECONDS = 8.0  # after a signal, if the clean-up so far has left as much
_LAST_SECONDS = 4.0  # of the time that a signal leaves, for whom else there is to tell, and the very end
_UNREACHED = Attempt("failed")


@contextmanager
def leaving_word(configuration: Configuration, today: date, journal: Journal) -> Iterator[Telling]:
    """Leave a word when the context ends, whatever ends it, unless another run is at work; and tell whoever asked.

    Args:
        journal: is filled meanwhile.
    """
    with keeping_last_lines(is_wanted=configuration.notices.ping_log) as kept:
        leaving = _Leaving(configuration, today, journal, kept)
        try:
            yield leaving.telling
        except LockHeld:
            raise
        except Interrupted as interruption:
            leaving.leave(interruption.exit_code, deadline=interruption.moment + CLEANING_SECONDS)
            raise
        except Exception as error:
            failure = foreseen(error)
            leaving.leave(failure.exit_code if failure else EXIT_BUG, failure or error)
            raise
        leaving.leave(journal.exit_code)


class _Leaving:
    """One word on its way."""

    def __init__(self, configuration: Configuration, today: date, journal: Journal, kept: LastLines) -> None:
        self._configuration = configuration
        self._kept_lines = kept
        self._today = today
        self._journal = journal
        self._word: Word | None = None
        self._elsewhere: Sequence[tuple[Job, date, date]] = ()
        self.telling = Telling(configuration.notices)
        self._place = Place(configuration.store.prefix, host_name(configuration), configuration.path.stem)

    def leave(self, exit_code: int, error: Exception | None = None, *, deadline: float | None = None) -> None:
        """Write the word, and tell whoever asked; failing at that is a warning.

        Args:
            exit_code: the run's.
            error: why nothing ran.
            deadline: by the monotonic clock, when a signal has come: the process is ended by force then.
        """
        self._leave_word(exit_code, error, deadline)
        if self._word is not None and self.telling.wants_metrics:
            self.telling.write_metrics(self._word, self._restorable(self._word) if deadline is None else {})

        def body(summary: Sequence[str]) -> bytes:
            # Why nothing ran is logged after this.
            said = error.lines if isinstance(error, S3napbackError) else [type(error).__name__] if error else []
            return body_of([*summary, *map(printable, said)], self._kept_lines.lines(), secrets_of(self._configuration))

        warnings = self._journal.warnings + self._journal.untold
        self.telling.end(exit_code, self._word, self._configuration.path, deadline, body, warnings)
        self._journal.untold += self.telling.warnings

    def _leave_word(self, exit_code: int, error: Exception | None, deadline: float | None) -> None:
        hurried = deadline is not None
        seconds = _SECONDS
        if deadline is not None:
            seconds = max(0.0, min(_HURRIED_SECONDS, deadline - _LAST_SECONDS - time.monotonic()))
        try:
            within(seconds, lambda: self._write(exit_code, error, hurried=hurried))
        except Exception as failure:
            why = _why_unwritten(failure)
            if why and isinstance(error, UnusableStore):
                return  # there is no store, as is said already
            self._journal.untold += 1
            if why:
                logger.warning("the word on this run, %s, could not be left for `status`: %s", self._place.key, why)
            else:
                logger.warning("a bug in s3napback: the word on this run could not be left: %s", failure)
            logger.debug("details", exc_info=True)
        self._tell_of_dropped()
        self._tell_of_others()

    def _restorable(self, word: Word) -> Mapping[str, Restorable]:
        """What the store holds of each source now. That it cannot be told is a warning, and it is left out."""
        store = self._journal.store
        if store is None or not self._journal.has_reached_store():
            return {}
        # It reads the catalogue, which no run needs that has no MetricsFile.
        from s3napback.backup.restorable import restorable  # noqa: PLC0415

        names, place = [each.name for each in word.sources], self._place
        try:
            return within(_LOOK_SECONDS, lambda: restorable(store, place.prefix, place.host, names))
        except (S3napbackError, TookTooLong) as failure:
            why = "the store took too long" if isinstance(failure, TookTooLong) else failure
            self._journal.untold += 1
            logger.warning("MetricsFile says nothing of what can be restored, as that could not be looked at: %s", why)
            return {}

    def _write(self, exit_code: int, error: Exception | None, *, hurried: bool) -> None:
        journal = self._journal
        is_quick = hurried or not journal.has_reached_store()
        store = configured_store(self._configuration, patient=False) if is_quick else journal.store
        if store is None:
            return
        state = state_of(self._configuration)
        is_there = self._is_there(store, state, error, hurried=hurried)
        previous = fetched_if_any(store, self._place.key) if is_there else None
        now = datetime.now(timezone.utc)
        run = Run(
            place=self._place,
            program=__version__,
            instance=instance_of(diff_dir(self._configuration), self._configuration.path),
            started=journal.began(now),
            ended=now,
            today=self._today,
            ran=journal.store is not None,
            error=error_class(error) if error else None,
            exit=exit_code,
        )
        kept = self._kept(state, run, previous)
        names = {each.job.name for each in kept} | {each.name for each in (previous.sources if previous else ())}
        locked = {name: day for name in names if (day := _locked(state, name))}
        self._word = compose(replace(run, locked=locked), kept, previous)
        self._elsewhere = backed_up_elsewhere(self._word, kept, previous)
        if is_there:
            store.put(self._place.key, io.BytesIO(written(self._word)), {}, is_helper=True)

    def _tell_of_dropped(self) -> None:
        """Say once of what is not configured any more until when it is locked: no run makes that longer."""
        found = self._word.dropped if self._word else ()
        for each in found:
            if each.locked and each.since == self._today:
                self._journal.untold += 1
                logger.warning(
                    "%s is not configured any more. Its newest backup is locked until %s, which no run makes longer; "
                    "if it is still needed then, configure it again", *(each.name or "/", each.locked)
                )  # fmt: skip

    def _tell_of_others(self) -> None:
        """Say that another machine goes by the same names: each of both has some of the nights, and no one tells."""
        if not self._elsewhere:
            return
        job, known, later = self._elsewhere[0]
        others = len(self._elsewhere) - 1
        self._journal.untold += 1
        logger.warning(
            "%s: its backup of %s%s was made by a run that this DiffDir, whose last one was of %s, knows nothing of. "
            "If it was another machine, the files of this one are not in it: give each a HostName and a Prefix "
            "of its own",
            *(job.source, later, f" (and that of {counted(others, 'other')})" if others else "", known),
        )

    def _is_there(self, store: Store, state: StoreState, error: Exception | None, *, hurried: bool) -> bool:
        """Whether the word can be left in the store at all."""
        if isinstance(error, UnusableStore | StoreError):
            return False
        if self._journal.store is not None and not self._journal.has_reached_store() and not hurried:
            return False
        # Where a disk is not mounted, what lies in its place must not seem to be it from now on.
        return not state.knows_store() or store.is_recognised()

    def _kept(self, state: StoreState, run: Run, previous: Word | None) -> list[Kept]:
        """The sources of the configuration, with what is remembered of each and what came of it."""
        default = Attempt("failed", run.error) if run.error else _UNREACHED
        kept: list[Kept] = []
        for job in self._configuration.jobs:
            several = kind_of(job.kind).stands_for_several(job.target)
            found = self._several(state, job, previous) if several else [(job, default)]
            for each, otherwise in found:
                attempt = self._journal.attempts.get(each.name, otherwise or default)
                kept.append(Kept(each, _loaded(state, each), attempt))
        return kept

    def _several(self, state: StoreState, job: Job, previous: Word | None) -> Sequence[tuple[Job, Attempt | None]]:
        """The sources that one job stands for, and what came of each that had no turn; None is what holds for all."""
        expansion = self._journal.expansion_of(job)
        there = {} if expansion is None else {each.name: each for each in expansion.jobs}
        if there and expansion is not None and not has_failed(expansion):
            return [(each, None) for each in there.values()]
        # What state remembers may have been gone for years; what the last run has spoken of has not.
        spoken = None if previous is None else {each.name for each in previous.sources}
        known = [each for each, _ in remembered_of_several(state, job) if spoken is None or each.name in spoken]
        lacking = [each for each in known if each.name not in there] or ([] if there else [job])
        if expansion is None:
            absent = None
        else:
            absent = Attempt("failed", "source") if has_failed(expansion) else Attempt("skipped")
        return [*((each, None) for each in there.values()), *((each, absent) for each in lacking)]


def _loaded(state: StoreState, job: Job) -> SourceState | None:
    try:
        return state.load(job.name)
    except StateError:
        return None


def _locked(state: StoreState, name: str) -> int:
    """The day number until which the newest backup is locked, with all that it builds on; 0 if that is not known."""
    try:
        ledger = state.locks(name)
        kept = state.load(name) if ledger else None
        return locked_through(ledger, {link.key: link.id for link in kept.history.chain}) if kept else 0
    except StateError:
        return 0


def _why_unwritten(failure: Exception) -> str:
    """Why there is no word, as it can be told to people; empty if nobody foresaw that."""
    if isinstance(failure, TookTooLong):
        return "the store took too long"
    return str(failure if isinstance(failure, ValueError) else foreseen(failure) or "")
