"""What a server of MySQL or MariaDB is asked, and what its client prints of the answer. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from s3napback.records import dataclass
from s3napback.regexes import regex

SYSTEM = ("information_schema", "performance_schema", "mysql", "sys")
"""Databases that a server makes by itself. A cluster of MySQL makes ``ndbinfo`` as well, which else is anybody's."""

ROWS_HELD = ("BASE TABLE", "SYSTEM VERSIONED")
"""Types of tables that have rows of their own."""

_TAG = "s3napback"
SHOW_GRANTS = "; SHOW GRANTS"
"""The last of the questions."""

_ESCAPED = regex(r"\\(.)", re.DOTALL)
_MEANINGS = {"n": "\n", "t": "\t", "0": "\0"}

_ALL_ROWS = 2**64 - 1
"""The default of ``sql_select_limit``."""

_ELSEWHERE = " AND ENGINE IN ('FEDERATED', 'CONNECT', 'OQGRAPH', 'SPIDER', 'VP')"
"""Tables whose rows dumps leave out: ``check_if_ignore_table`` of ``mysqldump.cc``. A MERGE's are its tables'."""

_NOT_LOCAL = (
    " AND ENGINE NOT IN ('InnoDB', 'MyISAM', 'Aria', 'MEMORY', 'CSV', 'ARCHIVE', 'BLACKHOLE', 'MRG_MyISAM', 'SEQUENCE')"
)
"""Tables that must not be opened for a question about another: that may take a connection to a server that is away."""

_SHORTENED = " AND DATA_TYPE = 'float' AND COLUMN_TYPE NOT LIKE 'float(%' AND EXTRA NOT LIKE '%GENERATED%'"
"""Columns of which a server shows six digits (``FLT_DIG``), where what it holds may have nine."""

_LEGACY = " AND CHARACTER_SET_NAME IN ('sjis', 'ujis')"
"""Columns whose text may have characters for which the server knows no place in Unicode, such as a circled 1."""

_UNLIKE_BYTES = (
    " AND (DATA_TYPE IN ('uuid', 'inet4', 'inet6')"
    " OR (CHARACTER_SET_NAME NOT LIKE 'utf8%' AND CONCAT(COLUMN_TYPE, COALESCE(COLUMN_DEFAULT, ''))"
    " <> CONVERT(CONCAT(COLUMN_TYPE, COALESCE(COLUMN_DEFAULT, '')) USING ascii))"
    " OR (CHARACTER_SET_NAME IN ('ucs2', 'utf16', 'utf16le', 'utf32')"
    " AND (DATA_TYPE IN ('enum', 'set') OR COLUMN_DEFAULT NOT LIKE 'NUL_')))"
)
"""Columns that do not come back, or not with their default, from a dump whose text is bytes."""

_BY_TRANSACTION = (
    " AND (FALSE /*M!100300 OR (DATA_TYPE = 'bigint' AND GENERATION_EXPRESSION = 'ROW START') */)"  # of MariaDB alone
)
"""Columns of system-versioned tables whose former rows are known by transactions in the place of times."""

_MADE = (
    " AND ENGINE = 'InnoDB'"
    # New partitions and old ones that go change a table, too, and not what the dump has of the others.
    " AND CREATE_OPTIONS NOT LIKE '%partitioned%'"
)
"""Tables of which a dump shows one moment, whatever is done to them."""

_PARTED = " AND ENGINE = 'InnoDB' AND CREATE_OPTIONS LIKE '%partitioned%' AND VERSION() LIKE '%MariaDB%'"
"""Tables of which MariaDB, alone, makes a part a table of its own."""

_CHARACTERS = "DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME"

_STRAY = (
    "SELECT 'table', TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE FROM information_schema.TABLES "
    "WHERE TABLE_SCHEMA = 'sys' AND TABLE_TYPE NOT LIKE '%VIEW' AND TABLE_NAME <> 'sys_config'"
)
"""Tables that somebody has put into ``sys``, which no dump of all databases holds."""

