"""Sources that one command dumps whole: databases. There is nothing to look at before, and nothing to remember."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from s3napback.chains import Memory
from s3napback.config.settings import Job
from s3napback.deciding.facts import Footing, Untold
from s3napback.kinds import kind_of
from s3napback.rotation import ArchiveType
from s3napback.sources import Dump
from s3napback.sources.programs import find_program
from s3napback.streams.environment import Family
from s3napback.streams.processes import Stage

CommandBuilder = Callable[[str, Job], tuple[str, ...]]
"""From a program's name and a job to the argument list that dumps it to standard output. Pure."""


@dataclass(frozen=True)
class DumpCommandSource:
    """A source that is dumped whole every time.

    Whether it exists and may be read is left to the dump itself: only that answers for all of it, and the message is
    the tool's own.

    Attributes:
        job: the configured source.
        build: makes the argument list.
        programs: names under which the tool may be installed, the preferred one first.
        package: the Debian package that brings it.
        family: what kind of program it is, which decides on what it gets of our environment.
    """

    job: Job
    build: CommandBuilder
    programs: Sequence[str]
    package: str
    family: Family

    def check(self, *, had_content: bool) -> Sequence[str]:  # noqa: ARG002 - only the dump tells
        """See ``Source``."""
        find_program(self.programs, self.package)
        return []

    def has_content(self) -> bool:
        """See ``Source``."""
        return True

    def content(self) -> Mapping[str, object]:
        """See ``Source``."""
        return {}

    def footing(self, memory: Memory, folder: Path) -> Footing:  # noqa: ARG002 - there are no DIFFs
        """See ``Source``."""
        return Untold()

    def dump(self, archive_type: ArchiveType, memory: Memory | None, folder: Path) -> Dump:  # noqa: ARG002
        """See ``Source``."""
        return Dump(self._stage(find_program(self.programs, self.package)))

    def plan(self, archive_type: ArchiveType, folder: Path, memory: Memory | None = None) -> Stage:  # noqa: ARG002
        """See ``Source``."""
        return self._stage(self._program())

    def flaw(self, head: bytes, tail: bytes) -> str:
        """See ``Source``. A dump that is announced by a comment is ended by one, in every version of the programs."""
        for beginning, end in kind_of(self.job.kind).marks:
            if beginning in head and end not in tail:
                return f"{self._program()} ended as if all were well, but the dump of {self.job.source} is cut off"
        return ""

    def _program(self) -> str:
        return next(filter(shutil.which, self.programs), self.programs[0])

    def _stage(self, program: str) -> Stage:
        return Stage(self.build(program, self.job), family=self.family)
