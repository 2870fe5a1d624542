"""Make one planned archive: dump, compress, encrypt, store, and only then remember it."""

from __future__ import annotations

import logging
import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

from s3napback.answering import unless_silent
from s3napback.archives import (
    FORMAT,
    SEGMENTED,
    ArchiveRecord,
    Owner,
    Transfer,
    join_prefix,
    metadata_digest,
    slot_keys,
)
from s3napback.backup.beside import OpenLines, put_index, put_sum
from s3napback.backup.context import RunContext
from s3napback.backup.lasting import telling_of_keys
from s3napback.backup.locking import Locking
from s3napback.backup.owing import OwedSum, forget_owed
from s3napback.backup.slots import SlotWatch, noted_upload
from s3napback.catalogue.indexes import index_key
from s3napback.catalogue.sums import SumNote, format_sum, sum_key, sum_metadata
from s3napback.chains import History, Link, Memory, SourceState, Stored, abbreviated, extended_chain, with_stored
from s3napback.crews import Crew
from s3napback.deciding.facts import RunFacts
from s3napback.deciding.plans import Plan
from s3napback.encryption.openpgp import PacketReader
from s3napback.ending import deferred_signals
from s3napback.environment import Family
from s3napback.errors import OutOfParts, PipelineError, S3napbackError, SourceError
from s3napback.formatting import counted
from s3napback.kinds import DIRECTORY
from s3napback.records import dataclass
from s3napback.sources import Dump, Source
from s3napback.sources.snapshot import file_sha256
from s3napback.standing import working_on
from s3napback.stores import ByteSource, StoredObject
from s3napback.streams.compression import make_compression
from s3napback.streams.culprits import ElementsFailed
from s3napback.streams.followers import Counter, Ends
from s3napback.streams.pipeline import Pipeline
from s3napback.streams.processes import Stage
from s3napback.streams.segments import KEY_SIZE, Segments
from s3napback.streams.spooling import Measured, spool
from s3napback.streams.transformations import Transformation, composed

logger = logging.getLogger("s3napback.archiving")


@dataclass(frozen=True)
class Made:
    """An archive that has arrived, and is remembered.

    Attributes:
        transfer: what is known of its bytes.
        finish: writes index and checksum and deletes the slot's other key, which nothing waits for; returns warnings,
            since the archive is safe. To be called once: it holds a file open.
    """

    transfer: Transfer
    finish: Callable[[], Sequence[str]]


def make_archive(context: RunContext, plan: Plan, source: Source) -> Made:
    """Make one archive and commit it.

    The order is the promise: the archive arrives whole, state follows, and what the new archive made superfluous goes
    last. A failure before the commit leaves the former archive and DiffDir as they were.

    Raises:
        S3napbackError: what failed. Nothing was changed then, but for what ``OutOfParts`` notes in state.
        NothingNew: there is nothing to store.
    """
    return _Making(context, plan, source, Locking(context, plan)).make()


def leftover_keys(run: RunFacts, plan: Plan, *, limit: int = 7) -> list[str]:
    """Keys at which runs since the newest archive may have left something unfinished, of few slots."""
    schedule = plan.job.schedule
    newest = plan.state.newest
    slots = dict.fromkeys(
        schedule.slot(day)
        for day in range(run.day, max(run.day - limit * schedule.frequency, 0), -schedule.frequency)
        if newest is None or schedule.period(day) >= schedule.period(newest.day)
    )
    keys = (slot_keys(run.prefix, plan.job.kind, plan.job.name, slot) for slot in {plan.slot: None, **slots})
    # A run that was killed after its commit may have been writing what lies beside the archive.
    makers = (index_key, sum_key) if plan.job.kind == DIRECTORY.name else (sum_key,)
    beside = [make(newest.key) for make in makers] if newest else []
    return [key for pair in keys for key in pair] + beside


