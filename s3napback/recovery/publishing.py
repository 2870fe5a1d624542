"""From the staging folder into place: what was asked for and nothing else, by renames that follow no link."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path

from s3napback.formatting import readable
from s3napback.recovery.folders import OPEN_FOLDER, Cursor, cursor, file_names, names_in, private_folder
from s3napback.recovery.staging import Staging, UnusableTarget, require_empty_folder
from s3napback.streams.confinement import start_confined
from s3napback.streams.environment import Family, child_environment

_MOST_SHOWN = 5
_COPY = "copy"


def publish(staging: Staging, top: str, names: Sequence[str], *, in_place: bool) -> None:
    """Move what was asked for into WHERE.

    Files take the place of files, folders are merged; nothing is deleted but files that restored ones replace. Folders
    above what was asked for that are there already keep their owners, permissions and times.

    Args:
        staging: inside WHERE.
        top: the source's name in archives; empty is the root directory.
        names: what was asked for, as archives name it; it lies in ``top``.
        in_place: WHERE may hold something.

    Raises:
        UnusableTarget: something has come into WHERE meanwhile, or a folder and something else would change places;
            nothing was changed. Or it cannot be moved, and a part of it may have been.
    """
    if not in_place:
        require_empty_folder(staging.target, staging.where)
    sides = cursor(staging.tree, is_own=True), cursor(staging.target)
    with sides[0] as source, sides[1] as target, _failing(staging.where, target):
        if conflicts := [each for name in names for each in _conflicts(source, target, file_names(name))]:
            shown = ", ".join(str(staging.where / name) for name in conflicts[:_MOST_SHOWN])
            raise UnusableTarget(
                f"{len(conflicts)} of the restored folders have another kind of file, or a symbolic link, in their "
                f"place, or the other way round: {shown}. Nothing was changed; restore into an empty directory instead"
            )
        for name in names:
            _Move(source, target, len(file_names(top))).move(file_names(name))


@contextmanager
def _failing(where: Path, place: Cursor) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        name = [os.fsdecode(error.filename)] if isinstance(error.filename, str | bytes) else []
        raise UnusableTarget(
            f"what was restored cannot be moved into {where}, where a part of it may be: {error.strerror}: "
            f"{where.joinpath(*place.names, *name)}"
        ) from error


def _mode(name: str, folder: int) -> int | None:
    """Type and permissions of an entry; None if there is none."""
    try:
        return os.lstat(name, dir_fd=folder).st_mode
    except FileNotFoundError:
        return None


def _conflicts(source: Cursor, target: Cursor, parts: Sequence[str]) -> Iterator[str]:
    """Names at which a folder would meet something else; all of the way to what was asked for, and below it."""
    for depth, name in enumerate(parts):
        restored, live = _mode(name, source.descriptor), _mode(name, target.descriptor)
        if restored is None or live is None:
            break
        if stat.S_ISDIR(restored) != stat.S_ISDIR(live):
            yield "/".join(parts[: depth + 1])
            break
        if not stat.S_ISDIR(live):
            break
        source.enter(name)
        target.enter(name)
    else:
        yield from _conflicts_below(source, target)
    while source.depth:
        source.leave()
        target.leave()


def _conflicts_below(source: Cursor, target: Cursor) -> Iterator[str]:
    top = source.depth
    waiting = [names_in(source.descriptor)]
    while waiting:
        if not waiting[-1]:
            waiting.pop()
            if waiting:
                source.leave()
                target.leave()
            continue
        name = waiting[-1].pop()
        restored, live = _mode(name, source.descriptor), _mode(name, target.descriptor)
        if restored is None or live is None:
            continue
        if stat.S_ISDIR(restored) != stat.S_ISDIR(live):
            yield "/".join((*source.names, name))
        elif stat.S_ISDIR(restored):
            source.enter(name)
            target.enter(name)
            waiting.append(names_in(source.descriptor))
    if source.depth != top:
        raise AssertionError("the walk ends where it began")


@dataclass(frozen=True)
class _Frame:
    """A folder that is being merged.

    Attributes:
        restored: its facts in the staging folder, before anything was moved out of it.
        live: its facts in WHERE, before anything was moved into it.
        names: what is still to be moved.
        keeps_facts: the folder in WHERE keeps its owner, permissions and times.
    """

    restored: os.stat_result
    live: os.stat_result
    names: list[str]
    keeps_facts: bool


@dataclass
class _Move:
    """Moves one name, and what lies below it.

    Attributes:
        source: stands at the top of the restored tree.
        target: stands at the top of WHERE.
        above: so many folders lie above the source; no archive tells their facts.
    """

    source: Cursor
    target: Cursor
    above: int
    _frames: list[_Frame] = field(default_factory=list)

    def move(self, parts: Sequence[str]) -> None:
        for name in parts[:-1]:
            self._go_down(name)
        if parts:
            self._move_one(parts[-1])
        else:
            self._begin(names_in(self.source.descriptor), keeps_facts=False)
        while self._frames:
            frame = self._frames[-1]
            if frame.names:
                self._move_one(frame.names.pop())
            else:
                self._finish(self._frames.pop())

    def _go_down(self, name: str) -> None:
        """Go to a folder above what was asked for, which is made where it is missing."""
        is_there = _mode(name, self.target.descriptor) is not None
        if not is_there:
            os.mkdir(name, 0o700, dir_fd=self.target.descriptor)
        self._enter(name)
        is_told = self.source.depth >= self.above
        if not is_there and not is_told:
            os.fchmod(self.target.descriptor, 0o755)
        self._begin([], keeps_facts=is_there or not is_told)

    def _move_one(self, name: str) -> None:
        mode = _mode(name, self.source.descriptor)
        if mode is not None and stat.S_ISDIR(mode) and _mode(name, self.target.descriptor) is not None:
            self._enter(name)
            self._begin(names_in(self.source.descriptor), keeps_facts=False)
        elif mode is not None:
            _rename(name, self.source.descriptor, self.target.descriptor)

    def _enter(self, name: str) -> None:
        self.source.enter(name)
        self.target.enter(name)

    def _begin(self, names: list[str], *, keeps_facts: bool) -> None:
        folders = self.source.descriptor, self.target.descriptor
        restored, live = map(os.fstat, folders)
        self._frames.append(_Frame(restored, live, names, keeps_facts))
        for folder, status in zip(folders, (restored, live), strict=True):
            if os.geteuid() and status.st_mode & 0o300 != 0o300:
                os.fchmod(folder, stat.S_IMODE(status.st_mode) | 0o700)

    def _finish(self, frame: _Frame) -> None:
        target = self.target.descriptor
        if not self.source.depth:
            _copy_facts_of_root(frame, target)
        elif not frame.keeps_facts:
            mode = frame.restored.st_mode if self.source.mode is None else self.source.mode
            _copy_facts(self.source.descriptor, frame.restored, stat.S_IMODE(mode), target)
        elif os.geteuid() and frame.live.st_mode & 0o300 != 0o300:
            os.fchmod(target, stat.S_IMODE(frame.live.st_mode))
        if self.source.depth:
            self.source.leave()
            self.target.leave()


def _rename(name: str, source: int, target: int) -> None:
    try:
        os.rename(name, name, src_dir_fd=source, dst_dir_fd=target)
    except PermissionError:
        # A folder that its owner may not write to cannot be given another parent.
        mode = _mode(name, source)
        if mode is None or not stat.S_ISDIR(mode):
            raise
        os.chmod(name, stat.S_IMODE(mode) | stat.S_IRWXU, dir_fd=source)
        os.rename(name, name, src_dir_fd=source, dst_dir_fd=target)
        folder = os.open(name, OPEN_FOLDER, dir_fd=target)
        try:
            os.fchmod(folder, stat.S_IMODE(mode))
        finally:
            os.close(folder)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _copy_across(name, source, target)


def _copy_across(name: str, source: int, target: int) -> None:
    """Another file system is mounted below WHERE: copy beside, then rename."""
    with private_folder(target, ".s3napback-") as (_beside, folder):
        command = ("cp", "--archive", "--", f"/proc/self/fd/{source}/{name}", _COPY)

        def copy(path: str) -> subprocess.CompletedProcess[bytes]:
            environment = child_environment(os.environ, Family.PLAIN)
            return subprocess.run(
                command, check=False, capture_output=True, env=environment, pass_fds=(source,), cwd=path
            )

        done = start_confined(folder, copy)
        if done.returncode:
            words = [f"  {readable(line)}" for line in done.stderr.splitlines()]
            raise UnusableTarget(f"{name} cannot be copied to another file system:", *words)
        os.rename(_COPY, name, src_dir_fd=folder, dst_dir_fd=target)


def _copy_facts_of_root(frame: _Frame, where: int) -> None:
    """Give WHERE the root directory's times and permissions, but nothing by which more people could enter it."""
    os.fchmod(where, stat.S_IMODE(frame.restored.st_mode & frame.live.st_mode))
    os.utime(where, ns=(frame.restored.st_atime_ns, frame.restored.st_mtime_ns))


def _copy_facts(source: int, status: os.stat_result, mode: int, target: int) -> None:
    """Give a folder the owner, permissions, times, lists of access rights and extended attributes of another."""
    if os.geteuid() == 0:
        os.fchown(target, status.st_uid, status.st_gid)
    attributes = {name: os.getxattr(source, name) for name in os.listxattr(source)}
    for name in os.listxattr(target):
        if name not in attributes and name.startswith(("user.", "system.posix_acl")):
            os.removexattr(target, name)
    for name, value in attributes.items():
        # Labels of the security system are the live system's own business where it does not take them.
        with suppress(OSError) if name.startswith("security.") else nullcontext():
            os.setxattr(target, name, value)
    # A list of access rights brings permissions along, which may be those that the folder was opened to us with.
    os.fchmod(target, mode)
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
