"""The post-mortem of a pipeline: who is to blame for a failure or a silence, and in what words; what else was said."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from s3napback.errors import S3napbackError
from s3napback.scarcity import scarcity
from s3napback.streams.culprits import Culprit, ElementsFailed
from s3napback.streams.processes import Process
from s3napback.streams.pumps import Pump
from s3napback.streams.reviews import is_warning
from s3napback.streams.silence import SilenceWatch

_SETTLING_TIME = 1.0  # seconds for the others to end by themselves once one has failed
_LAST_WORDS_TIME = 5.0  # seconds for what was said last to be read, once everybody has ended
_QUOTED_LINES = 10
_LOOKS = 5  # at what holds up a stream that drips: with each drop all the others are at work for a moment
_BETWEEN_LOOKS = 0.02  # seconds


class PostMortem:
    """Judges the members of one pipeline, in the order of the stream. All methods are for one thread."""

    def __init__(self, members: Sequence[Process | Pump], stall_timeout: float | None) -> None:
        """Look at nothing yet.

        Args:
            members: may still be added to, until the first of the methods is called.
            stall_timeout: seconds that are waited for an end; None is for ever.
        """
        self._members = members
        self._stall_timeout = stall_timeout

    def conclude(self) -> list[str]:
        """The output has ended: wait until all have, and judge them.

        Returns:
            What those said that ended with one of their warning codes, one line each.

        Raises:
            ElementsFailed: one failed, or the first produced nothing. The message names it and quotes its last words.
        """
        self._settle()
        culprits = self._culprits() or [
            Culprit(member.element, [f"{member.name} has not ended"]) for member in self._members if not member.wait(0)
        ]
        if culprits:
            raise ElementsFailed(*culprits)
        if not self._pumps[0].bytes_read:
            raise ElementsFailed(_accused(self._members[0], "produced nothing"))
        return [line for process in self._processes for line in _warning_lines(process)]

    def accuse_the_silent(self, watch: SilenceWatch) -> None:
        """Nothing has moved for too long: blame whoever holds up the stream.

        Raises:
            ElementsFailed: unless something excuses it.
        """
        index = self._holding_member() if watch.has_moved else self._silent_member()
        member = self._members[index]
        if isinstance(member, Process):
            if member.stage.may_ask and not self._has_written(index):
                return
            if member.stage.may_pause and watch.has_worked(member.processor_time):
                return
        what = f"has been {watch.verdict} for {self._patience}"
        if isinstance(member, Process) and member.has_ended_without_others():
            what = "" if member.is_good else member.describe_end()
            what = what or f"ended, but something that it started has kept its output open for {self._patience}"
        raise ElementsFailed(_accused(member, what, member.suspects if isinstance(member, Process) else ()))

    def accuse_the_mute(self) -> None:
        """Nothing has moved for as long as a process may take to write anything: blame it, if all waits for it.

        Raises:
            ElementsFailed: it does.
        """
        index = self._silent_member()
        member = self._members[index]
        if isinstance(member, Process) and (limit := member.stage.answers_within) and not self._has_written(index):
            raise ElementsFailed(_accused(member, f"has written nothing for {limit:g} seconds", member.stage.helpers()))

    def _has_written(self, index: int) -> bool:
        return any(isinstance(below, Pump) and below.bytes_read for below in self._members[index + 1 : index + 2])

    def _holding_member(self) -> int:
        """Who holds up a stream that moves a little: the one that does so at most moments."""
        seen = [self._silent_member()]
        for _ in range(_LOOKS - 1):
            time.sleep(_BETWEEN_LOOKS)
            seen.append(self._silent_member())
        return max(seen, key=seen.count)

    def _silent_member(self) -> int:
        """Follow the stream upwards, past all that only wait for their input, to the one that holds it up."""
        for index in range(len(self._members) - 1, 0, -1):
            member, above = self._members[index], self._members[index - 1]
            is_busy = isinstance(member, Pump) and not member.has_finished and member.waits_for != "input"
            if is_busy or (isinstance(above, Pump) and (above.waits_for == "output" or above.has_finished)):
                return index
        return 0

    def _settle(self) -> None:
        """Wait, from the last to the first, until all have ended, or one has failed and the others had a moment."""
        deadline: float | None = None
        for index in range(len(self._members) - 1, -1, -1):
            member = self._members[index]
            ended = member.wait(self._stall_timeout if deadline is None else max(0.0, deadline - time.monotonic()))
            if not ended and deadline is None:
                what = f"closed its output but did not end within {self._patience}"
                raise ElementsFailed(_accused(member, what))
            if isinstance(member, Process) and member.stage.review is not None and ended:
                member.messages.ended.wait(_LAST_WORDS_TIME)
            if deadline is None and self._verdict(index):
                deadline = time.monotonic() + _SETTLING_TIME
        for process in self._processes:
            # What a process that has ended left running in the background may hold its standard error open for ever.
            if process.status is not None:
                process.messages.ended.wait(_LAST_WORDS_TIME)

    def _culprits(self) -> list[Culprit]:
        """The failed members, the most causal first.

        Whoever ended because its reader had gone is a consequence, and the cause lies below the lowest of them.
        Apart from that, a failure is the cause of those below it.
        """
        verdicts = [(index, verdict) for index in range(len(self._members)) if (verdict := self._verdict(index))]
        consequences = {index for index, _ in verdicts if self._members[index].broke_on_output}
        lowest = max(consequences, default=-1)
        below = [verdict for index, verdict in verdicts if index > lowest]
        if not below:
            return [verdict for _, verdict in verdicts]
        above = [verdict for index, verdict in verdicts if index < lowest and index not in consequences]
        return below + above

    def _verdict(self, index: int) -> Culprit | None:
        """What is wrong with a member that has ended; None while it runs, and if nothing is."""
        member = self._members[index]
        if isinstance(member, Pump):
            return _told(member)
        if member.status is None:
            return None
        if not member.is_good:
            return _judged(member, member.stage.excuse) or _accused(member, member.describe_end())
        above = self._members[index - 1] if index else None
        # A transformation closes its output only after it has finished, or failed by itself.
        if isinstance(above, Pump) and not above.has_finished and (above.error is None or above.broke_on_output):
            return _accused(member, "ended before it had read everything")
        return _judged(member, member.stage.judge)

    @property
    def _patience(self) -> str:
        return f"{self._stall_timeout:g} seconds (StallTimeout)"

    @property
    def _processes(self) -> list[Process]:
        return [member for member in self._members if isinstance(member, Process)]

    @property
    def _pumps(self) -> list[Pump]:
        return [member for member in self._members if isinstance(member, Pump)]


def _told(pump: Pump) -> Culprit | None:
    """What a pump's error says; None without one."""
    error = pump.error
    if error is None:
        return None
    if isinstance(error, S3napbackError):
        return Culprit(pump.element, error.lines, error)
    lines = (f"{pump.name} failed: {scarcity(error) or repr(error)}",)
    return Culprit(pump.element, lines, error)


