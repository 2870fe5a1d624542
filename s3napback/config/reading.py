"""Reads configuration files from disk, with all that they include."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from dataclasses import replace
from itertools import takewhile
from pathlib import Path

from s3napback.config.problems import Problems
from s3napback.config.settings import Position
from s3napback.config.syntax import Block, Directive, Entry, parse_text
from s3napback.errors import ChangeableByOthers, ConfigurationError
from s3napback.formatting import shown
from s3napback.ownership import NotAPlainFileError, read_own_file, require_own

LARGEST_FILE = 1024 * 1024
_MOST_FILES = 1_000
_DEEPEST_INCLUDE = 32
_LONGEST_PATH = 500


class UnreadableFileError(Exception):
    """A file cannot be taken as text; the message says why, without naming it."""


def read_configuration(path: Path, problems: Problems, text: str | None = None) -> tuple[Entry, ...]:
    """Read a configuration file; what it includes stands where the ``Include`` stood.

    Args:
        path: the file.
        problems: takes what is wrong with the text of any of the files.
        text: what the file shall hold, which need not exist then.

    Raises:
        ConfigurationError: the file itself cannot be read.
    """
    if text is None:
        try:
            text = read_text(path)
        except UnreadableFileError as error:
            raise ConfigurationError([f"{path}: {error}"]) from error
    return _Reader(problems).entries(path, text)


def read_text(path: Path) -> str:
    """The text of a small UTF-8 file, without a byte order mark.

    Raises:
        UnreadableFileError: missing, unreadable, others can change it, no regular file, too large, or not text.
    """
    return read_text_and_status(path)[0]


def read_text_and_status(path: Path) -> tuple[str, os.stat_result]:
    """The same text, and what the file is like that it was read from.

    Raises:
        UnreadableFileError: missing, unreadable, others can change it, no regular file, too large, or not text.
    """
    try:
        content, status = read_own_file(path, LARGEST_FILE + 1)
    except ChangeableByOthers as error:
        raise UnreadableFileError(error.reason) from error
    except NotAPlainFileError as error:
        raise UnreadableFileError("is not a regular file") from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UnreadableFileError(f"cannot be read: {reason}") from error
    return _text(content), status


def _text(content: bytes) -> str:
    if len(content) > LARGEST_FILE:
        raise UnreadableFileError(f"is larger than {LARGEST_FILE // 1024 // 1024} MiB: is this a configuration?")
    if b"\0" in content:
        raise UnreadableFileError("holds NUL bytes: is this a configuration?")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UnreadableFileError(f"line {line} is not UTF-8; convert the file, for example with iconv") from error


class _Reader:
    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self._open: list[Path] = []
        self._files_read = 0

    def entries(self, path: Path, text: str) -> tuple[Entry, ...]:
        self._files_read += 1
        self._problems.open_file(str(path))
        self._open.append(path.resolve())
        try:
            return self._expanded(parse_text(text, str(path), self._problems), path.parent)
        finally:
            self._open.pop()

    def _expanded(self, entries: tuple[Entry, ...], folder: Path) -> tuple[Entry, ...]:
        expanded: list[Entry] = []
        for entry in entries:
            if isinstance(entry, Block):
                expanded.append(replace(entry, entries=self._expanded(entry.entries, folder)))
            elif entry.name.lower() in ("include", "includeoptional"):
                expanded.extend(self._included(entry, folder))
            else:
                expanded.append(entry)
        return tuple(expanded)

    def _included(self, directive: Directive, folder: Path) -> Iterator[Entry]:
        if not directive.values:
            self._problems.error(directive.position, f"{directive.name} needs the name of a file")
        for value in directive.values:
            try:
                paths = self._matches(directive, value, folder)
            except ChangeableByOthers as error:
                self._problems.error(directive.position, str(error))
                continue
            except OSError as error:
                self._problems.error(directive.position, f"{shown(value)} cannot be read: {error.strerror}")
                continue
            self._problems.includes.setdefault(directive.position, []).extend(paths)
            for path in paths:
                yield from self._include(directive.position, path)

    def _matches(self, directive: Directive, value: str, folder: Path) -> list[Path]:
        """The files that one value of an ``Include`` means, in the order of their names."""
        path = folder / value
        if path.is_dir() and not glob.has_magic(value):
            return _files_in(path)
        if not value or value.startswith("~"):
            self._problems.error(
                directive.position, f"{directive.name} “{value}”: write the file's name; ~ is no folder"
            )
            return []
        if path.is_file() or not glob.has_magic(value):
            if path.exists() or directive.name.lower() == "include":
                return [path]
            require_own(path)
            return []
        # Whoever can write to the folder could also take away what would match.
        require_own(folder / _before_wildcards(value), shared=True)
        pattern = str(Path(glob.escape(str(folder))) / value)
        # Path.glob would take hidden files as well, such as an editor's swap file.
        return [Path(name) for name in sorted(glob.glob(pattern))]  # noqa: PTH207  (see above)

    def _include(self, position: Position, path: Path) -> tuple[Entry, ...]:
        try:
            self._check_loops(path)
            text = read_text(path)
        except UnreadableFileError as error:
            self._problems.error(position, f"{shown(str(path), _LONGEST_PATH)} {error}")
            return ()
        except (OSError, RuntimeError) as error:
            self._problems.error(position, f"{shown(str(path), _LONGEST_PATH)} cannot be read: {error}")
            return ()
        return self.entries(path, text)

    def _check_loops(self, path: Path) -> None:
        if path.resolve() in self._open:
            raise UnreadableFileError("is being read already: the Includes go round in a circle")
        if self._files_read == _MOST_FILES or len(self._open) == _DEEPEST_INCLUDE:
            raise UnreadableFileError("is one file too many: the Includes are too many or too deep")


def _files_in(folder: Path) -> list[Path]:
    """Every file in a folder, hidden ones too, in the order of their names; folders in it are passed over.

    The original's parser takes them all, and one that is left out would be a source that nobody backs up.
    """
    # Whoever can write to the folder could also take something away.
    require_own(folder, shared=True)
    with os.scandir(folder) as entries:
        return sorted(Path(entry.path) for entry in entries if not entry.is_dir())


def _before_wildcards(pattern: str) -> str:
    """The folder in which a pattern is searched, as far as it holds no wildcards."""
    fixed = takewhile(lambda part: not glob.has_magic(part), pattern.split("/")[:-1])
    return "/".join(fixed) or ("/" if pattern.startswith("/") else "")
