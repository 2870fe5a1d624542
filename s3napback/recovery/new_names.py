"""What the live tree holds and the state does not; however many names a folder has, they are looked at in pieces."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from dataclasses import field
from itertools import islice

from s3napback.records import dataclass
from s3napback.recovery.archived_facts import ArchivedFacts
from s3napback.recovery.folders import Cursor, opened_anew
from s3napback.recovery.following import cursor_at
from s3napback.recovery.known_names import Flag, KnownNames
from s3napback.scarcity import require_means

_PIECE = 4_096
_MOST_HELD = 50_000
"""Names that are told in order; more of one folder come as the file system has them."""


def new_names(top: int, directory: str, names: KnownNames, facts: ArchivedFacts) -> Iterator[str]:
    """Paths of what is new, of a folder only itself.

    What lies in a folder that was left out is not new, and neither is what lies among others that all were left out, as
    in ``/proc``, in a folder of which only its tag was archived, or on a disk of which nothing was.

    Args:
        top: descriptor of the source.
        directory: its path.
        names: what the state has.
        facts: whether links are followed, and what a tag is.
    """
    with cursor_at(top, follows=facts.follows) as place:
        folder = _Folder(place, directory, names, facts)
        yield from folder.new()
        waiting = [folder.inner()]
        while waiting:
            name = next(waiting[-1], None)
            if name is None:
                waiting.pop()
                if waiting:
                    place.leave()
            elif _entered(place, name):
                folder = _Folder(place, directory, names, facts)
                try:
                    yield from folder.new()
                except OSError as error:
                    require_means(error)
                    # What cannot be read is told where its members are compared.
                    place.leave()
                    continue
                waiting.append(folder.inner())


def _entered(place: Cursor, name: str) -> bool:
    try:
        place.enter(name)
    except OSError as error:
        require_means(error)
        return False
    return True


@dataclass
class _Folder:
    """One folder, while the cursor stands in it."""

    place: Cursor
    directory: str
    names: KnownNames
    facts: ArchivedFacts
    _packed: list[str] = field(default_factory=list)

    def new(self) -> Iterator[str]:
        """Look at all that is in it, and tell what is new."""
        unknown: list[str] = []
        count = known = wanted = 0
        has_tag = False
        for found in self._pieces():
            folders = []
            for entry, flags in found:
                if not flags & Flag.KNOWN:
                    count += 1
                    if len(unknown) < _MOST_HELD:
                        unknown.append(entry.name)
                    continue
                known += 1
                wanted += bool(flags & Flag.WANTED)
                has_tag = has_tag or entry.name in self.facts.tags
                if flags & Flag.FOLDER and entry.is_dir(follow_symlinks=self.facts.follows):
                    folders.append(entry.name)
            if folders:
                self._packed.append("/".join(folders))
        if not count or (known and wanted == known) or (known == 1 and has_tag):
            return
        if not known and self.place.depth and _is_mounted(self.place.descriptor):
            return
        yield from map(self._path, sorted(unknown) if count == len(unknown) else self._unknown())

    def inner(self) -> Iterator[str]:
        """The folders in it that the state knows as such; many names take a fraction in one piece of text."""
        while self._packed:
            yield from self._packed.pop().split("/")

    def _unknown(self) -> Iterator[str]:
        for found in self._pieces():
            yield from sorted(entry.name for entry, flags in found if not flags & Flag.KNOWN)

    def _pieces(self) -> Iterator[list[tuple[os.DirEntry[str], int]]]:
        descriptor = self.place.descriptor
        if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_PATH:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        folder = _as_archived(self._path("").strip("/"))
        with opened_anew(descriptor) as again, os.scandir(again) as entries:
            while piece := list(islice(entries, _PIECE)):
                flags = self.names.in_folder(folder, [_as_archived(entry.name) for entry in piece])
                yield list(zip(piece, flags, strict=True))

    def _path(self, name: str) -> str:
        return "/".join((self.directory.rstrip("/"), *self.place.names, name))


def _as_archived(name: str) -> str:
    """A name of the file system as archives have it, in UTF-8 whatever the locale."""
    return os.fsencode(name).decode("utf-8", "surrogateescape")


def _is_mounted(folder: int) -> bool:
    return os.fstat(folder).st_dev != os.stat("..", dir_fd=folder).st_dev
