"""One run of a command that stands before or after a block: for how long, and what came of it."""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from s3napback import ending
from s3napback.crews import begin
from s3napback.errors import ChangeableByOthers, PipelineError
from s3napback.formatting import counted, readable, shown
from s3napback.ownership import require_own
from s3napback.records import dataclass
from s3napback.sources.programs import why_no_program
from s3napback.streams.processes import Stage
from s3napback.streams.programs import Program

HURRIED_SECONDS = 8.0
"""That a command has to come to its end when a signal has come, if there is as much time."""
_RESERVED_SECONDS = 7.0  # of the time that a signal leaves: to end a command by force, and for the run's word

_LOOK_SECONDS = 0.2  # between two looks for a signal
_MOST_LINES = 200
_LAST_LINES = 3


@dataclass(frozen=True)
class HookResult:
    """What came of a command.

    Attributes:
        failure: why it is not good, and its last words; empty if it is.
        was_done: it has come to its end by itself, well or not.
    """

    failure: Sequence[str] = ()
    was_done: bool = True


class HookOutput:
    """Brings into the log what a command says, as it says it. Fulfils ``Review``, and excuses nothing."""

    complaint = ""
    warnings: list[str] = []  # noqa: RUF012 - part of the protocol, and always empty
    asides: None = None

    def __init__(self, log: logging.Logger, title: str) -> None:
        self._log = log
        self._title = title
        self._count = 0

    def read(self, line: bytes) -> None:
        """See ``Review``."""
        if not line.strip():
            return
        self._count += 1
        if self._count <= _MOST_LINES:
            self._log.info("%s: %s", self._title, readable(line))
        elif self._count == _MOST_LINES + 1:
            self._log.info("%s says more; -d shows everything", self._title)

    def excuses(self, status: int) -> bool:  # noqa: ARG002 - none is good
        """See ``Review``."""
        return False


def program_problem(command: Sequence[str]) -> str:
    """Why a command must not be started, or cannot be, as one clause; empty if it can.

    Raises nothing: what cannot be looked at is a problem.
    """
    program = shutil.which(command[0], path=os.environ.get("PATH", os.defpath))
    if program is None:
        return why_no_program(command[0])
    try:
        require_own(Path(program))
    except ChangeableByOthers as error:
        return str(error)
    except OSError as error:
        return f"{shown(program)} cannot be looked at: {error.strerror}"
    return ""


def run_before(stage: Stage, seconds: float | None) -> HookResult:
    """Run a command to its end; a signal ends it.

    Args:
        seconds: for so long at most; None is for ever.

    Raises:
        Interrupted: a signal has come.
    """
    try:
        with Program(stage) as program:
            return _judged(stage, program) if program.wait(seconds) else _too_long(stage, seconds)
    except PipelineError as error:
        return HookResult(error.lines)


def run_after(stage: Stage, seconds: float | None) -> HookResult:
    """Run a command to its end; a signal leaves it no more than ``HURRIED_SECONDS``. To be called with it deferred."""
    # In a thread that no signal reaches.
    return begin(lambda: _run_hurried(stage, seconds), "after").result()


def _run_hurried(stage: Stage, seconds: float | None) -> HookResult:
    limit = _Limit(seconds)
    if limit.is_over():
        return HookResult((f"{stage.name} is left to the next run, since a signal has come",), was_done=False)
    try:
        with Program(stage) as program:
            while not program.wait(_LOOK_SECONDS):
                if limit.is_over():
                    return limit.verdict(stage)
            return _judged(stage, program)
    except PipelineError as error:
        return HookResult(error.lines)


class _Limit:
    """Until when a command may run: shorter from the moment at which a signal is noticed."""

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._deadline = None if seconds is None else time.monotonic() + seconds
        self._is_hurried = False

    def is_over(self) -> bool:
        if ending.has_begun() and not self._is_hurried:
            self._is_hurried = True
            left = min(HURRIED_SECONDS, ending.seconds_left() - _RESERVED_SECONDS)
            hurried = time.monotonic() + left
            self._deadline = hurried if self._deadline is None else min(hurried, self._deadline)
        return self._deadline is not None and time.monotonic() >= self._deadline

    def verdict(self, stage: Stage) -> HookResult:
        if not self._is_hurried:
            return _too_long(stage, self._seconds)
        why = f"did not end within the {HURRIED_SECONDS:g} seconds that a signal leaves it"
        return HookResult((f"{stage.name} {why}, and was ended; the next run begins with it",), was_done=False)


def _too_long(stage: Stage, seconds: float | None) -> HookResult:
    what = counted(round(seconds or 0), "second")
    return HookResult((f"{stage.name} did not end within {what} (StallTimeout), and was ended",), was_done=False)


def _judged(stage: Stage, program: Program) -> HookResult:
    if program.is_good:
        return HookResult()
    words = program.last_words(_LAST_LINES)
    return HookResult((f"{stage.name} {program.describe_end()}{':' if words else ''}", *words))
