"""Which file systems lie below a directory, as the kernel lists them, and whether tar can rely on the holes they tell.

tar with ``--sparse`` takes a file to which no block belongs for one hole without reading it (``src/sparse.c``,
``sparse_scan_file_wholesparse``). Network and user-space file systems report no blocks, or too few, of files that do
have content: it would be archived as zeros, without a word.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

_MOUNTS = Path("/proc/self/mountinfo")


def _types(names: str) -> frozenset[str]:
    return frozenset(names.split())


_COUNTING_BLOCKS = _types(
    """bcachefs btrfs erofs exfat ext2 ext3 ext4 f2fs iso9660 jfs nilfs2 ntfs3 overlay ramfs reiserfs squashfs tmpfs
    udf vfat xfs zfs"""
)
_MADE_BY_THE_KERNEL = _types(
    """binfmt_misc bpf cgroup cgroup2 configfs debugfs devpts devtmpfs efivarfs fusectl hugetlbfs mqueue nsfs proc
    pstore rpc_pipefs securityfs selinuxfs sysfs tracefs"""
)
_ESCAPE = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True)
class Mount:
    """One line of the list.

    Attributes:
        point: absolute path.
        type: such as ``ext4`` or ``fuse.sshfs``.
        options: of the mount and of the file system.
    """

    point: str
    type: str
    options: frozenset[str] = frozenset()


def read_mounts(text: str) -> list[Mount]:
    """The mounts that the kernel's list names, in its order; see proc(5), ``/proc/PID/mountinfo``."""
    mounts = []
    for line in text.split("\n"):
        first, dash, second = line.partition(" - ")
        fields, about = first.split(" "), second.split(" ")
        if dash and len(fields) > 5 and len(about) > 2:
            options = frozenset({*fields[5].split(","), *about[2].split(",")})
            mounts.append(Mount(_ESCAPE.sub(lambda found: chr(int(found[1], 8)), fields[4]), about[0], options))
    return mounts


def tells_holes(path: str, *, one_file_system: bool) -> bool:
    """Whether every file system that an archive of ``path`` reads tells truly which files have holes.

    Args:
        path: absolute, without symbolic links.
        one_file_system: what is mounted below does not count.
    """
    user = os.geteuid()
    mounts = _current()
    return bool(mounts) and all(_tells_holes(mount, user) for mount in _read_from(mounts, path, one_file_system))


def mounted_within(path: str) -> list[str]:
    """The paths below ``path`` (absolute, without symbolic links) at which something is mounted now."""
    return [mount.point for mount in _current() if mount.point != path and _is_at_or_below(mount.point, path)]


def _current() -> list[Mount]:
    try:
        return read_mounts(os.fsdecode(_MOUNTS.read_bytes()))
    except OSError:
        return []


def _read_from(mounts: Sequence[Mount], path: str, one_file_system: bool) -> Iterator[Mount]:
    above = [mount for mount in mounts if _is_at_or_below(path, mount.point)]
    # Of mounts on the same place the last one is seen.
    yield max(reversed(above), key=lambda mount: len(mount.point), default=Mount(path, "unknown"))
    if not one_file_system:
        yield from (mount for mount in mounts if mount.point != path and _is_at_or_below(mount.point, path))


def _is_at_or_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _tells_holes(mount: Mount, user: int) -> bool:
    # The kernel keeps everybody but its owner out of what a user has mounted, also root, unless it is told otherwise.
    is_of_another = mount.type.startswith("fuse") and f"user_id={user}" not in mount.options
    if is_of_another and "allow_other" not in mount.options:
        return True
    return mount.type in _COUNTING_BLOCKS or mount.type in _MADE_BY_THE_KERNEL
