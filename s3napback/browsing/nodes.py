"""One name in a tree as a restore of that day would bring it, and the paths that name it. Pure.

A path is relative to the source, which is empty itself: the bytes that the file system has.
"""

from __future__ import annotations

from typing import NamedTuple

from s3napback.index.lines import BLOCK, CHARACTER, FILE, FOLDER, LINK, PIPE, SYMLINK
from s3napback.streams.tar_headers import plain_name

LETTERS = {FILE: "-", LINK: "-", SYMLINK: "l", CHARACTER: "c", BLOCK: "b", FOLDER: "d", PIPE: "p"}
"""What ``ls`` writes in front of permissions."""

IS_FOLDER = "d"
IS_SYMLINK = "l"
IS_FILE = "-"

THERE, OLDER, MISSING = 0, 1, 2
"""It is as it was that night; it was not read that night, and what comes back is from an older archive; it was not
read, and nothing comes back."""


class Node(NamedTuple):
    """A name with what lies under it.

    Attributes:
        folder: in which it lies.
        name: within that.
        letter: its type, one of ``LETTERS``; a hard link is what it leads to.
        mode: its permissions.
        size: bytes of a file's content, or of what a symbolic link says.
        seconds: of its modification, since 1970.
        more: what a symbolic link leads to, or a device's numbers.
        state: ``THERE`` and so on. Of what is missing nothing else is known than its name.
    """

    folder: bytes
    name: bytes
    letter: str
    mode: int
    owner: int
    group: int
    size: int
    seconds: int
    nanoseconds: int
    more: bytes
    state: int

    @property
    def path(self) -> bytes:
        """Relative to the source."""
        return joined(self.folder, self.name)

    @property
    def what(self) -> tuple[object, ...]:
        """All but the name and the state; a folder's time follows from what was put into it, and is left out."""
        return self[2:7] if self.letter == IS_FOLDER else self[2:10]


class MemberRow(NamedTuple):
    """A member of an archive that is no folder.

    Attributes:
        name: within its folder.
        kind: ``FILE`` and so on.
        more: what a link leads to, or a device's numbers; empty of a file.
    """

    name: bytes
    kind: bytes
    mode: int
    owner: int
    group: int
    size: int
    seconds: int
    nanoseconds: int
    more: bytes


class FolderRow(NamedTuple):
    """A folder in an archive, by its relative path."""

    path: bytes
    mode: int
    owner: int
    group: int
    seconds: int
    nanoseconds: int


def joined(folder: bytes, name: bytes) -> bytes:
    """The path of a name in a folder."""
    return b"%s/%s" % (folder, name) if folder else name


def split(path: bytes) -> tuple[bytes, bytes]:
    """The folder and the name of a path."""
    folder, _, name = path.rpartition(b"/")
    return folder, name


def lies_within(path: bytes, folder: bytes) -> bool:
    """Whether a path is a folder or lies below it."""
    return not folder or path == folder or path.startswith(folder + b"/")


def relative(path: bytes, top: bytes) -> bytes | None:
    """The path of a member.

    Args:
        path: as it stands in the archive.
        top: the source as archives name it, without slashes at its ends; empty for the root directory.

    Returns:
        None if it does not lie in the source.
    """
    if not path.startswith((b"/", b".")) and b"/." not in path and b"//" not in path:
        plain = path.rstrip(b"/")
    else:
        plain = plain_name(path.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
    if not top:
        return plain
    if plain == top:
        return b""
    return plain[len(top) + 1 :] if plain.startswith(top + b"/") else None
