"""Any part of what gpg encrypted is read by itself, and equals what gpg makes of the whole."""

from __future__ import annotations

import os
import random
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from s3napback.encryption.chunks import Chunks, Unpredictable
from s3napback.encryption.entering import Ciphertext, SessionKey
from s3napback.encryption.sealed import OCB
from s3napback.encryption.session import session_key
from tests.gpg_keys import GpgHome, gpg_home

HEAD = 384 * 1024
NAMES = [f"{word}@example.org" for word in ("first", "second", "third", "fourth", "fifth")]
PLAIN = random.Random(2).randbytes(11_000_000)
"""GnuPG 2.4 changes the order of its pieces behind 9.6 MB."""


@pytest.fixture(scope="module")
def home() -> object:
    with gpg_home() as made:
        for name in NAMES:
            made.make_key(name)
        yield made


def encrypting(home: GpgHome, *options: str, recipients: int = 1) -> list[str]:
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
    way = "--hidden-recipient" if "--hidden" in options else "--recipient"
    to = [word for name in NAMES[:recipients] for word in (way, name)]
    return [*command, *(each for each in options if each != "--hidden"), *to, "--output", "-", "--encrypt"]


def encrypted(home: GpgHome, *options: str, plain: bytes = PLAIN, recipients: int = 1) -> bytes:
    command = encrypting(home, *options, recipients=recipients)
    return subprocess.run(command, input=plain, capture_output=True, check=True).stdout


def key_of(home: GpgHome, stored: bytes) -> SessionKey:
    return session_key(("gpg", "--no-options", "--batch", "--homedir", str(home.path)), stored[:HEAD], {}, 30)


def opened(home: GpgHome, stored: bytes) -> Ciphertext:
    return Ciphertext(lambda start, end: stored[start:end], stored[:HEAD], key_of(home, stored))


def known(*options: str) -> tuple[str, ...]:
    """The options, where this gpg knows the first of them."""
    return options if options[0] in KNOWN_OPTIONS else ()


KNOWN_OPTIONS = subprocess.run(["gpg", "--dump-options"], capture_output=True, check=True, text=True).stdout.split()
# GnuPG 2.4 wants to be asked twice, and 2.2 does not know the question.
OLD_ALGORITHMS = known("--allow-old-cipher-algos")
SEALING = known("--force-ocb", "--chunk-size", "16")
"""As GnuPG 2.4 does it for keys that prefer it; ``test_sealed.py`` and ``test_pieces.py`` have what it makes."""
KEY = "00112233445566778899AABBCCDDEEFF" * 2
SIGNED = ("--local-user", "first@example.org", "--sign")


@pytest.mark.parametrize(
    ("options", "recipients"),
    [
        ((), 1),
        ((), 5),
        (SIGNED, 5),
        (("--throw-keyids",), 5),
        (("--hidden",), 2),
        (("--cipher-algo", "AES128"), 1),
        (("--cipher-algo", "AES192"), 1),
        (SEALING, 1),
        (known("--force-ocb"), 2),
        ((*SIGNED, *SEALING), 5),
        (("--hidden", "--cipher-algo", "AES192", *SEALING), 2),
    ],
)
def test_random_parts_are_those_of_the_whole(home: GpgHome, options: tuple[str, ...], recipients: int) -> None:
    stored = encrypted(home, *options, recipients=recipients)
    assert_every_part(opened(home, stored))


def assert_every_part(content: Ciphertext) -> None:
    chance = random.Random(9)
    places = [(chance.randrange(len(PLAIN)), chance.randrange(200_000)) for _ in range(40)]
    for start, length in [*places, (0, 1), (0, 3_000_000), (len(PLAIN) - 1, 1), (len(PLAIN) - 70_000, 70_000)]:
        end = min(start + length, len(PLAIN))
        assert content.read(start, end) == PLAIN[start:end]


@pytest.mark.parametrize("options", [(), SIGNED])
def test_how_the_writer_cuts_what_it_writes_is_not_seen(
    home: GpgHome, tmp_path: Path, options: tuple[str, ...]
) -> None:
    chance = random.Random(3)
    rest = memoryview(PLAIN)
    with (tmp_path / "stored").open("wb") as output:
        gpg = subprocess.Popen(encrypting(home, *options), stdin=subprocess.PIPE, stdout=output, bufsize=0)
        assert gpg.stdin is not None
        with gpg, gpg.stdin as pipe:
            while rest:
                rest = rest[pipe.write(rest[: chance.choice((1, 77, 4095, 8193, 70_001))]) or 0 :]
                time.sleep(chance.choice((0, 0, 0, 0.002)))
    assert gpg.returncode == 0
    assert_every_part(opened(home, (tmp_path / "stored").read_bytes()))


