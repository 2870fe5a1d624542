"""Finding a source's tool, and asking it short questions."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence

from s3napback.errors import SourceError
from s3napback.formatting import readable

_QUOTED_LINES = 10


def find_program(names: Sequence[str], package: str) -> str:
    """The first of several programs that is installed, under its name.

    Args:
        names: what it may be called, the preferred name first.
        package: the Debian package that brings it, for the message.

    Raises:
        SourceError: none is on PATH.
    """
    for name in names:
        if shutil.which(name) is not None:
            return name
    missing = f"neither {' nor '.join(names)} was found" if len(names) > 1 else f"{names[0]} was not found"
    raise SourceError(f"{missing} on PATH; install it (Debian's package is {package})")


def answer_of(command: Sequence[str], *, environment: Mapping[str, str], timeout: float | None = None) -> str:
    """What a program answers on standard output, without the newline at its end.

    Args:
        command: program and arguments; no shell.
        environment: added to our own.
        timeout: in seconds; None waits for ever.

    Raises:
        SourceError: it cannot be started, takes too long, or fails; its own words are in the message.
    """
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env={**os.environ, **environment},
            check=False,
            timeout=timeout,
        )
    except subprocess.TimeoutExpired:
        raise SourceError(f"{command[0]} gave no answer within {timeout:g} seconds (StallTimeout)") from None
    except OSError as error:
        raise SourceError(f"cannot start {command[0]}: {error.strerror}") from error
    if done.returncode:
        words = [f"  {readable(line)}" for line in done.stderr.splitlines()[-_QUOTED_LINES:]]
        raise SourceError(f"{command[0]} failed with exit status {done.returncode}:", *words)
    return done.stdout.decode(errors="surrogateescape").rstrip("\n")
