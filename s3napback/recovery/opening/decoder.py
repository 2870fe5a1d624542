"""From an archive's stored bytes to its content, and on to whatever uses that; a good end means that all went well."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from enum import Enum
from functools import partial
from pathlib import Path

from s3napback.archives import metadata_digest
from s3napback.catalogue.contents import CataloguedArchive
from s3napback.catalogue.sums import SumNote, contradicts, read_sum, sum_key
from s3napback.errors import StoreError
from s3napback.records import dataclass
from s3napback.recovery.opening.decompressing import decompressed
from s3napback.recovery.opening.decrypting import HEAD_SIZE, Decryption, looks_encrypted
from s3napback.recovery.opening.failures import Damaged, Unchecked, explained
from s3napback.recovery.opening.fetching import Transport
from s3napback.recovery.opening.proving import Proof, proof_of, proved
from s3napback.streams.culprits import ElementsFailed
from s3napback.streams.findings import Finding
from s3napback.streams.pipeline import Pipeline
from s3napback.streams.processes import Stage
from s3napback.streams.transformations import Block, Feed, Transformation

_PIECE = 1 << 20  # bytes; read at once, at most
_LEAST_RATE = 128
"""Bytes per second that must have moved within StallTimeout. A store that drips is as good as away; a modem is not."""

logger = logging.getLogger("s3napback")


class Portion(Enum):
    """Which of the members that were picked of an archive are wanted; those that are no files always are."""

    ALL = "all"
    FIRST = "first"
    """All but what only hard links lead to."""
    LINKED = "linked"
    """What hard links lead to that could not be made at first, and what is called like these."""


Parts = Callable[[Portion], Iterator[Block]]
"""Begins a smaller archive of what is wanted of one."""


def _unwatched(decompression: Transformation) -> Transformation:
    return decompression


@dataclass(frozen=True)
class Decoder:
    """Opens archives.

    Attributes:
        transport: fetches them.
        decryption: what gpg needs.
        sums: keys of the checksum objects in the store.
        temp_dir: where programs that need room for what they read have it; None is the system's folder.
        proofs: of archives whose signature was found good, by key and version.
        notes: what the objects beside archives said, by the archives' keys; of those that were asked for.
        indexes: keys of the index objects in the store.
        parts: of archives that are not read whole, by key.
        part: which of their members are wanted now.
    """

    transport: Transport
    decryption: Decryption
    sums: frozenset[str] = frozenset()
    temp_dir: Path | None = None
    proofs: dict[tuple[str, str], Proof] = field(default_factory=dict, repr=False)
    notes: dict[str, SumNote | None] = field(default_factory=dict, repr=False)
    indexes: frozenset[str] = frozenset()
    parts: Mapping[str, Parts] = field(default_factory=dict)
    part: Portion = Portion.ALL

    def open(
        self,
        archive: CataloguedArchive,
        *consumers: Stage | Transformation,
        watching: Callable[[Transformation], Transformation] = _unwatched,
    ) -> Pipeline:
        """A pipeline, not yet started, whose output is what the last consumer writes, or the archive's content.

        Args:
            archive: which one.
            consumers: what follows decompression.
            watching: makes of the decompression one that is watched.

        Raises:
            StoreError: its first bytes cannot be read.
            Damaged: it has none, or is not encrypted where it must be signed.
        """
        if not archive.stored.size:
            raise Damaged(f"{self.transport.address(archive)}: {archive.flaw or 'it is empty, which no archive is'}")
        if archive.key in self.parts:
            picked = partial(self.parts[archive.key], self.part)
            return self._pipeline(Feed(self.transport.address(archive), picked), *consumers)
        encrypted = self._is_encrypted(archive)
        if self.decryption.signer and not encrypted:
            raise Damaged(
                f"{self.transport.address(archive)} is not encrypted, and so not signed by {self.decryption.signer} as "
                "--require-signature asks for"
            )
        # gpg notices every change by itself, and to look twice takes time. It does not notice another archive, of which
        # the checksum does not tell.
        has_sum = (bool(archive.told) or not encrypted) and sum_key(archive.key) in self.sums
        proof = self._proof(archive) if self.decryption.signer else None
        through = partial(proved, proof=proof, address=self.transport.address(archive)) if proof else None
        feed = self.transport.feed(archive, digest=self._digest(archive) if has_sum else "", through=through)
        decompress = Transformation(
            "decompression", lambda blocks: decompressed(blocks, archive.record.compression if archive.record else "")
        )
        decrypt = [self._decryption_of(archive)] if encrypted else []
        return self._pipeline(feed, *decrypt, watching(decompress), *consumers)

    def _pipeline(self, *elements: Feed | Stage | Transformation) -> Pipeline:
        return Pipeline(elements, stall_timeout=self.transport.stall_timeout, least_rate=_LEAST_RATE)

    def _digest(self, archive: CataloguedArchive) -> str:
        """What the object beside an archive says of it; empty, with a warning, if that cannot be read."""
        try:
            return _digest_in(self.note(archive), archive)
        except StoreError as error:
            logger.warning("%s is restored without a look at its checksum: %s", self.transport.address(archive), error)
            return ""

    def _decryption_of(self, archive: CataloguedArchive) -> Stage:
        return self.decryption.stage(metadata_digest(archive.metadata) if archive.record else "")

    def _proof(self, archive: CataloguedArchive) -> Proof:
        """Read an archive once for its signature alone.

        Raises:
            PipelineError: it is not signed as it must be.
        """
        known = (archive.key, archive.stored.version)
        if known not in self.proofs:
            finding = Finding("the first reading of a signed archive", proof_of)
            feed = self.transport.feed(archive, through=finding.passed)
            with self._pipeline(feed, self._decryption_of(archive)) as pipeline:
                _read(pipeline)
            self.proofs[known] = finding.result()
        return self.proofs[known]

    def run(
        self,
        archive: CataloguedArchive,
        *consumers: Stage | Transformation,
        write: Callable[[Block], None] | None = None,
        finish: Callable[[Pipeline], None] | None = None,
        use: str = "checked",
        watching: Callable[[Transformation], Transformation] = _unwatched,
    ) -> int:
        """Decode one archive to its end.

        Args:
            archive: which one.
            consumers: what follows decompression.
            write: takes what comes out at the end; nobody does otherwise.
            finish: is given the pipeline after a good end.
            use: what the consumers do with the content, as a participle, for the message of a failure: ``extracted``.
            watching: see ``open``.

        Returns:
            Bytes that came out.

        Raises:
            PipelineError: something failed; the message names the archive and says what it means.
        """
        patient = self._patient(consumers)
        try:
            with self.open(archive, *patient, watching=watching) as pipeline:
                total = _read(pipeline, write)
                if finish:
                    finish(pipeline)
        except ElementsFailed as error:
            raise explained(self.transport.address(archive), error, patient, use) from error
        return total

    def use(self, archive: CataloguedArchive, feed: Feed, *consumers: Stage | Transformation, use: str) -> None:
        """Have consumers take in what was kept back of an archive's content; see ``run``.

        Raises:
            PipelineError: something failed.
        """
        elements = [feed, *self._patient(consumers)]
        try:
            with self._pipeline(*elements) as pipeline:
                _read(pipeline)
        except ElementsFailed as error:
            raise explained(self.transport.address(archive), error, elements, use) from error

    def _patient(self, consumers: Sequence[Stage | Transformation]) -> list[Stage | Transformation]:
        """tar has more to do than to read: it deletes, and sets times and permissions when it has read everything."""
        room = {"TMPDIR": str(self.temp_dir)} if self.temp_dir else {}
        return [
            replace(each, may_pause=True, environment={**room, **each.environment}) if isinstance(each, Stage) else each
            for each in consumers
        ]

    def note(self, archive: CataloguedArchive) -> SumNote | None:
        """What the object beside an archive says; None if there is none, or it is of no use.

        Raises:
            StoreError: it cannot be read.
        """
        if archive.record is None or sum_key(archive.key) not in self.sums:
            return None
        if archive.key not in self.notes:
            read = partial(read_sum, self.transport.store, archive.key)
            self.notes[archive.key] = self.transport.promptly(read, archive)
        return self.notes[archive.key]

    def check_sum(self, archive: CataloguedArchive, note: SumNote | None) -> None:
        """Compare an archive's stored bytes with the sum that ``note`` gives, and open nothing.

        Raises:
            PipelineError: they differ, cannot be read, or there is no sum of this archive.
        """
        digest = _digest_in(note, archive)
        if not digest:
            raise Unchecked(
                "there is no checksum of it beside it, or only a broken one, or one of an older archive. If the run "
                "that made it was cut off, the next one on its machine writes it; else verify it without --keyless, "
                "where the secret key is"
            )
        with self._pipeline(self.transport.feed(archive, digest=digest)) as pipeline:
            _read(pipeline)

    def _is_encrypted(self, archive: CataloguedArchive) -> bool:
        store, end = self.transport.store, min(HEAD_SIZE, archive.stored.size)
        head = self.transport.promptly(lambda: b"".join(store.read(archive.key, end=end)), archive)
        return looks_encrypted(head)


def check_metadata(archive: CataloguedArchive, note: SumNote | None) -> None:
    """Compare what an archive says of itself with what it was stored with, as far as the note beside it tells.

    Raises:
        Damaged: it is something else.
    """
    if archive.record and note and contradicts(note, archive.record, archive.metadata):
        raise Damaged(
            f"its metadata have been changed since it was stored: they are not those of {sum_key(archive.key)}, so "
            "that it may be of another day, or a part of another chain, than they say"
        )


def _digest_in(note: SumNote | None, archive: CataloguedArchive) -> str:
    """The SHA-256 of an archive's stored bytes, empty if the note does not tell, or is of an older archive."""
    return note.digest if note and archive.record and note.id == archive.record.id else ""


def _read(pipeline: Pipeline, write: Callable[[Block], None] | None = None) -> int:
    """Read a pipeline to its end; returns how many bytes came out."""
    total = 0
    buffer = memoryview(bytearray(_PIECE))
    while count := pipeline.readinto(buffer):
        if write:
            write(buffer[:count])
        total += count
    return total
