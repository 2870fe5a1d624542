"""Output that was cut off, although its program ended as if all were well, is told from a whole one."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from s3napback.encryption.openpgp import PacketReader
from tests.gpg_keys import GpgHome, gpg_home


@pytest.fixture(scope="module")
def home() -> Iterator[GpgHome]:
    with gpg_home() as made:
        made.make_key("Backup <backup@example.org>")
        yield made


def is_whole(message: bytes, piece: int = 1 << 16) -> bool:
    reader = PacketReader()
    for start in range(0, len(message), piece):
        reader.read(memoryview(message)[start : start + piece])
    return reader.is_whole


@pytest.mark.parametrize("size", [1, 190, 8_191, 8_192, 8_193, 100_000])
@pytest.mark.parametrize("armor", [(), ("--rfc4880",), ("--sign",)], ids=["plain", "old", "signed"])
def test_an_encrypted_message_is_whole_only_at_its_end(home: GpgHome, size: int, armor: tuple[str, ...]) -> None:
    arguments = ("-z", "0", *armor, "--recipient", "backup@example.org", "--output", "-", "--encrypt")
    message = home.run(*arguments, stdin=os.urandom(size))
    assert is_whole(message)
    assert is_whole(message, piece=1)
    cuts = [*range(1, min(len(message), 300)), *range(300, len(message), 997), len(message) - 1]
    assert [cut for cut in cuts if is_whole(message[:-cut])] == []


@pytest.mark.parametrize(
    ("message", "whole"),
    [
        (b"", False),
        (bytes([0xD2, 3, 1, 2, 3]), True),
        (bytes([0xD2, 3, 1, 2]), False),
        (bytes([0xD2, 0xE1, 1, 2]), False),
        (bytes([0xD2, 0xE1, 1, 2, 0]), True),
        (bytes([0xD2, 0xC0, 0]) + bytes(192), True),
        (bytes([0xD2, 0xFF, 0, 0, 1, 0]) + bytes(256), True),
        (bytes([0xD2, 0xFF, 0, 0, 1, 0]) + bytes(255), False),
        (bytes([0xA5, 0, 2]) + bytes(2), True),
        (bytes([0xA5, 0, 2]) + bytes(1), False),
        (bytes([0xA7]) + bytes(9), True),
        (bytes([0xC1, 1, 0]), False),
    ],
)
def test_every_kind_of_length_is_understood(message: bytes, whole: bool) -> None:
    assert is_whole(message) == whole
    assert is_whole(message, piece=1) == whole
