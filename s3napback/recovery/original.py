"""Archives of the original tool, restored and checked in the way of our own: decoding, gate, staging and publishing.

What is different is done before: chunks are joined, and what tar has recorded as moved is moved by us, and not by tar.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from s3napback.catalogue.contents import CataloguedArchive
from s3napback.errors import StoreError
from s3napback.kinds import DIRECTORY, MYSQL, POSTGRESQL, SUBVERSION, SourceName
from s3napback.original.chains import OriginalArchive
from s3napback.original.joined import JoinedStore
from s3napback.original.keys import before_wildcards
from s3napback.original.renames import Rename, UnclearRenames, is_opening, opening_of, without_renames
from s3napback.records import dataclass
from s3napback.recovery.databases import dump_check, dump_ends
from s3napback.recovery.directory import DirectoryRestore, listing
from s3napback.recovery.dump_stream import DumpReader
from s3napback.recovery.folders import Cursor, cursor, exists, file_names, go_to, unchanged
from s3napback.recovery.members import lies_in
from s3napback.recovery.opening.decoder import Decoder
from s3napback.recovery.opening.failures import Damaged
from s3napback.recovery.paths import WantedPaths
from s3napback.recovery.registry import Consumer, Restore, Wanted, recovery_of
from s3napback.recovery.single_file import FileRestore
from s3napback.recovery.staging import Staging, looking_into_it
from s3napback.streams.findings import Finding
from s3napback.streams.transformations import Block, Transformation

logger = logging.getLogger("s3napback")

_HEAD_SIZE = 512
_WITHOUT_RENAMES = Transformation("the look at what tar records as moved", without_renames)


class _EnoughRead(Exception):
    """What is wanted of an archive has been read."""


def decoder_of_original(decoder: Decoder) -> Decoder:
    """What opens the original's archives, each by its BASE as key."""
    joined = JoinedStore(decoder.transport.store)
    return replace(decoder, transport=replace(decoder.transport, store=joined), sums=frozenset(), proofs={})


def as_catalogued(decoder: Decoder, archives: Sequence[OriginalArchive]) -> tuple[CataloguedArchive, ...]:
    """The original's archives as recovery takes its own: without metadata.

    Args:
        decoder: of ``decoder_of_original``.

    Raises:
        StoreError: one is gone, or not whole any more.
    """
    found = []
    for archive in archives:
        stored = decoder.transport.store.head(archive.base)
        if stored is None:
            raise StoreError(f"{decoder.transport.store.location}/{archive.base} was deleted meanwhile: run again")
        found.append(CataloguedArchive(stored, archive.base, None))
    return tuple(found)


def source_of_original(decoder: Decoder, archive: CataloguedArchive, sources: Sequence[SourceName]) -> SourceName:
    """Which of several sources an archive is of, as its first bytes tell.

    Raises:
        PipelineError: it cannot be decoded.
    """
    if len(sources) == 1:
        return sources[0]
    kind = SUBVERSION if _head(decoder, archive).startswith(SUBVERSION.marks[0][0]) else DIRECTORY
    return next(source for source in sources if source.kind == kind.name)


def restore_of_original(wanted: Wanted) -> Restore:
    """What restores a chain of the original's.

    Raises:
        UnclearRequest: what is wanted makes no sense for its kind.
    """
    restore = recovery_of(wanted.source).restore(wanted)
    if isinstance(restore, DirectoryRestore):
        return OriginalDirectoryRestore(replace(restore, directory=before_wildcards(restore.directory)))
    return replace(restore, checks=(_dump_check(),)) if isinstance(restore, FileRestore) and restore.checks else restore


@dataclass(frozen=True)
class OriginalDirectoryRestore:
    """What is wanted of a directory.

    Attributes:
        wanted: as of an archive of our own.
    """

    wanted: DirectoryRestore

    def check(self) -> None:
        """Look whether it can be begun; raises ``S3napbackError`` if not."""
        self.wanted.check()

    def run(self, decoder: Decoder, chain: Sequence[CataloguedArchive]) -> None:
        """Restore. Everything is extracted, whatever is wanted of it: a directory may have come from anywhere.

        Raises:
            S3napbackError: what failed; nothing was published.
        """
        wanted = self.wanted
        top = wanted.directory.strip("/")

        def prepare(archive: CataloguedArchive, staging: Staging) -> Sequence[Transformation]:
            renames = renames_of(decoder, archive) if archive is not chain[0] else ()
            if renames:
                _move(staging, renames, top, decoder.transport.address(archive))
            return (_WITHOUT_RENAMES,)

        wanted.restore(decoder, chain, WantedPaths.of(()), prepare)


