"""Where archives live: the interface that every store implements.

A store maps keys to objects. An object is bytes with metadata, and both change together in one step: a reader sees the
old object or the new one, never a mixture, and nothing at all of an upload that failed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field
from datetime import datetime, timezone
from types import MappingProxyType
from typing import Protocol, runtime_checkable

from s3napback.records import dataclass


class ByteSource(Protocol):
    """What a store reads an object's bytes from."""

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill ``buffer`` from its start and return the number of bytes; 0 only at a good end.

        Raises:
            S3napbackError: if anything that produces the bytes failed. The end is then never reported.
        """
        ...


NO_METADATA: Mapping[str, str] = MappingProxyType({})
"""What listings tell of metadata; one for all."""


EARLIEST, LATEST = datetime(2, 1, 1, tzinfo=timezone.utc), datetime(9998, 1, 1, tzinfo=timezone.utc)
"""Moments that ``datetime`` can tell in every time zone."""


def moment_within(seconds: float) -> datetime:
    """A moment in UTC by seconds since 1970; of what no calendar has the nearest that one has.

    Whoever may write to a store can give a file any time that its file system takes.
    """
    return datetime.fromtimestamp(min(max(seconds, EARLIEST.timestamp()), LATEST.timestamp()), timezone.utc)


COLD_TIERS = frozenset({"ARCHIVE_ACCESS", "DEEP_ARCHIVE_ACCESS"})
"""Where a bucket's own rule has put objects of INTELLIGENT_TIERING that nobody has read for months."""

