"""MySQL and MariaDB databases, by the dump program that belongs to the server."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import field

from s3napback.config.mysql_options import CONNECTION, FIRST, MYSQL_RULES, spoilt_by
from s3napback.config.settings import Job
from s3napback.environment import Family
from s3napback.errors import SourceError
from s3napback.records import dataclass
from s3napback.sources.dump_command import DumpCommandSource, Inventory, ServerReport, Table, in_short
from s3napback.sources.mysql_answers import (
    ROWS_HELD,
    SYSTEM,
    Answer,
    ServerObject,
    question_after,
    question_for_numbers,
    questions,
    read_answer,
)
from s3napback.sources.mysql_inventory import EVENTS, ROUTINES, TRIGGERS, MySQLInventory, table_name
from s3napback.sources.mysql_rights import missing_rights
from s3napback.sources.mysql_swaps import exchanged, moved, noted
from s3napback.sources.programs import answer_of, find_program

ALL = "all"
"""The target that stands for every database of the server."""

_DUMPERS = ("mariadb-dump", "mysqldump")
_CLIENTS = ("mariadb", "mysql")
_PACKAGE = "mariadb-client"

_DUMP_OPTIONS = (
    # Older programs default to three bytes a character, and lose the others.
    "--default-character-set=utf8mb4",
    # The program's own default, and Debian's configuration of it, refuse rows that the server holds.
    "--max-allowed-packet=1G",
    "--opt",
    # Between LOCK and UNLOCK a table that takes its values from a sequence cannot be loaded (MariaDB, error 1100).
    "--skip-add-locks",
    "--single-transaction",
    "--routines",
    "--events",
    "--triggers",
    # What follows is the default, and an option file may say otherwise.
    "--comments",
    "--quote-names",
    "--tz-utc",
)

_CLIENT_OPTIONS = (
    "--default-character-set=utf8mb4",
    "--batch",
    "--skip-column-names",
    "--skip-auto-rehash",
    "--skip-xml",
    "--skip-html",
    "--skip-raw",
    "--skip-vertical",
    "--skip-auto-vertical-output",
    "--skip-table",
    "--skip-safe-updates",
    "--connect-timeout=60",
)

_PATIENCE = 600.0  # seconds that the server may take for an answer, if StallTimeout is not less


def mysqldump_command(program: str, job: Job, *more: str) -> tuple[str, ...]:
    """The argument list that writes one database, without its CREATE DATABASE, or all of them to standard output.

    Args:
        program: ``mariadb-dump`` or ``mysqldump``.
        job: its target is ``NAME``, ``all``, ``SOCKET:NAME`` or ``SOCKET:all``; MySQLOptions are used.
        more: further options.
    """
    first, others = _options(job)
    what = ["--all-databases"] if _database(job) == "" else ["--", _database(job)]
    return (program, *first, *_DUMP_OPTIONS, *more, *_socket(job), *others, *what)


def client_command(program: str, job: Job, statements: str) -> tuple[str, ...]:
    """The argument list that asks the server which the dump would be of.

    Args:
        program: ``mariadb`` or ``mysql``.
        statements: SQL; the database is the current one.
    """
    first, others = _options(job)
    connection = MYSQL_RULES.chosen(others, CONNECTION)
    database = [f"--database={_database(job)}"] if _database(job) else []
    return (program, *first, *_CLIENT_OPTIONS, *_socket(job), *connection, *database, f"--execute={statements}")


def mysql_source(job: Job) -> DumpCommandSource:
    """The source that a MySQL job describes."""
    return DumpCommandSource(job, MySQLServer(job), Family.MYSQL)


@dataclass(frozen=True)
class MySQLServer:
    """See ``Server``.

    Attributes:
        job: the configured source.
    """

    job: Job
    _numbers: list[Answer] = field(default_factory=list, init=False, repr=False, compare=False)

    def look(self) -> ServerReport:
        """See ``Server``."""
        # Whoever has no client has no dump program either, as a rule, and this is the one to speak of.
        find_program(_DUMPERS, _PACKAGE)
        answer = self._ask(questions(of_all=not _database(self.job)))
        program = self._program(answer)
        self._check_option_files(program)
        database = _database(self.job)
        self._require_all(answer)
        tables = [row for row in answer.of("table") if self._is_wanted(row, row.name)]
        triggers = [row for row in answer.of("trigger") if self._is_wanted(row, row.more)]
        routines, events = ([row for row in answer.of(kind) if self._is_wanted(row)] for kind in ("routine", "event"))
        self._require_text(answer)
        if answer.is_mariadb and not self._numbers:
            self._numbers.extend(self._ask_for_numbers())
        options, remarks = self._history(program, tables, answer.of("by transaction"))
        if database and not answer.is_mariadb:
            # Those of the whole server would keep one database from being loaded beside others.
            options += ("--set-gtid-purged=OFF",)
        return ServerReport(
            mysqldump_command(program, self.job, *options),
            is_empty=not answer.of("table"),
            # Other names have another form within a remark of the dump.
            names=frozenset(table_name(row.database, row.name) for row in tables if row.name.isprintable()),
            counts={
                ROUTINES: len(routines),
                TRIGGERS: len(triggers),
                EVENTS: len(events),
            },
            remarks=(*remarks, *self._reduced(answer, tables)),
            preamble=b"".join(map(_preamble, answer.of("database"))) if database else b"",
            files=noted(answer),
        )

    def _require_all(self, answer: Answer) -> None:
        """Look whether the server shows everything to the user of the dump."""
        if rights := missing_rights(answer.grants, _database(self.job), is_mariadb=answer.is_mariadb):
            raise SourceError(
                f"its user may not see everything, and what is hidden would be missing from "
                f"the dump without a word. Run: {rights}"
            )
        if answer.is_cut:
            raise SourceError(
                f"the server's sql_select_limit is {answer.most_rows}, and all further rows of each table would be "
                "missing from the dump without a word. Take it out of the server's option files and its init_connect, "
                "and out of init-command in the option files of its clients, and run: "
                "set global sql_select_limit = 18446744073709551615"
            )

    def _reduced(self, answer: Answer, tables: Sequence[ServerObject]) -> Iterator[str]:
        """What is to be said of rows that a dump does not hold as they are."""
        words = self.job.settings.mysql_options
        left_out = MYSQL_RULES.values_of(words, "--ignore-table-data")
        kept = {
            (row.database, row.name)
            for row in tables
            if row.more in ROWS_HELD and f"{row.database or _database(self.job)}.{row.name}" not in left_out
        }
        if not MYSQL_RULES.chosen(words, frozenset({"--skip-no-data-med"})):
            for row in answer.of("engine"):
                if (row.database, row.name) in kept:
                    yield (
                        f"the rows of the table {table_name(row.database, row.name)} are not in the dump, since its "
                        f"engine, {row.more}, has them from elsewhere; MySQLOptions --skip-no-data-med takes them"
                    )
        for row in answer.of("stray view"):
            yield (
                f"the view {table_name(row.database, row.name)} is not in the dump, since that database is the "
                "server's own: move it to another"
            )
        if floats := [row for row in answer.of("float") if (row.database, row.name) in kept]:
            yield (
                f"of FLOAT columns the dump holds six digits, as the server shows them, and may lose the last ones: "
                f"{_columns(floats)}. DOUBLE, to which ALTER TABLE can change them, loses none"
            )
        legacy = [row for row in answer.of("legacy") if (row.database, row.name) in kept]
        if legacy and not self._is_of_bytes:
            yield (
                "of text in the character sets sjis and ujis the dump may lose characters that are in no other, as "
                f"circled digits: {_columns(legacy)}. MySQLOptions --default-character-set=binary keeps them"
            )

    @property
    def _is_of_bytes(self) -> bool:
        """Whether the dump is to hold text as the bytes that the server has."""
        words = self.job.settings.mysql_options
        return MYSQL_RULES.values_of(words, "--default-character-set")[-1:] == ["binary"]

    def _require_text(self, answer: Answer) -> None:
        """Look whether what is no text comes back from a dump of bytes."""
        lost = [row for row in answer.of("unlike bytes") if self._is_wanted(row, row.name)]
        if lost and self._is_of_bytes:
            raise SourceError(
                "MySQLOptions --default-character-set=binary would lose values of UUID and INET columns, and words of "
                f"definitions in other character sets: {_columns(lost)}. Leave it out"
            )

    def guess(self) -> tuple[str, ...]:
        """See ``Server``."""
        return mysqldump_command(next(filter(shutil.which, _DUMPERS), _DUMPERS[0]), self.job)

    def inventory(self) -> Inventory:
        """See ``Server``."""
        return MySQLInventory()

    def replaced(self, files: Mapping[Table, str], found: Inventory) -> str:
        """See ``Server``. The server itself ends most of such dumps: "Table definition has changed"."""
        if not found.turns:
            return ""
        asked = time.time()
        closed = [table for table, since in files.items() if not since]
        after = self._ask(question_after(closed, of_all=not _database(self.job)))
        names = [".".join(table) for table in exchanged(files, after, asked, found.turns)]
        if not names:
            return self._moved(found)
        return (
            f"the dump of {self.job.source} may hold other rows of {in_short(names)} than were there: it was renamed, "
            "or defined anew (RENAME TABLE, ALTER TABLE), after the dump had begun and before it came to that. Run it "
            "again, at a time when no job does this"
        )

    def _moved(self, found: Inventory) -> str:
        """What is to be said of rows that are under another name now, as far as the user of the dump may see it."""
        both = [(before, after) for before in self._numbers for after in self._ask_for_numbers()]
        tables = [table for before, after in both for table in moved(before, after, found.turns, _database(self.job))]
        names = [".".join(each) for each in tables if self._is_wanted_table(each)]
        if not names:
            return ""
        return (
            f"the dump of {self.job.source} may lack rows of {in_short(sorted(set(names)))}: while it was made, that "
            "was renamed, or a part of it exchanged for a table (RENAME TABLE, EXCHANGE PARTITION). Run it again, at a "
            "time when no job does this"
        )

    def _ask_for_numbers(self) -> Sequence[Answer]:
        """What is known of them; nothing where the user may not see it."""
        with suppress(SourceError):
            return [self._ask(question_for_numbers())]
        return []

    def _is_wanted_table(self, table: Table) -> bool:
        left_out = MYSQL_RULES.values_of(self.job.settings.mysql_options, "--ignore-table", "--ignore-table-data")
        databases = MYSQL_RULES.values_of(self.job.settings.mysql_options, "--ignore-database")
        full = table if len(table) > 1 else (_database(self.job), *table)
        return ".".join(full) not in left_out and full[0] not in (*databases, *SYSTEM)

    def _ask(self, statements: str) -> Answer:
        client = find_program(_CLIENTS, _PACKAGE)
        command = client_command(client, self.job, statements)
        try:
            return read_answer(self._run(command))
        except SourceError as error:
            hint = f"  {client} gets in by what option files say below [client], and does not see [mysqldump]"
            more = (hint,) if "(using password" in str(error) else ()
            raise SourceError(*error.under("the server cannot be asked"), *more) from error
        except ValueError as error:
            raise SourceError(
                f"{error}, which is no answer. Look at [mysql] and [mariadb-client] in option files"
            ) from error

    def _run(self, command: Sequence[str]) -> str:
        patience = self.job.settings.stall_timeout
        return answer_of(command, family=Family.MYSQL, timeout=min(patience or _PATIENCE, _PATIENCE))

    def _program(self, answer: Answer) -> str:
        """The dump program of the server's own making: the other one's dumps of it cannot all be loaded."""
        installed = list(filter(shutil.which, _DUMPERS))
        for name in installed:
            if ("mariadb" in self._run((name, "--no-defaults", "--version")).lower()) == answer.is_mariadb:
                return name
        advice = (
            f"MySQL's, which leaves things out. Install mariadb-dump (Debian's package is {_PACKAGE})"
            if answer.is_mariadb
            else "MariaDB's, whose dumps of MySQL cannot all be loaded. Install MySQL's own mysqldump (its package is "
            "called mysql-client-core, mysql-client or mysql-community-client)"
        )
        server = f"MariaDB {answer.version}" if answer.is_mariadb else f"MySQL itself, {answer.version}"
        raise SourceError(f"the server is {server}, and {installed[0]} is {advice}")

    def _check_option_files(self, program: str) -> None:
        first, _ = _options(self.job)
        if "--no-defaults" in first:
            return
        # The second line has all settings, one behind the other.
        words = self._run((program, *first, "--print-defaults")).partition("\n")[2].split()
        if problems := spoilt_by(words):
            raise SourceError(
                f"option files have settings that would spoil the dump; take them out of [client] "
                f"and [mysqldump] (see {program} --print-defaults):",
                *(f"  {name}: {reason}" for name, reason in problems),
            )

    def _is_wanted(self, row: ServerObject, table: str = "") -> bool:
        """Whether something of a database, or of a table, is not left out by MySQLOptions."""
        words = self.job.settings.mysql_options
        database = row.database or _database(self.job)
        return f"{database}.{table}" not in MYSQL_RULES.values_of(words, "--ignore-table") and (
            database not in MYSQL_RULES.values_of(words, "--ignore-database")
        )

    def _history(
        self, program: str, tables: Sequence[ServerObject], by_transaction: Sequence[ServerObject]
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The option by which former rows of system-versioned tables get into the dump, or what is to be said."""
        versioned = [table_name(row.database, row.name) for row in tables if row.more == "SYSTEM VERSIONED"]
        if not versioned:
            return (), ()
        # The program ends at the first of these with the option, and writes what they hold now without it.
        if undumped := [row for row in by_transaction if self._is_wanted(row, row.name)]:
            first = f"{undumped[0].database or _database(self.job)}.{undumped[0].name}"
            remark = (
                f"the former rows of the system-versioned table {first}, and with them those of all others, are not in "
                f"the dump: it keeps them by transaction, and {program} cannot write such. Without this table "
                f"(MySQLOptions --ignore-table={first}) those of the others are"
            )
            return (), (remark,)
        if "--dump-history" in self._run((program, "--no-defaults", "--help")):
            return ("--dump-history",), ()
        return (), (
            f"the former rows of the system-versioned table {versioned[0]} are not in the dump: {program} is too old",
        )


