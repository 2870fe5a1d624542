"""What is written beside an archive: its checksum, and the index that tells where in it each member stands."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import BinaryIO

from s3napback.archives import ArchiveRecord, metadata_digest
from s3napback.catalogue.indexes import index_key, index_metadata
from s3napback.catalogue.sums import sum_key
from s3napback.encryption.gpg import Encryption
from s3napback.environment import Family
from s3napback.index.document import first_part
from s3napback.index.lines import Lines
from s3napback.records import dataclass
from s3napback.stores import Store, StoredObject
from s3napback.streams.pipeline import Pipeline
from s3napback.streams.processes import Stage
from s3napback.streams.segments import Segments
from s3napback.streams.spooling import Measured
from s3napback.streams.transformations import Block, Feed

_PIECE = 1 << 18  # bytes


@dataclass(frozen=True)
class OpenLines:
    """The lines of an archive's members.

    Attributes:
        lines: what they are.
        file: that holds them, at its beginning.
    """

    lines: Lines
    file: BinaryIO


@dataclass(frozen=True)
class PutIndex:
    """An index that has arrived.

    Attributes:
        sha256: of its stored bytes, in hexadecimal; empty if there is none.
        stored: as the store has it.
    """

    sha256: str = ""
    stored: StoredObject | None = None


NO_INDEX = PutIndex()


def put_index(
    store: Store,
    key: str,
    record: ArchiveRecord,
    segments: Segments,
    lines: OpenLines | None,
    encryption: Encryption | None,
    lock_until: datetime | None = None,
) -> PutIndex:
    """Write the index of an archive that has just arrived, encrypted as the archive is.

    Args:
        store: where the archive lies.
        key: the archive's.
        record: likewise.
        segments: of its compressed stream.
        lines: of its members; None if they could not be followed, and then an older archive's index is removed.
        encryption: None if there is none.
        lock_until: as ``Store.put`` takes it.

    Returns:
        What has arrived; ``NO_INDEX`` if none was written.

    Raises:
        S3napbackError: it could not be written; an older archive's stays, and is told by the id that it bears.
    """
    if lines is None:
        store.delete(index_key(key))
        return NO_INDEX
    begun = first_part(record.id, segments, lines.lines)

    def blocks() -> Iterator[Block]:
        yield begun
        while piece := lines.file.read(_PIECE):
            yield piece

    elements: list[Feed | Stage] = [Feed("the index", blocks)]
    if encryption:
        command = encryption.command_for_index(metadata_digest(record.to_metadata()))
        elements.append(Stage(command, family=Family.GPG))
    with Pipeline(elements) as pipeline:
        measured = Measured(pipeline)
        metadata = index_metadata(record)
        stored = store.put(index_key(key), measured, metadata, is_helper=True, lock_until=lock_until)
    return PutIndex(measured.sha256, stored)


def put_sum(
    store: Store, key: str, text: bytes, metadata: Mapping[str, str], lock_until: datetime | None
) -> StoredObject:
    """Write the checksum object of an archive that is there.

    Args:
        store: where the archive lies.
        key: the archive's.
        text: of the object.
        metadata: likewise.
        lock_until: as ``Store.put`` takes it.

    Raises:
        StoreError: it could not be written.
    """
    content = Measured(_BytesOf(text))
    return store.put(sum_key(key), content, metadata, is_helper=True, lock_until=lock_until)


class _BytesOf:
    """Bytes in memory as a ``ByteSource``."""

    def __init__(self, data: bytes) -> None:
        self._stream = io.BytesIO(data)

    def readinto(self, buffer: memoryview, /) -> int:
        """See ``ByteSource``."""
        return self._stream.readinto(buffer)
