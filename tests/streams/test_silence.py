"""A stage that holds up the stream is named; a slow upload is not blamed on it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from s3napback.errors import PipelineError
from s3napback.streams.pipeline import Pipeline
from s3napback.streams.processes import Stage
from s3napback.streams.transformations import Block, Feed, Transformation
from tests.streams.helpers import ENDLESS, GZIP, HANGING, Fake, failure_of, read_all, working


def test_a_silent_dump_is_named(fake: Fake) -> None:
    message = failure_of(fake("tar", f"echo; echo waiting >&2; {HANGING}"), GZIP, Stage(("cat",)), stall_timeout=0.3)
    assert message == "tar has been silent for 0.3 seconds (StallTimeout):\n  waiting"


def test_a_stage_that_stops_reading_is_named(fake: Fake) -> None:
    message = failure_of(ENDLESS, fake("gpg", HANGING), Stage(("cat",)), stall_timeout=0.3)
    assert message == "gpg has been silent for 0.3 seconds (StallTimeout)"


def dozing(blocks: Iterator[memoryview]) -> Iterator[Block]:
    time.sleep(1)
    yield from blocks


def test_a_transformation_that_takes_too_long_is_named() -> None:
    message = failure_of(ENDLESS, Transformation("squeeze", dozing), Stage(("cat",)), stall_timeout=0.2)
    assert message == "squeeze has been silent for 0.2 seconds (StallTimeout)"


def test_a_stage_that_does_not_end_is_named(fake: Fake) -> None:
    message = failure_of(Stage(("echo",)), fake("gpg", f"cat; exec >&-; {HANGING}"), stall_timeout=0.3)
    assert message == "gpg closed its output but did not end within 0.3 seconds (StallTimeout)"


def test_a_slow_upload_is_no_silence() -> None:
    with Pipeline([Stage(("seq", "300000"))], stall_timeout=0.2) as pipeline:
        assert pipeline.readinto(memoryview(bytearray(1)))
        time.sleep(0.5)
        read_all(pipeline)


def test_progress_that_has_not_reached_the_output_is_no_silence(fake: Fake) -> None:
    slow = fake("tar", "for n in 1 2 3 4 5 6; do echo $n; sleep 0.25; done")
    with Pipeline([slow, Stage(("sort", "--reverse"))], stall_timeout=1.2) as pipeline:
        assert read_all(pipeline) == b"6\n5\n4\n3\n2\n1\n"


def dripping(pause: float, count: int) -> Iterator[Block]:
    for _ in range(count):
        yield b"x"
        time.sleep(pause)


def test_a_stream_that_only_drips_is_as_good_as_silent() -> None:
    feed = Feed("s3://bucket/key", lambda: dripping(0.05, 100))
    with Pipeline([feed, Stage(("cat",))], stall_timeout=0.5, least_rate=100) as pipeline:
        with pytest.raises(PipelineError, match=r"^s3://bucket/key has been as good as silent for 0.5 seconds"):
            read_all(pipeline)


def drop_by_drop(blocks: Iterator[memoryview]) -> Iterator[Block]:
    """Works on each drop for a moment, which is most often the one at which the stream is judged."""
    for block in blocks:
        time.sleep(0.03)
        yield bytes(block)


def test_what_works_on_each_drop_is_not_blamed_for_a_stream_that_drips() -> None:
    feed = Feed("s3://bucket/key", lambda: dripping(0.4, 100))
    with Pipeline([feed, Transformation("squeeze", drop_by_drop)], stall_timeout=1.7, least_rate=100) as pipeline:
        with pytest.raises(PipelineError, match=r"^s3://bucket/key has been as good as silent for 1.7 seconds"):
            read_all(pipeline)


def test_a_slow_stream_is_not_silent() -> None:
    feed = Feed("s3://bucket/key", lambda: dripping(0.05, 30))
    with Pipeline([feed, Stage(("cat",))], stall_timeout=0.5, least_rate=5) as pipeline:
        assert read_all(pipeline) == b"x" * 30


def test_what_has_arrived_out_of_order_is_progress() -> None:
    arrived = [0]

    def late() -> Iterator[Block]:
        for _ in range(30):
            time.sleep(0.05)
            arrived[0] += 1000
        yield b"x"

    with Pipeline([Feed("late", late, lambda: arrived[0])], stall_timeout=1.2) as pipeline:
        assert read_all(pipeline) == b"x"


def test_a_feed_that_never_comes_back_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("s3napback.crews.PATIENCE", 0.2)
    ended = threading.Event()

    def hanging() -> Iterator[Block]:
        yield b"x"
        ended.wait(60)

    began = time.monotonic()
    with pytest.raises(PipelineError, match=r"^file:///vault/key has been silent for 0.3 seconds"):
        with Pipeline([Feed("file:///vault/key", hanging), Stage(("cat",))], stall_timeout=0.3) as pipeline:
            read_all(pipeline)
    assert time.monotonic() - began < 30
    ended.set()


def test_who_asks_a_person_before_the_first_output_may_wait(fake: Fake) -> None:
    asking = fake("gpg", "sleep 1; cat")
    patient = Stage(asking.command, may_ask=True)
    feed = Feed("key", lambda: iter([b"x" * 100_000] * 30))
    with Pipeline([feed, patient, GZIP], stall_timeout=0.2) as pipeline:
        assert read_all(pipeline)
    assert failure_of(feed, asking, GZIP, stall_timeout=0.2) == "gpg has been silent for 0.2 seconds (StallTimeout)"


def test_nobody_waits_for_a_person_when_there_has_been_output(fake: Fake) -> None:
    patient = Stage(fake("gpg", f"head -c 300000; {HANGING}").command, may_ask=True)
    feed = Feed("key", lambda: iter([b"x" * 100_000] * 30))
    assert failure_of(feed, patient, GZIP, stall_timeout=0.3).startswith("gpg has been silent for 0.3 seconds")


def test_a_store_that_is_silent_is_not_taken_for_a_person(fake: Fake) -> None:
    patient = Stage(fake("gpg", "cat").command, may_ask=True)
    feed = Feed("s3://bucket/key", lambda: dripping(1, 2))
    assert failure_of(feed, patient, GZIP, stall_timeout=0.3).startswith("s3://bucket/key has been silent")


def test_a_process_that_works_without_reading_is_not_silent(fake: Fake) -> None:
    feed = Feed("key", lambda: iter([b"x"]))
    busy = fake("tar", f"cat >/dev/null; {working(1.0, 'print()')}")
    with Pipeline([feed, Stage(busy.command, may_pause=True)], stall_timeout=0.6) as pipeline:
        assert read_all(pipeline) == b"\n"
    hanging = Stage(fake("tar", f"cat >/dev/null; {HANGING}").command, may_pause=True)
    assert failure_of(feed, hanging, stall_timeout=0.2).startswith("tar has been silent for 0.2 seconds")


def test_who_does_not_begin_to_write_in_time_is_named_with_whom_it_waits_for(fake: Fake) -> None:
    feed = Feed("key", lambda: iter([b"x" * 100_000] * 30))
    mute = Stage(
        fake("gpg", f"echo asks >&2; {HANGING}").command, answers_within=0.3, helpers=lambda: ["perhaps its agent"]
    )
    told = "gpg has written nothing for 0.3 seconds:\n  asks\n  perhaps its agent"
    assert failure_of(feed, mute, GZIP, stall_timeout=60) == told
    assert failure_of(feed, mute, stall_timeout=60) == told
    # Who has begun, or has nothing to begin with, is judged by StallTimeout.
    begun = Stage(fake("gpg", f"head -c 300000; {HANGING}").command, answers_within=0.3)
    assert failure_of(feed, begun, GZIP, stall_timeout=0.5).startswith("gpg has been silent for 0.5 seconds")
    waits = Stage(fake("gpg", "cat").command, answers_within=0.3)
    slow = Feed("s3://bucket/key", lambda: dripping(0.5, 2))
    with Pipeline([slow, waits], stall_timeout=60) as pipeline:
        assert read_all(pipeline) == b"xx"
