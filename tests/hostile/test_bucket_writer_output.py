"""Whoever can write to the store, or name a folder, chooses words that we print: they must stay words."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.commands.filling import CYCLE, nights, put
from tests.site import TIME_LIMIT, Site

FORGED = "2001-01-01 00:00:00 INFO s3napback: forged"
LINE_ENDS = "\n", "\r", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"
COMMANDS = (
    "\x1b[31m",
    "\x1b]0;title\x07",
    "\x9b2J",
    "\x7f",
    "\b",
    "\u202e",
    "\u2066",
    "\u200b",
    "\ufeff",
    "\xad",
    "\U000e0041",
)
EVIL = "evil" + "".join(end + FORGED for end in LINE_ENDS) + "".join(COMMANDS) + "[red]x[link=https://example.org]y"
EVIL_NAME = f"evil\n{FORGED}\u2028{FORGED}\x85{FORGED}\x1b[31m\u202e\u200b[red]x[link=x]y"
"""Short enough for a file's name."""

LOG_LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d (DEBUG|INFO|WARNING|ERROR) [\w.]+: ")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A store that somebody else has put things into, for looking only."""
    return visited_site(tmp_path_factory.mktemp("visited"))


@pytest.fixture
def own_site(tmp_path: Path) -> Site:
    """The same, to be changed."""
    return visited_site(tmp_path)


def visited_site(folder: Path) -> Site:
    """A machine whose store holds two good archives, and what somebody else has put beside them."""
    made = Site(folder / "site")
    made.configure_cycle(CYCLE)
    nights(made, 2)
    full, diff = (made.metadata(f"{made.name()}-{end}") for end in ("0-FULL", "1-DIFF"))
    evil = {"s3napback-source": quote(f"Directory /{EVIL_NAME}"), "s3napback-cycle": quote(EVIL)}
    put(made, f"{EVIL_NAME}-0-FULL", {**full, **evil})
    put(made, f"{EVIL_NAME}-0-FULL.sha256", data=f"{'0' * 64}  {EVIL}\n# id {EVIL}\n# source {EVIL}\n".encode())
    put(made, f"{EVIL_NAME}-1-DIFF", {**diff, **evil, "s3napback-parent": quote(EVIL), "s3napback-id": quote(EVIL)})
    foreign = {"s3napback-source": "Directory%20/other", "s3napback-host": quote(EVIL), "s3napback-cycle": quote(EVIL)}
    put(made, "other-0-FULL", {**full, **foreign})
    put(made, f"lost{EVIL_NAME}-0-FULL")
    put(made, f"lone{EVIL_NAME}-0-FULL.sha256", data=f"{'0' * 64}  {EVIL}\n# source {EVIL}\n# host {EVIL}\n".encode())
    put(made, EVIL_NAME)
    return made


def run(site: Site, *options: str) -> subprocess.CompletedProcess[bytes]:
    """The command line with its output as it is: reading text would turn some line ends into others."""
    command = site.command(*options, day=400 if "prune" in options else 2)
    environment = site.full_environment({"PYTHONIOENCODING": "utf-8"})
    return subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=TIME_LIMIT,
        env=environment,
        cwd=site.root,
        check=False,
    )


def lines_of(output: bytes) -> list[str]:
    """The lines of an output in which nothing but their ends is a command."""
    lines = output.decode().split("\n")
    for line in lines:
        assert line.isprintable(), repr(line)
        assert not line.startswith(FORGED)
    return lines


def check(done: subprocess.CompletedProcess[bytes]) -> tuple[str, list[str]]:
    """What was printed, and what was logged, of which every line begins as a line of a log does."""
    shown, logged = lines_of(done.stdout), lines_of(done.stderr)[:-1]
    assert all(LOG_LINE.match(line) for line in logged), logged
    assert not any(LOG_LINE.sub("", line, count=1).startswith("2001") for line in logged), logged
    assert done.returncode != 70, logged
    return "\n".join(shown), logged


READING = {
    "list": ["list"],
    "list of one": ["list", f"Directory /{EVIL_NAME}"],
    "list of none": ["list", f"/nowhere{EVIL}"],
    "verify": ["verify"],
    "verify all": ["verify", "--all"],
    "verify without keys": ["verify", "--keyless", "--all"],
    "verify one": ["verify", f"Directory /{EVIL_NAME}"],
    "verify as of nonsense": ["verify", f"Directory /{EVIL_NAME}", "--at", EVIL],
    "compare": ["verify", "--compare"],
    "rehearse a restore": ["restore", f"Directory /{EVIL_NAME}", "--to", "OUT", "-t"],
    "rehearse a restore of keys": ["restore", "/evil", "--to", "OUT", "-t", "--keys", f"{EVIL_NAME}-0-FULL"],
    "restore": ["restore", f"Directory /{EVIL_NAME}", "--to", "OUT"],
    "restore of another host's": ["restore", "/other", "--to", "OUT"],
    "restore of missing keys": ["restore", "/evil", "--to", "OUT", "--keys", f"none{EVIL_NAME}-0-FULL"],
    "restore from nowhere": ["restore", "/other", "--to", "OUT", "--from", EVIL],
    "prune": ["prune", "--unowned"],
    "with tracebacks": ["-d", "restore", "/other", "--to", "OUT"],
}


