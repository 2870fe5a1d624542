"""What was mounted in a directory when tar began, and is not any more when it has ended, or is another one then.

tar takes a folder that is empty meanwhile for one that holds nothing, and says nothing of it.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from s3napback.config.settings import Job
from s3napback.formatting import counted, printable, shortened
from s3napback.mounts import Mount, current_mounts, is_at_or_below
from s3napback.sources import Conclusion, Dump
from s3napback.sources.in_use import is_excluded
from s3napback.sources.looking import stays_on_one
from s3napback.sources.remains import mounts_by_hand

_SHOWN = 5


def telling_of_mounts(dump: Dump, job: Job) -> Dump:
    """The same dump of a directory, which is about to begin: in the end it tells what was unmounted meanwhile."""
    settings = job.settings
    if stays_on_one(settings.tar_options, one_file_system=settings.one_file_system):
        return dump
    top, before, again = os.path.realpath(job.target), current_mounts(), dump.again

    def conclude() -> Conclusion:
        found = dump.conclude()
        gone = [
            (posixpath.join(job.target, posixpath.relpath(mount.point, top)), mount, other)
            for mount, other in exchanged(top, before, current_mounts())
        ]
        wanted = [each for each in gone if not is_excluded(each[0], settings.exclude)]
        return replace(found, warnings=[*found.warnings, *_said(wanted)])

    return replace(dump, conclude=conclude, again=partial(_prepared, again, job) if again else None)


def _prepared(prepare: Callable[[Path], Dump], job: Job, folder: Path) -> Dump:
    return telling_of_mounts(prepare(folder), job)


def exchanged(top: str, before: Sequence[Mount], now: Sequence[Mount]) -> list[tuple[Mount, Mount | None]]:
    """The mounts below a directory that are gone, each with what is mounted in its place. Pure.

    Args:
        top: absolute, without symbolic links.
        before: all mounts as they were.
        now: all mounts as they are; if there are none, the kernel does not tell.
    """
    automatic = [mount.point for mount in before if mount.type == "autofs"]
    # Of mounts on the same place the last one is seen.
    were, are = ({mount.point: mount for mount in mounts_by_hand(top, mounts)} for mounts in (before, now))
    return [
        (mount, are.get(point))
        for point, mount in were.items()
        if now and not any(is_at_or_below(point, place) for place in automatic)
        if point not in are or (are[point].device, are[point].root) != (mount.device, mount.root)
    ]


def _said(gone: Sequence[tuple[str, Mount, Mount | None]]) -> list[str]:
    lines = [
        f"{shortened(printable(path))} was a mounted file system ({printable(mount.type)}) when this backup began, and "
        f"is {'another' if other else 'none'} now: what it held may be missing from this archive as if it had been "
        "deleted. The next run takes what is there then"
        for path, mount, other in gone[:_SHOWN]
    ]
    if more := len(gone) - len(lines):
        lines.append(f"{counted(more, 'other file system')} were unmounted or exchanged during this backup, too")
    return lines
