"""Which file systems lie below a directory, as the kernel lists them, and whether tar can rely on the holes they tell.

tar with ``--sparse`` takes a file to which no block belongs for one hole without reading it (``src/sparse.c``,
``sparse_scan_file_wholesparse``). Network and user-space file systems report no blocks, or too few, of files that do
have content: it would be archived as zeros, without a word. So do a few of this machine, of what they pack.
"""

from __future__ import annotations

import errno
import os
import posixpath
from collections.abc import Iterator, Sequence
from pathlib import Path

from s3napback.records import dataclass
from s3napback.regexes import regex

MOUNTS = Path("/proc/self/mountinfo")
"""The kernel's list of them."""


def _types(names: str) -> frozenset[str]:
    return frozenset(names.split())


_ORDINARY = _types(
    """bcachefs btrfs erofs exfat ext2 ext3 ext4 f2fs iso9660 jfs nilfs2 ntfs3 overlay ramfs reiserfs squashfs tmpfs
    udf vfat xfs zfs"""
)
_PACKING = frozenset(("erofs", "ntfs3", "udf"))
"""Those of them that count no blocks of files with content which lie within other blocks: at the end of an inode, of
several files together, or, with ntfs3, compressed by Windows."""

_LAYERS = ("lowerdir", "lowerdir+", "datadir+", "upperdir")
"""Options of overlayfs that say of which folders it is made; what these count is what it tells."""

_MADE_BY_THE_KERNEL = _types(
    """binfmt_misc bpf cgroup cgroup2 configfs debugfs devpts devtmpfs efivarfs fusectl hugetlbfs mqueue nsfs proc
    pstore rpc_pipefs securityfs selinuxfs sysfs tracefs"""
)
_ESCAPE = regex(r"\\([0-7]{3})")


@dataclass(frozen=True)
class Mount:
    """One line of the list.

    Attributes:
        point: absolute path.
        type: such as ``ext4`` or ``fuse.sshfs``.
        options: of the mount and of the file system.
        device: number of the file system's device, ``8:1``.
        root: what of the file system is seen there, as a path within it.
        number: of the mount itself.
    """

    point: str
    type: str
    options: frozenset[str] = frozenset()
    device: str = ""
    root: str = "/"
    number: int = 0


def read_mounts(text: str) -> list[Mount]:
    """The mounts that the kernel's list names, in its order; see proc(5), ``/proc/PID/mountinfo``."""
    mounts = []
    for line in text.split("\n"):
        first, dash, second = line.partition(" - ")
        fields, about = first.split(" "), second.split(" ")
        if dash and len(fields) > 5 and len(about) > 2:
            options = frozenset({*fields[5].split(","), *about[2].split(",")})
            number = int(fields[0]) if fields[0].isdecimal() else 0
            mounts.append(Mount(unescaped(fields[4]), about[0], options, fields[2], unescaped(fields[3]), number))
    return mounts


def unescaped(path: str) -> str:
    """A path as it is, of one that the kernel wrote into a list with octal escapes; see proc(5)."""
    return _ESCAPE.sub(lambda found: chr(int(found[1], 8)), path)


def tells_holes(path: str, *, one_file_system: bool) -> bool:
    """Whether every file system that an archive of ``path`` reads tells truly which files have holes.

    Args:
        path: absolute, without symbolic links.
        one_file_system: what is mounted below does not count.
    """
    user = os.geteuid()
    mounts = current_mounts()
    own = mount_of(path, mounts)
    if is_made_by_the_kernel(own):
        # Somebody wants what is in these files (pstore, efivarfs): the kernel counts no blocks of theirs.
        return False
    read = [own] if one_file_system else visible_within(path, mounts)
    return bool(mounts) and all(_tells_holes(mount, user) for each in read for mount in _with_layers(each, mounts))


