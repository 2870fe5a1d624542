"""Whoever asked is told how a run went, and nothing of it can fail a backup."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import threading
from datetime import datetime
from datetime import time as clock_time
from pathlib import Path

import pytest

from s3napback.backup import telling
from s3napback.backup.tally import Tally
from s3napback.backup.telling import Telling
from s3napback.commands import backup
from s3napback.config.loading import load_configuration
from s3napback.config.settings import Notices
from s3napback.deciding.facts import BackupOptions
from s3napback.errors import ConfigurationError, S3napbackError
from s3napback.run_lock import locked
from s3napback.watch.metrics import metrics_text
from tests.backup.listening import Listener
from tests.site import FIRST_DAY, Site
from tests.watch.words import NOW, TODAY, source_word, word


@pytest.fixture
def site(tmp_path: Path) -> Site:
    made = Site(tmp_path)
    (made.source / "file").write_text("content")
    return made


def back_up(site: Site, general: str, body: str = "") -> Tally:
    site.configure(body or f"<Cycle nightly>\nDirectory {site.source}\n</Cycle>", general=general)
    return backup.run(load_configuration(site.configuration), FIRST_DAY, BackupOptions())


NOT_THERE = "<Cycle nightly>\nDirectory /nowhere/at/all\n</Cycle>"


def address(listener: Listener) -> str:
    return f"http://127.0.0.1:{listener.server_port}/secret-id"


# --- PingUrl ---


def test_a_good_run_pings_twice_and_a_bad_one_says_so(site: Site, listener: Listener) -> None:
    back_up(site, f"PingUrl {address(listener)}/")
    back_up(site, f"PingUrl {address(listener)}", NOT_THERE)
    ids = [re.search(r"\?rid=([0-9a-f-]{36})$", path) for path in listener.asked]
    assert [path.partition("?")[0] for path in listener.asked] == [
        *("/secret-id/start", "/secret-id"),
        *("/secret-id/start", "/secret-id/fail"),
    ]
    first, second, third, fourth = (found[1] if found else "" for found in ids)
    assert first == second != third == fourth


def test_a_run_that_can_begin_nothing_says_so_and_one_that_waits_its_turn_does_not(
    site: Site, listener: Listener
) -> None:
    with pytest.raises(S3napbackError):
        back_up(site, f"PingUrl {address(listener)}\nGpgRecipient nobody@nowhere.example")
    assert [path.partition("?")[0] for path in listener.asked] == ["/secret-id/start", "/secret-id/fail"]
    with locked(site.diff_dir, "another"), pytest.raises(S3napbackError):
        back_up(site, f"PingUrl {address(listener)}")
    backup.rehearse(load_configuration(site.configuration), FIRST_DAY, BackupOptions(), lambda _line: None)
    assert len(listener.asked) == 2


@pytest.mark.parametrize("trouble", ["refused", "500", "slow"])
def test_a_ping_that_fails_is_a_warning_that_does_not_tell_the_address(
    site: Site, listener: Listener, trouble: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telling, "PING_SECONDS", 0.3)
    listener.status = 500 if trouble == "500" else 200
    listener.delay = 0.6 if trouble == "slow" else 0.0
    url = "http://127.0.0.1:9/secret-id" if trouble == "refused" else address(listener)
    tally = back_up(site, f"PingUrl {url}")
    assert (tally.done, tally.exit_code, tally.warnings) == (1, 0, 2)
    assert caplog.text.count("http://127.0.0.1/…") == 2
    assert "secret-id" not in caplog.text


@pytest.mark.parametrize("url", ["ftp://x/y", "file:///etc/shadow", "https://", "/start", "http://x:y/", "http://x/?a"])
def test_only_web_addresses_are_pinged(site: Site, url: str) -> None:
    site.configure("", general=f"PingUrl {url}")
    with pytest.raises(ConfigurationError, match="PingUrl is no address"):
        load_configuration(site.configuration)


# --- MetricsFile ---

SAMPLE = re.compile(r'(?P<name>[a-z0-9_]+)\{(?P<labels>(?:[a-z]+="(?:[^"\\\n]|\\[\\"n])*",?)+)\} (?P<value>\S+)')


def samples(text: str) -> dict[tuple[str, str], float]:
    """Every sample by metric and source; each line must be one that the format knows."""
    found = {}
    for line in text.splitlines():
        match = SAMPLE.fullmatch(line)
        if match is None:
            assert re.fullmatch(r"# (HELP [a-z0-9_]+ \S.*|TYPE [a-z0-9_]+ gauge)", line), line
            continue
        source = re.search(r'source="((?:[^"\\]|\\.)*)"', match["labels"])
        found[match["name"], source[1] if source else ""] = float(match["value"])
    return found


def test_metrics_are_written_after_good_and_bad_runs(site: Site) -> None:
    path = site.root / "s3napback.prom"
    back_up(site, f"MetricsFile {path}")
    good = samples(path.read_text())
    source = f"Directory {site.source}"
    assert path.stat().st_mode & 0o777 == 0o644
    assert good["s3napback_run_exit_code", ""] == 0
    assert good["s3napback_last_run_failed", source] == 0
    begin = datetime.combine(FIRST_DAY, clock_time.min).timestamp()
    assert good["s3napback_last_success_timestamp_seconds", source] == begin
    assert good["s3napback_stored_bytes", source] == site.store().head(site.archive_keys()[0]).size  # type: ignore[union-attr]
    (site.source / "file").unlink()
    back_up(site, f"MetricsFile {path}")
    site.configure_cycle("", general=f"MetricsFile {path}")
    site.vault.rename(site.root / "unmounted")
    with pytest.raises(S3napbackError):
        back_up(site, f"MetricsFile {path}")
    bad = samples(path.read_text())
    assert bad["s3napback_run_exit_code", ""] == 2
    assert bad["s3napback_last_run_failed", source] == 1
    # What there is, is known of DiffDir.
    assert bad["s3napback_last_success_timestamp_seconds", source] == begin
    assert sorted(each.name for each in site.root.glob("*prom*")) == ["s3napback.prom"]


def test_a_crash_leaves_no_empty_metrics_which_would_silence_every_alarm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.prom"
    synced: list[tuple[int, bool]] = []
    monkeypatch.setattr(os, "fsync", lambda file: synced.append((os.fstat(file).st_size, path.exists())))
    Telling(Notices(metrics_file=path)).write_metrics(word(), {})
    assert synced == [(path.stat().st_size, False)]


@pytest.mark.parametrize("strict", [False, True])
def test_what_strict_calls_no_success_is_told_as_none(site: Site, listener: Listener, strict: bool) -> None:
    path = site.root / "s3napback.prom"
    # Without “Encryption Off” each run warns.
    text = f"<Cycle nightly>\nDirectory {site.source}\n</Cycle>"
    heard = site.root / "heard"
    hook = script(site, f'echo "$S3NAPBACK_EXIT $S3NAPBACK_WARNINGS" >{heard}')
    site.configure(text, general=f"MetricsFile {path}\nPingUrl {address(listener)}\nOnSuccess {hook}\nOnFailure {hook}")
    plain = site.configuration.read_text().replace("Encryption Off\n", "")
    site.configuration.write_text(plain)
    tally = backup.run(load_configuration(site.configuration), FIRST_DAY, BackupOptions(strict=strict))
    assert (tally.warnings, tally.failed) == (1, 0)
    assert samples(path.read_text())["s3napback_run_exit_code", ""] == (3 if strict else 0)
    assert ("/fail?" in listener.asked[-1]) is strict
    assert heard.read_text() == ("3 1\n" if strict else "0 1\n")


def test_metrics_that_cannot_be_written_are_a_warning(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    assert back_up(site, f"MetricsFile {site.root}/none/x.prom").warnings == 1
    assert "could not be written: No such file or directory" in caplog.text


def test_metrics_that_replace_those_of_another_configuration_are_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    notices = Notices(metrics_file=tmp_path / "x.prom")
    for configuration, warnings in (("one", 0), ("one", 0), ('t"wo', 1), ('t"wo', 0), ("one", 1)):
        told = Telling(notices)
        told.write_metrics(word(configuration=configuration), {})
        assert told.warnings == warnings
    assert 'another configuration, which are gone now: host="atlas",configuration="one". Give each' in caplog.text


@pytest.mark.parametrize("kind", ["file", "pipe", "link"])
def test_what_is_no_metrics_is_left_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str) -> None:
    path, precious = tmp_path / "x.prom", tmp_path / "precious"
    precious.write_text("Bucket mine\n")
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "link":
        path.symlink_to(precious)
    else:
        precious.rename(path)
    before = path.lstat()
    told = Telling(Notices(metrics_file=path))
    told.write_metrics(word(), {})
    assert path.lstat() == before
    assert told.warnings == 1
    assert "could not be written: something else lies there, and is left alone" in caplog.text


def test_a_disk_that_does_not_answer_keeps_no_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    hangs = threading.Event()

    def hanging(_path: Path) -> int:
        hangs.wait(10)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(telling, "COMMAND_SECONDS", 0.1)
    monkeypatch.setattr(telling, "create_private", hanging)
    Telling(Notices(metrics_file=tmp_path / "x.prom")).write_metrics(word(), {})
    hangs.set()
    assert "could not be written: no answer within 0.1 seconds" in caplog.text


def test_names_cannot_forge_metrics() -> None:
    evil = source_word(
        source='Directory /a"} 1\ns3napback_run_exit_code{host="x"} 0\\', name="b\udcff", last_good=TODAY
    )
    text = metrics_text(word(evil, source_word(key=None, seconds=None, last_good=None, expected_by=None)))
    found = samples(text)
    assert len([name for name, _ in found if name == "s3napback_run_exit_code"]) == 1
    escaped = 'Directory /a\\"} 1\\ns3napback_run_exit_code{host=\\"x\\"} 0\\\\'
    assert found["s3napback_expected_by_timestamp_seconds", escaped] == NOW.timestamp() + 86_400
    text.encode()


# --- OnSuccess, OnFailure ---


def script(site: Site, body: str) -> Path:
    path = site.root / "told.sh"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o700)
    return path


def test_commands_are_told_how_it_went_and_nothing_else(
    site: Site, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "SEKRIT")
    caplog.set_level("INFO")
    told = script(site, f'env >{site.root}/env; pwd >>{site.root}/env; echo "$1:$2"; cat')
    general = f'OnSuccess {told} good "two words"\nOnFailure {told} bad $HOME'
    # What looks like a variable gets a warning, and is given as it is.
    assert back_up(site, general).warnings == 1
    assert "told.sh: good:two words" in caplog.text
    environment = (site.root / "env").read_text()
    assert "S3NAPBACK_EXIT=0\n" in environment
    assert "S3NAPBACK_DONE=1\n" in environment
    assert environment.endswith("\n/\n")
    assert "SEKRIT" not in environment
    back_up(site, general, NOT_THERE)
    assert "told.sh: bad:$HOME" in caplog.text
    environment = (site.root / "env").read_text()
    assert "S3NAPBACK_EXIT=1\n" in environment
    assert "S3NAPBACK_FAILED_SOURCES=Directory /nowhere/at/all\n" in environment
    assert f"S3NAPBACK_CONFIGURATION={site.configuration}\n" in environment


def test_a_command_is_told_of_more_failures_than_a_variable_holds(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    told = script(site, f'printf %s "$S3NAPBACK_FAILED_SOURCES" >{site.root}/failed')
    failing = "".join(f"Directory /nowhere/at/all/{'long' * 30}/{number}\n" for number in range(600))
    back_up(site, f"OnFailure {told}", failing)
    assert "cannot be started" not in caplog.text
    *lines, last = (site.root / "failed").read_text().splitlines()
    assert lines[0] == f"Directory /nowhere/at/all/{'long' * 30}/0"
    assert last == f"… and {600 - len(lines)} more"
    assert 100 < len(lines) < 600


@pytest.mark.parametrize(
    ("body", "why"),
    [("exit 3", "ended with exit status 3"), ("sleep $1 & sleep 60", "did not end within 0.5 seconds, and was ended")],
    ids=["fails", "hangs"],
)
def test_a_command_that_fails_or_hangs_is_a_warning(
    site: Site, body: str, why: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telling, "COMMAND_SECONDS", 0.5)
    marked = f"{10**6 + os.getpid()}"  # seconds that no other test sleeps
    tally = back_up(site, f"OnSuccess {script(site, body.replace('$1', marked))}")
    assert (tally.done, tally.exit_code, tally.warnings) == (1, 0, 1)
    assert why in caplog.text
    left = subprocess.run(["pgrep", "-f", f"^sleep {marked}$"], capture_output=True, check=False)
    assert left.stdout == b""


def test_a_command_that_is_not_there_or_that_others_can_change_is_a_warning(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    assert back_up(site, "OnSuccess /no/such/program").warnings == 1
    path = script(site, f"touch {site.root}/ran")
    path.chmod(0o777)
    assert back_up(site, f"OnSuccess {path}").warnings == 1
    assert caplog.text.count("could not be run: ") == 2
    assert not (site.root / "ran").exists()


def test_nothing_is_told_where_nobody_asked() -> None:
    told = Telling(Notices())
    told.begin()
    told.end(1, word(), Path("x"))
    assert told.warnings == 0
