"""The way from what goes wrong to a message and an exit code, and the options of commands."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path

import click
import pytest

from s3napback.cli import Invocation, command_line
from s3napback.errors import EXIT_BUG, S3napbackError, StoreError, UnusableConfiguration
from tests.site import Site


def exit_code(action: Callable[[Path], int], *names: str) -> int:
    with pytest.raises(SystemExit) as ended:
        Invocation(tuple(map(Path, names)), date(2026, 1, 1)).run_each(action)
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_each_configuration_has_its_turn_and_the_gravest_exit_code_wins() -> None:
    turns: list[str] = []

    def act(path: Path) -> int:
        turns.append(path.name)
        if path.name == "bad":
            raise UnusableConfiguration("bad:1: nonsense")
        if path.name == "failing":
            raise StoreError("no answer")
        return 0

    assert exit_code(act, "good", "failing", "bad", "last") == UnusableConfiguration.exit_code == 2
    assert turns == ["good", "failing", "bad", "last"]
    assert exit_code(act, "good", "failing") == StoreError.exit_code == 1
    assert exit_code(act, "good") == 0


@pytest.mark.parametrize(
    ("codes", "expected"),
    [((0, 3), 3), ((3, 1), 1), ((1, 3, 0), 1), ((4, 3), 4), ((4, 1), 1), ((2, 4, 1), 2), ((70, 2), 70), ((0, 0), 0)],
)
def test_what_is_no_failure_hides_none(codes: tuple[int, ...], expected: int) -> None:
    left = list(codes)
    assert exit_code(lambda _path: left.pop(0), *map(str, codes)) == expected


def test_without_a_configuration_the_usage_is_wrong() -> None:
    with pytest.raises(click.UsageError, match="-c CONF"):
        Invocation((), date(2026, 1, 1)).run_each(lambda _path: 0)


def test_an_error_of_several_lines_is_one_entry_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    def act(_path: Path) -> int:
        raise S3napbackError("first", "second")

    exit_code(act, "x")
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR] == ["first\nsecond"]


def test_a_bug_is_called_one_and_does_not_stop_the_other_configurations(caplog: pytest.LogCaptureFixture) -> None:
    turns: list[str] = []

    def act(path: Path) -> int:
        turns.append(path.name)
        raise ZeroDivisionError("division by zero")

    with caplog.at_level(logging.DEBUG, logger="s3napback"):
        assert exit_code(act, "one", "other") == EXIT_BUG
    assert turns == ["one", "other"]
    shown, details = caplog.records[:2]
    assert "bug in s3napback" in shown.getMessage()
    assert "ZeroDivisionError: division by zero" in shown.getMessage()
    assert not shown.exc_info
    assert details.levelno == logging.DEBUG
    assert details.exc_info


def test_every_command_is_given_by_its_name_and_none_is_imported_for_the_nightly_run() -> None:
    commands = command_line.every()
    assert [each.name for each in commands.values()] == list(commands)
    asked = "import sys, s3napback.cli; print(*(name for name in sys.modules if name.startswith('s3napback.')))"
    modules = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True).stdout.split()
    rooms = {each.callback.__module__ for each in commands.values() if each.callback}
    assert len(rooms) > 1
    assert rooms.isdisjoint(modules)


def test_several_keys_may_follow_one_option_up_to_the_next() -> None:
    restore = command_line.every()["restore"]
    words = ["/etc", "--to", "out", "--keys", "a-0-FULL", "a-1-DIFF", "--yes"]
    context = restore.make_context("restore", words)
    assert context.params["keys"] == ("a-0-FULL", "a-1-DIFF")
    assert (context.params["source"], context.params["paths"], context.params["agreed"]) == ("/etc", (), True)
    each = restore.make_context("restore", ["/etc", "--keys", "a", "--keys", "b", "c", "--to", "out"])
    assert each.params["keys"] == ("a", "b", "c")


def test_keys_of_the_root_directory_begin_with_a_dash_and_no_key_at_all_is_refused() -> None:
    restore = command_line.every()["restore"]
    context = restore.make_context("restore", ["/", "--keys", "-0-FULL", "-1-DIFF", "--to", "out"])
    assert context.params["keys"] == ("-0-FULL", "-1-DIFF")
    for words in (["/", "--to", "out", "--keys"], ["/", "--keys", "--to", "out"]):
        with pytest.raises(click.UsageError, match="--keys names no key"):
            restore.make_context("restore", words)


def test_without_a_name_s3napback_conf_is_meant_if_it_is_there(
    heard: dict[str, object], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def resolve(argument: str) -> Path:
        return tmp_path / f"{argument}.conf"

    monkeypatch.setattr("s3napback.config.loading.resolve_configuration_path", resolve)
    command_line.main(["list"], standalone_mode=False)
    assert heard["paths"] == []
    (tmp_path / "s3napback.conf").write_text("")
    command_line.main(["list"], standalone_mode=False)
    assert heard["paths"] == [str(tmp_path / "s3napback.conf")]


def test_a_default_configuration_that_cannot_be_looked_at_is_no_absent_one(
    heard: dict[str, object], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    looped = tmp_path / "s3napback.conf"
    looped.symlink_to(looped)
    monkeypatch.setattr("s3napback.config.loading.resolve_configuration_path", lambda _argument: looped)
    command_line.main(["list"], standalone_mode=False)
    assert heard["paths"] == [str(looped)]


def test_several_configurations_each_have_a_heading(capsys: pytest.CaptureFixture[str]) -> None:
    for paths, printed in (("a", "b"), "a:\nb:\n"), (("a",), ""):
        with pytest.raises(SystemExit):
            Invocation(tuple(map(Path, paths)), date(2026, 1, 1)).run_each(lambda _: 0, has_heading=True)
        assert capsys.readouterr().out == printed


def test_from_a_folder_that_has_been_removed_the_night_goes_elsewhere_and_a_command_is_told(tmp_path: Path) -> None:
    site = Site(tmp_path / "site")
    (site.source / "f").write_text("kept")
    site.configure_cycle("")

    def run(*options: str) -> subprocess.CompletedProcess[str]:
        start = ("sh", "-c", 'mkdir gone && cd gone && rmdir ../gone && exec "$@"', "sh")
        command = (*start, *site.command(*options, day=0))
        environment = site.full_environment()
        return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, check=False)

    assert run().returncode == 0
    told = run("restore", str(site.source), "--to", "out")
    assert told.returncode == 2
    assert "the current folder has been removed: go to another one (cd /)" in told.stderr


def test_a_zone_that_is_none_is_told_before_anything_is_begun(site: Site) -> None:
    site.configure("")
    environment = {**site.full_environment(), "TZ": "XXX-25"}
    done = subprocess.run(site.command("list"), env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "TZ XXX-25 is no time zone: write one such as Europe/Berlin" in done.stderr


def test_a_zone_that_the_machine_does_not_know_is_told(site: Site) -> None:
    site.configure(f"Directory {site.source}")
    environment = {**site.full_environment(), "TZ": "Europe/Berln"}
    done = subprocess.run(site.command("--strict"), env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    listed = subprocess.run(site.command("list"), env=environment, capture_output=True, text=True, check=False)
    for told in (done.stderr, listed.stderr):
        assert told.count("TZ Europe/Berln is a time zone that this machine does not know") == 1
