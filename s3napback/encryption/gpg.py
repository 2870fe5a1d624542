"""Encryption with gpg: the command in the pipeline, and the proof beforehand that it will work."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import NamedTuple

from s3napback.config.settings import EncryptionSettings
from s3napback.crews import begin, has_come, result_of
from s3napback.encryption.key import Key
from s3napback.encryption.keys import KeyRing, expiry_warning, exposure_warnings, require_home
from s3napback.encryption.openpgp import PacketReader, literal_content
from s3napback.encryption.options import Purpose, gpg_command, keeps_keys_with_daemon, private_home_options
from s3napback.encryption.running import failure_of, run_gpg, words_of
from s3napback.errors import UnusableKey, UnusableTool
from s3napback.formatting import readable
from s3napback.ownership import open_own_file, require_own
from s3napback.records import dataclass
from s3napback.streams.reviews import is_warning

_PROBE = bytes(range(256)) + b"probe \t\r\nlast line \n\x1a"
"""What gpg would change if it took it for text."""
# The data is compressed already, if it is to be.
_PLAIN = ("--no-tty", "--quiet", "-z", "0", "--no-armor", "--no-textmode")
_SMALL_CHUNKS = ("--chunk-size", "16")
"""Of 64 KiB, which takes no time and 0.02 % of the size: whoever wants a file would need whole chunks of 4 MiB."""
SIGNED_DIGEST = "metadata@s3napback"
"""Name of the remark in a signature that says of which archive it is (RFC 4880, 5.2.3.16, notation data)."""
SIGNED_INDEX = "index@s3napback"
"""The same of an index, so that it cannot pass for an archive, nor an archive for it."""
_CHANGED = "since this run began, its keys have changed:"
_COPY = "keybox"  # below a private home, one for a copy of GpgKeyring
_KEYBOX_MAGIC = b"KBXf"  # bytes 8 to 11 of a keybox (GnuPG's kbx/keybox-blob.c)


@dataclass(frozen=True)
class Encryption:
    """What encrypts archives, tried out.

    Attributes:
        fingerprints: of the recipients' primary keys.
        command: reads plaintext on its standard input, writes ciphertext on its standard output.
        warnings: keys that expire soon, a home that others may look into, and what gpg says of every archive.
        signer: fingerprint of the primary key that signs; empty if none does.
        look_again: tells what is wrong with the keys by now, line by line; a run may last longer than they do.
        remarks: what gpg warns of with every archive, word for word.
    """

    fingerprints: tuple[str, ...]
    command: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    signer: str = ""
    look_again: Callable[[], Sequence[str]] = tuple
    remarks: tuple[str, ...] = ()

    def news(self, said: Sequence[str]) -> tuple[str, ...]:
        """Those of the warnings that came with an archive which are not told beforehand."""
        return tuple(line for line in said if line not in self.remarks)

    def command_for(self, digest: str) -> tuple[str, ...]:
        """The command for one archive; a signature tells the digest of its metadata, ``archives.metadata_digest``."""
        return self._telling(SIGNED_DIGEST, digest)

    def command_for_index(self, digest: str) -> tuple[str, ...]:
        """The command for the index of an archive with this digest of its metadata."""
        return self._telling(SIGNED_INDEX, digest)

    def _telling(self, name: str, digest: str) -> tuple[str, ...]:
        program, *options = self.command
        return (program, "--sig-notation", f"{name}={digest}", *options) if self.signer else self.command


def encrypt_command(
    beginning: Sequence[str],
    fingerprints: Sequence[str],
    *,
    trust_always: bool,
    signer: str = "",
    in_chunks: bool = False,
) -> tuple[str, ...]:
    """The arguments of gpg for encrypting a stream.

    Args:
        beginning: what ``gpg_command`` returns.
        fingerprints: of the recipients' primary keys, complete.
        trust_always: for a home of our own, whose keys somebody else has vouched for.
        signer: fingerprint of the primary key that signs; empty signs nothing.
        in_chunks: gpg encrypts to these keys in chunks, and knows how to make them smaller.
    """
    trust = (*private_home_options(), "--trust-model", "always") if trust_always else ()
    recipients = [argument for fingerprint in fingerprints for argument in ("--recipient", fingerprint)]
    return (
        *(*beginning, *_PLAIN, *trust, "--no-auto-key-locate", "--no-random-seed-file"),
        # At night there is nobody who could be asked for a passphrase.
        *(("--pinentry-mode", "error", "--local-user", signer, "--sign") if signer else ()),
        *(_SMALL_CHUNKS if in_chunks else ()),
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
        beginning = gpg_command(home, Purpose.WRITING, private=settings.keyring is not None)
        packing = begin(partial(_try_out_format, beginning), "gpg")
        try:
            keys = _find_all(ring, settings.recipients)
        except (UnusableKey, UnusableTool):
            has_come(packing, None)
            raise
        fingerprints = tuple(dict.fromkeys(key.fingerprint for key in keys))
        vouched_for = settings.keyring is not None
        signer = ring.find_signer(settings.sign_key) if settings.sign_key else None
        sign_with = signer.fingerprint if signer else ""
        encrypting = partial(encrypt_command, beginning, fingerprints, trust_always=vouched_for, signer=sign_with)
        command = encrypting()
        untrusted = [] if vouched_for else [key for key in keys if not key.is_trusted]
        result_of(packing)
        tried = _try_out(command, fingerprints, untrusted, ring.place.gpg, sign_with)
        if tried.is_in_chunks:
            # A gpg that does not know how makes large ones.
            with contextlib.suppress(UnusableKey, UnusableTool):
                tried = _try_out(encrypting(in_chunks=True), fingerprints, untrusted, ring.place.gpg, sign_with)
                command = encrypting(in_chunks=True)
        watched = [*keys, *([replace(signer, encryption_subkeys=())] if signer else [])]
        expiring = dict.fromkeys(warning for key in watched if (warning := expiry_warning(key, today, ring.place)))
        if settings.keyring is not None:
            exposed = _secret_warnings(beginning, settings.keyring)
        else:
            exposed = exposure_warnings(settings.home, os.environ)
        try_again = partial(_try_out, command, fingerprints, untrusted, ring.place.gpg, sign_with)
        look_again = partial(_changes, ring, settings, fingerprints, try_again)
        said = (f"with every archive gpg says: {line}" for line in tried.remarks)
        yield Encryption(fingerprints, command, (*exposed, *expiring, *said), sign_with, look_again, tried.remarks)


def _changes(
    ring: KeyRing, settings: EncryptionSettings, fingerprints: Sequence[str], try_again: Callable[[], object]
) -> Sequence[str]:
    """What has become of keys that were good before, line by line; nothing if they still are."""
    try:
        now = [key.fingerprint for key in _find_all(ring, settings.recipients)]
        if settings.sign_key:
            ring.find_signer(settings.sign_key)
        others = [each for each in dict.fromkeys(now) if each not in fingerprints]
        if not others:
            try_again()
    except UnusableKey as error:
        return (_CHANGED, *error.lines)
    except UnusableTool as error:
        return ("what has become of its keys since this run began is not known:", *error.lines)
    told = [f"GpgRecipient names another key by now, {each}: the next run encrypts to that" for each in others]
    return (_CHANGED, *told) if told else ()


def _secret_warnings(beginning: Sequence[str], keyring: Path) -> tuple[str, ...]:
    """A remark if a keyring holds what decrypts, on the very machine whose backups it is to protect."""
    packets = run_gpg((*beginning, "--list-packets", str(keyring)), "look into GpgKeyring").stdout
    if not any(line.startswith((b":secret key packet", b":secret sub key packet")) for line in packets.splitlines()):
        return ()
    warning = (
        f"GpgKeyring {keyring} holds a secret key: whoever breaks into this machine can read every archive. Keep it "
        "elsewhere, and put here what this writes: gpg --export RECIPIENT"
    )
    return (warning,)


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
    with tempfile.TemporaryDirectory(prefix="s3napback-gpg-") as folder, contextlib.ExitStack() as stack:
        home = Path(folder)
        stack.callback(_end_daemons, home)
        ring = KeyRing(home, private=True, keyring=settings.keyring)
        if words := ring.take_in(_importable(settings.keyring, home)):
            raise UnusableKey(
                f"GpgKeyring {settings.keyring}: no public key in it; write it anew with: gpg --export RECIPIENT",
                *words,
            )
        yield home, ring


def _end_daemons(folder: Path) -> None:
    """End what keeps the public keys of homes of ours, if there is such a thing."""
    if keeps_keys_with_daemon():
        for home in filter(Path.is_dir, (folder, folder / _COPY)):
            with contextlib.suppress(UnusableTool):
                run_gpg(("gpgconf", "--homedir", str(home), "--kill", "keyboxd"), "end its daemon")


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
            source = folder / _COPY
            source.mkdir(mode=0o700)
            with (source / "pubring.kbx").open("xb") as copy:
                shutil.copyfileobj(file, copy)
        exported = folder / "exported"
        exported.write_bytes(KeyRing(source, private=True).export())
    except OSError as error:
        raise UnusableKey(f"GpgKeyring {keyring} cannot be read: {error.strerror}") from error
    return exported


def _try_out_format(beginning: Sequence[str]) -> None:
    """Have a few bytes packed as those of archives are, and not encrypted, so that we can see what is made of them."""
    done = run_gpg((*beginning, *_PLAIN, "--output", "-", "--store"), "pack a few bytes", _PROBE)
    if done.returncode:
        raise UnusableTool("gpg cannot be used:", *words_of(done.stderr))
    if literal_content(done.stdout) != _PROBE:
        raise UnusableTool(
            "gpg changes what it is given: archives could not be read. What is run is gpg on PATH: look at "
            f"{shutil.which('gpg')}, which should be GnuPG's own program"
        )


class _Tried(NamedTuple):
    is_in_chunks: bool
    remarks: tuple[str, ...]


def _try_out(
    command: Sequence[str], fingerprints: Sequence[str], untrusted: Sequence[Key], gpg: str, signer: str
) -> _Tried:
    """Encrypt a few bytes exactly as archives will be, and tell what came of it.

    Only this shows for certain whether gpg takes an untrusted key: its configuration may say that all are trusted.
    """
    names = ", ".join(fingerprints)
    done = run_gpg(command, f"encrypt to {names}", _PROBE)
    if done.returncode == 0 and done.stdout:
        packets = PacketReader()
        packets.read(memoryview(done.stdout))
        if packets.flaw or not packets.is_whole:
            raise UnusableTool(f"what gpg encrypts to {names} is no archive: {packets.flaw or 'it is cut off'}")
        return _Tried(packets.is_in_chunks, tuple(filter(is_warning, map(readable, done.stderr.splitlines()))))
    advice = [_describe_untrusted(key, gpg) for key in untrusted]
    words = failure_of(done.stderr)
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
