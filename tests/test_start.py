"""What holds before anything else is loaded, in whatever locale."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.site import Site

# Without coercion, as Python does it by itself in the C locale, every locale but UTF-8 is like this one.
NO_UTF8 = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.mark.parametrize("environment", [NO_UTF8, {**NO_UTF8, "LC_ALL": "POSIX"}], ids=["C", "POSIX"])
def test_names_outside_ascii_are_the_same_files_in_every_locale(site: Site, environment: dict[str, str]) -> None:
    source = site.root / "Müller €"
    source.mkdir()
    (source / "grün").write_text("x")
    site.configure(f'<Cycle c>\nDirectory "{source}"\n</Cycle>')
    done = site.run("--strict", environment=environment)
    assert "1 done, 0 skipped, 0 failed" in done.stderr
    # What is printed has the characters of the locale.
    assert "M\\xfcller" in site.run("list", environment=environment).stdout
    out = site.root / "out"
    site.run("restore", str(source), "--to", str(out), environment=environment)
    assert [path.name for path in out.rglob("gr*")] == ["grün"]


def test_closed_standard_streams_take_nothing_and_get_nothing(site: Site) -> None:
    """A file that is opened would have their numbers otherwise, and get what is printed."""
    (site.source / "file").write_text("x")
    site.configure_cycle("")

    def run(redirections: str, *options: str) -> subprocess.CompletedProcess[str]:
        command = ["sh", "-c", f'exec "$@" {redirections}', "sh", *site.command(*options)]
        return subprocess.run(command, env=site.full_environment(), capture_output=True, text=True, check=False)

    assert run("<&- >&- 2>&-").returncode == 0
    assert len(site.archive_keys()) == 1
    assert (site.diff_dir / "lock").read_bytes() == b""
    for options in (("list",), ("-t",), ("verify", "--keyless")):
        done = run(">&-", *options)
        assert done.returncode == 1, options
        assert "standard output cannot be written to: Bad file descriptor" in done.stderr
    asked = run("<&-", "restore", str(site.source), "--to", "/", "--in-place")
    assert "there is no terminal to ask on: add --yes" in asked.stderr


def test_an_environment_that_drops_docstrings_leaves_the_grammar_of_configurations(site: Site) -> None:
    """As images of containers set it, to save room; apacheconfig keeps its grammar in docstrings."""
    site.configure_cycle("")
    command = site.command("-t")
    environment = site.full_environment({"PYTHONOPTIMIZE": "2"})
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"Directory {site.source} -> file://" in done.stdout


@pytest.mark.parametrize("umask", ["0777", "0277"])
def test_a_umask_that_is_turned_against_its_user_closes_nothing_to_later_runs(site: Site, umask: str) -> None:
    (site.source / "file").write_text("x")
    site.configure_cycle("")

    def run(*options: str) -> subprocess.CompletedProcess[str]:
        command = ["sh", "-c", f'umask {umask}; exec "$@"', "sh", *site.command(*options)]
        return subprocess.run(command, env=site.full_environment(), capture_output=True, text=True, check=False)

    assert run().returncode == 0
    closed = [path for top in (site.diff_dir, site.vault) for path in top.rglob("*") if not path.stat().st_mode & 0o400]
    assert closed == []
    done = run("restore", str(site.source), "--to", str(site.root / "out"))
    # Neither is it said that the target takes no permissions.
    assert (done.returncode, "permissions" in done.stderr) == (0, False)
    assert [path.read_text() for path in (site.root / "out").rglob("file")] == ["x"]


EARLY = """
import os, signal, sys
class Finder:
    def find_spec(self, name, *_others):
        if name == "s3napback.cli":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder())
from s3napback.__main__ import main
main()
"""
"""Ctrl-C while the program is being loaded."""


def test_what_is_interrupted_before_it_has_begun_says_nothing() -> None:
    done = subprocess.run([sys.executable, "-c", EARLY, "list"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