def _database(job: Job) -> str:
    """Empty for all."""
    name = job.target.rpartition(":")[2]
    return "" if name == ALL else name


def _socket(job: Job) -> tuple[str, ...]:
    socket = job.target.rpartition(":")[0]
    # A host named in .my.cnf would else be asked, and the socket be ignored.
    return ("--protocol=socket", "--host=localhost", f"--socket={socket}") if socket else ()


def _options(job: Job) -> tuple[list[str], list[str]]:
    """MySQLOptions: those that come first, and the others."""
    words = job.settings.mysql_options
    return [word for word in words if _comes_first(word)], [word for word in words if not _comes_first(word)]


def _comes_first(option: str) -> bool:
    return option.partition("=")[0] in FIRST


def _columns(rows: Sequence[ServerObject]) -> str:
    """The first of some columns, and how many more there are."""
    more = f" and {len(rows) - 1} more" if len(rows) > 1 else ""
    return f"{table_name(rows[0].database, rows[0].name)}.{rows[0].more}{more}"


def _preamble(database: ServerObject) -> bytes:
    """A database's own settings, for whatever name it is loaded under; the dump of one database leaves them out."""
    if not re.fullmatch(r"\w+", database.more, re.ASCII) or not re.fullmatch(r"\w+", database.collation, re.ASCII):
        return b""
    return f"ALTER DATABASE CHARACTER SET {database.more} COLLATE {database.collation};\n".encode()
