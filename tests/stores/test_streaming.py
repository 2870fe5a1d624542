"""Streams come into files whole, whatever their length and whatever the file system thinks of direct writing."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from s3napback.errors import PipelineError
from s3napback.stores.streaming import BLOCK_SIZE, write_stream
from tests.stores.sources import BytesSource, SourceThatFails


def bytes_of(size: int) -> bytes:
    """Bytes that differ from block to block."""
    return b"".join(number.to_bytes(8, "big") for number in range(-(-size // 8)))[:size]


@contextmanager
def empty_file(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def is_direct(descriptor: int) -> bool:
    return bool(fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_DIRECT)


@pytest.mark.parametrize("size", [0, 1, 511, BLOCK_SIZE - 1, BLOCK_SIZE, BLOCK_SIZE + 1, 3 * BLOCK_SIZE + 4097])
def test_a_stream_of_any_length_arrives_byte_for_byte(tmp_path: Path, size: int) -> None:
    with empty_file(tmp_path / "file") as descriptor:
        write_stream(BytesSource(bytes_of(size), piece=300_001), descriptor)

    assert (tmp_path / "file").read_bytes() == bytes_of(size)


def test_a_file_system_in_memory_takes_streams_as_well() -> None:
    path = Path(f"/dev/shm/s3napback-test-{os.getpid()}")
    try:
        with empty_file(path) as descriptor:
            write_stream(BytesSource(bytes_of(2 * BLOCK_SIZE + 5)), descriptor)
        assert path.read_bytes() == bytes_of(2 * BLOCK_SIZE + 5)
    finally:
        path.unlink()


def test_where_direct_writing_is_refused_the_cache_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real_write = os.write

    def refuse_direct_writing(descriptor: int, data: memoryview) -> int:
        if is_direct(descriptor):
            raise OSError(errno.EINVAL, "Invalid argument")
        return real_write(descriptor, data)

    monkeypatch.setattr(os, "write", refuse_direct_writing)
    with empty_file(tmp_path / "file") as descriptor:
        write_stream(BytesSource(bytes_of(2 * BLOCK_SIZE)), descriptor)

    assert (tmp_path / "file").read_bytes() == bytes_of(2 * BLOCK_SIZE)


def test_whole_blocks_pass_by_the_page_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ways = []
    real_write = os.write

    def note_the_way(descriptor: int, data: memoryview) -> int:
        ways.append((len(data), is_direct(descriptor)))
        return real_write(descriptor, data)

    monkeypatch.setattr(os, "write", note_the_way)
    with empty_file(tmp_path / "file") as descriptor:
        write_stream(BytesSource(bytes_of(BLOCK_SIZE + 5)), descriptor)

    assert ways == [(BLOCK_SIZE, True), (5, False)]


def test_the_failure_of_a_source_passes_through(tmp_path: Path) -> None:
    with empty_file(tmp_path / "file") as descriptor, pytest.raises(PipelineError, match="tar was killed"):
        write_stream(SourceThatFails(bytes_of(BLOCK_SIZE + 5)), descriptor)


@pytest.mark.parametrize("size", [BLOCK_SIZE + 5, 4 * BLOCK_SIZE])
def test_a_file_that_cannot_grow_is_an_error(tmp_path: Path, size: int) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (BLOCK_SIZE, limits[1]))
    try:
        with empty_file(tmp_path / "file") as descriptor, pytest.raises(OSError, match="File too large"):
            write_stream(BytesSource(bytes_of(size)), descriptor)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