@dataclass(frozen=True)
class _Making:
    """One archive on its way."""

    context: RunContext
    plan: Plan
    source: Source
    locking: Locking

    def make(self) -> Made:
        """See ``make_archive``."""
        plan = self.plan
        prepare: Callable[[Path], Dump] = partial(
            self.source.dump, plan.type, plan.parent.memory if plan.parent else None
        )
        while True:
            try:
                return self._attempt(prepare)
            except _Crashed as crash:
                logger.warning("%s: %s; it is tried again in another way", plan.job.source, "; ".join(crash.lines))
                prepare = crash.again

    def _attempt(self, prepare: Callable[[Path], Dump]) -> Made:
        plan = self.plan
        started = datetime.now(timezone.utc)
        clock = time.monotonic()
        logger.debug("%s: a %s on %s", plan.job.source, plan.type.value, plan.parent.key if plan.parent else "nothing")
        self._discard_leftovers()
        with self.context.state.workplace(plan.job.name) as folder:
            looking = partial(unless_silent, plan.job.target, plan.job.settings.stall_timeout)
            had_content, dump = looking(lambda: (self.source.has_content(), prepare(folder)))
            record = self._record(dump, started)
            segments = self._segments() if dump.listing else None
            with _noting_crash(dump), telling_of_keys(self.context.encryption):
                transfer, stored = self._transfer(dump, record, segments)
            transfer = replace(transfer, seconds=time.monotonic() - clock)
            concluded = dump.conclude()
            dump = replace(dump, notes={**dump.notes, **concluded.notes})
            # Of what neither tar nor the one behind it can read, both say so.
            warnings = tuple(dict.fromkeys((*transfer.warnings, *concluded.warnings)))
            transfer = replace(transfer, warnings=warnings, unread=concluded.unread, counted=concluded.counted)
            with ExitStack() as undo:
                lines = self._kept_lines(dump, undo)
                self._commit(dump, record, stored, self._note(record, transfer), had_content=had_content)
                closing = undo.pop_all()
        return Made(transfer, partial(self._finish, record, transfer, segments, lines, closing))

    def _segments(self) -> Segments:
        """Where archives are signed, sums without a key: who may read an archive could otherwise make another one."""
        encryption = self.context.encryption
        return Segments() if encryption and encryption.signer else Segments(os.urandom(KEY_SIZE))

    def _discard_leftovers(self) -> None:
        """Remove what earlier runs left unfinished; a distant store is asked for several keys at once."""
        noted, survey = [each.key for each in self.context.state.noted_uploads(self.plan.job.name)], self.context.survey
        known = dict.fromkeys([*leftover_keys(self.context.facts, self.plan), *noted])
        keys = [key for key in known if key and (key in noted or survey.may_be_unfinished(key))]
        store = self.context.store
        with Crew(self.context.configuration.store.upload_threads, "leftovers") as threads:
            look = threads.map if store.is_distant else map  # a thread would begin later than a folder answers
            for key, count in zip(keys, look(store.discard_leftovers, keys), strict=True):
                if count:
                    logger.debug("removed %s that an earlier run left at %s", counted(count, "unfinished upload"), key)

    def _record(self, dump: Dump, started: datetime) -> ArchiveRecord:
        plan, encryption = self.plan, self.context.encryption
        return ArchiveRecord(
            id=uuid.uuid4().hex,
            slot=plan.slot,
            type=plan.type,
            owner=Owner(self.context.facts.host, plan.job.source),
            cycle=plan.job.cycle,
            started=started,
            day=self.context.facts.day,
            parent=plan.parent.id if plan.parent else "",
            parent_slot=plan.parent.slot if plan.parent else None,
            compression=plan.job.settings.compression,
            recipients=encryption.fingerprints if encryption else (),
            extra=dump.metadata,
            format=SEGMENTED if dump.listing else FORMAT,
        )

    def _transfer(self, dump: Dump, record: ArchiveRecord, segments: Segments | None) -> tuple[Transfer, StoredObject]:
        try:
            metadata = record.to_metadata()
        except ValueError as error:
            raise SourceError(f"{self.plan.job.source}: {error}") from error
        settings, encryption = self.plan.job.settings, self.context.encryption
        read, ends = Counter(), Ends()
        content = (
            Transformation("the look at both ends", ends.passed),
            dump.guard,
            Transformation("the count", read.passed),
            make_compression(settings.compression, settings.compression_level, segments),
        )
        elements: list[Stage | Transformation] = [dump.stage, composed(*content)]
        if encryption:
            elements.append(Stage(encryption.command_for(metadata_digest(metadata)), family=Family.GPG))
        expected_size = self.plan.state.expected_sizes.get(record.type.value)
        measured: Measured | None = None
        counts = {"read": lambda: read.count, "stored": lambda: measured.size if measured else 0}
        with ExitStack() as stack:
            what = f"{self.plan.job.source} -> {self.context.store.location}/{self.plan.key}"
            title, stage = str(self.plan.job.source), record.type.value
            stack.enter_context(working_on(what, counts, expected=expected_size or 0, title=title, stage=stage))
            pipeline = stack.enter_context(Pipeline(elements, stall_timeout=settings.stall_timeout or None))
            slot = SlotWatch(self.context, self.plan)
            stream: ByteSource = _Judged(pipeline, self.source, ends, slot, PacketReader() if encryption else None)
            if settings.use_temp_file:
                spooled = stack.enter_context(spool(stream, self.context.temp_dir))
                stream, expected_size = spooled, spooled.size
            measured = Measured(stream)
            with self._noting_lack_of_parts(), noted_upload(self.context, self.plan, record.id, measured):
                stored = self.context.store.put(
                    self.plan.key, measured, metadata, expected_size=expected_size, lock_until=self.locking.until
                )
            self.locking.note(stored)
            self.context.survey.require_same_name(stored)
            warnings = encryption.news(pipeline.warnings) if encryption else tuple(pipeline.warnings)
            return Transfer(measured.sha256, measured.size, read.count, 0.0, warnings), stored

    @contextmanager
    def _noting_lack_of_parts(self) -> Iterator[None]:
        try:
            yield
        except OutOfParts as error:
            # The next attempt starts with parts large enough for twice of what was sent.
            state = self.plan.state
            sizes = {**state.expected_sizes, self.plan.type.value: 2 * error.sent}
            self.context.state.commit(replace(state, expected_sizes=sizes))
            raise

    def _commit(
        self, dump: Dump, record: ArchiveRecord, stored: StoredObject, note: SumNote, *, had_content: bool
    ) -> None:
        plan = self.plan
        memory = _memory(dump, record)
        link = Link(record.id, plan.key, record.slot, record.type, record.day, stored.size, memory)
        state = SourceState(
            name=plan.job.name,
            source=plan.job.source,
            cycle=plan.job.cycle,
            history=History(
                chain=extended_chain(plan.base, link),
                schedule=plan.job.schedule.describe(),
                content=abbreviated(plan.content),
            ),
            had_content=had_content,
            taken_over=plan.taken_over,
            expected_sizes={**plan.state.expected_sizes, record.type.value: stored.size},
            stored=self._remembered(record, stored),
        )
        owed = OwedSum.of(plan.job.name, plan.key, note).files
        with deferred_signals():
            self.context.state.commit(state, dump.snapshot, dump.index, owed)
        logger.debug("committed %s with id %s to %s", link.key, link.id, self.context.state.folder(plan.job.name))

    def _remembered(self, record: ArchiveRecord, stored: StoredObject) -> Mapping[str, Stored]:
        """What is known of archives of this name, so that the next run's listing is enough."""
        if not (self.context.store.is_distant and stored.mark):
            return {}
        owner, superseded = record.owner, self.plan.superseded
        seen = Stored(
            stored.mark, owner.host, str(owner.source), record.id, record.parent, record.day, bool(record.recipients)
        )
        return with_stored(self.plan.state.stored, self.plan.key, seen, superseded)

    def _kept_lines(self, dump: Dump, closing: ExitStack) -> OpenLines | None:
        """What is to stand in the index, in a file that is open: its name is gone once state is committed."""
        lines = dump.listing() if dump.listing else None
        return None if lines is None else OpenLines(lines, closing.enter_context(lines.path.open("rb")))

    def _finish(
        self,
        record: ArchiveRecord,
        transfer: Transfer,
        segments: Segments | None,
        lines: OpenLines | None,
        closing: ExitStack,
    ) -> list[str]:
        """Write what stands beside the archive, and delete what it replaces; failing at that is a warning."""
        with closing:
            index, warnings = self._put_index(record, segments, lines)
            return [*warnings, *self._tidy_up(record, transfer, index), *self.locking.finish(record)]

    def _put_index(
        self, record: ArchiveRecord, segments: Segments | None, lines: OpenLines | None
    ) -> tuple[str, Sequence[str]]:
        """Write the index beside the archive, and tell its sum; failing is a warning, since all works without."""
        if segments is None:
            return "", ()
        context, key = self.context, self.plan.key
        try:
            with telling_of_keys(context.encryption):
                index = put_index(context.store, key, record, segments, lines, context.encryption, self.locking.until)
        except (S3napbackError, OSError) as error:
            lost = f"the index of {key} could not be written, so single files of it are found by reading it: {error}"
            return "", (lost,)
        self.locking.note(index.stored)
        return index.sha256, ()

    def _note(self, record: ArchiveRecord, transfer: Transfer, index: str = "") -> SumNote:
        base = self.plan.key.removeprefix(join_prefix(self.context.facts.prefix, ""))
        return SumNote.of(record, base, transfer, index)

    def _tidy_up(self, record: ArchiveRecord, transfer: Transfer, index: str) -> list[str]:
        """Delete the slot's other key and write the checksum; failing at either is a warning, the archive is safe."""
        plan, store = self.plan, self.context.store
        warnings = []
        for other in plan.superseded:
            try:
                store.delete(other)
                store.delete(index_key(other))
                store.delete(sum_key(other))
            except S3napbackError as error:
                warnings.append(f"{other}, which {plan.key} replaces, could not be deleted: {error}")
        note = self._note(record, transfer, index)
        try:
            self.locking.note(put_sum(store, plan.key, format_sum(note), sum_metadata(note), self.locking.until))
            forget_owed(self.context.state, plan.job.name, record.id)
        except S3napbackError as error:
            warnings.append(f"the checksum of {plan.key} could not be written: {error}")
        return warnings


