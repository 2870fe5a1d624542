"""What ``list`` reports of a store, before anything decides how it looks. Pure."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field

from s3napback.archives import UNKNOWN_OWNER, Owner, join_prefix, split_key
from s3napback.catalogue.claims import Claim, Claims, is_stray
from s3napback.catalogue.contents import Catalogue, CataloguedArchive, Chain, newest_first
from s3napback.catalogue.losses import Loss
from s3napback.catalogue.retention import sums_without_archive
from s3napback.catalogue.succession import succeeds
from s3napback.config.settings import Job
from s3napback.original.chains import OriginalArchive, OriginalChain, chain_to
from s3napback.original.contents import is_original_chunk
from s3napback.records import dataclass
from s3napback.rotation import ArchiveType, day_date
from s3napback.watch.proofs import NOTHING_KNOWN, Known


@dataclass(frozen=True, slots=True)
class Row:
    """One archive.

    Attributes:
        chain: that ends with it.
        claim: what the configuration has to do with it; None if that has no blocks.
        unread: how many paths of the source could not be read that night.
        known: what was found when it was read.
    """

    archive: CataloguedArchive
    chain: Chain
    claim: Claim | None
    unread: int = 0
    known: Known = NOTHING_KNOWN

    @property
    def restorable(self) -> bool:
        """Whether everything is there that it builds on."""
        return bool(self.chain.archives)

    @property
    def type(self) -> str:
        """``FULL`` or ``DIFF``."""
        if self.archive.record is not None:
            return self.archive.record.type.value
        parts = split_key(self.archive.key)
        return (parts[2] if parts else "") or ArchiveType.FULL.value

    @property
    def chain_slots(self) -> str:
        """The chain's slots: ``0-3,5``; empty if it is broken."""
        return ",".join(
            f"{first}-{last}" if last > first else f"{first}"
            for first, last in runs(link.slot for link in self.chain.archives)
        )


@dataclass(frozen=True)
class OriginalRow:
    """One archive of the original tool.

    Attributes:
        chain: that ends with it.
    """

    archive: OriginalArchive
    chain: OriginalChain

    @property
    def source(self) -> str:
        """What it is of: ``MySQL all``; a path alone tells no more than ``Directory or Subversion /etc``."""
        sources = self.archive.name.sources
        return f"{' or '.join(source.kind for source in sources)} {sources[0].target}"

    @property
    def chain_slots(self) -> str:
        """The chain's slots, in order; empty if it cannot be restored."""
        return ",".join(str(link.name.slot) for link in self.chain.archives)


@dataclass(frozen=True)
class RestorableSource:
    """The days of one source of one host.

    Attributes:
        days: day numbers, the oldest first, each once.
        newest: key of the newest archive that can be restored; empty if none can.
    """

    owner: Owner
    days: tuple[int, ...]
    newest: str = ""

    @property
    def day_ranges(self) -> str:
        """``2026-01-01 to 2026-01-14, 2026-01-21``, the oldest first; ``none`` if there are none."""
        return ", ".join(_range(first, last) for first, last in runs(self.days)) or "none"


@dataclass(frozen=True)
class Report:
    """Everything that is shown of one store.

    Attributes:
        place: address of the store, with the prefix.
        unprotected: the configuration's sources of which nothing of our own can be restored.
        lost: newest archives that the last run has left, and that are not there, or do not pass for the newest; without
            those of which ``rows`` tell already why they cannot be restored.
        rows: the archives of a source beside each other, the newest first; those without metadata last.
        lone_sums: keys of checksums without an archive.
        gone: keys of which the store has notes of its own, and no archive.
        others: how many objects are not s3napback's.
        perl_chunks: how many of those are chunks of the original tool's archives.
        original: these archives, the newest first.
    """

    location: str
    prefix: str
    host: str
    unprotected: tuple[Job, ...]
    lost: tuple[Loss, ...]
    sources: tuple[RestorableSource, ...]
    rows: tuple[Row, ...]
    lone_sums: tuple[str, ...]
    gone: tuple[str, ...]
    others: int
    perl_chunks: int
    original: tuple[OriginalRow, ...] = ()

    @property
    def place(self) -> str:
        """Address of the store with the prefix."""
        return f"{self.location}/{self.prefix}" if self.prefix else self.location

    def alarms(self) -> list[str]:
        """What must be seen before anything else, one sentence each."""
        nothing = [
            f"NOTHING of {job.source}{f' (Cycle {job.cycle})' if job.cycle else ''} can be restored"
            f"{' but what the original tool left' if self._was_left(job) else ''}: it is configured, and there is no "
            f"whole backup of {'our own' if self._was_left(job) else 'it'}."
            for job in self.unprotected
        ]
        return [*nothing, *(f"{loss}." for loss in self.lost)]

    def _was_left(self, job: Job) -> bool:
        """Whether something of the original tool's can be restored of what a job backs up."""
        whole = (row.archive.name.sources for row in self.original if row.chain.archives)
        return any(succeeds(job, source) for sources in whole for source in sources)

    def remarks(self) -> list[str]:
        """What else should be said, one sentence each."""
        found = []
        nameless = sum(row.archive.record is None and not row.archive.flaw for row in self.rows)
        unseen = sum(bool(row.archive.flaw) for row in self.rows)
        if not self.rows:
            own = " of our own" if self.original else ""
            found.append(f"There are no archives{own} in {self.place}.")
        if nameless:
            found.append(
                f"Objects without metadata among these: {nameless}. Something other than s3napback wrote them, or they "
                "were copied without it; `restore --keys` restores a chain that is named by hand."
            )
        if lacking := sum(row.unread > 0 for row in self.rows):
            found.append(
                f"Archives that lack what could not be read that night: {lacking}. Which paths these are stands in the "
                "archive's KEY.sha256."
            )
        if unseen:
            found.append(
                f"Objects that cannot be looked at, or are damaged, among these: {unseen}. The reason stands beside "
                "each; `prune` deletes nothing under their names."
            )
        if self.others:
            perl = f", {self.perl_chunks} of them chunks of the original tool's archives" if self.perl_chunks else ""
            found.append(f"Objects in {self.place} that are not s3napback's: {self.others}{perl}.")
        if self.gone:
            found.append(f"Archives that are gone, of which the store still has notes: {', '.join(self.gone)}.")
        if doubtful := sum(bool(row.chain.doubts) for row in self.original):
            found.append(
                f"Archives of the original tool of which something should be known before they are relied upon: "
                f"{doubtful}. `restore -t` tells."
            )
        if self.lone_sums:
            found.append(f"Checksums whose archive is gone: {len(self.lone_sums)}. `prune` tells when they can go.")
        return found


