"""What is to be proven, and what was."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from s3napback.catalogue.contents import CataloguedArchive
from s3napback.catalogue.sums import SumNote
from s3napback.config.settings import Job
from s3napback.drilling.throwaway import NotTried
from s3napback.kinds import SourceName
from s3napback.records import dataclass
from s3napback.recovery.holdings import is_cold
from s3napback.recovery.opening.decoder import Decoder
from s3napback.recovery.registry import Restorer


@dataclass(frozen=True)
class Task:
    """One source to be proven.

    Attributes:
        source: of the archives.
        chain: oldest first.
        decoder: opens them.
        restore: restores them.
        note: what was noted of the newest one when it was made; None if that is not known.
        scratch: the folder in which to make scratch folders.
        needed: bytes that there should be room for.
        job: the configured source; None if none is.
        sample: of a directory, how many files to look at; 0 is all.
        against_live: hold a directory against what is there now.
        keeps: what was restored stays.
        is_original: the archives are the original tool's, and tell nothing of themselves.
    """

    source: SourceName
    chain: Sequence[CataloguedArchive]
    decoder: Decoder
    restore: Restorer
    note: SumNote | None
    scratch: Path
    needed: int = 0
    job: Job | None = None
    sample: int = 0
    against_live: bool = False
    keeps: bool = False
    is_original: bool = False


@dataclass(frozen=True)
class Proven:
    """What was proven.

    Attributes:
        said: what was counted, as the end of a line.
        remarks: what should be known before it is restored in earnest, one line each.
    """

    said: str
    remarks: Sequence[str] = ()


Prover = Callable[[Task], Proven]
"""Raises ``Damaged`` where an archive is not what it should be, and other errors where it cannot be tried."""


def require_warm(archives: Sequence[CataloguedArchive]) -> None:
    """Refuse archives that have to be thawed before they can be read.

    Raises:
        NotTried: one of them is such.
    """
    for archive in archives:
        if is_cold(archive):
            raise NotTried(f"{archive.key} lies in cold storage ({archive.stored.storage_class})")
