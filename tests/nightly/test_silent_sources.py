"""A source whose file system goes silent costs StallTimeout and itself, and nothing else."""

from __future__ import annotations

import os
import posixpath
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hostile.mounts import served
from tests.site import Site
from tests.waiting import becomes

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("bindfs"), reason="only root mounts it here")

_REMEMBERED = 1.5
"""Seconds after which the kernel asks a FUSE program again what it has told already."""


@pytest.fixture
def server(site: Site, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """What answers for the source, beside which another one is configured."""
    below, other = tmp_path / "below", tmp_path / "other"
    for folder in (below, other):
        folder.mkdir()
        (folder / "file").write_text("content")
    site.configure(f"<Cycle nightly>\nStallTimeout 2\nDirectory {site.source}\nDirectory {other}\n</Cycle>")
    with served(below, site.source) as server:
        yield server


def night(site: Site, *options: str, day: int | None = 0) -> str:
    """What a night says in which one of two sources is silent, or its rehearsal."""
    began = time.monotonic()
    done = site.run(*options, day=day, expect=1)
    assert time.monotonic() - began < 30, done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    ("entry", "named"),
    [
        ("SQLite {}/a.db", "{}/a.db"),
        ("SQLite {}/*.db", "{}"),
        ("SQLite {}/../*/a.db", "{}"),
        ("Subversion {}/repository", "{}/repository"),
        ("SubversionDir {}", "{}"),
        ("SubversionDir {}/..", "{}"),
    ],
)
@pytest.mark.parametrize("options", [(), ("-t",)])
def test_of_each_kind_one_that_is_silent_costs_nobody_else_anything(
    site: Site, server: subprocess.Popen[bytes], tmp_path: Path, entry: str, named: str, options: tuple[str, ...]
) -> None:
    place = str(site.source)
    above = posixpath.normpath(entry.partition(" ")[2].format(place))
    other = f"Directory {tmp_path / 'other'}"
    site.configure(f"<Cycle nightly>\nStallTimeout 2\n{entry.partition(' ')[0]} {above}\n{other}\n</Cycle>")
    server.send_signal(signal.SIGSTOP)
    time.sleep(_REMEMBERED)
    said = night(site, *options)
    assert f"{named.format(place)} has not answered for 2 seconds (StallTimeout): its file system hangs" in said
    assert options == ("-t",) or "1 done, 0 skipped, 1 failed" in said


@pytest.mark.parametrize(
    ("several", "single"), [("SQLite {}/*.db", "SQLite {}/a.db"), ("SubversionDir {}", "Subversion {}/repository")]
)
def test_what_a_pattern_or_folder_stands_for_is_found_while_an_entry_of_its_own_is_silent(
    site: Site, server: subprocess.Popen[bytes], tmp_path: Path, several: str, single: str
) -> None:
    with sqlite3.connect(tmp_path / "other/b.db") as database:
        database.execute("create table t (x)")
    subprocess.run(["svnadmin", "create", tmp_path / "other/repository"], check=True)
    site.configure(
        f"<Cycle nightly>\nStallTimeout 2\n{several.format(tmp_path / 'other')}\n{single.format(site.source)}\n</Cycle>"
    )
    server.send_signal(signal.SIGSTOP)
    time.sleep(_REMEMBERED)
    assert "1 done, 0 skipped, 1 failed" in night(site)


@pytest.mark.parametrize("options", [(), ("-f",), ("-t",)])
@pytest.mark.parametrize("earlier", [0, 1])
def test_one_that_is_silent_beforehand_fails_and_the_others_are_backed_up(
    site: Site, server: subprocess.Popen[bytes], earlier: int, options: tuple[str, ...]
) -> None:
    for day in range(earlier):
        site.run(day=day)
    server.send_signal(signal.SIGSTOP)
    time.sleep(_REMEMBERED)
    said = night(site, *options, day=earlier)
    assert f"{site.source} has not answered for 2 seconds (StallTimeout): its file system hangs" in said
    assert options == ("-t",) or "1 done, 0 skipped, 1 failed" in said


