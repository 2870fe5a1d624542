"""What a store keeps of one key, and which of it lay there at a moment. Pure.

A store dates an object by its own clock, which nobody who has a key can turn back. One exception is known: Amazon dates
what came in parts by the *beginning* of its upload (User Guide, "Object metadata"), so that uploads that were begun
before a moment and finished after it seem to be older than it. Of archives that came in parts those count, therefore,
that a checksum object of that time tells of: such an object comes in one piece.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Protocol

from s3napback.records import dataclass
from s3napback.regexes import regex
from s3napback.stores import StoredObject

_IN_PARTS = regex(r"-[0-9]+\Z")
_ID = regex(rb"^# id (?P<id>[^\n]+)$", re.MULTILINE)
_STORED = regex(rb"^# bytes stored (?P<size>[0-9]{1,18})$", re.MULTILINE)


@dataclass(frozen=True)
class StoredVersion:
    """One version of an object, or the mark of a deletion.

    Attributes:
        key: with the prefix.
        id: by which the store gives it; ``null`` if it was written while no versions were kept.
        modified: by the store's clock, timezone-aware.
        size: in bytes.
        etag: without quotation marks.
        storage_class: the store's name for cold or warm.
        is_marker: it says that there is no object from then on.
    """

    key: str
    id: str
    modified: datetime
    size: int = 0
    etag: str = ""
    storage_class: str = ""
    is_marker: bool = False

    @property
    def came_in_parts(self) -> bool:
        """Whether its ETag is one of an upload in parts, ``…-NUMBER``."""
        return bool(_IN_PARTS.search(self.etag))


class VersionedStore(Protocol):
    """What a store that keeps versions tells of them all."""

    @property
    def location(self) -> str:
        """See ``Store``."""
        ...

    @property
    def identity(self) -> str:
        """See ``Store``."""
        ...

    def check(self, *, for_writing: bool = True) -> None:
        """See ``Store``."""
        ...

    def versions(self, prefix: str) -> Iterator[StoredVersion]:
        """Yield every version and deletion of the keys below a prefix.

        Raises:
            StoreError: they may not be listed.
        """
        ...

    def look_at(self, version: StoredVersion) -> StoredObject | None:
        """Describe a version, with its metadata; None if it is there no more.

        Raises:
            StoreError: the store does not tell.
        """
        ...


@dataclass(frozen=True)
class Voucher:
    """What a checksum object says of the archive beside it.

    Attributes:
        id: the archive's.
        size: its bytes in the store; None if that is not said.
    """

    id: str
    size: int | None


class Vouchers:
    """What the checksum objects beside one archive say, of which no more are read than are needed, and each once."""

    def __init__(self, sums: Sequence[StoredVersion], read: Callable[[StoredVersion], Voucher | None]) -> None:
        """Read none yet.

        Args:
            sums: until the moment, the newest first.
            read: what one says; None if it names no archive.
        """
        self._sums = [version for version in sums if not version.is_marker]
        self._place = 0
        self._read = read
        self._known: dict[str, Voucher] = {}
        self._lock = threading.Lock()

    def of(self, identity: str) -> Voucher | None:
        """What the newest that names an archive says of it; None if none does."""
        with self._lock:
            while identity not in self._known and self._place < len(self._sums):
                voucher = self._read(self._sums[self._place])
                # Only now: one that could not be read is read again by whoever asks next.
                self._place += 1
                if voucher is not None:
                    self._known.setdefault(voucher.id, voucher)
            return self._known.get(identity)


@dataclass(frozen=True)
class VersionAsOf:
    """What lay under a key at a moment.

    Attributes:
        version: None if nothing did.
        is_vouched: its date is the store's word for when it was there; if not, it may be younger.
        passed_over: how many newer ones were left out, because nothing vouches for them.
    """

    version: StoredVersion | None = None
    is_vouched: bool = True
    passed_over: int = 0


def newest_first(versions: Iterable[StoredVersion]) -> list[StoredVersion]:
    """In the order of time; at a tie a version is newer than a deletion, and of versions the first listed.

    Stores list the newest first, but deletions apart from versions, and times to the second.
    """
    return sorted(versions, key=lambda each: (-each.modified.timestamp(), each.is_marker))


def voucher_in(data: bytes) -> Voucher | None:
    """Read the text of a checksum object; None if it names no archive."""
    named, stored = _ID.search(data), _STORED.search(data)
    if named is None:
        return None
    return Voucher(named["id"].decode(errors="surrogateescape"), int(stored["size"]) if stored else None)


def newest(history: Sequence[StoredVersion]) -> VersionAsOf:
    """What lay there, by the store's dates alone.

    Args:
        history: of one key until the moment, the newest first.
    """
    if not history or history[0].is_marker:
        return VersionAsOf()
    return VersionAsOf(history[0], is_vouched=not history[0].came_in_parts)


def vouched(
    history: Sequence[StoredVersion],
    voucher_of: Callable[[str], Voucher | None],
    identity: Callable[[StoredVersion], str],
) -> VersionAsOf:
    """Which archive lay there, where dates alone do not tell.

    Args:
        history: of one key until the moment, the newest first.
        voucher_of: what a checksum object of that time says of the archive with an id; None if there is none.
        identity: the id in a version's metadata, empty without.

    Returns:
        Of several versions with the id that is vouched for the earliest: whoever plants one has read the id in it.
        Where nothing vouches for any, the newest, not vouched for.
    """
    passed: list[StoredVersion] = []
    for place, version in enumerate(history):
        if version.is_marker:
            break
        if not version.came_in_parts:
            return VersionAsOf(version, passed_over=len(passed))
        name = identity(version)
        voucher = voucher_of(name) if name else None
        if voucher is not None and _fits(version, voucher):
            same = [
                older
                for older in history[place + 1 :]
                if not older.is_marker and _fits(older, voucher) and identity(older) == voucher.id
            ]
            return VersionAsOf([version, *same][-1], passed_over=len(passed) + len(same))
        passed.append(version)
    return VersionAsOf(passed[0], is_vouched=False) if passed else VersionAsOf()


def _fits(version: StoredVersion, voucher: Voucher) -> bool:
    return voucher.size is None or version.size == voucher.size
