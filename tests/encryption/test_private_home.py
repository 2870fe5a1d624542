"""The home of our own into which GpgKeyring is imported for a run."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from s3napback.config.settings import EncryptionSettings
from s3napback.encryption import options
from s3napback.encryption.gpg import Encryption, prepare_encryption
from s3napback.errors import UnusableKey, UnusableTool
from tests.encryption.test_encryption import TODAY
from tests.gpg_keys import Key

NO_DAEMON = "--no-autostart"


@pytest.fixture
def keyring(tmp_path: Path, key: Key) -> EncryptionSettings:
    """As a configuration has it."""
    file = tmp_path / "backups.pub"
    file.write_bytes(key.home.export(key.fingerprint))
    return EncryptionSettings((key.fingerprint,), keyring=file)


def _prepared(settings: EncryptionSettings) -> Encryption:
    with prepare_encryption(settings, TODAY) as found:
        assert found is not None
        return found


def _program(folder: Path, name: str, text: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


def test_no_daemon_is_started_where_gpg_needs_none(keyring: EncryptionSettings) -> None:
    assert NO_DAEMON in _prepared(keyring).command


@pytest.mark.parametrize("line", ["use-keyboxd", "  use-keyboxd\r", "--use-keyboxd"])
def test_where_the_machine_keeps_all_keys_with_a_daemon_it_is_started_and_ended(
    keyring: EncryptionSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    # gpg 2.3 and later read this file whatever they are told; without its daemon they import nothing.
    common = tmp_path / "common.conf"
    common.write_text(f"# of the whole machine\n{line}\n")
    monkeypatch.setattr(options, "COMMON_SYSTEM_FILE", common)
    ended = tmp_path / "ended"
    _program(tmp_path / "bin", "gpgconf", f'echo "$@" >>{ended}')
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    command = _prepared(keyring).command
    assert NO_DAEMON not in command
    home = command[command.index("--homedir") + 1]
    assert ended.read_text() == f"--homedir {home} --kill keyboxd\n"


def test_a_full_disk_is_no_flaw_of_the_keyring(
    keyring: EncryptionSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = (
        "gpg: error writing keyring '/tmp/x/pubring.kbx': No space left on device",
        "gpg: Total number processed: 0",
        "[GNUPG:] IMPORT_RES 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0",
    )
    _program(tmp_path / "bin", "gpg", "\n".join(f'echo "{each}" >&2' for each in words) + "\nexit 2")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    with pytest.raises(UnusableTool) as caught:
        _prepared(keyring)
    first, *said = caught.value.lines
    assert first == f"GpgKeyring: gpg cannot import {keyring.keyring} into a folder in {tempfile.gettempdir()}:"
    assert "No space left on device" in said[0]
    assert "IMPORT_RES" not in str(said)


def test_a_keyring_without_a_key_is_to_be_written_anew(keyring: EncryptionSettings) -> None:
    assert keyring.keyring is not None
    for text in ("", "-----BEGIN"):
        keyring.keyring.write_text(text)
        with pytest.raises(UnusableKey, match="no public key in it; write it anew"):
            _prepared(keyring)
