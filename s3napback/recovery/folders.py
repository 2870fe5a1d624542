"""Folders by descriptor: what was opened once is not looked up by a path again, which others could change meanwhile."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import field

from s3napback.capabilities import is_bound_by_modes
from s3napback.records import dataclass
from s3napback.recovery.passing import OPEN_FOLDER, Before, opened, opened_to_us, passable
from s3napback.recovery.path_opening import UnusableFolder
from s3napback.scarcity import folders_kept

NOTHING_THERE = (errno.ENOENT, errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ)
"""Under a name that a file system does not take there is nothing, whatever it says of it."""

NEW_ONES_LIST = "system.posix_acl_default"
"""Of a folder: the list of access rights that what is made in it gets."""

_MOST_KEPT = 64
"""Descriptors kept of the folders above the one a cursor stands in; those further up are opened again."""


@contextmanager
def unchanged(folder: int) -> Iterator[None]:
    """Let entries of a folder change without its times and permissions showing it.

    Of a folder that belongs to somebody else the times cannot be set, and show it.
    """
    status = os.fstat(folder)
    mode = stat.S_IMODE(status.st_mode)
    # Of somebody else's the permissions cannot be set, and may do all the same.
    is_locked = is_bound_by_modes() and status.st_uid == os.geteuid() and mode & 0o300 != 0o300
    if is_locked:
        os.fchmod(folder, mode | 0o700)
    try:
        yield
    finally:
        with suppress(PermissionError):
            if is_locked:
                os.fchmod(folder, mode)
            os.utime(folder, ns=(status.st_atime_ns, status.st_mtime_ns))


@dataclass
class Cursor:
    """A place in a tree, which goes down and up by descriptors and follows no link.

    The tree can be deeper than a path can be long, and than a process may have files open.

    Attributes:
        descriptor: of the folder it stands in.
        is_own: the tree is the caller's; a folder that he may not read or change is open to him until it is left.
        stays_open: and also then.
        opens: likewise where the tree is not his alone: those of his own folders that he may not look into.
        names: from the top to there.
    """

    descriptor: int
    is_own: bool = False
    stays_open: bool = False
    opens: bool = False
    names: list[str] = field(default_factory=list)
    _above: list[tuple[int, tuple[int, int]]] = field(default_factory=list)
    _before: list[Before | None] = field(default_factory=list)
    _kept: int = field(default_factory=lambda: folders_kept(_MOST_KEPT))
    _identity: tuple[int, int] | None = None
    """Of the folder in which it stands, once that is known: there may be many in it to be entered."""

    @property
    def mode(self) -> int | None:
        """Permissions that the folder had, if it was changed to enter it; else None."""
        return before.mode if (before := self.before) else None

    @property
    def before(self) -> Before | None:
        """What the folder was like, if it was changed to enter it."""
        return self._before[-1] if self._before else None

    def keep_mode(self) -> None:
        """The folder has permissions of its own now, which stay when it is left."""
        if self._before:
            self._before[-1] = None

    def enter(self, name: str) -> None:
        """Go into a folder; raises ``OSError`` if there is none."""
        before = opened_to_us(name, self.descriptor) if self.is_own else None
        if self.opens and is_bound_by_modes():
            inner, before = opened(name, self.descriptor)
        else:
            inner = self._inner(name)
        self._before.append(before)
        self._above.append((self.descriptor, self._identity or _identity_of(self.descriptor)))
        self.names.append(name)
        self.descriptor, self._identity = inner, None
        # The first one belongs to whoever made the cursor.
        if len(self._above) > self._kept:
            place = len(self._above) - self._kept
            descriptor, identity = self._above[place]
            # It is closed already where the cursor comes from a folder further down.
            if descriptor >= 0:
                os.close(descriptor)
            self._above[place] = (-1, identity)

    def leave(self) -> str:
        """Go back to the folder above; returns the name of the one that was left."""
        above, identity = self._above.pop()
        if above < 0:
            above = self._outer()
            if _identity_of(above) != identity:
                os.close(above)
                self._above.append((-1, identity))
                raise UnusableFolder(f"{self.shown} was moved elsewhere while something was written there")
        before = self._before.pop()
        if before is not None and not self.stays_open:
            before.bring_back(self.descriptor)
        os.close(self.descriptor)
        self.descriptor, self._identity = above, identity
        return self.names.pop()

    def _inner(self, name: str) -> int:
        return passable(name, self.descriptor)

    def _outer(self) -> int:
        return passable("..", self.descriptor)

    @property
    def depth(self) -> int:
        """How far below the top it stands."""
        return len(self.names)

    @property
    def shown(self) -> str:
        """Where it stands, for people: ``etc/ssh``."""
        return "/".join(self.names) or "."

    def close(self) -> None:
        """Give back all descriptors but the first one, wherever it stands."""
        if any(self._before):
            with suppress(OSError, UnusableFolder):
                while self._above:
                    self.leave()
        self._identity = None
        while self._above:
            os.close(self.descriptor)
            self.descriptor, _identity = self._above.pop()
            while self._above and self.descriptor < 0:
                self.descriptor, _identity = self._above.pop()


def _identity_of(folder: int) -> tuple[int, int]:
    status = os.fstat(folder)
    return status.st_dev, status.st_ino


@contextmanager
def cursor(top: int, *, is_own: bool = False, stays_open: bool = False, opens: bool = False) -> Iterator[Cursor]:
    """A cursor that stands in the folder ``top``, whose descriptor stays open; see ``Cursor``."""
    made = Cursor(top, is_own, stays_open, opens)
    try:
        yield made
    finally:
        made.close()


@dataclass(frozen=True)
class Step:
    """One step of a walk.

    Attributes:
        place: where it stands.
        others: on entering a folder, the names of all in it that is no folder.
        links: those of the others that are symbolic links.
        left: name of the folder that was just left for the one that it stands in; empty on entering.
        mode: permissions that the folder had, where they were changed to enter it; else None.
    """

    place: Cursor
    others: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    left: str = ""
    mode: int | None = None


def walk(
    top: int,
    *,
    is_own: bool = True,
    stays_open: bool = False,
    enters: Callable[[Cursor, str], bool] = lambda _place, _name: True,
    refused: Callable[[str, OSError], None] | None = None,
) -> Iterator[Step]:
    """Go through a tree, a folder before those in it, and come back through each.

    Args:
        top: descriptor of the highest folder.
        is_own: it is the caller's; folders that he may not read or change are open to him while it is in them.
        stays_open: and also afterwards.
        enters: tells whether a folder is to be entered, by where it is and its name.
        refused: is given the name of each folder that cannot be entered; without it that is raised.

    Raises:
        OSError: a folder cannot be entered.
    """
    with cursor(top, is_own=is_own, stays_open=stays_open) as place:
        folders, others, links = _entries(top)
        waiting = [folders]
        yield Step(place, others, links)
        while waiting:
            if not waiting[-1]:
                waiting.pop()
                if waiting:
                    name = place.leave()
                    yield Step(place, left=name)
                continue
            name = waiting[-1].pop()
            if not enters(place, name):
                continue
            try:
                place.enter(name)
            except OSError as error:
                _refuse(name, error, refused)
                continue
            try:
                folders, others, links = _entries(place.descriptor)
            except OSError as error:
                _refuse(place.leave(), error, refused)
                continue
            waiting.append(folders)
            yield Step(place, others, links, mode=place.mode)


def _refuse(name: str, error: OSError, refused: Callable[[str, OSError], None] | None) -> None:
    if refused is None:
        raise error
    refused(name, error)


def _entries(folder: int) -> tuple[list[str], tuple[str, ...], tuple[str, ...]]:
    """Names of the folders in a folder, of all else, and of the symbolic links of that."""
    folders: list[str] = []
    others: list[str] = []
    links: list[str] = []
    if fcntl.fcntl(folder, fcntl.F_GETFL) & os.O_PATH:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    with opened_anew(folder) as again, os.scandir(again) as entries:
        for entry in entries:
            (folders if entry.is_dir(follow_symlinks=False) else others).append(entry.name)
            if entry.is_symlink():
                links.append(entry.name)
    return folders, tuple(others), tuple(links)


@contextmanager
def opened_anew(folder: int) -> Iterator[int]:
    """Another descriptor of a folder: one that was read already shows an empty folder on sshfs, to everybody.

    btrfs shows what there was when the folder was opened, or begun anew.
    """
    try:
        again = os.open(".", OPEN_FOLDER, dir_fd=folder)
    except PermissionError:
        again = os.dup(folder)
        os.lseek(again, 0, os.SEEK_SET)
    try:
        yield again
    finally:
        os.close(again)


def go_to(place: Cursor, names: Sequence[str]) -> bool:
    """Move a cursor to another folder of its tree, by way of the lowest folder above both; False if there is none."""
    common = 0
    for wanted, here in zip(names, place.names, strict=False):
        if wanted != here:
            break
        common += 1
    for _ in range(place.depth - common):
        place.leave()
    for name in names[common:]:
        try:
            place.enter(name)
        except OSError as error:
            if error.errno not in (errno.ENOTDIR, errno.ELOOP, *NOTHING_THERE):
                raise
            return False
    return True


def go_to_parent(place: Cursor, name: str) -> str | None:
    """Move a cursor to the folder of a name in an archive: the name's last part; None if there is no such folder."""
    *above, last = file_names(name) or ["."]
    return last if go_to(place, above) else None


def reached(place: Cursor, name: str) -> tuple[str, int | None]:
    """Likewise: the last part, and ``entry_mode`` of what lies there."""
    last = go_to_parent(place, name)
    return (name, None) if last is None else (last, entry_mode(last, place.descriptor))


def names_in(folder: int) -> list[str]:
    """The names of all that a folder holds, in order."""
    folders, others, _links = _entries(folder)
    return sorted((*folders, *others))


def exists(name: str, folder: int) -> bool:
    """Whether a folder has an entry of this name, be it a link that leads nowhere."""
    return entry_mode(name, folder) is not None


def entry_mode(name: str, folder: int) -> int | None:
    """Type and permissions of an entry; None if there is none."""
    try:
        return os.lstat(name, dir_fd=folder).st_mode
    except OSError as error:
        if error.errno not in NOTHING_THERE:
            raise
        return None


def file_names(name: str) -> list[str]:
    """The names of the folders and files that a name in an archive is made of; none for the root directory.

    Names in archives are UTF-8, those of files are whatever the locale makes of bytes.
    """
    if not name:
        return []
    return (name if name.isascii() else os.fsdecode(name.encode("utf-8", "surrogateescape"))).split("/")