_STRAY_VIEWS = (
    "SELECT 'stray view', TABLE_SCHEMA, TABLE_NAME, '' FROM information_schema.VIEWS "
    "WHERE TABLE_SCHEMA = 'sys' AND DEFINER NOT LIKE '%.sys@localhost'"
)
"""Views there that may be somebody's; older versions of the server have made its own under another name."""


class ServerObject(NamedTuple):
    """One thing that the server has.

    Attributes:
        kind: ``table``, ``routine``, ``trigger``, ``event``, ``database``, ``made``, ``parted``, ``number``,
            ``engine``, ``unknown``, ``float``, ``legacy``, ``unlike bytes``, ``by transaction`` or ``stray view``.
        database: empty where only one is asked about.
        name: its own; of the last seven, its table's.
        more: a table's type, a trigger's table, a database's character set, an engine, a column; when a table was
            made; a number.
        collation: a database's; of what was made, the time by the server's clock; of a number, 1 if it is a part's.
    """

    kind: str
    database: str
    name: str
    more: str = ""
    collation: str = ""


@dataclass(frozen=True)
class Answer:
    """What a server said.

    Attributes:
        version: as it calls it.
        rows: all that the user may see.
        grants: the user's.
        most_rows: that a session gets of one table, if it does not say otherwise.
    """

    version: str
    rows: tuple[ServerObject, ...]
    grants: tuple[str, ...]
    most_rows: int = _ALL_ROWS

    def of(self, kind: str) -> list[ServerObject]:
        """All things of one kind."""
        return [row for row in self.rows if row.kind == kind]

    @property
    def is_cut(self) -> bool:
        """Whether a dump would lack rows; where a server counts with 32 bits, the number of all is less."""
        return self.most_rows < 2**32 - 1

    @property
    def is_mariadb(self) -> bool:
        """Whose server it is."""
        return "mariadb" in self.version.lower()


def questions(*, of_all: bool) -> str:
    """Statements for the client, which is connected to the database, or to none if ``of_all`` is asked about."""
    statements = (
        *_beginning(),
        _rows("table", "TABLES", "TABLE_NAME", "TABLE_TYPE", "TABLE_SCHEMA", of_all=of_all),
        _rows("routine", "ROUTINES", "ROUTINE_NAME", "ROUTINE_TYPE", "ROUTINE_SCHEMA", of_all=of_all),
        _rows("trigger", "TRIGGERS", "TRIGGER_NAME", "EVENT_OBJECT_TABLE", "TRIGGER_SCHEMA", of_all=of_all),
        _rows("event", "EVENTS", "EVENT_NAME", "''", "EVENT_SCHEMA", of_all=of_all),
        _rows("database", "SCHEMATA", "SCHEMA_NAME", _CHARACTERS, "SCHEMA_NAME", of_all=of_all),
        # Where MariaDB shows the time of the last change, nothing has to be known of before.
        _made("made", of_all=of_all) + " AND VERSION() NOT LIKE '%MariaDB%'",
        _rows("engine", "TABLES", "TABLE_NAME", "ENGINE", "TABLE_SCHEMA", of_all=of_all) + _ELSEWHERE,
        _rows("unknown", "TABLES", "TABLE_NAME", "ENGINE", "TABLE_SCHEMA", of_all=of_all) + _NOT_LOCAL,
        _rows("float", "COLUMNS", "TABLE_NAME", "COLUMN_NAME", "TABLE_SCHEMA", of_all=of_all) + _SHORTENED,
        _rows("legacy", "COLUMNS", "TABLE_NAME", "COLUMN_NAME", "TABLE_SCHEMA", of_all=of_all) + _LEGACY,
        _rows("unlike bytes", "COLUMNS", "TABLE_NAME", "COLUMN_NAME", "TABLE_SCHEMA", of_all=of_all) + _UNLIKE_BYTES,
        _rows("by transaction", "COLUMNS", "TABLE_NAME", "COLUMN_NAME", "TABLE_SCHEMA", of_all=of_all)
        + _BY_TRANSACTION,
        *([_STRAY, _STRAY_VIEWS] if of_all else []),
    )
    return "; ".join(statements) + SHOW_GRANTS


