"""The proof of a database's dump: it is loaded into a server of its own, and what is there then is held against it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import field
from typing import Protocol

from s3napback.archives import Counted
from s3napback.catalogue.contents import CataloguedArchive
from s3napback.catalogue.sums import SumNote
from s3napback.drilling.complaints import in_short
from s3napback.drilling.throwaway import NotTried
from s3napback.errors import PipelineError, S3napbackError
from s3napback.formatting import counted, printable
from s3napback.records import dataclass
from s3napback.recovery.databases import dump_beginnings, dump_check, dump_ends
from s3napback.recovery.opening.decoder import Decoder
from s3napback.recovery.opening.failures import Damaged
from s3napback.sources.dump_command import Inventory, Table
from s3napback.sources.dump_command import counted as counted_in
from s3napback.streams.receiving import Receiver, ReceiverFailed
from s3napback.streams.transformations import Block, Transformation

_HEAD = 1 << 17  # bytes in which a dump has said by which program of which version it was made
_NAMED = 10  # of what is missing, in a message


@dataclass(frozen=True)
class Loaded:
    """What a server holds once a dump was loaded.

    Attributes:
        names: of tables and the like, as the inventory of a dump calls them.
        counts: of what has no names here.
        rows: of each table.
        flaws: what does not work there although it was loaded, one line each.
        needs: what must be there before where it is loaded next, one line each.
        remarks: what else should be known.
    """

    names: frozenset[str]
    counts: Mapping[str, int]
    rows: Mapping[Table, int]
    flaws: Sequence[str] = ()
    needs: Sequence[str] = ()
    remarks: Sequence[str] = ()


class Trial(Protocol):
    """A server for one dump."""

    def knows(self, head: bytes) -> bool:
        """Whether a dump's first bytes tell all that has to be known to choose a server."""
        ...

    def serve(self, head: bytes) -> AbstractContextManager[Receiver]:
        """Run the server, and a client that is given the dump.

        Raises:
            NotTried: there is none for this dump.
        """
        ...

    def obstacle(self, failure: ReceiverFailed | None) -> Sequence[str]:
        """Why the dump could not be tried here, whatever it is, as the lines of a message; empty if it was tried.

        Args:
            failure: of the client; None if it ended well.
        """
        ...

    def flaws(self) -> Sequence[str]:
        """What the client said that is wrong with the dump, one line each."""
        ...

    def loaded(self, inventory: Inventory) -> Loaded:
        """What the server holds now.

        Raises:
            PipelineError: it cannot be asked.
        """
        ...

    def inventory(self) -> Inventory:
        """What is to follow the dump."""
        ...


@dataclass
class _Loader:
    """Gives a dump to a server that is chosen by how the dump begins."""

    trial: Trial
    stack: ExitStack
    _head: bytearray = field(default_factory=bytearray)
    _client: Receiver | None = None

    def write(self, block: Block) -> None:
        if self._client is not None:
            self._client.write(block)
            return
        self._head += block
        if len(self._head) >= _HEAD or self.trial.knows(bytes(self._head)):
            self._begin()

    def finish(self) -> None:
        self._begin().finish()

    def _begin(self) -> Receiver:
        if self._client is None:
            self._client = self.stack.enter_context(self.trial.serve(bytes(self._head)))
            self._client.write(bytes(self._head))
            self._head.clear()
        return self._client


def prove_dump(decoder: Decoder, archive: CataloguedArchive, kind: str, trial: Trial, note: SumNote | None) -> Loaded:
    """Load a dump, and hold what is there then against what the dump says, and that against what was noted of it.

    Args:
        kind: of the source.
        trial: where.
        note: what was noted when the dump was made; None if that is not known.

    Raises:
        Damaged: it does not load, or is not what it was.
        S3napbackError: it cannot be read, or not be tried here.
    """
    address = decoder.transport.address(archive)
    with ExitStack() as stack:
        inventory, loader = trial.inventory(), _Loader(trial, stack)
        look = Transformation("the look at what the dump holds", inventory.passed)
        check = dump_check(dump_ends(kind), dump_beginnings(kind))
        try:
            decoder.run(archive, check, look, write=loader.write, use="loaded")
            loader.finish()
        except ReceiverFailed as error:
            _require_tried(trial, error)
            words = trial.flaws()
            what = ("the client said:", *in_short(words)) if words else error.lines
            raise Damaged(*S3napbackError(*what).under(f"{address} was decoded, but does not load")) from error
        _require_tried(trial)
        try:
            loaded = trial.loaded(inventory)
        except PipelineError as error:
            _require_tried(trial)
            raise NotTried(*error.under(f"{address} was loaded, and the server cannot be asked for it")) from error
    problems = [*_differences(counted_in(inventory), note), *_lacking(inventory, loaded), *loaded.flaws]
    if problems:
        raise Damaged(f"{address} was loaded, but is not what it should be:", *(f"  {each}" for each in problems))
    return loaded


def _require_tried(trial: Trial, failure: ReceiverFailed | None = None) -> None:
    """Raise ``NotTried`` where something on this machine has kept a dump from being tried."""
    if obstacle := trial.obstacle(failure):
        raise NotTried(*obstacle) from failure


def _differences(found: Counted, note: SumNote | None) -> Iterator[str]:
    """How a dump differs from what was noted when it was made."""
    if note is None or not note.counted.structure:
        return
    if note.counted.structure != found.structure:
        yield "what is defined in it is not what was noted when it was made"
    for table, rows in note.counted.rows.items():
        if found.rows.get(table, 0) != rows:
            yield f"the table {_called(table)} has {found.rows.get(table, 0)} rows, and had {rows} when it was made"
    others = [count for table, count in found.rows.items() if table not in note.counted.rows]
    if (len(others), sum(others)) != note.more_rows:
        yield (
            f"{counted(len(others), 'further table')} have {counted(sum(others), 'row')}, and {note.more_rows[0]} had "
            f"{note.more_rows[1]} when it was made"
        )


def _lacking(inventory: Inventory, loaded: Loaded) -> Iterator[str]:
    """What of a dump is not there although it was loaded."""
    missing = sorted(set(inventory.names) - loaded.names)
    if missing:
        more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
        yield f"what it defines is not there: {', '.join(map(printable, missing[:_NAMED]))}{more}"
    for what, count in inventory.counts.items():
        if loaded.counts.get(what, 0) < count:
            yield f"it defines {count} {what}, and {loaded.counts.get(what, 0)} are there"
    for table, rows in loaded.rows.items():
        if table not in inventory.uncounted and inventory.rows.get(table, 0) != rows:
            yield f"the table {_called(table)} has {rows} rows now, and {inventory.rows.get(table, 0)} are in the dump"


def _called(table: Table) -> str:
    return printable(".".join(table))
