"""PostgreSQL databases, by pg_dump; all of a server with its roles, by pg_dumpall."""

from __future__ import annotations

from s3napback.config.settings import Job
from s3napback.sources.dump_command import DumpCommandSource
from s3napback.streams.environment import Family

ALL = "all"
"""The target that stands for every database of the server, and its roles."""

_LOCK_TIMEOUT = 3_600_000  # milliseconds; without it a forgotten transaction would hold up the whole night

_DUMP_OPTIONS = (
    # Nobody is there to type one.
    "--no-password",
    f"--lock-wait-timeout={_LOCK_TIMEOUT}",
)


def connection_string(database: str) -> str:
    """A database's name as libpq takes it without a second look, whatever the name is.

    A plain name with ``=`` in it, or one that begins like a URL, would be read as a connection string. Quoting is that
    of PostgreSQL's manual, "Connection Strings".
    """
    escaped = database.replace("\\", "\\\\").replace("'", "\\'")
    return f"dbname='{escaped}'"


def pg_dump_command(program: str, job: Job) -> tuple[str, ...]:
    """The argument list that writes one database, without its CREATE DATABASE, or all of them to standard output.

    Args:
        program: ``pg_dump``, or ``pg_dumpall`` where the target is ``all``.
        job: its target is ``NAME``, ``all``, ``USER@NAME`` or ``USER@all``; PostgreSQLOptions are used.
    """
    user, _, database = job.target.rpartition("@")
    command = [program, *_DUMP_OPTIONS]
    if user:
        command.append(f"--username={user}")
    what = [] if database == ALL else [f"--dbname={connection_string(database)}"]
    return (*command, *job.settings.postgresql_options, *what)


def postgresql_source(job: Job) -> DumpCommandSource:
    """The source that a PostgreSQL job describes."""
    program = "pg_dumpall" if job.target.rpartition("@")[2] == ALL else "pg_dump"
    return DumpCommandSource(job, pg_dump_command, (program,), "postgresql-client", Family.POSTGRESQL)
