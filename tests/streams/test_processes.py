"""What stages say on standard error becomes warnings, quotations in errors and log lines."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from s3napback.streams.pipeline import Pipeline
from s3napback.streams.processes import Stage
from tests.streams.helpers import GZIP, Fake, failure_of, read_all


def test_a_file_that_grows_under_tar_is_a_warning(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(bytes(20_000_000))
    tar = Stage(("tar", "--create", "--file=-", f"--directory={tmp_path}", "log"), frozenset({1}))
    with Pipeline([tar]) as pipeline:
        assert pipeline.readinto(memoryview(bytearray(1000)))
        with log.open("ab") as file:
            file.write(b"grown")
        read_all(pipeline)
    assert pipeline.warnings == ["tar: log: file changed as we read it"]


def test_a_warning_code_without_words_is_a_warning_all_the_same(fake: Fake) -> None:
    stage = Stage(fake("tar", "echo; exit 1").command, frozenset({1}))
    with Pipeline([stage]) as pipeline:
        read_all(pipeline)
    assert pipeline.warnings == ["tar ended with exit status 1"]


def test_remarks_of_a_stage_that_ended_well_are_only_logged(fake: Fake, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "s3napback.pipeline"):
        with Pipeline([fake("tar", "echo; echo by the way >&2")]) as pipeline:
            read_all(pipeline)
    assert pipeline.warnings == []
    assert ("s3napback.pipeline", logging.DEBUG, "tar: by the way") in caplog.record_tuples


def test_a_flood_of_messages_neither_blocks_nor_fills_memory(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    # On a machine that is very busy the last of them are not read within seconds of the end, and are not counted then.
    monkeypatch.setattr("s3napback.streams.post_mortem._LAST_WORDS_TIME", 120)
    stage = Stage(fake("tar", "seq 200000 >&2; echo; exit 1").command, frozenset({1}))
    with Pipeline([stage, GZIP]) as pipeline:
        read_all(pipeline)
    numbers = [str(number) for number in range(1, 200_001)]
    assert pipeline.warnings == [*numbers[:20], "… 199930 lines left out …", *numbers[-50:]]


def test_a_message_without_an_end_is_cut(fake: Fake) -> None:
    message = failure_of(fake("tar", "tr '\\0' x </dev/zero | head -c 9000000 >&2; exit 1"))
    assert message == f"tar failed with exit status 1:\n  {'x' * 300}…{'x' * 199}…"


def test_messages_cannot_command_a_terminal(fake: Fake) -> None:
    message = failure_of(fake("tar", r"printf 'a\033[2Jb\377c\000d\re\r\nlast' >&2; exit 1"))
    assert message.splitlines() == ["tar failed with exit status 1:", r"  a\x1b[2Jb\xffc\x00d\re", "  last"]


def test_only_the_last_lines_are_quoted_in_an_error(fake: Fake) -> None:
    message = failure_of(fake("tar", "seq 100 >&2; exit 1"))
    assert message.split() == ["tar", "failed", "with", "exit", "status", "1:", *map(str, range(91, 101))]
