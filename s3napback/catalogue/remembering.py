"""What a distant store told of single objects, kept in the user's cache folder for the next time it is asked.

A listing shows of each object what changes whenever the object does; as long as that is the same, its metadata are.
What is kept is shown to people and nothing else: no decision that deletes, overwrites or restores rests on it. A file
that is damaged, lost, or of another version costs time only.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import secrets
import sys
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Protocol

from s3napback.errors import ChangeableByOthers
from s3napback.ownership import open_own_file, require_own
from s3napback.records import dataclass
from s3napback.stores import NO_METADATA, StoredObject

logger = logging.getLogger("s3napback")

MOST_OBJECTS = 200_000
"""In one file, of which each takes less than a kilobyte."""
MOST_FILES = 50
"""One for each store and Prefix; those that were not used for longest go."""

_FORMAT = "s3napback-heads-3"
_LARGEST = 256 << 20  # bytes of a file that is read
_LONGEST_LINE = 200  # bytes of the first one
_LONGEST_AGE = 90 * 86_400.0  # seconds since a file was last used


class Looked(Protocol):
    """What is asked for what is not known: a store, or what else looks at single objects."""

    @property
    def is_distant(self) -> bool:
        """See ``Store``."""
        ...

    def head(self, key: str) -> StoredObject | None:
        """See ``Store``."""
        ...


class HeadMemory:
    """Looks at objects of one store, and remembers. Methods may be called from several threads, but for ``save``."""

    def __init__(
        self,
        store: Looked,
        folder: Path | None = None,
        name: str = "",
        is_outdated: Callable[[StoredObject], bool] = lambda _known: False,
    ) -> None:
        """Read what is known.

        Args:
            store: that is asked for what is not known; one that is not distant is always asked.
            folder: of the cache, private; None remembers until the end of the process.
            name: of what is looked at, the store's identity and the Prefix.
            is_outdated: whether something that no listing shows may be another by now than it is known.
        """
        self._is_outdated = is_outdated
        self._store = store
        self._file = folder / f"heads-{hashlib.sha256(name.encode()).hexdigest()[:24]}" if folder else None
        self._known: dict[str, _Known] = {}
        self._shared: dict[str, str] = {}
        self._names: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._is_changed = False
        if self._file and store.is_distant:
            with suppress(OSError, ChangeableByOthers):
                self._known = _read(self._file, self._slim)

    def head(self, listed: StoredObject) -> StoredObject | None:
        """Describe an object that has just been listed, as ``Store.head`` does, but for whether it is being restored.

        Raises:
            StoreError: the store does not tell.
        """
        known = self._known.get(listed.key)
        if known is not None and known.sign == _sign(listed) and not self._is_outdated(known.found):
            return known.found
        found = self._store.head(listed.key)
        if found is not None:
            found = _sharing(found, listed, self._slim(found.metadata))
            # What was replaced between the listing and the look would be kept under the wrong sign.
            if self._store.is_distant and found.mark and found.mark == listed.mark:
                kept = replace(found, restore_state="") if found.restore_state else found
                self._known[listed.key] = _Known(_sign(listed), kept)
                self._is_changed = True
        return found

    def _slim(self, metadata: Mapping[str, str]) -> Mapping[str, str]:
        """The same, sharing what many objects say alike: there may be hundreds of thousands."""
        if not metadata:
            return NO_METADATA
        share = self._shared.setdefault
        names = tuple(metadata)
        values = tuple(share(value, value) for value in metadata.values())
        return _Told(self._names.setdefault(names, names), values)

    def save(self, listed: Collection[str]) -> None:
        """Keep what is known of the keys that are there, in one step; other runs may do the same at that time."""
        if self._file is None or not self._store.is_distant:
            return
        there = [key for key in listed if key in self._known]
        try:
            if self._is_changed or len(there) != len(self._known):
                _write(self._file, ((key, self._known[key]) for key in there[:MOST_OBJECTS]))
            else:
                os.utime(self._file)
            _tidy(self._file.parent)
        except (OSError, ChangeableByOthers) as error:
            logger.debug("what the store told is not kept: %s", error)


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of an object.

    Attributes:
        sign: what a listing told of it then.
    """

    sign: tuple[str, int, float, str]
    found: StoredObject

    def to_line(self, key: str) -> bytes:
        """A line of the file."""
        found = self.found
        locked = found.locked_until.timestamp() if found.locked_until else None
        told = [key, self.sign, {**found.metadata}, found.storage_class, found.modified.timestamp(), locked]
        return json.dumps(told, separators=(",", ":")).encode() + b"\n"


