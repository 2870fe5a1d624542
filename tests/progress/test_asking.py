"""While a program may be asking for a passphrase, the terminal is left to it."""

from __future__ import annotations

import os
from pathlib import Path

from s3napback import standing
from s3napback.streams.pipeline import Pipeline
from s3napback.streams.processes import Stage
from s3napback.streams.transformations import UNCHANGED
from tests.waiting import becomes


def test_a_program_that_may_ask_has_the_terminal_until_it_writes(tmp_path: Path) -> None:
    # One each: whoever opens a pipe again may meet the end of what was written into it before.
    answer, more = tmp_path / "answer", tmp_path / "more"
    for pipe in (answer, more):
        os.mkfifo(pipe)
    asks = Stage(("sh", "-c", f"read answer <{answer}; echo decrypted; read more <{more}"), may_ask=True)
    assert not standing.may_be_asking()
    with Pipeline([asks, UNCHANGED]) as pipeline:
        assert standing.may_be_asking()
        answer.write_text("passphrase\n")
        assert pipeline.readinto(memoryview(bytearray(100))) == len(b"decrypted\n")
        assert becomes(lambda: not standing.may_be_asking())
        more.write_text("more\n")
    assert not standing.may_be_asking()


def test_one_that_is_ended_before_it_has_written_asks_no_more() -> None:
    with Pipeline([Stage(("sleep", "60"), may_ask=True), UNCHANGED]):
        assert standing.may_be_asking()
    assert not standing.may_be_asking()


def test_others_do_not_ask() -> None:
    with Pipeline([Stage(("sleep", "60")), UNCHANGED]):
        assert not standing.may_be_asking()
