"""From the staging folder into place, by renames that follow no link."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

from s3napback.recovery.staging import Staging, UnusableTarget, require_empty
from s3napback.streams.environment import Family, child_environment

_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def publish(staging: Staging, where: Path, *, with_root: bool) -> None:
    """Move everything into an empty directory.

    Args:
        staging: inside ``where``.
        where: still empty apart from it.
        with_root: the root directory itself was restored, so ``where`` takes its owner, permissions and times.

    Raises:
        UnusableTarget: something has come into ``where`` meanwhile.
    """
    require_empty(where)
    with _failing(where), _opened(staging.tree) as source, _opened(where) as target:
        status = os.fstat(source)
        os.fchmod(source, 0o700)
        for name in _names(source):
            _rename(name, source, target)
        if with_root:
            _copy_facts(source, status, target)


def merge(staging: Staging, where: Path, restored: tuple[str, ...]) -> None:
    """Move everything into a directory with content: files take the place of files, folders are merged.

    Args:
        staging: inside ``where``.
        where: the live tree; nothing in it is deleted but files that restored ones replace.
        restored: what was restored, relative; folders above keep their owners, permissions and times.

    Raises:
        UnusableTarget: a folder and something else would change places; nothing was changed.
    """
    with _failing(where), _opened(staging.tree) as source, _opened(where) as target:
        if conflicts := list(_conflicts(source, target, "")):
            shown = ", ".join(str(where / name) for name in conflicts[:5])
            raise UnusableTarget(
                f"{len(conflicts)} of the restored folders have another kind of file, or a symbolic link, in their "
                f"place, or the other way round: {shown}. Nothing was changed; restore into an empty directory instead"
            )
        _Merging(restored).merge(source, target, "")


@contextmanager
def _failing(where: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        name = f": {os.fsdecode(error.filename)}" if error.filename else ""
        raise UnusableTarget(
            f"what was restored cannot be moved into {where}, where a part of it may be: {error.strerror}{name}"
        ) from error


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    # The path itself is what a person named, so links in it are followed.
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _opened_both(name: str, source: int, target: int) -> Iterator[tuple[int, int]]:
    with ExitStack() as stack:
        descriptors = []
        for parent in (source, target):
            descriptor = os.open(name, _FOLDER_FLAGS, dir_fd=parent)
            stack.callback(os.close, descriptor)
            descriptors.append(descriptor)
        yield descriptors[0], descriptors[1]


def _names(folder: int) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries)


def _mode(name: str, folder: int) -> int | None:
    """Type and permissions of an entry; None if there is none."""
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return None


def _conflicts(source: int, target: int, above: str) -> Iterator[str]:
    for name in _names(source):
        restored, live = _mode(name, source), _mode(name, target)
        if restored is None or live is None:
            continue
        if stat.S_ISDIR(restored) != stat.S_ISDIR(live):
            yield os.path.join(above, name)  # noqa: PTH118 - a name, not a path of a file
        elif stat.S_ISDIR(restored):
            with _opened_both(name, source, target) as (inner_source, inner_target):
                yield from _conflicts(inner_source, inner_target, os.path.join(above, name))  # noqa: PTH118


@dataclass(frozen=True)
class _Merging:
    restored: tuple[str, ...]

    def merge(self, source: int, target: int, above: str) -> None:
        for name in _names(source):
            path = f"{above}/{name}" if above else name
            mode = _mode(name, source)
            if mode is not None and stat.S_ISDIR(mode) and _mode(name, target) is not None:
                with _opened_both(name, source, target) as (inner_source, inner_target):
                    self.merge(inner_source, inner_target, path)
            else:
                _rename(name, source, target)
        if self._is_restored(above):
            _copy_facts(source, os.fstat(source), target)

    def _is_restored(self, path: str) -> bool:
        return any(not each or path == each or path.startswith(f"{each}/") for each in self.restored)


def _rename(name: str, source: int, target: int) -> None:
    try:
        os.rename(name, name, src_dir_fd=source, dst_dir_fd=target)
    except PermissionError:
        # A folder that its owner may not write to cannot be given another parent.
        mode = _mode(name, source)
        if mode is None or not stat.S_ISDIR(mode):
            raise
        os.chmod(name, stat.S_IMODE(mode) | 0o200, dir_fd=source)
        os.rename(name, name, src_dir_fd=source, dst_dir_fd=target)
        os.chmod(name, stat.S_IMODE(mode), dir_fd=target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _copy_across(name, source, target)


def _copy_across(name: str, source: int, target: int) -> None:
    """Another file system is mounted below WHERE: copy beside, then rename."""
    descriptors = f"/proc/{os.getpid()}/fd"
    beside = Path(tempfile.mkdtemp(prefix=".s3napback-", dir=f"{descriptors}/{target}"))
    try:
        subprocess.run(
            ["cp", "--archive", "--", f"{descriptors}/{source}/{name}", str(beside / "copy")],
            check=True,
            capture_output=True,
            env=child_environment(os.environ, Family.PLAIN),
        )
        os.rename(beside / "copy", name, dst_dir_fd=target)
    except subprocess.CalledProcessError as error:
        raise UnusableTarget(f"{name} cannot be copied to another file system: {error.stderr.decode()}") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _copy_facts(source: int, status: os.stat_result, target: int) -> None:
    """Give a folder the owner, permissions, times, lists of access rights and extended attributes of another."""
    if os.geteuid() == 0:
        os.fchown(target, status.st_uid, status.st_gid)
    attributes = {name: os.getxattr(source, name) for name in os.listxattr(source)}
    for name in os.listxattr(target):
        if name not in attributes and name.startswith(("user.", "system.posix_acl")):
            os.removexattr(target, name)
    os.fchmod(target, stat.S_IMODE(status.st_mode))
    for name, value in attributes.items():
        # Labels of the security system are the live system's own business where it does not take them.
        with suppress(OSError) if name.startswith("security.") else nullcontext():
            os.setxattr(target, name, value)
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
