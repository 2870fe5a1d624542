"""What a person asks of a drill."""

from __future__ import annotations

import tempfile
from pathlib import Path

from s3napback.formatting import counted
from s3napback.records import dataclass


@dataclass(frozen=True)
class DrillRequest:
    """What the command line asks for.

    Attributes:
        source: as in the configuration; empty is every one of this host.
        at: as of when; empty is the newest.
        origin: ``--from``: a Cycle's name or a key base.
        due: only what DrillEvery asks for, the oldest proof first.
        longest: hours after which nothing more is begun; 0 is no limit.
        sample: of directories, how many files to look at; 0 is all.
        against_live: hold directories against what is there now.
        scratch: the folder to make scratch folders in; None is TempDir, or the system's.
        keep: the folder in which what was restored stays; None if it goes.
        passphrase_file: for gpg.
        original: what the original tool left, and nothing else.
        test: only say what would be proven.
    """

    source: str = ""
    at: str = ""
    origin: str = ""
    due: bool = False
    longest: float = 0.0
    sample: int = 0
    against_live: bool = False
    scratch: Path | None = None
    keep: Path | None = None
    passphrase_file: Path | None = None
    original: bool = False
    test: bool = False

    def place(self, temp_dir: Path | None) -> Path:
        """The folder to make scratch folders in.

        Args:
            temp_dir: the configuration's TempDir; on a bare machine it may be missing, and the system's is taken.
        """
        own = temp_dir if temp_dir and temp_dir.is_dir() else Path(tempfile.gettempdir())
        return (self.keep or self.scratch or own).absolute()

    def is_over(self, seconds: float) -> bool:
        """Whether nothing more is begun after so long a time."""
        return bool(self.longest) and seconds > self.longest * 3600

    def not_begun(self, count: int) -> str:
        """What is said of so many sources then."""
        return f"{counted(count, 'source')} not begun, since {self.longest:g} hours are over (--longest)"
