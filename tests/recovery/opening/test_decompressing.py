"""Decompression in pieces of bounded size, with every end mark looked at."""

from __future__ import annotations

import gzip
import random
from collections.abc import Iterator

import pytest
import zstandard

from s3napback.recovery.opening.decompressing import decompressed
from s3napback.recovery.opening.decrypting import looks_encrypted
from s3napback.recovery.opening.failures import Damaged
from s3napback.streams.compression import make_compression
from tests.streams.helpers import made_of

MEBIBYTE = 1 << 20
HOLE = bytes(300 * MEBIBYTE)


def blocks(data: bytes, size: int = 1 << 18) -> Iterator[memoryview]:
    return (memoryview(data)[start : start + size] for start in range(0, len(data), size))


def compressed(name: str, data: bytes) -> bytes:
    return made_of(data, make_compression(name).transform)


@pytest.mark.parametrize("name", ["gzip", "zstd", "none"])
@pytest.mark.parametrize("size", [1, 3, 5000, 1 << 18])
def test_what_was_compressed_comes_back_whatever_the_blocks(name: str, size: int) -> None:
    data = random.Random(1).randbytes(20_000) + bytes(100_000)
    stream = compressed(name, data)
    for known in (name, ""):
        assert b"".join(map(bytes, decompressed(blocks(stream, size), known))) == data


@pytest.mark.parametrize(("stream", "largest"), [(gzip.compress(HOLE, 1), 1), (compressed("zstd", HOLE), 128)])
def test_a_hole_is_filled_piece_by_piece(stream: bytes, largest: int) -> None:
    sizes = [len(piece) for piece in decompressed(blocks(stream))]
    assert sum(sizes) == len(HOLE)
    assert max(sizes) <= largest * MEBIBYTE


def test_several_gzip_streams_one_after_the_other_are_not_one() -> None:
    with pytest.raises(Damaged, match="behind"):
        list(decompressed(blocks(gzip.compress(b"x") * 2)))


def test_frames_of_zstd_follow_each_other_and_each_is_whole() -> None:
    frame = zstandard.compress(b"x")
    assert b"".join(decompressed(blocks(frame + frame))) == b"xx"
    with pytest.raises(Damaged, match="end mark is missing"):
        list(decompressed(blocks(frame + frame[:-1])))
    with pytest.raises(Damaged, match="behind"):
        list(decompressed(blocks(frame + b"no frame at all")))


def test_content_that_is_not_compressed_as_the_metadata_say_is_refused() -> None:
    with pytest.raises(Damaged, match="does not begin like zstd"):
        list(decompressed(blocks(gzip.compress(b"x")), "zstd"))


@pytest.mark.parametrize(
    ("head", "encrypted"),
    [
        (b"\x85\x01\x0c\x03", True),
        (b"\x84^\x03\x12", True),
        (b"\xc1\xc0L\x03", True),
        (b"\xc3\x0d\x04\x09", True),
        (b"\x1f\x8b\x08\x00", False),
        (b"\x28\xb5\x2f\xfd", False),
        ("ä/Pa".encode(), False),
        (b"SVN-", False),
        (b"", False),
    ],
)
def test_an_encrypted_message_is_known_by_its_first_bytes(head: bytes, encrypted: bool) -> None:
    assert looks_encrypted(head) is encrypted
