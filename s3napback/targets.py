"""What a source is called by: the grammars of paths and of databases' names, and what of them goes into keys. Pure."""

from __future__ import annotations

import posixpath
from fnmatch import fnmatchcase
from typing import Protocol

from s3napback.records import dataclass


class InvalidNameError(ValueError):
    """A path, database or Cycle cannot be used; the message says why."""


class Grammar(Protocol):
    """How the targets of a kind of source are written."""

    @property
    def what(self) -> str:
        """What a target is, for people: ``absolute path``."""
        ...

    @property
    def is_path(self) -> bool:
        """Whether a target is a path, so that a bare path on the command line can mean it."""
        ...

    def normalised(self, text: str) -> str:
        """What a source directive names, in the form in which jobs hold it.

        Raises:
            InvalidNameError: it is no target that could be backed up under a key of its own.
        """
        ...

    def in_key(self, target: str) -> str:
        """What of a normalised target its keys begin with, behind the kind's folder."""
        ...


def refuse_control_characters(text: str) -> None:
    """Let no text pass that could not be part of a key.

    Raises:
        InvalidNameError: it holds control characters.
    """
    if any(ord(character) < 32 or 127 <= ord(character) < 160 for character in text):
        raise InvalidNameError("control characters cannot be part of a name")


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
    refuse_control_characters(text)
    return "/" + posixpath.normpath(text).lstrip("/")


@dataclass(frozen=True)
class PathGrammar:
    """Absolute paths; all of one goes into keys."""

    what: str = "absolute path"
    is_path: bool = True

    def normalised(self, text: str) -> str:
        """See ``Grammar``."""
        return normalised_path(text)

    def in_key(self, target: str) -> str:
        """See ``Grammar``."""
        return target.lstrip("/")


def has_wildcard(path: str) -> bool:
    """Whether a path is a pattern. ``[?]`` stands for a question mark, ``[[]`` for a bracket."""
    return any(character in path for character in "*?[")


def matches_pattern(pattern: str, path: str) -> bool:
    """Whether a pattern matches a path, component by component; a wildcard matches no dot at the beginning of one."""
    parts, wanted = path.split("/"), pattern.split("/")
    return len(parts) == len(wanted) and all(
        fnmatchcase(part, each) and (not part.startswith(".") or each.startswith("."))
        for part, each in zip(parts, wanted, strict=True)
    )


@dataclass(frozen=True)
class PatternGrammar:
    """Absolute paths, in which ``*``, ``?`` and ``[…]`` stand for what they match within one component."""

    what: str = "absolute path"
    is_path: bool = True

    def normalised(self, text: str) -> str:
        """See ``Grammar``."""
        path = normalised_path(text)
        if path == "/" or text.endswith("/"):
            raise InvalidNameError("this is a folder; name the database's file")
        if "**" in path.split("/"):
            raise InvalidNameError("** does not go down into folders here; write a * for each of them")
        return path

    def in_key(self, target: str) -> str:
        """See ``Grammar``."""
        return target.lstrip("/")


@dataclass(frozen=True)
class NameGrammar:
    """Names that somebody has thought of; all of one goes into keys."""

    what: str = "a unique name"
    is_path: bool = False

    def normalised(self, text: str) -> str:
        """See ``Grammar``."""
        refuse_control_characters(text)
        if not text.strip() or any(component in ("", ".", "..") for component in text.split("/")):
            raise InvalidNameError("the name is empty, or cannot be part of a key because of its dots or slashes")
        return text

    def in_key(self, target: str) -> str:
        """See ``Grammar``."""
        return target


@dataclass(frozen=True)
class DatabaseGrammar:
    """Databases of a server: ``DATABASE``, or where and how it is reached, a mark, and ``DATABASE``.

    Attributes:
        mark: what stands between the two.
        names_socket: before it stands the path of the server's socket, which goes into keys; otherwise a user, who
            does not.
    """

    mark: str
    names_socket: bool = False
    what: str = "database"
    is_path: bool = False

    def normalised(self, text: str) -> str:
        """See ``Grammar``."""
        # A connection string may hold a password: it is refused without being shown, and never becomes a name.
        if "://" in text or "password=" in text.replace(" ", "").lower():
            raise InvalidNameError("a connection string is not understood here; write the database's name")
        refuse_control_characters(text)
        outer, mark, database = text.rpartition(self.mark)
        if mark and not outer:
            raise InvalidNameError(f"nothing stands before the {mark}")
        if mark and self.names_socket:
            outer = self._normalised_socket(outer)
        if not database:
            raise InvalidNameError("the database's name is empty")
        if database == "--all-databases":
            raise InvalidNameError("this is an option; all databases are called all")
        if any(component in ("", ".", "..") for component in database.split("/")):
            raise InvalidNameError("the database's name cannot be part of a key, because of its dots or slashes")
        return f"{outer}{mark}{database}"

    def in_key(self, target: str) -> str:
        """See ``Grammar``."""
        outer, _, database = target.rpartition(self.mark)
        return f"{outer.lstrip('/')}/{database}" if outer and self.names_socket else database

    def _normalised_socket(self, text: str) -> str:
        if not text.startswith("/"):
            raise InvalidNameError(f"before the {self.mark} stands the absolute path of the server's socket")
        return normalised_path(text)
