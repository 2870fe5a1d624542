"""What the index of the archive that a DIFF builds on says of one directory."""

from __future__ import annotations

from functools import cached_property

from s3napback.index.parent import ParentIndex
from s3napback.index.records import DIRECTORY, Part


class NamesBefore:
    """Looks names of one directory up in the parent's index, which come in order."""

    def __init__(self, parent: ParentIndex | None, path: bytes) -> None:
        self._parent = parent
        self._path = path
        self._part = Part(())
        self._first = b""
        self._beyond: bytes | None = b""

    def part_of(self, name: bytes) -> Part:
        """The part in which a name would stand; an empty one if there is none."""
        if self._parent is None:
            return self._part
        if name < self._first or (self._beyond is not None and name >= self._beyond):
            self._part, self._beyond = self._parent.part(self._path, name)
            self._first = self._part.entries[0][1:] if self._part.entries else b""
        return self._part

    @cached_property
    def has_lapsed(self) -> bool:
        """Whether the directory, or one above it, could not be read for the parent, which knows no names of it then.

        Archives before that may hold some. A directory that was empty counts as well.
        """
        if self._parent is None:
            return False
        path, name = self._path, b""
        while not self._parent.holds(path):
            if not path:
                return False
            path, _, name = path.rpartition(b"/")
        return bool(name) and self._parent.part(path, name)[0].look_up(name)[0] == DIRECTORY
