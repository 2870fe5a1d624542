"""What was mounted in a directory when tar began, and is not any more, or is another one, at some time until tar ends.

tar takes a folder that is empty meanwhile for one that holds nothing, and says nothing of it. What is back at the end
may have been away when tar came by: the kernel tells whoever waits for it that something was mounted or unmounted
(proc(5), ``/proc/PID/mounts``).
"""

from __future__ import annotations

import os
import posixpath
import select
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from s3napback.config.settings import Job
from s3napback.crews import NoThread, begin, result_of
from s3napback.errors import PipelineError
from s3napback.formatting import counted, printable, shortened
from s3napback.mounts import MOUNTS, Mount, current_mounts, is_at_or_below, mount_of
from s3napback.sources import Conclusion, Dump
from s3napback.sources.in_use import is_excluded
from s3napback.sources.looking import stays_on_one
from s3napback.sources.remains import mounts_by_hand, with_mounts
from s3napback.streams.transformations import Block, Transform, Transformation

_SHOWN = 5
_REST = 100
"""Milliseconds from one look at all mounts to the next, at least: some machines mount something all the time."""

_Gone = dict[str, tuple[Mount, Mount | None]]
"""By their paths, mounts that are not there any more, each with what is mounted in its place."""


def telling_of_mounts(dump: Dump, job: Job) -> Dump:
    """The same dump of a directory, which is about to begin: in the end it tells what was unmounted meanwhile.

    Its pipeline fails if that was the file system on which the directory lies.
    """
    settings = job.settings
    stays = stays_on_one(settings.tar_options, one_file_system=settings.one_file_system)
    top, before, again = os.path.realpath(job.target), current_mounts(), dump.again
    own, away = mount_of(top, before), _Gone()

    def look() -> _Gone:
        now = current_mounts()
        return {**_own_gone(top, before, now), **({} if stays else _gone(top, before, now))}

    def conclude() -> Conclusion:
        found = dump.conclude()
        now = [] if stays else current_mounts()
        gone = _gone(top, before, now)
        passing = {point: each for point, each in away.items() if point not in gone}
        return replace(
            found,
            warnings=[*found.warnings, *_said(_wanted(gone, top, job)), *_passing_said(_wanted(passing, top, job))],
            # What was mounted meanwhile may be in the archive.
            notes={**found.notes, **with_mounts(dump.notes, top, [it for it in now if not _comes_by_itself(it, now)])},
        )

    def guarded(blocks: Iterator[memoryview]) -> Iterator[Block]:
        yield from _watched(dump.guard.transform, look, away, blocks)
        if own.point in away:
            raise PipelineError(
                f"the file system on which {job.target} lies was unmounted for a while, or exchanged, while tar read it"
            )

    is_needed = own.point != "/" or (not stays and mounts_by_hand(top, before))
    guard = Transformation(dump.guard.name, guarded) if is_needed else dump.guard
    prepare = partial(_prepared, again, job) if again else None
    return replace(dump, guard=guard, conclude=conclude, again=prepare)


def _prepared(prepare: Callable[[Path], Dump], job: Job, folder: Path) -> Dump:
    return telling_of_mounts(prepare(folder), job)


def _watched(
    transform: Transform, look: Callable[[], _Gone], away: _Gone, blocks: Iterator[memoryview]
) -> Iterator[Block]:
    """Pass on what is to be passed on, and note what has been away meanwhile."""
    ending, end = os.pipe2(os.O_CLOEXEC)
    watching: Future[_Gone] | None = None
    try:
        # Without a thread what is back at the end is not noticed.
        with suppress(NoThread):
            watching = begin(partial(_watch, look, ending), "mounts")
        yield from transform(blocks)
    finally:
        os.close(end)
        if watching is not None:
            found: _Gone = result_of(watching)
            away.update(found)
        os.close(ending)


def _watch(look: Callable[[], _Gone], ending: int) -> _Gone:
    """What was gone, or another one, at any time until a pipe's other end is closed."""
    gone: _Gone = {}
    with suppress(OSError), MOUNTS.open("rb") as changes:
        every, last = select.poll(), select.poll()
        every.register(changes, select.POLLPRI | select.POLLERR)
        every.register(ending, select.POLLIN)
        last.register(ending, select.POLLIN)
        gone = look()
        while ending not in dict(every.poll()):
            gone = {**look(), **gone}
            if last.poll(_REST):
                break
    return gone


def _gone(top: str, before: Sequence[Mount], now: Sequence[Mount]) -> _Gone:
    return {mount.point: (mount, other) for mount, other in exchanged(top, before, now)}


def _own_gone(top: str, before: Sequence[Mount], now: Sequence[Mount]) -> _Gone:
    """The mount on which a directory lies, if it lies on another one now."""
    own, other = mount_of(top, before), mount_of(top, now)
    is_same = (own.point, own.device, own.root) == (other.point, other.device, other.root)
    return {} if is_same or not now or _comes_by_itself(own, before) else {own.point: (own, other)}


def _comes_by_itself(mount: Mount, mounts: Sequence[Mount]) -> bool:
    """Whether an automounter mounts it, and unmounts it again."""
    return any(other.type == "autofs" and is_at_or_below(mount.point, other.point) for other in mounts)


def exchanged(top: str, before: Sequence[Mount], now: Sequence[Mount]) -> list[tuple[Mount, Mount | None]]:
    """The mounts below a directory that are gone, each with what is mounted in its place. Pure.

    Args:
        top: absolute, without symbolic links.
        before: all mounts as they were.
        now: all mounts as they are; if there are none, the kernel does not tell.
    """
    # Of mounts on the same place the last one is seen.
    were, are = ({mount.point: mount for mount in mounts_by_hand(top, mounts)} for mounts in (before, now))
    return [
        (mount, are.get(point))
        for point, mount in were.items()
        if now and not _comes_by_itself(mount, before)
        if point not in are or (are[point].device, are[point].root) != (mount.device, mount.root)
    ]


def _wanted(gone: _Gone, top: str, job: Job) -> list[tuple[str, Mount, Mount | None]]:
    """Those that belong to the source, by their paths as the configuration begins them."""
    places = [(posixpath.join(job.target, posixpath.relpath(point, top)), *each) for point, each in gone.items()]
    return [each for each in places if not is_excluded(each[0], job.settings.exclude)]


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


def _passing_said(away: Sequence[tuple[str, Mount, Mount | None]]) -> list[str]:
    lines = [
        f"{shortened(printable(path))}, a mounted file system ({printable(mount.type)}), was away for a while during "
        "this backup: what it holds may be missing from this archive as if it had been deleted. The next run takes it"
        for path, mount, _other in away[:_SHOWN]
    ]
    if more := len(away) - len(lines):
        lines.append(f"{counted(more, 'other file system')} were away for a while during this backup, too")
    return lines
