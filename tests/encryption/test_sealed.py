"""What GnuPG 2.4 encrypts in OCB mode is read by chunks, each of which is judged by its own tag."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path
from shutil import which

import pytest

from s3napback.config.settings import EncryptionSettings
from s3napback.encryption.chunks import Unpredictable
from s3napback.encryption.gpg import prepare_encryption
from s3napback.encryption.pieces import Pieces
from s3napback.encryption.sealed import TAG_SIZE, Sealed
from tests.encryption.messages import Recorded, cut, joined, packet_at, recorded_messages, sealed
from tests.gpg_keys import gpg_home

MESSAGES = recorded_messages()
each_message = pytest.mark.parametrize("message", MESSAGES, ids=lambda each: f"{each.told[0]}-{len(each.plain)}")
HEADER = 19
PIECES = [512, 512]


def opened(stored: bytes, message: Recorded) -> Sealed:
    start = packet_at(stored)
    assert stored[start] == 0xD4
    pieces = Pieces(lambda begin, end: stored[begin:end], stored, start + 1)
    return Sealed(pieces, message.key.algorithm, message.key.value)


def with_body(message: Recorded, body: bytes) -> bytes:
    return message.stored[: packet_at(message.stored) + 1] + cut(body, PIECES)


def body_of(message: Recorded) -> bytes:
    return joined(message.stored[packet_at(message.stored) + 1 :])


def chunk_size(message: Recorded) -> int:
    return 1 << body_of(message)[3] + 6


@each_message
def test_what_gpg_2_4_has_sealed_is_opened(message: Recorded) -> None:
    literal = opened(message.stored, message).read(0, 1 << 20)
    assert literal[:1] == b"\xcb"
    # Its format, a name of no length, and a date stand in front of the content.
    assert joined(literal[1:])[6:] == message.plain


@each_message
def test_any_part_is_that_of_the_whole_and_ends_with_it(message: Recorded) -> None:
    body = opened(message.stored, message)
    whole = body.read(0, 1 << 20)
    for start in range(0, len(whole), 97):
        for length in (1, 63, 64, 65, 1000, 5000):
            assert body.read(start, start + length) == whole[start : start + length]
            assert opened(message.stored, message).read(start, start + length) == whole[start : start + length]


@pytest.mark.parametrize("message", MESSAGES[:1])
def test_the_gpg_that_is_here_reads_it(message: Recorded) -> None:
    """GnuPG 2.2.21 and later do, so an archive can be read on a machine that is older than the one that made it."""
    with gpg_home() as home:
        assert home.run("--override-session-key", message.told, "--decrypt", stdin=message.stored) == message.plain


@each_message
def test_a_flipped_bit_anywhere_is_refused(message: Recorded) -> None:
    body = body_of(message)
    for place in range(0, len(body), 5):
        other = bytearray(body)
        other[place] ^= 1 << place % 8
        with pytest.raises(Unpredictable):
            opened(with_body(message, bytes(other)), message).read(0, 1 << 20)


@pytest.mark.parametrize("message", MESSAGES[:3])
def test_a_damaged_chunk_does_not_keep_the_others_from_being_read(message: Recorded) -> None:
    body, size = bytearray(body_of(message)), chunk_size(message)
    whole = opened(message.stored, message).read(0, 1 << 20)
    body[HEADER + size + TAG_SIZE + 5] ^= 4
    other = opened(with_body(message, bytes(body)), message)
    assert other.read(0, size) == whole[:size]
    assert other.read(2 * size, len(whole)) == whole[2 * size :]
    for start, end in ((size, size + 1), (size - 1, size + 1), (2 * size - 1, 2 * size + 1)):
        with pytest.raises(Unpredictable, match="not what was encrypted"):
            other.read(start, end)


def exchanged(message: Recorded) -> bytes:
    body, sealed_size = body_of(message), chunk_size(message) + TAG_SIZE
    chunks = [body[HEADER + place : HEADER + place + sealed_size] for place in (0, sealed_size)]
    return body[:HEADER] + chunks[1] + chunks[0] + body[HEADER + 2 * sealed_size :]


def without_last_whole_chunk(message: Recorded) -> bytes:
    body, sealed_size = body_of(message), chunk_size(message) + TAG_SIZE
    number = (len(body) - HEADER - TAG_SIZE) // sealed_size - 1
    return body[: HEADER + number * sealed_size] + body[HEADER + (number + 1) * sealed_size :]


def cut_behind_a_chunk(message: Recorded) -> bytes:
    """The tag of the end is that of the true one."""
    return cut_off(message) + body_of(message)[-TAG_SIZE:]


def cut_off(message: Recorded) -> bytes:
    body, sealed_size = body_of(message), chunk_size(message) + TAG_SIZE
    return body[: HEADER + ((len(body) - HEADER) // sealed_size - 1) * sealed_size]


@pytest.mark.parametrize("message", [MESSAGES[0], MESSAGES[1], MESSAGES[4], MESSAGES[5]])
@pytest.mark.parametrize("spoilt", [exchanged, without_last_whole_chunk, cut_behind_a_chunk, cut_off])
def test_chunks_that_are_exchanged_or_missing_are_refused(message: Recorded, spoilt: object) -> None:
    assert callable(spoilt)
    other = with_body(message, spoilt(message))
    with pytest.raises(Unpredictable, match="not what was encrypted"):
        opened(other, message).read(0, 1 << 20)


@pytest.mark.parametrize(("place", "octet"), [(0, 2), (1, 7), (2, 1), (3, 17), (3, 56)])
def test_another_version_cipher_mode_or_a_giant_chunk_is_not_begun(place: int, octet: int) -> None:
    """The cipher is that of the session key, the mode OCB; a chunk has to fit into memory."""
    body = bytearray(body_of(MESSAGES[0]))
    body[place] = octet
    with pytest.raises(Unpredictable, match="not of the form"):
        opened(with_body(MESSAGES[0], bytes(body)), MESSAGES[0])


def test_what_the_tests_seal_themselves_is_what_gpg_seals() -> None:
    message, plain = MESSAGES[0], MESSAGES[0].plain * 200
    stored = with_body(message, sealed(plain, message.key, 12))
    with gpg_home() as home:
        assert home.run("--override-session-key", message.told, "--decrypt", stdin=stored) == plain


@pytest.mark.parametrize("knows", [True, False])
def test_where_gpg_seals_chunks_are_made_small_if_it_knows_how(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, knows: bool
) -> None:
    """In place of GnuPG 2.4, a program that answers with what that wrote; all else does the gpg that is here."""
    (tmp_path / "sealed").write_bytes(MESSAGES[3].stored)
    (tmp_path / "gpg").write_text(
        f'#!/bin/sh\ncase "$*" in\n*--chunk-size*) {"" if knows else "exit 2"} ;;\nesac\n'
        f'case "$*" in\n*--encrypt*) cat >/dev/null; exec cat {tmp_path}/sealed ;;\n'
        f'*) exec {which("gpg")} "$@" ;;\nesac\n'
    )
    (tmp_path / "gpg").chmod(0o755)
    with gpg_home() as home:
        key = home.make_key("a@example.org")
        settings = EncryptionSettings((key,), home=home.path)
        with prepare_encryption(settings, date(2026, 1, 1)) as here:
            assert here is not None
            assert "--chunk-size" not in here.command
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        with prepare_encryption(settings, date(2026, 1, 1)) as there:
            assert there is not None
            small = ("--chunk-size", "16")
            assert there.command == (*here.command[:-5], *(small if knows else ()), *here.command[-5:])
