"""Archives that were changed, cut off, replaced, or are encrypted to others: told, named, and nothing published."""

from __future__ import annotations

import os
import pty
import random
import subprocess
from pathlib import Path

import pytest

from tests.gpg_keys import Key, gpg_home
from tests.recovery.helpers import (
    file_member,
    nights,
    overwrite,
    put_archive,
    restore_here,
    tar_of,
    why_not,
)
from tests.site import Site

GROUPS = "Diffs 6\nFulls 2"
LOCKED_KEY = (
    *("--pinentry-mode", "loopback", "--passphrase", "open sesame"),
    *("--quick-gen-key", "locked@x.org", "future-default"),
)


def flipped(data: bytes, position: int) -> bytes:
    return data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]


@pytest.mark.parametrize("compression", ["gzip", "zstd", "none"])
@pytest.mark.parametrize("encrypted", [True, False])
def test_a_flipped_bit_anywhere_is_noticed(
    site: Site, key: Key, tmp_path: Path, compression: str, encrypted: bool
) -> None:
    site.configure_cycle(f"{GROUPS}\nCompression {compression}", general=key.directives if encrypted else "")
    nights(site, 2)
    chain = [f"{site.name()}-{end}" for end in ("0-FULL", "1-DIFF")]
    chooser = random.Random(1)
    for name in chain:
        good = site.fetch(name)
        for position in [0, len(good) - 1, *(chooser.randrange(len(good)) for _ in range(6))]:
            overwrite(site, name, flipped(good, position))
            assert name in why_not(site, str(site.source), tmp_path / "out")
        overwrite(site, name, good)
    restore_here(site, str(site.source), tmp_path / "out")


