"""What a directory leaves out besides what its configuration names, since no archive of it could hold that.

An own store within it would have each archive hold all those before it. And where tar follows links, it goes round in
one that leads to a folder in which it lies itself: a thousand times, with gigabytes of memory and nothing written, and
in two such links without an end. Whoever may write in the tree can make one.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from s3napback.config.settings import Job, JobSettings
from s3napback.config.tar_options import literal_pattern
from s3napback.errors import SourceError
from s3napback.formatting import counted, printable
from s3napback.sources.in_use import is_excluded
from s3napback.sources.looking import follows_links
from s3napback.sources.own_store import store_within

_OPTION = "--exclude="
_MOST = 100_000
"""Links to folders that are followed. More of them mostly lead to each other, in every order that there is."""

_Identity = tuple[int, int]


def store_in(job: Job) -> list[str]:
    """The paths of an own store as the source's target begins them.

    Raises:
        SourceError: the source lies in the store.
    """
    store = job.settings.store
    if store is None:
        return []
    top = os.path.realpath(job.target)
    below = (posixpath.relpath(path, top) for path in store_within(top, str(store)))
    return [posixpath.join(job.target, path) for path in below]


def with_own_exclusion(job: Job, rounds: Sequence[str]) -> JobSettings:
    """The job's settings, with an own store excluded that names did not tell, and with what ``rounds_in`` has found.

    Raises:
        SourceError: see ``store_in``.
    """
    patterns = map(literal_pattern, (*store_in(job), *rounds))
    return replace(job.settings, exclude=tuple(dict.fromkeys((*job.settings.exclude, *patterns))))


def rounds_in(job: Job) -> list[str]:
    """The paths at which tar, as it follows links, would come to a folder in which it is already.

    Raises:
        SourceError: there are too many links.
    """
    if not follows_links(job.settings.tar_options):
        return []
    found, followed = list[str](), 0
    options = (option.removeprefix(_OPTION) for option in job.settings.tar_options if option.startswith(_OPTION))
    patterns = (*job.settings.exclude, *options)
    begun = _identity(job.target)
    around = {begun}
    open_folders = [(begun, _folders_of(job.target, patterns))]
    while open_folders:
        identity, folders = open_folders[-1]
        path = next(folders, None)
        if path is None:
            open_folders.pop()
            around.discard(identity)
            continue
        inner = _identity(path)
        if inner in around:
            found.append(path)
            continue
        followed += os.path.islink(path)  # noqa: PTH114 - Path's own raises where it may not look
        if followed > _MOST:
            raise SourceError(
                f"links in {job.target} lead to more than {counted(_MOST, 'folder')}, such as {path}, which tar would "
                "follow (TarOptions --dereference): Exclude those that lead to each other"
            )
        around.add(inner)
        open_folders.append((inner, _folders_of(path, patterns)))
    return found


def said_of(rounds: Sequence[str]) -> list[str]:
    """What is to be told of these, one line."""
    if not rounds:
        return []
    others = f" (and {counted(len(rounds) - 1, 'other')} likewise)" if len(rounds) > 1 else ""
    where = f"{printable(rounds[0])} leads to a folder in which it lies itself{others}"
    return [f"{where}, and is left out: tar follows links (--dereference), and would go round there. Exclude it"]


def _folders_of(path: str, patterns: Collection[str]) -> Iterator[str]:
    """The folders in one, and links to folders. What cannot be looked at tar reports."""
    found: list[str] = []
    with suppress(OSError), os.scandir(path) as entries:
        found = [entry.path for entry in entries if _is_folder(entry)]
    # Nobody shall go through ``/proc``.
    return (each for each in sorted(found) if not is_excluded(each, patterns))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    with suppress(OSError):  # a link to itself
        return entry.is_dir()
    return False


def _identity(path: str) -> _Identity | None:
    """Device and inode number; None if nothing is there, any more."""
    try:
        status = Path(path).stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
