"""What can be backed up: the interface that every kind of source implements."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from s3napback.archives import NOTHING_COUNTED, NOTHING_UNREAD, Counted, Unread
from s3napback.records import dataclass
from s3napback.streams.transformations import UNCHANGED, Transformation

if TYPE_CHECKING:
    # A restore looks into what lies here, too, and needs nothing of all this.
    from s3napback.chains import Memory
    from s3napback.config.settings import Job
    from s3napback.deciding.facts import Footing
    from s3napback.index.lines import Lines
    from s3napback.rotation import ArchiveType
    from s3napback.streams.processes import Stage


@dataclass(frozen=True)
class Conclusion:
    """What was learnt of a dump by its end.

    Attributes:
        warnings: one line each.
        unread: what the archive lacks of the source.
        counted: what was found in it.
        notes: see ``Dump``; in place of those of the same names.
    """

    warnings: Sequence[str] = ()
    unread: Unread = NOTHING_UNREAD
    counted: Counted = NOTHING_COUNTED
    notes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Dump:
    """How one archive's content is produced.

    Attributes:
        stage: the process whose output is the content.
        snapshot: a file that the process leaves behind and a later DIFF needs; None if there is none.
        notes: what else a later DIFF needs.
        metadata: what the archive says of itself beyond the common part, names in lower case.
        guard: passes the content on without what does not belong in it.
        conclude: to be called when the archive has arrived, before the snapshot is kept: completes it by what was
            learnt meanwhile, and tells it. Raises SourceError.
        index: another such file, made by ``guard``; it may have been given up, and not be there at the end.
        listing: tells, when the archive has arrived, what is in it; None if ``guard`` does not follow it.
        again: prepares it in another way, for when the process has crashed; is given an empty folder like ``dump``.
            None if there is no other way.
    """

    stage: Stage
    snapshot: Path | None = None
    notes: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    guard: Transformation = UNCHANGED
    conclude: Callable[[], Conclusion] = Conclusion
    index: Path | None = None
    listing: Callable[[], Lines | None] | None = None
    again: Callable[[Path], Dump] | None = None


class NothingNew(Exception):
    """A DIFF would hold nothing, and this kind of source does not store such DIFFs. The message says so."""


class Source(Protocol):
    """One thing to be backed up.

    Everything but ``dump`` only looks; ``dump`` may write in the folder it is given.
    """

    def check(self, *, had_content: bool, remembered: Mapping[str, str]) -> Sequence[str]:
        """Look whether the source can be backed up.

        Args:
            had_content: it held something when it was backed up last, so that finding it empty is suspicious.
            remembered: the notes of the archive that was made last; empty if nothing is to look suspicious.

        Returns:
            What should be said about it, one line each; as ``Alarm`` what is a warning.

        Raises:
            SourceError: it does not exist, cannot be read, or is suddenly empty.
            SourceSilent: it does not answer; then nothing else may be asked of it.
        """
        ...

    def has_content(self) -> bool:
        """Whether it holds anything now.

        Raises:
            SourceError: it does not exist, or cannot be read.
        """
        ...

    def content(self) -> Mapping[str, object]:
        """The settings that shape what an archive holds, by name, as JSON can keep them.

        A DIFF is not made on an archive that was shaped by others.
        """
        ...

    def footing(self, memory: Memory, folder: Path) -> Footing:
        """Look at that on which a DIFF would build. What it means, ``deciding.fulls`` tells.

        Args:
            memory: what is remembered of the parent.
            folder: where the snapshot named in ``memory`` lies.
        """
        ...

    def dump(self, archive_type: ArchiveType, memory: Memory | None, folder: Path) -> Dump:
        """Prepare a dump.

        Args:
            archive_type: FULL or DIFF.
            memory: of the parent, for a DIFF.
            folder: a private folder; a snapshot may be made there, under the name ``WORKING``.

        Raises:
            SourceError: it cannot be prepared.
            NothingNew: nothing changed since the parent.
        """
        ...

    def plan(self, archive_type: ArchiveType, folder: Path, memory: Memory | None = None) -> Stage:
        """The process that ``dump`` would start, changing nothing. A source that is not there has a plan as well.

        Raises:
            NothingNew: ``dump`` would raise it.
        """
        ...

    def flaw(self, head: bytes, tail: bytes) -> str:
        """What is wrong with a dump that ended well; empty if nothing is.

        Args:
            head: its first 512 bytes, or all of it.
            tail: its last 1,024 bytes, or all of it.
        """
        ...


@dataclass(frozen=True)
class Expansion:
    """What a source that stands for several was found to hold.

    Attributes:
        jobs: one for each.
        remarks: what should be said, each with its level of ``logging``: a warning counts as one of the run's, an
            error as a source that failed.
    """

    jobs: Sequence[Job] = ()
    remarks: Sequence[tuple[int, str]] = ()


WORKING = "working.snapshot"
"""Name of the snapshot that a running backup writes; it is never committed under this name."""

WORKING_INDEX = "working.index"
"""The same of the index."""

WORKING_LINES = "working.lines"
"""The same of the lines that tell what an archive holds."""
