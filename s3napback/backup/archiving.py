"""Make one planned archive: dump, compress, encrypt, store, and only then remember it."""

from __future__ import annotations

import io
import logging
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

from s3napback.archives import ArchiveRecord, Owner, Transfer, join_prefix, metadata_digest
from s3napback.backup.planning import Night, Plan, leftover_keys
from s3napback.catalogue.sums import SumNote, format_sum, sum_key
from s3napback.chains import History, Link, Memory
from s3napback.crews import Crew
from s3napback.encryption.gpg import Encryption
from s3napback.encryption.openpgp import PacketReader
from s3napback.ending import deferred_signals
from s3napback.errors import OutOfParts, PipelineError, S3napbackError, SourceError
from s3napback.formatting import counted
from s3napback.rotation import ArchiveType
from s3napback.sources import Dump, Source
from s3napback.sources.snapshot import file_sha256
from s3napback.state import SourceState, extended_chain
from s3napback.stores import ByteSource
from s3napback.streams.compression import make_compression
from s3napback.streams.environment import Family
from s3napback.streams.followers import Counter, Ends
from s3napback.streams.pipeline import Pipeline
from s3napback.streams.processes import Stage
from s3napback.streams.spooling import Measured, spool
from s3napback.streams.transformations import Transformation, composed

logger = logging.getLogger("s3napback.archiving")


@dataclass(frozen=True)
class Workshop:
    """What archives are made with.

    Attributes:
        encryption: how they are encrypted; None is not at all.
        temp_dir: where UseTempFile puts the encrypted stream.
    """

    encryption: Encryption | None
    temp_dir: Path


@dataclass(frozen=True)
class Made:
    """An archive that has arrived and is remembered."""

    key: str
    transfer: Transfer


def make_archive(night: Night, plan: Plan, source: Source, workshop: Workshop) -> Made:
    """Make one archive and commit it.

    The order is the promise: the archive arrives whole, state follows, and what the new archive made superfluous goes
    last. A failure before the commit leaves the former archive and DiffDir as they were.

    Raises:
        S3napbackError: what failed. Nothing was changed then, but for what ``OutOfParts`` notes in state.
        NothingNew: there is nothing to store.
    """
    started = datetime.now(timezone.utc)
    clock = time.monotonic()
    base = plan.decision.base[-1].key if plan.decision.base else "nothing"
    logger.debug("%s: a %s on %s", plan.job.source, plan.decision.type.value, base)
    _discard_leftovers(night, leftover_keys(night, plan))
    had_content = source.has_content()
    with night.state.workplace(plan.job.name) as folder:
        memory = plan.decision.base[-1].memory if plan.decision.base else None
        dump = source.dump(plan.decision.type, memory, folder)
        record = _record(night, plan, dump, workshop, started)
        transfer = _transfer(night, plan, source, dump, record, workshop)
        transfer = replace(transfer, seconds=time.monotonic() - clock)
        transfer = replace(transfer, warnings=(*transfer.warnings, *dump.conclude()))
        _commit(night, plan, dump, record, transfer, had_content=had_content)
    extra_warnings = _tidy_up(night, plan, record, transfer)
    return Made(plan.key, replace(transfer, warnings=(*transfer.warnings, *extra_warnings)))


def _discard_leftovers(night: Night, keys: Sequence[str]) -> None:
    """Remove what earlier runs left unfinished; a distant store is asked for several keys at once."""
    with Crew(night.configuration.store.upload_threads, "leftovers") as threads:
        for key, count in zip(keys, threads.map(night.store.discard_leftovers, keys), strict=True):
            if count:
                logger.debug("removed %s that an earlier run left at %s", counted(count, "unfinished upload"), key)


def _record(night: Night, plan: Plan, dump: Dump, workshop: Workshop, started: datetime) -> ArchiveRecord:
    return ArchiveRecord(
        id=uuid.uuid4().hex,
        slot=plan.slot,
        type=plan.decision.type,
        owner=Owner(night.host, plan.job.source),
        cycle=plan.job.cycle,
        started=started,
        day=night.day,
        parent=plan.decision.base[-1].id if plan.decision.base else "",
        compression=plan.job.settings.compression,
        recipients=workshop.encryption.fingerprints if workshop.encryption else (),
        extra=dump.metadata,
    )


