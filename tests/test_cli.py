"""The way from what goes wrong to a message and an exit code, and what the command line makes of its words."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import click
import pytest

from s3napback.cli import Invocation, command_line
from s3napback.errors import EXIT_BUG, S3napbackError, StoreError, UnusableConfiguration


def exit_code(action: Callable[[Path], int], *names: str) -> int:
    with pytest.raises(SystemExit) as ended:
        Invocation(tuple(map(Path, names)), date(2026, 1, 1)).run_each(action)
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_each_configuration_has_its_turn_and_the_highest_exit_code_wins() -> None:
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


def test_several_keys_may_follow_one_option_up_to_the_next() -> None:
    restore = command_line.commands["restore"]
    words = ["/etc", "--to", "out", "--keys", "a-0-FULL", "a-1-DIFF", "--yes"]
    context = restore.make_context("restore", words)
    assert context.params["keys"] == ("a-0-FULL", "a-1-DIFF")
    assert (context.params["source"], context.params["paths"], context.params["agreed"]) == ("/etc", (), True)
    each = restore.make_context("restore", ["/etc", "--keys", "a", "--keys", "b", "c", "--to", "out"])
    assert each.params["keys"] == ("a", "b", "c")


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """What the group and a command were given, without anything being done."""
    given: dict[str, object] = {}
    monkeypatch.setattr("s3napback.logs.configure_logging", lambda *_arguments, **_options: None)

    def note(_invocation: Invocation, _action: object, **_options: object) -> None:
        given.update({"paths": [str(path) for path in _invocation.paths], "test": _invocation.test})

    monkeypatch.setattr(Invocation, "run_each", note)
    return given


@pytest.mark.parametrize(
    ("words", "paths", "test"),
    [
        ("list -c ./x.conf", ["x.conf"], False),
        ("list /etc -c./x.conf -c ./y.conf", ["x.conf", "y.conf"], False),
        ("-c ./x.conf prune --yes -n", ["x.conf"], True),
        ("prune --config=./x.conf --yes --test", ["x.conf"], True),
        ("-dc ./x.conf list", ["x.conf"], False),
        ("list -vtc ./x.conf --json", ["x.conf"], True),
        ("restore /etc --to - -c ./x.conf", ["x.conf"], False),
        ("restore /etc --to=-c -c ./x.conf", ["x.conf"], False),
        ("restore /etc --to -c -c ./x.conf", ["x.conf"], False),
        ("restore /etc --keys a b -c ./x.conf --to out", ["x.conf"], False),
        ("-c ./x.conf restore --to out -- /etc -c ./y.conf", ["x.conf"], False),
        ("snapshots --json -c ./x.conf", ["x.conf"], False),
        ("check --keyless -c ./x.conf --today 2026-01-05", ["x.conf"], False),
        ("-c ./x.conf --today 2026-01-05", ["x.conf"], False),
    ],
)
def test_general_options_may_stand_behind_the_command(
    heard: dict[str, object], words: str, paths: list[str], test: bool
) -> None:
    command_line.main(words.split(), standalone_mode=False)
    assert heard == {"paths": paths, "test": test}


@pytest.mark.parametrize("words", ["list --nope", "list -cx --nope", "-x list", "restore /etc -c", "list -tx"])
def test_an_unknown_option_or_one_without_its_value_is_refused_wherever_it_stands(
    heard: dict[str, object], words: str
) -> None:
    with pytest.raises(click.UsageError):
        command_line.main(words.split(), standalone_mode=False)
    assert not heard


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


def test_several_configurations_each_have_a_heading(capsys: pytest.CaptureFixture[str]) -> None:
    for paths, printed in (("a", "b"), "a:\nb:\n"), (("a",), ""):
        with pytest.raises(SystemExit):
            Invocation(tuple(map(Path, paths)), date(2026, 1, 1)).run_each(lambda _: 0, has_heading=True)
        assert capsys.readouterr().out == printed


@pytest.mark.parametrize("words", ["restore|/etc|--to|out|--at|", "verify|--at| ", "list|", "verify|--from|"])
def test_an_empty_word_is_a_variable_that_is_not_set(heard: dict[str, object], words: str) -> None:
    with pytest.raises(click.BadParameter, match="a variable of the shell may not be set"):
        command_line.main(words.split("|"), standalone_mode=False)
    assert not heard


@pytest.mark.parametrize(
    ("word", "advice"),
    [
        ("run", "The nightly run has no name: leave the word out"),
        ("Backup", "The nightly run has no name"),
        ("web", "-c web"),
    ],
)
def test_what_is_no_command_is_answered_with_what_is_meant(heard: dict[str, object], word: str, advice: str) -> None:
    with pytest.raises(click.UsageError, match=advice):
        command_line.main(["-c", "./x.conf", word], standalone_mode=False)
    assert not heard


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        ("--dry-run", "Here it is called --test"),
        ("list --verbose", "Here it is called --debug"),
        ("lst", "Did you mean 'list'?"),
        ("varify /etc", "Did you mean 'verify'?"),
        ("--today yesterday", "'yesterday' is no date; write it as 2026-11-23"),
        ("--today 31.12.2026", "is no date"),
        ("--today 2026-02-30", "is no date"),
        ("--today ٢٠٢٦-٠١-٠١", "is no date"),
        ("schedule --days many", "'many' is no whole number from 1 to 3660"),
        ("schedule --days 0", "'0' is no whole number from 1"),
        ("prune --upload-age -1", "'-1' is no whole number from 0"),
        ("restore /etc --to ~/x", "~ is expanded neither by the shell in this place, nor here"),
        ("migrate --to=~/x", "~ is expanded neither"),
        ("restore /etc --to x --at 9999-01-01", "9999-01-01 lies in the future; today is "),
        ("verify --at '9999-01-01T10:00'", "lies in the future"),
        ("restore /etc --to x --strict", "--strict is for the nightly run, and has no meaning for restore"),
        ("list --full", "--full is for the nightly run"),
        ("verify -f", "--force is for the nightly run"),
        ("prune --yes --take-over", "--take-over is for the nightly run"),
    ],
)
def test_a_mistake_is_named_before_anything_is_done(heard: dict[str, object], words: str, advice: str) -> None:
    with pytest.raises(click.UsageError) as caught:
        command_line.main(["-c", "./x.conf", *shlex.split(words)], standalone_mode=False)
    assert advice in caught.value.format_message()
    assert not heard


def test_a_day_that_has_been_is_none_of_the_future(heard: dict[str, object]) -> None:
    tomorrow = date.today() + timedelta(days=1)  # elsewhere it is already
    for word in ("2026-01-01", "yesterday", "etc-0-FULL", str(tomorrow)):
        command_line.main(["restore", "/etc", "--to", "x", "--at", word], standalone_mode=False)
    assert heard


@pytest.mark.parametrize("words", [["--version"], ["--help"], ["list", "--help"]])
def test_what_finds_no_room_was_not_said(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        Path("/dev/full").open("w") as full,
        pytest.raises(S3napbackError, match="standard output cannot be written to"),
    ):
        monkeypatch.setattr("sys.stdout", full)
        command_line.main(words, standalone_mode=False)
