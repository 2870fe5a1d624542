"""What a folder still holds that a later archive's list of it knows gone, and its removal."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from itertools import islice

from s3napback.recovery.clashes import TELLS_APART, Folding
from s3napback.recovery.folders import NEW_ONES_LIST, Cursor, cursor, opened_anew, reached, unchanged, walk
from s3napback.streams.tar_headers import Member

_AT_ONCE = 100_000
"""Names of one folder that are compared with an archive's list of it, whatever their number; for bounded memory."""

_WINDOW = 1 << 20

_GIVEN = ("user.", "trusted.")
"""How attributes begin that no system gives to a new folder by itself."""

_MOST_KNOWN = 1 << 23
"""Bytes that folders are remembered in, at most; each takes so many besides its name:"""
_KNOWN_SIZE = 120


class Cleared:
    """Folders that hold nothing but what a list of an earlier archive named.

    A DIFF has the lists of all folders, nearly all of them as in the DIFF before it: what was held against a list once,
    and has got no new entry since, need not be looked into again. A list counts with its letters, as it is written.
    """

    def __init__(self) -> None:
        self._sums: dict[str, bytes] = {}
        self._room = _MOST_KNOWN

    def holds_only(self, folder: str, dumpdir: bytes) -> bool:
        """Whether a folder, by its name in archives, is known to hold nothing that a list knows gone."""
        known = self._sums.get(folder)
        return known is not None and known == _sum(dumpdir)

    def note(self, folder: str, dumpdir: bytes) -> None:
        """A folder has been cleared of what a list knows gone."""
        self.forget(folder)
        size = len(folder) + _KNOWN_SIZE
        if size <= self._room:
            self._room -= size
            self._sums[folder] = _sum(dumpdir)

    def forget(self, folder: str) -> None:
        """A folder gets a new entry, maybe one that no list names."""
        if self._sums.pop(folder, None) is not None:
            self._room += len(folder) + _KNOWN_SIZE

    def forget_entry(self, name: str) -> None:
        """An entry, by its name in archives, is made anew: neither it nor the folder it lies in is as it was."""
        self.forget(name)
        self.forget(name.rpartition("/")[0])

    def forget_all(self) -> None:
        """Folders move, or somebody else puts entries in them."""
        self._sums.clear()
        self._room = _MOST_KNOWN


def _sum(dumpdir: bytes) -> bytes:
    return hashlib.blake2b(dumpdir, digest_size=16).digest()


def gone(
    folder: int,
    dumpdir: bytes,
    folding: Folding = TELLS_APART,
    is_lacking: Callable[[str], bool] = lambda _entry: False,
    is_lost: Callable[[str], bool] = lambda _entry: False,
) -> list[tuple[str, bool]]:
    """What a folder holds that its list does not name, or names as something else, and whether that is a folder.

    As GNU tar decides it (``try_purge_directory`` in ``src/incremen.c``), but for names by which the target lists what
    it was given by others.

    Args:
        folding: what its file system does to names.
        is_lacking: tells of an entry of the list, if it may be there by another name, that it is not.
        is_lost: tells of one that it gives way to another one of the list, which the target takes for the same.
    """
    entries_gone: list[tuple[str, bool]] = []
    with opened_anew(folder) as again, os.scandir(again) as entries:
        while names := {entry.name: entry.is_dir(follow_symlinks=False) for entry in islice(entries, _AT_ONCE)}:
            ousted = [name for name in names if folding.lists(name) and is_lost(name)]
            # What takes its place would lie there by its name otherwise.
            entries_gone += [(name, names.pop(name)) for name in ousted]
            found = {_known_by(os.fsencode(name), folding): (name, is_folder) for name, is_folder in names.items()}
            for entry in _listed(dumpdir):
                known_by = _known_by(entry[1:], folding)
                _name, is_folder = found.get(known_by, ("", None))
                if is_folder is None or entry[:1] == (b"Y" if is_folder else b"D"):
                    continue
                if not (folding.lists_others and is_lacking(entry[1:].decode("utf-8", "surrogateescape"))):
                    del found[known_by]
            entries_gone += found.values()
    return entries_gone


def _known_by(name: bytes, folding: Folding) -> bytes:
    if not folding.lists_others:
        return name
    return folding.key(name.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")


def _listed(dumpdir: bytes) -> Iterator[bytes]:
    """The entries, each with its letter."""
    start = 0
    while start < len(dumpdir):
        end = dumpdir.rfind(b"\0", start, start + _WINDOW) + 1
        yield from filter(None, dumpdir[start:end].split(b"\0"))
        start = end


def remove(place: Cursor, name: str, *, is_folder: bool) -> None:
    """Remove an entry of the folder in which the cursor stands, with all below it; no link is followed.

    Raises:
        OSError: something cannot be removed.
    """
    if not is_folder:
        os.unlink(name, dir_fd=place.descriptor)
        return
    place.enter(name)
    for step in walk(place.descriptor, stays_open=True):
        if step.left:
            os.rmdir(step.left, dir_fd=step.place.descriptor)
        for other in step.others:
            os.unlink(other, dir_fd=step.place.descriptor)
    place.leave()
    os.rmdir(name, dir_fd=place.descriptor)


def free_way(place: Cursor, name: str) -> None:
    """Remove what an older archive has in the place of a folder that comes among the files: it became one meanwhile.

    tar would read it as a folder to see what in there is gone, and fail.

    Args:
        place: stands in the tree.
        name: of the folder, as archives name it.

    Raises:
        OSError: it cannot be removed.
    """
    last, mode = reached(place, name)
    if mode is not None and not stat.S_ISDIR(mode):
        os.unlink(last, dir_fd=place.descriptor)


def remove_guests(tree: int, names: Collection[str], stays: Callable[[str], bool]) -> None:
    """Remove what was extracted only because a link leads to it, with the folders that tar made for it.

    A later archive may have something of another kind in its place, and list it in no folder that is looked at.

    Args:
        tree: descriptor of the folder that was extracted into.
        names: as archives name them; nothing may be there.
        stays: tells of a folder, by its name, that it is there for its own sake.

    Raises:
        OSError: that was not possible.
    """
    folders: set[str] = set()
    with cursor(tree, is_own=True) as place:
        for name in sorted(names):
            last, mode = reached(place, name)
            if mode is not None and not stat.S_ISDIR(mode):
                with unchanged(place.descriptor):
                    os.unlink(last, dir_fd=place.descriptor)
            folder = name.rpartition("/")[0]
            while folder not in folders and not stays(folder):
                folders.add(folder)
                folder = folder.rpartition("/")[0]
        # Those within come before the ones that they lie in.
        for folder in sorted(folders, reverse=True):
            last, mode = reached(place, folder)
            if mode is not None:
                with suppress(OSError), unchanged(place.descriptor):
                    os.rmdir(last, dir_fd=place.descriptor)


def drop_attributes(folder: int, member: Member) -> None:
    """Take from a folder what an archive before gave it and this one does not tell: tar gives, and takes nothing away.

    It does so with lists of access rights only. What cannot be taken was there by the nature of the target. An ordinary
    user's folder loses its default list until it gets that of this archive, which might let nobody write to files.
    """
    with suppress(OSError):
        for name in os.listxattr(folder):
            is_gone = name.startswith(_GIVEN) and os.fsencode(name) not in member.attributes
            if is_gone or (name == NEW_ONES_LIST and os.geteuid()):
                with suppress(OSError):
                    os.removexattr(folder, name)