@dataclass(frozen=True)
class Shown:
    """What is asked for of all that there is.

    Attributes:
        archives: our own.
        unprotected: sources of the configuration of which nothing can be restored.
        lost: see ``Report``.
        unread: by the keys of archives, how many paths could not be read; what is not there is 0.
        original: archives of the original tool.
    """

    archives: Sequence[CataloguedArchive]
    unprotected: Sequence[Job] = ()
    lost: Sequence[Loss] = ()
    unread: Mapping[str, int] = field(default_factory=dict)
    original: Sequence[OriginalArchive] = ()


def make_report(catalogue: Catalogue, shown: Shown, claims: Claims, *, location: str, prefix: str) -> Report:
    """Report on some archives of a catalogue.

    Args:
        catalogue: all there is, since chains need it.
        shown: what is asked for.
        claims: of the configuration.
        location: the store's address.
        prefix: of the configuration.
    """
    rows = sorted(
        (
            Row(
                archive,
                catalogue.chain(archive),
                claims.judge(archive)[0] if claims.jobs else None,
                shown.unread.get(archive.key, 0),
                catalogue.known.get(archive.key, NOTHING_KNOWN),
            )
            for archive in shown.archives
        ),
        key=_row_order,
    )
    told = {row.archive.key for row in rows if not row.restorable}
    return Report(
        location=location,
        prefix=prefix,
        host=claims.host,
        unprotected=tuple(shown.unprotected),
        lost=tuple(loss for loss in shown.lost if loss.key not in told),
        sources=tuple(_restorable_sources(rows)),
        rows=tuple(rows),
        lone_sums=tuple(found.key for found in sums_without_archive(catalogue)),
        gone=tuple(key for key in catalogue.gone if split_key(key.removeprefix(join_prefix(prefix, "")))),
        others=len(catalogue.others),
        perl_chunks=sum(is_original_chunk(key, prefix) for key in catalogue.others),
        original=tuple(OriginalRow(each, chain_to(each, catalogue.original)) for each in shown.original),
    )


def runs(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """First and last of each run of consecutive numbers, in ascending order."""
    found: list[tuple[int, int]] = []
    for number in sorted(numbers):
        if found and number <= found[-1][1] + 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found


def _row_order(row: Row) -> tuple[bool, str, str, str, tuple[bool, float, int, int, str]]:
    record = row.archive.record
    owner = record.owner if record else UNKNOWN_OWNER
    # Many rows have the same one.
    source = sys.intern(str(owner.source))
    return record is None, source, owner.host, row.archive.base, newest_first(row.archive)


def _restorable_sources(rows: Sequence[Row]) -> Iterable[RestorableSource]:
    by_owner: dict[Owner, list[Row]] = {}
    for row in rows:
        if row.archive.record is not None and not is_stray(row.archive):
            by_owner.setdefault(row.archive.record.owner, []).append(row)
    for owner, own in by_owner.items():
        good = sorted((row.archive for row in own if row.restorable), key=newest_first)
        days = {archive.record.day for archive in good if archive.record}
        yield RestorableSource(owner, tuple(sorted(days)), good[0].key if good else "")


def _range(first: int, last: int) -> str:
    if first == last:
        return f"{day_date(first)}"
    separator = " to " if last > first + 1 else ", "
    return f"{day_date(first)}{separator}{day_date(last)}"