@pytest.mark.parametrize("words", READING.values(), ids=READING)
def test_what_a_store_holds_stays_words(site: Site, words: Sequence[str], tmp_path: Path) -> None:
    done = run(site, *(str(tmp_path / "out") if word == "OUT" else word for word in words))
    if "-d" in words:
        lines_of(done.stdout)
        assert all(LOG_LINE.match(line) or line.startswith("    ") for line in lines_of(done.stderr)[:-1])
        assert FORGED.encode() in done.stderr
        return
    shown, logged = check(done)
    assert FORGED in shown + "\n".join(logged), "the words that would have done harm are there to be read"


def test_what_is_deleted_stays_words(own_site: Site) -> None:
    shown, _ = check(run(own_site, "prune", "--unowned", "--yes"))
    assert re.search(rf"^deleted +evil\\n{FORGED}", shown, re.MULTILINE)


def test_json_holds_them_as_they_are(site: Site) -> None:
    done = run(site, "list", "--json")
    shown, _ = check(done)
    sources = [source["source"] for source in json.loads(shown)["sources"]]
    assert f"Directory /{EVIL_NAME}" in sources


def test_a_terminal_does_not_obey_them_and_brackets_are_no_markup(site: Site) -> None:
    main, other = pty.openpty()
    environment = site.full_environment({"COLUMNS": "1000", "TERM": "xterm", "PYTHONIOENCODING": "utf-8"})
    with subprocess.Popen(site.command("list"), stdin=subprocess.DEVNULL, stdout=other, env=environment, cwd=site.root):
        os.close(other)
        output = b""
        try:
            while block := os.read(main, 65536):
                output += block
        except OSError:
            pass  # Linux reports the end of a terminal so
        finally:
            os.close(main)
    shown = re.sub(rb"\x1b\[[\d;]*m|\r\n", b"\n", output)
    assert "[red]x[link=x]y" in "".join(lines_of(shown))


@pytest.mark.parametrize("options", [[], ["-t"], ["-f"]], ids=["a night", "rehearsed", "forced"])
def test_a_foreign_owner_does_not_write_the_log_of_the_night(own_site: Site, options: list[str]) -> None:
    key = f"{own_site.name()}-2-DIFF"
    put(own_site, key, {**own_site.metadata(f"{own_site.name()}-1-DIFF"), "s3napback-host": quote(EVIL)})
    _, logged = check(run(own_site, *options))
    assert any(FORGED in line for line in logged)


@pytest.mark.parametrize(
    "words", [[EVIL], [f"--{EVIL}"], ["list", f"--{EVIL}"], ["--today", EVIL], ["restore", EVIL], ["verify", "a", EVIL]]
)
def test_arguments_that_are_refused_stay_words(site: Site, words: list[str]) -> None:
    done = run(site, *words)
    assert done.returncode == 2
    lines = lines_of(done.stderr)
    assert all(re.match("Usage: |Try |Error: |$", line) for line in lines), lines


@pytest.mark.parametrize(("answer", "words"), [(b"n\n", "nothing was restored"), (b"\x04", "nothing was restored")])
def test_a_question_does_not_obey_them_and_closing_the_terminal_is_no(
    site: Site, tmp_path: Path, answer: bytes, words: str
) -> None:
    (tmp_path / "out").mkdir()
    main, other = pty.openpty()
    command = site.command("restore", f"Directory /{EVIL_NAME}", "--to", str(tmp_path / "out"), "--in-place")
    environment = site.full_environment({"PYTHONIOENCODING": "utf-8"})
    with subprocess.Popen(
        command, stdin=other, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, cwd=site.root
    ) as running:
        os.write(main, answer)
        _, errors = running.communicate(timeout=TIME_LIMIT)
    os.close(main)
    os.close(other)
    text = "\n".join(lines_of(errors))
    assert "Merge Directory /evil" in text
    assert words in text
    assert running.returncode == 1


def test_each_line_of_a_failed_tool_is_a_line_of_the_log(own_site: Site) -> None:
    own_site.fake_program(
        "tar",
        f"""case "$*" in *--version*) exec REAL "$@";; esac
printf 'first\\nsecond \\342\\200\\250{FORGED}\\n\\033[31mthird' >&2; exit 2""",
    )
    _, logged = check(run(own_site))
    words = [LOG_LINE.sub("", line, count=1) for line in logged]
    at = next(number for number, line in enumerate(words) if "FAILED" in line)
    assert words[at].startswith(f"Directory {own_site.source} FAILED: tar failed with exit status 2:")
    assert words[at + 1 : at + 4] == ["    first", rf"    second \u2028{FORGED}", r"    \x1b[31mthird"]
    assert not any(r"\n" in line for line in words)


def test_what_is_shown_to_be_pasted_is_one_line_and_the_same_for_a_shell(tmp_path: Path) -> None:
    site = Site(tmp_path / "site")
    repository = site.root / "repositories" / f"evil\n{FORGED}\u202e it's"
    repository.parent.mkdir()
    subprocess.run(["svnadmin", "create", repository], check=True)
    site.configure(f"<Cycle nightly>\nSubversionDir {repository.parent}\n</Cycle>")
    shown, _ = check(run(site, "-t", "-d"))
    (line,) = [line for line in shown.split("\n") if "svnadmin" in line]
    words = subprocess.run(
        ["bash", "-c", f"printf '%s\\0' {line.strip().removesuffix(chr(92))}"], capture_output=True, check=True
    ).stdout.split(b"\0")
    assert os.fsencode(repository) in words
