"""Between a pipeline and a store: measuring what passes, and keeping it in an unnamed file for a while."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

from s3napback.errors import PipelineError
from s3napback.stores import ByteSource

_SPOOL_BLOCK = 1 << 20  # bytes
_HASH_BLOCK = 1 << 18  # bytes; what has just been read is still in the processor's cache when it is hashed


class Measured:
    """A ``ByteSource`` that counts and hashes what passes through it. Each call fills the whole buffer but at the end.

    Attributes:
        size: bytes that have passed.
        is_whole: all of them have.
    """

    def __init__(self, source: ByteSource) -> None:
        self.size = 0
        self.is_whole = False
        self._source = source
        self._hash = hashlib.sha256()

    @property
    def sha256(self) -> str:
        """The sum of what has passed, in lower-case hexadecimal."""
        return self._hash.hexdigest()

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill ``buffer``; what ``source`` raises is raised."""
        filled = 0
        while filled < len(buffer):
            # In small pieces, so that the stages before us refill their pipes while we hash.
            count = self._source.readinto(buffer[filled : filled + _HASH_BLOCK])
            if not count:
                self.is_whole = True
                break
            self._hash.update(buffer[filled : filled + count])
            filled += count
        self.size += filled
        return filled


class SpooledBytes:
    """A ``ByteSource`` read from a file that nobody else can see.

    Attributes:
        size: bytes in all.
    """

    def __init__(self, file: FileIO, folder: Path, size: int) -> None:
        self.size = size
        self._file = file
        self._folder = folder

    def readinto(self, buffer: memoryview, /) -> int:
        """Read the next bytes.

        Raises:
            PipelineError: the file cannot be read, or holds less than was written.
        """
        try:
            count = self._file.readinto(buffer)
            if count or self._file.tell() == self.size:
                return count
        except OSError as error:
            raise PipelineError(f"cannot read back a temporary file in {self._folder}: {error.strerror}") from error
        raise PipelineError(f"a temporary file in {self._folder} has lost its end")


@contextmanager
def spool(source: ByteSource, folder: Path) -> Iterator[SpooledBytes]:
    """Write everything that ``source`` gives into an unnamed file (0600) and yield it for reading from its start.

    Having no name, the file is gone with the process, however that ends.

    Args:
        source: read to its end; what it raises is raised.
        folder: on a file system with room for all of it.

    Raises:
        PipelineError: the file cannot be made, or the disk is full.
    """
    with _open_unnamed(folder) as file:
        size = 0
        buffer = memoryview(bytearray(_SPOOL_BLOCK))
        while count := source.readinto(buffer):
            _write_all(file, buffer[:count], folder)
            size += count
        file.seek(0)
        yield SpooledBytes(file, folder, size)


def _open_unnamed(folder: Path) -> FileIO:
    try:
        return tempfile.TemporaryFile(dir=folder, buffering=0)
    except OSError as error:
        raise PipelineError(f"cannot make a temporary file in {folder}: {error.strerror}; set TempDir") from error


def _write_all(file: FileIO, data: memoryview, folder: Path) -> None:
    while data:
        try:
            data = data[file.write(data) :]
        except OSError as error:
            advice = "make room there or set TempDir to a folder with more"
            raise PipelineError(f"cannot write a temporary file in {folder}: {error.strerror}; {advice}") from error
