"""On a terminal the manual is laid out and paged; where that cannot be, it is plain."""

from __future__ import annotations

import os
import pty
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from s3napback.config.naming import all_directives
from s3napback.paging import environment_for, without_wide_tables
from s3napback.topics import passage

DIRECTIVES = [each.name for each in all_directives()]
PLAIN = (passage("locks") or "").rstrip("\n")


def on_a_terminal(
    folder: Path, *words: str, pager: str = "", keys: bytes = b"", columns: int = 80, lines: int = 24, **more: str
) -> str:
    """What a terminal gets that shows a topic.

    Args:
        pager: the script of the only pager there is; empty for none.
        keys: what is typed.
    """
    environment = {"PATH": str(folder), "TERM": "xterm", "COLUMNS": str(columns), "LINES": str(lines), **more}
    if pager:
        (folder / "less").write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\n{pager}\n")
        (folder / "less").chmod(0o700)
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "s3napback", "help", *words]
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    os.write(ours, keys)
    shown = b""
    try:
        while data := os.read(ours, 65536):
            shown += data
    except OSError:  # the last one that had the terminal has closed it
        pass
    os.close(ours)
    assert process.wait() == 0, shown
    return shown.decode().replace("\r\n", "\n")


def test_it_is_laid_out_and_paged_and_the_pager_gets_no_secret(tmp_path: Path) -> None:
    script = "echo PAGED; env; cat; exit 0"
    shown = on_a_terminal(tmp_path, "locks", pager=script, AWS_SECRET_ACCESS_KEY="SEKRIT", LD_PRELOAD="")
    assert shown.startswith("PAGED\n")
    assert "LESS=FRX\n" in shown
    assert "AWS" not in shown.partition("When an access key")[0]
    assert "SEKRIT" not in shown
    assert "\x1b[1m" in shown
    assert not re.search(r"^#|^```", shown, re.MULTILINE)


@pytest.mark.parametrize("given", ["settings", "LESS"])
def test_less_runs_no_program_whatever_its_settings_say(tmp_path: Path, given: str) -> None:
    """HOME may be another user's, as ``sudo`` can leave it behind, and with it the settings."""
    less = shutil.which("less")
    assert less
    proof, wish = tmp_path / "proof", f"+!{shutil.which('touch')} {tmp_path}/proof"
    (tmp_path / ".lesskey").write_text(f"#env\nLESS = FRX {wish}\n" if given == "settings" else "")
    wanted = f"FRX {wish}" if given == "LESS" else "FRX"
    on_a_terminal(Path(less).parent, "locks", keys=b"\nq\nqq", HOME=str(tmp_path), SHELL="/bin/sh", LESS=wanted)
    assert not proof.exists()


def test_the_pager_is_the_one_that_is_wanted_and_what_it_says_is_the_end(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text('#!/bin/sh\necho MINE "$@"\n')
    (tmp_path / "mine").chmod(0o700)
    assert on_a_terminal(tmp_path, "locks", PAGER="mine -x 'a b; c'").startswith("MINE -x a b; c\n")


def test_without_a_pager_and_on_a_long_terminal_it_is_shown_at_once(tmp_path: Path) -> None:
    assert "\x1b[1m" in on_a_terminal(tmp_path, "locks", PAGER="/no/such 'program")
    assert "PAGED" not in on_a_terminal(tmp_path, "upgrading", pager="echo PAGED", lines=100)


@pytest.mark.parametrize("words", [("locks", "--plain"), ("locks",)])
def test_it_is_plain_if_wanted_and_on_a_terminal_that_knows_nothing(tmp_path: Path, words: tuple[str, ...]) -> None:
    terminal = "xterm" if len(words) == 2 else "dumb"
    assert on_a_terminal(tmp_path, *words, pager="echo PAGED", TERM=terminal).rstrip("\n") == PLAIN


def test_it_is_without_colours_if_they_are_not_wanted(tmp_path: Path) -> None:
    colours = r"\x1b\[[0-9;]*[34][0-7]"
    assert not re.search(colours, on_a_terminal(tmp_path, "databases", NO_COLOR="1"))


@pytest.mark.parametrize("columns", [1, 20, 40])
def test_a_narrow_terminal_gets_narrow_lines(tmp_path: Path, columns: int) -> None:
    shown = on_a_terminal(tmp_path, "directives", columns=columns)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", shown)
    wide = {line.strip() for line in plain.splitlines() if len(line) > max(columns, 20)}
    # Commands and lines of configurations are left whole.
    assert wide <= {line.strip() for line in (passage("directives") or "").splitlines()}
    assert len(plain.splitlines()) > 300
    if columns > 20:
        assert [name for name in DIRECTIVES if not re.search(rf"^ • {name} *$", plain, re.MULTILINE)] == []


def test_a_command_is_not_broken_into_two(tmp_path: Path) -> None:
    shown = on_a_terminal(tmp_path, "completion", columns=40)
    assert re.search(
        r"^ \S+zsh_source s3napback >/usr/local/share/zsh/site-functions/_s3napback\s*$", shown, re.MULTILINE
    )


def test_a_table_that_does_not_fit_becomes_a_list() -> None:
    table = "| Where | Takes | Meaning |\n|---|---|---|\n| `a \\| b` | x |  |\n| c |  | z |\n"
    listed = "- `a | b`\n  - Takes: x\n- c\n  - Meaning: z\n"
    assert without_wide_tables(f"before\n\n{table}\nafter\n", 20) == f"before\n\n{listed}\nafter\n"
    assert without_wide_tables(table, 80) == table
    assert without_wide_tables("| A | |\n|---|---|\n| b | c |\n", 5) == "- b: c\n"


def test_a_pager_gets_what_drives_a_terminal_and_nothing_else() -> None:
    given = {"TERM": "xterm", "LESS": "S", "AWS_SECRET_ACCESS_KEY": "x", "LESSOPEN": "|x %s", "PAGER": "less"}
    assert environment_for(given) == {"TERM": "xterm", "LESS": "S", "LESSSECURE": "1"}
