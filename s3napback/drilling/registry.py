"""How archives of which kind are proven. A new kind is one line here."""

from __future__ import annotations

from collections.abc import Callable

from s3napback.drilling.directories import prove_directory
from s3napback.drilling.dumps import Loaded, Trial, prove_dump
from s3napback.drilling.mysql import MySQLTrial
from s3napback.drilling.output import prove_output
from s3napback.drilling.postgresql import PostgreSQLTrial
from s3napback.drilling.scratch import Scratch, nobody, scratch_in
from s3napback.drilling.task import Proven, Prover, Task
from s3napback.drilling.trees import prove_database_file, prove_repository
from s3napback.errors import UnknownKind
from s3napback.formatting import counted
from s3napback.kinds import COMMAND, DIRECTORY, MYSQL, POSTGRESQL, SQLITE, SUBVERSION, SourceName, kind_of


def _of_server(make: Callable[[Scratch, str], Trial], separator: str, own: int) -> Prover:
    # A server takes so many bytes before it holds anything.
    def prove(task: Task) -> Proven:
        name = task.source.target.rpartition(separator)[2]
        with scratch_in(task.scratch, task.needed + own, nobody(), keeps=task.keeps) as scratch:
            trial = make(scratch, "" if name == "all" else name)
            loaded = prove_dump(task.decoder, task.chain[-1], task.source.kind, trial, task.note)
        needs = (f"needs {each} where it is loaded" for each in loaded.needs)
        return Proven(_rows_of(loaded), (*needs, *loaded.remarks))

    return prove


def _rows_of(loaded: Loaded) -> str:
    return f"{counted(len(loaded.rows), 'table')} with {counted(sum(loaded.rows.values()), 'row')}"


PROVERS: dict[str, Prover] = {
    DIRECTORY.name: prove_directory,
    MYSQL.name: _of_server(MySQLTrial, ":", 200 << 20),
    POSTGRESQL.name: _of_server(PostgreSQLTrial, "@", 100 << 20),
    SUBVERSION.name: prove_repository,
    SQLITE.name: prove_database_file,
    COMMAND.name: prove_output,
}


def prover_of(source: SourceName) -> Prover:
    """How archives of a source are proven.

    Raises:
        UnknownKind: nothing proves this kind.
    """
    kind = kind_of(source.kind)
    prover = PROVERS.get(kind.folder_of or kind.name)
    if prover is None:
        raise UnknownKind(f"nothing is registered that could prove sources of the kind {source.kind!r}")
    return prover
