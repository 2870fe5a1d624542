"""PATHs of a directory source: which members of each archive of a chain bring back just these.

A path's last content is the newest in the chain, because archives hold moved directories whole. What was deleted since
is known from the entries of the folders above, which every archive has all of; they are extracted for that, empty.
"""

from __future__ import annotations

import difflib
import os
import posixpath
from collections.abc import Sequence
from dataclasses import dataclass, field

from s3napback.errors import S3napbackError
from s3napback.recovery.folders import cursor, exists, file_names, go_to
from s3napback.recovery.members import lies_in
from s3napback.streams.tar_headers import Member

_MOST_NAMES = 2000
_MOST_NEAR = 5


class NoSuchPath(S3napbackError):
    """A PATH was not there on that day; the message names near ones."""


def members_of_paths(directory: str, paths: Sequence[str]) -> tuple[str, ...]:
    """The names that PATHs have in archives of a directory.

    Args:
        directory: the source's path.
        paths: absolute, or relative to the directory.

    Raises:
        NoSuchPath: one does not lie in the directory.
    """
    names = []
    for path in paths:
        # Names in archives are UTF-8, whatever the locale makes of the command line.
        text = os.fsencode(path).decode("utf-8", "surrogateescape")
        full = posixpath.normpath(posixpath.join(directory, text)).lstrip("/")
        top = directory.strip("/")
        if top and full != top and not full.startswith(f"{top}/"):
            raise NoSuchPath(f"{path} does not lie in {directory}")
        names.append(full)
    return tuple(dict.fromkeys(names))


def outermost(names: Sequence[str]) -> tuple[str, ...]:
    """Those names that do not lie in another one of them, in order."""
    return tuple(name for name in names if not any(lies_in(name, other) for other in names if other != name))


@dataclass
class PathSelection:
    """Chooses the members of one archive that matter to some paths.

    A hard link whose target was not chosen is left out at first and noted. For a second reading of the same archive,
    ``second_reading`` chooses what is still needed.

    Attributes:
        names: the paths, as archives name them.
        left_out: names of hard links that could not be made, with their targets.
        nearby: names from the archive's state that resemble the paths.
    """

    names: tuple[str, ...]
    left_out: dict[str, str] = field(default_factory=dict)
    nearby: dict[str, None] = field(default_factory=dict)
    is_second_reading: bool = False

    def __post_init__(self) -> None:
        self.above = {"/".join(name.split("/")[:depth]) for name in self.names for depth in range(name.count("/") + 1)}
        self.above.add("")
        self._basenames = {posixpath.basename(name).lower() for name in self.names}
        self._below = tuple(f"{name}/" for name in self.names)

    def chooses(self, member: Member) -> bool:
        """Whether a member is to be extracted."""
        if self.is_second_reading:
            return self._is_still_needed(member)
        self._note_names(member)
        if not self.wants(member.name):
            return member.is_directory and member.name in self.above
        if member.link_target and not self.wants(member.link_target):
            self.left_out[member.name] = member.link_target
            return False
        return True

    def second_reading(self) -> PathSelection:
        """Chooses the hard links that were left out, their targets, and once more the folders, for their times."""
        return PathSelection(self.names, self.left_out, is_second_reading=True)

    def wants(self, name: str) -> bool:
        """Whether it is one of the paths, or lies in one."""
        return name in self.names or name.startswith(self._below) or "" in self.names

    def _is_still_needed(self, member: Member) -> bool:
        if member.is_directory:
            return self.wants(member.name) or member.name in self.above
        return member.name in self.left_out or member.name in self.left_out.values()

    def _note_names(self, member: Member) -> None:
        for name in (member.name, *(posixpath.join(member.name, entry) for entry in member.entries)):
            folder, _, base = name.rpartition("/")
            if len(self.nearby) < _MOST_NAMES and (base.lower() in self._basenames or folder in self.above):
                self.nearby[name] = None


def require_all(tree: int, selection: PathSelection) -> None:
    """Look whether every path was restored.

    Args:
        tree: descriptor of the folder that was extracted into.
        selection: of the newest archive.

    Raises:
        NoSuchPath: one was not.
    """
    with cursor(tree, is_own=True) as place:
        for name in selection.names:
            *folders, last = file_names(name) or ["."]
            if go_to(place, folders) and exists(last, place.descriptor):
                continue
            if name in selection.nearby:
                raise NoSuchPath(f"/{name} was there on that day, but Exclude left it out of the archives")
            raise NoSuchPath(f"/{name} was not there on that day{_near(name, list(selection.nearby))}")


def _near(name: str, known: Sequence[str]) -> str:
    by_path = difflib.get_close_matches(name, known, _MOST_NEAR, 0.6)
    base = posixpath.basename(name)
    same_base = [other for other in known if posixpath.basename(other).lower() == base.lower()]
    bases = {posixpath.basename(other): other for other in known}
    by_base = [bases[found] for found in difflib.get_close_matches(base, bases, _MOST_NEAR, 0.6)]
    near = [other for other in dict.fromkeys([*by_path, *same_base, *by_base]) if other][:_MOST_NEAR]
    if not near:
        return ""
    return "; near it are: " + ", ".join(f"/{other}" for other in near)
