"""Throwaway gpg homes with keys in every state."""

from __future__ import annotations

import itertools
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_CHARACTERS = ("--display-charset", "utf-8")  # whatever the locale says

TRUSTED_FOR_GOOD = 6  # gpg's number for "ultimately" in its owner trust


class GpgHome:
    """A gpg home folder of its own; leave the user's alone.

    Attributes:
        path: the folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def run(self, *arguments: str, stdin: bytes = b"") -> bytes:
        """Run gpg in this home and return what it writes."""
        command = ["gpg", "--homedir", str(self.path), "--batch", "--no-tty", "--quiet", *_CHARACTERS, *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, check=False, env={**os.environ, "LC_ALL": "C"})
        assert done.returncode == 0, f"{command}: {done.stderr.decode(errors='replace')}"
        return done.stdout

    def make_key(
        self,
        user: str,
        *,
        usage: str = "default",
        algorithm: str = "future-default",
        expires: str = "never",
        made: str = "",
    ) -> str:
        """Make a key without a passphrase, ultimately trusted here.

        Args:
            user: its user id.
            usage: ``default`` has a subkey for encryption, ``sign`` has none.
            algorithm: for usages other than ``default`` a plain one, such as ``ed25519``.
            expires: gpg's notation: ``never``, ``10d``, ``2001-02-03``.
            made: pretended moment, ``YYYYMMDDTHHMMSS``; empty is now.

        Returns:
            The fingerprint of the primary key.
        """
        clock = ("--faked-system-time", f"{made}!") if made else ()
        before = set(self.fingerprints())
        self.run(*clock, "--passphrase", "", "--quick-generate-key", user, algorithm, usage, expires)
        (new,) = set(self.fingerprints()) - before
        return new

    def fingerprints(self) -> list[str]:
        """The fingerprints of all primary keys."""
        records = self.run("--with-colons", "--list-keys").decode().splitlines()
        pairs = itertools.pairwise(records)
        return [second.split(":")[9] for first, second in pairs if first.startswith("pub:")]

    def export(self, *keys: str) -> bytes:
        """The public keys."""
        return self.run("--export", *keys)

    def take_in(self, exported: bytes) -> None:
        """Import public keys; they are not trusted by that."""
        self.run("--import", stdin=exported)

    def trust(self, key: str, level: int = TRUSTED_FOR_GOOD) -> None:
        """Set the owner trust of a key."""
        self.run("--import-ownertrust", stdin=f"{key}:{level}:\n".encode())

    def revoke(self, key: str) -> None:
        """Revoke a key with the certificate that gpg made along with it."""
        certificate = (self.path / "openpgp-revocs.d" / f"{key}.rev").read_text()
        # A colon in front keeps the certificate from being imported by mistake.
        self.run("--import", stdin=certificate.replace(":-----BEGIN", "-----BEGIN").encode())

    def edit(self, key: str, *commands: str) -> None:
        """Run commands of ``gpg --edit-key``."""
        self.run("--edit-key", key, *commands, "save")

    def decrypt(self, data: bytes) -> bytes:
        """What ``gpg --decrypt`` makes of ``data``."""
        return self.run("--decrypt", stdin=data)


@contextmanager
def gpg_home() -> Iterator[GpgHome]:
    """An empty home, removed at the end together with the agent that gpg may have started for it.

    It lies directly below ``/tmp``, for the agent's sockets in it must not have paths of more than 107 bytes.
    """
    with tempfile.TemporaryDirectory(prefix="gpg-", dir="/tmp") as folder:
        try:
            yield GpgHome(Path(folder))
        finally:
            subprocess.run(["gpgconf", "--homedir", folder, "--kill", "all"], check=True, capture_output=True)


@dataclass(frozen=True)
class Key:
    """A key pair for encrypting and, with plain gpg, decrypting archives."""

    home: GpgHome
    fingerprint: str

    @property
    def directives(self) -> str:
        """What a configuration says to encrypt with it."""
        return f"GpgHome {self.home.path}\nGpgRecipient {self.fingerprint}"

    @property
    def decrypt(self) -> list[str]:
        """The command that turns an archive on its input into plaintext."""
        return ["gpg", "--homedir", str(self.home.path), "--batch", "--quiet", "--decrypt"]