@pytest.mark.large
def test_parts_beyond_four_gibibytes_are_those_of_the_whole(home: GpgHome, tmp_path: Path) -> None:
    """Every sixteen bytes tell where they stand, in blocks of a mebibyte."""
    size, piece = 4500 << 20, 1 << 20

    def plain(number: int) -> bytes:
        return number.to_bytes(16, "big") * (piece // 16)

    with (tmp_path / "stored").open("w+b") as output:
        gpg = subprocess.Popen(encrypting(home), stdin=subprocess.PIPE, stdout=output)
        assert gpg.stdin is not None
        with gpg, gpg.stdin as pipe:
            for number in range(size // piece):
                pipe.write(plain(number))
        assert gpg.returncode == 0
        head = os.pread(output.fileno(), HEAD, 0)
        content = Ciphertext(lambda start, end: os.pread(output.fileno(), end - start, start), head, key_of(home, head))
        chance = random.Random(5)
        numbers = [
            0,
            2047,
            2048,
            4095,
            4096,
            size // piece - 2,
            *(chance.randrange(size // piece - 1) for _ in range(60)),
        ]
        for number in numbers:
            start = chance.randrange(piece)
            expected = (plain(number) + plain(number + 1))[start : start + piece]
            assert content.read(number * piece + start, number * piece + start + piece) == expected


@pytest.mark.parametrize("beyond", [0, 1, 191, 192, 8191, 8192, 8383, 8384])
def test_the_last_piece_is_read_whatever_its_size(home: GpgHome, beyond: int) -> None:
    plain = PLAIN[: 1_000_000 // 8192 * 8192 + beyond]
    content = opened(home, encrypted(home, plain=plain))
    for length in (1, 100, 9000):
        assert content.read(len(plain) - length, len(plain)) == plain[-length:]
    with pytest.raises(Unpredictable):
        content.read(len(plain) - 10, len(plain) + 100_000)


@pytest.mark.parametrize(
    "options", [("--cipher-algo", "CAMELLIA256"), ("--cipher-algo", "3DES", *OLD_ALGORITHMS), ("-z", "6")]
)
def test_what_has_another_form_is_not_entered(home: GpgHome, options: tuple[str, ...]) -> None:
    plain = random.Random(1).randbytes(1_000_000)
    with pytest.raises(Unpredictable):
        opened(home, encrypted(home, *options, plain=plain)).read(0, 10)


def test_a_packet_of_another_type_than_the_session_key_is_for_is_not_entered(home: GpgHome) -> None:
    stored = encrypted(home)
    # What stands in front of it is a packet in the old format (RFC 4880, 4.2.1), whose bytes are random.
    place = 2 + stored[1] if stored[0] == 0x84 else 3 + int.from_bytes(stored[1:3], "big")
    assert stored[place] == 0xD2
    other = stored[:place] + b"\xd4" + stored[place + 1 :]
    with pytest.raises(Unpredictable, match="no packet of type 18"):
        Ciphertext(lambda start, end: other[start:end], other[:HEAD], key_of(home, stored))


@pytest.mark.parametrize(
    "line", ["9.1:{0}", "9.2:{0}00", "9:{0}00", "2:{0}", "10:{0}", "9:{0}\n[GNUPG:] SESSION_KEY 9:{0}"]
)
def test_a_session_key_in_another_form_is_none_and_is_shown_nowhere(tmp_path: Path, line: str) -> None:
    told = tmp_path / "told"
    told.write_text(f"[GNUPG:] SESSION_KEY {line.format(KEY)}\n")
    other = tmp_path / "gpg"
    other.write_text(f"#!/bin/sh\ncat >/dev/null\nexec cat {told}\n")
    other.chmod(0o755)
    with pytest.raises(Unpredictable, match="gpg does not tell") as caught:
        session_key((str(other),), b"", {}, 30)
    shown = str(caught.getrepr(showlocals=True))
    assert KEY[:32] not in shown
    assert repr(bytes.fromhex(KEY))[2:40] not in shown


@pytest.mark.parametrize(("told", "mode"), [("9:{0}", 0), ("9.2:{0}", OCB)])
def test_a_session_key_is_told_with_its_mode(tmp_path: Path, told: str, mode: int) -> None:
    other = tmp_path / "gpg"
    other.write_text(f"#!/bin/sh\ncat >/dev/null\necho '[GNUPG:] SESSION_KEY {told.format(KEY)}'\n")
    other.chmod(0o755)
    assert session_key((str(other),), b"", {}, 30) == SessionKey(9, bytes.fromhex(KEY), mode)


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
    shown = [each.getrepr(showlocals=True) for each in (caught, refused)]
    everything = f"{key!r} {shown[0]} {shown[1]} {said.out} {said.err}".upper()
    assert key.value.hex().upper() not in everything
    assert repr(key.value)[2:-1].upper() not in everything
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
