"""Commands: the output of real programs, kept, given back, and refused where anything is wrong with it."""

from __future__ import annotations

import gzip
import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from s3napback.config.loading import load_configuration
from s3napback.config.settings import Job, JobSettings, Position
from s3napback.errors import ConfigurationError, SourceError
from s3napback.rotation import ArchiveType, SimpleCycle
from s3napback.sources.command import CommandSource
from tests.databases.sqlite_nights import night, restored, verified
from tests.site import Site


def block(run: str, settings: str = "", name: str = "x") -> str:
    return f"<Command {name}>\nFulls 2\nRun {run}\n{settings}\n</Command>"


def source(*run: str, **settings: object) -> CommandSource:
    made = JobSettings(run=run, **settings)  # type: ignore[arg-type]
    return CommandSource(Job("Command", "x", "Command/x", SimpleCycle(), "", made, Position("test.conf", 1)))


def content(site: Site, key: str = "Command/x-0") -> bytes:
    return gzip.decompress(site.fetch(key))


def test_what_it_writes_is_kept_and_comes_back_byte_for_byte(site: Site, tmp_path: Path) -> None:
    data = os.urandom(300_000)
    (site.source / "data").write_bytes(data)
    assert night(site, block(f"cat {site.source}/data"), 0).done == 1
    assert night(site, block("printf %s 'two  words'"), 1).done == 1
    assert site.archive_keys() == ["Command/x-0", "Command/x-1"]
    assert content(site) == data
    assert restored(site, "Command/x", tmp_path / "copy").read_bytes() == b"two  words"
    assert verified(site, "Command x")[0] == 0
    assert site.metadata("Command/x-1")["s3napback-type"] == "FULL"


@pytest.mark.parametrize(
    ("run", "settings", "words"),
    [
        ("sh -c 'echo x; echo told >&2; exit 3'", "", ("sh failed with exit status 3", "told")),
        ("sh -c 'kill -9 $$'", "", ("killed by SIGKILL",)),
        ("true", "", ("true produced nothing",)),
        ("printf 1234", "LeastBytes 5", ("wrote 4 bytes, and LeastBytes is 5",)),
        ("sh -c 'echo x; exec sleep 600'", "StallTimeout 1", ("silent for 1 seconds (StallTimeout)",)),
        ("nonesuch --help", "", ("nonesuch was not found on PATH",)),
        ("/nonexistent/program", "", ("there is no program /nonexistent/program",)),
        ("/etc/passwd", "", ("/etc/passwd may not be executed, as programs may (chmod +x)",)),
        ("/etc", "", ("/etc is no file, and no program",)),
        ("cat", "RunAs nobody-of-that-name", ("no user nobody-of-that-name",)),
    ],
)
def test_what_goes_wrong_fails_and_leaves_the_old_archive(
    run: str, settings: str, words: tuple[str, ...], site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    assert night(site, block("echo good"), 0).done == 1
    kept = site.contents()
    assert night(site, block(run, settings), 2).failed == 1
    assert site.contents() == kept
    for word in words:
        assert word in caplog.text


def test_as_much_as_least_bytes_is_enough(site: Site) -> None:
    assert night(site, block("printf 12345", "LeastBytes 5")).done == 1


def test_it_gets_no_shell_and_no_standard_input(site: Site) -> None:
    assert night(site, block("printf '%s\\n' '$HOME' '*' ';' '|'"), 0).done == 1
    assert content(site) == b"$HOME\n*\n;\n|\n"
    assert night(site, block("sh -c 'cat; echo end'"), 2).done == 1
    assert content(site) == b"end\n"


def test_it_gets_its_own_variables_a_safe_umask_and_none_of_our_secrets(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "geheim")
    monkeypatch.setenv("PGPASSWORD", "geheim")
    caplog.set_level(logging.DEBUG)
    body = block("sh -c 'pwd; umask; env'", 'Environment TOKEN=top-secret "TWO=two words"\nEnvironment EMPTY=')
    assert night(site, body).done == 1
    lines = content(site).decode().splitlines()
    assert lines[:2] == ["/", "0077"]
    found: Mapping[str, str] = dict(line.split("=", 1) for line in lines[2:])
    assert {name: found[name] for name in ("TOKEN", "TWO", "EMPTY", "LC_ALL")} == {
        "TOKEN": "top-secret",
        "TWO": "two words",
        "EMPTY": "",
        "LC_ALL": "C",
    }
    assert "geheim" not in found.values()
    printed = site.run("-t", day=1).stdout
    assert "env --chdir=/ 'TOKEN=…' 'TWO=…' 'EMPTY=…' sh -c 'pwd; umask; env'" in printed
    assert "top-secret" not in printed + caplog.text + repr(load_configuration(site.configuration))


def test_its_words_go_to_the_log_as_they_come_and_cannot_fill_it(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    script = "i=0; while [ $i -lt 300 ]; do echo line $i >&2; i=$((i+1)); done; echo x; echo 'WARNING: odd' >&2"
    tally = night(site, block(f'sh -c "{script}"'))
    assert (tally.done, tally.warnings) == (1, 1)
    said = [record.getMessage() for record in caplog.records if record.name == "s3napback.command"]
    assert said[:2] == ["Command x: line 0", "Command x: line 1"]
    assert said[199:202] == [
        "Command x: line 199",
        "Command x says more; -d shows everything",
        "Command x: WARNING: odd",
    ]


def test_the_dry_run_shows_it_and_does_not_run_it(site: Site) -> None:
    site.configure(block(f"touch {site.root}/was-run"))
    printed = site.run("-t").stdout
    assert f"Command x -> file://{site.vault}/Command/x-0\n" in printed
    assert f"    env --chdir=/ touch {site.root}/was-run \\\n" in printed
    assert printed.endswith("    | gzip -1 \\\n    | wc -c\n")
    assert not (site.root / "was-run").exists()


def test_all_that_it_started_ends_with_it_where_it_stalls(site: Site, tmp_path: Path) -> None:
    run = f"sh -c 'sleep 600 & echo $! >{tmp_path}/child; echo x; wait'"
    assert night(site, block(run, "StallTimeout 1")).failed == 1
    assert has_ended(int((tmp_path / "child").read_text()))


def has_ended(child: int) -> bool:
    """Whether it does so within ten seconds."""
    deadline = time.monotonic() + 10
    while Path(f"/proc/{child}").exists() and "(zombie)" not in Path(f"/proc/{child}/status").read_text():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (0, "ended, but something that it started has kept its output open for 1 seconds (StallTimeout)"),
        (3, "failed with exit status 3"),
    ],
)
def test_what_it_leaves_with_its_output_is_told_from_itself_and_ends_as_well(
    site: Site, tmp_path: Path, caplog: pytest.LogCaptureFixture, status: int, words: str
) -> None:
    run = f"sh -c 'sleep 600 & echo $! >{tmp_path}/child; echo x; exit {status}'"
    assert night(site, block(run, "StallTimeout 1")).failed == 1
    assert f"sh {words}" in caplog.text
    assert has_ended(int((tmp_path / "child").read_text()))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("#!/nonexistent/interpreter\n", "what its first line names"),
        ("echo x\n", "it is no program, or a script whose first line is not #! and an interpreter"),
    ],
)
def test_a_script_whose_interpreter_is_missing_is_no_missing_script(
    site: Site, tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str, words: str
) -> None:
    script = tmp_path / "script"
    script.write_text(text)
    script.chmod(0o700)
    assert night(site, block(str(script))).failed == 1
    assert f"cannot start {script}: {words}" in caplog.text


