"""The session key of one message, asked of gpg for its beginning alone.

gpg prints the key wherever it logs to; so its log goes nowhere, and its status comes through a pipe of our own. What
its status says counts, and not its exit code: it is always told that the message was cut off.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence

from s3napback.encryption.chunks import Unpredictable
from s3napback.encryption.entering import AES, SessionKey
from s3napback.encryption.running import started_gpg
from s3napback.encryption.sealed import OCB
from s3napback.regexes import regex

_LINE = regex(rb"\[GNUPG:\] SESSION_KEY ([789])(\.2)?:([0-9A-Fa-f]{32,64})")


class SilentGpg(Unpredictable):
    """gpg has not come back."""


def session_key(
    command: Sequence[str], head: bytes, environment: Mapping[str, str], seconds: float | None
) -> SessionKey:
    """The session key of a message.

    Args:
        command: gpg with what it needs to decrypt, without a command or an output.
        head: of the message.
        environment: added to what gpg gets to know of ours.
        seconds: that it may take; None if somebody may be asked for a passphrase.

    Raises:
        SilentGpg: it has not come back in time.
        Unpredictable: gpg does not tell one that can be used. No cause is kept, since it would hold what gpg wrote.
    """
    arguments = (
        *(*command, "--quiet", "--logger-file", "/dev/null", "--status-fd", "1", "--show-session-key"),
        *("--skip-verify", "--yes", "--output", "/dev/null", "--decrypt"),
    )
    key = _told(_said(arguments, head, environment, seconds))
    if key is None:
        raise Unpredictable("gpg does not tell a session key that can be used")
    return key


def _told(said: bytes) -> SessionKey | None:
    """The key among what gpg said. Raises nothing: whatever shows an error may show what stands around it."""
    found = [match for line in said.splitlines() if (match := _LINE.fullmatch(line))]
    if len(found) != 1:
        return None
    algorithm, mode, value = found[0].groups()
    key = SessionKey(int(algorithm), bytes.fromhex(value.decode()), OCB if mode else 0)
    return key if len(key.value) == AES[key.algorithm] else None


def _said(arguments: Sequence[str], head: bytes, more: Mapping[str, str], seconds: float | None) -> bytes:
    try:
        with started_gpg(arguments, errors=subprocess.DEVNULL, more=more) as gpg:
            return gpg.communicate(head, timeout=seconds)[0]
    except subprocess.TimeoutExpired:
        failure: Unpredictable = SilentGpg("gpg does not answer")
    except OSError as error:
        failure = Unpredictable(f"gpg cannot be started: {error.strerror}")
    raise failure
