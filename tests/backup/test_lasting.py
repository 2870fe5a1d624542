"""A gpg key that is lost while a run is at work: the sources after it fail, and are told why and what to do."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
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


def test_a_passphrase_that_the_agent_has_forgotten_since_is_told(home: GpgHome, tmp_path: Path) -> None:
    site = Site(tmp_path / "site")
    (home.path / "gpg-agent.conf").write_text("allow-preset-passphrase\n")
    key = home.make_key("Backups <backups@example.org>")
    unlocked = ("--pinentry-mode", "loopback", "--passphrase", "secret")
    home.run(*unlocked, "--quick-generate-key", "Signs <signs@example.org>", "ed25519", "sign")
    (signer,) = set(home.fingerprints()) - {key}
    records = home.run("--with-colons", "--with-keygrip", "--list-keys", signer).decode().splitlines()
    (grip,) = (record.split(":")[9] for record in records if record.startswith("grp:"))
    there = ("gpgconf", "--homedir", str(home.path))
    folder = subprocess.run([*there, "--list-dirs", "libexecdir"], capture_output=True, text=True, check=True).stdout
    preset = [f"{folder.strip()}/gpg-preset-passphrase", "--preset", "--passphrase", "secret", grip]
    subprocess.run(preset, env={**os.environ, "GNUPGHOME": str(home.path)}, check=True)
    (site.source / "file").write_text("content")
    before = f"Before {shlex.join([*there, '--reload', 'gpg-agent'])}"
    general = f"GpgHome {home.path}\nGpgRecipient {key}\nGpgSignKey {signer}"
    site.configure(f"<Directory {site.source}>\n{before}\n</Directory>", general=general)
    log = site.run(expect=1).stderr
    assert f"gpg does not sign with {signer} unless it is told a passphrase" in log
    assert f"--passwd {signer}" in log


def test_of_keys_that_gpg_does_not_show_any_more_it_is_not_said_that_they_have_changed(
    home: GpgHome, tmp_path: Path
) -> None:
    site = Site(tmp_path / "site")
    key = home.make_key("Backups <backups@example.org>")
    (site.source / "file").write_text("content")
    broken = tmp_path / "broken"
    site.fake_program(
        "gpg", f'[ -e {broken} ] && {{ echo "gpg: No space left on device" >&2; exit 2; }}; exec REAL "$@"'
    )
    block = f"<Directory {site.source}>\nBefore touch {broken}\n</Directory>"
    site.configure(block, general=f"GpgHome {home.path}\nGpgRecipient {key}")
    log = site.run(expect=1).stderr
    assert "what has become of its keys since this run began is not known:" in log
    assert "No space left on device" in log
    assert "have changed" not in log
