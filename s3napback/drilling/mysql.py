"""A throwaway server of MySQL or MariaDB, of the kind that a dump was made of."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import field

from s3napback.drilling.complaints import in_short
from s3napback.drilling.dumps import Loaded
from s3napback.drilling.mysql_words import MySQLWords
from s3napback.drilling.scratch import Scratch
from s3napback.drilling.throwaway import NotTried, Server, TrialTools, find_server, running
from s3napback.errors import PipelineError
from s3napback.formatting import printable
from s3napback.records import dataclass
from s3napback.regexes import regex
from s3napback.sources.dump_command import Inventory, Table
from s3napback.sources.mysql_answers import ROWS_HELD, SHOW_GRANTS, SYSTEM, questions, read_answer
from s3napback.sources.mysql_inventory import EVENTS, ROUTINES, TRIGGERS, MySQLInventory, table_name
from s3napback.streams.receiving import Receiver, ReceiverFailed

_VERSION = regex(rb"\n-- Server version\t(?P<version>(?P<major>\d+)\.(?P<minor>\d+)[^\n]*)\n")
_OWN = regex(r"(\d+)\.(\d+)\.\d+")

_MARIADB, _ORACLE = "MariaDB", "MySQL by Oracle"
_FIRST_APART = 8
_DATA, _SOCKET = "data", "socket"

_SERVER_OPTIONS = (
    "--skip-networking",
    "--skip-log-bin",
    "--event-scheduler=OFF",
    "--local-infile=OFF",
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-doublewrite=OFF",
    "--max-allowed-packet=1G",
    "--character-set-server=utf8mb4",
)

_DEFINERS = (
    ("view", "VIEWS", "TABLE_SCHEMA"),
    ("trigger", "TRIGGERS", "TRIGGER_SCHEMA"),
    ("routine", "ROUTINES", "ROUTINE_SCHEMA"),
    ("event", "EVENTS", "EVENT_SCHEMA"),
)


_MISSING = """SELECT definer, GROUP_CONCAT(kind) FROM ({}) AS x WHERE definer <> ''
AND CAST(definer AS BINARY) NOT IN (SELECT CAST(CONCAT(User, '@', Host) AS BINARY) FROM mysql.user)
AND CAST(definer AS BINARY) NOT IN (SELECT CAST(User AS BINARY) FROM mysql.user WHERE Host = '')
GROUP BY definer;"""


_ELSEWHERE = """SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES
WHERE ENGINE IN ('MRG_MyISAM', 'MRG_ISAM', 'FEDERATED', 'CONNECT', 'OQGRAPH', 'SPIDER', 'VP');"""
"""Tables that show rows of others, which dump programs leave out: ``check_if_ignore_table`` of ``mysqldump.cc``."""


@dataclass
class _Run:
    """A server that can be begun anew with more options. A context manager.

    Attributes:
        tools: where.
        command: the server's.
        ping: succeeds as soon as it answers.
        options: of the one that runs, besides.
    """

    tools: TrialTools
    command: tuple[str, ...]
    ping: tuple[str, ...]
    options: list[str] = field(default_factory=list)
    _stack: ExitStack = field(default_factory=ExitStack)
    _servers: list[Server] = field(default_factory=list)

    @property
    def server(self) -> Server:
        """The one that runs, or did last."""
        return self._servers[-1]

    def __enter__(self) -> _Run:
        self.begin_anew()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def begin_anew(self, *options: str) -> None:
        """End the server, and start it again with the same data."""
        self._stack.close()
        self.options[:] = options
        self._servers.append(self._stack.enter_context(running(self.tools, (*self.command, *options), self.ping)))


@dataclass(frozen=True)
class MySQLTrial:
    """See ``Trial``.

    Attributes:
        scratch: where.
        database: that the dump is of; empty for those of all.
    """

    scratch: Scratch
    database: str
    _clients: list[str] = field(default_factory=list)
    _words: MySQLWords = field(default_factory=MySQLWords)
    _runs: list[_Run] = field(default_factory=list)
    _remarks: list[str] = field(default_factory=list)

    def knows(self, head: bytes) -> bool:
        """See ``Trial``."""
        return _VERSION.search(head) is not None

    def inventory(self) -> Inventory:
        """See ``Trial``."""
        return MySQLInventory()

    @property
    def _tools(self) -> TrialTools:
        return TrialTools(self.scratch)

    @contextmanager
    def serve(self, head: bytes) -> Iterator[Receiver]:
        """See ``Trial``."""
        made_by = _VERSION.search(head)
        is_mariadb = b"MariaDB" in made_by["version"] if made_by else head.startswith(b"-- MariaDB")
        data, socket = self.scratch.path / _DATA, self.scratch.socket(_SOCKET)
        where = (f"--database={self.database}",) if self.database else ()
        with ExitStack() as stack:
            try:
                server = self._server(made_by, is_mariadb=is_mariadb)
                is_mariadb = self._clients[0] == "mariadb"
                self._tools.answer(*_installation(server, str(data), is_mariadb=is_mariadb))
                more = () if is_mariadb else ("--mysqlx=OFF",)
                command = (server, "--no-defaults", f"--datadir={data}", f"--socket={socket}", *_SERVER_OPTIONS, *more)
                command += (f"--pid-file={self.scratch.path / 'pid'}", f"--tmpdir={self.scratch.path}")
                self._runs.append(stack.enter_context(_Run(self._tools, command, self._client("--execute=SELECT 1"))))
                if self.database:
                    self._ask(f"CREATE DATABASE {_quoted(self.database)} CHARACTER SET utf8mb4;")
            except PipelineError as error:
                raise NotTried(*error.under("a server for the proof cannot be set up")) from error
            # It also takes away the client's own commands, by which a dump could run programs.
            load = self._client("--binary-mode", "--show-warnings", *where)
            yield stack.enter_context(Receiver(self._tools.stage(*load, review=self._words)))

    def _server(self, made_by: re.Match[bytes] | None, *, is_mariadb: bool) -> str:
        names = ("mariadbd", "mysqld") if is_mariadb else ("mysqld",)
        package = "mariadb-server" if is_mariadb else "MySQL's own server"
        server = find_server(names, f"install {package}")
        said = self._tools.answer(server, "--no-defaults", "--version")
        is_substitute = not is_mariadb and "mariadb" in said.lower() and _is_old(made_by)
        self._clients[:] = ["mariadb" if is_mariadb or is_substitute else "mysql"]
        if is_substitute:
            self._remarks.append(f"was loaded into MariaDB, since {_ORACLE} is not here")
            return server
        if ("mariadb" in said.lower()) != is_mariadb:
            raise NotTried(f"{server} is {said.strip()}, and the dump is of {_MARIADB if is_mariadb else _ORACLE}")
        own = _OWN.search(said)
        if own and made_by and (int(own[1]), int(own[2])) < (int(made_by["major"]), int(made_by["minor"])):
            raise NotTried(
                f"the dump is of the server {made_by['version'].decode(errors='replace')}, and {server} is older: "
                f"{said.strip()}"
            )
        return server

    def _client(self, *more: str) -> tuple[str, ...]:
        connection = (f"--socket={self.scratch.socket(_SOCKET)}", "--user=root", "--protocol=socket")
        text = ("--default-character-set=utf8mb4", "--max-allowed-packet=1G", "--batch", "--skip-column-names")
        return (self._clients[0], "--no-defaults", *connection, *text, *more)

    def _ask(self, statements: str, *more: str) -> str:
        return self._tools.answer(*self._client(*more), text=statements)

    def obstacle(self, failure: ReceiverFailed | None) -> Sequence[str]:
        """See ``Trial``."""
        found = self._runs[-1].server.obstacle(self._words, self._clients[0]) if self._runs else ()
        if not found and failure and self._remarks:
            said = in_short(self._words.flaws or failure.lines)
            return (f"the dump is of {_ORACLE}, which is not here, and MariaDB does not take it:", *said)
        return found or (failure.lines if failure and failure.was_killed else ())

    def flaws(self) -> Sequence[str]:
        """See ``Trial``."""
        return self._words.flaws

    def loaded(self, inventory: Inventory) -> Loaded:
        """See ``Trial``."""
        where = (f"--database={self.database}",) if self.database else ()
        self._require_entry()
        # Without tables of accounts in force there are no rights to be shown.
        asked = questions(of_all=not self.database).removesuffix(SHOW_GRANTS)
        answer = read_answer(self._ask(asked, *where))
        tables = answer.of("table")
        names = frozenset(table_name(row.database, row.name) for row in tables)
        # What belongs to the server itself differs from version to version.
        own = {name for name in inventory.names if not self.database and name.startswith(_OF_SYSTEM)}
        kinds = ((ROUTINES, "routine"), (TRIGGERS, "trigger"), (EVENTS, "event"))
        elsewhere = set(self._ask(_ELSEWHERE).splitlines())
        counted = [
            ((row.database, row.name) if row.database else (row.name,), row.more == "SYSTEM VERSIONED")
            for row in tables
            if row.more in ROWS_HELD
            and row.name.isprintable()
            and f"{row.database or self.database}\t{row.name}" not in elsewhere
        ]
        missing = [
            f"the account {printable(name)}, which defined a {kinds.split(',')[0]}"
            for name, kinds in self._missing_definers(where)
        ]
        return Loaded(
            names | own,
            {what: len(answer.of(kind)) for what, kind in kinds} | self._hidden(),
            self._rows(counted, where),
            flaws=[
                *(f"{self._clients[0]} said: {each}" for each in self._words.flaws),
                *(f"{each}, is not in it" for each in missing if not self.database),
            ],
            needs=[*self._words.lacks, *(missing if self.database else [])],
            remarks=self._remarks,
        )

    def _require_entry(self) -> None:
        """Look whether we still get in: a dump of all may have brought its own accounts and passwords into force."""
        try:
            self._ask("SELECT 1;")
        except PipelineError:
            if self.database or self._runs[-1].server.process.has_ended:
                raise
            self._runs[-1].begin_anew(_WITHOUT_RIGHTS)

    def _hidden(self) -> dict[str, int]:
        """What MariaDB shows of events only while rights are in force: see ``_require_entry``."""
        is_open = _WITHOUT_RIGHTS in self._runs[-1].options and self._clients[0] == "mariadb"
        return {EVENTS: int(self._ask("SELECT COUNT(*) FROM mysql.event;"))} if is_open else {}

    def _rows(self, tables: Sequence[tuple[Table, bool]], where: Sequence[str]) -> dict[Table, int]:
        statements = (
            f"SELECT COUNT(*) FROM {'.'.join(map(_quoted, table))}{' FOR SYSTEM_TIME ALL' * versioned};\n"  # noqa: S608 - a name can be no parameter
            for table, versioned in tables
        )
        numbers = self._ask("".join(statements), *where).split()
        return {table: int(number) for (table, _), number in zip(tables, numbers, strict=True)}

    def _missing_definers(self, where: Sequence[str]) -> list[tuple[str, str]]:
        """Accounts with whose rights something runs, and which are not there; with what it is."""
        schema = "= DATABASE()" if self.database else f"NOT IN ({', '.join(map(repr, SYSTEM))})"
        union = " UNION ".join(
            f"SELECT '{kind}' AS kind, DEFINER AS definer FROM information_schema.{table} WHERE {column} {schema}"  # noqa: S608
            for kind, table, column in _DEFINERS
        )
        text = self._ask(_MISSING.format(union), *where)
        return [(name, kinds) for name, _, kinds in (line.partition("\t") for line in text.splitlines())]


_WITHOUT_RIGHTS = "--skip-grant-tables"
_OF_SYSTEM = tuple(f"{name}." for name in SYSTEM)


def _installation(server: str, data: str, *, is_mariadb: bool) -> tuple[str, ...]:
    if not is_mariadb:
        return (server, "--no-defaults", "--initialize-insecure", f"--datadir={data}")
    program = find_server(("mariadb-install-db", "mysql_install_db"), "install mariadb-server")
    return (
        *(program, "--no-defaults", f"--datadir={data}", "--skip-test-db"),
        "--auth-root-authentication-method=normal",
    )


def _is_old(made_by: re.Match[bytes] | None) -> bool:
    """Whether a dump is of a version of MySQL in whose place MariaDB can be put, as its makers say: before 8."""
    return made_by is not None and int(made_by["major"]) < _FIRST_APART


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"
