"""What a directory held when it was backed up last, and what remains: a disk that is not mounted is no deletion.

A fresh file system is not empty, and neither need be the folder on which one should be mounted. So what counts is
whether anything is left of what was there: its names, its files, and the file systems that were mounted in it.
"""

from __future__ import annotations

import heapq
import json
import os
import posixpath
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from s3napback.formatting import counted, printable, shortened
from s3napback.mounts import (
    Mount,
    current_mounts,
    is_made_by_the_kernel,
    is_of_another_user,
    mount_of,
    visible_within,
)
from s3napback.records import dataclass
from s3napback.sources.in_use import is_excluded

_OF_FILE_SYSTEMS = frozenset({"lost+found", "System Volume Information", "$RECYCLE.BIN", "aquota.user", "aquota.group"})
_MOST_NAMES = 50
_MOST_FILES = 1000
_MOST_LOOKED_AT = 20_000
_MOST_MOUNTS = 100
_SHOWN = 5
_NOTE = "held"


@dataclass(frozen=True)
class DirectoryHoldings:
    """What a directory holds, as far as that is looked at.

    Attributes:
        names: of what lies directly in it, the first in order; what a file system has by itself is left out.
        files: how many there are at any depth, not counting directories, nor what is mounted below.
        are_all: no more files than these were found because there are no more.
        place: numbers that tell one directory from another that takes its place: inode, and file system.
        mounts: types of the file systems mounted in it, by their paths below it; ``.`` is the directory itself. It is
            ``autofs`` where one is as soon as somebody looks. None if the kernel does not tell them.
    """

    names: Sequence[str] = ()
    files: int = 0
    are_all: bool = True
    place: Sequence[int] = ()
    mounts: Mapping[str, str] | None = None

    def to_notes(self) -> Mapping[str, str]:
        """As ``Memory.notes`` keeps it."""
        return {_NOTE: json.dumps(asdict(self))}

    @classmethod
    def from_notes(cls, notes: Mapping[str, str]) -> DirectoryHoldings | None:
        """What ``to_notes`` wrote; None if it did not, or another version did."""
        try:
            document: dict[str, Any] = json.loads(notes[_NOTE])
            return cls(**document)
        except (KeyError, ValueError, TypeError):
            return None


def with_mounts(notes: Mapping[str, str], top: str, mounts: Sequence[Mount]) -> Mapping[str, str]:
    """Notes of a directory that name what is mounted in it by now, too. Pure.

    Args:
        notes: that were made before.
        top: absolute, without symbolic links.
        mounts: all there are.
    """
    held = DirectoryHoldings.from_notes(notes)
    if held is None or held.mounts is None:
        return notes
    now = {posixpath.relpath(mount.point, top): mount.type for mount in mounts_by_hand(top, mounts)[:_MOST_MOUNTS]}
    return replace(held, mounts={**now, **held.mounts}).to_notes()


def holdings_of(top: str, *, one_file_system: bool) -> DirectoryHoldings:
    """Look at a directory; what is mounted in it is not entered, since it may hang.

    Args:
        top: absolute, without symbolic links.
        one_file_system: what is mounted below does not belong to it.
    """
    mounts, user = current_mounts(), os.geteuid()
    own = mount_of(top, mounts)
    noted = [mount for mount in [own] if own.point == top and _comes_and_goes_by_hand(own, user)]
    lasting = [*noted, *([] if one_file_system else mounts_by_hand(top, mounts))][:_MOST_MOUNTS]
    files, are_all = _count_files(top, {mount.point for mount in _within(top, mounts)})
    names = (entry.name for entry in _entries(top) if entry.name not in _OF_FILE_SYSTEMS)
    place: tuple[int, ...] = ()
    with suppress(OSError):
        place = (Path(top).stat().st_ino, os.statvfs(top).f_fsid)
    automatic = [] if one_file_system else _automatic(top, mounts)
    seen = [*((path, "autofs") for path in automatic), *((mount.point, mount.type) for mount in lasting)]
    points = {posixpath.relpath(path, top): kind for path, kind in seen} if own in mounts else None
    return DirectoryHoldings(heapq.nsmallest(_MOST_NAMES, names), files, are_all, place, points)


