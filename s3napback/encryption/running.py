"""Running gpg for a short answer, and giving it up when none comes."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from types import MappingProxyType

from s3napback.crews import TookTooLong, within
from s3napback.environment import Family, child_environment
from s3napback.errors import UnusableTool
from s3napback.formatting import readable

ANSWER_TIMEOUT = 60.0
"""Seconds that gpg may take to show keys, or to encrypt a few bytes. It waits for ever for a lock that a machine which
is gone has left in its home, or for an agent that is stopped."""

STATUS = "[GNUPG:] "
"""Begins what gpg tells programs, which people need not see."""

_NO_AGENT = (
    "gpg's agent, which works with secret keys, cannot be started or reached here. If GpgHome lies on a read-only "
    "or full disk, or its path has more than 86 bytes, too many for the agent's socket, copy it (cp -a), and set "
    "GpgHome to the copy"
)
_NOT_STARTED = (
    "gpg's settings say no-autostart, in gpg.conf or common.conf of its home or of /etc/gnupg, and what it needs for "
    "keys does not run: take that line out, or start it with gpgconf"
)
_NO_KEYBOXD = (
    "gpg's keyboxd, which keeps public keys where common.conf says use-keyboxd, cannot be started or reached here. "
    "Install it, or see to GpgHome, if that lies on a read-only or full disk"
)
AGENT_TROUBLE = (
    ("no gpg-agent running", _NOT_STARTED),
    ("no keyboxd running", _NOT_STARTED),
    ("connect to the agent", _NO_AGENT),
    ("connect to the gpg-agent", _NO_AGENT),
    ("connect to the keyboxd", _NO_KEYBOXD),
)
"""What gpg says when it cannot reach what keeps its keys, and what that means."""

_BURYING_SECONDS = 5.0  # for a process that was killed to be gone, unless it hangs in a dead file system
_NOTHING_TO_DECRYPT = (b"no valid OpenPGP data found", b"failed: Unknown system error", b"failed: No data")
_REMARKS = (b"gpg: WARNING: ", b"gpg: Note: ")
_NO_MESSAGE = b"This is no message.\n"
"""A single byte, or an empty line, gpg would take for a packet that is damaged."""


def run_gpg(
    command: Sequence[str], doing: str, stdin: bytes = b"", seconds: float | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run gpg to its end, whatever that is.

    Args:
        command: with all arguments.
        doing: ends the sentence ``gpg did not …``.
        stdin: what it reads.
        seconds: None is ``ANSWER_TIMEOUT``.

    Raises:
        UnusableTool: it cannot be started, or has not ended in time; what it said until then is told.
    """
    limit = ANSWER_TIMEOUT if seconds is None else seconds

    def run() -> subprocess.CompletedProcess[bytes]:
        with started_gpg(command, errors=subprocess.PIPE) as gpg:
            output, errors = gpg.communicate(stdin, timeout=limit)
        return subprocess.CompletedProcess(command, gpg.returncode, output, errors)

    try:
        return within(limit + _BURYING_SECONDS, run, "gpg")
    except (subprocess.TimeoutExpired, TookTooLong) as error:
        said = (error.stderr or b"") if isinstance(error, subprocess.TimeoutExpired) else b""
        raise UnusableTool(f"gpg did not {doing} within {limit:g} seconds:", *words_of(said)) from error
    except OSError as error:
        raise UnusableTool(f"gpg cannot be started: {error.strerror}") from error


def can_decrypt(command: Sequence[str]) -> bool:
    """Whether gpg itself works as it is told to, so that it is its input which it refuses.

    It is given what is no message, and must find fault with nothing else: a setting that makes no sense, or a file that
    is not there, ends it whatever it is given.

    Args:
        command: decrypts its standard input.
    """
    try:
        said = run_gpg(command, "decrypt", _NO_MESSAGE).stderr.splitlines()
    except UnusableTool:
        return False
    own = [line for line in said if line.startswith(b"gpg: ") and not line.startswith(_REMARKS)]
    return any(_NOTHING_TO_DECRYPT[0] in line for line in own) and all(
        any(sign in line for sign in _NOTHING_TO_DECRYPT) for line in own
    )


@contextmanager
def started_gpg(
    command: Sequence[str], *, errors: int, more: Mapping[str, str] = MappingProxyType({})
) -> Iterator[subprocess.Popen[bytes]]:
    """Start gpg with pipes; if it has not ended when the context does, it is killed.

    So is what it has started and waits for, such as an agent that does not come to its own beginning. One that has
    begun has left gpg's group, and goes on.

    Args:
        errors: where it says what it has to say, as ``subprocess`` names that.
        more: what its environment has besides.

    Raises:
        OSError: it cannot be started.
    """
    environment = {**child_environment(os.environ, Family.GPG), **more}
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        env=environment,
        start_new_session=True,
    ) as gpg:
        try:
            yield gpg
        finally:
            if gpg.poll() is None:
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(gpg.pid, signal.SIGKILL)


def words_of(stderr: bytes) -> list[str]:
    """What gpg said to people, indented, a line each; what it says again and again, while it waits for a lock, once."""
    lines = dict.fromkeys(line for line in stderr.splitlines() if not line.startswith(STATUS.encode()))
    return [f"  {readable(line)}" for line in lines] or ["  it said nothing"]


def failure_of(stderr: bytes) -> list[str]:
    """``words_of`` what failed, and behind them what they mean, where gpg's agent is what they are about."""
    meaning = agent_trouble(stderr)
    return [*words_of(stderr), *([meaning] if meaning else [])]


def agent_trouble(stderr: bytes) -> str:
    """What it means where gpg says that it has no agent; empty if it does not say so."""
    said = stderr.decode(errors="replace")
    return next((meaning for sign, meaning in AGENT_TROUBLE if sign in said), "")
