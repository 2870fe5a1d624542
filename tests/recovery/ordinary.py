"""Doing things in this process's code, but as an ordinary user."""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

USER = 4321

# Python loads it when it is used first, which the user may not be able to.
"\n".encode("unicode_escape")


@contextmanager
def open_folder() -> Iterator[Path]:
    """A folder that everybody may pass; it is gone at the end."""
    with tempfile.TemporaryDirectory(prefix="ordinary-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def as_user(act: Callable[[], object], user: int = USER) -> None:
    """Do something in a child that becomes a user, and fail as it does.

    Modules that it needs must be loaded: the user may not be able to read them.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        code = 1
        try:
            os.close(reader)
            os.setgroups([])
            os.setgid(user)
            os.setuid(user)
            os.environ["HOME"] = "/nonexistent"
            act()
            code = 0
        except BaseException:  # noqa: BLE001 - the parent raises it
            os.write(writer, traceback.format_exc().encode()[-60_000:])
        finally:
            sys.stderr.flush()
            os._exit(code)
    os.close(writer)
    with os.fdopen(reader, errors="replace") as pipe:
        said = pipe.read()
    _, status = os.waitpid(child, 0)
    assert not status, said


def give(top: Path, user: int = USER) -> None:
    """Let a tree belong to a user."""
    for path in (top, *top.rglob("*")):
        os.lchown(path, user, user)
