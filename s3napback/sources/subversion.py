"""Subversion repositories, by svnadmin: full dumps, and dumps of the revisions that are new."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path

from s3napback.chains import Memory
from s3napback.config.settings import Job
from s3napback.deciding.facts import Footing, Revisions, Untold
from s3napback.deciding.fulls import REVISION_NOTES, why_not_from
from s3napback.environment import Family
from s3napback.errors import SourceError
from s3napback.kinds import SUBVERSION
from s3napback.records import dataclass
from s3napback.rotation import ArchiveType
from s3napback.sources import Dump, NothingNew
from s3napback.sources.holding_up import require_answer_of
from s3napback.sources.live_tree import identity
from s3napback.sources.programs import answer_of, find_program
from s3napback.sources.repository_access import Access, repository_access
from s3napback.sources.repository_history import files_sum, instance_of
from s3napback.streams.processes import Stage

_DUMPER = "svnadmin"
_LOOKER = "svnlook"
_PACKAGE = "subversion"

_UNDATED_REVISIONS = 20
"""So many revisions are looked at for one that has a date."""


def dump_command(repository: str, first: int, last: int | str) -> tuple[str, ...]:
    """The argument list that writes a range of revisions to standard output.

    Args:
        repository: a path.
        first: 0 for a dump that stands by itself, the revision after the parent's last one for a DIFF.
        last: a revision, or ``HEAD``.
    """
    return (_DUMPER, "dump", "--quiet", f"--revision={first}:{last}", "--incremental", "--deltas", repository)


@dataclass(frozen=True)
class SubversionSource:
    """One repository.

    A DIFF holds the revisions after the parent's last one. What it builds on is known by the repository's UUID and by
    the time of that revision, which tells a repository that was put back to an older copy, and went on from there,
    from the one that was archived. One whose history was changed may have both in common with it: see
    ``repository_history``.

    Attributes:
        job: the configured source, or one that a SubversionDir was found to hold.
    """

    job: Job

    def check(self, *, had_content: bool, remembered: Mapping[str, str]) -> Sequence[str]:  # noqa: ARG002
        """See ``Source``."""
        require_answer_of(self.job)
        find_program((_DUMPER,), _PACKAGE)
        if self._youngest() == 0 and had_content:
            raise SourceError(
                f"{self.job.source} has no revision, but had some when it was backed up last. Was it made anew? "
                "If that is meant, run once with -f"
            )
        path = self.job.target
        if os.path.islink(path):  # noqa: PTH114 - Path would not keep a name with two slashes as it is
            return [f"{self.job.source} is a symbolic link; what is dumped is {os.path.realpath(path)}"]
        return []

    def has_content(self) -> bool:
        """See ``Source``."""
        return self._youngest() > 0

    def content(self) -> Mapping[str, object]:
        """See ``Source``."""
        return {}

    def footing(self, memory: Memory, folder: Path) -> Footing:  # noqa: ARG002 - a repository has no snapshot
        """See ``Source``."""
        # What cannot be looked at is no reason for a FULL: ``check`` and ``dump`` report it.
        with suppress(SourceError):
            return self._revisions(memory.notes, self._youngest())
        return Untold()

    def dump(self, archive_type: ArchiveType, memory: Memory | None, folder: Path) -> Dump:  # noqa: ARG002
        """See ``Source``."""
        begun = identity(self.job.target)
        # Read once: revisions committed from now on belong to the next archive.
        youngest = self._youngest()
        first = 0
        if archive_type is ArchiveType.DIFF and memory is not None:
            if why := why_not_from(self._revisions(memory.notes, youngest), memory, time.time()):
                raise SourceError(f"{self.job.source} changed while it was looked at: {why}")
            first = _first_new(memory, youngest)
        uuid = self._uuid()
        return Dump(
            replace(self._stage(self._access, first, youngest), judge=partial(self._exchanged, begun)),
            notes={
                "uuid": uuid,
                "revision": str(youngest),
                "mark": self._mark(youngest),
                "instance": instance_of(self._access, self._patience),
                "files": files_sum(self.job.target, youngest),
            },
            metadata={"uuid": uuid, "revisions": f"{first}:{youngest}"},
        )

    def plan(self, archive_type: ArchiveType, folder: Path, memory: Memory | None = None) -> Stage:  # noqa: ARG002
        """See ``Source``."""
        youngest: int | str = "HEAD"
        with suppress(SourceError):
            youngest = self._youngest()
        first = _first_new(memory, youngest) if archive_type is ArchiveType.DIFF and memory is not None else 0
        # What must not be read has a plan all the same.
        access = Access(None, None, self.job.target)
        with suppress(SourceError, OSError):
            access = self._access
        return self._stage(access, first, youngest)

    def _exchanged(self, begun: object, _said: Sequence[str]) -> str:
        """See ``Stage.judge``; ``begun`` is the identity of what was there at first."""
        # svnadmin opens each revision by its path.
        if identity(self.job.target) != begun:
            return f"{self.job.target} was replaced, moved or unmounted while {_DUMPER} read it"
        return ""

    def flaw(self, head: bytes, tail: bytes) -> str:
        """See ``Source``."""
        ((beginning, end),) = SUBVERSION.marks
        if not head.startswith(beginning):
            return f"what {_DUMPER} wrote is not a dump"
        if not tail.endswith(end):
            return f"{_DUMPER} ended as if all were well, but the dump of {self.job.target} is cut off"
        return ""

    @property
    def _patience(self) -> float | None:
        return self.job.settings.stall_timeout or None

    @cached_property
    def _access(self) -> Access:
        return repository_access(self.job.target, os.geteuid())

    def _stage(self, access: Access, first: int, youngest: int | str) -> Stage:
        return Stage(
            dump_command(access.name, first, youngest),
            family=Family.SUBVERSION,
            user=access.user,
            directory=access.directory,
        )

    def _revisions(self, notes: Mapping[str, str], youngest: int) -> Revisions:
        if not notes.keys() >= REVISION_NOTES:
            return Revisions(youngest)
        revision, uuid = int(notes["revision"]), self._uuid()
        # Of another repository, or one without that revision, there is nothing to be compared.
        is_there = uuid == notes["uuid"] and revision <= youngest
        return Revisions(
            youngest,
            uuid,
            self._mark(revision) if is_there else "",
            is_other=is_there and self._is_other(notes, revision),
        )

    def _is_other(self, notes: Mapping[str, str], revision: int) -> bool:
        """Whether what was archived is not what is there under the same UUID."""
        # Chains that an earlier version began do not tell.
        if not notes.keys() >= {"instance", "files"}:
            return False
        if instance_of(self._access, self._patience) == notes["instance"]:
            return False
        return files_sum(self.job.target, revision) != notes["files"]

    def _youngest(self) -> int:
        path = self.job.target
        try:
            os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            raise SourceError(f"{self.job.source} does not exist") from None
        except OSError as error:
            raise SourceError(f"{self.job.source} cannot be looked at: {error.strerror}") from error
        answer = self._ask("youngest")
        if not answer.isdecimal():
            raise SourceError(f"{self.job.source}: {_LOOKER} gave {answer!r} as its youngest revision")
        return int(answer)

    def _uuid(self) -> str:
        return self._ask("uuid")

    def _mark(self, revision: int) -> str:
        """What tells a revision from another of the same number: it, or the first dated one before it, with its time.

        Revisions without a date are rare, and come from filtered or converted histories.
        """
        for candidate in range(revision, max(revision - _UNDATED_REVISIONS, -1), -1):
            options = ("--revprop", f"--revision={candidate}")
            if "svn:date" in self._ask("proplist", options=options).split():
                return f"{candidate} {self._ask('propget', 'svn:date', options=options)}"
        return ""

    def _ask(self, question: str, *arguments: str, options: Sequence[str] = ()) -> str:
        find_program((_LOOKER,), _PACKAGE)
        access = self._access
        try:
            return answer_of(
                (_LOOKER, question, *options, access.name, *arguments),
                family=Family.SUBVERSION,
                user=access.user,
                directory=access.directory,
                timeout=self._patience,
            )
        except SourceError as error:
            reader = f" as {access.user}, {access.reason}" if access.user else ""
            raise SourceError(f"{self.job.source} cannot be read{reader}: {error}") from error


def _first_new(memory: Memory, youngest: int | str) -> int:
    """The revision after the last one that is archived.

    Raises:
        NothingNew: there is none.
    """
    archived = int(memory.notes["revision"])
    if archived == youngest:
        raise NothingNew(f"nothing new since revision {archived}")
    return archived + 1
