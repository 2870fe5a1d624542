"""The staging folder: inside WHERE or where it is told to be, private, and gone at the end.

A chain is extracted archive by archive. A symbolic link of one archive could lead what a later, hostile one brings out
of the folder, so whenever an archive is extracted there are none: each was moved aside and a small file put in its
place, and what is left of these files at the end becomes links again.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import field
from pathlib import Path

from s3napback.errors import S3napbackError
from s3napback.mounts import is_read_only
from s3napback.records import dataclass
from s3napback.recovery.clashes import TELLS_APART, Folding
from s3napback.recovery.clearing import Cleared
from s3napback.recovery.file_flags import APPEND_ONLY, IMMUTABLE, flags_of, is_sealed
from s3napback.recovery.folders import (
    Cursor,
    cursor,
    go_to,
    go_to_parent,
    names_in,
    unchanged,
    walk,
)
from s3napback.recovery.groundwork import MOST_LINKS, Groundwork
from s3napback.recovery.passing import OPEN_FOLDER
from s3napback.recovery.path_opening import Opened, UnusableFolder, open_path
from s3napback.recovery.private import private_folder, tell_of_leftovers
from s3napback.scarcity import require_means

PREFIX = ".s3napback-restore-"
_TOKEN_SIZE = 32
_TREE = "tree"
_LINKS = "links"


class UnusableTarget(S3napbackError):
    """WHERE cannot take what is to be restored; nothing was changed."""


@contextmanager
def looking_into_it() -> Iterator[None]:
    """While it is entered, what was extracted is looked into, or put in order.

    Raises:
        UnusableTarget: that was not possible.
    """
    try:
        yield
    except OSError as error:
        raise UnusableTarget(f"what was extracted cannot be looked into: {error}; nothing was restored") from error


@contextmanager
def trying_in(folder: Path) -> Iterator[None]:
    """While it is entered, it is tried what a folder takes.

    Raises:
        UnusableTarget: it takes nothing.
    """
    try:
        yield
    except OSError as error:
        raise UnusableTarget(f"nothing can be written to {folder}: {error.strerror}; nothing was restored") from error


@dataclass
class Staging:
    """A staging folder.

    Attributes:
        where: WHERE, for people.
        at: what it lies in, for people: WHERE, or another folder.
        target: descriptor of WHERE.
        tree: descriptor of the folder that archives are extracted into: what is restored, with its full path.
        is_elsewhere: it does not lie in WHERE.
        cleared: what is known of the tree's folders. Who puts something in there, or moves it, makes that forgotten.
        folding: what the file system does to names that the tree lies on.
    """

    where: Path
    at: Path
    target: int
    tree: int
    _links: int
    is_elsewhere: bool = False
    cleared: Cleared = field(default_factory=Cleared)
    folding: Folding = TELLS_APART
    _parked: dict[str, str] = field(default_factory=dict)
    _token: bytes = field(default_factory=lambda: secrets.token_bytes(_TOKEN_SIZE))
    _placed: list[str] = field(default_factory=list)
    _placed_left: int = field(default_factory=lambda: MOST_LINKS)
    _is_searched: bool = False
    _count: int = 0
    _used: bool = False

    @contextmanager
    def extracting(self) -> Iterator[Groundwork]:
        """While it is entered, an archive may be extracted into the tree: no link in it is live.

        Yields:
            What the archive has to pass before tar.

        Raises:
            UnusableTarget: what was extracted before cannot be looked into.
        """
        if self._used:
            self._park_links()
        self._used, is_fresh = True, not self._used
        with closing(Groundwork(self.tree, self._links, is_fresh, self.cleared, self.folding)) as ground:
            yield ground
        self._is_searched = self._is_searched or ground.forgot
        self._note_links(ground.placed)

    def _note_links(self, names: Collection[str]) -> None:
        self._placed_left -= sum(map(len, names))
        self._is_searched = self._is_searched or self._placed_left < 0
        self._placed += () if self._is_searched else names

    def _park_links(self) -> None:
        """Of what was extracted since the last time: by the names of links that were in archives, unless too many."""
        with looking_into_it():
            if not self._is_searched:
                with cursor(self.tree, is_own=True) as place:
                    self._is_searched = not all(self._is_parked(place, name) for name in self._placed)
            if self._is_searched:
                for step in walk(self.tree):
                    for name in step.links:
                        self._park(step.place, name)
        self._placed.clear()
        self._placed_left = MOST_LINKS
        self._is_searched = False

    def _is_parked(self, place: Cursor, name: str) -> bool:
        """Move what is a link aside; whether it could be looked at."""
        try:
            last = go_to_parent(place, name)
            if last is not None and stat.S_ISLNK(os.lstat(last, dir_fd=place.descriptor).st_mode):
                self._park(place, last)
        except FileNotFoundError:
            return True
        except OSError:
            return False
        return True

    def _park(self, place: Cursor, name: str) -> None:
        self._count += 1
        parked = str(self._count)
        with unchanged(place.descriptor):
            os.rename(name, parked, src_dir_fd=place.descriptor, dst_dir_fd=self._links)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            descriptor = os.open(name, flags, 0o600, dir_fd=place.descriptor)
            try:
                os.write(descriptor, self._token)
            finally:
                os.close(descriptor)
        self._parked["/".join((*place.names, name))] = parked

    def finish(self) -> None:
        """Replace what is left of the small files by the links that they stand for.

        Raises:
            UnusableTarget: that was not possible.
        """
        with looking_into_it(), cursor(self.tree, is_own=True) as place:
            for path, parked in self._parked.items():
                folders, _, name = path.rpartition("/")
                names = folders.split("/") if folders else []
                if go_to(place, names) and self._stands_for_a_link(name, place.descriptor):
                    with unchanged(place.descriptor):
                        os.rename(parked, name, src_dir_fd=self._links, dst_dir_fd=place.descriptor)
        # Of links that are live again no names are kept.
        self._is_searched = self._is_searched or bool(self._parked or self._placed)
        self._parked.clear()

    def _stands_for_a_link(self, name: str, folder: int) -> bool:
        try:
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
        except OSError as error:
            require_means(error)
            return False
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or status.st_size != _TOKEN_SIZE:
                return False
            return os.read(descriptor, _TOKEN_SIZE + 1) == self._token
        finally:
            os.close(descriptor)


@contextmanager
def staging_in(where: Path, elsewhere: Path | None = None, merged: Sequence[str] = ()) -> Iterator[Staging]:
    """A staging folder for ``where``, which is made if need be, and is gone again if nothing came of it.

    Args:
        where: absolute. If it is made, it is for nobody but the caller.
        elsewhere: the folder to make it in, absolute; None is WHERE.
        merged: names of the folders in WHERE, each in the one before it, in which all lies that will be merged. Where
            they are on another file system than WHERE, or WHERE cannot be written to, it is made in the last that can.

    Raises:
        UnusableTarget: it cannot be made.
    """
    with ExitStack() as stack:
        at = where
        try:
            opened = open_path(where, make=True)
            stack.callback(_close, opened, where)
            if elsewhere is not None:
                at = elsewhere
                home = open_path(elsewhere).descriptor
            else:
                home = _beside(opened.descriptor, merged)
            stack.callback(os.close, home)
            tell_of_leftovers(home, PREFIX)
            _name, folder = stack.enter_context(private_folder(home, PREFIX))
            _require_change(folder, at)
            tree, links = (_made_inside(name, folder, stack) for name in (_TREE, _LINKS))
        except OSError as error:
            advice = "" if elsewhere else "; with --staging a restore can be prepared elsewhere" if merged else ""
            raise UnusableTarget(f"nothing can be written to {at}: {error.strerror}{advice}") from error
        yield Staging(where, at, opened.descriptor, tree, links, elsewhere is not None)


def _require_change(folder: int, at: Path) -> None:
    """Refuse a file system on which what was made can be neither renamed nor removed, as some for archives are."""
    os.mkdir(_LINKS, 0o700, dir_fd=folder)
    try:
        os.rename(_LINKS, _TREE, src_dir_fd=folder, dst_dir_fd=folder)
        os.rmdir(_TREE, dir_fd=folder)
    except OSError as error:
        raise UnusableTarget(
            f"{at} lets nothing be renamed or removed ({error.strerror}), and a restore has to: restore to another "
            "disk, and copy it from there. Nothing was restored"
        ) from error


def _beside(where: int, names: Sequence[str]) -> int:
    """The descriptor of the folder in which to prepare a merging: WHERE, or one on the way to what is merged."""
    with cursor(where, opens=True) as place:
        for name in names:
            try:
                place.enter(name)
            except OSError:
                break
        is_one_disk = os.fstat(where).st_dev == os.fstat(place.descriptor).st_dev
        if not (is_one_disk and _is_writable(where)):
            while place.depth and not (_is_passed(place.mode) and _is_writable(place.descriptor)):
                place.leave()
            return os.dup(place.descriptor)
        return os.dup(where)


def _is_passed(mode: int | None) -> bool:
    """Whether a folder is one that its owner comes through, once it has the permissions again that it had."""
    return mode is None or bool(mode & stat.S_IXUSR)


def _is_writable(folder: int) -> bool:
    status = os.fstat(folder)
    # One of one's own that is read-only is opened while something is made in it.
    is_own = status.st_uid == os.geteuid() and status.st_mode & 0o500 == 0o500
    is_allowed = is_own or os.access(f"/proc/self/fd/{folder}", os.W_OK | os.X_OK, effective_ids=True)
    is_shut = flags_of("", folder) & (IMMUTABLE | APPEND_ONLY) or is_read_only(folder) or is_sealed(folder)
    return is_allowed and not is_shut


def _made_inside(name: str, folder: int, stack: ExitStack) -> int:
    os.mkdir(name, 0o700, dir_fd=folder)
    descriptor = os.open(name, OPEN_FOLDER, dir_fd=folder)
    stack.callback(os.close, descriptor)
    return descriptor


def _close(opened: Opened, where: Path) -> None:
    """Let go of WHERE, and of the folders that were made for it if they are still empty."""
    os.close(opened.descriptor)
    path = where
    for _ in range(opened.made):
        with suppress(OSError, UnusableFolder):
            above = open_path(path.parent).descriptor
            try:
                os.rmdir(path.name, dir_fd=above)
            finally:
                os.close(above)
        path = path.parent


def require_empty(where: Path) -> None:
    """Refuse a target that holds anything; a new file system's ``lost+found`` and what an ended run left do not count.

    Raises:
        UnusableTarget: it is no directory, cannot be read, or is not empty.
    """
    try:
        opened = open_path(where)
    except FileNotFoundError:
        return
    except NotADirectoryError as error:
        raise UnusableTarget(
            f"{where} cannot be restored to: it, or what stands before it, is a file; name an empty or new directory"
        ) from error
    except OSError as error:
        raise UnusableTarget(f"{where} cannot be restored to: {error.strerror}") from error
    try:
        require_empty_folder(opened.descriptor, where)
    finally:
        os.close(opened.descriptor)


def require_empty_folder(folder: int, where: Path) -> None:
    """Refuse an open folder that holds anything; see ``require_empty``."""
    try:
        names = [name for name in names_in(folder) if name != "lost+found" and PREFIX not in name]
    except OSError as error:
        raise UnusableTarget(f"{where} cannot be restored to: {error.strerror}") from error
    if names:
        raise UnusableTarget(
            f"{where} is not empty (it holds {names[0]!r}): name an empty or new directory, or, for files of a "
            "directory, merge with --in-place"
        )
