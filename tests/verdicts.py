"""Why something that decides over us was refused, as this user or as another one."""

from __future__ import annotations

import os
from collections.abc import Callable

from s3napback.errors import ChangeableByOthers


def verdict(action: Callable[[], object]) -> str:
    """Why something was refused; empty if it was not."""
    try:
        result = action()
    except ChangeableByOthers as error:
        return str(error)
    if isinstance(result, int):
        os.close(result)
    return ""


def verdict_as(user: int, action: Callable[[], object]) -> str:
    """The same, in a process of another user; its group has the same number and no name."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setresgid(user, user, user)
            os.setresuid(user, user, user)
            answer = f"-{verdict(action)}"
            os.write(writer, answer.encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        answer = stream.read().decode()
    assert answer, "the other process ended too soon"
    os.waitpid(child, 0)
    return answer.removeprefix("-")
