"""A pipeline's reader sees the end only if every stage ended well."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import ClassVar

import pytest

from s3napback.errors import PipelineError
from s3napback.streams import post_mortem
from s3napback.streams.culprits import ElementsFailed
from s3napback.streams.pipeline import Pipeline
from s3napback.streams.processes import Stage
from s3napback.streams.transformations import Block, Transformation
from tests.streams.helpers import ENDLESS, GZIP, HANGING, Fake, failure_of, read_all

NO_LARGER = "no file may become so large here (ulimit -f; of a unit of systemd LimitFSIZE=)"


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("echo why >&2; exit 3", "tar failed with exit status 3:\n  why"),
        ("head -c 5000000 /dev/zero; exit 3", "tar failed with exit status 3"),
        ("seq 1000; exec >&-; sleep 0.2; exit 3", "tar failed with exit status 3"),
        ("seq 1000; kill -KILL $$", "tar was killed by SIGKILL, perhaps for want of memory"),
        ("seq 1000; kill -PIPE $$", "tar was killed by SIGPIPE"),
        ("exit 0", "tar produced nothing"),
    ],
    ids=["at the start", "in the middle", "after the last byte", "killed", "by a pipe of its own", "empty"],
)
@pytest.mark.parametrize("later", [(), (GZIP, Stage(("cat",)))], ids=["alone", "with later stages that end well"])
def test_a_failure_of_the_first_stage_is_no_end(
    fake: Fake, script: str, expected: str, later: tuple[Stage | Transformation, ...]
) -> None:
    assert failure_of(fake("tar", script), *later) == expected


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("echo why >&2; exit 3", "gpg failed with exit status 3:\n  why"),
        ("head -c 50000; exit 3", "gpg failed with exit status 3"),
        ("kill -KILL $$", "gpg was killed by SIGKILL, perhaps for want of memory"),
        ("ulimit -f 0; echo >>$0", f"gpg was killed by SIGXFSZ: {NO_LARGER}"),
        ("exit 0", "gpg ended before it had read everything"),
        ("head -c 50000", "gpg ended before it had read everything"),
        ("exec >&-; exec <&-; exit 0", "gpg ended before it had read everything"),
    ],
    ids=[
        "at the start",
        "in the middle",
        "killed",
        "limited",
        "ends at once",
        "ends in the middle",
        "closes everything",
    ],
)
@pytest.mark.parametrize("later", [(), (Stage(("cat",)),)], ids=["last", "in the middle"])
def test_a_failure_of_a_later_stage_is_told_and_not_what_follows_from_it(
    fake: Fake, script: str, expected: str, later: tuple[Stage | Transformation, ...]
) -> None:
    assert failure_of(ENDLESS, GZIP, fake("gpg", script), *later) == expected


def test_a_later_stage_that_fails_after_the_last_byte_is_no_end(fake: Fake) -> None:
    assert failure_of(Stage(("seq", "9")), GZIP, fake("gpg", "cat; exit 3")) == "gpg failed with exit status 3"


def test_a_dump_that_complains_of_its_dead_reader_comes_second(fake: Fake) -> None:
    dump = fake("svnadmin", 'trap "" PIPE; head -c 9000000 /dev/urandom || { echo broken pipe >&2; exit 1; }')
    message = failure_of(dump, GZIP, fake("gpg", "echo no space >&2; exit 2"))
    assert message.splitlines()[:2] == ["gpg failed with exit status 2:", "  no space"]
    assert "svnadmin failed with exit status 1:" in message


def test_a_later_stage_that_complains_of_a_cut_stream_comes_second(fake: Fake) -> None:
    message = failure_of(fake("tar", "seq 9; exit 2"), fake("gpg", "cat >/dev/null; exit 1"))
    assert message.splitlines() == ["tar failed with exit status 2", "gpg failed with exit status 1"]


def test_a_dead_stage_is_told_at_once_though_the_dump_hangs(fake: Fake) -> None:
    began = time.monotonic()
    assert failure_of(fake("tar", f"echo; {HANGING}"), GZIP, fake("gpg", "exit 3")) == "gpg failed with exit status 3"
    assert failure_of(fake("tar", f"echo; {HANGING}"), GZIP, fake("gpg", "exit 0")).startswith("gpg ended before")
    assert time.monotonic() - began < 60


def failing_on_the_second_block(blocks: Iterator[memoryview]) -> Iterator[Block]:
    yield next(blocks)
    raise ArithmeticError("no room")


@pytest.mark.parametrize("later", [(), (Stage(("cat",)),)])
def test_a_failure_of_a_transformation_is_told(later: tuple[Stage, ...]) -> None:
    assert failure_of(ENDLESS, Transformation("squeeze", failing_on_the_second_block), *later) == (
        "squeeze failed: ArithmeticError('no room')"
    )


def test_a_missing_program_is_named_and_the_others_are_ended() -> None:
    with pytest.raises(PipelineError, match="cannot start no-such-program: it is not installed"):
        with Pipeline([ENDLESS, GZIP, Stage(("no-such-program",))]):
            pass


def test_a_program_that_cannot_be_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=f"cannot start {tmp_path}: Permission denied"):
        with Pipeline([Stage((str(tmp_path),))]):
            pass


def test_arguments_that_no_program_can_take_are_an_error_of_the_pipeline() -> None:
    with pytest.raises(PipelineError, match="null byte"):
        with Pipeline([Stage(("echo", "a\0b"))]):
            pass


class Excusing:
    """A review that excuses status 2 if the last word was a good one."""

    complaint = "there was a bad word"
    warnings: ClassVar[list[str]] = ["one thing is missing"]
    asides: list[str] | None = None

    def __init__(self) -> None:
        self.lines: list[bytes] = []

    def read(self, line: bytes) -> None:
        self.lines.append(line)

    def excuses(self, status: int) -> bool:
        return status == 2 and self.lines[-1] == b"good"


@pytest.mark.parametrize("asides", [None, [], ["better words"]])
def test_what_a_process_says_that_ends_well_its_review_puts_into_words(fake: Fake, asides: list[str] | None) -> None:
    review = Excusing()
    review.asides = asides
    stage = replace(fake("tar", "echo data; echo 'x: Warning: odd' >&2; echo y >&2"), review=review)
    with Pipeline([stage, GZIP]) as pipeline:
        read_all(pipeline)
    assert pipeline.warnings == (["x: Warning: odd"] if asides is None else asides)


def test_a_review_excuses_a_status_by_all_that_was_said(fake: Fake) -> None:
    # Much is said, and the last word comes long after the output has ended.
    script = "echo data; exec >&-; seq 100000 >&2; sleep 0.3; echo good >&2; exit 2"
    stage = replace(fake("tar", script), review=(review := Excusing()))
    with Pipeline([stage, GZIP]) as pipeline:
        read_all(pipeline)
    assert pipeline.warnings == ["one thing is missing"]
    assert len(review.lines) == 100_001


@pytest.mark.parametrize("end", ["echo bad >&2; exit 2", "echo good >&2; exit 3", "echo good >&2; kill -9 $$"])
def test_a_review_does_not_excuse_everything(fake: Fake, end: str) -> None:
    with Pipeline([replace(fake("tar", f"echo data; {end}"), review=Excusing()), GZIP]) as pipeline:
        with pytest.raises(PipelineError, match=r"tar (failed with exit status [23]: there was|was killed)"):
            read_all(pipeline)


def test_a_warning_counts_once_all_that_was_said_is_looked_at(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    """To look at what tar spoke of can take as long as a disk that breaks takes to say so."""
    monkeypatch.setattr(post_mortem, "_LAST_WORDS_TIME", 0.2)
    looked = Event()
    review = Excusing()
    monkeypatch.setattr(review, "read", lambda _line: looked.wait(10))
    stage = replace(fake("tar", "echo data; echo odd >&2; exit 1"), review=review, warning_codes=frozenset({1}))
    with Pipeline([stage, GZIP]) as pipeline:
        with pytest.raises(PipelineError, match="tar failed with exit status 1"):
            read_all(pipeline)
        looked.set()


def test_a_review_is_given_whole_lines(fake: Fake) -> None:
    stage = replace(
        fake("tar", "echo; head -c 60000 /dev/zero | tr '\\0' x >&2; echo >&2"), review=(review := Excusing())
    )
    with Pipeline([stage, GZIP]) as pipeline:
        read_all(pipeline)
    assert review.lines == [b"x" * 60_000]


def test_a_failure_names_the_elements_to_blame_the_most_causal_first(fake: Fake) -> None:
    def broken(blocks: Iterator[memoryview]) -> Iterator[Block]:
        yield from blocks
        raise PipelineError("its end is missing")

    gpg, tar, missing = fake("gpg", "head -c 50000; exit 2"), fake("tar", "exec cat"), Stage(("/no/such/program",))
    check = Transformation("the check", broken)
    for stages, blamed in [
        ((gpg, check, tar), [gpg, check]),
        ((Stage(("cat",)), check, tar), [check]),
        ((GZIP, missing), [missing]),
    ]:
        with pytest.raises(ElementsFailed) as caught, Pipeline([Stage(("seq", "100000")), *stages]) as pipeline:
            read_all(pipeline)
        assert [culprit.element for culprit in caught.value.culprits] == blamed
        assert [line for culprit in caught.value.culprits for line in culprit.lines] == list(caught.value.lines)


def test_a_process_that_is_judged_by_its_words_is_told_from_one_that_failed() -> None:
    judged = Stage(("cat",), judge=lambda _lines: "it is not signed")
    with pytest.raises(ElementsFailed) as caught, Pipeline([Stage(("seq", "9")), judged]) as pipeline:
        read_all(pipeline)
    assert [(each.element, each.lines, each.is_judged) for each in caught.value.culprits] == [
        (judged, ["it is not signed"], True)
    ]


@pytest.mark.parametrize(("flaw", "is_judged"), [("it is signed by another", True), ("", False)])
def test_a_process_that_ended_badly_may_have_done_its_work(flaw: str, is_judged: bool) -> None:
    ended = Stage(("sh", "-c", "cat; exit 2"), judge=lambda _lines: "no", excuse=lambda _lines: flaw)
    with pytest.raises(ElementsFailed) as caught, Pipeline([Stage(("seq", "9")), ended]) as pipeline:
        read_all(pipeline)
    assert [(each.is_judged, each.lines[0]) for each in caught.value.culprits] == [
        (is_judged, flaw or "sh failed with exit status 2")
    ]
