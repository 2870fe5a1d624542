"""MySQL and MariaDB databases, by mysqldump or mariadb-dump."""

from __future__ import annotations

from s3napback.config.mysql_options import FIRST
from s3napback.config.settings import Job
from s3napback.sources.dump_command import DumpCommandSource
from s3napback.streams.environment import Family

ALL = "all"
"""The target that stands for every database of the server."""

_DUMP_OPTIONS = (
    # Older programs default to three bytes a character, and lose the others.
    "--default-character-set=utf8mb4",
    # The program's own default, and Debian's configuration of it, refuse rows that the server holds.
    "--max-allowed-packet=1G",
    "--opt",
    "--single-transaction",
    "--routines",
    "--events",
    "--triggers",
)


def mysqldump_command(program: str, job: Job) -> tuple[str, ...]:
    """The argument list that writes one database, without its CREATE DATABASE, or all of them to standard output.

    Args:
        program: ``mariadb-dump`` or ``mysqldump``.
        job: its target is ``NAME``, ``all``, ``SOCKET:NAME`` or ``SOCKET:all``; MySQLOptions are used.
    """
    socket, _, database = job.target.rpartition(":")
    options = job.settings.mysql_options
    first = [option for option in options if _comes_first(option)]
    others = [option for option in options if not _comes_first(option)]
    command = [program, *first, *_DUMP_OPTIONS]
    if socket:
        # A host named in .my.cnf would else be asked, and the socket be ignored.
        command += ["--protocol=socket", "--host=localhost", f"--socket={socket}"]
    what = ["--all-databases"] if database == ALL else ["--", database]
    return (*command, *others, *what)


def mysql_source(job: Job) -> DumpCommandSource:
    """The source that a MySQL job describes."""
    return DumpCommandSource(job, mysqldump_command, ("mariadb-dump", "mysqldump"), "mariadb-client", Family.MYSQL)


def _comes_first(option: str) -> bool:
    return option.partition("=")[0] in FIRST