def question_after(closed: Iterable[Sequence[str]], *, of_all: bool) -> str:
    """Statements for the client when the dump is done; see ``questions``.

    Args:
        closed: names of tables that are not to be opened, with that of their database where all are asked about.
    """
    columns = ("TABLE_SCHEMA", "TABLE_NAME") if of_all else ("TABLE_NAME",)
    # What names are compared with decides, before it opens a table, whether the server does.
    others = "".join(
        f" AND NOT ({' AND '.join(f'{column} = {_string(name)}' for column, name in zip(columns, table, strict=True))})"
        for table in closed
    )
    return "; ".join((*_beginning(), *(_made(kind, of_all=of_all) + others for kind in ("made", "parted"))))


def question_for_numbers() -> str:
    """Statements for the client of MariaDB: the number of each table, and part of one, which it keeps under any name.

    It takes the right ``PROCESS``.
    """
    decoded = "CONVERT(CAST(SUBSTRING_INDEX({}, '#', 1) AS BINARY) USING filename)"
    names = (decoded.format(f"SUBSTRING_INDEX(NAME, '/', {place})") for place in (1, -1))
    numbers = f"SELECT 'number', {', '.join(names)}, TABLE_ID, NAME LIKE '%#%' FROM information_schema."  # noqa: S608
    # Temporary ones, and those of full text indexes, which go wherever their tables go.
    where = " WHERE NAME LIKE '%/%' AND NAME NOT LIKE '%/#%' AND NAME NOT LIKE '%/FTS\\_%'"
    return "; ".join((*_beginning(), f"{numbers}INNODB_SYS_TABLES{where}"))


def _beginning() -> tuple[str, ...]:
    return (
        f"SELECT '{_TAG}', VERSION(), @@SESSION.sql_select_limit",
        # Whatever is set there: backquotes around names, and all rows.
        f"SET SESSION sql_mode = '', sql_select_limit = {_ALL_ROWS}, sql_big_selects = 1, time_zone = '+00:00'",
    )


def _made(kind: str, *, of_all: bool) -> str:
    times = "UNIX_TIMESTAMP(CREATE_TIME), UNIX_TIMESTAMP(NOW(6))"
    which = _MADE if kind == "made" else _PARTED
    return _rows(kind, "TABLES", "TABLE_NAME", times, "TABLE_SCHEMA", of_all=of_all) + which


def _rows(kind: str, table: str, name: str, more: str, schema: str, *, of_all: bool) -> str:
    if of_all:
        names = ", ".join(map(repr, SYSTEM))
        where = f"{schema} NOT IN ({names}) AND ({schema} <> 'ndbinfo' OR VERSION() LIKE '%MariaDB%')"
    else:
        # The first lets the server look into this database only; names may differ in nothing but case.
        where = f"{schema} = DATABASE() AND CAST({schema} AS BINARY) = CAST(DATABASE() AS BINARY)"
    columns = ", ".join((f"'{kind}'", schema if of_all else "''", name, more))
    return " ".join(("SELECT", columns, "FROM", f"information_schema.{table}", "WHERE", where))


def _string(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def read_answer(text: str) -> Answer:
    """Read what the client printed with ``--batch --skip-column-names``.

    Raises:
        ValueError: it is no answer to the questions.
    """
    first, *others = text.split("\n")
    tag, _, rest = first.partition("\t")
    version, _, most_rows = rest.partition("\t")
    if tag != _TAG:
        raise ValueError(f"the client printed {first[:40]!r}")
    lines = [line for line in others if line]
    grants = [line for line in lines if line.startswith(("GRANT ", "REVOKE "))]
    rows = [line.split("\t") for line in lines if line.count("\t") >= 3]
    return Answer(
        _unescaped(version),
        tuple(_row(row) for row in rows),
        tuple(map(_unescaped, grants)),
        int(most_rows or _ALL_ROWS),
    )


def _row(values: Sequence[str]) -> ServerObject:
    return ServerObject(*map(_unescaped, values[:5]))


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(lambda found: _MEANINGS.get(found[1], found[1]), text)
