"""Bringing a stream into a file: past the page cache where the file system allows that, reading while writing.

A backup is written once and not read again soon. In the page cache it would take the place of what the machine needs,
and copying it there costs more processor time than encrypting it.
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
from collections.abc import Iterator
from concurrent.futures import Future
from itertools import cycle

from s3napback.crews import PATIENCE, Crew, result_of
from s3napback.stores import ByteSource

BLOCK_SIZE = 4 * 1024 * 1024
"""Bytes written at a time: enough for a network share, a multiple of every disk's sectors; memory is two of them."""

_DIRECT = getattr(os, "O_DIRECT", 0)  # Linux and FreeBSD have it


def write_stream(source: ByteSource, descriptor: int) -> None:
    """Write everything that ``source`` gives to an empty file. Nothing need be on disk yet afterwards.

    Raises:
        OSError: the file could not be written. What ``source`` raises passes through.
    """
    # A thread that hangs in the kernel must find the same file when it comes back, whatever has been closed meanwhile.
    own = os.dup(descriptor)
    writer = Crew(1, "write")
    try:
        pending: Future[None] | None = None
        for block in _blocks(source):
            if pending is not None:
                result_of(pending)
            pending = writer.submit(_write_block, own, block)
        if pending is not None:
            result_of(pending)
    finally:
        if writer.close(PATIENCE):
            os.close(own)


def _blocks(source: ByteSource) -> Iterator[memoryview]:
    """Blocks of full size, but for the last. One's memory is used again for the second after it."""
    # Mapped memory begins on a page, as writing past the cache demands.
    for buffer in cycle([memoryview(mmap.mmap(-1, BLOCK_SIZE)), memoryview(mmap.mmap(-1, BLOCK_SIZE))]):
        length = 0
        while length < BLOCK_SIZE:
            count = source.readinto(buffer[length:])
            if not count:
                break
            length += count
        if length:
            yield buffer[:length]
        if length < BLOCK_SIZE:
            return


def _write_block(descriptor: int, block: memoryview) -> None:
    _pass_by_cache(descriptor, wanted=len(block) == BLOCK_SIZE)
    while block:
        try:
            block = block[os.write(descriptor, block) :]
        except OSError as error:
            # The file system takes other sizes only, or a disk that is nearly full took a part of a sector.
            if error.errno != errno.EINVAL or not _passes_by_cache(descriptor):
                raise
            _pass_by_cache(descriptor, wanted=False)


def _passes_by_cache(descriptor: int) -> bool:
    return bool(fcntl.fcntl(descriptor, fcntl.F_GETFL) & _DIRECT)


def _pass_by_cache(descriptor: int, *, wanted: bool) -> None:
    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | _DIRECT if wanted else flags & ~_DIRECT)
    except OSError as error:
        # A file system in memory, or of some network, knows no other way than through the cache.
        if error.errno != errno.EINVAL:
            raise
