"""Makes a gpg key for backups, and takes it back."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

from s3napback.encryption.options import chosen_home
from s3napback.encryption.running import failure_of, run_gpg
from s3napback.errors import UnusableTool
from s3napback.regexes import regex

_CREATED = regex(rb"^\[GNUPG:\] KEY_CREATED \S+ (?P<fingerprint>[0-9A-F]{40,64})", re.MULTILINE)
_SECONDS = 300.0
_GPG = ("gpg", "--no-options", "--batch", "--no-tty", "--status-fd", "2", "--display-charset", "utf-8")


def make_key(user: str, passphrase: str) -> str:
    """Make a key, to certify and to encrypt with, that does not expire, in gpg's own home.

    Args:
        user: its user id, such as ``Backups <root@atlas>``.
        passphrase: of its secret part; empty is none.

    Returns:
        Its fingerprint.

    Raises:
        UnusableTool: gpg cannot.
    """
    # gpg makes its usual home, but not one that was named.
    home = chosen_home(None, os.environ)
    try:
        home.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise UnusableTool(f"gpg's home {home} cannot be made: {error.strerror}; HOME or GNUPGHOME names it") from error
    secret = ("--pinentry-mode", "loopback", "--passphrase-fd", "0")
    command = [*_GPG, *secret, "--quick-generate-key", user, "future-default", "default", "never"]
    done = run_gpg(command, "make a key", f"{passphrase}\n".encode(), _SECONDS)
    created = _CREATED.search(done.stderr)
    if done.returncode or created is None:
        is_there = b"already exists" in done.stderr
        hint = ("  encrypt for the one that is there: --recipient, or its number at the terminal",) if is_there else ()
        raise UnusableTool("gpg could not make a key:", *failure_of(done.stderr), *hint)
    return created["fingerprint"].decode()


def discard_key(fingerprint: str) -> None:
    """Delete a key that nothing is encrypted for, with its secret part and the certificate that would revoke it.

    Raises:
        UnusableTool: gpg does not answer.
    """
    run_gpg([*_GPG, "--yes", "--delete-secret-and-public-key", fingerprint], "delete a key")
    with suppress(OSError):
        (chosen_home(None, os.environ) / "openpgp-revocs.d" / f"{fingerprint}.rev").unlink()


def gpg_home_setting() -> str:
    """GpgHome for who works with another home than gpg's usual one: cron and systemd do not know of it; else empty."""
    named = os.environ.get("GNUPGHOME", "")
    return str(Path(named).absolute()) if named else ""
