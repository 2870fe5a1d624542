"""Counts the tables and rows of an SQLite database that was restored. A process of its own, since it may be anything.

``python -I -m s3napback.drilling.sqlite_rows PATH`` writes both numbers.
"""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing, suppress
from urllib.parse import quote

from s3napback.sources.sqlite_copy import distrust


def main(path: str) -> int:
    """Count; returns the exit status."""
    with closing(sqlite3.connect(f"file:{quote(path)}?mode=ro&immutable=1", uri=True)) as connection:
        distrust(connection)
        # Names may be in any encoding. Those that are no UTF-8 cannot be asked for.
        connection.text_factory = lambda text: text.decode(errors="surrogateescape")
        query = "SELECT name FROM sqlite_master WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%'"
        rows = 0
        names = [str(name).replace('"', '""') for (name,) in connection.execute(query)]
        for name in names:
            with suppress(UnicodeEncodeError):
                rows += int(connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0])  # noqa: S608
    print(len(names), rows)  # noqa: T201 - that is what it is for
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
