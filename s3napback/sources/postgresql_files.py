"""In which files the rows of PostgreSQL's tables are, which tells that somebody replaced them. Pure.

A dump is of the moment at which pg_dump looks first. TRUNCATE, an ALTER TABLE that writes the rows anew, and another
table under the old name may be committed after that. pg_dump waits for them then, and finds no row in the new file that
belongs to its moment, nor those of before (PostgreSQL's manual, "Concurrency Control", Caveats).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

FILES = """
SELECT n.nspname, c.relname, c.oid, c.relfilenode, c.xmin FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname !~ '^pg_(toast|temp_)' AND n.nspname NOT IN ('pg_catalog', 'information_schema')
"""


class TableFile(NamedTuple):
    """Where a table's rows are.

    Attributes:
        table: its number, and that of its file.
        transaction: that brought the table into this file, if it was not defined anew since.
    """

    table: tuple[str, str]
    transaction: str


def read_files(text: str) -> dict[tuple[str, ...], TableFile]:
    """What psql printed of ``FILES`` with ``--record-separator-zero``, by schema and name."""
    records = [record.split("\t") for record in text.split("\0") if record]
    # A tab in a name would shift the columns.
    found = [record for record in records if len(record) == 5]
    return {(schema, name): TableFile((oid, node), xid) for schema, name, oid, node, xid in found}


def which_have_rows(tables: Sequence[tuple[str, ...]], files: Mapping[tuple[str, ...], TableFile], *, own: bool) -> str:
    """A question to which of some tables have rows, answered with their places in the list.

    Args:
        tables: schema and name of each.
        files: where their rows are now.
        own: rows count only if the transaction brought them that made the file.
    """
    queries = []
    for place, table in enumerate(tables):
        where = f" WHERE xmin = '{files[table].transaction}'" if own else ""
        queries.append(f"SELECT {place} WHERE EXISTS (SELECT FROM ONLY {'.'.join(map(quoted, table))}{where})")  # noqa: S608
    return " UNION ALL ".join(queries)


def quoted(name: str) -> str:
    """A name as SQL takes it."""
    doubled = name.replace('"', '""')
    return f'"{doubled}"'
