"""What is done around the sources of a block: Before, when the first of them is about to be looked at, and After.

After has its turn whenever anything was begun: after a failure, after a signal, and at the start of the next run if
this one is killed.
"""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from s3napback import ending
from s3napback.backup.hooks import HookOutput, HookResult, program_problem, run_after, run_before
from s3napback.backup.tally import NOTHING, Tally
from s3napback.backup.unfinished import Mark, block_of, marks_of, put_mark
from s3napback.config.settings import Configuration, Job
from s3napback.crews import begin
from s3napback.errors import SourceError, StateError
from s3napback.formatting import printable
from s3napback.logs import log_lines, logger_for
from s3napback.standing import working_on
from s3napback.streams.processes import Stage

logger = logging.getLogger("s3napback")

_UMASK = 0o077


def hooks_problem(job: Job) -> str:
    """Why what stands around a block cannot be run; empty if it can. A service must not be stopped for good."""
    for name, command in (("Before", job.settings.before), ("After", job.settings.after)):
        if command and (problem := program_problem(command)):
            return f"{name}: {problem}"
    return ""


class Around:
    """The blocks of a run, each with what is done around it.

    A context manager; leaving it has After done for every block of which something was begun and not ended.
    """

    def __init__(self, configuration: Configuration, host: str, folder: Path) -> None:
        """Begin nothing.

        Args:
            host: HostName.
            folder: DiffDir.
        """
        self._configuration = configuration
        self._host = host
        self._folder = folder
        self._blocks: dict[object, HookedBlock] = {}
        self._adding = threading.Lock()

    def __enter__(self) -> Around:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with ending.deferred_signals():
            # At the same time, since a signal may have left little of it.
            for each in [begin(block.end, "after") for block in self._blocks.values()]:
                each.result()

    def block_of(self, job: Job) -> HookedBlock:
        """The block that a source belongs to, be it the whole of it or one of several."""
        with self._adding:
            if job.position not in self._blocks:
                self._blocks[job.position] = self._block(job)
            return self._blocks[job.position]

    def undo_unfinished(self) -> Tally:
        """Have After done that an earlier run was killed before, whether or not anything is due today.

        Raises:
            StateError: what has been done cannot be noted.
        """
        tally = NOTHING
        jobs = {block_of(job): job for job in self._configuration.jobs if job.settings.after}
        for mark in marks_of(self._folder, self._configuration.path):
            tally += Tally(warnings=1)
            job = jobs.get(mark.block)
            if job is not None:
                logger_for(job.kind).warning("%s: an earlier run was ended before After, which is run now", job.source)
                self._block(job).undo(mark)
                continue
            logger.warning(
                "%s: an earlier run was ended before After, and there is no such block any more: look what is left to "
                "be undone. It was: %s",
                *(printable(mark.source) or mark.path, mark.after or "unknown"),
            )
            mark.remove()
        return tally

    def _block(self, job: Job) -> HookedBlock:
        return HookedBlock(self._configuration, self._host, self._folder, job)


class HookedBlock:
    """One block; does nothing where nothing is configured. Methods may be called from several threads."""

    def __init__(self, configuration: Configuration, host: str, folder: Path, job: Job) -> None:
        self._configuration = configuration
        self._host = host
        self._folder = folder
        self._job = job
        self._mark: Mark | None = None
        self._has_begun = self._has_ended = False
        self._left = 1
        self._outcomes: list[str] = []
        self._beginning = threading.Lock()
        self._counting = threading.Lock()

    @property
    def has_before(self) -> bool:
        """Whether something is to be done before any source of it is looked at."""
        return bool(self._job.settings.before)

    def expect(self, sources: int) -> Tally:
        """So many sources of it will have their turns; with none, it ends here."""
        with self._counting:
            self._left = sources
        return NOTHING if sources else self.end()

    def begin(self) -> None:
        """Have Before done, unless it is. To be called when the first source is about to be looked at.

        Raises:
            SourceError: it failed, or cannot be done, or After could not.
            StateError: that After will be due cannot be noted.
        """
        settings = self._job.settings
        if not (settings.before or settings.after):
            return
        # Its sources may come to this at the same time.
        with self._beginning:
            if not self._has_begun:
                self._begin()

    def _begin(self) -> None:
        settings = self._job.settings
        if problem := hooks_problem(self._job):
            raise SourceError(problem)
        if settings.after:
            self._mark = put_mark(self._folder, self._configuration.path, self._job)
        self._has_begun = True
        if settings.before:
            with working_on(f"{self._job.source}: Before", title=str(self._job.source), stage="Before"):
                came = run_before(self._stage("Before"), settings.stall_timeout or None)
            if came.failure:
                raise SourceError(f"Before: {came.failure[0]}", *came.failure[1:])

    def leave(self, outcome: str) -> Tally:
        """A source of it has had its turn; the last one ends it.

        Args:
            outcome: ``done``, ``skipped``, ``failed`` or ``interrupted``.
        """
        with self._counting:
            self._left -= 1
            self._outcomes.append(outcome)
            is_last = self._left <= 0
        # Whatever a thread runs then is ended before long. What is left to do, the main thread does in the end.
        is_late = ending.has_begun() and threading.current_thread() is not threading.main_thread()
        return self.end() if is_last and not is_late else NOTHING

    def end(self) -> Tally:
        """Have After done, if anything was begun and it is not. Failing at it is an error of the run's."""
        with self._counting:
            is_due = self._has_begun and not self._has_ended
            self._has_ended = True
        if not is_due or not self._job.settings.after:
            return NOTHING
        came = self._run_after(self._mark, self._outcome())
        if not came.failure:
            return NOTHING
        self._tell(logging.ERROR, came)
        return Tally(exit_code=1)

    def undo(self, mark: Mark) -> None:
        """Have After done, of which an earlier run has left a mark.

        It may have been undone by somebody, or by a boot, so that failing at it is no more than a warning.
        """
        came = self._run_after(mark, "killed")
        if came.failure:
            self._tell(logging.WARNING, came)

    def _outcome(self) -> str:
        if ending.has_begun():
            return "interrupted"
        return next((each for each in ("interrupted", "failed", "done") if each in self._outcomes), "skipped")

    def _run_after(self, mark: Mark | None, outcome: str) -> HookResult:
        title = str(self._job.source)
        with working_on(f"{title}: After", title=title, stage="After"), ending.deferred_signals():
            came = run_after(self._stage("After", outcome), self._job.settings.stall_timeout or None)
            if came.was_done and mark is not None:
                # If it stays, After is run once more.
                with suppress(StateError):
                    mark.remove()
        return came

    def _tell(self, level: int, came: HookResult) -> None:
        first, *others = came.failure
        title = f"{self._job.source}: After"
        log_lines(logger_for(self._job.kind), level, [f"{title}: {first}", *(f"  {line}" for line in others)])

    def _stage(self, name: str, outcome: str = "") -> Stage:
        job = self._job
        told = {
            "S3NAPBACK_WHEN": name.lower(),
            "S3NAPBACK_CONFIGURATION": str(self._configuration.path),
            "S3NAPBACK_HOST": self._host,
            "S3NAPBACK_SOURCE": str(job.source),
            "S3NAPBACK_KIND": job.kind,
            "S3NAPBACK_TARGET": job.target,
            **({"S3NAPBACK_OUTCOME": outcome} if outcome else {}),
        }
        command = job.settings.before if name == "Before" else job.settings.after
        review = HookOutput(logger_for(job.kind), f"{job.source}: {name}")
        return Stage(command, environment=told, directory="/", umask=_UMASK, review=review)
