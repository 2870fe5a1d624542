"""A signal asks where a run stands, and does not end it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from s3napback.standing import ASKING_SIGNALS, standing, working_on
from tests.site import Site
from tests.waiting import becomes


def test_the_innermost_work_is_told_and_the_outer_one_after_it() -> None:
    assert standing() == "s3napback: between two sources"
    with working_on("verifying all"):
        with working_on("Directory /etc -> x", {"read": lambda: 2500, "stored": lambda: 7}, expected=1_000_000):
            assert re.fullmatch(
                r"s3napback: Directory /etc -> x: for 0\.0 s, 2\.5 kB read, 7 bytes stored, "
                r"about 1\.0 MB expected \(0%\)",
                standing(),
            )
        assert standing() == "s3napback: verifying all: for 0.0 s"
    assert standing() == "s3napback: between two sources"


def test_what_a_terminal_would_obey_is_escaped() -> None:
    with working_on("Directory /e\x1b[31m"):
        assert "\\x1b[31m" in standing()


@pytest.mark.parametrize("number", ASKING_SIGNALS)
def test_a_run_that_is_asked_answers_and_goes_on(tmp_path: Path, number: signal.Signals) -> None:
    site = Site(tmp_path / "site")
    (site.source / "file").write_text("x")
    site.configure_cycle("")
    begun, go = site.root / "begun", site.root / "go"
    site.fake_program("tar", f'test "$1" = --create || exec REAL "$@"; touch {begun}; until test -e {go}; do sleep 0.05; done; exec REAL "$@"')  # fmt: skip # noqa: E501
    with subprocess.Popen(site.command(), stderr=subprocess.PIPE, env=site.full_environment(), text=True) as process:
        assert process.stderr is not None
        try:
            assert becomes(begun.exists)
            line = ""
            # What stands in front of tar's archive is read at once, by another thread.
            while ", 1.0 kB read, 0 bytes stored" not in line:
                process.send_signal(number)
                line = process.stderr.readline()
                assert re.match(rf"s3napback: Directory {site.source} -> file://\S+-FULL: for \d", line), line
        finally:
            go.touch()
        assert process.wait() == 0
    site.run("verify", day=None)


@pytest.mark.parametrize(
    ("arguments", "begins"),
    [
        (("restore", "SOURCE", "--to", "TARGET"), "restoring Directory SOURCE from "),
        (("verify",), "verifying NAME-2-FULL: "),
        (("drill",), "proving Directory SOURCE of 2026-01-01"),
    ],
    ids=lambda each: each[0] if isinstance(each, tuple) else "",
)
def test_whatever_reads_archives_answers_as_well_without_a_terminal(
    tmp_path: Path, arguments: tuple[str, ...], begins: str
) -> None:
    site = Site(tmp_path / "site")
    (site.source / "file").write_bytes(os.urandom(50_000))
    site.configure_cycle("")
    site.run()
    site.configure_cycle("", general="BandwidthLimit 25k")
    names = {"SOURCE": str(site.source), "TARGET": str(site.root / "target")}
    command = site.command(*(names.get(word, word) for word in arguments))
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=site.full_environment(), text=True
    ) as process:
        assert process.stderr is not None
        # Until the handler is there, the signal would end the process.
        assert becomes(lambda: _catches(process.pid, signal.SIGUSR1))
        found = ""
        while not found and process.poll() is None:
            process.send_signal(signal.SIGUSR1)
            line = process.stderr.readline()
            found = line if re.match("s3napback: .*kB fetched", line) else ""
        process.stderr.read()
        assert process.wait() == 0
    assert re.match(f"s3napback: ({begins.replace('SOURCE', str(site.source)).replace('NAME', site.name())})", found), (
        found
    )


def test_whoever_asks_again_as_soon_as_there_is_an_answer_gets_each(tmp_path: Path) -> None:
    """Both on one processor, where the reader is woken before the writer has come back from its handler."""
    enough = tmp_path / "enough"
    program = (
        "import os; from s3napback.standing import answer_signals; answer_signals(); print(flush=True)\n"
        f"while not os.path.exists({str(enough)!r}): pass"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        everywhere = os.sched_getaffinity(0)
        place = {min(everywhere)}
        os.sched_setaffinity(process.pid, place)
        os.sched_setaffinity(0, place)
        try:
            for _ in range(10_000):
                process.send_signal(signal.SIGUSR1)
                assert process.stderr.readline() == b"s3napback: between two sources\n"
        finally:
            os.sched_setaffinity(0, everywhere)
            enough.touch()
        assert process.wait() == 0


@pytest.mark.parametrize("number", ASKING_SIGNALS)
def test_whoever_asks_at_the_very_end_does_not_end_it(number: signal.Signals) -> None:
    """Where the interpreter has taken its handlers away already, and tears down what the program had."""
    program = (
        "import os, sys; from s3napback.standing import answer_signals; answer_signals()\n"
        "class Last:\n"
        "    def __del__(self, kill=os.kill, process=os.getpid(), write=os.write):\n"
        f"        kill(process, {number:d}); write(1, b'asked')\n"
        "last = Last()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (0, b"asked")


def _catches(process: int, number: signal.Signals) -> bool:
    """Whether a process has a handler for a signal (proc(5), SigCgt)."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return False
    caught = re.search(r"^SigCgt:\s*([0-9a-f]+)", status, re.MULTILINE)
    return caught is not None and bool(int(caught[1], 16) >> (number - 1) & 1)
