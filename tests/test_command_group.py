"""What the command line makes of its words, before any command runs."""

from __future__ import annotations

import shlex
import subprocess
from datetime import date, timedelta
from pathlib import Path

import click
import pytest

from s3napback.cli import command_line
from s3napback.errors import S3napbackError
from tests.site import START


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
        ("diff / -12-DIFF -13-DIFF", "No such option '-1'. A key that begins with a dash stands behind --"),
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
        ("diff /etc yesterday 9999-01-01", "9999-01-01 lies in the future; today is "),
        ("diff /etc 9999-01-01", "lies in the future"),
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


def test_a_day_that_has_been_is_none_of_the_future_and_none_that_never_comes(heard: dict[str, object]) -> None:
    tomorrow = date.today() + timedelta(days=1)  # elsewhere it is already
    for word in ("2026-01-01", "yesterday", "etc-0-FULL", str(tomorrow), "9999-02-30"):
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


def test_what_is_wrong_with_the_arguments_is_no_bug_where_nobody_can_be_told(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([*START, "nonsense"], stderr=full, stdout=full, cwd=tmp_path, check=False)
    assert done.returncode == 2
