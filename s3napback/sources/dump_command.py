"""Sources that one command dumps whole: databases. What the server says that it holds is held against the dump."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import field
from pathlib import Path
from typing import Protocol

from s3napback.archives import Counted
from s3napback.chains import Memory
from s3napback.config.settings import Job
from s3napback.deciding.facts import Alarm, Footing, Untold
from s3napback.environment import Family
from s3napback.errors import SourceError
from s3napback.formatting import printable
from s3napback.kinds import kind_of
from s3napback.records import dataclass
from s3napback.rotation import ArchiveType
from s3napback.sources import Conclusion, Dump
from s3napback.streams.processes import Stage
from s3napback.streams.transformations import Block, Transformation

Table = tuple[str, ...]
"""A table's name, behind those of its schema, where there are any, and of its database, where there are several."""

_NAMED = 5  # of the things that are missing, in a message


@dataclass(frozen=True)
class ServerReport:
    """What a server said when it was asked.

    Attributes:
        command: the argument list that dumps it to standard output, by the program that belongs to the server.
        is_empty: nobody has put a table into it.
        names: what the dump must hold, as messages call it.
        counts: of what else the dump must hold, how much there is, by what messages call it.
        remarks: what should be warned of, one line each.
        preamble: what is put before the dump, because the program leaves it out; lines of SQL or remarks.
        files: of each table, in which file its rows were, or since when; empty where that does not matter.
    """

    command: tuple[str, ...]
    is_empty: bool = False
    names: frozenset[str] = frozenset()
    counts: Mapping[str, int] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    preamble: bytes = b""
    files: Mapping[Table, str] = field(default_factory=dict)

    def lacking(self, found: Inventory) -> list[str]:
        """What a dump does not hold."""
        missing = sorted(self.names - found.names)
        fewer = [
            f"{wanted - found.counts.get(what, 0)} of {wanted} {what}"
            for what, wanted in self.counts.items()
            if found.counts.get(what, 0) < wanted
        ]
        return missing + fewer


class Inventory(Protocol):
    """Follows a dump, and remembers what it holds, in the words of ``ServerReport``."""

    @property
    def names(self) -> set[str]:
        """So far."""
        ...

    @property
    def counts(self) -> Mapping[str, int]:
        """So far."""
        ...

    @property
    def rows(self) -> Mapping[Table, int]:
        """Of each table so far; see ``Counted``."""
        ...

    @property
    def uncounted(self) -> Set[Table]:
        """Tables so far whose rows are in the dump, but in a form in which they are not counted."""
        ...

    @property
    def without_rows(self) -> Set[Table]:
        """Tables so far that are in the dump without any row, and not because they were left out."""
        ...

    @property
    def turns(self) -> Mapping[Table, tuple[float, float]]:
        """Of tables so far, when the dump began and when their turn came, by this machine's clock.

        It is not known where a dump takes all tables at its beginning.
        """
        ...

    def passed(self, blocks: Iterator[memoryview]) -> Iterator[Block]:
        """Pass the dump on."""
        ...


def counted(found: Inventory) -> Counted:
    """What is noted of a dump, when it has passed."""
    words = [*sorted(found.names), *(f"{count} {what}" for what, count in sorted(found.counts.items()))]
    text = "\n".join(words).encode(errors="surrogateescape")
    return Counted(dict(found.rows), hashlib.sha256(text).hexdigest())


class Server(Protocol):
    """The server of one database, or of all; asked by its own client, which is told what the dump program is told."""

    def look(self) -> ServerReport:
        """Ask it.

        Raises:
            SourceError: it gives no answer, its dump would lack something, or settings would spoil the dump.
        """
        ...

    def guess(self) -> tuple[str, ...]:
        """The command that ``look`` would probably find, without asking anybody."""
        ...

    def inventory(self) -> Inventory:
        """What is to follow one dump."""
        ...

    def replaced(self, files: Mapping[Table, str], found: Inventory) -> str:
        """What is to be said of a dump if rows were replaced while it was made; empty if it is right.

        Args:
            files: in which file the rows of each table were before.
            found: what is in the dump.

        Raises:
            SourceError: it gives no answer.
        """
        ...