class _Crashed(Exception):
    """The program that dumps has crashed, and there is another way.

    Attributes:
        lines: what there is to say of it.
        again: the other way.
    """

    def __init__(self, lines: Sequence[str], again: Callable[[Path], Dump]) -> None:
        super().__init__(*lines)
        self.lines = lines
        self.again = again


@contextmanager
def _noting_crash(dump: Dump) -> Iterator[None]:
    try:
        yield
    except ElementsFailed as error:
        first = error.culprits[0]
        if dump.again and first.element is dump.stage and first.has_crashed:
            raise _Crashed(first.lines, dump.again) from error
        raise


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


class _Judged:
    """A pipeline's output whose end is told only if nothing is wrong with what was dumped, encrypted, or replaced."""

    def __init__(
        self, pipeline: Pipeline, source: Source, ends: Ends, slot: SlotWatch, packets: PacketReader | None
    ) -> None:
        self._pipeline = pipeline
        self._source = source
        self._ends = ends
        self._slot = slot
        self._packets = packets

    def readinto(self, buffer: memoryview, /) -> int:
        count = self._pipeline.readinto(buffer)
        if self._packets is not None:
            self._packets.read(buffer[:count])
            if self._packets.flaw:
                raise PipelineError(f"what gpg wrote is no archive: {self._packets.flaw}")
        if count == 0 and (flaw := self._flaw()):
            raise PipelineError(flaw)
        self._slot.judge(at_the_end=count == 0)
        return count

    def _flaw(self) -> str:
        if self._packets is not None and not self._packets.is_whole:
            return "gpg ended as if all were well, but what it wrote is cut off"
        return self._source.flaw(self._ends.head, self._ends.tail)
