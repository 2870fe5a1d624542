"""A throwaway server of MySQL or MariaDB, of the kind that a dump was made of."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from s3napback.drilling.dumps import Loaded, Table
from s3napback.drilling.scratch import Scratch
from s3napback.drilling.throwaway import NotTried, TrialTools, find_server, running
from s3napback.errors import PipelineError
from s3napback.formatting import printable
from s3napback.sources.dump_command import Inventory
from s3napback.sources.mysql_answers import SYSTEM, questions, read_answer
from s3napback.sources.mysql_inventory import EVENTS, ROUTINES, TRIGGERS, MySQLInventory, table_name
from s3napback.streams.receiving import Receiver

_VERSION = re.compile(rb"\n-- Server version\t(?P<version>(?P<major>\d+)\.(?P<minor>\d+)[^\n]*)\n")
_OWN = re.compile(r"(\d+)\.(\d+)\.\d+")

_MARIADB, _ORACLE = "MariaDB", "MySQL by Oracle"
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
        self._clients[:] = ["mariadb" if is_mariadb else "mysql"]
        server = self._server(made_by, is_mariadb=is_mariadb)
        data, socket = self.scratch.path / _DATA, self.scratch.socket(_SOCKET)
        try:
            self._tools.answer(*_installation(server, str(data), is_mariadb=is_mariadb))
        except PipelineError as error:
            raise NotTried(*error.under("a server for the proof cannot be set up")) from error
        more = () if is_mariadb else ("--mysqlx=OFF",)
        command = (server, "--no-defaults", f"--datadir={data}", f"--socket={socket}", *_SERVER_OPTIONS, *more)
        command += (f"--pid-file={self.scratch.path / 'pid'}", f"--tmpdir={self.scratch.path}")
        with ExitStack() as stack:
            stack.enter_context(running(self._tools, command, self._client("--execute=SELECT 1")))
            if self.database:
                self._ask(f"CREATE DATABASE {_quoted(self.database)} CHARACTER SET utf8mb4;")
            where = (f"--database={self.database}",) if self.database else ()
            # It also takes away the client's own commands, by which a dump could run programs.
            yield stack.enter_context(Receiver(self._tools.stage(*self._client("--binary-mode", *where))))

    def _server(self, made_by: re.Match[bytes] | None, *, is_mariadb: bool) -> str:
        names = ("mariadbd", "mysqld") if is_mariadb else ("mysqld",)
        package = "mariadb-server" if is_mariadb else "MySQL's own server"
        server = find_server(names, f"install {package}")
        said = self._tools.answer(server, "--no-defaults", "--version")
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

    def loaded(self, inventory: Inventory) -> Loaded:
        """See ``Trial``."""
        where = (f"--database={self.database}",) if self.database else ()
        answer = read_answer(self._ask(questions(of_all=not self.database), *where))
        tables = answer.of("table")
        names = frozenset(table_name(row.database, row.name) for row in tables)
        # What belongs to the server itself differs from version to version.
        own = {name for name in inventory.names if not self.database and name.startswith(_OF_SYSTEM)}
        kinds = ((ROUTINES, "routine"), (TRIGGERS, "trigger"), (EVENTS, "event"))
        counted = [
            ((row.database, row.name) if row.database else (row.name,), row.more == "SYSTEM VERSIONED")
            for row in tables
            if row.more in ("BASE TABLE", "SYSTEM VERSIONED") and row.name.isprintable()
        ]
        missing = [
            f"the account {printable(name)}, which defined a {kinds.split(',')[0]}"
            for name, kinds in self._missing_definers(where)
        ]
        return Loaded(
            names | own,
            {what: len(answer.of(kind)) for what, kind in kinds},
            self._rows(counted, where),
            flaws=[] if self.database else [f"{each}, is not in it" for each in missing],
            needs=missing if self.database else [],
        )

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


_OF_SYSTEM = tuple(f"{name}." for name in SYSTEM)


def _installation(server: str, data: str, *, is_mariadb: bool) -> tuple[str, ...]:
    if not is_mariadb:
        return (server, "--no-defaults", "--initialize-insecure", f"--datadir={data}")
    program = find_server(("mariadb-install-db", "mysql_install_db"), "install mariadb-server")
    return (
        *(program, "--no-defaults", f"--datadir={data}", "--skip-test-db"),
        "--auth-root-authentication-method=normal",
    )


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"
