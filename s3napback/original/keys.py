"""Keys of the original tool's objects: ``BASE:NUMBER``, and what a BASE tells. Pure.

js3tream cut an archive into chunks and numbered them with twenty digits; its manual shows thirteen, and a version that
was never released wrote none in front. The forms of BASE are those of the Perl script from 2008 to 2014.
"""

from __future__ import annotations

import re
from itertools import takewhile

from s3napback.kinds import DIRECTORY, MYSQL, POSTGRESQL, SUBVERSION, SourceName
from s3napback.records import dataclass
from s3napback.regexes import regex
from s3napback.rotation import ArchiveType
from s3napback.streams.tar_headers import plain_name

ALL = "all"
"""What all databases of a server are called in a source's name."""

_NUMBER = regex(r"[0-9]{1,20}")
_SLOT = r"-(?P<slot>0|[1-9][0-9]{0,8})"
_POSTGRESQL = regex(rf"PostgreSQL/(?P<database>.*){_SLOT}", re.DOTALL)
_MYSQL = regex(rf"MySQL/(?:(?P<socket>.*)/)?(?P<database>[^/]+){_SLOT}", re.DOTALL)
_TYPED = regex(rf"(?P<path>.*){_SLOT}-(?P<type>FULL|DIFF)", re.DOTALL)
_UNTYPED = regex(rf"(?P<path>.+){_SLOT}", re.DOTALL)
_WILDCARD = regex(r"[*?[]")
_ALL_DATABASES = ("--all-databases", ALL)


@dataclass(frozen=True)
class OriginalName:
    """What the BASE of an archive's keys tells.

    Attributes:
        base: all of it.
        series: what stands before the slot, to the letter: archives of one series build on each other, and no others.
        slot: its number in the rotation.
        type: FULL or DIFF. Dumps of databases, and those of repositories before 2009, are always FULL.
        sources: what it can be of, in our words. A path alone does not tell a directory from a repository.
    """

    base: str
    series: str
    slot: int
    type: ArchiveType
    sources: tuple[SourceName, ...]


def split_chunk_key(key: str) -> tuple[str, int] | None:
    """BASE and number of a chunk; None if the key is none of a chunk's.

    Whether the original wrote it ``parse_base`` tells. Keys of our own never end in a colon and a number.
    """
    base, colon, number = key.rpartition(":")
    return (base, int(number)) if colon and base and _NUMBER.fullmatch(number) else None


def parse_base(base: str) -> OriginalName | None:
    """Read a BASE; None if it is of no form that the original wrote."""
    if found := _POSTGRESQL.fullmatch(base):
        database = found["database"] or ALL
        return _name(found, ArchiveType.FULL, SourceName(POSTGRESQL.name, database))
    if found := _MYSQL.fullmatch(base):
        database = ALL if found["database"] in _ALL_DATABASES else found["database"]
        socket = "" if found["socket"] is None else f"/{plain_path(found['socket'])}:"
        return _name(found, ArchiveType.FULL, SourceName(MYSQL.name, f"{socket}{database}"))
    if found := _TYPED.fullmatch(base):
        path = f"/{plain_path(found['path'])}"
        sources = (SourceName(DIRECTORY.name, path), SourceName(SUBVERSION.name, path))
        return _name(found, ArchiveType(found["type"]), *sources)
    if found := _UNTYPED.fullmatch(base):
        return _name(found, ArchiveType.FULL, SourceName(SUBVERSION.name, f"/{plain_path(found['path'])}"))
    return None


def plain_path(path: str) -> str:
    """A path as archives name it: without slashes at its ends, doubled ones, and dots that mean nothing."""
    return plain_name(path)


def before_wildcards(path: str) -> str:
    """The folder in which everything lies that a path means: the original's shell expanded ``/home/*``."""
    parts = path.split("/")
    fixed = list(takewhile(lambda part: not _WILDCARD.search(part), parts))
    return path if len(fixed) == len(parts) else "/".join(fixed) or "/"


def _name(found: re.Match[str], archive_type: ArchiveType, *sources: SourceName) -> OriginalName:
    series = found.string[: found.start("slot") - 1]
    return OriginalName(found.string, series, int(found["slot"]), archive_type, sources)
