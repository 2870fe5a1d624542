"""The proof of what is restored to files: directories, repositories, SQLite databases."""

from __future__ import annotations

import sys

from s3napback.drilling.scratch import scratch_in
from s3napback.drilling.task import Proven, Task
from s3napback.drilling.throwaway import TrialTools
from s3napback.errors import PipelineError
from s3napback.formatting import counted
from s3napback.recovery.opening.failures import Damaged
from s3napback.recovery.registry import Wanted

_RESTORED = "restored"


def prove_repository(task: Task) -> Proven:
    """Load a repository anew, and have Subversion verify every revision.

    Raises:
        Damaged: it cannot be loaded, or is not good.
        S3napbackError: it cannot be read.
    """
    with scratch_in(task.scratch, task.needed, keeps=task.keeps) as scratch:
        where = scratch.path / _RESTORED
        task.restore(Wanted(task.source, where)).run(task.decoder, task.chain)
        tools = TrialTools(scratch)
        try:
            tools.answer("svnadmin", "verify", "--quiet", _RESTORED)
        except PipelineError as error:
            raise Damaged(*error.under(f"{task.source} was loaded, and is not good")) from error
        youngest = tools.answer("svnlook", "youngest", _RESTORED).strip()
    return Proven(f"revisions up to {youngest}, verified by svnadmin")


def prove_database_file(task: Task) -> Proven:
    """Restore an SQLite database, which SQLite checks on the way, and count what it holds.

    Raises:
        Damaged: it cannot be read by SQLite.
        S3napbackError: it is not good, or cannot be read.
    """
    with scratch_in(task.scratch, task.needed, keeps=task.keeps) as scratch:
        where = scratch.path / _RESTORED
        task.restore(Wanted(task.source, where)).run(task.decoder, task.chain)
        try:
            said = TrialTools(scratch).answer(sys.executable, "-I", "-m", "s3napback.drilling.sqlite_rows", str(where))
        except PipelineError as error:
            raise Damaged(*error.under(f"{task.source} was restored, and its rows cannot be counted")) from error
    tables, rows = map(int, said.split())
    return Proven(f"{counted(tables, 'table')} with {counted(rows, 'row')}, checked by SQLite")
