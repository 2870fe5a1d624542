"""A run on a terminal shows where it stands; in a pipe, quiet, or on a terminal that cannot, it does not."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import socket
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.site import Site
from tests.waiting import becomes

DRAWN = re.compile(r"\r\x1b\[J(?:\x1b\[\?7l(.*?)\x1b\[\?7h(?:\x1b\[\d+A)?\r)?", re.DOTALL)
"""What is drawn at the foot, or that it is erased."""


@dataclass
class Seen:
    """What a terminal got.

    Attributes:
        drawn: the foot, each time.
        lines: everything else, as somebody sees it afterwards.
        text: all of it.
    """

    drawn: list[list[str]]
    lines: list[str]
    text: str


IN_FRONT = "import os, sys, fcntl, termios; fcntl.ioctl(2, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
BEHIND_A_SHELL = """\
import os, sys, fcntl, termios
fcntl.ioctl(2, termios.TIOCSCTTY, 0)
child = os.fork()
if not child:
    os.setpgid(0, 0)
    os.execv(sys.argv[1], sys.argv[1:])
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def on_terminal(
    site: Site, *options: str, columns: int = 80, environment: Mapping[str, str] | None = None,
    meanwhile: Callable[[subprocess.Popen[bytes]], None] = lambda _process: None, expect: int = 0,
    start: str = IN_FRONT, has_output: bool = False
) -> Seen:  # fmt: skip
    """Run a command whose standard error is a terminal in the foreground.

    Args:
        start: runs it elsewhere.
        has_output: its standard output is the terminal as well.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    # The last one counts for whoever starts a session on it.
    full = {**site.full_environment(), "TERM": "xterm", **(environment or {})}
    command = site.command(*options)
    process = subprocess.Popen(
        [command[0], "-c", start, *command], stdin=subprocess.DEVNULL,
        stdout=theirs if has_output else subprocess.DEVNULL, stderr=theirs, env=full, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    meanwhile(process)
    data = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:
            break
        data += piece
    os.close(ours)
    assert process.wait(60) == expect, data
    text = data.decode()
    drawn = [re.split("\r+\n", match[1]) for match in DRAWN.finditer(text) if match[1]]
    return Seen(drawn, DRAWN.sub("", text).replace("\r\n", "\n").split("\n"), text)


@pytest.fixture
def quick(site: Site) -> Site:
    """A site with two sources."""
    for name in ("a", "b"):
        (site.source / name).mkdir()
        (site.source / name / "file").write_bytes(os.urandom(60_000))
    configure(site, "")
    return site


def configure(site: Site, general: str) -> None:
    body = "\n".join(f"Directory {site.source}/{name}" for name in ("a", "b"))
    site.configure(f"<Cycle nightly>\n{body}\n</Cycle>", general=general)


@pytest.fixture
def slow(quick: Site) -> Site:
    """A site whose sources take some seconds."""
    configure(quick, "BandwidthLimit 30k\nJobs 2")
    return quick


def test_a_run_shows_its_sources_and_ends_with_a_table_and_its_lines_are_whole(slow: Site) -> None:
    first = on_terminal(slow)
    again = on_terminal(slow, "-f", columns=120)
    # They share the limit: while one of them stores, the other may still wait for its turn.
    both = next(lines for lines in first.drawn if len(lines) == 3 and "kB stored" in lines[0] + lines[1])
    assert all(re.search(r"/[ab] +FULL +[0-9.]+ kB read +[0-9.]+ (kB|bytes) stored ", line) for line in both[:2])
    assert both[2].split() == ["0", "of", "2", "sources"]
    # What the last archive had, tells how far along this one is.
    assert any(re.search(r" \d+%", line) for lines in again.drawn for line in lines)
    assert not any(re.search(r" \d+%", line) for lines in first.drawn for line in lines)
    for seen, columns in ((first, 80), (again, 120)):
        assert all(len(line) < columns for lines in seen.drawn for line in lines)
        *log, blank = seen.lines
        assert blank == ""
        done = [line for line in log if re.match(r"\d{4}-\d\d-\d\d [0-9:]{8} INFO directory: Directory \S+ -> ", line)]
        assert len(done) == 2
        table = log[-4:]
        assert table[0].split()[:2] == ["Source", "What"]
        assert [line.split()[2] for line in table[1:3]] == ["FULL", "FULL"]
        assert table[3].startswith("2 sources")
        # No colour is used, and there is nothing else.
        assert "\x1b" not in "".join(seen.lines) + "".join(line for lines in seen.drawn for line in lines)
        assert len(log) == 2 + 1 + 4


@pytest.mark.parametrize(
    ("options", "environment"),
    [(["-q"], {}), (["-t"], {}), ([], {"TERM": "dumb"}), ([], {"TERM": ""})],
    ids=["quiet", "dry run", "dumb", "no terminal type"],
)
def test_nothing_is_drawn_where_it_is_not_wanted_or_cannot_be(
    quick: Site, options: list[str], environment: dict[str, str]
) -> None:
    seen = on_terminal(quick, *options, environment=environment)
    assert seen.drawn == []
    assert "\x1b" not in "".join(seen.lines)
    assert not any(line.startswith("Source") for line in seen.lines)


def test_nothing_is_drawn_into_a_pipe(quick: Site) -> None:
    done = quick.run()
    assert "\x1b" not in done.stderr + done.stdout
    assert len(done.stderr.splitlines()) == 3


def test_a_signal_is_answered_above_what_is_drawn(slow: Site) -> None:
    def ask(process: subprocess.Popen[bytes]) -> None:
        assert becomes(lambda: any(slow.vault.rglob(".s3napback/objects/**/*")) or process.poll() is not None)
        time.sleep(0.8)
        process.send_signal(signal.SIGUSR1)

    seen = on_terminal(slow, meanwhile=ask)
    (answer,) = [line for line in seen.lines if line.startswith("s3napback: Directory ")]
    assert answer.endswith("stored")


@pytest.mark.parametrize("command", ["restore", "verify"])
def test_restore_and_verify_show_how_far_along_they_are(quick: Site, command: str) -> None:
    quick.run()
    configure(quick, "BandwidthLimit 25k")
    more = ["--to", str(quick.root / "back")] if command == "restore" else []
    seen = on_terminal(quick, command, f"{quick.source}/a", *more)
    assert any(command in line and "%" in line for lines in seen.drawn for line in lines)


def test_what_is_dumped_to_a_terminal_is_not_drawn_over(quick: Site) -> None:
    content = os.urandom(12_000).hex()  # without the end of a line
    (quick.source / "a" / "file").write_text(content)
    quick.run()
    configure(quick, "BandwidthLimit 25k")
    seen = on_terminal(quick, "dump", f"{quick.source}/a", "file", has_output=True)
    assert content in seen.text
    assert "\x1b" not in seen.text


def test_behind_a_shell_that_has_the_terminal_nothing_is_drawn_and_nothing_erased(slow: Site) -> None:
    seen = on_terminal(slow, start=BEHIND_A_SHELL)
    assert "2 sources" in seen.text
    assert "\x1b" not in seen.text


@pytest.mark.parametrize("kind", ["a file", "an abstract name"])
def test_systemd_is_told_that_a_run_is_at_work_what_at_and_that_it_ends(slow: Site, tmp_path: Path, kind: str) -> None:
    """As sd_notify(3) says: READY once it is at work, STATUS while it goes on, STOPPING at the end."""
    shown = str(tmp_path / "notify") if kind == "a file" else f"@s3napback-test-{os.getpid()}"
    words: list[str] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(f"\0{shown[1:]}" if shown.startswith("@") else shown)
        channel.settimeout(30)
        slow.run(environment={"NOTIFY_SOCKET": shown})
        channel.settimeout(0.2)
        with suppress(TimeoutError):
            while True:
                words.append(channel.recv(4096).decode())
    first, *others, last = words
    assert first == "READY=1\nSTATUS=at work"
    assert last == "STOPPING=1\nSTATUS=at its end: 2 sources, 0 failed"
    assert any(
        re.fullmatch(r"READY=1\nSTATUS=[01] of 2 sources; Directory \S+ -> .* kB stored.*", each) for each in others
    )


def test_nobody_who_listens_to_no_word_holds_a_run_up(quick: Site, tmp_path: Path) -> None:
    """A socket whose queue is full, one that is not there, and an address that is none."""
    full = tmp_path / "full"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(str(full))
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender, suppress(BlockingIOError):
            sender.setblocking(False)
            sender.connect(str(full))
            while True:
                sender.send(b"x")
        clock = time.monotonic()
        quick.run(environment={"NOTIFY_SOCKET": str(full)})
        assert time.monotonic() - clock < 30
    for address in (str(tmp_path / "none"), "vsock:2:1234", "@", "x" * 300):
        quick.run("-f", environment={"NOTIFY_SOCKET": address})
