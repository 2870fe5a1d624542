"""Compressed streams are read by the plain tools."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import pytest

from s3napback.streams.compression import compression_command, make_compression
from tests.streams.helpers import made_of

_WORDS = random.Random(7).choices([b"backup ", b"slot ", b"archive ", b"\x00\x01", b"night "], k=400_000)
PLAIN = b"".join(_WORDS)


def compressed(name: str, level: int | None, plain: bytes, block_size: int = 1 << 18) -> bytes:
    return made_of(plain, make_compression(name, level).transform, block_size)


def output_of(command: list[str], data: bytes) -> bytes:
    return subprocess.run(command, input=data, capture_output=True, check=True).stdout


@pytest.mark.parametrize("level", [None, *range(1, 10)])
def test_gzip_reads_every_gzip_level(level: int | None) -> None:
    stored = compressed("gzip", level, PLAIN)
    assert len(stored) < len(PLAIN) / 3
    assert output_of(["gzip", "--decompress"], stored) == PLAIN


@pytest.mark.parametrize("level", [None, 1, 9, 10, 19])
def test_zstd_reads_its_levels_and_checks_their_sum(level: int | None) -> None:
    stored = compressed("zstd", level, PLAIN)
    assert len(stored) < len(PLAIN) / 3
    assert output_of(["zstd", "--decompress"], stored) == PLAIN
    assert stored[4] & 4, "the frame's header announces a checksum (RFC 8878, 3.1.1.1.1.5)"


def test_several_threads_of_zstd_cost_no_space() -> None:
    alone = subprocess.run(["zstd", "-3", "--single-thread"], input=PLAIN * 4, capture_output=True, check=True)
    assert len(compressed("zstd", 3, PLAIN * 4)) < 1.05 * len(alone.stdout)


def test_no_compression_changes_nothing() -> None:
    assert compressed("none", None, PLAIN) == PLAIN


@pytest.mark.parametrize("name", ["gzip", "zstd", "none"])
@pytest.mark.parametrize("block_size", [1, 4096])
def test_blocks_of_any_size_give_the_same_bytes_back(name: str, block_size: int) -> None:
    plain = PLAIN[:5000]
    stored = compressed(name, None, plain, block_size)
    tool = compression_command(name, None)
    assert (output_of([tool[0], "--decompress"], stored) if tool else stored) == plain


@pytest.mark.parametrize("name", ["gzip", "zstd"])
def test_an_empty_stream_is_a_good_one(name: str) -> None:
    assert output_of([name, "--decompress"], compressed(name, None, b"")) == b""


@pytest.mark.parametrize(
    ("name", "level", "command"),
    [
        ("gzip", None, ("gzip", "-1")),
        ("gzip", 9, ("gzip", "-9")),
        ("zstd", None, ("zstd", "-3")),
        ("zstd", 19, ("zstd", "-19")),
        ("none", None, ()),
        ("none", 5, ()),
    ],
)
def test_the_command_to_paste_names_tool_and_level(name: str, level: int | None, command: tuple[str, ...]) -> None:
    assert compression_command(name, level) == command
    if command:
        packed = output_of(list(command), PLAIN[:1000])
        assert output_of([command[0], "--decompress"], packed) == PLAIN[:1000]


@pytest.mark.parametrize("function", [compression_command, make_compression])
@pytest.mark.parametrize(("name", "level"), [("bzip2", None), ("gzip", 0), ("gzip", 10), ("zstd", 20), ("zstd", -1)])
def test_unknown_names_and_levels_are_refused(
    function: Callable[[str, int | None], object], name: str, level: int | None
) -> None:
    with pytest.raises(ValueError, match=name):
        function(name, level)


def test_the_libraries_are_loaded_only_when_they_are_used() -> None:
    program = (
        "import sys, s3napback.streams.compression; print(sorted({'isal', 'zstandard', 'zlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-S", "-c", program], capture_output=True, check=True, text=True)
    assert "isal" not in done.stdout
    assert "zstandard" not in done.stdout


@pytest.mark.parametrize("name", ["gzip", "zstd"])
def test_other_threads_run_while_blocks_are_compressed(name: str) -> None:
    def longest_pause() -> float:
        """As a part of the time that compressing has taken."""
        worker = threading.Thread(target=compressed, args=(name, None, PLAIN * 30))
        longest, before = 0.0, time.perf_counter()
        began = before
        worker.start()
        while worker.is_alive():
            now = time.perf_counter()
            longest, before = max(longest, now - before), now
        return longest / (time.perf_counter() - began)

    # A busy machine may let this thread wait, too, but not each time.
    assert min(longest_pause() for _ in range(4)) < 0.5
