"""``verify``: decode archives to nothing, or check their sums, or compare with the live tree; one line for each."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from s3napback.archives import ArchiveRecord
from s3napback.catalogue.contents import CataloguedArchive
from s3napback.catalogue.sums import sum_key
from s3napback.config.settings import Configuration
from s3napback.errors import S3napbackError, StoreError
from s3napback.formatting import counted, human_bytes, human_time
from s3napback.kinds import NO_SOURCE
from s3napback.recovery.decoding import LEAST_RATE, Damaged, Decoder
from s3napback.recovery.fetching import known_digest
from s3napback.recovery.reaching import Reach, is_cold, reach
from s3napback.recovery.registry import recovery_of
from s3napback.streams.pipeline import Pipeline
from s3napback.streams.transformations import Block
from s3napback.surroundings import host_name

logger = logging.getLogger("s3napback")

_PIECE = 1 << 20  # bytes; checked at once


@dataclass(frozen=True)
class Wish:
    """What the command line asks for.

    Attributes:
        source: as in the configuration; empty is all of this host.
        at: as of when; empty is the newest.
        origin: ``--from``: a Cycle's name or a key base.
        every: ``--all``: not only the newest chain.
        keyless: check stored bytes against their sums, for machines without the secret key.
        against_live: ``--compare``.
        passphrase_file: for gpg.
    """

    source: str = ""
    at: str = ""
    origin: str = ""
    every: bool = False
    keyless: bool = False
    against_live: bool = False
    passphrase_file: Path | None = None


def verify(configuration: Configuration, wish: Wish, today: date, say: Callable[[str], None]) -> int:
    """Verify, one source after the other, whatever is found wrong with any.

    Args:
        today: completes ``--at``.
        say: takes the lines of the report.

    Returns:
        The exit code: 1 if anything is wrong, or differs.

    Raises:
        S3napbackError: the store cannot be read, or there is nothing to verify.
    """
    reached = reach(configuration)
    words = [wish.source] if wish.source else _all_sources(reached)
    if not words:
        raise StoreError(f"there are no archives in {reached.store.location} that could be verified")
    verification = Verification(reached, wish, today, say)
    bad = sum(verification.verify(word) for word in words)
    if not wish.source:
        _warn_of_unseen(reached)
    if bad:
        logger.error("%s found", counted(bad, "problem or difference"))
    return 1 if bad else 0


def _all_sources(reached: Reach) -> list[str]:
    """Sources of this host; on a machine of another name, where none is configured, of all hosts."""
    owners = {archive.record.owner for archive in reached.catalogue.archives if archive.record}
    own = {str(owner.source) for owner in owners if owner.host == host_name(reached.configuration)}
    if own or reached.configuration.host_name:
        return sorted(own)
    return sorted({str(owner.source) for owner in owners})


def _warn_of_unseen(reached: Reach) -> None:
    """Name what nobody can look at under names of which nothing else is known: it may be anybody's."""
    archives = reached.catalogue.archives
    known = {archive.base for archive in archives if archive.record}
    for archive in archives:
        if archive.flaw and archive.base not in known:
            logger.warning("%s cannot be looked at: %s", archive.key, archive.flaw)


@dataclass(frozen=True)
class Verification:
    """One run."""

    reached: Reach
    wish: Wish
    today: date
    say: Callable[[str], None]

    def verify(self, word: str) -> int:
        """Verify what is wanted of one source; returns how much is wrong."""
        try:
            archives, problems = self._chosen(word)
        except S3napbackError as error:
            self._report_failure(word, error)
            return 1
        for problem in problems:
            self.say(problem)
        bad = len(self.reached.unseen(archives)) if self.wish.every else len(problems)
        if self.wish.against_live:
            return bad + self._compare(archives)
        return bad + sum(not self._is_good(archive) for archive in archives)

    def _chosen(self, word: str) -> tuple[Sequence[CataloguedArchive], Sequence[str]]:
        """The archives to look at, and what there is to say of those that nothing can be restored from."""
        if not self.wish.every:
            return self.reached.chain_with_problems(word, self.wish.at, self.today, self.wish.origin)
        own = sorted(self.reached.own(word, self.wish.origin), key=lambda archive: archive.key)
        chains = {archive.key: self.reached.catalogue.chain(archive) for archive in own}
        broken = [f"{key}: cannot be restored: {chain.problem}" for key, chain in chains.items() if chain.problem]
        return [archive for archive in own if chains[archive.key].archives], [*self.reached.unseen(own), *broken]

    def _is_good(self, archive: CataloguedArchive) -> bool:
        clock = time.monotonic()
        decoder = self.reached.decoder(self.wish.passphrase_file)
        try:
            if is_cold(archive):
                raise StoreError(f"it lies in cold storage ({archive.stored.storage_class}) and cannot be read now")
            if self.wish.keyless:
                _check_sum(decoder, archive)
            else:
                self._check_content(decoder, archive)
        except S3napbackError as error:
            self._report_failure(archive.key, error)
            return False
        seconds = time.monotonic() - clock
        self.say(f"{archive.key}: good, {human_bytes(archive.stored.size)}, {human_time(seconds)}")
        return True

    def _report_failure(self, subject: str, error: S3napbackError) -> None:
        for line in error.under(f"{subject}: FAILED"):
            self.say(line)

    def _check_content(self, decoder: Decoder, archive: CataloguedArchive) -> None:
        record = archive.record
        if record is None:
            raise Damaged("it has no metadata, which would tell what it holds")
        check = recovery_of(record.owner.source).check
        decoder.run(archive, *check(record, self._parent(record)), write=_forget)

    def _parent(self, record: ArchiveRecord) -> ArchiveRecord | None:
        records = (each.record for each in self.reached.catalogue.archives)
        return next((each for each in records if each and each.id == record.parent), None)

    def _compare(self, chain: Sequence[CataloguedArchive]) -> int:
        record = chain[-1].record
        source = record.owner.source if record else NO_SOURCE
        compare = recovery_of(source).compare if source.kind else None
        if compare is None:
            if self.wish.source:
                self.say(f"{self.wish.source}: FAILED: only a directory can be compared with what is there now")
            return bool(self.wish.source)
        decoder = self.reached.decoder(self.wish.passphrase_file)
        try:
            differing = compare(decoder, chain, source.target, self.say)
        except S3napbackError as error:
            self._report_failure(chain[-1].key, error)
            return 1
        self.say(f"{source}: {counted(differing, 'difference')} from {chain[-1].key}")
        return differing


def _check_sum(decoder: Decoder, archive: CataloguedArchive) -> None:
    transport = decoder.transport
    digest = known_digest(transport, archive, has_sum=sum_key(archive.key) in decoder.sums)
    if not digest:
        raise Damaged("there is no checksum of it beside it, or only one of an older archive")
    feed = transport.feed(archive, digest=digest)
    with Pipeline([feed], stall_timeout=transport.stall_timeout, least_rate=LEAST_RATE) as pipeline:
        buffer = memoryview(bytearray(_PIECE))
        while pipeline.readinto(buffer):
            pass


def _forget(_block: Block) -> None:
    """What was decoded is of no further use."""