COLD_CLASSES = frozenset({"GLACIER", "DEEP_ARCHIVE"}) | COLD_TIERS
"""Storage classes whose objects must be asked for hours before they can be read (Amazon's user guide)."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """What a store knows of one object without reading its bytes.

    Attributes:
        key: its key, with the prefix, without a leading slash.
        size: in bytes.
        modified: when the store took it, timezone-aware.
        metadata: names in lower case, without any prefix of the store's own; values as they were given to ``put``.
            Empty in a listing, which does not fetch it.
        version: changes whenever the object does (an ETag, or a folder's equivalent); advisory.
        storage_class: the store's name for cold or warm, empty where it has none; in a listing nothing tells of tiers.
        restore_state: of an object in cold storage, whether it is being made readable, or is for a while, as S3's
            ``x-amz-restore`` says it; empty in a listing.
        version_id: by which a store that keeps older versions gives this one; empty in a listing of the present.
        locked_until: it cannot be deleted for good until then, as far as the store tells, timezone-aware; never less.
        lock_flaw: of what has just been put, why it is not locked as it was to be, as a clause; empty if it is.
        flaw: what the store itself has noted of it and does not find any more, or why what it says cannot be relied
            upon, as a clause whose first words are the short form; empty if all fits.
        is_changed: the flaw is that its bytes were put there by somebody else, whatever they are now.
    """

    key: str
    size: int
    modified: datetime
    metadata: Mapping[str, str] = field(default_factory=lambda: NO_METADATA)
    version: str = ""
    storage_class: str = ""
    restore_state: str = ""
    flaw: str = ""
    version_id: str = ""
    locked_until: datetime | None = None
    lock_flaw: str = ""
    is_changed: bool = False

    @property
    def mark(self) -> str:
        """What tells it from whatever else lay, or will lie, under its key, also in a listing; empty if nothing does.

        A HEAD tells the time in seconds, and listings more.
        """
        return f"{self.version} {self.size} {int(self.modified.timestamp())}" if self.version else ""


class Store(Protocol):
    """The operations s3napback needs of a place for archives.

    Every method raises ``StoreError`` (``StoreUnreachable`` where no answer came) when it could not be carried out.
    Methods may be called from several threads.
    """

    @property
    def location(self) -> str:
        """``s3://BUCKET`` or ``file:///FOLDER``: the address shown to people, without a trailing slash."""
        ...

    @property
    def identity(self) -> str:
        """What tells this store from every other one, for keeping state (endpoint and bucket, or the folder)."""
        ...

    @property
    def is_distant(self) -> bool:
        """Whether each look takes a while, so that few are better. Whatever changes has a new ``mark`` then."""
        ...

    def check(self, *, for_writing: bool = True) -> None:
        """Look whether the store can be used at all, changing nothing.

        Args:
            for_writing: False if it is enough that it can be read, as a disk mounted read-only for recovery.

        Raises:
            UnusableStore: the bucket or folder is missing, or the credentials are definitely refused.
            StoreUnreachable: no answer.
        """
        ...

    def is_recognised(self) -> bool:
        """Whether the store bears a sign of having been written to by s3napback; True where stores need none."""
        ...

    def head(self, key: str) -> StoredObject | None:
        """Describe one object with its metadata; None only if it is definitely absent."""
        ...

    def put(
        self,
        key: str,
        source: ByteSource,
        metadata: Mapping[str, str],
        *,
        expected_size: int | None = None,
        is_helper: bool = False,
        lock_until: datetime | None = None,
    ) -> StoredObject:
        """Write one object to its end and confirm that it arrived whole.

        Until the instant the new object is complete the old one stays. If ``source`` raises, or anything else fails,
        the old one stays for good, nothing is left behind where the store allows that, and the failure is raised.

        Args:
            key: where to.
            source: read to its end.
            metadata: ASCII names in lower case and ASCII values, 2 KB in all.
            expected_size: a guess at the number of bytes, for choosing the size of parts.
            is_helper: it is a small object beside an archive, to be read at any time: StorageClass is not meant for it.
            lock_until: it is not to be deleted for good before, timezone-aware; where ObjectLock is not set it means
                nothing. One that did not take is no failure, but told: ``StoredObject.lock_flaw``.

        Returns:
            The object as the store describes it afterwards, its size and metadata compared with what was sent; of a
            helper that fits into one request, which a digest goes along with, as it was sent.
        """
        ...

    def read(self, key: str, *, start: int = 0, end: int | None = None, version: str = "") -> Iterator[bytes]:
        """Yield the bytes ``[start, end)`` of an object in blocks.

        Args:
            key: the object.
            start: first byte, from 0.
            end: one past the last byte; None is the object's end.
            version: if given, the object must still be this one where the store can tell.

        Raises:
            StoreError: the object is absent, was replaced, or the bytes ended early.
        """
        ...

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """Yield every object whose key begins with ``prefix`` (any string). The order is the store's own."""
        ...

    def gone(self, prefix: str) -> Iterator[str]:
        """Yield keys below ``prefix`` of which the store has notes of its own, and no object any more."""
        ...

    def delete(self, key: str) -> bool:
        """Remove one object; one that is absent already is no error.

        Returns:
            Whether the store says that it keeps the object as an older version, and so the space.
        """
        ...

    def unfinished(self, prefix: str) -> Iterator[str]:
        """Yield keys below ``prefix`` to which uploads were begun and not finished, each once or more. Best effort.

        Some stores tell of uploads only whoever asks for exactly their key.
        """
        ...

    def discard_leftovers(self, key: str, *, count_only: bool = False, least_age: float = 0) -> int:
        """Remove what earlier uploads to exactly this key left unfinished. Best effort.

        Args:
            key: an archive's.
            count_only: leave them where they are.
            least_age: seconds; what was begun later may still be under way, on another machine, and stays.

        Returns:
            How many were removed, or are there.
        """
        ...


@runtime_checkable
class LockingStore(Protocol):
    """What a store can besides, in which objects can be locked."""

    def lock(self, key: str, version: str, until: datetime) -> None:
        """Lock an object for longer.

        Args:
            key: the object.
            version: which version of it; empty is the present one.
            until: timezone-aware.

        Raises:
            StoreError: it could not be done.
        """
        ...


@runtime_checkable
class KeepingStore(Protocol):
    """What a store can tell besides, which may keep what is replaced or deleted."""

    def keeps_for(self, prefix: str) -> int | None:
        """Days until what is replaced or deleted now below a prefix is removed for good; None if that is not known."""
        ...


def read_at_most(store: Store, key: str, most: int) -> bytes:
    """An object's bytes, for what is small if it is ours: of a larger one more than ``most``, and not all.

    Raises:
        StoreError: it is not there, or cannot be read.
    """
    data = bytearray()
    for block in store.read(key):
        data += block
        if len(data) > most:
            break
    return bytes(data)
