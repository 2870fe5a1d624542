"""Keys that cannot be used are told apart before anything is dumped; the others encrypt what gpg decrypts."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

import pytest

from s3napback.config.settings import EncryptionSettings
from s3napback.encryption.gpg import Encryption, encrypt_command, prepare_encryption
from s3napback.errors import UnusableKey, UnusableTool
from tests.gpg_keys import GpgHome, gpg_home

TODAY = datetime.now(tz=timezone.utc).astimezone().date()
DATA = bytes(range(256)) * 1000


@pytest.fixture
def home() -> Iterator[GpgHome]:
    with gpg_home() as home:
        yield home


@pytest.fixture
def other() -> Iterator[GpgHome]:
    """Whoever has the secret keys: another machine."""
    with gpg_home() as home:
        yield home


def prepared(home: GpgHome, *recipients: str, today: date = TODAY) -> Encryption:
    with prepare_encryption(EncryptionSettings(recipients, home=home.path), today) as encryption:
        assert encryption is not None
        return encryption


def refusal(home: GpgHome, *recipients: str) -> str:
    with pytest.raises(UnusableKey) as caught:
        prepared(home, *recipients)
    return "\n".join(caught.value.lines)


def encrypted(encryption: Encryption, data: bytes = DATA) -> bytes:
    return subprocess.run(encryption.command, input=data, capture_output=True, check=True).stdout


def files_of(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


@pytest.mark.parametrize(
    "form",
    [
        "address",
        "address in brackets",
        "ADDRESS",
        "user id",
        "exact user id",
        "key id",
        "0x key id",
        "fingerprint",
        "spaced",
    ],
)
def test_a_recipient_may_be_written_in_several_ways(home: GpgHome, form: str) -> None:
    key = home.make_key("Vault Keeper <vault@example.org>")
    recipient = {
        "address": "vault@example.org",
        "address in brackets": "<vault@example.org>",
        "ADDRESS": "VAULT@Example.org",
        "user id": "Vault Keeper <vault@example.org>",
        "key id": key[-16:].lower(),
        "0x key id": f"0x{key[-16:]}",
        "fingerprint": key,
        "spaced": " ".join(key[at : at + 4] for at in range(0, 40, 4)),
        "exact user id": "=Vault Keeper <vault@example.org>",
    }[form]
    encryption = prepared(home, recipient)
    assert encryption.fingerprints == (key,)
    assert encryption.warnings == ()
    assert home.decrypt(encrypted(encryption)) == DATA


def test_a_name_outside_ascii_is_found(home: GpgHome) -> None:
    key = home.make_key("Jürgen Größe")
    assert prepared(home, "Jürgen Größe").fingerprints == (key,)


def test_each_of_several_recipients_can_decrypt(home: GpgHome, other: GpgHome) -> None:
    mine = home.make_key("one@example.org")
    theirs = other.make_key("two@example.org")
    home.take_in(other.export(theirs))
    home.trust(theirs)
    encryption = prepared(home, "one@example.org", "two@example.org", mine)
    assert encryption.fingerprints == (mine, theirs)
    stored = encrypted(encryption)
    assert home.decrypt(stored) == DATA
    assert other.decrypt(stored) == DATA


def test_without_recipients_there_is_no_encryption() -> None:
    with prepare_encryption(EncryptionSettings(), TODAY) as encryption:
        assert encryption is None


def test_an_unknown_recipient_is_told(home: GpgHome) -> None:
    home.make_key("known@example.org")
    message = refusal(home, "stranger@example.org")
    assert "stranger@example.org" in message
    assert "no such public key" in message
    assert f"gpg --homedir {home.path} --import" in message


def test_everything_wrong_with_several_recipients_is_told_at_once(home: GpgHome) -> None:
    home.make_key("known@example.org")
    message = refusal(home, "first@example.org", "known@example.org", "second@example.org")
    assert "first@example.org" in message
    assert "second@example.org" in message
    assert "known@example.org" not in message


def test_two_usable_keys_of_one_address_are_ambiguous(home: GpgHome) -> None:
    keys = [home.make_key(f"{name} <both@example.org>") for name in ("old", "new")]
    message = refusal(home, "both@example.org")
    assert "ambiguous" in message
    assert all(key in message for key in keys)
    assert prepared(home, keys[1]).fingerprints == (keys[1],)


def test_a_key_replaced_after_its_revocation_leaves_nothing_ambiguous(home: GpgHome) -> None:
    old = home.make_key("old <both@example.org>")
    home.revoke(old)
    new = home.make_key("new <both@example.org>")
    assert prepared(home, "both@example.org").fingerprints == (new,)


def test_a_trusted_key_is_preferred_to_a_stranger_of_the_same_address(home: GpgHome, other: GpgHome) -> None:
    home.take_in(other.export(other.make_key("stranger <both@example.org>")))
    mine = home.make_key("mine <both@example.org>")
    assert prepared(home, "both@example.org").fingerprints == (mine,)


def test_an_expired_key_is_told(home: GpgHome) -> None:
    key = home.make_key("old@example.org", made="20200101T000000", expires="2020-06-01")
    message = refusal(home, "old@example.org")
    assert "has expired on 2020-" in message
    assert f"--quick-set-expire {key} 1y" in message
    assert "subkey" not in message


def test_an_expired_subkey_is_told(home: GpgHome) -> None:
    key = home.make_key("old@example.org", usage="sign", algorithm="ed25519", made="20200101T000000")
    home.run(
        *("--faked-system-time", "20200102T000000!", "--passphrase", ""),
        *("--quick-add-key", key, "cv25519", "encr", "2020-06-01"),
    )
    message = refusal(home, "old@example.org")
    assert "its encryption subkey has expired on 2020-" in message
    assert f"--quick-set-expire {key} 1y '*'" in message


def test_a_revoked_key_is_told(home: GpgHome) -> None:
    home.revoke(home.make_key("gone@example.org"))
    assert "is revoked" in refusal(home, "gone@example.org")


def test_a_revoked_subkey_is_told(home: GpgHome) -> None:
    key = home.make_key("half@example.org")
    answers = b"y\n0\n\ny\n"
    home.run("--command-fd", "0", "--edit-key", key, "key 1", "revkey", "save", stdin=answers)
    assert "its encryption subkey is revoked" in refusal(home, "half@example.org")


def test_a_disabled_key_is_told(home: GpgHome) -> None:
    key = home.make_key("off@example.org")
    home.edit(key, "disable")
    message = refusal(home, "off@example.org")
    assert "is disabled" in message
    assert f"--edit-key {key} enable" in message
    home.edit(key, "enable")
    assert prepared(home, "off@example.org").fingerprints == (key,)


def test_a_key_made_only_for_signing_is_told(home: GpgHome) -> None:
    home.make_key("sign@example.org", usage="sign", algorithm="ed25519")
    assert "it has no encryption subkey" in refusal(home, "sign@example.org")


def test_an_untrusted_key_is_told_and_how_to_trust_it(home: GpgHome, other: GpgHome) -> None:
    key = other.make_key("away@example.org")
    home.take_in(other.export(key))
    message = refusal(home, "away@example.org")
    assert f"{key} away@example.org is not trusted" in message
    assert f"--edit-key {key} trust" in message
    assert "There is no assurance" in message, "gpg's own words"
    home.trust(key)
    assert other.decrypt(encrypted(prepared(home, "away@example.org"))) == DATA


def test_a_configuration_of_gpg_that_trusts_all_keys_is_respected(home: GpgHome, other: GpgHome) -> None:
    key = other.make_key("away@example.org")
    home.take_in(other.export(key))
    (home.path / "gpg.conf").write_text("trust-model always\n")
    assert other.decrypt(encrypted(prepared(home, "away@example.org"))) == DATA


def test_a_failing_probe_is_told_in_the_words_of_gpg(home: GpgHome) -> None:
    home.make_key("good@example.org")
    (home.path / "gpg.conf").write_text("encrypt-to nobody@example.org\n")
    message = refusal(home, "good@example.org")
    assert "gpg: nobody@example.org: skipped: No public key" in message


@pytest.mark.parametrize(("days", "warned"), [(10, True), (60, False)])
def test_a_key_that_expires_within_thirty_days_is_warned_of(home: GpgHome, days: int, warned: bool) -> None:
    key = home.make_key("soon@example.org", expires=f"{days}d")
    warnings = prepared(home, "soon@example.org").warnings
    assert [key in warning and "expires on" in warning for warning in warnings] == [True] * warned
    later = prepared(home, "soon@example.org", today=TODAY + timedelta(days=days - 5)).warnings
    assert len(later) == 1, "the notice is counted from the day that is passed in"


def test_a_subkey_that_expires_soon_is_warned_of(home: GpgHome) -> None:
    key = home.make_key("soon@example.org", usage="sign", algorithm="ed25519")
    home.run("--passphrase", "", "--quick-add-key", key, "cv25519", "encr", "10d")
    assert len(prepared(home, "soon@example.org").warnings) == 1
    home.run("--passphrase", "", "--quick-add-key", key, "cv25519", "encr", "never")
    assert prepared(home, "soon@example.org").warnings == ()


@pytest.mark.parametrize("recipient", ["-v", "--delete-keys", "--output=/tmp/x"])
def test_a_recipient_is_never_an_option(home: GpgHome, recipient: str) -> None:
    home.make_key("known@example.org")
    assert f"GpgRecipient {recipient}:" in refusal(home, recipient)


def test_a_single_subkey_cannot_be_chosen(home: GpgHome) -> None:
    key = home.make_key("known@example.org")
    assert "leave out the exclamation mark" in refusal(home, f"{key}!")


def test_settings_of_the_user_that_would_change_the_format_do_not_count(home: GpgHome) -> None:
    home.make_key("plain@example.org")
    (home.path / "gpg.conf").write_text("armor\ncompress-algo bzip2\ncompress-level 9\nthrow-keyids\n")
    stored = encrypted(prepared(home, "plain@example.org"))
    assert not stored.startswith(b"-----BEGIN")
    assert len(stored) > len(DATA), "not compressed"
    packets = home.run("--list-packets", stdin=stored)
    assert b"compressed packet" not in packets
    assert b"keyid 0000000000000000" in packets, "throw-keyids stays the user's choice"
    assert home.decrypt(stored) == DATA


def test_looking_and_encrypting_leave_the_users_home_as_it_was(home: GpgHome) -> None:
    home.make_key("still@example.org")
    home.run("--list-keys")  # a due check of the trust database is gpg's own affair
    before = files_of(home.path)
    encrypted(prepared(home, "still@example.org"))
    assert files_of(home.path) == before


def test_a_home_that_was_never_used_stays_untouched(home: GpgHome) -> None:
    assert f"no gpg keys in {home.path}" in refusal(home, "any@example.org")
    assert files_of(home.path) == {}


@pytest.mark.parametrize("variable", ["GNUPGHOME", "HOME"])
def test_gpgs_own_choice_of_a_home_is_not_created(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.delenv("GNUPGHOME", raising=False)
    monkeypatch.setenv(variable, str(tmp_path / "nowhere"))
    with pytest.raises(UnusableKey, match="does not exist; set GpgHome"):
        with prepare_encryption(EncryptionSettings(("any@example.org",)), TODAY):
            pass
    assert list(tmp_path.iterdir()) == []


def test_gpgs_own_choice_of_a_home_is_used(home: GpgHome, monkeypatch: pytest.MonkeyPatch) -> None:
    key = home.make_key("mine@example.org")
    monkeypatch.setenv("GNUPGHOME", str(home.path))
    with prepare_encryption(EncryptionSettings(("mine@example.org",)), TODAY) as encryption:
        assert encryption is not None
        assert encryption.fingerprints == (key,)
        assert "--homedir" not in encryption.command


def test_a_missing_gpg_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnusableTool, match="gpg is not installed"):
        with prepare_encryption(EncryptionSettings(("any@example.org",)), TODAY):
            pass


def test_a_broken_configuration_of_gpg_is_told(home: GpgHome) -> None:
    home.make_key("good@example.org")
    (home.path / "gpg.conf").write_text("cipher-algo rot13\n")
    with pytest.raises(UnusableTool, match="selected cipher algorithm is invalid"):
        prepared(home, "good@example.org")


@pytest.mark.parametrize("options", [(), ("--armor",)])
def test_a_keyring_with_the_secret_key_in_it_is_warned_of(tmp_path: Path, options: tuple[str, ...]) -> None:
    keyring = tmp_path / "ring"
    with gpg_home() as other:
        key = other.make_key("Ring <ring@example.org>")
        for command, words in (("--export-secret-keys", ["holds a secret key: whoever breaks in"]), ("--export", [])):
            keyring.write_bytes(other.run(*options, command, key))
            with prepare_encryption(EncryptionSettings((key,), keyring=keyring), TODAY) as encryption:
                assert encryption is not None
                assert len(encryption.warnings) == len(words)
                assert all(word in warning for word, warning in zip(words, encryption.warnings, strict=True))


@pytest.mark.parametrize("form", ["binary", "armoured", "keybox", "keyring of gpg 1"])
def test_a_keyring_file_is_used_without_being_trusted(
    home: GpgHome, other: GpgHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    key = other.make_key("ring@example.org")
    keyring = tmp_path / "ring"
    if form == "keybox":
        keyring.write_bytes((other.path / "pubring.kbx").read_bytes())
    elif form == "keyring of gpg 1":
        keyring.touch()
        home.run("--no-default-keyring", "--keyring", str(keyring), "--import", stdin=other.export(key))
        assert not keyring.read_bytes()[8:].startswith(b"KBXf")
    else:
        keyring.write_bytes(other.run(*(["--armor"] if form == "armoured" else []), "--export", key))
    monkeypatch.setenv("GNUPGHOME", str(tmp_path / "nowhere"))
    with prepare_encryption(EncryptionSettings(("ring@example.org",), keyring=keyring), TODAY) as encryption:
        assert encryption is not None
        assert encryption.fingerprints == (key,)
        private = Path(encryption.command[encryption.command.index("--homedir") + 1])
        assert private.stat().st_mode & 0o777 == 0o700
        assert other.decrypt(encrypted(encryption)) == DATA
        assert not list(private.glob("S.*")), "no daemon was started"
    assert not private.exists()
    assert not (tmp_path / "nowhere").exists()


EMPTY_KEYBOX = bytes.fromhex("0000002001010002") + b"KBXf" + bytes(20)


@pytest.mark.parametrize(
    ("content", "expected"),
    [(None, "cannot be read: No such file"), (b"junk", "no public key"), (EMPTY_KEYBOX, "no public key")],
)
def test_a_keyring_file_without_keys_is_told(tmp_path: Path, content: bytes | None, expected: str) -> None:
    keyring = tmp_path / "ring"
    if content is not None:
        keyring.write_bytes(content)
    with pytest.raises(UnusableKey, match=expected) as caught:
        with prepare_encryption(EncryptionSettings(("any@example.org",), keyring=keyring), TODAY):
            pass
    assert str(keyring) in str(caught.value)


def test_the_private_home_is_removed_when_a_key_is_unusable(
    other: GpgHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keyring = tmp_path / "ring"
    keyring.write_bytes(other.export(other.make_key("ring@example.org")))
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    with pytest.raises(UnusableKey):
        with prepare_encryption(EncryptionSettings(("nobody@example.org",), keyring=keyring), TODAY):
            pass
    assert list(temporary.iterdir()) == []


def test_the_command_is_a_pure_function_of_its_beginning_and_keys() -> None:
    plain = encrypt_command(["gpg"], ["A" * 40, "B" * 40], trust_always=False)
    assert plain[0] == "gpg"
    assert [plain[at + 1] for at, word in enumerate(plain) if word == "--recipient"] == ["A" * 40, "B" * 40]
    assert "--trust-model" not in plain
    private = encrypt_command(["gpg", "--homedir", "/h"], ["A" * 40], trust_always=True)
    assert private[private.index("--homedir") + 1] == "/h"
    assert private[private.index("--trust-model") + 1] == "always"


def test_no_message_holds_control_characters_from_a_user_id(home: GpgHome) -> None:
    home.make_key("Evil\x1b[2J <evil@example.org>", usage="sign", algorithm="ed25519")
    message = refusal(home, "evil@example.org")
    assert "\x1b" not in message
    assert os.linesep in message
