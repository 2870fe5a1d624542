"""What an archive holds, as one file that appears whole or not at all, or to standard output."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from s3napback.catalogue.contents import CataloguedArchive
from s3napback.errors import S3napbackError
from s3napback.records import dataclass
from s3napback.recovery.folders import exists
from s3napback.recovery.opening.decoder import Decoder
from s3napback.recovery.path_opening import open_path
from s3napback.recovery.private import tell_of_leftovers
from s3napback.recovery.staging import PREFIX, UnusableTarget
from s3napback.streams.processes import Stage
from s3napback.streams.transformations import Block, Transformation

TO_STANDARD_OUTPUT = Path("-")
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class BrokenOutput(S3napbackError):
    """What reads our standard output has gone, or the file cannot be written, or not be given its name."""


@dataclass(frozen=True)
class FileRestore:
    """What is wanted: an archive's content, or those of a chain one after the other.

    Attributes:
        where: a file that must not exist; ``-`` is standard output.
        checks: what each archive's content passes on its way.
    """

    where: Path
    checks: Sequence[Stage | Transformation] = ()

    def check(self) -> None:
        """Look whether it can be begun.

        Raises:
            UnusableTarget: the file exists, or its folder does not.
        """
        if self.where == TO_STANDARD_OUTPUT:
            return
        if os.path.lexists(self.where):
            raise UnusableTarget(f"{self.where} exists: name a file that does not, or - for standard output")
        folder = self.where.absolute().parent
        try:
            is_folder = folder.is_dir()
        except OSError as error:
            raise UnusableTarget(f"nothing can be written to {folder}: {error.strerror}") from error
        if not is_folder:
            raise UnusableTarget(f"{folder} is not a folder in which a file could be made")

    def run(self, decoder: Decoder, chain: Sequence[CataloguedArchive]) -> None:
        """Restore.

        Raises:
            S3napbackError: what failed. Standard output may have got a part by then; a file is not made.
        """
        with self._opened() as write:
            for archive in chain:
                decoder.run(archive, *self.checks, write=write, use="restored")

    @contextmanager
    def _opened(self) -> Iterator[Callable[[Block], None]]:
        if self.where == TO_STANDARD_OUTPUT:
            yield write_to_standard_output
            return
        where = self.where.absolute()
        with ExitStack() as stack:
            try:
                folder = open_path(where.parent).descriptor
                stack.callback(os.close, folder)
                tell_of_leftovers(folder, PREFIX)
                name = f"{PREFIX}{secrets.token_hex(8)}"
                descriptor = os.open(name, _NEW_FILE, 0o600, dir_fd=folder)
            except OSError as error:
                raise UnusableTarget(f"nothing can be written to {where.parent}: {error.strerror}") from error
            stack.callback(_remove, name, folder)
            stack.callback(os.close, descriptor)
            yield lambda block: _write(descriptor, block, str(where))
            try:
                os.fsync(descriptor)
                _publish(name, descriptor, folder, where)
            except OSError as error:
                raise BrokenOutput(f"what was restored cannot become {where}: {error.strerror}") from error


def _remove(name: str, folder: int) -> None:
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)


def write_to_standard_output(block: Block) -> None:
    """Write all of a block.

    Raises:
        BrokenOutput: nobody reads it any more.
    """
    _write(1, block, "standard output")


def _write(descriptor: int, block: Block, name: str) -> None:
    rest = memoryview(block)
    try:
        while rest:
            rest = rest[os.write(descriptor, rest) :]
    except OSError as error:
        raise BrokenOutput(f"{name} cannot be written to: {error.strerror}") from error


def _publish(name: str, descriptor: int, folder: int, where: Path) -> None:
    """Give the file its name, unless another one has taken it meanwhile."""
    try:
        os.link(name, where.name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    except FileExistsError:
        raise UnusableTarget(f"{where} has come into being meanwhile, and was left alone") from None
    except OSError:
        # Not every file system knows hard links.
        if exists(where.name, folder):
            raise UnusableTarget(f"{where} has come into being meanwhile, and was left alone") from None
        os.rename(name, where.name, src_dir_fd=folder, dst_dir_fd=folder)
    if not os.path.samestat(os.fstat(descriptor), os.lstat(where.name, dir_fd=folder)):
        raise UnusableTarget(f"{where} is not what was restored: somebody is at work in {where.parent}")
