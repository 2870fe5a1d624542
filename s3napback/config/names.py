"""Names of sources: the key base of each, and how one that several blocks claim is told apart. Pure."""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

PATH_KINDS = ("Directory", "Subversion", "SubversionDir")
ALWAYS_FULL_KINDS = ("MySQL", "PostgreSQL")
KINDS = (*PATH_KINDS, *ALWAYS_FULL_KINDS)

_LONGEST_KEY = 1024
_LONGEST_COMPONENT = 255
_LONGEST_SUFFIX = "-99999-FULL.sha256"


class InvalidNameError(ValueError):
    """A path, database or Cycle cannot be used; the message says why."""


def normalised_path(text: str) -> str:
    """An absolute path in its shortest form: ``/srv//a/../b/`` is ``/srv/b``. Links are not looked at.

    Raises:
        InvalidNameError: empty, relative, or with control characters.
    """
    if not text:
        raise InvalidNameError("the path is empty")
    if text.startswith("~"):
        raise InvalidNameError("~ is not expanded; write the home folder's path in full")
    if "$" in text and not text.startswith("/"):
        raise InvalidNameError("variables are not expanded; write the path in full, beginning with a slash")
    if not text.startswith("/"):
        raise InvalidNameError("the path must be absolute: it begins with a slash")
    _refuse_control_characters(text)
    return "/" + posixpath.normpath(text).lstrip("/")


def normalised_target(kind: str, text: str) -> str:
    """What a source directive names, in the form in which jobs hold it.

    Raises:
        InvalidNameError: it is no path, or no database, that could be backed up under a key of its own.
    """
    return normalised_path(text) if kind in PATH_KINDS else _checked_database(kind, text)


def key_base(kind: str, target: str) -> str:
    """The name of a source before it is qualified.

    Args:
        kind: one of ``KINDS``.
        target: as ``normalised_target`` returns it.
    """
    if kind in PATH_KINDS:
        return target.lstrip("/")
    if kind == "MySQL":
        socket, _, database = target.rpartition(":")
        return posixpath.join("MySQL", socket.lstrip("/"), database) if socket else f"MySQL/{database}"
    return f"PostgreSQL/{target.rpartition('@')[2]}"


def _checked_database(kind: str, text: str) -> str:
    # A connection string may hold a password: it is refused without being shown, and never becomes a name.
    if "://" in text or "password=" in text.replace(" ", "").lower():
        raise InvalidNameError("a connection string is not understood here; write the database's name")
    _refuse_control_characters(text)
    outer, mark, database = text.rpartition(":" if kind == "MySQL" else "@")
    if mark and not outer:
        raise InvalidNameError(f"nothing stands before the {mark}")
    if kind == "MySQL" and mark:
        if not outer.startswith("/"):
            raise InvalidNameError("before the : stands the absolute path of the server's socket")
        outer = normalised_path(outer)
    if not database:
        raise InvalidNameError("the database's name is empty")
    if any(component in ("", ".", "..") for component in database.split("/")):
        raise InvalidNameError("the database's name cannot be part of a key, because of its dots or slashes")
    return f"{outer}{mark}{database}"


def _refuse_control_characters(text: str) -> None:
    if any(ord(character) < 32 or 127 <= ord(character) < 160 for character in text):
        raise InvalidNameError("control characters cannot be part of a name")


def check_cycle_name(name: str) -> None:
    """Whether a Cycle's name may become the first component of keys.

    Raises:
        InvalidNameError: it may not.
    """
    if not name.strip():
        raise InvalidNameError("the Cycle's name is empty")
    if "/" in name or name in (".", ".."):
        raise InvalidNameError("a Cycle's name becomes part of keys: it holds no slash and is neither “.” nor “..”")
    _refuse_control_characters(name)


def normalised_prefix(text: str) -> str:
    """A prefix without slashes at its ends.

    Raises:
        InvalidNameError: a component is empty, a dot or two, or holds control characters.
    """
    prefix = text.strip("/")
    _refuse_control_characters(prefix)
    if prefix and any(component in ("", ".", "..") for component in prefix.split("/")):
        raise InvalidNameError("the prefix has an empty component, or one of dots alone")
    return prefix


@dataclass(frozen=True)
class Claim:
    """One block's wish to use a name.

    Attributes:
        base: the key base.
        cycle: the Cycle around it; empty for a block outside.
    """

    base: str
    cycle: str


def qualified_names(claims: Sequence[Claim]) -> list[str]:
    """The name that each claim gets: its base, preceded by the Cycle's name where others claim the same base."""
    counted = Counter(claim.base for claim in claims)
    return [
        f"{claim.cycle}/{claim.base}" if claim.cycle and counted[claim.base] > 1 else claim.base for claim in claims
    ]


def key_problem(prefix: str, name: str) -> str:
    """Why no keys can be built from a name; empty if they can.

    Limits are those of S3 (1,024 bytes a key) and of file systems (255 bytes a component).
    """
    key = f"{prefix}/{name}{_LONGEST_SUFFIX}" if prefix else f"{name}{_LONGEST_SUFFIX}"
    size = len(key.encode())
    if size > _LONGEST_KEY:
        return f"its keys would have up to {size:,} bytes, and {_LONGEST_KEY:,} are the most that a store takes"
    longest = max(len(component.encode()) for component in key.split("/"))
    if longest > _LONGEST_COMPONENT:
        return f"its keys would have a component of {longest} bytes, and {_LONGEST_COMPONENT} are the most"
    return ""
