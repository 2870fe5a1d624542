"""What lies beside archives in a distant store, and their beginnings, kept in the user's cache folder as stored.

So what is encrypted in the store is so here; and whoever reads it judges it anew each time, as if it came from the
store. What is damaged, lost, or of another version costs time only.
"""

from __future__ import annotations

import hashlib
import logging
import os
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, cast

from s3napback.catalogue.remembering import private_folder
from s3napback.errors import ChangeableByOthers
from s3napback.ownership import open_own_file, require_own
from s3napback.stores import Store, StoredObject

logger = logging.getLogger("s3napback")

MOST_BYTES = 2 << 30
"""In one cache folder; those files go that were not used for longest."""
LARGEST_BEGINNING = 1 << 19
"""Bytes of an archive that are kept, at most."""

_LEAST_BEGINNING = 4096
_LONGEST_AGE = 90 * 86_400.0  # seconds since a file was last used
_PIECE = 1 << 18


class KeptStore:
    """A store of which some objects, and some beginnings of objects, are read once only.

    It reads, and is like the store in everything else. Methods may be called from several threads.

    Attributes:
        objects: what is kept as a whole, by their keys.
    """

    def __init__(self, store: Store, folder: Path | None, objects: Mapping[str, StoredObject]) -> None:
        """Describe it.

        Args:
            store: the store.
            folder: of the cache; None keeps nothing.
            objects: by their keys, what is kept as a whole, as the store has listed it. Of others beginnings are kept.
        """
        self._store = store
        self._folder = folder if store.is_distant else None
        self.objects = objects
        self._given: dict[str, set[Path]] = {}
        self._useless: set[Path] = set()

    def __getattr__(self, name: str) -> Any:
        """Whatever else the store can do."""
        return getattr(self._store, name)

    def forget(self, key: str) -> bool:
        """Keep nothing of an object, since what was given is of no use; tells whether anything was kept."""
        whole = self._whole(key)
        paths = self._given.pop(key, set()) | ({whole} if whole else set())
        there = [path for path in paths - self._useless if path.exists()]
        for path in there:
            try:
                path.unlink()
            except OSError:
                # As from what is mounted read-only: it is not read again at least.
                self._useless.add(path)
        return bool(there)

    def read(self, key: str, *, start: int = 0, end: int | None = None, version: str = "") -> Iterator[bytes]:
        """See ``Store``."""
        file = None
        if start == 0 and end is None:
            file = self._whole(key)
        elif start == 0 and end is not None and _LEAST_BEGINNING < end <= LARGEST_BEGINNING and version:
            file = self._path(f"{key}\0{version}\0{end}")
        if file is None:
            return self._store.read(key, start=start, end=end, version=version)
        self._given.setdefault(key, set()).add(file)
        with suppress(OSError, ChangeableByOthers):
            if file not in self._useless:
                kept = os.fdopen(open_own_file(file), "rb")
                with suppress(OSError):
                    os.utime(file)
                return _blocks_of(kept)
        return _kept(file, self._store.read(key, start=start, end=end, version=version))

    def _whole(self, key: str) -> Path | None:
        found = self.objects.get(key)
        return self._path(f"{key}\0{found.mark}") if found is not None and found.mark else None

    def _path(self, name: str) -> Path | None:
        if self._folder is None:
            return None
        whole = f"{self._store.identity}\0{name}"
        return self._folder / f"kept-{hashlib.sha256(whole.encode('utf-8', 'surrogateescape')).hexdigest()[:32]}"


def _blocks_of(file: Any) -> Iterator[bytes]:
    with file:
        while block := file.read(_PIECE):
            yield block


def _kept(file: Path, blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Give blocks on, and keep them if all of them come."""
    new = file.with_name(f"{file.name}.{secrets.token_hex(4)}.new")
    output = _opened(new)
    try:
        for block in blocks:
            output = _written(output, block)
            yield block
        if output is not None:
            with suppress(OSError):
                output.close()
                new.replace(file)
    finally:
        if output is not None:
            output.close()
        with suppress(OSError):
            new.unlink(missing_ok=True)


def _opened(new: Path) -> BinaryIO | None:
    try:
        private_folder(new.parent)
        require_own(new.parent)
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except (OSError, ChangeableByOthers) as error:
        logger.debug("what the store gave is not kept: %s", error)
        return None
    return cast(BinaryIO, os.fdopen(descriptor, "wb", buffering=0))


def _written(output: BinaryIO | None, block: bytes) -> BinaryIO | None:
    """The same file, behind a block; None, closed, if that cannot be written."""
    if output is None:
        return None
    try:
        if output.write(block) == len(block):
            return output
    except OSError as error:
        logger.debug("what the store gave is not kept: %s", error)
    output.close()
    return None


def tidy(folder: Path | None) -> None:
    """Remove what was not used for long, what there is no room for, and what a run left that was killed."""
    if folder is None:
        return
    with suppress(OSError):
        files = sorted(((path.stat(), path) for path in folder.glob("kept-*")), key=lambda pair: -pair[0].st_mtime)
        total, now = 0, time.time()
        for status, path in files:
            total += status.st_size
            age = now - status.st_mtime
            if total > MOST_BYTES or age > _LONGEST_AGE or (path.suffix == ".new" and age > 3600):
                path.unlink(missing_ok=True)
