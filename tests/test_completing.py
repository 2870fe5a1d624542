"""What a shell proposes comes of the configuration and of DiffDir, at once, and no store is asked."""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from s3napback import completing
from s3napback.cli import command_line
from s3napback.config.loading import load_configuration
from s3napback.config.settings import StoreSettings
from s3napback.stores.choosing import identity_of
from s3napback.stores.opening import open_store
from tests import manual
from tests.servers import S3Server
from tests.site import START, Site


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    # The machine that tests run on may have much to do.
    monkeypatch.setattr(completing, "LONGEST_SECONDS", 30)
    made = Site(tmp_path / "site")
    for name in ("a", "b"):
        (made.source / name).mkdir()
        (made.source / name / "file").write_text("x")
    body = f"<Cycle nightly>\nDirectory {made.source}/a {made.source}/b\nMySQL wiki\n</Cycle>"
    made.configure(body)
    return made


def proposed(*words: str) -> list[str]:
    """What is proposed for the last of these words."""
    *before, incomplete = words
    shell = ShellComplete(command_line, {}, "s3napback", "_S3NAPBACK_COMPLETE")
    return [str(item.value) for item in shell.get_completions(list(before), incomplete)]


def test_sources_are_proposed_as_one_writes_them(site: Site) -> None:
    general = ["-c", str(site.configuration)]
    assert proposed(*general, "restore", "") == [f"{site.source}/a", f"{site.source}/b", "MySQL/wiki"]
    assert proposed(*general, "verify", "My") == ["MySQL/wiki"]
    # Options may stand behind the command.
    assert proposed("list", *general, f"{site.source}/b") == [f"{site.source}/b"]
    assert proposed(*general, "restore", "x", "--from", "") == ["nightly"]


def test_days_and_keys_are_those_that_are_remembered(site: Site) -> None:
    site.run("-f", expect=1)
    site.run("-f", day=1, expect=1)
    general = ["-c", str(site.configuration), "restore", f"{site.source}/a"]
    assert proposed(*general, "--at", "") == ["yesterday", "2026-01-02"]
    assert proposed(*general[:2], "diff", f"{site.source}/a", "2026") == ["2026-01-02"]
    (key,) = proposed(*general, "--keys", "")
    assert key in site.archive_keys()
    assert proposed(*general, "--at", "2025") == []
    assert proposed("-c", str(site.configuration), "verify", "--at", "2") == ["2026-01-02"]


def test_paths_are_left_to_the_shell(site: Site) -> None:
    def kinds(*words: str) -> list[str]:
        *before, incomplete = words
        shell = ShellComplete(command_line, {}, "s3napback", "_S3NAPBACK_COMPLETE")
        return [item.type for item in shell.get_completions(list(before), incomplete)]

    assert kinds("restore", "/etc", "--to", "/mn") == ["file"]
    assert kinds("restore", "/etc", "--staging", "/mn") == ["dir"]
    assert kinds("report", "--html", "pag") == ["file"]
    assert kinds("init", "--directory", "/ho") == ["dir"]
    assert kinds("ls", "/etc", "/etc/s") == ["file"]
    assert kinds("ls", "/etc", "s") == []


def test_what_cannot_be_known_or_takes_long_is_not_waited_for(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    assert proposed("-c", "/no/such.conf", "restore", "") == []
    monkeypatch.setattr(completing, "LONGEST_SECONDS", 0.2)
    monkeypatch.setattr(completing, "_loaded", lambda _context: time.sleep(60))
    began = time.monotonic()
    assert proposed("-c", str(site.configuration), "restore", "") == []
    assert time.monotonic() - began < 30


def test_configurations_are_proposed_by_their_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("s3napback.config.loading.SYSTEM_FOLDER", tmp_path)
    for name in ("nightly.conf", "weekly.conf", "other.txt"):
        (tmp_path / name).touch()
    assert proposed("-c", "") == ["nightly", "weekly"]
    assert proposed("-c", "w") == ["weekly"]


def test_the_store_is_not_asked_and_known_by_its_name(rclone: S3Server, site: Site) -> None:
    settings = rclone.settings("bucket")
    for each in (settings, replace(settings, endpoint=""), StoreSettings(folder=site.vault)):
        assert identity_of(each) == open_store(each).identity
    text = site.configuration.read_text().replace(
        f"Bucket file://{site.vault}", "Bucket b-b\nEndpoint http://127.0.0.1:9"
    )
    site.configuration.write_text(text)
    assert load_configuration(site.configuration).store.bucket == "b-b"
    assert proposed("-c", str(site.configuration), "restore", "My") == ["MySQL/wiki"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_line_of_the_manual_makes_a_script_for_each_shell(site: Site, shell: str) -> None:
    lines = [line for line in manual.marked("completion").splitlines() if f"={shell}_source" in line]
    assert len(lines) == 1
    variable = f"{shell}_source"
    environment = {**os.environ, "_S3NAPBACK_COMPLETE": variable}
    script = subprocess.run(START, capture_output=True, text=True, check=True, env=environment).stdout
    assert f"_S3NAPBACK_COMPLETE={shell}_complete" in script
    subprocess.run([shell, "-n"], input=script, text=True, check=True)
