"""``verify``: decode archives to nothing, or check their sums, or compare with the live tree; one line for each."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import field
from datetime import date, datetime, timezone
from functools import cached_property
from pathlib import Path

from s3napback.adopting import state_of
from s3napback.answering import require_answer
from s3napback.archives import ArchiveRecord, slot_keys, split_key
from s3napback.backup.owing import owed_note
from s3napback.catalogue.contents import CataloguedArchive
from s3napback.catalogue.indexes import index_key
from s3napback.catalogue.losses import unprotected_sources
from s3napback.catalogue.marking import leave_mark
from s3napback.catalogue.sums import SumNote, read_own_sum, sum_key
from s3napback.commands.verify_original import verify_originals
from s3napback.config.settings import Configuration
from s3napback.errors import PipelineError, S3napbackError, StoreError
from s3napback.formatting import counted, human_bytes, human_time
from s3napback.kinds import NO_SOURCE, SourceName
from s3napback.records import dataclass
from s3napback.recovery.holdings import Holdings, is_cold, look_at_store
from s3napback.recovery.moments import as_keys
from s3napback.recovery.opening.decoder import Decoder, check_metadata
from s3napback.recovery.opening.failures import Damaged, is_damage
from s3napback.recovery.opening.index_check import IndexCheck
from s3napback.recovery.original_choice import OriginalRequest, is_original_meant, with_all_originals
from s3napback.recovery.registry import UnclearRequest, recovery_of
from s3napback.standing import working_on
from s3napback.surroundings import host_name
from s3napback.watch.proofs import Proof, ReadBack

logger = logging.getLogger("s3napback")

_WRONG_INDEX = (
    "the archive itself is good, and restore of the whole source does not need the index. Delete it, so that PATHs are "
    "looked for in the archive"
)


class _WrongIndex(PipelineError):
    """The archive is good, and its index tells something else than it holds."""


@dataclass(frozen=True)
class VerifyRequest:
    """What the command line asks for.

    Attributes:
        source: as in the configuration; empty is all of this host.
        at: as of when; empty is the newest.
        origin: ``--from``: a Cycle's name or a key base.
        every: ``--all``: not only the newest chain.
        keyless: check stored bytes against their sums, for machines without the secret key.
        against_live: ``--compare``.
        passphrase_file: for gpg.
        original: only what the original tool left.
        test: leave nothing in the store.
    """

    source: str = ""
    at: str = ""
    origin: str = ""
    every: bool = False
    keyless: bool = False
    against_live: bool = False
    passphrase_file: Path | None = None
    original: bool = False
    test: bool = False


def verify(configuration: Configuration, request: VerifyRequest, today: date, say: Callable[[str], None]) -> int:
    """Verify, one source after the other, whatever is found wrong with any.

    Args:
        today: completes ``--at``.
        say: takes the lines of the report.

    Returns:
        The exit code: 1 if anything is wrong, or differs.

    Raises:
        S3napbackError: the store cannot be read, or there is nothing to verify.
    """
    holdings = look_at_store(configuration, request.source, request.origin, as_keys(request.at))
    if _is_original_meant(holdings, request, today):
        return _verify_originals(holdings, request, today, say)
    lacking = _unprotected(holdings, request.source)
    for line in lacking:
        say(line)
    at = "" if request.every else request.at
    words, young = ([request.source], []) if request.source else holdings.sources_as_of(at, today, request.origin)
    for line in young:
        say(f"{line}: not judged")
    if request.source and lacking and not holdings.has_any(request.source):
        words = []
    bad = len(lacking) + (0 if request.source else _tell_losses(holdings, say))
    if not words and not bad:
        raise holdings.nothing_that("verified")
    verification = Verification(holdings, request, today, say)
    bad += sum(verification.verify(word) for word in words)
    verification.marks.changed()
    if bad:
        found = "difference" if bad == verification.differences else "problem"
        logger.error("%s found", counted(bad, found))
    return 1 if bad else 0


def _is_original_meant(holdings: Holdings, request: VerifyRequest, today: date) -> bool:
    words = OriginalRequest(request.source, request.at, (), request.origin)
    try:
        return request.original or (bool(request.source) and is_original_meant(holdings, words, today))
    except S3napbackError:
        # It is said where our own archives are looked for.
        return False


def _verify_originals(holdings: Holdings, request: VerifyRequest, today: date, say: Callable[[str], None]) -> int:
    if request.keyless:
        raise UnclearRequest(
            "--keyless checks sums, and the original left none: without the secret key no more is known than what list "
            "shows, that no chunk is missing. Run verify --original where the key is"
        )
    if request.against_live:
        raise UnclearRequest(
            "--compare is for archives of our own; of the original's, restore SOURCE --original --to WHERE, and look "
            "at it with diff -r"
        )
    if request.origin:
        raise UnclearRequest("--from names a Cycle, or a name in our own keys: it does not go with --original")
    if request.original and request.at and not request.source:
        raise UnclearRequest("--at names one state, so it needs a SOURCE")
    words = OriginalRequest(request.source, request.at)
    everything = with_all_originals(holdings)
    return verify_originals(everything, words, today, say, every=request.every, passphrase_file=request.passphrase_file)


def _unprotected(holdings: Holdings, word: str) -> Sequence[str]:
    """The configured sources, or the one asked for, of which nothing can be restored, as lines of the report."""
    configuration = holdings.configuration
    lacking = unprotected_sources(holdings.catalogue, configuration, host_name(configuration), word)
    return [
        f"{job.source}{f' (Cycle {job.cycle})' if job.cycle else ''}: FAILED: it is configured, and there is no whole "
        "backup of it"
        for job in lacking
    ]


def _tell_losses(holdings: Holdings, say: Callable[[str], None]) -> int:
    """Tell what is lost under names of which nothing else is known; returns how much of it was an archive of ours."""
    known = {archive.base for archive in holdings.catalogue.archives if archive.record}
    names = {job.name for job in holdings.configuration.jobs}
    unseen = {archive.key for archive in holdings.catalogue.archives if archive.flaw}
    bad = 0
    for loss in holdings.losses:
        if loss.base in known:
            continue
        if loss.key in unseen and loss.base not in names and sum_key(loss.key) not in holdings.catalogue.sums:
            # It may be anybody's.
            logger.warning("%s: %s", loss.key, loss.problem)
            continue
        say(f"{loss.key}: FAILED: {loss.problem}")
        bad += 1
    return bad


@dataclass
class Verification:
    """One run.

    Attributes:
        differences: from what is there now, as far as it has been compared.
    """

    holdings: Holdings
    request: VerifyRequest
    today: date
    say: Callable[[str], None]
    differences: int = 0

    @cached_property
    def marks(self) -> _Marks:
        """What is left in the store."""
        return _Marks(self.holdings, self.request)

    def verify(self, word: str) -> int:
        """Verify what is wanted of one source; returns how much is wrong."""
        try:
            archives, problems, outlived = self._chosen(word)
        except S3napbackError as error:
            self._report_failure(word, error)
            return 1
        for problem in (*problems, *outlived):
            self.say(problem)
        bad = len(problems)
        if self.request.against_live:
            return bad + self._compare(archives)
        wanted = archives if self.request.every else archives[-1:]
        self.marks.expect(self.holdings.catalogue.chain(archive).archives for archive in wanted)
        return bad + sum(not self._is_good(archive) for archive in archives)

    def _chosen(self, word: str) -> tuple[Sequence[CataloguedArchive], Sequence[str], Sequence[str]]:
        """The archives to look at, and what there is to say of those that nothing can be restored from.

        Behind that what is no fault: the rotation has gone on over the FULL of some.
        """
        if not self.request.every:
            archives, notes = self.holdings.chain_with_problems(word, self.request.at, self.today, self.request.origin)
            return archives, notes, ()
        own = sorted(self.holdings.own(word, self.request.origin), key=lambda archive: archive.key)
        chains = {archive.key: self.holdings.catalogue.chain(archive) for archive in own}
        problems, outlived = list(self.holdings.lost(own)), list[str]()
        for key, chain in chains.items():
            if chain.problem:
                (outlived if chain.is_outlived else problems).append(f"{key}: cannot be restored: {chain.problem}")
        return [archive for archive in own if chains[archive.key].archives], problems, outlived

    def _is_good(self, archive: CataloguedArchive) -> bool:
        clock = time.monotonic()
        decoder = self.holdings.decoder(self.request.passphrase_file)
        index = IndexCheck(decoder, archive, self.holdings.catalogue.indexes.get(index_key(archive.key)))
        try:
            if is_cold(archive):
                raise StoreError(f"it lies in cold storage ({archive.stored.storage_class}) and cannot be read now")
            arrived, before = decoder.transport.total, decoder.transport.total.size
            counts = {"fetched": lambda: arrived.size - before}
            what, size = f"verifying {archive.key}", archive.stored.size
            with working_on(what, counts, expected=size, title=archive.key, stage="verify"):
                if self.request.keyless:
                    note = self._note(decoder, archive)
                    decoder.check_sum(archive, note)
                    index.check_sum(note)
                else:
                    self._check_content(decoder, archive, index)
                    note = _note_if_any(decoder, archive)
            check_metadata(archive, note)
            if index.is_wrong:
                raise _WrongIndex(f"its index is wrong, {index_key(archive.key)}: {index.flaw}", _WRONG_INDEX)
        except S3napbackError as error:
            if self._was_replaced(archive):
                self.say(f"{archive.key}: not judged, since a backup has filled its slot anew meanwhile")
                return True
            self._report_failure(archive.key, error)
            if is_damage(error):
                self.marks.damaged(archive)
            return False
        self.marks.good(archive)
        seconds = time.monotonic() - clock
        shown = human_bytes(archive.stored.size)
        self.say(f"{archive.key}: good, {shown}, {human_time(seconds)}{_lacking(archive, note)}")
        if index.flaw:
            logger.warning(
                "%s is of no use, so that single files of this archive are found by reading all of it: %s",
                index_key(archive.key),
                index.flaw,
            )
        return True

    def _note(self, decoder: Decoder, archive: CataloguedArchive) -> SumNote | None:
        """What stands beside an archive, or is to, and a run of this machine that was cut off did not come to."""
        note, record = decoder.note(archive), archive.record
        if record is None or (note and note.id == record.id):
            return note
        owed = None
        with suppress(S3napbackError, OSError):  # DiffDir may be another user's, or another machine's
            owed = owed_note(state_of(self.holdings.configuration), archive.key, record.id)
        if owed:
            logger.info("%s is not written yet, since a run was cut off; the next one writes it", sum_key(archive.key))
        elif note is None:
            # A backup may have written it since the store was listed.
            with suppress(StoreError):
                return read_own_sum(self.holdings.store, archive.key, record.id)
        return owed or note

    def _was_replaced(self, archive: CataloguedArchive) -> bool:
        """Whether its slot holds a newer archive of the same source, which was not there when the store was listed."""
        found = split_key(archive.key)
        if found is None or archive.record is None:
            return False
        base, slot, _type = found
        owner = archive.record.owner
        with suppress(S3napbackError):  # then what failed is told as it is
            for key in slot_keys("", owner.source.kind, base, slot):
                held = self.holdings.store.head(key)
                now = ArchiveRecord.from_metadata(held.metadata) if held else None
                if now and now.owner == owner and now.started >= archive.record.started:
                    return self.holdings.catalogue.with_id(now.id) is None
        return False

    def _report_failure(self, subject: str, error: S3napbackError) -> None:
        for line in error.under(f"{subject}: FAILED"):
            self.say(line)

    def _check_content(self, decoder: Decoder, archive: CataloguedArchive, index: IndexCheck) -> None:
        record = archive.record
        if record is None:
            raise Damaged("it has no metadata, which would tell what it holds")
        check = recovery_of(record.owner.source).check
        decoder.run(archive, *check(record, self._parent(record)), watching=index.watching)

    def _parent(self, record: ArchiveRecord) -> ArchiveRecord | None:
        parent = self.holdings.catalogue.with_id(record.parent)
        return parent.record if parent else None

    def _compare(self, chain: Sequence[CataloguedArchive]) -> int:
        record = chain[-1].record
        source = record.owner.source if record else NO_SOURCE
        compare = recovery_of(source).compare if source.kind else None
        if compare is None:
            if self.request.source:
                self.say(f"{self.request.source}: FAILED: only a directory can be compared with what is there now")
            return bool(self.request.source)
        decoder = self.holdings.decoder(self.request.passphrase_file)
        try:
            require_answer(source.target, self.holdings.configuration.store.stall_timeout)
            differing = compare(decoder, chain, source.target, self._tar_options(chain[-1], source), self.say)
        except S3napbackError as error:
            self._report_failure(chain[-1].key, error)
            return 1
        self.differences += differing
        lacking = _lacking(chain[-1], _note_if_any(decoder, chain[-1]))
        self.say(f"{source}: {counted(differing, 'difference')} from {chain[-1].key}{lacking}")
        return differing

    def _tar_options(self, archive: CataloguedArchive, source: SourceName) -> Sequence[str]:
        """TarOptions of the block that makes such archives; of others of the same source where it is no more."""
        jobs = [job for job in self.holdings.configuration.jobs if job.source == source]
        own = [job for job in jobs if job.name == archive.base]
        return next((job.settings.tar_options for job in (*own, *jobs)), ())


def _note_if_any(decoder: Decoder, archive: CataloguedArchive) -> SumNote | None:
    """What stands beside an archive whose content was read, and is good: a help, and no hindrance."""
    try:
        return decoder.note(archive)
    except StoreError as error:
        logger.debug("%s: %s", sum_key(archive.key), error)
        return None


def _lacking(archive: CataloguedArchive, note: SumNote | None) -> str:
    """What a good archive never held of its source, behind what is said of it."""
    if note is None or archive.record is None or note.id != archive.record.id or not note.unread.count:
        return ""
    return f"; {counted(note.unread.count, 'path')} could not be read that night"


@dataclass
class _Marks:
    """Notes beside the archives, of what was found: see ``watch.proofs``. That one cannot be left is no failure."""

    holdings: Holdings
    request: VerifyRequest
    _chains: list[Sequence[CataloguedArchive]] = field(default_factory=list)
    _good: set[str] = field(default_factory=set)
    _is_refused: bool = False

    def expect(self, chains: Iterable[Sequence[CataloguedArchive]]) -> None:
        """These are to be marked when all of their archives have been read."""
        self._chains = [chain for chain in chains if chain]

    def good(self, archive: CataloguedArchive) -> None:
        """An archive was read, and is what it should be."""
        self._good.add(archive.key)
        whole = [chain for chain in self._chains if self._good.issuperset(link.key for link in chain)]
        self._chains = [chain for chain in self._chains if chain not in whole]
        for chain in whole:
            mark = ReadBack.INTACT if self.request.keyless else ReadBack.VERIFIED
            self._leave(chain[-1], mark, f"{counted(len(chain), 'archive')} read")

    def damaged(self, archive: CataloguedArchive) -> None:
        """An archive was read, and is not what it should be."""
        self._leave(archive, ReadBack.DAMAGED, "its content, or its checksum, is wrong")

    def changed(self) -> None:
        """Of some the store knows by itself that they are not what it was given: none of these can be read."""
        for archive in self.holdings.catalogue.archives:
            if archive.stored.is_changed:
                self._leave(archive, ReadBack.DAMAGED, archive.flaw)

    def _leave(self, archive: CataloguedArchive, mark: ReadBack, said: str) -> None:
        configuration = self.holdings.configuration
        if self.request.test or configuration.store.as_of or self._is_refused:
            return
        identity = archive.record.id if archive.record else ""
        proof = Proof(identity, host_name(configuration), datetime.now(timezone.utc), mark.is_good, said)
        try:
            leave_mark(self.holdings.store, archive, mark, proof, self.holdings.catalogue.proofs)
        except S3napbackError as error:
            # A machine that only reads may have no right to write; nor would it have for the next archive.
            self._is_refused = True
            logger.info("when this was verified is not noted in the store, for list and status: %s", error)
