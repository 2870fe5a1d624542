"""Dumps of databases, as SQL: into a file that appears whole or not at all, or to standard output."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from s3napback.catalogue.contents import CataloguedArchive
from s3napback.errors import S3napbackError
from s3napback.recovery.decoding import Damaged, Decoder
from s3napback.recovery.staging import PREFIX, UnusableTarget
from s3napback.streams.pipeline import Block, Transformation

TO_STANDARD_OUTPUT = Path("-")
_ENDS = {
    "MySQL": (b"\n-- Dump completed",),
    "PostgreSQL": (b"-- PostgreSQL database dump complete", b"-- PostgreSQL database cluster dump complete"),
}
_END_SIZE = 4096
_HEAD_SIZE = 4096


class BrokenOutput(S3napbackError):
    """What reads our standard output has gone, or its disk is full."""


@dataclass(frozen=True)
class FileRestore:
    """What is wanted: an archive's content, or those of a chain one after the other.

    Attributes:
        kind: of the source; a database's dump is looked at for its end.
        where: a file that must not exist; ``-`` is standard output.
    """

    kind: str
    where: Path

    def check(self) -> None:
        """Look whether it can be begun.

        Raises:
            UnusableTarget: the file exists, or its folder does not.
        """
        if self.where == TO_STANDARD_OUTPUT:
            return
        if os.path.lexists(self.where):
            raise UnusableTarget(f"{self.where} exists: name a file that does not, or - for standard output")
        if not self.where.absolute().parent.is_dir():
            raise UnusableTarget(f"{self.where.absolute().parent} is not a folder in which a file could be made")

    def run(self, decoder: Decoder, chain: Sequence[CataloguedArchive]) -> None:
        """Restore.

        Raises:
            S3napbackError: what failed. Standard output may have got a part by then; a file is not made.
        """
        with self._opened() as write:
            for archive in chain:
                decoder.run(archive, dump_check(self.kind), write=write)

    @contextmanager
    def _opened(self) -> Iterator[Callable[[Block], None]]:
        if self.where == TO_STANDARD_OUTPUT:
            yield _write_to_standard_output
            return
        folder = self.where.absolute().parent
        try:
            descriptor, name = tempfile.mkstemp(prefix=PREFIX, dir=folder)
        except OSError as error:
            raise UnusableTarget(f"nothing can be written to {folder}: {error.strerror}") from error
        try:
            with os.fdopen(descriptor, "wb", buffering=0) as file:
                yield lambda block: _write(file.fileno(), block, str(self.where))
                os.fsync(file.fileno())
            _publish(Path(name), self.where)
        finally:
            with suppress(FileNotFoundError):
                Path(name).unlink()


def dump_check(kind: str) -> Transformation:
    """Passes a dump on, and fails where a database's dump lacks the remark that ends it."""
    return Transformation("the look at the dump's end", lambda blocks: _with_end(blocks, _ENDS.get(kind, ())))


def _with_end(blocks: Iterator[Block], ends: Sequence[bytes]) -> Iterator[Block]:
    head = tail = b""
    for block in blocks:
        if len(head) < _HEAD_SIZE:
            head += bytes(block[:_HEAD_SIZE])
        tail = (tail + bytes(block[-_END_SIZE:]))[-_END_SIZE:]
        yield block
    # Where the tool was told to leave remarks out, there is none at the beginning either.
    is_remarked = any(line.startswith(b"-- ") and b"dump" in line.lower() for line in head.splitlines())
    if ends and is_remarked and not any(end in tail for end in ends):
        raise Damaged("the remark that ends a dump is missing: the database's tool did not dump everything")


def _write_to_standard_output(block: Block) -> None:
    _write(1, block, "standard output")


def _write(descriptor: int, block: Block, name: str) -> None:
    rest = memoryview(block)
    try:
        while rest:
            rest = rest[os.write(descriptor, rest) :]
    except OSError as error:
        raise BrokenOutput(f"{name} cannot be written to: {error.strerror}") from error


def _publish(made: Path, where: Path) -> None:
    """Give the file its name, unless another one has taken it meanwhile."""
    try:
        os.link(made, where)
    except FileExistsError:
        raise UnusableTarget(f"{where} has come into being meanwhile, and was left alone") from None
    except OSError:
        # Not every file system knows hard links.
        if os.path.lexists(where):
            raise UnusableTarget(f"{where} has come into being meanwhile, and was left alone") from None
        made.rename(where)
