"""Keys as paths: which are allowed, and how folders and files below a root are made without leaving it."""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from s3napback.durable import sync_folder
from s3napback.errors import StoreError, StoreUnreachable, UnusableStore
from s3napback.mounts import is_read_only

_LOOKS_AFTER = (0.0, 0.5, 2.0)
"""Seconds before each look for a new name: some file systems show an older listing for a moment."""
_REMOVALS = 100
"""Times that a folder is made anew; each is a source, or a machine, that tidied up in that very moment."""

_Result = TypeVar("_Result")


class Presence:
    """Whether a store's folder is there, and still the one that it was when it was looked at first.

    A disk that is unmounted in the midst of a run leaves an empty folder in its place. What is written there is lost
    as soon as the disk is back, and what was on the disk seems to have been deleted.
    """

    def __init__(self, root: Path, marker: Path) -> None:
        """Look at nothing yet.

        Args:
            root: the store's folder.
            marker: the file below ``root`` that the first archive leaves behind, and that stays.
        """
        self.root = root
        self._marker = marker
        self._was_marked = False

    def require(self) -> None:
        """Look.

        Raises:
            StoreUnreachable: the mark was there, and is not any more.
            StoreError: the folder does not exist.
            OSError: it cannot be looked at.
        """
        if not self.root.is_dir():
            raise StoreError(f"the folder {self.root} does not exist: if it is on a disk of its own, mount it")
        # Another source may store the first archive meanwhile: what was known before counts, not what is known after.
        was_marked = self._was_marked
        is_marked = self._marker.is_file()
        if was_marked and not is_marked:
            raise StoreUnreachable(
                f"the folder {self.root} does not hold the mark any more that backups leave there: its disk was "
                "unmounted meanwhile, or somebody has emptied it. Mount the disk, and run again"
            )
        if is_marked:
            self._was_marked = True


class OwnNames:
    """Whether a store's file system lists what it keeps by the names that were given.

    One that folds case or letters finds a file by its name as well, so that each night seems good; but whoever lists
    the store meets another name, and no archive.
    """

    def __init__(self, root: Path) -> None:
        """Look at nothing yet."""
        self._root = root
        self._folders: set[Path] = set()
        self._last: tuple[Path, frozenset[bytes]] = (root, frozenset())

    def require(self, path: Path) -> None:
        """Look for a file that is there; one listing tells it of all names in a folder that were there before.

        Raises:
            StoreError: it, or a folder on the way to it, has another name in the listing. The file is gone then.
            OSError: a folder cannot be looked into.
        """
        for place in _way(self._root, path):
            if place in self._folders:
                continue
            if not self._is_listed(place):
                path.unlink(missing_ok=True)
                raise StoreError(
                    f"{place} has another name where its folder is listed: the file system changes letters, or takes "
                    "upper and lower case for the same, so that no restore would find the archive. Mount it so that "
                    "names stay as they are, or take another disk; if two sources differ in case alone, back up one "
                    "of them with a configuration and a Prefix of its own"
                )
            if place != path:
                self._folders.add(place)

    def _is_listed(self, place: Path) -> bool:
        name = os.fsencode(place.name)
        folder, names = self._last
        if folder == place.parent and name in names:
            return True
        for pause in _LOOKS_AFTER:
            time.sleep(pause)
            names = frozenset(found.rstrip(b"/") for found in names_in(str(place.parent)))
            self._last = place.parent, names
            if name in names:
                return True
        return False


def key_components(key: str) -> list[str]:
    """Split a key into file names, as this system spells them: their bytes are the key's UTF-8, whatever the locale.

    Raises:
        StoreError: the key is not the name of a place below the root.
    """
    components = key.split("/")
    if any(component in {"", ".", ".."} or "\0" in component for component in components):
        raise StoreError(f"the key {key!r} is not allowed: it has an empty component, '.', '..' or a NUL")
    if any(len(_encode(component)) > 255 for component in components):
        raise StoreError(f"the key {key!r} is not allowed: a component is longer than file names can be")
    return [os.fsdecode(_encode(component)) for component in components]


def decode_name(name: str) -> str:
    """The component of a key that a file name stands for: the inverse of ``key_components``."""
    return os.fsencode(name).decode("utf-8", "surrogateescape")


def names_in(folder: str) -> list[bytes]:
    """What files and folders in a folder are called, in any order; folders end in a slash, links are left out.

    Names and nothing else: a hundred thousand may lie there, and what ``os.scandir`` tells takes eight times as much.

    Raises:
        OSError: it cannot be looked into.
    """
    with os.scandir(folder) as entries:
        return [name for entry in entries if (name := _slashed(entry))]


def _slashed(entry: os.DirEntry[str]) -> bytes:
    if entry.is_dir(follow_symlinks=False):
        return os.fsencode(entry.name) + b"/"
    return os.fsencode(entry.name) if entry.is_file(follow_symlinks=False) else b""


def require_usable(root: Path, *, for_writing: bool) -> None:
    """Look whether a store's folder exists and may be read, and written to.

    Raises:
        UnusableStore: it is not so, or nobody can look.
    """
    try:
        is_there = root.is_dir()
    except OSError as error:
        raise UnusableStore(_unseen(root, error) or _forbidden(root, for_writing=for_writing)) from error
    if not is_there:
        raise UnusableStore(
            f"the folder {root} does not exist (Bucket file://…): if it is on a disk of its own, mount it; "
            f"a new store begins with: mkdir -m 700 {root}"
        )
    if not os.access(root, os.R_OK | os.X_OK | (os.W_OK if for_writing else 0)):
        raise UnusableStore(_refusal(root, for_writing=for_writing))


