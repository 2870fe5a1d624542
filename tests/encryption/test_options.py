"""Whatever gpg's own settings say, an archive is the same sort of thing, and is read alike."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from s3napback.config.settings import EncryptionSettings
from s3napback.encryption import options, running
from s3napback.encryption.gpg import Encryption, prepare_encryption
from s3napback.encryption.openpgp import PacketReader, literal_content
from s3napback.encryption.options import Purpose, gpg_command, select_options
from s3napback.errors import ChangeableByOthers, UnusableTool
from s3napback.recovery.opening.decrypting import Decryption
from tests.encryption.test_encryption import TODAY
from tests.gpg_keys import GpgHome, gpg_home
from tests.site import Site

DATA = b"".join(bytes([number]) + b" \t\r\nline \n" for number in range(256)) * 50

# All options in gpg(1) of 2.2 and 2.4 that could make an archive, what is read of one, or what keys are found, another.
# Of each the worst value.
HARMFUL = (
    *("armor", "armour", "textmode", "mimemode", "rfc2440-text", "no-literal", "set-filesize 5", "set-filename x"),
    *("for-your-eyes-only", "compress-algo bzip2", "compress-level 9", "bzip2-compress-level 9", "z 9"),
    *("comment x", "emit-version", "not-dash-escaped", "escape-from-lines", "input-size-hint 1", "chunk-size 6"),
    *("output /dev/null", "max-output 1000", "dry-run", "list-only", "unwrap", "skip-verify", "multifile"),
    *("use-embedded-filename", "enable-special-filenames", "mangle-dos-filenames", "interactive", "no-batch"),
    *("passphrase-fd 0", "command-fd 0", "status-fd 1", "logger-fd 1", "attribute-fd 1", "log-file /dev/stdout"),
    *("status-file /dev/stdout", "override-session-key 9:00", "override-session-key-fd 0", "passphrase x"),
    *("rfc1991", "rfc2440", "rfc4880", "rfc4880bis", "openpgp", "gnupg", "pgp6", "pgp7", "pgp8", "compliance pgp6"),
    *("disable-mdc", "no-force-mdc", "force-aead", "force-ocb", "ignore-mdc-error", "ignore-crc-error"),
    *("allow-multiple-messages", "faked-system-time 20010101T000000!", "include-key-block", "local-user nobody"),
    *("default-key nobody", "default-recipient nobody", "default-recipient-self", "encrypt-to-default-key"),
    *("recipient-file /dev/null", "hidden-recipient-file /dev/null", "personal-compress-preferences Z3"),
    *("s2k-mode 0", "s2k-cipher-algo IDEA", "sig-notation a@b=c", "set-notation a@b=c", "sig-policy-url http://x"),
    *("with-colons", "fixed-list-mode", "legacy-list-mode", "fast-list-mode", "with-sig-list", "with-secret"),
    *("list-options show-only-fpr-mbox", "keyid-format short", "utf8-strings", "charset iso-8859-1", "debug-all"),
    *("display-charset iso-8859-1", "export-options export-minimal", "import-options import-show", "verbose"),
    *("export-filter drop-subkey=secret=0", "import-filter drop-sig=usage=s", "auto-key-locate wkd", "yes", "no"),
    *("allow-non-selfsigned-uid", "expert", "exec-path /nonexistent", "homedir /nonexistent", "options /nonexistent"),
    # A command may stand there as well as any option.
    *("sign", "clearsign", "detach-sign", "symmetric", "store", "decrypt", "list-keys", "list-packets", "enarmor"),
    *("export", "import", "version", "gen-random", "print-md sha256", "edit-key x", "delete-keys x", "server"),
    *("digest-algo MD5", "digest-algo h1", "personal-digest-preferences SHA256 MD5", "personal-digest-prefs h1,h8"),
    *("no-such-option", "[ignore]"),
)

COUNTED = (
    *("encrypt-to second@example.org", "hidden-encrypt-to second@example.org", "recipient second@example.org"),
    *("hidden-recipient second@example.org", "throw-keyids", "no-throw-keyids", "no-encrypt-to"),
    *("cipher-algo TWOFISH", "personal-cipher-preferences TWOFISH", "disable-cipher-algo 3DES"),
    *("digest-algo SHA512", "personal-digest-preferences SHA512", "trust-model always", "always-trust"),
    *("marginals-needed 2", "completes-needed 2", "max-cert-depth 3", "min-cert-level 1", "min-rsa-length 2048"),
    *("weak-digest SHA1", "lock-once", "lock-multiple", "lock-never", "keyring KEYRING", "trustdb-name TRUST"),
    *("tofu-default-policy good", "exit-on-status-write-error", "disable-dirmngr", "agent-program gpg-agent"),
    *("try-all-secrets", "try-secret-key second@example.org", "pinentry-mode error", "require-secmem"),
)


@pytest.fixture(scope="module")
def home() -> Iterator[GpgHome]:
    with gpg_home() as made:
        made.make_key("first@example.org")
        made.make_key("second@example.org")
        yield made


@pytest.fixture(autouse=True)
def _without_settings(home: GpgHome) -> Iterator[None]:
    yield
    for path in home.path.glob("*.conf*"):
        path.unlink()


def prepared(home: GpgHome, *, sign: bool = False) -> Encryption:
    settings = EncryptionSettings(("first@example.org",), home=home.path, sign_key="first@example.org" if sign else "")
    with prepare_encryption(settings, TODAY) as encryption:
        assert encryption is not None
        return encryption


def piped(command: Sequence[str], data: bytes) -> bytes:
    return subprocess.run(command, input=data, capture_output=True, check=True).stdout


def write_and_read(home: GpgHome, *, sign: bool = False) -> bytes:
    """The archive of ``DATA``, after it was read by us and was found to be what it should."""
    stored = piped(prepared(home, sign=sign).command, DATA)
    assert piped(Decryption(home.path).stage().command, stored) == DATA
    packets = PacketReader()
    packets.read(memoryview(stored))
    assert packets.is_whole
    assert not packets.flaw
    return stored


@pytest.mark.parametrize("name", ["gpg.conf", "gpg.conf-2", "gpg.conf-2.2", "gpg.conf-2.4", "common.conf"])
@pytest.mark.parametrize("sign", [False, True], ids=["encrypted", "signed"])
def test_an_archive_is_the_same_whatever_all_of_gpgs_options_together_say(home: GpgHome, name: str, sign: bool) -> None:
    # gpg 2.4 refuses to run where common.conf holds what it does not know.
    lines = ["log-file /dev/stdout"] if name == "common.conf" else HARMFUL
    (home.path / name).write_text("".join(f"{line}\n" for line in lines))
    stored = write_and_read(home, sign=sign)
    for each in home.path.glob("*.conf*"):
        each.unlink()
    assert home.decrypt(stored) == DATA, "by plain gpg"
    inside = home.run("--list-packets", stdin=stored).decode()
    assert "mode b (62)" in inside
    assert "compressed" not in inside


@pytest.mark.parametrize("line", HARMFUL)
@pytest.mark.parametrize("purpose", Purpose)
def test_nothing_of_what_could_do_harm_reaches_gpg(line: str, purpose: Purpose) -> None:
    assert select_options([line, f"--{line}", f"\t{line.replace(' ', chr(9))}"], purpose) == []


@pytest.mark.parametrize("line", COUNTED)
def test_what_counts_leaves_an_archive_readable(home: GpgHome, line: str, tmp_path: Path) -> None:
    words = {"KEYRING": str(tmp_path / "more.gpg"), "TRUST": str(home.path / "trustdb.gpg")}
    (tmp_path / "more.gpg").write_bytes(home.export())
    name, _, value = line.partition(" ")
    line = f"{name} {words.get(value, value)}".strip()
    assert any(select_options([line], purpose) for purpose in Purpose)
    # gpg ends with an error if it had to try the wrong key of a hidden recipient first.
    hidden = "try-secret-key second@example.org\n" if name.startswith("hidden") else ""
    (home.path / "gpg.conf").write_text(f"# a comment\n\n  {line}\n{hidden}")
    write_and_read(home)


def test_a_second_recipient_of_gpgs_own_settings_can_read_archives(home: GpgHome) -> None:
    (home.path / "gpg.conf").write_text('encrypt-to "second@example.org"\n')
    packets = home.run("--list-packets", stdin=write_and_read(home))
    assert packets.count(b":pubkey enc packet") == 2


@pytest.mark.parametrize(
    "settings",
    [
        b"\xef\xbb\xbfencrypt-to second@example.org\n",
        b"encrypt-to\x0bsecond@example.org\x0c\r\n",
        b'\x0cencrypt-to\t"second@example.org"\r\n',
        b"encrypt-to second@example.org\0x\n",
    ],
    ids=["byte order mark", "vertical tab", "form feed", "zero byte"],
)
def test_settings_are_read_as_gpg_reads_them(home: GpgHome, settings: bytes) -> None:
    (home.path / "gpg.conf").write_bytes(settings)
    by_gpg = home.run("--recipient", "first@example.org", "--encrypt", stdin=DATA)
    for written in (by_gpg, write_and_read(home)):
        assert home.run("--list-packets", stdin=written).count(b":pubkey enc packet") == 2


def test_settings_that_are_nowhere_are_none(home: GpgHome) -> None:
    (home.path / "gpg.conf").symlink_to("/dev/null")
    write_and_read(home)
    (home.path / "gpg.conf").unlink()
    (home.path / "gpg.conf").symlink_to("/dev/zero")
    with pytest.raises(ChangeableByOthers, match="/dev/zero"):
        prepared(home)


def test_what_gpg_tells_programs_is_not_shown_to_people(home: GpgHome) -> None:
    (home.path / "gpg.conf").write_text("trust-model nonsense\n")
    with pytest.raises(UnusableTool, match="unknown trust model 'nonsense'") as caught:
        prepared(home)
    assert "GNUPG" not in str(caught.value)


def test_settings_of_the_whole_machine_count_like_those_of_a_home(
    home: GpgHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = tmp_path / "gpg.conf"
    system.write_text("textmode\nencrypt-to second@example.org\n")
    monkeypatch.setattr(options, "SYSTEM_FILE", system)
    packets = home.run("--list-packets", stdin=write_and_read(home))
    assert packets.count(b":pubkey enc packet") == 2


def test_every_command_that_runs_gpg_begins_by_refusing_its_settings(home: GpgHome) -> None:
    for purpose in Purpose:
        assert gpg_command(home.path, purpose)[:2] == ("gpg", "--no-options")
    assert prepared(home).command[:2] == ("gpg", "--no-options")
    assert Decryption(home.path).stage().command[:2] == ("gpg", "--no-options")


@pytest.mark.parametrize("option", ["--textmode", "--no-literal", "--armor", "--set-filename x", "-z 9"])
def test_a_program_called_gpg_that_changes_what_it_is_given_is_refused(
    home: GpgHome, option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Site(tmp_path / "site")
    site.fake_program("gpg", f'exec REAL "$@" {option}' if " " not in option else f'exec REAL {option} "$@"')
    monkeypatch.setenv("PATH", site.environment["PATH"])
    if option == "-z 9":
        write_and_read(home)  # ours, which comes later, holds
        return
    with pytest.raises(UnusableTool, match=r"gpg changes what it is given|is no archive|cannot be used"):
        prepared(home)


@pytest.mark.parametrize(
    ("message", "flaw"),
    [
        (b"-----BEGIN PGP MESSAGE-----\n", "not made of OpenPGP packets"),
        (bytes([0xCB, 7]) + b"b\0\0\0\0\0x", "type 11"),
        (bytes([0xC3, 1, 0]), "type 3"),
        (bytes([0xD2, 1, 0]), "type 18"),
        (bytes([0xC1, 1, 0, 0xCB, 1, 0]), "type 11"),
        (bytes([0xC1, 1, 0, 0xD2, 1, 0, 0xCB, 1]), "type 11"),
        (bytes([0xC1, 1, 0, 0xC1, 1, 0, 0xD2, 1, 0]), ""),
        (bytes([0xC1, 1, 0, 0xD4, 1, 0]), ""),
    ],
)
def test_packets_in_the_wrong_place_are_told_at_once(message: bytes, flaw: str) -> None:
    for size in (1, len(message)):
        packets = PacketReader()
        for start in range(0, len(message), size):
            packets.read(memoryview(message)[start : start + size])
        assert flaw in packets.flaw
        assert bool(flaw) == bool(packets.flaw)


def test_only_plain_binary_data_is_taken_for_what_gpg_should_write() -> None:
    assert literal_content(bytes([0xCB, 7]) + b"b\0\0\0\0\0x") == b"x"
    assert literal_content(bytes([0xCB, 7]) + b"t\0\0\0\0\0x") is None
    assert literal_content(bytes([0xCB, 8]) + b"b\1n\0\0\0\0x") is None
    assert literal_content(bytes([0xCB, 8]) + b"b\0\0\0\0\0x") is None
    assert literal_content(b"") is None


def test_nothing_is_stored_of_what_is_no_encrypted_message(home: GpgHome, tmp_path: Path) -> None:
    site = Site(tmp_path / "site")
    (site.source / "file").write_text("plain words")
    key = home.fingerprints()[0]
    site.configure(f"<Cycle c>\nDirectory {site.source}\n</Cycle>", general=f"GpgHome {home.path}\nGpgRecipient {key}")
    began = tmp_path / "began"
    # Whatever it was at the look beforehand, it is another program when the archive comes.
    site.fake_program(
        "gpg",
        f'case "$*" in *--encrypt) [ -e {began} ] && exec cat; touch {began};; esac; exec REAL "$@"',
    )
    done = site.run(expect=1)
    assert "what gpg wrote is no archive" in done.stderr
    assert not any(path.is_file() for path in (site.root / "store").rglob("*-FULL"))


@pytest.mark.parametrize("command", ["--list-keys", "--store"])
def test_a_gpg_that_waits_for_ever_is_given_up_in_its_own_words(
    home: GpgHome, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Site(tmp_path / "site")
    waiting = 'for _ in 1 2 3; do echo "gpg: waiting for lock (held by 4711)" >&2; done; exec sleep 60'
    site.fake_program("gpg", f'case "$*" in *{command}*) {waiting};; esac; exec REAL "$@"')
    monkeypatch.setenv("PATH", site.environment["PATH"])
    monkeypatch.setattr(running, "ANSWER_TIMEOUT", 0.5)
    with pytest.raises(UnusableTool) as caught:
        prepared(home)
    assert "within 0.5 seconds" in str(caught.value)
    assert str(caught.value).count("held by 4711") == 1


def test_a_home_that_is_open_to_others_is_said_once_beforehand(home: GpgHome) -> None:
    home.path.chmod(0o755)
    try:
        encryption = prepared(home)
        done = subprocess.run(encryption.command, input=DATA, capture_output=True, check=True)
    finally:
        home.path.chmod(0o700)
    (warning,) = encryption.warnings
    assert f"chmod 700 {home.path}" in warning
    assert done.stderr == b""
    assert prepared(home).warnings == ()


def test_what_gpg_warns_of_with_every_archive_is_said_once_beforehand(home: GpgHome, tmp_path: Path) -> None:
    site = Site(tmp_path / "site")
    folders = [site.root / name for name in ("one", "two", "three")]
    for folder in folders:
        folder.mkdir()
        (folder / "file").write_text("content")
    key = home.fingerprints()[0]
    lines = "\n".join(f"Directory {folder}" for folder in folders)
    site.configure(f"<Cycle c>\n{lines}\n</Cycle>", general=f"GpgHome {home.path}\nGpgRecipient {key}")
    (home.path / "gpg.conf").write_text("cipher-algo TWOFISH\n")
    done = site.run("--strict", expect=3)
    assert done.stderr.count("TWOFISH (10) violates recipient preferences") == 1
    assert "WARNING s3napback: with every archive gpg says: gpg: WARNING: forcing" in done.stderr
    assert "3 done, 0 skipped, 0 failed" in done.stderr
