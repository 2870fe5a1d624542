"""What keeps a restored tree from being merged into a live one: looked for before anything is changed.

A file that cannot be replaced would otherwise end the merging in its middle: one that is immutable or mounted, one in a
folder that is read-only or that belongs to somebody else.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import field

from s3napback.mounts import is_read_only
from s3napback.records import dataclass
from s3napback.recovery.file_flags import (
    APPEND_ONLY,
    IMMUTABLE,
    MOUNT_ROOT,
    flags_of,
    is_sealed,
    swapped_to,
)
from s3napback.recovery.folders import Cursor, entry_mode, names_in
from s3napback.recovery.private import tell_of_leftovers
from s3napback.recovery.room import CopyingRoom
from s3napback.recovery.staging import PREFIX

OF_ANOTHER_KIND = "a folder would meet another kind of file, or a symbolic link, or the other way round"

_READ_ONLY = "it lies in a file system that is mounted read-only, or in a read-only subvolume of Btrfs"
_SEALED = "it is encrypted (fscrypt), and its key is not there"


@dataclass(frozen=True)
class Obstacle:
    """Something in the way.

    Attributes:
        path: below WHERE.
        reason: why it cannot be replaced, or changed.
    """

    path: str
    reason: str


@dataclass
class MergeSurvey:
    """A look at both trees before they are merged.

    Attributes:
        count: files and folders that will be put into place, those in folders that are new apart.
        room: what will be copied to file systems that are mounted in WHERE.
    """

    source: Cursor
    target: Cursor
    count: int = 0
    room: CopyingRoom = field(default_factory=CopyingRoom)
    _swapped_to: frozenset[tuple[int, int]] = field(default_factory=swapped_to)

    def obstacles(self, parts: Sequence[str]) -> Iterator[Obstacle]:
        """What is in the way of one name, on the way to it, and below it.

        Args:
            parts: the name, as folders and the last one.

        Raises:
            OSError: something cannot be looked at.
        """
        for depth, name in enumerate(parts):
            is_last = depth + 1 == len(parts)
            found = self._meeting(name, changes=is_last)
            if isinstance(found, Obstacle):
                yield found
            if found is not None:
                break
            if (obstacle := self._entered(name, changes=is_last)) is not None:
                yield obstacle
                break
        else:
            yield from self._below()
        while self.source.depth:
            self.source.leave()
            self.target.leave()

    def _entered(self, name: str, *, changes: bool) -> Obstacle | None:
        """Go into a folder, on both sides; what is in the way of it, or of what is to be put there.

        Args:
            changes: it shall be changed itself.
        """
        self.source.enter(name)
        self.target.enter(name)
        folder = self.target.descriptor
        reason = _SEALED if is_sealed(folder) else _READ_ONLY if changes and is_read_only(folder) else ""
        return Obstacle("/".join(self.target.names), reason) if reason else None

    def _below(self) -> Iterator[Obstacle]:
        top = self.source.depth
        waiting = [self._listed()]
        while waiting:
            if not waiting[-1]:
                waiting.pop()
                if waiting:
                    self.source.leave()
                    self.target.leave()
                continue
            name = waiting[-1].pop()
            found = self._meeting(name, changes=True)
            if isinstance(found, Obstacle):
                yield found
            elif found is None:
                obstacle = self._entered(name, changes=True)
                if obstacle is not None:
                    yield obstacle
                waiting.append([] if obstacle else self._listed())
        if self.source.depth != top:
            raise AssertionError("the walk ends where it began")

    def _listed(self) -> list[str]:
        """Names of what is to be put into the folder. Copies that a run made beside their places may be left in it."""
        tell_of_leftovers(self.target.descriptor, PREFIX)
        return names_in(self.source.descriptor)

    def _meeting(self, name: str, *, changes: bool) -> Obstacle | bool | None:
        """What happens at one name: an obstacle, or nothing to look at any more (True), or None: two folders meet."""
        restored, live = entry_mode(name, self.source.descriptor), entry_mode(name, self.target.descriptor)
        if restored is None:
            return True
        self.count += 1
        path = "/".join((*self.target.names, name))
        if live is None or not stat.S_ISDIR(restored):
            self.room.count(name, self.source, self.target)
        if live is None:
            reason = _no_place_in(self.target.descriptor)
            return Obstacle(path, reason) if reason else True
        if stat.S_ISDIR(restored) != stat.S_ISDIR(live):
            return Obstacle(path, OF_ANOTHER_KIND)
        attributes = flags_of(name, self.target.descriptor)
        if stat.S_ISDIR(live):
            # Of folders on the way nothing is changed.
            reason = "it is immutable (chattr +i)" if changes and attributes & IMMUTABLE else ""
        else:
            folder = self.target.descriptor
            reason = (
                self._in_use(name) or _not_replaceable(attributes) or _no_place_in(folder) or _not_ours(name, folder)
            )
        if reason:
            return Obstacle(path, reason)
        return None if stat.S_ISDIR(live) else True

    def _in_use(self, name: str) -> str:
        if not self._swapped_to:
            return ""
        live = os.lstat(name, dir_fd=self.target.descriptor)
        return "the system swaps to it (swapoff)" if (live.st_dev, live.st_ino) in self._swapped_to else ""


def _not_replaceable(attributes: int) -> str:
    if attributes & MOUNT_ROOT:
        return "something is mounted on it"
    if attributes & IMMUTABLE:
        return "it is immutable (chattr +i)"
    return "it can only be appended to (chattr +a)" if attributes & APPEND_ONLY else ""


def _not_ours(name: str, folder: int) -> str:
    """Why an entry of a folder in which everybody keeps to the own files cannot be replaced (``unlink(2)``, EPERM)."""
    user, above = os.geteuid(), os.fstat(folder)
    if not user or not above.st_mode & stat.S_ISVTX or user in (above.st_uid, os.lstat(name, dir_fd=folder).st_uid):
        return ""
    return "it belongs to somebody else, in a folder with the sticky bit"


def _no_place_in(folder: int) -> str:
    """Why entries of a folder cannot be made or replaced; empty if nothing speaks against it."""
    if is_read_only(folder):
        return _READ_ONLY
    if attributes := flags_of("", folder) & (IMMUTABLE | APPEND_ONLY):
        return f"its folder is {'immutable (chattr +i)' if attributes & IMMUTABLE else 'append-only (chattr +a)'}"
    is_locked = not os.access(f"/proc/self/fd/{folder}", os.W_OK | os.X_OK, effective_ids=True)
    # A folder of one's own is opened for as long as it takes.
    if is_locked and os.fstat(folder).st_uid != os.geteuid():
        return "its folder belongs to somebody else, and nothing may be put there"
    return ""
