"""Which file system holds a source up: what it lies on, what mounts lie below it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from s3napback.answering import PATIENCE, described, is_foreign, require_answer, silent_among
from s3napback.config.settings import Job
from s3napback.formatting import counted, printable, shortened
from s3napback.mounts import current_mounts, is_at_or_below, visible_within

_MOST_ASKED = 100
_SHOWN = 5


class Entering:
    """The folders that a search for sources comes into, of which each may be where a mount begins."""

    def __init__(self, job: Job) -> None:
        """Note which mounts there are.

        Args:
            job: whose StallTimeout counts.
        """
        self._timeout = job.settings.stall_timeout
        self._points = {mount.point for mount in current_mounts() if is_foreign(mount)}

    def require_answer(self, folder: str) -> None:
        """Look whether a folder answers if a mount begins there; what lies above it has been asked.

        Raises:
            SourceSilent: it does not.
        """
        if folder in self._points:
            require_answer(folder, self._timeout)


def require_answer_of(job: Job) -> None:
    """Look whether the file system answers on which the target of a job lies, which is a path.

    Raises:
        SourceSilent: it does not, for as long as StallTimeout.
    """
    require_answer(job.target, job.settings.stall_timeout)


def what_holds_up(top: str, process: int) -> list[str]:
    """What may be the reason that a process which reads a directory tree stands still, one line each.

    Args:
        top: of the tree: absolute, without symbolic links.
        process: its number.
    """
    foreign = [mount for mount in visible_within(top, current_mounts()) if is_foreign(mount)]
    asked = {mount.point: mount for mount in foreign[:_MOST_ASKED]}
    silent = silent_among(list(asked), PATIENCE)
    lines = [f"{described(asked[point])} does not answer; Exclude it, or unmount it" for point in silent[:_SHOWN]]
    if more := len(silent) - len(lines):
        lines.append(f"{counted(more, 'other file system')} below {top} do not answer either")
    if place := _last_opened(top, process):
        lines.append(f"what it has open is {shortened(printable(place))}")
    return lines


def _last_opened(top: str, process: int) -> str:
    """The deepest of the files and folders of a tree that a process has open; empty if there is none."""
    opened = []
    with suppress(OSError):
        for link in Path(f"/proc/{process}/fd").iterdir():
            with suppress(OSError):
                opened.append(str(link.readlink()))
    return max((path for path in opened if is_at_or_below(path, top)), key=len, default="")
