"""What a dump of MySQL or MariaDB holds, read from its remarks and statements while it passes."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping

from s3napback.regexes import regex
from s3napback.sources.dump_signs import watched
from s3napback.sources.mysql_answers import SYSTEM
from s3napback.sources.mysql_rows import MySQLRows
from s3napback.sources.mysql_swaps import Interval
from s3napback.streams.transformations import Block

_LONGEST = 2048  # bytes of a line that is looked for
_SIGNS = regex(
    rb"\n(?:"
    rb"-- (?:(?P<what>Table|Temporary (?:table|view)|Sequence) structure for (?:table |view |)|Current Database: )"
    rb"(?P<name>`(?:[^`\n]|``)*`)\n"
    rb"|CREATE (?:OR REPLACE )?(?:DEFINER=[^\n]{0,900}? )?(?:AGGREGATE )?(?P<routine>PROCEDURE|FUNCTION|PACKAGE) "
    rb"|/\*!5\d{4} CREATE\*/ [^\n]{0,900}?/\*!5\d{4} (?P<other>(?i:TRIGGER|EVENT))\b"
    rb")"
)
"""Lines of ``client/mysqldump.cc``. Rows hold no line end, and a routine that looks like more can hide nothing else. Of
a trigger a server keeps the words in which it was made: in small letters, with a line break behind the first."""

ROUTINES, TRIGGERS, EVENTS = "routines", "triggers", "events"


def table_name(database: str, name: str) -> str:
    """What messages call a table, view or sequence; the database is empty where there is only one."""
    return f"{database}.{name}" if database else name


class MySQLInventory:
    """Follows one dump.

    Attributes:
        names: of tables, views and sequences.
        counts: of routines, triggers and events.
        turns: when the dump began, and when each table's turn came.
    """

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.counts: Counter[str] = Counter()
        self.turns: dict[tuple[str, ...], Interval] = {}
        self._begun = time.time()
        self._database = ""
        self._rows = MySQLRows()

    @property
    def rows(self) -> Mapping[tuple[str, ...], int]:
        """Of each table; see ``Counted``."""
        return self._rows.rows

    @property
    def uncounted(self) -> frozenset[tuple[str, ...]]:
        """None."""
        return frozenset()

    @property
    def without_rows(self) -> frozenset[tuple[str, ...]]:
        """What has none is not looked for."""
        return frozenset()

    def passed(self, blocks: Iterator[memoryview]) -> Iterator[Block]:
        """Pass it on."""
        return watched(self._rows.passed(blocks), _SIGNS, _LONGEST, self._note)

    def _note(self, sign: re.Match[bytes]) -> None:
        if not sign["name"] and self._database in SYSTEM:
            return
        if sign["routine"]:
            self.counts[ROUTINES] += 1
        elif sign["other"]:
            self.counts[TRIGGERS if sign["other"].upper() == b"TRIGGER" else EVENTS] += 1
        else:
            name = sign["name"][1:-1].replace(b"``", b"`").decode(errors="replace")
            if sign["what"]:
                self.names.add(table_name(self._database, name))
                self.turns[(self._database, name) if self._database else (name,)] = (self._begun, time.time())
            else:
                self._database = name
