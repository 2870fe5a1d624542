"""What a cell of the fault matrix is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from tests.faults import injections as inject
from tests.faults.injections import Injection


class Outcome(Enum):
    """What must come of a fault, beyond what must always hold; the value is its mark in README."""

    FAILS = "fails"
    """Exit code 1. Store and DiffDir are as they were."""
    SURVIVES = "survives"
    """Exit code 0: tried again, or not important. The new archive is good."""
    LANDED = "lands"
    """Exit code 1, although the archive has arrived whole: it is not built upon. All else is as it was."""
    SPOILED = "noticed"
    """Exit code 1: what the store keeps is not what it got. It is not built upon. All else is as it was."""
    KILLED = "killed"
    """Nothing is lost. The slot holds the old archive or, from completion on, the new one, whole."""


@dataclass(frozen=True)
class Cell:
    """One fault that befalls one stage.

    Attributes:
        stage: which one, a row of the table.
        fault: which one, a column.
        where: the machine on which it happens: ``S3``, or the kind of source with a directory store.
        injection: brings it about.
        outcome: what must come of it.
        words: what the message must say besides the source's name.
        fault_name: of the fork server's, for a fault that cannot come from outside.
        settings: more of the Cycle's settings.
        general: more settings at file level.
        full: a FULL is due in the night of the fault, otherwise a DIFF.
        large: how many times ``LARGE`` bytes are new in that night.
        leaves_upload: the store is not able to discard the upload at once, and the next run must do it.
        remembered: what has arrived is in DiffDir, too, so that the next DIFF builds on it.
    """

    stage: str
    fault: str
    where: str
    outcome: Outcome
    injection: Injection = inject.nothing
    words: tuple[str, ...] = ()
    fault_name: str = ""
    settings: str = ""
    general: str = ""
    full: bool = False
    large: int = 1
    leaves_upload: bool = False
    remembered: bool = False

    @property
    def title(self) -> str:
        """For the test's name."""
        return f"{self.stage}, {self.fault} ({self.where}{', FULL' if self.full else ''})"
