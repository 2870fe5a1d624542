"""What came of a run, or of a part of it. Pure."""

from __future__ import annotations

from s3napback.errors import EXIT_WARNINGS
from s3napback.records import dataclass


@dataclass(frozen=True)
class Tally:
    """What came of a run so far; parts add up in any order.

    Attributes:
        done: sources whose archive has arrived.
        skipped: sources that were not due, done already, or held nothing new.
        failed: sources without a new archive.
        warnings: lines that deserve a look.
        read: bytes that the sources gave.
        stored: bytes that went into the store.
        exit_code: the highest so far.
    """

    done: int = 0
    skipped: int = 0
    failed: int = 0
    warnings: int = 0
    read: int = 0
    stored: int = 0
    exit_code: int = 0

    def exit_code_of(self, strict: bool) -> int:
        """The exit code of a run.

        Args:
            strict: ``--strict``: what was done with warnings is no success.
        """
        return self.exit_code or (EXIT_WARNINGS if strict and self.warnings else 0)

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            done=self.done + other.done,
            skipped=self.skipped + other.skipped,
            failed=self.failed + other.failed,
            warnings=self.warnings + other.warnings,
            read=self.read + other.read,
            stored=self.stored + other.stored,
            exit_code=max(self.exit_code, other.exit_code),
        )


NOTHING = Tally()
SKIPPED = Tally(skipped=1)
FAILED = Tally(failed=1, exit_code=1)
