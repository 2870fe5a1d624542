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
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from s3napback.errors import ChangeableByOthers
from s3napback.ownership import read_own_file, require_own
from s3napback.stores import Store, StoredObject

logger = logging.getLogger("s3napback")

MOST_OBJECTS = 200_000
"""In one file, of which each takes less than a kilobyte."""
MOST_FILES = 50
"""One for each store and Prefix; those that were not used for longest go."""

_FORMAT = "s3napback-heads-2"
_LARGEST = 256 << 20  # bytes of a file that is read
_LONGEST_AGE = 90 * 86_400.0  # seconds since a file was last used


class HeadMemory:
    """Looks at objects of one store, and remembers. Methods may be called from several threads, but for ``save``."""

    def __init__(self, store: Store, folder: Path | None = None, name: str = "") -> None:
        """Read what is known.

        Args:
            store: that is asked for what is not known; one that is not distant is always asked.
            folder: of the cache, private; None remembers until the end of the process.
            name: of what is looked at, the store's identity and the Prefix.
        """
        self._store = store
        self._file = folder / f"heads-{hashlib.sha256(name.encode()).hexdigest()[:24]}" if folder else None
        self._known: dict[str, Any] = {}
        self._is_changed = False
        if self._file and store.is_distant:
            with suppress(OSError, ChangeableByOthers):
                self._known = _parsed(read_own_file(self._file, _LARGEST)[0])

    def head(self, listed: StoredObject) -> StoredObject | None:
        """Describe an object that has just been listed, as ``Store.head`` does, but for whether it is being restored.

        Raises:
            StoreError: the store does not tell.
        """
        sign = [listed.version, listed.size, listed.modified.timestamp(), listed.storage_class]
        entry = self._known.get(listed.key)
        if entry is not None and entry[0] == sign:
            metadata, storage_class, modified, locked = entry[1:]
            when = datetime.fromtimestamp(modified, timezone.utc)
            # Locks are made longer meanwhile, and never shorter.
            until = None if locked is None else datetime.fromtimestamp(locked, timezone.utc)
            return StoredObject(
                listed.key, listed.size, when, metadata, listed.version, storage_class, locked_until=until
            )
        found = self._store.head(listed.key)
        # What was replaced between the listing and the look would be kept under the wrong sign.
        if found is not None and self._store.is_distant and found.mark and found.mark == listed.mark:
            locked = found.locked_until.timestamp() if found.locked_until else None
            what = [dict(found.metadata), found.storage_class, found.modified.timestamp(), locked]
            self._known[listed.key] = [sign, *what]
            self._is_changed = True
        return found

    def save(self, listed: Collection[str]) -> None:
        """Keep what is known of the keys that are there, in one step; other runs may do the same at that time."""
        if self._file is None or not self._store.is_distant:
            return
        there = {key: self._known[key] for key in listed if key in self._known}
        try:
            if self._is_changed or len(there) != len(self._known):
                _write(self._file, dict(list(there.items())[:MOST_OBJECTS]))
            else:
                os.utime(self._file)
            _tidy(self._file.parent)
        except (OSError, ChangeableByOthers) as error:
            logger.debug("what the store told is not kept: %s", error)


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


def _write(file: Path, known: Mapping[str, Any]) -> None:
    private_folder(file.parent)
    require_own(file.parent)
    body = json.dumps(known, separators=(",", ":")).encode()
    new = file.with_name(f"{file.name}.{secrets.token_hex(4)}.new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(f"{_FORMAT} {hashlib.sha256(body).hexdigest()}\n".encode() + body)
        new.replace(file)
    except BaseException:
        new.unlink(missing_ok=True)
        raise


def _parsed(data: bytes) -> dict[str, Any]:
    """What a file holds; nothing if it is not as it was written. It is ours, so that only damage is looked for."""
    head, _, body = data.partition(b"\n")
    if head != f"{_FORMAT} {hashlib.sha256(body).hexdigest()}".encode():
        return {}
    known: dict[str, Any] = json.loads(body)
    return known


def _tidy(folder: Path) -> None:
    """Remove what was not used for long, and what a run left that was killed."""
    files = sorted(folder.glob("heads-*"), key=lambda path: -path.stat().st_mtime)
    oldest = time.time() - _LONGEST_AGE
    for number, path in enumerate(files):
        age = path.stat().st_mtime
        if number >= MOST_FILES or age < oldest or (path.suffix == ".new" and age < time.time() - 3600):
            path.unlink(missing_ok=True)
