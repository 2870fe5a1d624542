"""A process that is given a stream by hand: it takes all of it and ends well, or that is an error which names it."""

from __future__ import annotations

from pathlib import Path

import pytest

from s3napback.streams.receiving import Receiver, ReceiverFailed
from tests.streams.helpers import Fake, working
from tests.waiting import becomes, is_running

BLOCK = bytes(1 << 16)


def give(fake: Fake, script: str, *, blocks: int = 100, stall_timeout: float | None = None) -> str:
    """What is wrong with a program that is given some megabytes; empty if nothing is."""
    try:
        with Receiver(fake("svnadmin", script), stall_timeout) as receiver:
            for _ in range(blocks):
                receiver.write(BLOCK)
            receiver.finish()
    except ReceiverFailed as error:
        return "\n".join(error.lines)
    return ""


def test_everything_arrives(fake: Fake) -> None:
    assert give(fake, 'test "$(wc -c)" = 6553600 && echo said on standard output') == ""


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("echo why >&2; exit 3", "svnadmin failed with exit status 3:\n  why"),
        ("head -c 70000 >/dev/null; echo why; exit 3", "svnadmin failed with exit status 3:\n  why"),
        ("cat >/dev/null; echo why >&2; exit 3", "svnadmin failed with exit status 3:\n  why"),
        ("head -c 70000 >/dev/null; kill -KILL $$", "svnadmin was killed by SIGKILL, perhaps for want of memory"),
        ("head -c 70000 >/dev/null; exit 0", "svnadmin ended before it had read everything"),
    ],
    ids=["at the start", "in the middle", "at the end", "killed", "too early"],
)
def test_a_failure_is_told_in_its_own_words(fake: Fake, script: str, expected: str) -> None:
    assert give(fake, script) == expected


@pytest.mark.parametrize("script", ["exec sleep 60", "cat >/dev/null; exec sleep 60"], ids=["input", "end"])
def test_one_that_hangs_is_given_up(fake: Fake, script: str) -> None:
    assert give(fake, script, stall_timeout=0.2) == "svnadmin has been silent for 0.2 seconds (StallTimeout)"


def test_one_that_works_on_what_it_got_is_waited_for(fake: Fake) -> None:
    assert give(fake, working(1.0, "sys.stdin.buffer.read()"), stall_timeout=0.6) == ""


def test_leaving_it_in_the_middle_ends_the_process(fake: Fake, tmp_path: Path) -> None:
    note = tmp_path / "number"
    script = f"echo $$ >{note}.new; mv {note}.new {note}; cat >/dev/null; exec sleep 60"
    with pytest.raises(KeyboardInterrupt), Receiver(fake("svnadmin", script)) as receiver:
        receiver.write(BLOCK)
        assert becomes(note.exists)
        raise KeyboardInterrupt
    assert not is_running(int(note.read_text()))
