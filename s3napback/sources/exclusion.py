"""What tar is told to leave out: by options, or by files of patterns where there are more than a command line takes.

A command line has room for 2 MiB on most systems, and for 128 KiB where the stack is limited to little; one word of it
for 128 KiB (execve(2), "Limits on size of arguments and environment"). A pattern in a file means what it does in an
option at the same place of the command line: gnulib's ``add_exclude_file`` hands each line to what takes the options,
without white space at its end. Of patterns that only leave out, the order does not matter otherwise.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path

from s3napback.records import dataclass
from s3napback.regexes import regex

WORKING_EXCLUDES = "working.exclude"
"""Name of the file of patterns that match at any depth, in the folder of a running backup."""
WORKING_ANCHORED = "working.anchored"
"""The same of those with a leading slash."""

_ROOM = 32 << 10
"""Bytes of patterns that stand in options."""
_OPTION = "--exclude="
_OTHERWISE_IN_FILES = regex(r"\s\Z|\n|\A\Z")
_LITERAL_TO_THE_BLANK = regex(r"([^\[\\\n]*)([ \t\v\f\r])")


def exclude_options(patterns: Sequence[str], path: str, *, followed: bool) -> list[str]:
    """tar's options for Exclude, matching the names that ``member_name`` leads to.

    A pattern with a leading slash is anchored there; another one is matched at any depth. Wildcards cross slashes in
    both, as is tar's own default. A trailing slash would match nothing and is dropped.

    tar's defaults for unanchored patterns are not spelled out: with ``--wildcards`` on its command line an incremental
    tar 1.34 leaves out every directory's own entry, and with it owners, modes and deletions.
    """
    free = [pattern for pattern in patterns if not pattern.startswith("/")]
    anchored = [pattern for pattern in patterns if pattern.startswith("/")]
    options = [f"{_OPTION}{pattern.rstrip('/')}" for pattern in free]
    if anchored:
        options.append("--anchored")
        options += [
            f"{_OPTION}{member}"
            for pattern in anchored
            for member in _anchored_patterns(pattern, path, followed=followed)
        ]
    return options


def _anchored_patterns(pattern: str, path: str, *, followed: bool) -> list[str]:
    relative = posixpath.normpath("/" + pattern.strip("/")).lstrip("/")
    if path == "/":
        return [f"./{relative}"]
    parts = relative.split("/")
    depth = path.count("/")
    if not followed or len(parts) <= depth or not fnmatchcase(path[1:], "/".join(parts[:depth])):
        return [relative]
    below = "/".join(parts[depth:])
    pattern_below = f"{path[1:]}/./{below}"
    # A wildcard before it may cross slashes, so the pattern itself counts as well, unless it could match the "." that
    # stands for the whole directory.
    return [pattern_below] if below[0] in ".*?[\\" else [relative, pattern_below]


@dataclass(frozen=True)
class Exclusion:
    """What tar is told to leave out of one source.

    Attributes:
        tar_options: TarOptions, without patterns that stand in a file.
        options: the others, as words; the names of files stand where tar reads those.
        lists: lines of patterns, by the names of such files.
    """

    tar_options: tuple[str, ...]
    options: tuple[str, ...]
    lists: Mapping[str, bytes]

    def options_in(self, folder: Path) -> list[str]:
        """The options, where the files lie in a folder."""
        return [f"--exclude-from={folder / word}" if word in self.lists else word for word in self.options]

    def files_in(self, folder: Path) -> dict[Path, bytes]:
        """The files that must lie there."""
        return {folder / name: lines for name, lines in self.lists.items()}


def exclusion(patterns: tuple[str, ...], tar_options: tuple[str, ...], path: str, *, followed: bool) -> Exclusion:
    """What Exclude and TarOptions leave out of a source.

    Args:
        patterns: of Exclude.
        tar_options: all of TarOptions.
        path: of the source.
        followed: see ``member_name``.
    """
    # Of most sources the same patterns come out in the same way.
    return _exclusion(patterns, tar_options, path if followed or path == "/" else "/else", followed=followed)


@lru_cache(maxsize=8)
def _exclusion(patterns: tuple[str, ...], tar_options: tuple[str, ...], path: str, *, followed: bool) -> Exclusion:
    options = exclude_options(patterns, path, followed=followed)
    if sum(len(os.fsencode(word)) + 1 for word in (*options, *tar_options)) < _ROOM:
        return Exclusion(tar_options, tuple(options), {})
    middle = options.index("--anchored") if "--anchored" in options else len(options)
    free_words = [word for word in tar_options if word.startswith(_OPTION)] + options[:middle]
    kept, free = _as_lines(free_words)
    anchored_kept, anchored = _as_lines(options[middle + 1 :])
    lists = {name: lines for name, lines in ((WORKING_EXCLUDES, free), (WORKING_ANCHORED, anchored)) if lines}
    named = (*kept, WORKING_EXCLUDES, "--anchored", *anchored_kept, WORKING_ANCHORED)
    return Exclusion(
        tuple(word for word in tar_options if not word.startswith(_OPTION)),
        tuple(word for word in named if word in lists or word not in (WORKING_EXCLUDES, WORKING_ANCHORED)),
        lists,
    )


def _as_lines(options: Sequence[str]) -> tuple[list[str], bytes]:
    """Options that no file can stand for, and the lines of a file that stands for the others."""
    kept: list[str] = []
    lines: list[str] = []
    for option in options:
        pattern = option.removeprefix(_OPTION)
        if not _OTHERWISE_IN_FILES.search(pattern):
            lines.append(pattern)
        elif literal := _LITERAL_TO_THE_BLANK.fullmatch(pattern):
            lines.append(f"{literal[1]}[{literal[2]}]")
        else:
            kept.append(option)
    return kept, os.fsencode("".join(f"{line}\n" for line in lines))
