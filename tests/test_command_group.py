"""What the command line makes of its words, before any command runs."""

from __future__ import annotations

import click
import pytest

from s3napback.cli import command_line


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
