"""Whether file systems that are mounted in WHERE have room for what will be copied there, counted before anything is.

What is replaced gives its room back, but only when its copy lies beside it already; and a file with several names is
copied once. So the copies are gone through in the order in which they will be made.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from dataclasses import field

from s3napback.formatting import counted, human_bytes
from s3napback.mounts import current_mounts
from s3napback.records import dataclass
from s3napback.recovery.file_flags import mount_number
from s3napback.recovery.folders import Cursor, cursor, exists, walk

_ASIDE = 2  # folders in which a copy, and the first names of files, lie meanwhile


@dataclass
class _Disk:
    """A file system that is copied to.

    Attributes:
        path: below WHERE, of the folder by which it was met.
        block: bytes that it gives to a file at a time.
        free: bytes and entries for which there is room.
        taken: what the copies so far take of both.
        most: the most that they took at one time.
    """

    path: str
    block: int
    free: tuple[int, int]
    taken: tuple[int, int] = (0, 0)
    most: tuple[int, int] = (0, 0)
    _copied: set[tuple[int, int]] = field(default_factory=set)
    _names_left: dict[tuple[int, int], int] = field(default_factory=dict)

    def take(self, status: os.stat_result) -> None:
        """Something is copied there."""
        if status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode):
            if (status.st_dev, status.st_ino) in self._copied:
                return
            self._copied.add((status.st_dev, status.st_ino))
        blocks = -(-status.st_blocks * 512 // self.block)
        self.taken = self.taken[0] + blocks * self.block, self.taken[1] + 1
        self.most = max(self.most[0], self.taken[0]), max(self.most[1], self.taken[1])

    def give_back(self, status: os.stat_result) -> None:
        """Something is replaced, which goes with the last of its names."""
        if status.st_nlink > 1:
            file = status.st_dev, status.st_ino
            self._names_left[file] = self._names_left.get(file, status.st_nlink) - 1
            if self._names_left[file]:
                return
        self.taken = self.taken[0] - status.st_blocks * 512, self.taken[1] - 1


@dataclass
class CopyingRoom:
    """What will be copied, because it cannot be renamed from one mount, or device, to another."""

    _disks: dict[str, _Disk] = field(default_factory=dict)
    # Subvolumes of Btrfs have a device number each, and their room together.
    _devices: dict[int, str] = field(default_factory=lambda: {mount.number: mount.device for mount in current_mounts()})

    def count(self, name: str, source: Cursor, target: Cursor) -> None:
        """Count one name, with all that is below it where it is a folder.

        Args:
            name: of it.
            source: stands where it is.
            target: stands where it will be.

        Raises:
            OSError: something cannot be looked at.
        """
        folder, device = target.descriptor, os.fstat(target.descriptor).st_dev
        mount = mount_number(folder)
        if device == os.fstat(source.descriptor).st_dev and mount == mount_number(source.descriptor):
            return
        key = self._devices.get(mount, str(device))
        if key not in self._disks:
            self._disks[key] = _Disk("/".join(target.names), *_room_of(folder))
        disk = self._disks[key]
        for status in _all_of(name, source.descriptor):
            disk.take(status)
        if exists(name, folder):
            disk.give_back(os.lstat(name, dir_fd=folder))

    def wanting(self) -> Iterator[tuple[str, str]]:
        """After all was counted: of each file system without room, the path below WHERE, and why."""
        for disk in self._disks.values():
            size, entries = disk.most[0] + _ASIDE * disk.block, disk.most[1] + _ASIDE
            if size > disk.free[0]:
                yield (
                    disk.path,
                    f"there is room for {human_bytes(disk.free[0])}, and {human_bytes(size)} are to come there",
                )
            elif entries > disk.free[1]:
                yield (
                    disk.path,
                    f"there is room for {counted(disk.free[1], 'file')} (df -i), and {entries} are to come there",
                )


def _room_of(folder: int) -> tuple[int, tuple[int, int]]:
    """Of a folder's file system: its block, and the bytes and entries that are free. Without bounds it tells none."""
    room = os.fstatvfs(folder)
    # What is kept for root is root's to fill, as tar would.
    blocks, entries = (room.f_bavail, room.f_favail) if os.geteuid() else (room.f_bfree, room.f_ffree)
    free = blocks * room.f_frsize if room.f_blocks else sys.maxsize
    return room.f_frsize or 1, (free, entries if room.f_files else sys.maxsize)


def _all_of(name: str, folder: int) -> Iterator[os.stat_result]:
    status = os.lstat(name, dir_fd=folder)
    yield status
    if not stat.S_ISDIR(status.st_mode):
        return
    with cursor(folder, is_own=True) as place:
        place.enter(name)
        for step in walk(place.descriptor):
            if step.place.depth and not step.left:
                yield os.fstat(step.place.descriptor)
            yield from (os.lstat(each, dir_fd=step.place.descriptor) for each in step.others)
