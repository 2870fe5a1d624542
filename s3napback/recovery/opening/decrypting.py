"""How gpg decrypts an archive, whether it may ask for a passphrase, and whether a signature is the required one."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from s3napback.encryption.entering import SessionKey
from s3napback.encryption.gpg import SIGNED_DIGEST
from s3napback.encryption.options import Purpose, gpg_command
from s3napback.encryption.running import ANSWER_TIMEOUT, STATUS
from s3napback.encryption.session import SilentGpg, session_key
from s3napback.environment import Family
from s3napback.records import dataclass
from s3napback.standing import asking_until
from s3napback.streams.processes import Stage

_ENCRYPTED = (0x84, 0x85, 0x86, 0x8C, 0x8D, 0xC1, 0xC3)
"""First bytes of an encrypted message: packets of type 1 and 3 in the old and the new format (RFC 4880, 4.2, 4.3)."""
_UTF8_LEAD = 0xC3

_ANOTHER_TIMEOUT = 10.0
"""Seconds for gpg where it has not answered once: it would keep each of many archives waiting for as long."""

_mute: set[Decryption] = set()
"""With which it has not answered, in this process."""

_HELPERS = (
    "perhaps its agent does not answer: end it with gpgconf --kill gpg-agent, and it is started anew",
    "perhaps it asks for a passphrase where nobody is: begin on a terminal, or write --passphrase-file FILE",
)

HEAD_SIZE = 4
"""Bytes of an archive that tell whether it is encrypted."""


@dataclass(frozen=True)
class Decryption:
    """How gpg is to decrypt.

    Attributes:
        home: GpgHome; None is gpg's own choice.
        passphrase_file: its first line is the passphrase; None leaves asking to gpg's agent.
        signer: fingerprint of the primary key by which every archive must be signed; empty does not ask for that.
    """

    home: Path | None = None
    passphrase_file: Path | None = None
    signer: str = ""

    def stage(self, digest: str = "", *, notation: str = SIGNED_DIGEST) -> Stage:
        """The process that decrypts its standard input.

        Args:
            digest: of the archive's metadata, which the signature must tell; empty where they were lost.
            notation: in which remark it must tell that.
        """
        # A signature that nobody asks for must not matter where the key to check it is missing.
        signature = ("--status-fd", "2") if self.signer else ("--skip-verify",)
        command = (*self._beginning(), *signature, "--output", "-", "--decrypt")
        judge = partial(signature_flaw, self.signer, digest, notation=notation) if self.signer else None
        excuse = partial(_flaw_of_signature_alone, self.signer) if self.signer else None
        may_ask = self._may_ask()
        return Stage(
            command,
            environment=_terminal(),
            judge=judge,
            excuse=excuse,
            family=Family.GPG,
            may_ask=may_ask,
            answers_within=None if may_ask else self._timeout(),
            helpers=self._helpers,
        )

    def session_key(self, head: bytes) -> SessionKey:
        """The session key of an archive, by its beginning.

        Raises:
            Unpredictable: gpg does not tell it.
        """
        may_ask = self._may_ask()
        with asking_until(lambda: not may_ask):
            try:
                return session_key(self._beginning(), head, _terminal(), None if may_ask else self._timeout())
            except SilentGpg:
                _mute.add(self)
                raise

    def _beginning(self) -> tuple[str, ...]:
        gpg = gpg_command(self.home, Purpose.READING)
        if self.passphrase_file is None:
            return gpg
        return (*gpg, "--pinentry-mode", "loopback", "--passphrase-file", str(self.passphrase_file))

    def _timeout(self) -> float:
        return min(_ANOTHER_TIMEOUT, ANSWER_TIMEOUT) if self in _mute else ANSWER_TIMEOUT

    def _helpers(self) -> Sequence[str]:
        """Whom gpg, which has not answered, may wait for. Another time it is not waited for as long."""
        _mute.add(self)
        return _HELPERS

    def _may_ask(self) -> bool:
        return self.passphrase_file is None and _somebody_is_there()


def signature_flaw(signer: str, digest: str, lines: Sequence[str], *, notation: str = SIGNED_DIGEST) -> str:
    """Why what gpg decrypted is not trusted; empty if it is signed by the right key and nobody else, as this archive.

    Args:
        signer: fingerprint of the primary key.
        digest: of the archive's metadata; empty if they were lost.
        lines: what gpg said, with its status lines (GnuPG's ``doc/DETAILS``). Whatever else it prints of a message has
            its control characters escaped, and cannot look like one.
        notation: in which remark the digest must stand.
    """
    status = _status(lines)
    verdicts = {words[0] for words in status if words and words[0].endswith("SIG")}
    valid = [words for words in status if words and words[0] == "VALIDSIG"]
    if not verdicts:
        return f"it is not signed, and --require-signature asks for one by {signer}"
    # The last word is the primary key's fingerprint, whichever subkey signed.
    if [words[-1] for words in valid] != [signer] or not verdicts <= {"NEWSIG", "GOODSIG", "VALIDSIG"}:
        return f"it is not signed by {signer}, as --require-signature asks for, or the signature is not valid any more"
    if digest and digest not in _signed_digests(status, notation):
        return f"{signer} has signed it, but not with these metadata: somebody has put another archive in its place"
    return ""


def _flaw_of_signature_alone(signer: str, lines: Sequence[str]) -> str:
    """Why what gpg has decrypted to its end, and unchanged, is not trusted; empty if it has not done that.

    gpg ends badly then, as it does over bytes that are damaged: where the key that signed is not here, or another one's
    signature has been changed.
    """
    words = {each[0] for each in _status(lines) if each}
    if not words >= {"DECRYPTION_OKAY", "NEWSIG"}:
        return ""
    missing = next((each[1] for each in _status(lines) if each[:1] == ["NO_PUBKEY"] and len(each) > 1), "")
    if missing:
        return f"it is signed by a key that is not here, {missing}, and --require-signature asks for one by {signer}"
    return signature_flaw(signer, "", lines)


def _status(lines: Sequence[str]) -> list[list[str]]:
    """The words of gpg's status lines."""
    return [line.removeprefix(STATUS).split() for line in lines if line.startswith(STATUS)]


def _signed_digests(status: Sequence[Sequence[str]], notation: str) -> list[str]:
    """What a signature tells of metadata. gpg cuts long values into several lines."""
    found: list[str] = []
    is_ours = False
    for words in status:
        if words[:1] == ["NOTATION_NAME"]:
            is_ours = words[1:] == [notation]
            found += [""] if is_ours else []
        elif words[:1] == ["NOTATION_DATA"] and is_ours:
            found[-1] += words[-1]
    return found


def _terminal() -> dict[str, str]:
    """Tell gpg's agent on which terminal it may ask for a passphrase."""
    if "GPG_TTY" not in os.environ:
        for stream in (sys.stdin, sys.stderr):
            with suppress(OSError, AttributeError, ValueError):
                return {"GPG_TTY": os.ttyname(stream.fileno())}
    return {}


def _somebody_is_there() -> bool:
    """Whether gpg's agent may ask for a passphrase, on a terminal or a screen, and wait for the answer for hours."""
    return bool(_terminal()) or any(name in os.environ for name in ("GPG_TTY", "DISPLAY", "WAYLAND_DISPLAY"))


def looks_encrypted(head: bytes) -> bool:
    """Whether an archive that begins with ``head`` is an encrypted message of OpenPGP."""
    if not head or head[0] not in _ENCRYPTED:
        return False
    # A tar archive without compression can begin with the name of a folder in UTF-8, where this byte comes first.
    return head[0] != _UTF8_LEAD or len(head) < 2 or not 0x80 <= head[1] <= 0xBF