def renames_of(decoder: Decoder, archive: CataloguedArchive) -> tuple[Rename, ...]:
    """What tar has recorded as moved in an archive of a directory.

    Raises:
        PipelineError: it cannot be decoded, or the outcome of the moves is not certain.
    """
    head = bytearray()

    def take(block: Block) -> None:
        head.extend(block)
        if is_opening(head):
            raise _EnoughRead

    _read_beginning(decoder, archive, take)
    try:
        return opening_of(iter([bytes(head)])).renames
    except UnclearRenames as error:
        raise UnclearRenames(f"{decoder.transport.address(archive)} cannot be extracted: {error}") from error


def checks_of_original(source: SourceName, tar: str) -> Sequence[Consumer]:
    """What the content of an archive of a directory or a database passes to be good."""
    if source.kind == DIRECTORY.name:
        return (_WITHOUT_RENAMES, *listing(before_wildcards(source.target), tar))
    return (_dump_check(),)


@dataclass(frozen=True)
class RevisionRange:
    """What a dump of a repository holds.

    Attributes:
        uuid: of the repository; empty before the first dump.
        first: revision.
        last: revision; -1 before the first dump.
    """

    uuid: str = ""
    first: int = 0
    last: int = -1

    def continues(self, before: RevisionRange) -> bool:
        """Whether it builds on another dump."""
        return self.first == before.last + 1 and before.uuid in ("", self.uuid)


def revisions_of_original(decoder: Decoder, archive: CataloguedArchive) -> RevisionRange:
    """Read a dump of a repository to its end.

    Raises:
        PipelineError: it is none, or not whole.
    """

    def look(blocks: Iterator[memoryview]) -> Generator[Block, None, RevisionRange]:
        reader = DumpReader()
        yield from reader.passed(blocks)
        return RevisionRange(reader.uuid, reader.first, reader.last)

    finding = Finding("the check of revisions", look)
    decoder.run(archive, finding.transformation)
    return finding.result()


def _dump_check() -> Transformation:
    """Dumps are what their bytes say, and not what their keys do: any database's remark may end one."""
    return dump_check((*dump_ends(MYSQL.name), *dump_ends(POSTGRESQL.name)))


def _head(decoder: Decoder, archive: CataloguedArchive) -> bytes:
    head = bytearray()

    def take(block: Block) -> None:
        head.extend(block[:_HEAD_SIZE])
        if len(head) >= _HEAD_SIZE:
            raise _EnoughRead

    _read_beginning(decoder, archive, take)
    return bytes(head)


def _read_beginning(decoder: Decoder, archive: CataloguedArchive, take: Callable[[Block], None]) -> None:
    try:
        decoder.run(archive, write=take)
    except _EnoughRead:
        return


def _move(staging: Staging, renames: Sequence[Rename], top: str, address: str) -> None:
    """Move directories to where an archive has them, without following a link.

    Raises:
        UnclearRenames: one is not where it should be, or something else is where it shall go.
        Damaged: they do not lie in the source.
        UnusableTarget: the tree cannot be changed.
    """
    # No parked link must lose its place.
    staging.finish()
    staging.cleared.forget_all()
    with looking_into_it():
        for rename in renames:
            if not (lies_in(rename.before, top) and lies_in(rename.after, top)):
                raise Damaged(f"{address} records that {rename} was moved, which does not lie in /{top}")
            with _folder_of(staging, rename.before) as (before, old), _folder_of(staging, rename.after) as (after, new):
                if before is None or after is None or not exists(old, before) or exists(new, after):
                    raise UnclearRenames(
                        f"{address} records that {rename} was moved, which the archives before it do not bear out: "
                        "GNU tar's records of renames are not always right; an earlier night can be restored"
                    )
                with unchanged(before), unchanged(after):
                    os.rename(old, new, src_dir_fd=before, dst_dir_fd=after)
            logger.info("%s: %s was moved", address, rename)


@contextmanager
def _folder_of(staging: Staging, name: str) -> Iterator[tuple[int | None, str]]:
    """The folder in which a name lies, made if need be, and the last part of the name."""
    *folders, last = file_names(name)
    with cursor(staging.tree, is_own=True) as place:
        yield (place.descriptor if _gone_to(place, folders) else None), last


def _gone_to(place: Cursor, folders: Sequence[str]) -> bool:
    """Go to a folder, and make what is missing on the way; tar gives it its permissions afterwards."""
    for depth, name in enumerate(folders, 1):
        if not exists(name, place.descriptor):
            os.mkdir(name, 0o700, dir_fd=place.descriptor)
        if not go_to(place, folders[:depth]):
            return False
    return True
