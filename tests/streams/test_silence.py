"""A stage that holds up the stream is named; a slow upload is not blamed on it."""

from __future__ import annotations

import time
from collections.abc import Sequence

from s3napback.streams.compression import Block, Identity
from s3napback.streams.pipeline import Filter, Pipeline, Stage
from tests.streams.helpers import ENDLESS, GZIP, HANGING, Fake, failure_of, read_all


def test_a_silent_dump_is_named(fake: Fake) -> None:
    message = failure_of(fake("tar", f"echo; echo waiting >&2; {HANGING}"), GZIP, Stage(("cat",)), stall_timeout=0.3)
    assert message == "tar has been silent for 0.3 seconds (StallTimeout):\n  waiting"


def test_a_stage_that_stops_reading_is_named(fake: Fake) -> None:
    message = failure_of(ENDLESS, fake("gpg", HANGING), Stage(("cat",)), stall_timeout=0.3)
    assert message == "gpg has been silent for 0.3 seconds (StallTimeout)"


class Dozing(Identity):
    """A compressor that takes its time over the first block."""

    def compress(self, block: memoryview, /) -> Sequence[Block]:
        time.sleep(1)
        return super().compress(block)


def test_a_filter_that_takes_too_long_is_named() -> None:
    message = failure_of(ENDLESS, Filter("squeeze", Dozing), Stage(("cat",)), stall_timeout=0.2)
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
    slow = fake("tar", "for n in 1 2 3 4 5 6; do echo $n; sleep 0.1; done")
    with Pipeline([slow, Stage(("sort", "--reverse"))], stall_timeout=0.3) as pipeline:
        assert read_all(pipeline) == b"6\n5\n4\n3\n2\n1\n"
