"""SQLite databases, copied while they are in use and checked before they count."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import field
from pathlib import Path

from s3napback.chains import Memory
from s3napback.config.settings import Job
from s3napback.deciding.facts import Footing, Untold
from s3napback.environment import Family
from s3napback.errors import PipelineError, SourceError
from s3napback.records import dataclass
from s3napback.rotation import ArchiveType
from s3napback.sources import Dump
from s3napback.sources.holding_up import require_answer_of
from s3napback.sources.sqlite_access import DatabaseLocation, first_bytes, reached
from s3napback.streams.processes import Stage
from s3napback.streams.transformations import Block, Transformation

# SQLite's "Database File Format", 1.3 and 1.6
_MAGIC = b"SQLite format 3\0"
_PAGE_SIZE = slice(16, 18)
_CHANGES, _CHANGES_OF_COUNT = slice(24, 28), slice(92, 96)
_PAGE_COUNT = slice(28, 32)
_TYPE_OF_FIRST_PAGE = slice(100, 101)
_LEAF = b"\x0d"
_CELLS = slice(103, 105)
_HEAD = 108
_LARGEST_PAGE = 65536

_MODULE = "s3napback.sources.sqlite_copy"


def copy_command(path: str, temp_dir: str, patience: int) -> tuple[str, ...]:
    """The argument list that writes a checked copy of a database to standard output.

    Args:
        path: absolute.
        temp_dir: where the copy is kept meanwhile.
        patience: seconds for which a lock is waited for; 0 is for ever.
    """
    return (sys.executable, "-I", "-m", _MODULE, f"--temp-dir={temp_dir}", f"--patience={patience}", path)


def check_stage() -> Stage:
    """The process that passes a database on, from standard input, once it has found it whole."""
    return Stage((sys.executable, "-I", "-m", _MODULE), title="the check of the database", may_pause=True)


def whole(path: str) -> Transformation:
    """Passes a database on, and fails at its end if it is shorter or longer than it says of itself."""

    def passed(blocks: Iterator[memoryview]) -> Iterator[Block]:
        head, count = b"", 0
        for block in blocks:
            if len(head) < _HEAD:
                head += bytes(block[:_HEAD])
            count += len(block)
            yield block
        size = _size(head)
        if count and size not in (None, count):
            raise PipelineError(f"the copy of {path} is cut off: it has {count} bytes, and should have {size}")

    return Transformation("the look at the database's length", passed)


@dataclass
class SQLiteSource:
    """One database.

    Attributes:
        job: the configured source, or one that a pattern was found to match.
        temp_dir: where its copy is kept until it is read.
    """

    job: Job
    temp_dir: str
    _held_tables: bool = field(default=False, init=False)

    def check(self, *, had_content: bool, remembered: Mapping[str, str]) -> Sequence[str]:  # noqa: ARG002
        """See ``Source``."""
        require_answer_of(self.job)
        self._held_tables = had_content
        path = self.job.target
        with self._reached() as (place, head):
            if not place.status.st_size:
                raise SourceError(
                    f"{self.job.source} is an empty file: nothing was ever written to this database, or it was lost"
                )
            if not head.startswith(_MAGIC):
                raise SourceError(
                    f"{self.job.source} is encrypted, or no SQLite database. Let the program that an encrypted one "
                    "belongs to export it, in a <Command> of its own"
                )
            if place.path != path:
                return [f"{self.job.source} is reached by a symbolic link; what is copied is {place.path}"]
        return []

    def has_content(self) -> bool:
        """See ``Source``."""
        with self._reached() as (place, head):
            if _has_tables(head):
                return True
            # What was written last may still stand in the log alone.
            with suppress(OSError):
                return os.lstat(f"{place.name}-wal", dir_fd=place.folder).st_size > 0
        return False

    def content(self) -> Mapping[str, object]:
        """See ``Source``."""
        return {}

    def footing(self, memory: Memory, folder: Path) -> Footing:  # noqa: ARG002 - there are no DIFFs
        """See ``Source``."""
        return Untold()

    def dump(self, archive_type: ArchiveType, memory: Memory | None, folder: Path) -> Dump:
        """See ``Source``."""
        return Dump(self.plan(archive_type, folder, memory), guard=whole(self.job.target))

    def plan(self, archive_type: ArchiveType, folder: Path, memory: Memory | None = None) -> Stage:  # noqa: ARG002
        """See ``Source``."""
        command = copy_command(self.job.target, self.temp_dir, self.job.settings.stall_timeout)
        return Stage(command, family=Family.PLAIN, title="the copying of the database", may_pause=True)

    def flaw(self, head: bytes, tail: bytes) -> str:  # noqa: ARG002 - its end tells nothing
        """See ``Source``."""
        if not head.startswith(_MAGIC):
            return f"the copy of {self.job.target} is no database"
        if self._held_tables and not _has_tables(head):
            return (
                f"{self.job.source} holds no table, but held some when it was backed up last. If that is meant, run "
                "once with -f"
            )
        return ""

    @contextmanager
    def _reached(self) -> Iterator[tuple[DatabaseLocation, bytes]]:
        try:
            with reached(self.job.target, os.geteuid()) as place:
                yield place, first_bytes(place, _HEAD)
        except OSError as error:
            raise SourceError(f"{self.job.source} cannot be read: {error.strerror}") from error


def _has_tables(head: bytes) -> bool:
    """Whether the first page of a database, where its schema begins, holds any."""
    return head[_TYPE_OF_FIRST_PAGE] != _LEAF or any(head[_CELLS])


def _size(head: bytes) -> int | None:
    """How many bytes a database has by its own account; None if it gives none that counts."""
    if len(head) < _HEAD or head[_CHANGES] != head[_CHANGES_OF_COUNT]:
        return None
    page = int.from_bytes(head[_PAGE_SIZE], "big")
    return (_LARGEST_PAGE if page == 1 else page) * int.from_bytes(head[_PAGE_COUNT], "big")
