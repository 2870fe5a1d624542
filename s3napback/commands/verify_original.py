"""``verify`` of what the original tool left: decoded to nothing, chain by chain; one line for each archive."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from pathlib import Path

from s3napback.errors import S3napbackError, StoreError
from s3napback.formatting import counted, human_bytes, human_time
from s3napback.kinds import SUBVERSION, SourceName
from s3napback.original.chains import OriginalArchive, OriginalChain, chain_to
from s3napback.records import dataclass
from s3napback.recovery.choosing import NothingToRestore
from s3napback.recovery.holdings import Holdings, is_cold
from s3napback.recovery.opening.decoder import Decoder
from s3napback.recovery.opening.failures import Damaged
from s3napback.recovery.original import (
    RevisionRange,
    as_catalogued,
    checks_of_original,
    decoder_of_original,
    revisions_of_original,
    source_of_original,
)
from s3napback.recovery.original_choice import OriginalRequest, choice_of_originals, matching_originals
from s3napback.standing import working_on
from s3napback.surroundings import find_gnu_tar

logger = logging.getLogger("s3napback")


def verify_originals(
    holdings: Holdings,
    words: OriginalRequest,
    today: date,
    say: Callable[[str], None],
    *,
    every: bool = False,
    passphrase_file: Path | None = None,
) -> int:
    """Verify what a restore would read, or every archive.

    Args:
        holdings: with all that the original left.
        words: which are meant; no source is all of them.
        today: completes ``--at``.
        say: takes the lines of the report.
        every: not only the newest chain of each source.
        passphrase_file: for gpg.

    Returns:
        The exit code: 1 if anything is wrong.

    Raises:
        S3napbackError: there is nothing to verify, or it is not clear what is meant.
    """
    try:
        chains, problems = chosen_chains(holdings, words, today, every=every)
    except NothingToRestore as error:
        for line in error.under(f"{words.source}: FAILED"):
            say(line)
        return 1
    for problem in problems:
        say(problem)
    verification = _Verification(decoder_of_original(holdings.decoder(passphrase_file)), say)
    bad = len(problems) + sum(verification.failures_in(chain) for chain in chains)
    if bad:
        logger.error("%s found", counted(bad, "problem"))
    return 1 if bad else 0


def chosen_chains(
    holdings: Holdings, words: OriginalRequest, today: date, *, every: bool = False
) -> tuple[Sequence[OriginalChain], Sequence[str]]:
    """The chains to look at, and what there is to say of archives that nothing can be restored from.

    Raises:
        NothingToRestore: there is none of the source that can be.
        StoreError: there are none at all.
    """
    if words.source and not every:
        choice = choice_of_originals(holdings, words, today)
        for doubt in choice.chain.doubts:
            logger.warning("%s", doubt)
        return [choice.chain], choice.notes
    found = matching_originals(holdings.catalogue, words.source)
    if not found:
        raise StoreError(f"there are no archives of the original tool in {holdings.store.location} to be verified")
    if not every:
        found = list({archive.name.series: archive for archive in reversed(found)}.values())
    chains = {archive.base: chain_to(archive, holdings.catalogue.original) for archive in found}
    broken = [f"{base}: cannot be restored: {chain.problem}" for base, chain in chains.items() if chain.problem]
    whole = [chain for chain in chains.values() if chain.archives]
    return _outermost(whole) if every else whole, broken


def _outermost(chains: Sequence[OriginalChain]) -> list[OriginalChain]:
    """Those that are no part of another one: each archive is read once, in its place."""
    parts = {link.base for chain in chains for link in chain.archives[:-1]}
    return [chain for chain in chains if chain.archives[-1].base not in parts]


@dataclass(frozen=True)
class _Verification:
    """One run."""

    decoder: Decoder
    say: Callable[[str], None]

    def failures_in(self, chain: OriginalChain) -> int:
        """Verify a chain; returns how much is wrong."""
        checking = self._checked(chain.archives)
        bad = 0
        for archive in chain.archives:
            clock = time.monotonic()
            try:
                with working_on(f"verifying {archive.base}, an archive of the original tool"):
                    next(checking)
            except S3napbackError as error:
                for line in error.under(f"{archive.base}: FAILED"):
                    self.say(line)
                # What builds on it is read all the same, but by itself.
                bad += 1
                checking = self._checked(chain.archives[chain.archives.index(archive) + 1 :], is_begun=True)
            else:
                seconds = human_time(time.monotonic() - clock)
                self.say(f"{archive.base}: good, {human_bytes(archive.size)}, {seconds}")
        return bad

    def _checked(self, archives: Sequence[OriginalArchive], *, is_begun: bool = False) -> Iterator[None]:
        """Verify one archive after the other; yields after each, and raises what is wrong with one.

        Args:
            is_begun: what the first one builds on is not known.
        """
        before: RevisionRange | None = None if is_begun else RevisionRange()
        source: SourceName | None = None
        for archive in archives:
            (catalogued,) = as_catalogued(self.decoder, [archive])
            if is_cold(catalogued):
                raise StoreError(f"it lies in cold storage ({archive.storage_class}) and cannot be read now")
            source = source or source_of_original(self.decoder, catalogued, archive.name.sources)
            if source.kind == SUBVERSION.name:
                found = revisions_of_original(self.decoder, catalogued)
                if before is not None and not found.continues(before):
                    raise Damaged(
                        f"it begins with revision {found.first}, and what it builds on ends with {before.last}"
                    )
                before = found
            else:
                self.decoder.run(catalogued, *checks_of_original(source, find_gnu_tar()))
            yield