@pytest.fixture
def halves(site: Site, server: subprocess.Popen[bytes], tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """What answers for a folder of the source, which the source's own file system passes on for as its own."""
    assert server.poll() is None
    inner, far = tmp_path / "below/inner", tmp_path / "far"
    inner.mkdir()
    far.mkdir()
    (far / "file").write_text("far")
    with served(far, inner) as other:
        yield other


@pytest.mark.parametrize(("earlier", "options"), [(0, ()), (1, ()), (1, ("-t",))])
def test_one_that_answers_for_itself_and_hangs_below_fails_and_the_others_are_backed_up(
    site: Site, halves: subprocess.Popen[bytes], tmp_path: Path, earlier: int, options: tuple[str, ...]
) -> None:
    for day in range(earlier):
        site.run(day=day)
    halves.send_signal(signal.SIGSTOP)
    time.sleep(_REMEMBERED)
    note = tmp_path / "said"
    command = site.command(*options, day=earlier)
    with (
        note.open("wb") as said,
        subprocess.Popen(command, stdout=said, stderr=said, env=site.full_environment()) as run,
    ):
        try:
            last = f"{tmp_path / 'other'} -> " if "-t" in options else "1 done, 0 skipped, 1 failed"
            assert becomes(lambda: last in note.read_text(), 20), note.read_text()
        finally:
            # What hangs within the kernel cannot end before that has an answer.
            halves.send_signal(signal.SIGCONT)
    assert run.returncode == 1
    assert f"{site.source} has not answered for 2 seconds (StallTimeout): its file system hangs" in note.read_text()


def test_one_that_goes_silent_under_tar_fails_and_the_others_are_backed_up(
    site: Site, server: subprocess.Popen[bytes]
) -> None:
    stop = f'case "$*" in *--create*{str(site.source)[1:]}*) kill -STOP {server.pid}; sleep {_REMEMBERED};; esac\n'
    site.fake_program("tar", stop + 'exec REAL "$@"')
    said = night(site)
    assert f"the file system at {site.source} (fuse" in said
    assert "does not answer; Exclude it, or unmount it" in said
    assert "1 done, 0 skipped, 1 failed" in said


@pytest.mark.parametrize(
    "command",
    [
        "verify --compare {}",
        "restore {} --to {}/out",
        "restore {} --to {} --in-place --yes",
        "restore {0} --to /nowhere --staging {0}",
    ],
)
def test_who_restores_or_compares_is_told_after_that_time(
    site: Site, server: subprocess.Popen[bytes], command: str
) -> None:
    site.configure(f"<Cycle nightly>\nDirectory {site.source}\n</Cycle>", general="StallTimeout 2")
    site.run()
    server.send_signal(signal.SIGSTOP)
    time.sleep(_REMEMBERED)
    place = str(site.source)
    said = night(site, *command.format(*[place] * command.count("{")).split(), day=None)
    assert place in said
    assert "has not answered for 2 seconds (StallTimeout): its file system hangs" in said


@pytest.mark.parametrize("command", [(), ("-t",), ("list",), ("status",), ("restore", "{source}", "--to", "{where}")])
@pytest.mark.parametrize("directive", ["DiffDir", "TempDir", "Bucket"])
def test_a_silent_folder_of_our_own_is_named_after_stall_timeout(
    site: Site, tmp_path: Path, directive: str, command: tuple[str, ...]
) -> None:
    folder = {"DiffDir": site.diff_dir, "TempDir": site.temp_dir, "Bucket": site.vault}[directive]
    site.configure(f"<Cycle nightly>\nDirectory {site.source}\n</Cycle>", general="StallTimeout 2")
    below = tmp_path / "below"
    below.mkdir(mode=0o700)
    arguments = [word.format(source=site.source, where=tmp_path / "where") for word in command]
    with served(below, folder) as server:
        server.send_signal(signal.SIGSTOP)
        time.sleep(_REMEMBERED)
        began = time.monotonic()
        said = site.run(*arguments, day=None if arguments else 0, expect=2).stderr
        assert time.monotonic() - began < 20
    assert f"{directive} {folder} has not answered for 2 seconds (StallTimeout): its file system hangs" in said
