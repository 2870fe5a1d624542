"""Commands: any program whose output is worth keeping, for which there is no kind of its own."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from s3napback.chains import Memory
from s3napback.config.settings import Job
from s3napback.deciding.facts import Footing, Untold
from s3napback.environment import Family, User, user_called
from s3napback.errors import ChangeableByOthers, PipelineError, SourceError
from s3napback.formatting import counted, readable, shown
from s3napback.logs import logger_for
from s3napback.ownership import require_own
from s3napback.records import dataclass
from s3napback.rotation import ArchiveType
from s3napback.sources import Dump
from s3napback.sources.programs import why_no_program
from s3napback.streams.processes import Stage
from s3napback.streams.transformations import Block, Transformation

_MOST_LINES = 200
"""Lines that a command can write into the log; one that goes on for ever must not fill the disk."""

_PLACE = "/"
"""Where commands are started: a folder that is always there, and that nobody else can put a file into."""

_UMASK = 0o077


class OutputLog:
    """Brings into the log what a command says, as it says it. Fulfils ``Review``, and excuses nothing."""

    complaint = ""
    warnings: list[str] = []  # noqa: RUF012 - part of the protocol, and always empty
    asides: None = None

    def __init__(self, job: Job) -> None:
        self._job = job
        self._log = logger_for(job.kind)
        self._count = 0

    def read(self, line: bytes) -> None:
        """See ``Review``."""
        # Such a line is reported as a warning of the archive's.
        if b"warning:" in line.lower() or not line.strip():
            return
        self._count += 1
        if self._count <= _MOST_LINES:
            self._log.info("%s: %s", self._job.source, readable(line))
        elif self._count == _MOST_LINES + 1:
            self._log.info("%s says more; -d shows everything", self._job.source)

    def excuses(self, status: int) -> bool:  # noqa: ARG002 - none is good
        """See ``Review``."""
        return False


def run_as(name: str) -> User | None:
    """Whose rights a program has by RunAs; None are ours.

    Args:
        name: as the configuration has it; empty is nobody else.

    Raises:
        SourceError: the user does not exist, or is not for us to become.
    """
    if not name:
        return None
    try:
        user = user_called(name)
    except KeyError:
        raise SourceError(f"there is no user {shown(name)}, whom RunAs names") from None
    if user.uid == os.geteuid():
        return None
    if os.geteuid():
        raise SourceError(f"only root can run a program with the rights of {user} (RunAs)")
    return user


def at_least(least: int, source: str) -> Transformation:
    """Passes a stream on, and fails at its end if it was shorter than ``least`` bytes.

    Args:
        source: as the message calls it.
    """

    def passed(blocks: Iterator[memoryview]) -> Iterator[Block]:
        count = 0
        for block in blocks:
            count += len(block)
            yield block
        # That there was nothing at all is said, with the program's own words, by those who wait for its end.
        if 0 < count < least:
            raise PipelineError(f"{source} wrote {counted(count, 'byte')}, and LeastBytes is {least}: is it whole?")

    return Transformation("the count of bytes", passed)


@dataclass(frozen=True)
class CommandSource:
    """A program, run every time; its exit status tells whether its output is good.

    Attributes:
        job: the configured source. Run, RunAs, Environment and LeastBytes are used.
    """

    job: Job

    def check(self, *, had_content: bool, remembered: Mapping[str, str]) -> Sequence[str]:  # noqa: ARG002
        """See ``Source``."""
        user = self._user()
        settings = self.job.settings
        program = shutil.which(settings.run[0], path=self._search_path())
        if program is None:
            raise SourceError(f"{self.job.source}: {why_no_program(settings.run[0])}")
        if user is None:
            self._require_own(program)
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
        return Dump(self._stage(self._user()), guard=at_least(self.job.settings.least_bytes, str(self.job.source)))

    def plan(self, archive_type: ArchiveType, folder: Path, memory: Memory | None = None) -> Stage:  # noqa: ARG002
        """See ``Source``."""
        user = None
        with suppress(SourceError):
            user = self._user()
        return self._stage(user)

    def flaw(self, head: bytes, tail: bytes) -> str:  # noqa: ARG002 - it may be anything
        """See ``Source``."""
        return ""

    def _stage(self, user: User | None) -> Stage:
        settings = self.job.settings
        return Stage(
            settings.run,
            environment=dict(settings.environment),
            family=Family.PLAIN,
            user=user,
            directory=_PLACE,
            review=OutputLog(self.job),
            umask=_UMASK,
        )

    def _user(self) -> User | None:
        try:
            return run_as(self.job.settings.run_as)
        except SourceError as error:
            raise SourceError(f"{self.job.source}: {error}") from error

    def _search_path(self) -> str:
        return dict(self.job.settings.environment).get("PATH", os.environ.get("PATH", os.defpath))

    def _require_own(self, program: str) -> None:
        """Refuse a program that others could have changed, as it would have our rights."""
        try:
            require_own(Path(program))
        except ChangeableByOthers as error:
            raise SourceError(f"{self.job.source}: {error}; or run it with another user's rights (RunAs)") from error
        except OSError as error:
            raise SourceError(f"{self.job.source}: {program} cannot be looked at: {error.strerror}") from error
