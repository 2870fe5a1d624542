"""Finding a source's tool, and asking it short questions."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Sequence

from s3napback.environment import Family, User, child_environment
from s3napback.errors import SourceError
from s3napback.formatting import readable, shown
from s3napback.streams.processes import rights_of, start_problem

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


def why_no_program(name: str) -> str:
    """Why what a configuration names, and what was not found, is no program that can be started; as one clause."""
    if not name.startswith("/"):
        return f"{shown(name)} was not found on PATH"
    try:
        status = os.stat(name)  # noqa: PTH116 - any bytes
    except (FileNotFoundError, NotADirectoryError):
        return f"there is no program {shown(name)}"
    except OSError as error:
        return f"the program {shown(name)} cannot be looked at: {error.strerror}"
    if not stat.S_ISREG(status.st_mode):
        return f"{shown(name)} is no file, and no program"
    return f"{shown(name)} may not be executed, as programs may (chmod +x)"


def answer_of(
    command: Sequence[str],
    *,
    family: Family,
    user: User | None = None,
    directory: str | None = None,
    timeout: float | None = None,
    descriptors: Sequence[int] = (),
) -> str:
    """What a program answers on standard output, without the newline at its end.

    Args:
        command: program and arguments; no shell.
        family: what kind of program it is, which decides on what it gets of our environment.
        user: whose rights it has; None are ours.
        directory: where it is started, with our own rights; None is where we are.
        timeout: in seconds; None waits for ever.
        descriptors: of open files that it gets, under the same numbers.

    Raises:
        SourceError: it cannot be started, takes too long, or fails; its own words are in the message.
    """
    try:
        done: subprocess.CompletedProcess[bytes] = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=child_environment(os.environ, family, user),
            cwd=directory,
            check=False,
            timeout=timeout,
            pass_fds=descriptors,
            **rights_of(user),
        )
    except subprocess.TimeoutExpired:
        raise SourceError(f"{command[0]} gave no answer within {timeout:g} seconds (StallTimeout)") from None
    except OSError as error:
        raise SourceError(start_problem(command[0], user, error)) from error
    if done.returncode:
        words = [f"  {readable(line)}" for line in done.stderr.splitlines()[-_QUOTED_LINES:]]
        raise SourceError(f"{command[0]} failed with exit status {done.returncode}:", *words)
    return done.stdout.decode(errors="surrogateescape").rstrip("\n")
