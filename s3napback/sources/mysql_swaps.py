"""Tables of MySQL and MariaDB that were exchanged for others while they were dumped. Pure.

A dump is of the moment at which the dump program begins, and takes tables by their names, hours later perhaps. A table
that was made before, was filled until after that moment, and was then put in the place of another one (``RENAME
TABLE``, as tools for changes of large tables do), is in the dump with the rows that it had at that moment, and what was
there before is not. InnoDB ends such a dump only if the table itself is newer than the dump.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from s3napback.sources.mysql_answers import Answer, ServerObject

Interval = tuple[float, float]
"""From when to when, by this machine's clock."""

_ONE_STATEMENT = 2.0
"""Seconds that may lie between what one statement makes, by times that are cut off to seconds."""


def noted(answer: Answer) -> dict[tuple[str, ...], str]:
    """When each table was made, by its name, if that is to be known; empty for those that are not to be opened."""
    return {_name(row): "" for row in answer.of("unknown")} | {_name(row): row.more for row in answer.of("made")}


def exchanged(
    before: Mapping[tuple[str, ...], str], after: Answer, asked: float, turns: Mapping[tuple[str, ...], Interval]
) -> Iterator[tuple[str, ...]]:
    """Those tables that may have been others at their turn than when the dump began.

    MariaDB shows when a table was named or defined last. MySQL shows when it was made, under whatever name.

    Args:
        before: what was noted before the dump.
        after: what the server says after it.
        asked: when it was asked that.
        turns: for each table in the dump, when that began, and when the table's turn came.
    """
    new: list[float] = []
    for name, row, made in _times(after, "made", asked):
        begun, turn = turns.get(name, (0, 0))
        if name not in turns:
            new.append(made)
        # Servers cut times off to seconds. What was made just before the dump, as by Before, is as it should be.
        is_other = made >= begun if after.is_mariadb else before.get(name, row.more) != row.more
        if is_other and made <= turn:
            yield name
    # ALTER TABLE ... CONVERT PARTITION ... TO TABLE makes a part a table, which the dump program has not heard of.
    for name, _row, made in _times(after, "parted", asked):
        begun, turn = turns.get(name, (0, 0))
        if begun <= made <= turn and any(abs(made - other) <= _ONE_STATEMENT for other in new):
            yield name


def moved(
    before: Answer, after: Answer, turns: Mapping[tuple[str, ...], Interval], database: str
) -> Iterator[tuple[str, ...]]:
    """Those tables whose rows are under another name now, and may be under neither in the dump.

    Of a part nobody knows when it went. Where a table was renamed that is in the dump, ``exchanged`` tells.

    Args:
        before: the numbers of tables, as they were before the dump.
        after: the same after it.
        database: that the dump is of; empty for those of all.
    """
    names = {row.more: row for row in after.of("number")}
    for row in before.of("number"):
        now = names.get(row.more, row)
        if (row.database, row.name) == (now.database, now.name) or database not in ("", row.database):
            continue
        old, new = (((each.database,) if not database else ()) + (each.name,) for each in (row, now))
        if "1" in (row.collation, now.collation) or not (old in turns or new in turns):
            yield old


def _times(after: Answer, kind: str, asked: float) -> Iterator[tuple[tuple[str, ...], ServerObject, float]]:
    """Tables, and when each was made, by this machine's clock; without those that are damaged."""
    for row in after.of(kind):
        if row.more != "NULL":
            yield _name(row), row, asked - float(row.collation) + float(row.more)


def _name(row: ServerObject) -> tuple[str, ...]:
    return (row.database, row.name) if row.database else (row.name,)
