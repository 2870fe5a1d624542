"""PostgreSQL databases, by pg_dump; all of a server with its roles, by pg_dumpall."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from s3napback.config.postgresql_options import CONNECTION, OF_DATABASES, POSTGRESQL_RULES
from s3napback.config.settings import Job
from s3napback.environment import Family
from s3napback.errors import SourceError
from s3napback.records import dataclass
from s3napback.sources.dump_command import DumpCommandSource, Inventory, ServerReport, Table, in_short
from s3napback.sources.postgresql_answers import (
    DATABASES,
    database_name,
    excluded,
    own_definition,
    read_databases,
)
from s3napback.sources.postgresql_files import FILES, TableFile, quoted, read_files, which_have_rows
from s3napback.sources.postgresql_inventory import (
    DatabaseContents,
    PostgreSQLInventory,
    questions,
    read_things,
    thing_name,
)
from s3napback.sources.programs import answer_of, find_program

ALL = "all"
"""The target that stands for every database of the server, and its roles."""

_LOCK_TIMEOUT = 3_600_000  # milliseconds; without it a forgotten transaction would hold up the whole night
_PACKAGE = "postgresql-client"
_PATIENCE = 600.0  # seconds that the server may take for an answer, if StallTimeout is not less

_MOST_REPLACED = 100  # tables that are asked about in one question

_NO_SETTINGS = " "  # pg_dumpall drops an empty value, and those of the environment would hold

_DUMP_OPTIONS = (
    # Nobody is there to type one.
    "--no-password",
    f"--lock-wait-timeout={_LOCK_TIMEOUT}",
)
_OWN_NAMES = "--command=SET search_path = pg_catalog; SET statement_timeout = 0; SET lock_timeout = 0"
_OR_WITHOUT = ", or set PostgreSQLOptions --no-subscriptions"
_ASKING = (
    *("--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--no-password", "--set=ON_ERROR_STOP=1"),
    *("--field-separator=\t", "--record-separator-zero"),
)


def connection_string(database: str, settings: str = _NO_SETTINGS) -> str:
    """A database's name as libpq takes it without a second look, whatever the name is.

    A plain name with ``=`` in it, or one that begins like a URL, would be read as a connection string. Quoting is that
    of PostgreSQL's manual, "Connection Strings". Settings of PGOPTIONS and of a service do not hold, since they could
    change what is dumped. The name is empty where libpq, or the program, chooses.

    Args:
        database: its name.
        settings: those of the session, as ``-c NAME=VALUE`` each; they win over what is set for a database or a role.
    """
    options = f"options='{settings}'"
    escaped = database.replace("\\", "\\\\").replace("'", "\\'")
    return f"dbname='{escaped}' {options}" if database else options


def pg_dump_command(program: str, job: Job) -> tuple[str, ...]:
    """The argument list that writes one database, without its CREATE DATABASE, or all of them to standard output.

    Args:
        program: ``pg_dump``, or ``pg_dumpall`` where the target is ``all``.
        job: its target is ``NAME``, ``all``, ``USER@NAME`` or ``USER@all``; PostgreSQLOptions are used.
    """
    what = f"--dbname={connection_string(_database(job))}"
    return (program, *_DUMP_OPTIONS, *_user(job), *job.settings.postgresql_options, what)


def definition_command(job: Job) -> tuple[str, ...]:
    """The argument list that writes the definition of a database itself, and little else."""
    options = POSTGRESQL_RULES.chosen(job.settings.postgresql_options, CONNECTION | OF_DATABASES)
    # Names of databases and roles have the encoding of the database that they were given in: bytes as they are.
    small = ("--create", "--schema-only", "--exclude-schema=*", "--encoding=SQL_ASCII")
    return ("pg_dump", *_DUMP_OPTIONS, *_user(job), *options, *small, f"--dbname={connection_string(_database(job))}")


def psql_command(job: Job, database: str, query: str) -> tuple[str, ...]:
    """The argument list that asks the server which the dump would be of."""
    options = POSTGRESQL_RULES.chosen(job.settings.postgresql_options, CONNECTION)
    # Whoever dumps as another role sees what that one sees.
    roles = POSTGRESQL_RULES.values_of(job.settings.postgresql_options, "--role")
    role = [f"--command=SET ROLE {quoted(name)}" for name in roles[-1:]]
    where = f"--dbname={connection_string(database)}"
    return ("psql", *_ASKING, *_user(job), *options, where, *role, _OWN_NAMES, f"--command={query}")


def postgresql_source(job: Job) -> DumpCommandSource:
    """The source that a PostgreSQL job describes."""
    return DumpCommandSource(job, PostgreSQLServer(job), Family.POSTGRESQL)


@dataclass(frozen=True)
class PostgreSQLServer:
    """See ``Server``.

    Attributes:
        job: the configured source.
    """

    job: Job

    def look(self) -> ServerReport:
        """See ``Server``."""
        find_program((self._program,), _PACKAGE)
        find_program(("psql",), _PACKAGE)
        database = _database(self.job)
        if not database:
            return self._look_at_all()
        contents = self._contents(database)
        return ServerReport(
            self.guess(),
            is_empty=contents.is_empty,
            names=contents.names(),
            counts=contents.counts(),
            remarks=contents.remarks(),
            preamble=own_definition(self._run(definition_command(self.job))),
            files=self._noted_files(database),
        )

    def guess(self) -> tuple[str, ...]:
        """See ``Server``."""
        return pg_dump_command(self._program, self.job)

    def inventory(self) -> Inventory:
        """See ``Server``."""
        return PostgreSQLInventory()

    def replaced(self, files: Mapping[Table, str], found: Inventory) -> str:
        """See ``Server``."""
        emptied = self._emptied({table: files[table] for table in found.without_rows if table in files})
        if not emptied:
            return ""
        return (
            f"the dump of {self.job.source} has no rows of {in_short(emptied)}, though the server has: a transaction "
            f"replaced them (by TRUNCATE, ALTER TABLE or another table of that name) and had not ended when "
            f"{self._program} began. Run it again, at a time when no job does this"
        )

    def _emptied(self, files: Mapping[Table, str]) -> list[str]:
        """Those of some tables that are empty in a dump, and whose rows are in another file now."""
        if not files:
            return []
        if database := _database(self.job):
            return [thing_name("table", table[0], table[1], "") for table in self._replaced(database, files, own=False)]
        found = []
        for name in dict.fromkeys(table[0] for table in files):
            noted = {table[1:]: file for table, file in files.items() if table[0] == name}
            # Hours may lie between the question and the dump of this database, with time for one who empties a table,
            # and for another one who fills it.
            found += [thing_name("table", table[0], table[1], name) for table in self._replaced(name, noted, own=True)]
        return found

    def _replaced(self, database: str, noted: Mapping[Table, str], *, own: bool) -> list[Table]:
        files = self._files(database)
        changed = [table for table in noted if table in files and str(files[table]) != noted[table]][:_MOST_REPLACED]
        if not changed:
            return []
        answer = self._run(psql_command(self.job, database, which_have_rows(changed, files, own=own)))
        return [changed[int(place)] for place in answer.split("\0") if place]

    def _files(self, database: str) -> dict[Table, TableFile]:
        return read_files(self._run(psql_command(self.job, database, FILES)))

    def _noted_files(self, database: str) -> dict[Table, str]:
        return {table: str(file) for table, file in self._files(database).items()}

    @property
    def _program(self) -> str:
        return "pg_dump" if _database(self.job) else "pg_dumpall"

    def _look_at_all(self) -> ServerReport:
        words = self.job.settings.postgresql_options
        patterns = POSTGRESQL_RULES.values_of(words, "--exclude-database")
        first = next(iter(POSTGRESQL_RULES.values_of(words, "--database", "-l")), "postgres")
        states = [
            (state, name)
            for state, name in read_databases(self._run(psql_command(self.job, first, DATABASES)))
            if not excluded(name, patterns)
        ]
        if closed := [name for state, name in states if state == "closed"]:
            raise SourceError(
                f"nobody may connect to the database {closed[0]}, and pg_dumpall would leave it out "
                f'without a word. Run: ALTER DATABASE "{closed[0]}" ALLOW_CONNECTIONS true; or leave it out with '
                "PostgreSQLOptions --exclude-database=PATTERN"
            )
        found = [name for state, name in states if state == "open"]
        plain = [name for name in found if name.isprintable()]
        contents = [self._contents(name, of_all=True) for name in found]
        named = [each for each in contents if each.database in plain]
        broken = tuple(
            f"{database_name(name)} is what an interrupted DROP DATABASE left, and is not dumped: drop it"
            for state, name in states
            if state == "broken"
        )
        return ServerReport(
            self.guess(),
            is_empty=all(each.is_empty for each in contents),
            names=frozenset(map(database_name, plain)).union(*(each.names() for each in named)),
            counts={what: count for each in named for what, count in each.counts().items()},
            remarks=(*broken, *dict.fromkeys(remark for each in contents for remark in each.remarks())),
            files={(name, *table): file for name in plain for table, file in self._noted_files(name).items()},
        )

    def _contents(self, database: str, *, of_all: bool = False) -> DatabaseContents:
        version = self._run(psql_command(self.job, database, "SHOW server_version_num")).strip("\0")
        try:
            things = read_things(self._run(psql_command(self.job, database, questions(int(version)))))
        except ValueError as error:
            raise SourceError(f"the server cannot be asked: {error}") from error
        contents = DatabaseContents(things, self.job.settings.postgresql_options, database if of_all else "")
        if hidden := contents.hidden():
            raise SourceError(
                f"only a superuser may see {hidden[0]}, and the dump would lack that without a word. Dump it as one, "
                f"such as PostgreSQL postgres@{ALL if of_all else database}"
                f"{_OR_WITHOUT * hidden[0].startswith('the subscription')}"
            )
        return contents

    def _run(self, command: Sequence[str]) -> str:
        patience = self.job.settings.stall_timeout
        try:
            return answer_of(command, family=Family.POSTGRESQL, timeout=min(patience or _PATIENCE, _PATIENCE))
        except SourceError as error:
            raise SourceError(*error.under("the server cannot be asked")) from error


def _database(job: Job) -> str:
    """Empty for all."""
    name = job.target.rpartition("@")[2]
    return "" if name == ALL else name


def _user(job: Job) -> tuple[str, ...]:
    user = job.target.rpartition("@")[0]
    return (f"--username={user}",) if user else ()
