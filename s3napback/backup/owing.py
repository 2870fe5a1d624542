"""Checksums that are owed: noted in DiffDir as soon as an archive counts, and written by the next run if this one does
not come to it.

An archive without its checksum is restored like any other, with one exception: as of a time before a theft, of what
came in parts only that counts which a checksum vouches for.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path

from s3napback.archives import ArchiveRecord
from s3napback.backup.beside import put_sum
from s3napback.backup.context import RunContext
from s3napback.backup.locking import lock_of
from s3napback.backup.tally import NOTHING, Tally
from s3napback.catalogue.sums import SumNote, format_sum, parse_sum, sum_metadata
from s3napback.errors import S3napbackError, StoreUnreachable
from s3napback.ownership import read_own_file
from s3napback.records import dataclass
from s3napback.state import OWED, StoreState
from s3napback.stores import StoredObject

logger = logging.getLogger("s3napback")


@dataclass(frozen=True)
class OwedSum:
    """A checksum object that is to be written.

    Attributes:
        name: under which the archive's state is.
        key: the archive's.
        id: likewise.
        text: of the checksum object; bytes that are not UTF-8 as surrogates.
        metadata: of the same.
    """

    name: str
    key: str
    id: str
    text: str
    metadata: Mapping[str, str]

    @classmethod
    def of(cls, name: str, key: str, note: SumNote) -> OwedSum:
        """The one of an archive that has arrived."""
        return cls(name, key, note.id, format_sum(note).decode(errors="surrogateescape"), sum_metadata(note))

    @property
    def content(self) -> bytes:
        """The checksum object, as it is to be stored."""
        return self.text.encode(errors="surrogateescape")

    @property
    def files(self) -> Mapping[str, bytes]:
        """What is to lie beside the archive's state until it is written, by its name."""
        return {f"{self.id}{OWED}": json.dumps(asdict(self), indent=1).encode()}


def forget_owed(state: StoreState, name: str, identity: str) -> None:
    """The checksum of an archive is there."""
    # If it stays, the next run writes the same once more.
    with suppress(OSError):
        (state.folder(name) / f"{identity}{OWED}").unlink(missing_ok=True)


def owed_note(state: StoreState, key: str, identity: str) -> SumNote | None:
    """What the checksum of an archive will say that is owed here; None if none is, or it cannot be read."""
    for path in _paths(state):
        with suppress(S3napbackError, OSError):
            owed = _read(path)
            if owed is not None and (owed.key, owed.id) == (key, identity):
                return parse_sum(owed.content)
    return None


def write_owed(context: RunContext) -> Tally:
    """Write the checksums that earlier runs did not come to, of archives that are still there; failing is a warning."""
    tally = NOTHING
    if context.unreachable is not None:
        return tally
    for path in _paths(context.state):
        try:
            _write(context, path)
        except (S3napbackError, OSError) as error:
            logger.warning("the checksum of what %s speaks of could not be written: %s", path, error)
            tally += Tally(warnings=1)
            if isinstance(error, StoreUnreachable):
                break
    return tally


def _paths(state: StoreState) -> list[Path]:
    return sorted(state.place.folder.glob(f"*/*{OWED}"))


def _write(context: RunContext, path: Path) -> None:
    owed, store = _read(path), context.store
    found = store.head(owed.key) if owed else None
    record = ArchiveRecord.from_metadata(found.metadata) if found else None
    if owed is not None and found is not None and record is not None and record.id == owed.id:
        stored = put_sum(store, owed.key, owed.content, owed.metadata, found.locked_until)
        logger.info("%s: its checksum is written, to which an earlier run did not come", owed.key)
        _remember_lock(context.state, owed, stored)
    path.unlink(missing_ok=True)


def _read(path: Path) -> OwedSum | None:
    """What was noted; None if it makes no sense, so that it is forgotten.

    Raises:
        OSError, ChangeableByOthers: it cannot be read, or is not ours.
    """
    try:
        return OwedSum(**json.loads(read_own_file(path)[0]))
    except (ValueError, TypeError):
        return None


def _remember_lock(state: StoreState, owed: OwedSum, stored: StoredObject) -> None:
    known = state.locks(owed.name)
    entry = known.get(owed.key)
    if entry is not None and entry.id == owed.id:
        objects = {**entry.objects, stored.key: lock_of(stored)}
        state.remember_locks(owed.name, {**known, owed.key: replace(entry, objects=objects)})
