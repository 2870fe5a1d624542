"""``drill`` of what the original tool left: which of it is meant, and how a chain of it is proven.

Nothing is noted of it in the store: what lies there is the original's, and nothing is put beside it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import date

from s3napback.commands.verify_original import chosen_chains
from s3napback.drilling.registry import prover_of
from s3napback.drilling.request import DrillRequest
from s3napback.drilling.task import Proven, Task, require_warm
from s3napback.errors import S3napbackError
from s3napback.formatting import counted, human_time
from s3napback.original.chains import OriginalChain
from s3napback.records import dataclass
from s3napback.recovery.choosing import NothingToRestore
from s3napback.recovery.holdings import Holdings
from s3napback.recovery.opening.decoder import Decoder
from s3napback.recovery.original import as_catalogued, decoder_of_original, restore_of_original, source_of_original
from s3napback.recovery.original_choice import (
    OriginalRequest,
    is_original_meant,
    local_day,
    require_kind,
    with_all_originals,
)
from s3napback.recovery.registry import UnclearRequest
from s3napback.standing import working_on

logger = logging.getLogger("s3napback")


def are_originals_meant(holdings: Holdings, request: DrillRequest, today: date) -> bool:
    """Whether the original's archives are meant: they are named, or none of our own is as old."""
    words = OriginalRequest(request.source, request.at, (), request.origin)
    try:
        return request.original or (bool(request.source) and is_original_meant(holdings, words, today))
    except S3napbackError:
        # It is said where our own archives are looked for.
        return False


def drill_originals(holdings: Holdings, request: DrillRequest, today: date, say: Callable[[str], None]) -> int:
    """Prove the newest chain of each source of the original's, or that of one source.

    Returns:
        The exit code: 1 if anything is not proven.

    Raises:
        S3napbackError: there is nothing to prove, or it is not clear what is meant.
    """
    if request.due or request.origin or request.against_live:
        raise UnclearRequest("--due, --from and --against-live are for archives of our own: not with --original")
    if request.at and not request.source:
        raise UnclearRequest("--at names one state, so it needs a SOURCE")
    everything = with_all_originals(holdings)
    try:
        chains, problems = chosen_chains(everything, OriginalRequest(request.source, request.at), today)
    except NothingToRestore as error:
        for line in error.under(f"{request.source}: NOT PROVEN"):
            say(line)
        return 1
    for problem in problems:
        say(problem)
    drills = _Drills(everything, request, say)
    clock = time.monotonic()
    bad = len(problems)
    for number, chain in enumerate(chains):
        if request.is_over(time.monotonic() - clock):
            say(request.not_begun(len(chains) - number))
            break
        bad += not drills.prove(chain)
    if bad:
        logger.error("%s not proven", counted(bad, "source"))
    return 1 if bad else 0


@dataclass(frozen=True)
class _Drills:
    """One run."""

    holdings: Holdings
    request: DrillRequest
    say: Callable[[str], None]

    def prove(self, chain: OriginalChain) -> bool:
        """Prove one chain."""
        newest = chain.archives[-1]
        what = f"{newest.base} of {local_day(newest)}, by the original tool"
        if self.request.test:
            self.say(f"would prove {what}: {', '.join(archive.base for archive in chain.archives)}")
            return True
        clock = time.monotonic()
        try:
            decoder = decoder_of_original(self.holdings.decoder(self.request.passphrase_file))
            arrived, size = decoder.transport.total, sum(archive.size for archive in chain.archives)
            counts = {"fetched": lambda: arrived.size}
            with working_on(f"proving {what}", counts, expected=size, title=newest.base, stage="drill"):
                proven = self._proven(chain, decoder)
        except S3napbackError as error:
            for line in error.under(f"{what}: NOT PROVEN"):
                self.say(line)
            return False
        self.say(f"{what}: proven: {proven.said}, {human_time(time.monotonic() - clock)}")
        for remark in (*chain.doubts, *proven.remarks):
            self.say(f"  {remark}")
        return True

    def _proven(self, chain: OriginalChain, decoder: Decoder) -> Proven:
        request = self.request
        archives = as_catalogued(decoder, chain.archives)
        require_warm(archives)
        source = source_of_original(decoder, archives[0], chain.archives[0].name.sources)
        if request.source:
            require_kind(request.source, source)
        task = Task(
            source=source,
            chain=archives,
            decoder=decoder,
            restore=restore_of_original,
            note=None,
            scratch=request.place(self.holdings.configuration.temp_dir),
            needed=sum(archive.stored.size for archive in archives),
            keeps=request.keep is not None,
            is_original=True,
        )
        return prover_of(source)(task)
