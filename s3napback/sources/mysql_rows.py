"""How many rows of which table a dump of MySQL or MariaDB holds, counted while it passes."""

from __future__ import annotations

import re
from collections.abc import Iterator

from s3napback.regexes import regex

_LONGEST = 1 << 16  # bytes of what begins a statement: with --complete-insert it names all columns
_NAME = rb"`(?:[^`\n]|``)*`"
_SIGN = regex(
    rb"\n(?:(?:INSERT|REPLACE)[A-Z ]{0,20} INTO (?P<table>%(name)s)(?: \([^\n]*?\))? VALUES"
    rb"|DELIMITER (?P<delimiter>;;?)\n"
    rb"|-- Current Database: (?P<database>%(name)s)\n)" % {b"name": _NAME}
)
"""Lines of ``client/mysqldump.cc``."""

_BETWEEN = b"),("


class MySQLRows:
    """Counts the rows of one dump, whatever its statements are cut into.

    A string holds no line break and no quote that is not behind a backslash: the dump programs set ``sql_mode``.

    Attributes:
        rows: of each table that has any: its name, with that of its database before it where there are several.
    """

    def __init__(self) -> None:
        self.rows: dict[tuple[str, ...], int] = {}
        self._database: tuple[str, ...] = ()
        self._table: tuple[str, ...] = ()
        self._in_routine = False
        self._values: _Values | None = None

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
            if self._values is not None:
                end = data.find(b";\n", position)
                if end < 0:
                    # The end may be cut between its two bytes.
                    stop = len(data) - data.endswith(b";")
                    self._values.read(data[position:stop])
                    return data[stop:]
                self._values.read(data[position:end])
                self.rows[self._table] = self.rows.get(self._table, 0) + self._values.count
                self._values, position = None, end + 1
            sign = _SIGN.search(data, position)
            if sign is None:
                line = data.rfind(b"\n", position)
                return data[line:] if line >= max(0, len(data) - _LONGEST) else b""
            self._note(sign)
            position = sign.end() - (self._values is None)

    def _note(self, sign: re.Match[bytes]) -> None:
        if sign["delimiter"]:
            self._in_routine = sign["delimiter"] == b";;"
        elif self._in_routine:
            return
        elif sign["database"]:
            self._database = (_plain(sign["database"]),)
        else:
            self._table = (*self._database, _plain(sign["table"]))
            self._values = _Values()


class _Values:
    """The rows of one statement."""

    def __init__(self) -> None:
        self.count = 1
        self._held = self._before = b""
        self._in_string = False

    def read(self, data: bytes) -> None:
        data = self._held + data
        backslashes = len(data) - len(data.rstrip(b"\\"))
        self._held = b"\\" * (backslashes % 2)
        data = data[: len(data) - len(self._held)].replace(b"\\\\", b"").replace(b"\\'", b"")
        parts = data.split(b"'")
        outside = parts[1::2] if self._in_string else parts[::2]
        self._in_string ^= len(parts) % 2 == 0
        text = self._before + b"'".join(outside).replace(b"\n", b"")
        self.count += text.count(_BETWEEN)
        self._before = text[1 - len(_BETWEEN) :]


def _plain(quoted: bytes) -> str:
    return quoted[1:-1].replace(b"``", b"`").decode(errors="surrogateescape")
