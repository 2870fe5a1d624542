"""An archive that is entered by its index: what lies beside it is fetched, decrypted and judged before it counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import field

from s3napback.archives import SEGMENTED, ArchiveRecord, metadata_digest
from s3napback.catalogue.contents import CataloguedArchive
from s3napback.catalogue.indexes import index_key
from s3napback.encryption.chunks import Unpredictable
from s3napback.encryption.entering import Ciphertext
from s3napback.encryption.gpg import SIGNED_INDEX
from s3napback.errors import PipelineError, UnusableTool
from s3napback.index.document import DocumentReader
from s3napback.index.head import HEAD_LENGTH, secret_in
from s3napback.index.lines import Entry, read_entries
from s3napback.index.records import DamagedIndex
from s3napback.records import dataclass
from s3napback.recovery.opening.decoder import Decoder
from s3napback.recovery.opening.decrypting import looks_encrypted
from s3napback.recovery.opening.ranges import Content, Irregular, Read, StoredRanges, beginning
from s3napback.streams.pipeline import Pipeline
from s3napback.streams.processes import Stage
from s3napback.streams.transformations import Block, Feed

HEAD_SIZE = 384 * 1024
"""Bytes of an encrypted archive that tell how it is written."""

LEAST_SIZE = 1 << 19
"""Bytes of an archive below which to read it whole is as quick."""

_SPARE = 1 << 21
"""Bytes by which an index may be larger than its archive, as that of a few small files is."""

_TOLD = 1 << 18  # bytes of the compressed stream; what zstd compresses at once becomes no more than half of that
_PIECE = 1 << 18


@dataclass(frozen=True)
class Entered:
    """An archive that can be read in parts.

    Attributes:
        archive: which one.
        stored: its stored bytes.
        secret: with which it begins.
        read: gives parts of its compressed stream.
    """

    archive: CataloguedArchive
    record: ArchiveRecord
    stored: StoredRanges
    secret: bytes = field(repr=False)
    read: Read


def can_be_entered(decoder: Decoder, archive: CataloguedArchive) -> bool:
    """Whether it is worth while to try: it is large, and something lies beside it."""
    record = archive.record
    return (
        record is not None
        and record.format == SEGMENTED
        and archive.stored.size >= LEAST_SIZE
        and index_key(archive.key) in decoder.indexes
    )


def enter(decoder: Decoder, archive: CataloguedArchive) -> Entered:
    """Look at the beginning of an archive.

    Raises:
        Irregular: it cannot be read in parts.
        StoreError: it cannot be read.
    """
    if archive.record is None:
        raise Irregular("it has no metadata")
    stored = StoredRanges(decoder.transport, archive, HEAD_SIZE)
    read: Read = stored.read
    if looks_encrypted(stored.head):
        try:
            key = decoder.decryption.session_key(stored.head)
            read = Ciphertext(stored.read, stored.head, key).read
            begun = _unless_unpredictable(read)(0, _TOLD)
        except Unpredictable as error:
            raise Irregular(str(error)) from None
        read = _unless_unpredictable(read)
    elif decoder.decryption.signer:
        raise Irregular("it is not encrypted, and so not signed")
    else:
        begun = stored.head[:_TOLD]
    secret = secret_in(beginning(begun, archive.record.compression, HEAD_LENGTH))
    if secret is None:
        raise Irregular("it does not begin like an archive that has an index")
    return Entered(archive, archive.record, stored, secret, read)


def _unless_unpredictable(read: Read) -> Read:
    def reading(start: int, end: int) -> bytes:
        try:
            return read(start, end)
        except Unpredictable as error:
            raise Irregular(str(error)) from None

    return reading


def look_up(
    decoder: Decoder,
    entered: Entered,
    wants: Callable[[bytes], bool],
    take: Callable[[Entry], None],
) -> Content:
    """Read the index of an archive, to its end.

    Args:
        wants: whether members in a folder are of interest.
        take: is given these, and all folders, in order. Only when this has returned do they count.

    Returns:
        The archive's content.

    Raises:
        Irregular: the index does not count.
        StoreError: it cannot be read.
    """
    archive = entered.archive
    try:
        with opened_index(decoder, archive, is_encrypted=bool(looks_encrypted(entered.stored.head))) as pipeline:
            reader = DocumentReader(index_blocks(pipeline), archive.stored.size)
            document = reader.document(entered.record.id, entered.secret)
            if not document.segments.is_whole:
                raise Irregular("it has no segments")
            content = Content(entered.read, document.segments, entered.record.compression)
            end = HEAD_LENGTH
            for entry in read_entries(reader.lines(document), wants):
                if not HEAD_LENGTH <= entry.start < entry.end <= content.longest or entry.start < end:
                    raise Irregular("it tells of members that cannot be where it says")
                end = entry.end
                take(entry)
    except (DamagedIndex, PipelineError, UnusableTool) as error:
        raise Irregular(str(error)) from error
    return content


def text_of(decoder: Decoder, entered: Entered) -> Iterator[bytes]:
    """The lines of an archive's index, in pieces; only when all of them have come do they count.

    Raises:
        Irregular: the index does not count.
        StoreError: it cannot be read.
    """
    archive = entered.archive
    try:
        with opened_index(decoder, archive, is_encrypted=bool(looks_encrypted(entered.stored.head))) as pipeline:
            reader = DocumentReader(index_blocks(pipeline), archive.stored.size)
            yield from reader.lines(reader.document(entered.record.id, entered.secret))
    except (DamagedIndex, PipelineError, UnusableTool) as error:
        raise Irregular(str(error)) from error


def opened_index(decoder: Decoder, archive: CataloguedArchive, *, is_encrypted: bool) -> Pipeline:
    """A pipeline, not yet started, whose output is the decrypted index of an archive."""
    key = index_key(archive.key)
    transport = decoder.transport

    def fetched() -> Iterator[Block]:
        left = archive.stored.size + _SPARE
        for block in map(transport.total.note, transport.store.read(key)):
            left -= len(block)
            if left < 0:
                raise Irregular("its index is far larger than the archive")
            yield block

    feed = Feed(f"{transport.store.location}/{key}", fetched)
    elements: list[Feed | Stage] = [feed]
    if is_encrypted:
        digest = metadata_digest(archive.metadata)
        elements.append(decoder.decryption.stage(digest, notation=SIGNED_INDEX))
    return Pipeline(elements, stall_timeout=transport.stall_timeout)


def index_blocks(pipeline: Pipeline) -> Iterator[bytes]:
    """What comes out of it, in pieces."""
    buffer = memoryview(bytearray(_PIECE))
    while count := pipeline.readinto(buffer):
        yield bytes(buffer[:count])