def _refusal(root: Path, *, for_writing: bool) -> str:
    """Why a store's folder cannot be used although it is there."""
    try:
        os.scandir(root).close()
    except OSError as error:
        if unseen := _unseen(root, error):
            return unseen
    with suppress(OSError):
        if for_writing and is_read_only(str(root)):
            return (
                f"{_called(root)} is read-only here; if systemd started this, write ReadWritePaths={root} below "
                "[Service] (systemctl edit s3napback.service), else mount the disk for writing, or let its subvolume "
                f"be written to (btrfs property set {root} ro false)"
            )
    return _forbidden(root, for_writing=for_writing)


def _unseen(root: Path, error: OSError) -> str:
    """What to say of a store's folder at which one cannot look; empty if it is for want of rights."""
    if error.errno in {errno.EACCES, errno.EPERM}:
        return ""
    return (
        f"{_called(root)} cannot be looked at: {error.strerror}. Its disk has failed, or the program or the server is "
        "gone by which it is mounted: unmount it, and mount it again"
    )


def _forbidden(root: Path, *, for_writing: bool) -> str:
    return f"{_called(root)} may not be {'read and written' if for_writing else 'read'} by this user"


def _called(root: Path) -> str:
    return f"the folder {root} (Bucket file://…)"


def regular_file_status(root: Path, path: Path) -> os.stat_result | None:
    """Describe a file below ``root``; None if there is none at this path.

    Raises:
        StoreError: the path, or a folder on the way to it, is a link.
    """
    for place in _way(root, path):
        try:
            status = place.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        _refuse_link(place, status)
    return status if stat.S_ISREG(status.st_mode) else None


@contextmanager
def opened_file(root: Path, path: Path) -> Iterator[tuple[int, os.stat_result] | None]:
    """Open a file below ``root`` for reading: its descriptor and what it is like; None if there is none at this path.

    As long as it is open no other file can get its inode's number.

    Raises:
        StoreError: the path, or a folder on the way to it, is a link.
    """
    with ExitStack() as opened:
        found = None
        if regular_file_status(root, path) is not None:
            with suppress(FileNotFoundError):
                descriptor = open_file(path)
                opened.callback(os.close, descriptor)
                status = os.fstat(descriptor)
                found = (descriptor, status) if stat.S_ISREG(status.st_mode) else None
        yield found


def open_file(path: Path) -> int:
    """Open for reading what was a plain file just now: a link put there since fails, a FIFO does not make us wait."""
    return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)


def plain_files(root: Path, folder: Path) -> list[Path]:
    """The files in a folder below ``root``; none if there is no such folder.

    Raises:
        StoreError: the folder, or one on the way to it, is a link.
    """
    regular_file_status(root, folder)
    try:
        with os.scandir(folder) as entries:
            return sorted(Path(entry.path) for entry in entries if entry.is_file(follow_symlinks=False))
    except (FileNotFoundError, NotADirectoryError):
        return []


def make_folders(root: Path, folder: Path) -> None:
    """Make ``folder`` and what is missing between it and ``root``, readable by the owner alone, and lasting.

    Raises:
        StoreError: a link or a file is in the way.
    """
    for path in _way(root, folder):
        with suppress(FileExistsError):
            path.mkdir(mode=0o700)
            sync_folder(path.parent)
        status = path.lstat()
        _refuse_link(path, status)
        if not stat.S_ISDIR(status.st_mode):
            raise StoreError(f"{path} is an object, so that no other one's key can go on after it with a slash")


def in_folder(presence: Presence, folder: Path, action: Callable[[], _Result]) -> _Result:
    """Do what needs a folder below the store's, which is made.

    Whoever tidies up beside us, in this process or in another, takes empty folders away, see ``remove_empty_folders``;
    then it is made and done once more.

    Args:
        action: raises FileNotFoundError if the folder is not there.
    """
    for _ in range(_REMOVALS):
        # What is made where the disk was would be in the way of it.
        presence.require()
        with suppress(FileNotFoundError):
            make_folders(presence.root, folder)
            return action()
    return action()


def require_room_for_file(path: Path) -> None:
    """Make sure that a file can be renamed to ``path``.

    Raises:
        StoreError: there is something else than a plain file.
    """
    with suppress(FileNotFoundError):
        status = path.lstat()
        _refuse_link(path, status)
        if stat.S_ISDIR(status.st_mode):
            raise StoreError(f"{path} is a folder: there are objects whose keys go on after this one's with a slash")
        if not stat.S_ISREG(status.st_mode):
            raise StoreError(f"{path} is not a plain file: remove it")


def remove_empty_folders(folder: Path, root: Path) -> None:
    """Remove ``folder`` and those above it, up to but without ``root``, as far as nothing is in them."""
    while folder != root:
        try:
            folder.rmdir()
        except FileNotFoundError:
            pass
        except OSError:
            return
        folder = folder.parent


def told(error: OSError, root: Path) -> str:
    """What the operating system refused, and of what: of a renaming, what is in its way."""
    place = error.filename2 or error.filename or root
    hint = "; lsattr tells whether it, or its folder, is immutable" if error.errno == errno.EPERM else ""
    return f"{error.strerror or error} ({place}{hint})"


def _way(root: Path, path: Path) -> list[Path]:
    """All paths from below ``root`` to ``path`` itself."""
    return [path, *path.parents][: len(path.relative_to(root).parts)][::-1]


def _refuse_link(path: Path, status: os.stat_result) -> None:
    if stat.S_ISLNK(status.st_mode):
        raise StoreError(
            f"{path} is a symbolic link, which a store does not follow, lest it leave its folder: remove it"
        )


def _encode(component: str) -> bytes:
    return component.encode("utf-8", "surrogateescape")
