"""Fixtures for tests that run the real command line on a small machine of their own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.gpg_keys import GpgHome, gpg_home
from tests.servers import S3Server
from tests.site import Site


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


@pytest.fixture(scope="session")
def key() -> Iterator[Key]:
    with gpg_home() as home:
        yield Key(home, home.make_key("Backup <backup@example.org>"))


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A machine with a directory store."""
    return Site(tmp_path / "site")


@pytest.fixture(params=["directory", "rclone"])
def any_site(request: pytest.FixtureRequest, tmp_path: Path, rclone: S3Server) -> Site:
    """A machine with a directory store, and one with an S3 server."""
    return Site(tmp_path / "site", rclone if request.param == "rclone" else None)
