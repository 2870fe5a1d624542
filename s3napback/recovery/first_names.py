"""First names of files with several, which wait in folders of our own for the others to be made."""

from __future__ import annotations

import errno
import os
from contextlib import ExitStack
from dataclasses import field
from itertools import count

from s3napback.records import dataclass
from s3napback.recovery.private import private_folder


@dataclass
class FirstNames:
    """What was copied of files with several names, by the device and the number that each of them had.

    Attributes:
        stack: holds the folders in which they wait.
        prefix: how the names of these folders begin.
    """

    stack: ExitStack
    prefix: str
    _kept: dict[tuple[int, int], tuple[int, str]] = field(default_factory=dict)
    _lone: dict[tuple[int, int], str] = field(default_factory=dict)
    _pools: dict[int, list[int]] = field(default_factory=dict)
    _numbers: count[int] = field(default_factory=count)

    def why_lone(self, file: tuple[int, int]) -> str:
        """Why a copy that was made of a file got no name to wait under; empty if none was made, or it got one."""
        return "" if file in self._kept else self._lone.get(file, "")

    def link(self, file: tuple[int, int], folder: int, name: str) -> bool:
        """Make another name of the copy of a file; whether one waits.

        Raises:
            OSError: that was not possible.
        """
        found = self._kept.get(file)
        if found is not None:
            os.link(found[1], name, src_dir_fd=found[0], dst_dir_fd=folder, follow_symlinks=False)
        return found is not None

    def keep(self, file: tuple[int, int], folder: int, name: str, target: int) -> None:
        """Have a copy wait.

        Args:
            file: device and number of what it is a copy of.
            folder: descriptor of the folder that it lies in.
            name: of it there.
            target: descriptor of the folder that it comes to.
        """
        kept = str(next(self._numbers))
        try:
            self._kept[file] = self._pooled(folder, name, kept, target), kept
        except OSError as error:
            self._lone[file] = error.strerror or str(error)

    def _pooled(self, folder: int, name: str, kept: str, target: int) -> int:
        """Give a copy the name under which it waits, in a folder where it can have one: the folder's descriptor.

        A device may have several parts from one to another of which no name can lead: its mounts, and trees of a
        project or a key of their own.
        """
        pools = self._pools.setdefault(os.fstat(folder).st_dev, [])
        for pool in pools:
            try:
                os.link(name, kept, src_dir_fd=folder, dst_dir_fd=pool, follow_symlinks=False)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
            else:
                return pool
        parent = os.dup(target)
        self.stack.callback(os.close, parent)
        pools.append(self.stack.enter_context(private_folder(parent, self.prefix))[1])
        os.link(name, kept, src_dir_fd=folder, dst_dir_fd=pools[-1], follow_symlinks=False)
        return pools[-1]
