"""The lock on DiffDir: one run at a time. By what a run writes into it others know of it, even of a killed one."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path

from s3napback.answering import PATIENCE, require_answer
from s3napback.durable import closing_quietly, overwrite_if_possible
from s3napback.errors import ChangeableByOthers, LockHeld, SourceSilent, UnusableDiffDir
from s3napback.ownership import open_own_file, open_own_for_writing, require_own, require_own_for_writing

_LOCK = "lock"
_LONGEST_HOLDER = 1_000  # bytes
_GLANCE_SECONDS = 0.2  # in which whoever only looks whether a run is at work has let go of the lock
_ELSEWHERE = "set DiffDir to a folder that can be written to; under systemd, ReadWritePaths names it"


@contextmanager
def locked(diff_dir: Path, holder: str) -> Iterator[None]:
    """Hold DiffDir for one run. The kernel lets go of the lock when the process ends, however that happens.

    Args:
        diff_dir: an existing folder.
        holder: one line that tells others who holds the lock.

    Raises:
        LockHeld: another run holds it; the message says who.
        ChangeableByOthers: DiffDir or the lock is not our own; nothing was written to it.
        UnusableDiffDir: the lock file cannot be opened, or its file system has no locks.
    """
    path = diff_dir / _LOCK
    try:
        descriptor = open_own_for_writing(path)
    except OSError as error:
        raise UnusableDiffDir(f"cannot open the lock {path}: {error.strerror}; {_ELSEWHERE}") from error
    with closing_quietly(descriptor):
        try:
            _take(descriptor)
        except BlockingIOError:
            other = os.read(descriptor, _LONGEST_HOLDER).decode("utf-8", "backslashreplace").strip() or "unknown"
            raise LockHeld(f"another run is at work with {diff_dir}: {other}") from None
        except OSError as error:
            raise UnusableDiffDir(f"cannot lock {path}: {error.strerror}; set DiffDir to a local disk") from error
        # A full disk keeps nobody from holding the lock, only from saying so.
        overwrite_if_possible(descriptor, f"{holder}\n")
        try:
            yield
        finally:
            overwrite_if_possible(descriptor, "")


def _take(descriptor: int) -> None:
    with suppress(BlockingIOError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return
    time.sleep(_GLANCE_SECONDS)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def require_own_diff_dir(diff_dir: Path) -> None:
    """Refuse a DiffDir, or a lock in it, that ``locked`` would refuse, touching nothing. One that is not there passes.

    Raises:
        ChangeableByOthers: it is not our own.
        UnusableDiffDir: it cannot be looked at, or written to.
    """
    lock = diff_dir / _LOCK
    try:
        require_own_for_writing(lock)
    except OSError as error:
        raise UnusableDiffDir(f"cannot look at {lock}: {error.strerror}; {_ELSEWHERE}") from error
    for path in (diff_dir, lock):
        if path.exists() and not os.access(path, os.W_OK, effective_ids=True):
            raise UnusableDiffDir(f"{path} cannot be written to; {_ELSEWHERE}")


def lock_holder(configuration: Path) -> str:
    """What this process tells others while it holds the lock: its number, since when, and for which configuration."""
    return f"process {os.getpid()}, since {datetime.now(timezone.utc):%Y-%m-%d %H:%M:%S} UTC, {configuration}"


def make_diff_dir(diff_dir: Path) -> None:
    """Create the default DiffDir with its parents, private.

    Raises:
        ChangeableByOthers: it is there, and not ours.
        UnusableDiffDir: it cannot be created.
    """
    try:
        for folder in [*reversed(diff_dir.parents), diff_dir]:
            with suppress(FileExistsError):
                folder.mkdir(mode=0o700)
        require_own(diff_dir)
    except OSError as error:
        raise UnusableDiffDir(f"cannot create {diff_dir}: {error.strerror}; {_ELSEWHERE}") from error


def cut_off(folder: Path) -> str:
    """What the last run with a DiffDir said of itself if it was killed, or its machine went down; empty if it was not.

    Args:
        folder: DiffDir; it need not exist.
    """
    with suppress(OSError, ChangeableByOthers, SourceSilent):
        require_answer(str(folder), PATIENCE)
        with os.fdopen(open_own_file(folder / _LOCK), "rb") as file:
            said = file.read(_LONGEST_HOLDER).decode("utf-8", "backslashreplace").strip()
            if said:
                # Let go of at once; a run that begins now waits for as long.
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return said
    return ""
