"""gpg that is given up, and an agent that it has started and that does not come to its beginning."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from s3napback.encryption.chunks import Unpredictable
from s3napback.encryption.running import failure_of, run_gpg
from s3napback.encryption.session import session_key
from s3napback.errors import UnusableTool
from tests.waiting import becomes, is_running

SECONDS = 1.0


def for_an_answer(program: str) -> None:
    run_gpg([program], "answer", b"x", SECONDS)


def for_a_session_key(program: str) -> None:
    session_key([program], b"x", os.environ, SECONDS)


@pytest.mark.parametrize(("ask", "error"), [(for_an_answer, UnusableTool), (for_a_session_key, Unpredictable)])
def test_what_it_has_started_ends_with_it(tmp_path: Path, ask: Callable[[str], None], error: type[Exception]) -> None:
    program, agent = tmp_path / "gpg", tmp_path / "agent"
    program.write_text(
        f'#!/bin/sh\nsleep 60 <&- >&- 2>&- &\necho $! > "{agent}.new"\nmv "{agent}.new" "{agent}"\nwait\n'
    )
    program.chmod(0o755)
    with pytest.raises(error):
        ask(str(program))
    assert becomes(lambda: not is_running(int(agent.read_text())))


@pytest.mark.parametrize(
    ("said", "meaning"),
    [
        ("gpg: can't connect to the agent: General error\n", "gpg's agent, which works with secret keys"),
        ("gpg: no gpg-agent running in this session\n", "gpg's settings say no-autostart"),
        # As 2.4.7 has it, which Debian 12 lacks.
        (
            "gpg: keyboxd: probably not installed\ngpg: can't connect to the keyboxd: Configuration error\n",
            "gpg's keyboxd, which keeps public keys",
        ),
    ],
)
def test_what_it_means_that_a_daemon_is_not_there_stands_behind_its_words(said: str, meaning: str) -> None:
    *words, remedy = failure_of(said.encode())
    assert words == [f"  {line}" for line in said.splitlines()]
    assert remedy.startswith(meaning)
    assert failure_of(b"gpg: signing failed: No secret key\n") == ["  gpg: signing failed: No secret key"]