def mounts_by_hand(top: str, mounts: Sequence[Mount]) -> list[Mount]:
    """Those mounted below a directory (absolute, without symbolic links) that do not come and go by themselves."""
    user = os.geteuid()
    return [mount for mount in _within(top, mounts) if _comes_and_goes_by_hand(mount, user)]


def _automatic(top: str, mounts: Sequence[Mount]) -> Iterator[str]:
    """Where an automounter mounts something below a directory as soon as somebody looks; tar does."""
    for mount in _within(top, mounts):
        # ``binfmt_misc`` is the kernel's.
        if mount.type == "autofs" and not is_made_by_the_kernel(mount_of(posixpath.dirname(mount.point), mounts)):
            yield mount.point
            # What it does not list there, nobody looks at.
            listed = [] if "indirect" not in mount.options else [entry.path for entry in _entries(mount.point)]
            yield from listed if len(listed) <= _MOST_MOUNTS else ()


def _within(top: str, mounts: Sequence[Mount]) -> list[Mount]:
    return [mount for mount in visible_within(top, mounts) if mount.point.startswith(top.rstrip("/") + "/")]


def _comes_and_goes_by_hand(mount: Mount, user: int) -> bool:
    return not (is_made_by_the_kernel(mount) or is_of_another_user(mount, user) or mount.type == "autofs")


def _count_files(top: str, mounted: Collection[str]) -> tuple[int, bool]:
    files = looked_at = 0
    folders = [top]
    while folders:
        for entry in _entries(folders.pop()):
            looked_at += 1
            if entry.is_dir(follow_symlinks=False):
                if entry.path not in mounted and entry.name not in _OF_FILE_SYSTEMS:
                    folders.append(entry.path)
            elif entry.name not in _OF_FILE_SYSTEMS:
                files += 1
            if files >= _MOST_FILES or looked_at >= _MOST_LOOKED_AT:
                return files, False
    return files, True


def _entries(folder: str) -> Iterator[os.DirEntry[str]]:
    with suppress(OSError), os.scandir(folder) as entries:
        yield from entries


def suspicion(before: DirectoryHoldings, now: DirectoryHoldings) -> str:
    """Why what a directory holds now cannot be what became of what it held, as a clause; empty if it can. Pure."""
    if not before.files or not now.are_all:
        return ""
    held = shortened(", ".join(printable(name) for name in before.names[:_SHOWN]), 200)
    # What was in it may lie in a file system now that was mounted since, as after a move to a new disk.
    mounted_since = {*(now.mounts or {})} - {*(before.mounts or {}), "."}
    if not now.files and not mounted_since:
        return f"holds no files, but held some when it was backed up last ({held})"
    if {*before.names} & {*now.names}:
        return ""
    was_mounted = "." in (before.mounts or {}) and "." not in (now.mounts or {})
    is_elsewhere = was_mounted or list(before.place) != list(now.place)
    if now.files * (2 if is_elsewhere else 20) <= before.files:
        return f"holds nothing of what it held when it was backed up last ({held})"
    return ""


def absent_mounts(
    source: str, before: DirectoryHoldings, now: DirectoryHoldings, exclude: Sequence[str] = ()
) -> list[str]:
    """What should be warned of because something is not mounted that was, one line each. Pure.

    Args:
        source: the directory as the configuration names it.
        exclude: patterns of Exclude. What they leave out was in no archive.
    """
    if now.mounts is None:
        return []
    gone = sorted((point, kind) for point, kind in (before.mounts or {}).items() if point not in now.mounts)
    paths = [(posixpath.normpath(posixpath.join(source, point)), kind) for point, kind in gone]
    lines = [
        f"{shortened(printable(path))} was a mounted file system ({printable(kind)}) when it was backed up last, and "
        "is none now. Is a disk not mounted? What it held is missing from this archive as if it had been deleted"
        for path, kind in paths
        if not is_excluded(path, exclude)
    ]
    if more := len(lines[_SHOWN:]):
        return [*lines[:_SHOWN], f"{counted(more, 'other file system')} below {source} are not mounted either"]
    return lines
