"""A compressed stream can be entered at each of its segments, and every plain tool reads the whole of it as ever."""

from __future__ import annotations

import hashlib
import io
import random
import shutil
import subprocess
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard

from s3napback.recovery.opening.decompressing import decompressed
from s3napback.streams.compression import make_compression
from s3napback.streams.parallel_gzip import BLOCK_SIZE
from s3napback.streams.segments import SEGMENT_SIZE, Segments, sum_of
from tests.streams.helpers import made_of

WAYS = [("gzip", 1), ("gzip", 6), ("zstd", 1), ("zstd", 9), ("none", None)]
LENGTHS = [0, 1, BLOCK_SIZE, SEGMENT_SIZE - 1, SEGMENT_SIZE, SEGMENT_SIZE + 1, 2 * SEGMENT_SIZE + 77]
_WORDS = random.Random(3).choices([random.Random(n).randbytes(30) for n in range(3000)], k=400_000)
PLAIN = (b"".join(_WORDS) + random.Random(1).randbytes(SEGMENT_SIZE))[-LENGTHS[-1] :]
HEADER, TRAILER = 10, 8


def made(name: str, level: int | None, plain: bytes, key: bytes = b"") -> tuple[bytes, Segments]:
    segments = Segments(key)
    return made_of(plain, make_compression(name, level, segments).transform, 1 << 18), segments


def cut(stored: bytes, segments: Segments) -> Iterator[bytes]:
    position = 0
    for number, segment in enumerate(segments):
        piece = stored[position : position + segment.length]
        assert sum_of(segments.key, number, piece) == segment.sum
        assert segments.key or hashlib.sha256(piece).digest() == segment.sum
        position += segment.length
        yield piece
    assert position == len(stored)


def entered(name: str, number: int, piece: bytes) -> bytes:
    if name == "gzip":
        return zlib.decompressobj(-15).decompress(piece[HEADER:] if number == 0 else piece)
    return zstandard.ZstdDecompressor().decompress(piece) if name == "zstd" else piece


@pytest.mark.parametrize(("name", "level"), WAYS)
@pytest.mark.parametrize("length", LENGTHS)
def test_each_segment_is_decompressed_by_itself(name: str, level: int | None, length: int) -> None:
    stored, segments = made(name, level, PLAIN[:length], bytes(32) if length % 2 else b"")
    assert segments.is_whole
    assert len(segments) == length // SEGMENT_SIZE + 1
    for number, piece in enumerate(cut(stored, segments)):
        start = number * SEGMENT_SIZE
        assert entered(name, number, piece) == PLAIN[:length][start : start + SEGMENT_SIZE]
    assert b"".join(map(bytes, decompressed(iter([memoryview(stored)])))) == PLAIN[:length]


@pytest.mark.parametrize("key", [b"", bytes(range(32))])
def test_a_sum_is_of_one_segment_in_its_place_with_its_key(key: bytes) -> None:
    data = PLAIN[:100_000]
    found = sum_of(key, 3, data)
    assert found != sum_of(key, 3, data[:-1] + bytes([data[-1] ^ 1]))
    assert found != sum_of(bytes(31) + b"x", 3, data)
    assert not key or found != sum_of(key, 4, data)


READERS = [
    ("gzip", ("gzip", "--test"), False),
    ("gzip", ("gzip", "--decompress"), True),
    ("gzip", ("pigz", "--test"), False),
    ("gzip", ("pigz", "--decompress"), True),
    ("zstd", ("zstd", "--decompress"), True),
    ("zstd", ("zstd", "--quiet", "--test"), False),
]


@pytest.mark.parametrize(("name", "command", "gives_all"), READERS)
def test_plain_tools_read_the_whole(name: str, command: tuple[str, ...], gives_all: bool) -> None:
    if command[0] == "pigz" and shutil.which("pigz") is None:
        command = ("gzip", *command[1:])
    done = subprocess.run(command, input=made(name, None, PLAIN)[0], capture_output=True, check=True)
    assert done.stderr == b""
    assert not gives_all or done.stdout == PLAIN


@pytest.mark.parametrize(("name", "option"), [("gzip", "-z"), ("zstd", "--zstd")])
def test_tar_reads_the_whole_by_itself(tmp_path: Path, name: str, option: str) -> None:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        member = tarfile.TarInfo("file")
        member.size = len(PLAIN)
        tar.addfile(member, io.BytesIO(PLAIN))
    stored = made(name, None, archive.getvalue())[0]
    done = subprocess.run(
        ["tar", "--extract", option, f"--directory={tmp_path}"], input=stored, capture_output=True, check=True
    )
    assert done.stderr == b""
    assert (tmp_path / "file").read_bytes() == PLAIN


@pytest.mark.parametrize("name", ["gzip", "zstd"])
def test_segments_cost_next_to_nothing(name: str) -> None:
    words = PLAIN[: 2 * SEGMENT_SIZE]
    most = 1.001 if name == "gzip" else 1.01
    assert len(made(name, None, words)[0]) < most * len(made_of(words, make_compression(name).transform, 1 << 18))


def test_the_highest_levels_of_zstd_make_none() -> None:
    stored, segments = made("zstd", 15, PLAIN)
    assert not segments.is_whole
    assert b"".join(map(bytes, decompressed(iter([memoryview(stored)])))) == PLAIN


@pytest.mark.parametrize("where", ["first", "second"])
def test_a_stream_of_frames_that_was_cut_off_is_no_whole_one(where: str) -> None:
    stored, segments = made("zstd", None, PLAIN)
    lengths = [segment.length for segment in segments]
    end = {"first": lengths[0] - 1, "second": lengths[0] + lengths[1] // 2}[where]
    with pytest.raises(Exception, match="end mark is missing"):
        list(decompressed(iter([memoryview(stored[:end])])))
