"""PATHs of a directory source: which members of each archive of a chain bring back just these.

A path's last content is the newest in the chain, because archives hold moved directories whole. What was deleted since
is known from the entries of the folders above, which every archive has all of; they are extracted for that, empty.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import field, replace

from s3napback.archives import NOTHING_UNREAD, Unread
from s3napback.errors import S3napbackError
from s3napback.formatting import alike, twin, twin_text
from s3napback.records import dataclass
from s3napback.recovery.folders import Cursor, cursor, exists, go_to, reached
from s3napback.recovery.members import Bystanders, Gate, Passed, lies_in
from s3napback.recovery.opening.failures import Damaged
from s3napback.streams.findings import Finding
from s3napback.streams.tar_headers import Member
from s3napback.streams.transformations import Block

_MOST_NAMES = 2000
_MOST_NEAR = 5
_CHOICE = "the choice of members"
_MOST_LEFT_OUT = 1 << 28  # bytes of memory, of hard links to what was not chosen; about a million of them
_EACH = 256


NOT_ARCHIVED = "was there on that day, but Exclude left it out of the archives, or it is a socket, which none holds"
"""What is said of a name that was listed and is in no archive."""
_NO_FOLDER = (
    "was there on that day, but is a link or a file, below which nothing lies, or Exclude left it out: ls shows it"
)
"""What is said of a name above a PATH that did not come with it."""


class NoSuchPath(S3napbackError):
    """A PATH was not there on that day; the message names near ones."""

    @classmethod
    def within(cls, path: str, holder: str) -> NoSuchPath:
        """The error that a path stands for a source, but lies in one, and that a PATH follows it.

        Args:
            path: it.
            holder: the source in which it lies.
        """
        return cls(f"{path} is no source, but lies in {holder}: name that, and the path behind it")


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


@dataclass(frozen=True)
class WantedPaths:
    """What is wanted of a directory.

    Attributes:
        names: the paths, as archives name them; none is everything.
        above: names of the folders above them.
        basenames: their last parts, in small letters.
        unread: what of the directory could not be read that night.
    """

    names: tuple[str, ...]
    above: frozenset[str]
    basenames: frozenset[str]
    _below: tuple[str, ...]
    unread: Unread = NOTHING_UNREAD

    @classmethod
    def of(cls, names: tuple[str, ...], unread: Unread = NOTHING_UNREAD) -> WantedPaths:
        """The paths of these names."""
        above = {"/".join(name.split("/")[:depth]) for name in names for depth in range(name.count("/") + 1)}
        basenames = {posixpath.basename(name).lower() for name in names}
        return cls(names, frozenset({*above, ""}), frozenset(basenames), tuple(f"{name}/" for name in names), unread)

    def alone(self) -> WantedPaths:
        """The same without what lies in them."""
        return replace(self, _below=())

    def include(self, name: str) -> bool:
        """Whether it is one of the paths, or lies in one."""
        return name in self.names or name.startswith(self._below) or "" in self.names

    def concerns(self, name: str) -> bool:
        """Whether it is wanted, or a folder on the way to what is."""
        return self.include(name) or name in self.above

    def resemble(self, name: str) -> bool:
        """Whether a person may have meant it with one of the paths."""
        folder, _, base = name.rpartition("/")
        return base.lower() in self.basenames or folder in self.above

    def may_resemble_one_in(self, folder: str, listed: bytes) -> bool:
        """Whether ``resemble`` is worth asking for what a folder held, of which there may be a million.

        Args:
            folder: its name.
            listed: what it held, as tar lists it.
        """
        if folder in self.above or not listed.isascii():
            return True
        lowered = listed.decode().lower()
        return any(name in lowered for name in self.basenames)


@dataclass(frozen=True)
class Reading:
    """What one reading of an archive found.

    Attributes:
        passed: what was noticed of the members that were passed on.
        left_out: names of hard links that could not be made, with their targets, which were not chosen.
        nearby: names from the archive's state that resemble the paths.
    """

    passed: Passed = field(default_factory=Passed)
    left_out: Mapping[str, str] = field(default_factory=dict)
    nearby: Sequence[str] = ()


def whole_reading(gate: Gate) -> Finding[Reading]:
    """Everything passes."""

    def read(blocks: Iterator[memoryview]) -> Generator[Block, None, Reading]:
        return Reading((yield from gate.whole(blocks)))

    return Finding("the look at the archive's members", read)


def first_reading(gate: Gate, wanted: WantedPaths) -> Finding[Reading]:
    """What matters to the paths passes, but for hard links to what does not."""

    def read(blocks: Iterator[memoryview]) -> Generator[Block, None, Reading]:
        choice = _Choice(wanted)
        others = Bystanders(chosen=False, among=choice.passes_over, noticed=wanted.basenames)
        passed = yield from gate.chosen(blocks, choice.takes, concerns=wanted.concerns, passes=others)
        return Reading(passed, choice.left_out, tuple(choice.nearby))

    return Finding(_CHOICE, read)


def second_reading(gate: Gate, wanted: WantedPaths, left_out: Mapping[str, str]) -> Finding[Reading]:
    """The hard links that were left out pass, their targets, and once more the folders, for their times.

    A DIFF can hold a name twice, as what its first tar took and as what was added: of links the last counts, and what
    an earlier one leads to may not be among these targets.
    """
    needed = {*left_out, *left_out.values()}
    others = Bystanders(chosen=False, noticed=frozenset(posixpath.basename(name).lower() for name in needed))

    def takes(member: Member) -> bool:
        if member.is_directory:
            return wanted.include(member.name) or member.name in wanted.above
        if member.link_target:
            return left_out.get(member.name) == member.link_target
        return member.name in needed

    def read(blocks: Iterator[memoryview]) -> Generator[Block, None, Reading]:
        return Reading((yield from gate.chosen(blocks, takes, concerns=wanted.concerns, passes=others)))

    return Finding(_CHOICE, read)


@dataclass
class _Choice:
    """The choice from one archive. Lives within the generator that reads it."""

    wanted: WantedPaths
    left_out: dict[str, str] = field(default_factory=dict)
    nearby: dict[str, None] = field(default_factory=dict)
    _size: int = 0

    def takes(self, member: Member) -> bool:
        self._note_names(member)
        if not self.wanted.include(member.name):
            return member.is_directory and member.name in self.wanted.above
        if member.link_target and not self.wanted.include(member.link_target):
            self._leave_out(member)
            return False
        return True

    def passes_over(self, folder: str) -> bool:
        """Whether ordinary files in a folder matter to nobody, but for those that are called like what is wanted."""
        is_full = len(self.nearby) >= _MOST_NAMES
        return (is_full or folder not in self.wanted.above) and not self.wanted.include(folder)

    def _leave_out(self, member: Member) -> None:
        self.left_out[member.name] = member.link_target
        self._size += _EACH + len(member.name) + len(member.link_target)
        if self._size > _MOST_LEFT_OUT:
            raise Damaged(
                f"it holds so many hard links to what was not asked for (more than {len(self.left_out) - 1}) that they "
                "cannot be remembered: restore the whole directory instead of PATHs"
            )

    def _note_names(self, member: Member) -> None:
        names = [member.name]
        if member.dumpdir and self.wanted.may_resemble_one_in(member.name, member.dumpdir):
            names += [posixpath.join(member.name, entry) for entry in member.entries]
        for name in names:
            if len(self.nearby) < _MOST_NAMES and self.wanted.resemble(name):
                self.nearby[name] = None


def _left_out(place: Cursor, name: str, nearby: Sequence[str]) -> str:
    """The name, or a folder above it, that was there and was not archived; empty if there was none."""
    parts = name.split("/")
    for number in range(1, len(parts) + 1):
        *folders, last = parts[:number]
        above = "/".join(parts[:number])
        if above in nearby and not (go_to(place, folders) and exists(last, place.descriptor)):
            return above
    return ""


def require_all(tree: int, names: Sequence[str], nearby: Sequence[str], unread: Unread = NOTHING_UNREAD) -> None:
    """Look whether every path was restored.

    Args:
        tree: descriptor of the folder that was extracted into.
        names: the paths, as archives name them.
        nearby: names from the newest archive's state that resemble them.
        unread: what could not be read that night.

    Raises:
        NoSuchPath: one was not.
    """
    with cursor(tree, is_own=True) as place:
        for name in names:
            if reached(place, name)[1] is not None:
                continue
            if unread.covers(name.encode("utf-8", "surrogateescape")):
                raise NoSuchPath(f"/{name} could not be read that night, and no older archive of its chain holds it")
            if left_out := _left_out(place, name, nearby):
                raise NoSuchPath(f"/{left_out} {NOT_ARCHIVED if left_out == name else _NO_FOLDER}")
            raise NoSuchPath(f"/{name} was not there on that day{_near(name, nearby)}")


def _near(name: str, known: Sequence[str]) -> str:
    if same := twin(name, known):
        return twin_text(f"/{same}")
    by_path = alike(name, known, _MOST_NEAR)
    base = posixpath.basename(name)
    same_base = [other for other in known if posixpath.basename(other).lower() == base.lower()]
    bases = {posixpath.basename(other): other for other in known}
    by_base = [bases[found] for found in alike(base, bases, _MOST_NEAR)]
    near = [other for other in dict.fromkeys([*by_path, *same_base, *by_base]) if other][:_MOST_NEAR]
    if not near:
        return ""
    return "; near it are: " + ", ".join(f"/{other}" for other in near)
