"""Encryption with gpg: the command in the pipeline, and the proof beforehand that it will work."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from s3napback.config.settings import EncryptionSettings
from s3napback.encryption.key import Key
from s3napback.encryption.keys import PRIVATE_HOME_OPTIONS, KeyRing, expiry_warning, require_home
from s3napback.errors import UnusableKey, UnusableTool
from s3napback.formatting import readable
from s3napback.ownership import open_own_file, require_own
from s3napback.streams.environment import Family, child_environment

_PROBE_TIMEOUT = 60  # seconds
SIGNED_DIGEST = "metadata@s3napback"
"""Name of the remark in a signature that says of which archive it is (RFC 4880, 5.2.3.16, notation data)."""
_KEYBOX_MAGIC = b"KBXf"  # bytes 8 to 11 of a keybox (GnuPG's kbx/keybox-blob.c)


@dataclass(frozen=True)
class Encryption:
    """What encrypts archives, tried out.

    Attributes:
        fingerprints: of the recipients' primary keys.
        command: reads plaintext on its standard input, writes ciphertext on its standard output.
        warnings: keys that expire soon.
        signer: fingerprint of the primary key that signs; empty if none does.
    """

    fingerprints: tuple[str, ...]
    command: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    signer: str = ""

    def command_for(self, digest: str) -> tuple[str, ...]:
        """The command for one archive; a signature tells the digest of its metadata, ``archives.metadata_digest``."""
        program, *options = self.command
        return (program, "--sig-notation", f"{SIGNED_DIGEST}={digest}", *options) if self.signer else self.command


def encrypt_command(
    fingerprints: Sequence[str], home: Path | None, trust_always: bool, signer: str = ""
) -> tuple[str, ...]:
    """The arguments of gpg for encrypting a stream.

    The user's ``gpg.conf`` counts where it adds to security (``encrypt-to``, ``throw-keyids``, ciphers), not where it
    would change the format.

    Args:
        fingerprints: of the recipients' primary keys, complete.
        home: None is gpg's own choice.
        trust_always: for a home of our own, whose keys somebody else has vouched for.
        signer: fingerprint of the primary key that signs; empty signs nothing.
    """
    own_home = () if home is None else ("--homedir", str(home))
    trust = (*PRIVATE_HOME_OPTIONS, "--trust-model", "always") if trust_always else ()
    recipients = [argument for fingerprint in fingerprints for argument in ("--recipient", fingerprint)]
    return (
        *("gpg", "--batch", "--no-tty", "--quiet", *own_home, *trust),
        # The data is compressed already, if it is to be.
        *("-z", "0", "--no-armor", "--no-auto-key-locate", "--no-random-seed-file"),
        # At night there is nobody who could be asked for a passphrase.
        *(("--pinentry-mode", "error", "--local-user", signer, "--sign") if signer else ()),
        *(*recipients, "--output", "-", "--encrypt"),
    )


@contextmanager
def prepare_encryption(settings: EncryptionSettings, today: date) -> Iterator[Encryption | None]:
    """Look up the recipients and encrypt a probe to them; while the context lasts, the command works.

    Args:
        settings: None is yielded if they name no recipient. A keyring file takes the place of a home; naming it in the
            configuration vouches for all its keys, so none of them has to be trusted by gpg.
        today: for warning of keys that expire soon.

    Raises:
        UnusableKey: a recipient cannot be encrypted to. The message says why, and what to do.
        UnusableTool: gpg is missing.
    """
    if not settings.recipients:
        yield None
        return
    if shutil.which("gpg") is None:
        raise UnusableTool("GpgRecipient is set, but gpg is not installed, or not on PATH")
    with contextlib.ExitStack() as stack:
        home, ring = stack.enter_context(_open_ring(settings))
        keys = _find_all(ring, settings.recipients)
        fingerprints = tuple(dict.fromkeys(key.fingerprint for key in keys))
        vouched_for = settings.keyring is not None
        signer = ring.find_signer(settings.sign_key) if settings.sign_key else None
        sign_with = signer.fingerprint if signer else ""
        command = encrypt_command(fingerprints, home, trust_always=vouched_for, signer=sign_with)
        untrusted = [] if vouched_for else [key for key in keys if not key.is_trusted]
        _try_out(command, fingerprints, untrusted, ring.gpg, sign_with)
        watched = [*keys, *([replace(signer, encryption_subkeys=())] if signer else [])]
        warnings = dict.fromkeys(warning for key in watched if (warning := expiry_warning(key, today, ring.gpg)))
        yield Encryption(fingerprints, command, tuple(warnings), sign_with)


def signer_fingerprint(settings: EncryptionSettings) -> str:
    """Whose signatures count: the fingerprint of GpgSignKey's primary key, of which the public part is enough.

    Raises:
        UnusableKey: GpgSignKey is not set, there is no such key, or it is not certain whose it is.
        UnusableTool: gpg is missing.
    """
    if not settings.sign_key:
        raise UnusableKey("--require-signature: set GpgSignKey to the key by which archives must be signed")
    require_home(settings.home, os.environ)
    return KeyRing(settings.home).find_witness(settings.sign_key).fingerprint


@contextmanager
def _open_ring(settings: EncryptionSettings) -> Iterator[tuple[Path | None, KeyRing]]:
    """The home that gpg is to use, and the keys in it."""
    if settings.keyring is None:
        require_home(settings.home, os.environ)
        yield settings.home, KeyRing(settings.home)
        return
    try:
        require_own(Path(tempfile.gettempdir()), shared=True)
    except FileNotFoundError as error:
        raise UnusableKey(f"GpgKeyring: {error.strerror}: set TMPDIR to one that can be written to") from error
    with tempfile.TemporaryDirectory(prefix="s3napback-gpg-") as folder:
        home = Path(folder)
        ring = KeyRing(home, private=True)
        if not ring.take_in(_importable(settings.keyring, home)):
            raise UnusableKey(f"GpgKeyring {settings.keyring}: no public key in it")
        yield home, ring


def _find_all(ring: KeyRing, recipients: Sequence[str]) -> list[Key]:
    """One key for each recipient; all that is wrong is told at once."""
    keys: list[Key] = []
    problems: list[str] = []
    for recipient in recipients:
        try:
            keys.append(ring.find(recipient))
        except UnusableKey as error:
            problems += error.lines
    if problems:
        raise UnusableKey(*problems)
    return keys


def _importable(keyring: Path, folder: Path) -> Path:
    """A file with the keys of ``keyring`` that gpg imports: exported ones or an old keyring, and so no keybox.

    A keybox is not put into the home as it is, because importing is what drops names that a key has not signed.

    Args:
        folder: for what is made of a keybox.
    """
    try:
        with os.fdopen(open_own_file(keyring), "rb") as file:
            if file.read(12)[8:] != _KEYBOX_MAGIC:
                return keyring
            file.seek(0)
            source = folder / "keybox"
            source.mkdir(mode=0o700)
            with (source / "pubring.kbx").open("xb") as copy:
                shutil.copyfileobj(file, copy)
        exported = folder / "exported"
        exported.write_bytes(KeyRing(source, private=True).export())
    except OSError as error:
        raise UnusableKey(f"GpgKeyring {keyring} cannot be read: {error.strerror}") from error
    return exported


def _try_out(
    command: Sequence[str], fingerprints: Sequence[str], untrusted: Sequence[Key], gpg: str, signer: str
) -> None:
    """Encrypt a few bytes exactly as archives will be.

    Only this shows for certain whether gpg takes an untrusted key: its configuration may say that all are trusted.
    """
    names = ", ".join(fingerprints)
    try:
        done = subprocess.run(
            command,
            input=b"probe",
            capture_output=True,
            env=child_environment(os.environ, Family.GPG),
            timeout=_PROBE_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise UnusableKey(f"gpg did not encrypt to {names} within {_PROBE_TIMEOUT} seconds") from error
    except OSError as error:
        raise UnusableTool(f"gpg cannot be started: {error.strerror}") from error
    if done.returncode == 0 and done.stdout:
        return
    advice = [_describe_untrusted(key, gpg) for key in untrusted]
    words = [f"  {readable(line)}" for line in done.stderr.splitlines()]
    if signer and b"No pinentry" in done.stderr:
        raise UnusableKey(
            f"GpgSignKey: gpg does not sign with {signer} unless it is told a passphrase, and at night nobody does:",
            *words,
            f"take the passphrase off with: {gpg} --passwd {signer}",
        )
    raise UnusableKey(f"gpg does not encrypt to {names}:", *words, *advice)


def _describe_untrusted(key: Key, gpg: str) -> str:
    return (
        f"{key.fingerprint} {key.user} is not trusted; compare the fingerprint with the key's owner, then run: "
        f"{gpg} --edit-key {key.fingerprint} trust (and choose 5), or: {gpg} --quick-lsign-key {key.fingerprint}"
    )