def test_it_rotates_like_any_other_always_full_source(site: Site) -> None:
    body = "<Cycle a>\nDiffs 2\nFulls 2\n<Command x>\nRun date +%N\n</Command>\n</Cycle>\n"
    inner = "<Command y/z>\nRun date +%N\nUseTempFile On\nCompression none\n</Command>"
    hanoi = f"<Cycle b>\nCycleType HanoiCycle\n{inner}\n</Cycle>"
    for number in range(3):
        assert night(site, body + hanoi, number).done == 2
    assert site.archive_keys() == ["Command/x-0", "Command/x-1", "Command/y/z-0", "Command/y/z-3"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("<Command x>\n</Command>", "<Command x> needs Run: The program and its arguments"),
        ("<Command x>\nRun bin/a\n</Command>", "Run: write the program's name alone, or its whole path"),
        ("<Command a//b>\nRun a\n</Command>", "cannot be part of a key"),
        ("<Command x>\nRun a\nEnvironment secret\n</Command>", "Environment takes NAME=VALUE"),
        ("<Command x>\nRun a\nEnvironment 1A=secret\n</Command>", "Environment takes NAME=VALUE"),
        ("<Command x>\nRun a\nEnvironment A=secret A=secret\n</Command>", "Environment A is set already"),
        ("<Cycle c>\nCommand x\n</Cycle>", "Command is a block: write <Command VALUE> … </Command>"),
        (
            "<Cycle c>\nRun a\n</Cycle>",
            "Run cannot stand in a <Cycle>; it belongs in a block of its own kind: <Command …>",
        ),
        ("<Command x>\nRun a\n</Command>\n<Command x>\nRun b\n</Command>", "Command x is listed already at"),
    ],
)
def test_what_is_wrong_with_its_block_is_said_with_its_line(body: str, words: str, site: Site) -> None:
    site.configure(body)
    with pytest.raises(ConfigurationError) as caught:
        load_configuration(site.configuration)
    said = "\n".join(caught.value.problems)
    assert words in said
    assert "secret" not in said


def test_a_program_that_others_can_change_is_not_run_with_our_rights(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\necho x\n")
    program.chmod(0o775)
    os.chown(program, os.geteuid(), 12345) if os.geteuid() == 0 else program.chmod(0o777)
    with pytest.raises(SourceError, match=r"Command x: .*program is not used: .*or run it with another user's rights"):
        source(str(program)).check(had_content=False, remembered={})
    program.chmod(0o755)
    assert source(str(program)).check(had_content=False, remembered={}) == []


def test_only_root_takes_another_users_rights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    with pytest.raises(SourceError, match="only root can run a program with the rights of"):
        source("true", run_as="12345").check(had_content=False, remembered={})
    assert source("true", run_as="4711").check(had_content=False, remembered={}) == []
    assert source("true", run_as="12345").plan(ArchiveType.FULL, Path("/")).user is None
