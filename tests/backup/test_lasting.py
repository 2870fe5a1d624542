"""A gpg key that is lost while a run is at work: the sources after it fail, and are told why and what to do."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gpg_keys import GpgHome, gpg_home
from tests.site import Site

GPG = shutil.which("gpg")


@pytest.fixture
def home() -> Iterator[GpgHome]:
    with gpg_home() as home:
        yield home


def changing(home: GpgHome, *command: str) -> str:
    """A command of gpg, as a word of a shell."""
    return shlex.join([str(GPG), "--homedir", str(home.path), "--batch", "--yes", "--quiet", *command])


def revoking(home: GpgHome, key: str, folder: Path) -> str:
    text = (home.path / "openpgp-revocs.d" / f"{key}.rev").read_text()
    (folder / "revoked").write_text(text.replace(":-----BEGIN", "-----BEGIN"))
    return changing(home, "--import", str(folder / "revoked"))


def replacing(home: GpgHome, key: str, folder: Path) -> str:
    """Another key of the same address comes in the place of one."""
    with gpg_home() as other:
        new = other.make_key("Backups <backups@example.org>")
        (folder / "new").write_bytes(other.export(new))
    (folder / "trust").write_text(f"{new}:6:\n")
    delete = changing(home, "--delete-secret-and-public-key", key)
    taken = changing(home, "--import", str(folder / "new"))
    return f"{delete}; {taken}; {changing(home, '--import-ownertrust', str(folder / 'trust'))}"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("deleted", "GpgRecipient backups@example.org: no such public key; import it with: gpg --homedir"),
        ("revoked", "is revoked; name another key"),
        ("replaced", "GpgRecipient names another key by now, "),
        ("unsigned", "no such secret key; import it with: gpg --homedir"),
    ],
)
def test_what_became_of_a_key_in_the_midst_of_a_run_is_told(
    home: GpgHome, tmp_path: Path, change: str, told: str
) -> None:
    site = Site(tmp_path / "site")
    key = home.make_key("Backups <backups@example.org>")
    general = f"GpgHome {home.path}\nGpgRecipient backups@example.org"
    if change == "unsigned":
        signer = home.make_key("Signs <signs@example.org>", usage="sign", algorithm="ed25519")
        general += f"\nGpgSignKey {signer}"
        script = changing(home, "--delete-secret-keys", signer)
    elif change == "deleted":
        script = changing(home, "--delete-secret-and-public-key", key)
    else:
        script = (revoking if change == "revoked" else replacing)(home, key, tmp_path)
    (tmp_path / "change").write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / "change").chmod(0o755)
    (site.source / "file").write_text("content")
    site.configure(f"<Directory {site.source}>\nBefore {tmp_path}/change\n</Directory>", general=general)
    log = site.run(expect=1).stderr
    assert "gpg failed with exit status 2" in log
    assert "since this run began, its keys have changed:" in log
    assert told in log
    assert not site.archive_keys()
