"""Folders of a tree by descriptors, reached without following a link, and few of them opened again for the next one."""

from __future__ import annotations

import os
from itertools import takewhile
from types import TracebackType

from s3napback.scarcity import folders_kept

_MOST_KEPT = 48
"""Folders of one path that are kept open: a user can nest more of them than a process may have files open."""


class Walk:
    """Opens folders below a directory. A context manager."""

    def __init__(self, top: str, *, follows: bool) -> None:
        """Describe it.

        Args:
            top: absolute, without symbolic links.
            follows: links to folders are gone through, as tar with ``--dereference`` does.
        """
        self._top = os.fsencode(top)
        self._flags = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC | (0 if follows else os.O_NOFOLLOW)
        self._names: list[bytes] = []
        self._open: list[int] = []
        self._deep = -1
        self._kept = folders_kept(_MOST_KEPT)

    def __enter__(self) -> Walk:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.begin_anew()

    def begin_anew(self) -> None:
        """Keep no folder open: what was reached before may have been moved."""
        self._names.clear()
        self._close_from(0)

    def folder(self, path: bytes) -> int:
        """A descriptor of a folder, which is good until the next call.

        Args:
            path: relative to the top, which is empty itself.

        Raises:
            OSError: it cannot be reached.
        """
        if not self._open:
            self._open_top()
        wanted = path.split(b"/") if path else []
        pairs = zip(self._names, wanted, strict=False)
        common = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        if common > self._kept and common < len(self._names):
            common = self._kept
        if common < len(self._names):
            del self._names[common:]
            self._close_from(common + 1)
        for name in wanted[common:]:
            self._descend(name)
        return self._current

    @property
    def _current(self) -> int:
        return self._deep if self._deep >= 0 else self._open[-1]

    def _open_top(self) -> None:
        descriptor = os.open("/", self._flags)
        self._open.append(descriptor)
        for name in filter(None, self._top.split(b"/")):
            descriptor = os.open(name, self._flags, dir_fd=self._open[0])
            os.close(self._open[0])
            self._open[0] = descriptor

    def _descend(self, name: bytes) -> None:
        descriptor = os.open(name, self._flags, dir_fd=self._current)
        self._names.append(name)
        if len(self._open) <= self._kept:
            self._open.append(descriptor)
            return
        if self._deep >= 0:
            os.close(self._deep)
        self._deep = descriptor

    def _close_from(self, place: int) -> None:
        if self._deep >= 0 and len(self._names) <= self._kept:
            os.close(self._deep)
            self._deep = -1
        while len(self._open) > place:
            os.close(self._open.pop())
