"""What the user of a dump must be allowed to, since a server of MySQL or MariaDB hides what he may not see. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from s3napback.records import dataclass
from s3napback.regexes import regex

_GRANT = regex(r"(?P<verb>GRANT|REVOKE) (?P<privileges>.+?) ON (?P<object>\S.*?) (?:TO|FROM) (?P<user>.+)", re.DOTALL)
_DATABASE = regex(r"`((?:[^`]|``)+)`\.\*")
_ALL = "ALL PRIVILEGES"
_ROUTINES = ("SELECT", "SHOW_ROUTINE", "SHOW CREATE ROUTINE", "EXECUTE", "CREATE ROUTINE", "ALTER ROUTINE")
"""Whoever has one of these sees at least the names of routines, and a dump that lacks their text is noticed."""


@dataclass(frozen=True)
class _Grant:
    is_revoked: bool
    privileges: frozenset[str]
    scope: str
    user: str

    def covers(self, database: str) -> bool:
        """Whether it holds for a whole database; an empty one stands for all that there are."""
        if self.scope == "*.*":
            return True
        found = _DATABASE.fullmatch(self.scope)
        return bool(database and found and _pattern(found[1].replace("``", "`")).fullmatch(database))


def missing_rights(lines: Sequence[str], database: str, *, is_mariadb: bool) -> str:
    """What has to be granted, as a sentence; empty if nothing has to be.

    Args:
        lines: what ``SHOW GRANTS`` gives for one's own session, roles included, with backquotes around names.
        database: that is to be dumped; empty for all.
        is_mariadb: whose server it is.
    """
    grants = [_parsed(line) for line in lines]
    known = [grant for grant in grants if grant is not None]
    scope = "`" + database.replace("`", "``").replace("\\", "\\\\").replace("_", "\\_").replace("%", "\\%") + "`.*"
    scope = scope if database else "*.*"
    wanted = [f"GRANT {name} ON {scope}" for name in ("SELECT", "TRIGGER") if not _has(known, (name,), database)]
    if not _has(known, _ROUTINES[0 if not database else 1 :], database) and not _reads_routines(known):
        wanted.append("GRANT SELECT ON `mysql`.`proc`" if is_mariadb else "GRANT SHOW_ROUTINE ON *.*")
    if not wanted:
        return ""
    user = next((grant.user for grant in known), "the user of the dump")
    return "; ".join(f"{each} TO {user}" for each in wanted)


def _has(grants: Sequence[_Grant], privileges: Sequence[str], database: str) -> bool:
    names = {_ALL, *privileges}
    revoked = any(
        grant.is_revoked and names & grant.privileges and (not database or grant.covers(database)) for grant in grants
    )
    return not revoked and any(
        not grant.is_revoked and names & grant.privileges and grant.covers(database) for grant in grants
    )


def _reads_routines(grants: Sequence[_Grant]) -> bool:
    """Whether the text of all routines may be read: by a right on everything, or on MariaDB's table of them."""
    whole = {"SELECT", "SHOW_ROUTINE", "SHOW CREATE ROUTINE", _ALL}
    return any(
        whole & grant.privileges and grant.scope in ("*.*", "`mysql`.*", "`mysql`.`proc`")
        for grant in grants
        if not grant.is_revoked
    )


def _parsed(line: str) -> _Grant | None:
    found = _GRANT.fullmatch(line)
    if found is None:
        return None
    # Rights on single columns count for nothing here.
    privileges = frozenset(re.sub(r"\([^)]*\)", "()", found["privileges"]).split(", "))
    user = re.match(r"`(?:[^`]|``)*`(?:@`(?:[^`]|``)*`)?|\S+", found["user"])
    return _Grant(found["verb"] == "REVOKE", privileges, found["object"], user[0] if user else found["user"])


def _pattern(text: str) -> re.Pattern[str]:
    """A database's name in a grant, where ``%`` and ``_`` stand for others unless a backslash is before them."""
    parts = re.findall(r"\\.|.", text, re.DOTALL)
    kinds = {"%": ".*", "_": "."}
    return re.compile("".join(kinds.get(part) or re.escape(part[-1]) for part in parts), re.DOTALL)
