"""What commands say arrives whatever standard output is, and a question without a person gets no answer."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.site import Site

SAY = "from s3napback.speaking import say; say('gr\\u00fcn', 'a\\x1b[31m\\nb'); print('on', file=sys.stderr)"
ASK = "from s3napback.speaking import confirm; print(confirm('delete a\\x1bb?'))"


def run(script: str, **how: object) -> subprocess.CompletedProcess[bytes]:
    given = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, **how}
    command = [sys.executable, "-W", "error", "-c", f"import sys; {script}"]
    return subprocess.run(command, stderr=subprocess.PIPE, check=False, timeout=60, **given)  # type: ignore[call-overload, no-any-return]


@pytest.mark.parametrize(("encoding", "letter"), [("utf-8", "ü".encode()), ("ascii", rb"\xfc"), ("latin-1", b"\xfc")])
def test_lines_arrive_in_any_encoding_and_a_terminal_obeys_nothing_in_them(encoding: str, letter: bytes) -> None:
    done = run(SAY, env={**os.environ, "PYTHONIOENCODING": encoding})
    assert done.stdout == b"gr" + letter + b"n\na\\x1b[31m\\nb\n"


def test_a_file_is_printed_as_it_is_and_a_terminal_obeys_nothing_in_it() -> None:
    script = "from s3napback.speaking import say_file; say_file('gr\\u00fcn\\n\\ta\\x1b[31m\\n')"
    assert run(script, env={**os.environ, "PYTHONIOENCODING": "latin-1"}).stdout == "grün\n\ta\x1b[31m\n".encode()
    controller, terminal = pty.openpty()
    try:
        run(script, stdout=terminal)
        assert os.read(controller, 1000) == "grün\r\n        a\\x1b[31m\r\n".encode()
    finally:
        os.close(controller)
        os.close(terminal)


def test_a_reader_that_has_had_enough_is_no_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = run(SAY, stdout=writer)
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"on\n")


def test_output_that_cannot_be_written_is_an_error_said_once() -> None:
    with Path("/dev/full").open("wb") as full:
        done = run(SAY, stdout=full)
    assert done.returncode == 1
    assert done.stderr.count(b"standard output cannot be written to: No space left on device") == 1
    assert b"Exception ignored" not in done.stderr


@pytest.mark.parametrize(
    ("options", "source", "code"), [([], "source", 0), ([], "gone", 1), (["--strict"], "source", 3)]
)
def test_a_log_on_a_full_disk_leaves_the_exit_code_as_it_is(
    options: list[str], source: str, code: int, site: Site
) -> None:
    (site.source / "file").write_text("content")
    site.configure(f"Directory {site.root / source}")
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(site.command(*options), stderr=full, env=site.full_environment(), check=False)
    assert done.returncode == code


def test_without_a_terminal_nobody_is_asked() -> None:
    assert run(ASK).stdout == b"None\n"


@pytest.mark.parametrize(("typed", "answer"), [(b"y\n", b"True\n"), (b"\n", b"False\n"), (b"\x04", b"False\n")])
def test_a_person_is_asked_on_standard_error(typed: bytes, answer: bytes) -> None:
    """The last is Ctrl-D: the input is closed."""
    ours, theirs = pty.openpty()
    try:
        os.write(ours, typed)
        done = run(ASK, stdin=theirs)
    finally:
        os.close(ours)
        os.close(theirs)
    # click 8.2.0 asks for the answer itself with a blank.
    assert done.stdout.lstrip(b" ") == answer
    assert b"delete a\\x1bb? [y/N]" in done.stderr
