"""A place in a tree, where symbolic links stand for the folders that they lead to, as ``tar --dereference`` has it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from s3napback.recovery.folders import Cursor, cursor

_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_PASS = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC


class FollowingCursor(Cursor):
    """One that goes where links lead, and comes back by the way that it went."""

    def _inner(self, name: str) -> int:
        return _followed(name, self.descriptor)

    def _outer(self) -> int:
        # What a link leads to lies in another folder than the link.
        first, _identity = self._above[0]
        current = os.open(".", _OPEN, dir_fd=first)
        for name in self.names[:-1]:
            try:
                inner = _followed(name, current)
            finally:
                os.close(current)
            current = inner
        return current


def _followed(name: str, folder: int) -> int:
    try:
        return os.open(name, _OPEN, dir_fd=folder)
    except PermissionError:
        return os.open(name, _PASS, dir_fd=folder)


@contextmanager
def cursor_at(top: int, *, follows: bool) -> Iterator[Cursor]:
    """A cursor that stands in the folder ``top``, whose descriptor stays open, and changes nothing.

    Args:
        follows: see above; otherwise it follows no link.
    """
    if not follows:
        with cursor(top) as made:
            yield made
        return
    following = FollowingCursor(top)
    try:
        yield following
    finally:
        following.close()