@dataclass(frozen=True)
class DumpCommandSource:
    """A source that is dumped whole every time.

    Attributes:
        job: the configured source.
        server: where it is.
        family: what kind of program it is, which decides on what it gets of our environment.
    """

    job: Job
    server: Server
    family: Family
    _looks: list[ServerReport] = field(default_factory=list, init=False, repr=False, compare=False)
    _inventories: list[Inventory] = field(default_factory=list, init=False, repr=False, compare=False)

    def check(self, *, had_content: bool, remembered: Mapping[str, str]) -> Sequence[str]:  # noqa: ARG002
        """See ``Source``."""
        held = self._held()
        if held.is_empty and had_content:
            raise SourceError(
                f"{self.job.source} holds no table, but did when it was backed up last. If that is meant, run once "
                "with -f"
            )
        return [Alarm(f"{self.job.source}: {remark}") for remark in held.remarks]

    def has_content(self) -> bool:
        """See ``Source``."""
        return not self._held().is_empty

    def content(self) -> Mapping[str, object]:
        """See ``Source``."""
        return {}

    def footing(self, memory: Memory, folder: Path) -> Footing:  # noqa: ARG002 - there are no DIFFs
        """See ``Source``."""
        return Untold()

    def dump(self, archive_type: ArchiveType, memory: Memory | None, folder: Path) -> Dump:  # noqa: ARG002
        """See ``Source``."""
        held, inventory = self._held(), self.server.inventory()
        self._inventories[:] = [inventory]

        def complete(blocks: Iterator[memoryview]) -> Iterator[Block]:
            if held.preamble:
                yield held.preamble
            yield from inventory.passed(blocks)

        return Dump(
            self._stage(held.command),
            guard=Transformation("the look at what is dumped", complete),
            conclude=lambda: Conclusion(counted=counted(inventory)),
        )

    def plan(self, archive_type: ArchiveType, folder: Path, memory: Memory | None = None) -> Stage:  # noqa: ARG002
        """See ``Source``. A server that did not answer before is not asked again."""
        return self._stage(self._looks[-1].command if self._looks else self.server.guess())

    def flaw(self, head: bytes, tail: bytes) -> str:
        """See ``Source``."""
        program = self._stage(self._looks[-1].command).name if self._looks else self.job.kind
        marks = kind_of(self.job.kind).marks
        ends = [end for beginning, end in marks if beginning in head]
        if not ends:
            return f"what {program} wrote of {self.job.source} does not begin like a dump"
        if not any(end in tail for end in ends):
            return f"{program} ended as if all were well, but the dump of {self.job.source} is cut off"
        return self._lack(program) or self._replaced()

    def _replaced(self) -> str:
        return self.server.replaced(self._held().files, self._inventories[-1]) if self._inventories else ""

    def _lack(self, program: str) -> str:
        if not self._inventories or not self._held().lacking(found := self._inventories[-1]):
            return ""
        # Something may have been dropped meanwhile.
        held = self._held()
        lacking = set(held.lacking(found)) & set(self.server.look().lacking(found))
        if not lacking:
            return ""
        # A database, or a schema, before what is in it.
        shown = in_short(sorted(lacking, key=lambda each: (len(each), each)))
        return (
            f"{program} ended as if all were well, but the dump of {self.job.source} lacks what the server has: {shown}"
        )

    def _held(self) -> ServerReport:
        if not self._looks:
            self._looks.append(self.server.look())
        return self._looks[-1]

    def _stage(self, command: tuple[str, ...]) -> Stage:
        return Stage(command, family=self.family)


def in_short(names: Sequence[str]) -> str:
    """Some names, and how many more there are."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(map(printable, names[:_NAMED])) + more