@pytest.mark.parametrize("compression", ["gzip", "zstd", "none"])
@pytest.mark.parametrize("encrypted", [True, False])
def test_a_lost_end_and_an_addition_are_noticed(
    site: Site, key: Key, tmp_path: Path, compression: str, encrypted: bool
) -> None:
    """Also without the checksum beside the archive, which nothing may depend on."""
    site.configure_cycle(f"{GROUPS}\nCompression {compression}", general=key.directives if encrypted else "")
    nights(site, 1)
    name = f"{site.name()}-0-FULL"
    good = site.fetch(name)
    site.store().delete(f"{name}.sha256")
    # Within tar's end mark a lost end costs nothing that anybody could miss.
    shorter = len(good) - 1 if compression != "none" or encrypted else len(good.rstrip(b"\0"))
    for length in (shorter, shorter // 2, 10, 1):
        overwrite(site, name, good[:length])
        assert name in why_not(site, str(site.source), tmp_path / "out")
    for addition in (b"x", bytes(512), good) if compression != "none" or encrypted else (b"x" * 600,):
        overwrite(site, name, good + addition)
        assert name in why_not(site, str(site.source), tmp_path / "out")


def test_a_sum_of_an_older_archive_does_not_stand_in_the_way(site: Site, tmp_path: Path) -> None:
    site.configure_cycle(GROUPS)
    nights(site, 1)
    path = site.vault / f"{site.name()}-0-FULL.sha256"
    digest, rest = path.read_text()[:64], path.read_text()[64:]
    path.write_text(("0" if digest[0] != "0" else "1") + digest[1:] + rest)
    assert "when it was made it was" in why_not(site, str(site.source), tmp_path / "none")
    path.write_text(path.read_text().replace("# id ", "# id 0"))
    restore_here(site, str(site.source), tmp_path / "out")


@pytest.mark.parametrize("spoilt", [b"", b"\xff" * 100, b"ab  ", b"no digest  ", b"AB" * 32 + b"  "])
def test_a_broken_sum_does_not_stand_in_the_way(site: Site, tmp_path: Path, spoilt: bytes) -> None:
    """Also where the archive's own identity stands beside what is no digest."""
    site.configure_cycle(GROUPS)
    nights(site, 1)
    path = site.vault / f"{site.name()}-0-FULL.sha256"
    path.write_bytes(spoilt + path.read_bytes()[66:])
    restore_here(site, str(site.source), tmp_path / "out")
    assert "there is no checksum" in site.run("verify", "--keyless", day=0, expect=1).stdout


def test_without_the_secret_key_the_message_says_that_it_is_missing(site: Site, key: Key, tmp_path: Path) -> None:
    site.configure_cycle(GROUPS, general=key.directives)
    nights(site, 1)
    with gpg_home() as other:
        site.configure("", general=f"GpgHome {other.path}")
        said = why_not(site, str(site.source), tmp_path / "out")
    assert "cannot be decoded: it is encrypted to a key that is not here" in said
    assert "No secret key" in said


def test_a_passphrase_comes_from_a_file_and_a_wrong_or_missing_one_is_said(site: Site, tmp_path: Path) -> None:
    with gpg_home() as home:
        (home.path / "gpg-agent.conf").write_text("s2k-count 65536\n")  # as fast as can be
        home.run(*LOCKED_KEY)
        site.configure_cycle(GROUPS, general=f"GpgHome {home.path}\nGpgRecipient locked@x.org")
        nights(site, 2)
        right, wrong = tmp_path / "right", tmp_path / "wrong"
        right.write_text("open sesame\n")
        wrong.write_bytes(b"open sesame\r\n")
        (home.path / "gpg-agent.conf").write_text("pinentry-program /bin/false\n")
        subprocess.run(["gpgconf", "--homedir", str(home.path), "--kill", "gpg-agent"], check=True)
        assert "use --passphrase-file" in why_not(site, str(site.source), tmp_path / "out")
        # What pinentry-curses says where there is no terminal: cron, ssh with a command.
        pinentry = tmp_path / "pinentry"
        refusal = '"ERR 83918950 Inappropriate ioctl for device"'
        pinentry.write_text(PINENTRY.replace('"D open sesame"; echo OK', refusal))
        pinentry.chmod(0o755)
        (home.path / "gpg-agent.conf").write_text(f"pinentry-program {pinentry}\n")
        subprocess.run(["gpgconf", "--homedir", str(home.path), "--kill", "gpg-agent"], check=True)
        said = why_not(site, str(site.source), tmp_path / "out")
        assert "cannot be decoded: gpg has no terminal to ask for the passphrase on: use --passphrase-file" in said
        said = why_not(site, str(site.source), tmp_path / "out", passphrase_file=wrong)
        assert "the passphrase is wrong. Of --passphrase-file gpg takes the first line as it is, with spaces" in said
        restore_here(site, str(site.source), tmp_path / "out", passphrase_file=right)


PINENTRY = """#!/bin/sh
echo "OK ready"
while read -r line; do
    echo "$line" >> "$0.log"
    case $line in
        GETPIN) echo "D open sesame"; echo OK;;
        BYE) exit;;
        *) echo OK;;
    esac
done
"""


def test_gpgs_agent_is_told_the_terminal_on_which_to_ask_for_the_passphrase(site: Site, tmp_path: Path) -> None:
    with gpg_home() as home:
        (home.path / "gpg-agent.conf").write_text("s2k-count 65536\n")  # as fast as can be
        home.run(*LOCKED_KEY)
        site.configure_cycle(GROUPS, general=f"GpgHome {home.path}\nGpgRecipient locked@x.org")
        nights(site, 1)
        pinentry = tmp_path / "pinentry"
        pinentry.write_text(PINENTRY)
        pinentry.chmod(0o755)
        (home.path / "gpg-agent.conf").write_text(f"pinentry-program {pinentry}\n")
        subprocess.run(["gpgconf", "--homedir", str(home.path), "--kill", "gpg-agent"], check=True)
        command = site.command("restore", str(site.source), "--to", str(tmp_path / "out"), day=None)
        environment = {name: value for name, value in site.full_environment().items() if name != "GPG_TTY"}
        ours, theirs = pty.openpty()
        try:
            done = subprocess.run(command, stdin=theirs, capture_output=True, env=environment, check=False)
            terminal = os.ttyname(theirs)
        finally:
            os.close(ours)
            os.close(theirs)
        assert done.returncode == 0, done.stderr
        assert f"OPTION ttyname={terminal}" in pinentry.with_name("pinentry.log").read_text().splitlines()


def test_a_parent_that_was_replaced_is_not_built_on(site: Site, tmp_path: Path) -> None:
    site.configure("")
    put_archive(site, 0, tar_of((file_member("etc/x"), b"x")))
    put_archive(site, 1, tar_of((file_member("etc/y"), b"y")), parent="test-host-0")
    put_archive(site, 0, tar_of((file_member("etc/x"), b"x")), host="another-host")
    said = why_not(site, "/etc", tmp_path / "out", at="etc-1-DIFF")
    assert "etc-1-DIFF of 2026-01-02 cannot be restored" in said


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "tar's end mark is missing"),
        (b"this is no tar archive" * 100, "a header in it is damaged"),
        (b"this is no tar archive" * 100 + bytes(1024), "a header in it is damaged"),
        (tar_of((file_member("etc/x"), b"x" * 5000))[:3000] + bytes(1024), "tar's end mark is missing"),
    ],
)
def test_what_is_no_archive_of_files_is_not_published(site: Site, tmp_path: Path, content: bytes, word: str) -> None:
    site.configure("")
    key = put_archive(site, 0, content)
    for paths in ((), ("/etc/x",)):
        said = why_not(site, "/etc", tmp_path / "out", paths=paths)
        assert key in said
        assert word in said


def test_a_full_disk_is_said_and_leaves_nothing(site: Site, small_disk: Path) -> None:
    site.configure_cycle(GROUPS)
    (site.source / "large").write_bytes(random.Random(1).randbytes(3_000_000))
    nights(site, 1)
    said = why_not(site, str(site.source), small_disk / "out")
    assert f"was decoded, but cannot be extracted into {small_disk}/out: there is not enough room" in said
    said = why_not(site, str(site.source), small_disk.parent / "out", staging=small_disk)
    assert f"was decoded, but cannot be extracted into {small_disk}: there is not enough room" in said


def test_a_disk_that_is_too_small_for_one_file_is_named(site: Site, small_disk: Path) -> None:
    site.configure_cycle(GROUPS)
    (site.source / "large").write_bytes(random.Random(1).randbytes(3_000_000))
    site.run()
    said = why_not(site, str(site.source), small_disk / "out")
    assert said == f"there is not enough room in {small_disk}/out for what is to be restored; nothing was restored"
    said = why_not(site, str(site.source), small_disk.parent / "out", staging=small_disk)
    assert said == f"there is not enough room in {small_disk} for what is to be restored; nothing was restored"


@pytest.fixture
def small_disk(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A folder on a file system of one megabyte."""
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], check=True)
    request.addfinalizer(lambda: subprocess.run(["umount", str(folder)], check=True))
    return folder
