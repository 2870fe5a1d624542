"""How many rows of which table a dump of PostgreSQL holds, counted while it passes."""

from __future__ import annotations

import re
from collections.abc import Iterator

from s3napback.regexes import regex

_LONGEST = 1 << 16  # bytes of what begins a table's rows: it names all columns
_SIGN = regex(
    rb"\n(?:-- Data for Name: (?P<name>[^\n]*); Type: TABLE DATA; Schema: (?P<schema>[^\n]*); Owner: [^\n]*\n--\n\n"
    rb"(?:-- load via partition root [^\n]*\n\n)?"
    rb"(?:COPY [^\n]* FROM stdin;(?=\n)|(?P<statements>INSERT INTO )|(?P<nothing>(?=\n)))"
    rb'|-- Database "(?P<database>[^\n]{0,900})" dump(?=\n))'
)
"""Lines of ``pg_backup_archiver.c``, ``pg_dump.c`` and ``pg_dumpall.c``."""

_END = b"\n\\.\n"


class PostgreSQLRows:
    """Counts the rows of one dump. Those that are written as INSERT statements it does not count.

    Attributes:
        rows: of each table whose rows are in the dump: its schema and name, with its database before them where there
            are several.
        uncounted: tables whose rows are written as INSERT statements.
        bare: tables that would be, if they had any.
    """

    def __init__(self) -> None:
        self.rows: dict[tuple[str, ...], int] = {}
        self.uncounted: set[tuple[str, ...]] = set()
        self.bare: set[tuple[str, ...]] = set()
        self._database: tuple[str, ...] = ()
        self._table: tuple[str, ...] = ()

    def passed(self, blocks: Iterator[memoryview]) -> Iterator[memoryview]:
        """Pass it on."""
        rest = b"\n"
        for block in blocks:
            rest = self._read(rest + bytes(block))
            yield block

    def _read(self, data: bytes) -> bytes:
        """Read on; returns what has to be seen again with what follows."""
        position = 0
        while True:
            if self._table:
                # From the line break before the first row on, or before what is left of one.
                end = data.find(_END, position)
                stop = end if end >= 0 else max(position, len(data) - len(_END) + 1)
                self.rows[self._table] += data.count(b"\n", position, stop)
                if end < 0:
                    return data[stop:]
                self._table, position = (), end + len(_END) - 1
            sign = _SIGN.search(data, position)
            if sign is None:
                return data[max(position, len(data) - _LONGEST) :]
            if sign["database"] is not None:
                self._database = (sign["database"].decode(errors="surrogateescape"),)
            else:
                self._begin(sign)
            position = sign.end()

    def _begin(self, sign: re.Match[bytes]) -> None:
        schema, name = (sign[group].decode(errors="surrogateescape") for group in ("schema", "name"))
        table = (*self._database, schema, name)
        if sign["statements"] is not None:
            self.uncounted.add(table)
        elif sign["nothing"] is not None:
            self.bare.add(table)
        else:
            self._table = table
            self.rows[table] = 0