class _Told(Mapping[str, str]):
    """An object's metadata, in a third of the memory that a dictionary takes: most objects have the same names."""

    __slots__ = ("_names", "_values")

    def __init__(self, names: tuple[str, ...], values: tuple[str, ...]) -> None:
        self._names = names
        self._values = values

    def __getitem__(self, name: str) -> str:
        try:
            return self._values[self._names.index(name)]
        except ValueError:
            raise KeyError(name) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        return f"{dict(self)!r}"


def _sharing(found: StoredObject, listed: StoredObject, metadata: Mapping[str, str]) -> StoredObject:
    """The same, holding what the listing told alike, so that nothing is there twice."""
    version = listed.version if listed.version == found.version else found.version
    modified = listed.modified if listed.modified == found.modified else found.modified
    return replace(found, key=listed.key, metadata=metadata, version=version, modified=modified)


def _sign(listed: StoredObject) -> tuple[str, int, float, str]:
    """What a listing tells that is another as soon as the object is."""
    return listed.version, listed.size, listed.modified.timestamp(), listed.storage_class


def cache_folder(environment: Mapping[str, str]) -> Path | None:
    """The folder of what may be lost: in XDG_CACHE_HOME, else below /var/cache for root, and at home for others."""
    base = environment.get("XDG_CACHE_HOME", "")
    if base.startswith("/"):
        return Path(base) / "s3napback"
    if os.geteuid() == 0:
        return Path("/var/cache/s3napback")
    home = environment.get("HOME", "")
    return Path(home) / ".cache" / "s3napback" if home.startswith("/") else None


def private_folder(path: Path) -> None:
    """Make a folder with those above it, as far as they are not there, for ourselves alone.

    Raises:
        OSError: it cannot be made.
    """
    for folder in (*reversed(path.parents), path):
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)


def _write(file: Path, known: Iterable[tuple[str, _Known]]) -> None:
    """Write a line for each key, behind one with the digest of them all."""
    private_folder(file.parent)
    require_own(file.parent)
    new = file.with_name(f"{file.name}.{secrets.token_hex(4)}.new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    digest = hashlib.sha256()
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(_first_line(digest))
            for key, told in known:
                line = told.to_line(key)
                digest.update(line)
                stream.write(line)
            stream.seek(0)
            stream.write(_first_line(digest))
        new.replace(file)
    except BaseException:
        new.unlink(missing_ok=True)
        raise


def _read(file: Path, slim: Callable[[Mapping[str, str]], Mapping[str, str]]) -> dict[str, _Known]:
    """What a file holds; nothing if it is not as it was written. It is ours, so that only damage is looked for.

    Args:
        slim: makes metadata small.

    Raises:
        ChangeableByOthers: it is not ours.
        OSError: it is not there, or cannot be read.
    """
    digest = hashlib.sha256()
    with os.fdopen(open_own_file(file), "rb") as stream:
        if os.fstat(stream.fileno()).st_size > _LARGEST:
            return {}
        first = stream.readline(_LONGEST_LINE)
        for line in stream:
            digest.update(line)
        if first != _first_line(digest):
            return {}
        stream.seek(len(first))
        return dict(_parsed(line, slim) for line in stream)


def _parsed(line: bytes, slim: Callable[[Mapping[str, str]], Mapping[str, str]]) -> tuple[str, _Known]:
    key, (version, size, listed, listed_class), metadata, storage_class, modified, locked = json.loads(line)
    # Locks are made longer meanwhile, and never shorter.
    until = None if locked is None else datetime.fromtimestamp(locked, timezone.utc)
    when = datetime.fromtimestamp(modified, timezone.utc)
    found = StoredObject(key, size, when, slim(metadata), version, sys.intern(storage_class), locked_until=until)
    return key, _Known((version, size, listed, sys.intern(listed_class)), found)


def _first_line(digest: hashlib._Hash) -> bytes:
    return f"{_FORMAT} {digest.hexdigest()}\n".encode()


def _tidy(folder: Path) -> None:
    """Remove what was not used for long, and what a run left that was killed."""
    files = sorted(folder.glob("heads-*"), key=lambda path: -path.stat().st_mtime)
    oldest = time.time() - _LONGEST_AGE
    for number, path in enumerate(files):
        age = path.stat().st_mtime
        if number >= MOST_FILES or age < oldest or (path.suffix == ".new" and age < time.time() - 3600):
            path.unlink(missing_ok=True)