def _judged(process: Process, judge: Callable[[Sequence[str]], str] | None) -> Culprit | None:
    """What is found wrong in what a process said; None if nothing is."""
    flaw = judge(process.messages.lines()) if judge else ""
    return Culprit(process.element, [flaw], is_judged=True) if flaw else None


def _accused(member: Process | Pump, what: str, suspects: Sequence[str] = ()) -> Culprit:
    """A sentence on a member, and below it its own last words, and what may hold it up."""
    words = member.messages.lines()[-_QUOTED_LINES:] if isinstance(member, Process) else []
    told = [*words, *suspects]
    lines = (f"{member.name} {what}" + (":" if told else ""), *(f"  {line}" for line in told))
    return Culprit(member.element, lines, status=member.status if isinstance(member, Process) else None)


def _warning_lines(process: Process) -> list[str]:
    """All that a process said which ended with a warning code; of the others, what they call a warning themselves."""
    lines = process.messages.lines()
    review = process.stage.review
    if review is not None and (process.is_excused or (process.has_warned and review.warnings and not review.complaint)):
        return review.warnings
    if process.has_warned:
        return lines or [f"{process.name} ended with exit status {process.status}"]
    asides = review.asides if review is not None else None
    return [line for line in lines if is_warning(line)] if asides is None else asides
