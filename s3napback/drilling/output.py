"""The proof of a program's output: what judges it is another program, if one is named."""

from __future__ import annotations

import shutil
from pathlib import Path

from s3napback.drilling.scratch import scratch_in
from s3napback.drilling.task import Proven, Task
from s3napback.drilling.throwaway import NotTried
from s3napback.environment import Family, User
from s3napback.errors import ChangeableByOthers, SourceError
from s3napback.formatting import human_bytes, shown
from s3napback.ownership import require_own
from s3napback.recovery.databases import dump_beginnings, dump_check, dump_ends
from s3napback.recovery.opening.failures import Damaged
from s3napback.sources.command import run_as
from s3napback.sources.programs import why_no_program
from s3napback.streams.followers import Counter
from s3napback.streams.processes import Stage
from s3napback.streams.receiving import Receiver, ReceiverFailed
from s3napback.streams.transformations import Block, Transformation


def prove_output(task: Task) -> Proven:
    """Give what a program wrote to the one that Drill names, which judges by its exit status; without, look at its end.

    Raises:
        Damaged: it is not good.
        NotTried: the program is not there.
        S3napbackError: it cannot be read.
    """
    archive, address = task.chain[-1], task.decoder.transport.address(task.chain[-1])
    read = Counter()
    kind = task.source.kind
    checks = (dump_check(dump_ends(kind), dump_beginnings(kind)), Transformation("the count", read.passed))
    program = task.job.settings.drill if task.job else ()
    if not program:
        task.decoder.run(archive, *checks, use="decoded")
        _require_size(task, read.count)
        return Proven(f"{human_bytes(read.count)}; nothing judges what they are, since its block has no Drill")
    user = _user(task)
    _require_program(program[0], user)
    with scratch_in(task.scratch, user=user, keeps=task.keeps) as scratch:
        stage = Stage(program, family=Family.PLAIN, user=user, directory=str(scratch.path), umask=0o077)
        with Receiver(stage, task.decoder.transport.stall_timeout) as receiver:
            try:
                task.decoder.run(archive, *checks, write=_Tolerant(receiver).write, use="judged")
                receiver.finish()
            except ReceiverFailed as error:
                raise Damaged(*error.under(f"{address} was decoded, and is not good by the judgement of")) from error
    _require_size(task, read.count)
    return Proven(f"{human_bytes(read.count)}, good by the judgement of {shown(program[0])}")


class _Tolerant:
    """Gives a program what it reads; one that has seen enough and ends well may leave the rest."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._is_done = False

    def write(self, block: Block) -> None:
        if self._is_done:
            return
        try:
            self._receiver.write(block)
        except ReceiverFailed:
            if not self._receiver.is_good:
                raise
            self._is_done = True


def _require_size(task: Task, count: int) -> None:
    if task.note is not None and task.note.read not in (None, count):
        raise Damaged(
            f"{task.decoder.transport.address(task.chain[-1])} holds {count} bytes, and {task.note.read} were read "
            "when it was made"
        )


def _user(task: Task) -> User | None:
    try:
        return run_as(task.job.settings.run_as if task.job else "")
    except SourceError as error:
        raise NotTried(*error.lines) from error


def _require_program(program: str, user: User | None) -> None:
    found = shutil.which(program)
    if found is None:
        raise NotTried(f"{why_no_program(program)}; Drill names it")
    if user is None:
        try:
            require_own(Path(found))
        except ChangeableByOthers as error:
            raise NotTried(*error.lines) from error
