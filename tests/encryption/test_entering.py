"""Any part of what gpg encrypted is read by itself, and equals what gpg makes of the whole."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from s3napback.encryption.chunks import Chunks, Unpredictable
from s3napback.encryption.entering import Ciphertext, SessionKey
from s3napback.encryption.session import session_key
from tests.gpg_keys import GpgHome, gpg_home

HEAD = 384 * 1024
PLAIN = random.Random(2).randbytes(2_500_000)


@pytest.fixture(scope="module")
def home() -> object:
    with gpg_home() as made:
        made.make_key("first@example.org")
        made.make_key("second@example.org")
        yield made


def encrypted(home: GpgHome, *options: str, plain: bytes = PLAIN, recipients: int = 1) -> bytes:
    names = ["first@example.org", "second@example.org"][:recipients]
    command = [
        "gpg",
        "--homedir",
        str(home.path),
        "--batch",
        "--quiet",
        "--no-tty",
        "-z",
        "0",
        "--trust-model",
        "always",
    ]
    to = [word for name in names for word in ("--recipient", name)]
    return subprocess.run(
        [*command, *options, *to, "--output", "-", "--encrypt"], input=plain, capture_output=True, check=True
    ).stdout


def key_of(home: GpgHome, stored: bytes) -> SessionKey:
    return session_key(("gpg", "--no-options", "--batch", "--homedir", str(home.path)), stored[:HEAD], {}, 30)


def opened(home: GpgHome, stored: bytes) -> Ciphertext:
    return Ciphertext(lambda start, end: stored[start:end], stored[:HEAD], key_of(home, stored))


SIGNED = ("--local-user", "first@example.org", "--sign")


@pytest.mark.parametrize(
    ("options", "recipients"),
    [((), 1), ((), 2), (SIGNED, 1), (("--throw-keyids",), 2), (("--cipher-algo", "AES128"), 1)],
)
def test_random_parts_are_those_of_the_whole(home: GpgHome, options: tuple[str, ...], recipients: int) -> None:
    stored = encrypted(home, *options, recipients=recipients)
    content = opened(home, stored)
    chance = random.Random(9)
    places = [(chance.randrange(len(PLAIN)), chance.randrange(200_000)) for _ in range(60)]
    for start, length in [*places, (0, 1), (0, len(PLAIN)), (len(PLAIN) - 1, 1), (len(PLAIN) - 70_000, 70_000)]:
        end = min(start + length, len(PLAIN))
        assert content.read(start, end) == PLAIN[start:end]


@pytest.mark.parametrize("beyond", [0, 1, 191, 192, 8191, 8192, 8383, 8384])
def test_the_last_piece_is_read_whatever_its_size(home: GpgHome, beyond: int) -> None:
    plain = PLAIN[: 1_000_000 // 8192 * 8192 + beyond]
    content = opened(home, encrypted(home, plain=plain))
    for length in (1, 100, 9000):
        assert content.read(len(plain) - length, len(plain)) == plain[-length:]
    with pytest.raises(Unpredictable):
        content.read(len(plain) - 10, len(plain) + 100_000)


@pytest.mark.parametrize("options", [("--cipher-algo", "CAMELLIA256"), ("-z", "6")])
def test_what_has_another_form_is_not_entered(home: GpgHome, options: tuple[str, ...]) -> None:
    plain = random.Random(1).randbytes(1_000_000)
    with pytest.raises(Unpredictable):
        opened(home, encrypted(home, *options, plain=plain)).read(0, 10)


def test_what_is_as_short_as_its_head_is_not_entered(home: GpgHome) -> None:
    with pytest.raises(Unpredictable):
        opened(home, encrypted(home, plain=PLAIN[:1000]))


def test_the_session_key_is_shown_nowhere(home: GpgHome, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    stored = encrypted(home)
    (home.path / "gpg.conf").write_text(f"log-file {tmp_path / 'log'}\n")
    try:
        key = key_of(home, stored)
        with pytest.raises(Unpredictable) as caught:
            Ciphertext(lambda start, end: stored[start:end], stored[:100], key)
        with gpg_home() as other, pytest.raises(Unpredictable) as refused:
            key_of(other, stored)
    finally:
        (home.path / "gpg.conf").unlink()
    said = capfd.readouterr()
    everything = f"{key!r} {caught.getrepr()} {refused.getrepr()} {said.out} {said.err}".upper()
    assert key.value.hex().upper() not in everything
    assert not (tmp_path / "log").exists()


def test_a_gpg_that_does_not_answer_is_given_up_without_a_word_of_it(tmp_path: Path) -> None:
    slow = tmp_path / "gpg"
    slow.write_text("#!/bin/sh\necho '[GNUPG:] SESSION_KEY 9:00112233445566778899AABBCCDDEEFF'\nexec sleep 60\n")
    slow.chmod(0o755)
    with pytest.raises(Unpredictable, match="does not answer") as caught:
        session_key((str(slow),), b"", {}, 0.3)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def pieces(sizes: list[int], last: int = 100) -> bytes:
    body = bytearray()
    for size in sizes:
        body += bytes([0xE0 | size.bit_length() - 1]) + len(body).to_bytes(4, "big") * (size // 4)
    return bytes(body) + bytes([last]) + bytes(last)


def bodies(sizes: list[int], packet: bytes) -> bytes:
    whole, position = bytearray(), 0
    for size in sizes:
        whole += packet[position + 1 : position + 1 + size]
        position += 1 + size
    return bytes(whole) + packet[position + 1 :]


@pytest.mark.parametrize(
    "order",
    [
        lambda count: [8192] * count,
        lambda count: [512, *([8192] * (count - 1))],
        lambda count: ([32768, 16384, 8192, 4096, 2048, 1024, 1024] * count)[:count],
    ],
)
def test_an_order_of_pieces_is_learnt_and_foretold(order: Callable[[int], list[int]]) -> None:
    sizes = order(60)
    packet = b"\xd2" + pieces(sizes)
    chunks = Chunks.learnt(packet[:200_000], 1)
    body = bodies(sizes, packet[1:])
    chance = random.Random(4)
    for _ in range(100):
        start = chance.randrange(len(body))
        end = min(len(body), start + 1 + chance.randrange(50_000))
        assert chunks.read(lambda first, last: packet[first:last], start, end) == body[start:end]


def test_a_length_that_was_not_foretold_is_noticed() -> None:
    packet = b"\xd2" + pieces([8192] * 30 + [16384] + [8192] * 30)
    chunks = Chunks.learnt(packet[:100_000], 1)
    with pytest.raises(Unpredictable):
        chunks.read(lambda first, last: packet[first:last], 29 * 8192, 33 * 8192)


def test_lengths_in_no_order_are_not_learnt() -> None:
    chance = random.Random(8)
    with pytest.raises(Unpredictable, match="no order"):
        Chunks.learnt((b"\xd2" + pieces([1 << chance.randrange(9, 14) for _ in range(90)]))[:200_000], 1)
