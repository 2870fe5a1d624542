"""What a server of PostgreSQL is asked, and what psql and pg_dump print of the answer. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import takewhile

from s3napback.regexes import regex

PREFIX = "--| "
"""What begins the lines of SQL by which a dump's database is made: for psql they are remarks."""

DATABASES = """
SELECT CASE WHEN datconnlimit = -2 THEN 'broken' WHEN datallowconn THEN 'open' ELSE 'closed' END, datname
FROM pg_catalog.pg_database WHERE datname <> 'template0' ORDER BY datname
"""
"""``pg_dumpall`` passes over those that are not open, without a word (``dumpDatabases`` of ``pg_dumpall.c``)."""

_ENTRY = regex(r"(?P<name>[^\n]*); Type: (?P<type>[A-Z ]+); Schema: [^\n]*\n--\n(?P<text>.*)", re.DOTALL)
_BEHIND = regex(
    r"\n(?:\\unrestrict \w+\n|\\connect [^\n]*\n\nSET statement_timeout = 0;\n"
    r"|--\n-- PostgreSQL database dump complete\n).*",
    re.DOTALL,
)
"""What stands between the last statement of an entry and the next one, or the end of the dump."""


def database_name(name: str) -> str:
    """What messages call a database."""
    return f"the database {name}"


def own_definition(dump: str) -> bytes:
    """The statements for a database itself, its owner, rights, settings and comment, each line with ``PREFIX``.

    Args:
        dump: what ``pg_dump --create --schema-only`` wrote of it.
    """
    found: list[str] = []
    for part in dump.split("\n--\n-- Name: ")[1:]:
        entry = _ENTRY.fullmatch(part)
        if entry is None or not _is_of_database(entry["name"], entry["type"]):
            continue
        found += _BEHIND.sub("", entry["text"]).strip("\n").split("\n")
    text = "".join(f"{PREFIX}{line}\n" for line in ["SET client_encoding = 'SQL_ASCII';", *found]) if found else ""
    return text.encode(errors="surrogateescape")


def definition_at(head: str) -> str:
    """The statements for a database itself with which a dump begins; further down, such a line is somebody's text.

    Args:
        head: the dump's first bytes.
    """
    return "".join(f"{line.removeprefix(PREFIX)}\n" for line in takewhile(_is_definition, head.split("\n")))


def _is_definition(line: str) -> bool:
    return line.startswith(PREFIX)


def _is_of_database(name: str, kind: str) -> bool:
    return kind in ("DATABASE", "DATABASE PROPERTIES") or (
        kind in ("COMMENT", "ACL", "SECURITY LABEL") and name.startswith("DATABASE ")
    )


def matches(pattern: str, name: str) -> bool:
    """Whether a database's name matches a pattern of ``--exclude-database`` (psql's manual, "Patterns")."""
    regex, quoted, left = "", False, pattern
    while left:
        character, left = left[0], left[1:]
        if character == '"' and quoted and left.startswith('"'):
            regex, left = regex + '"', left[1:]
        elif character == '"':
            quoted = not quoted
        elif quoted:
            regex += re.escape(character)
        else:
            regex += {"*": ".*", "?": "."}.get(character, character.lower())
    try:
        return re.fullmatch(regex, name, re.DOTALL) is not None
    except re.error:
        return False


def read_databases(text: str) -> list[tuple[str, str]]:
    """What is said of each database (``open``, ``closed``, ``broken``), and its name.

    Args:
        text: what ``psql --no-align --tuples-only --record-separator-zero`` printed, columns between tabs.
    """
    records = [record.partition("\t") for record in text.split("\0") if record]
    return [(state, name) for state, _, name in records]


def excluded(name: str, patterns: Sequence[str]) -> bool:
    """Whether a database is left out by PostgreSQLOptions."""
    return any(matches(pattern, name) for pattern in patterns)