def current_mounts() -> list[Mount]:
    """All that is mounted now, as far as this process can see it; nothing where there is no ``/proc``."""
    try:
        return read_mounts(os.fsdecode(MOUNTS.read_bytes()))
    except OSError:
        return []


def visible_within(path: str, mounts: Sequence[Mount]) -> Iterator[Mount]:
    """The mounts that are seen from a directory downwards, the first being its own."""
    yield mount_of(path, mounts)
    yield from (mount for mount in mounts if mount.point != path and is_at_or_below(mount.point, path))


def mount_of(path: str, mounts: Sequence[Mount]) -> Mount:
    """The file system on which a path lies: absolute, without symbolic links."""
    above = [mount for mount in mounts if is_at_or_below(path, mount.point)]
    # Of mounts on the same place the last one is seen.
    return max(reversed(above), key=lambda mount: len(mount.point), default=Mount(path, "unknown"))


def is_of_another_user(mount: Mount, user: int) -> bool:
    """Whether somebody else than ``user`` has mounted it with FUSE, and answers for it."""
    return mount.type.startswith("fuse") and f"user_id={user}" not in mount.options


def is_made_by_the_kernel(mount: Mount) -> bool:
    """Whether it holds no files, but what the kernel tells of itself."""
    return mount.type in _MADE_BY_THE_KERNEL


def is_of_this_machine(mount: Mount) -> bool:
    """Whether it is an ordinary file system, on which no other machine or program decides who may read what."""
    return mount.type in _ORDINARY


def maps_owners(mount: Mount) -> bool:
    """Whether it gives owners other numbers (mount_setattr(2), idmapped mounts), and those without one to nobody."""
    return "idmapped" in mount.options


def may_number_alike(mount: Mount) -> bool:
    """Whether different files on it may have one number, as it may show several file systems of elsewhere as one."""
    return not (is_of_this_machine(mount) or is_made_by_the_kernel(mount))


def is_at_or_below(path: str, folder: str) -> bool:
    """Whether a path is a folder's, or lies in it; both normalised."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _tells_holes(mount: Mount, user: int) -> bool:
    # The kernel keeps everybody but its owner out of what a user has mounted, also root, unless it is told otherwise.
    if is_of_another_user(mount, user) and "allow_other" not in mount.options:
        return True
    return (is_of_this_machine(mount) and mount.type not in _PACKING) or is_made_by_the_kernel(mount)


def _with_layers(mount: Mount, mounts: Sequence[Mount]) -> Iterator[Mount]:
    """A mount, and those of which it is made, as far as they are seen here: in a container they are not."""
    found = {mount.point: mount}
    waiting = [mount]
    while waiting:
        each = waiting.pop()
        yield each
        for path in _layers(each) if each.type == "overlay" else ():
            layer = mount_of(path, mounts)
            if layer.point not in found:
                found[layer.point] = layer
                waiting.append(layer)


def _layers(mount: Mount) -> Iterator[str]:
    for option in mount.options:
        name, _, value = option.partition("=")
        if name in _LAYERS:
            yield from (posixpath.normpath(unescaped(path)) for path in value.split(":") if path.startswith("/"))


def is_read_only(folder: str | int) -> bool:
    """Whether nobody can change anything in a folder: so it is mounted, or is such a subvolume of Btrfs.

    Args:
        folder: its path, or its descriptor.

    Raises:
        OSError: it cannot be looked at.
    """
    if os.statvfs(folder).f_flag & os.ST_RDONLY:
        return True
    # Of subvolumes nothing else tells. Python does not say why something is not allowed.
    path = folder if isinstance(folder, str) else f"/proc/self/fd/{folder}"
    return not os.access(path, os.W_OK, effective_ids=True) and _access_error(path) == errno.EROFS


def _access_error(path: str) -> int:
    import ctypes  # noqa: PLC0415 - loaded only where it is used

    return ctypes.get_errno() if ctypes.CDLL(None, use_errno=True).access(os.fsencode(path), os.W_OK) else 0