def _transfer(
    night: Night, plan: Plan, source: Source, dump: Dump, record: ArchiveRecord, workshop: Workshop
) -> Transfer:
    try:
        metadata = record.to_metadata()
    except ValueError as error:
        raise SourceError(f"{plan.job.source}: {error}") from error
    settings = plan.job.settings
    read, ends = Counter(), Ends()
    content = (
        Transformation("the look at both ends", ends.passed),
        dump.guard,
        Transformation("the count", read.passed),
        make_compression(settings.compression, settings.compression_level),
    )
    elements: list[Stage | Transformation] = [dump.stage, composed(*content)]
    if workshop.encryption:
        elements.append(Stage(workshop.encryption.command_for(metadata_digest(metadata)), family=Family.GPG))
    with ExitStack() as stack:
        pipeline = stack.enter_context(Pipeline(elements, stall_timeout=settings.stall_timeout or None))
        stream: ByteSource = _Judged(pipeline, source, ends, PacketReader() if workshop.encryption else None)
        expected_size = plan.state.expected_sizes.get(record.type.value)
        if settings.use_temp_file:
            spooled = stack.enter_context(spool(stream, workshop.temp_dir))
            stream, expected_size = spooled, spooled.size
        measured = Measured(stream)
        with _noting_lack_of_parts(night, plan, record.type):
            night.store.put(plan.key, measured, metadata, expected_size=expected_size)
        return Transfer(measured.sha256, measured.size, read.count, 0.0, tuple(pipeline.warnings))


class _Judged:
    """A pipeline's output whose end is reported only if nothing is wrong with what was dumped, and encrypted."""

    def __init__(self, pipeline: Pipeline, source: Source, ends: Ends, packets: PacketReader | None) -> None:
        self._pipeline = pipeline
        self._source = source
        self._ends = ends
        self._packets = packets

    def readinto(self, buffer: memoryview, /) -> int:
        count = self._pipeline.readinto(buffer)
        if self._packets is not None:
            self._packets.read(buffer[:count])
        if count == 0 and (flaw := self._flaw()):
            raise PipelineError(flaw)
        return count

    def _flaw(self) -> str:
        if self._packets is not None and not self._packets.is_whole:
            return "gpg ended as if all were well, but what it wrote is cut off"
        return self._source.flaw(self._ends.head, self._ends.tail)


@contextmanager
def _noting_lack_of_parts(night: Night, plan: Plan, archive_type: ArchiveType) -> Iterator[None]:
    try:
        yield
    except OutOfParts as error:
        # The next attempt starts with parts large enough for twice of what was sent.
        sizes = {**plan.state.expected_sizes, archive_type.value: 2 * error.sent}
        night.state.commit(replace(plan.state, expected_sizes=sizes))
        raise


def _commit(
    night: Night,
    plan: Plan,
    dump: Dump,
    record: ArchiveRecord,
    transfer: Transfer,
    *,
    had_content: bool,
) -> None:
    memory = _memory(dump, record)
    link = Link(record.id, plan.key, record.slot, record.type, record.day, transfer.stored, memory)
    state = SourceState(
        name=plan.job.name,
        source=plan.job.source,
        cycle=plan.job.cycle,
        history=History(
            chain=extended_chain(plan.decision.base, link),
            schedule=plan.job.schedule.describe(),
            content=plan.content,
        ),
        had_content=had_content,
        taken_over=plan.taken_over,
        expected_sizes={**plan.state.expected_sizes, record.type.value: transfer.stored},
    )
    with deferred_signals():
        night.state.commit(state, dump.snapshot, dump.index)
    logger.debug("committed %s with id %s to %s", link.key, link.id, night.state.folder(plan.job.name))


def _memory(dump: Dump, record: ArchiveRecord) -> Memory:
    if dump.snapshot is None:
        return Memory(notes=dump.notes)
    memory = Memory(f"{record.id}.snapshot", _sha256(dump.snapshot), notes=dump.notes)
    # Its making may have been given up; the chain then goes on without.
    if dump.index is None or not dump.index.exists():
        return memory
    return replace(memory, index=f"{record.id}.index", index_sha256=_sha256(dump.index))


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return file_sha256(stream)


def _tidy_up(night: Night, plan: Plan, record: ArchiveRecord, transfer: Transfer) -> list[str]:
    """Delete the slot's other key and write the checksum; failing at either is a warning, the archive is safe."""
    warnings = []
    for other in plan.present:
        if other != plan.key:
            try:
                night.store.delete(other)
                night.store.delete(sum_key(other))
            except S3napbackError as error:
                warnings.append(f"{other}, which {plan.key} replaces, could not be deleted: {error}")
    base = plan.key.removeprefix(join_prefix(night.configuration.store.prefix, ""))
    text = format_sum(SumNote.of(record, base, transfer))
    try:
        night.store.put(sum_key(plan.key), Measured(_Bytes(text)), {})
    except S3napbackError as error:
        warnings.append(f"the checksum of {plan.key} could not be written: {error}")
    return warnings


class _Bytes:
    """Bytes in memory as a ``ByteSource``."""

    def __init__(self, data: bytes) -> None:
        self._stream = io.BytesIO(data)

    def readinto(self, buffer: memoryview, /) -> int:
        return self._stream.readinto(buffer)
