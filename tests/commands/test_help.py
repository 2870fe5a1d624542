"""The manual is there when nothing else is: without a configuration, at once, and with a hint for every word."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from s3napback import topics
from s3napback.cli import command_line
from s3napback.commands.help import nearest, overview
from tests.site import Site
from tests.test_completing import proposed


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Nothing of it is well."""
    made = Site(tmp_path / "site")
    made.configuration.write_text("Nonsense\n")
    (made.root / "logging.ini").write_text("nonsense\n")
    return made


def test_nothing_needs_to_be_well(site: Site) -> None:
    assert "s3napback.conf" not in site.run("help").stdout
    assert site.run("help", "recovery").stdout == topics.passage("recovery")
    assert site.run("help", "check").stdout == topics.passage("verify")


def test_a_word_that_is_none_is_refused_with_those_that_are_like_it(site: Site) -> None:
    done = site.run("help", "recoverry", expect=2)
    assert done.stdout == ""
    assert "the manual has nothing under 'recoverry'; near it are: recovery" in done.stderr
    assert "near" not in site.run("help", "zzzz\x1b[31m", expect=2).stderr


@pytest.mark.parametrize(("word", "like"), [("excludes", "Exclude"), ("postgres", "PostgreSQL"), ("LOG", "logging")])
def test_words_that_are_like_it(word: str, like: str) -> None:
    assert like in nearest(word)


@pytest.mark.parametrize("width", [1, 20, 40, 80, 200])
def test_the_list_has_every_topic_and_fits(width: int) -> None:
    lines = list(overview(width))
    assert [name for name in topics.topics() if not any(line.split()[:1] == [name] for line in lines)] == []
    assert max(map(len, lines)) <= max(width, 30)
    told = " ".join(" ".join(lines).split())
    assert all(topic.sentence in told for topic in topics.topics().values())


@pytest.mark.parametrize("name", command_line.every())
def test_the_help_of_each_command_names_the_manual(name: str) -> None:
    said = CliRunner().invoke(command_line, [name, "--help"]).output
    assert name == "help" or f"s3napback help {name}" in said
    assert topics.passage(name)


def test_the_manual_is_named_where_somebody_looks_first() -> None:
    assert "The manual: s3napback help\n" in CliRunner().invoke(command_line, ["--help"]).output


def test_no_sentence_on_a_command_is_cut_short() -> None:
    said = " ".join(CliRunner().invoke(command_line, ["--help"], terminal_width=80).output.split())
    assert "..." not in said.partition("Commands:")[2]
    assert [each for each in command_line.commands.values() if each.get_short_help_str(1000) not in said] == []


def test_it_loads_nothing_that_takes_long() -> None:
    command = [sys.executable, "-X", "importtime", "-m", "s3napback", "help", "locks"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in said.splitlines()}
    assert "click" in loaded
    assert loaded & {"rich", "boto3", "botocore", "apacheconfig", "cryptography"} == set()


def test_topics_are_proposed_and_other_words_where_they_are_begun() -> None:
    assert proposed("help", "") == list(topics.topics())
    assert proposed("help", "BandwidthL") == ["BandwidthLimit"]
    assert proposed("help", "restor") == ["restore"]


def test_an_installation_without_the_manual_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topics, "FOLDER", tmp_path)
    topics.topics.cache_clear()
    try:
        with pytest.raises(Exception, match="the manual is not there; install s3napback again"):
            command_line.main(["help"], standalone_mode=False)
    finally:
        topics.topics.cache_clear()


def test_what_reads_it_may_have_had_enough() -> None:
    script = f"{sys.executable} -m s3napback help locks | head -n 1"
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True, env=dict(os.environ))
    assert (done.stdout[:2], done.stderr) == ("# ", "")


def test_the_command_has_a_word_for_its_argument() -> None:
    assert [each.name for each in command_line.commands["help"].params if isinstance(each, click.Argument)] == ["topic"]


@pytest.mark.parametrize(
    ("question", "place"),
    [
        ("mail only on failure", "# Every night: cron, systemd, logging"),
        ("MAIL", "## Mail only if something is wrong"),
        ("thirty machines", "## How all of them stand"),
        ("non-root", "# Users"),
        ("upgrade", "# Upgrading"),
        ("replace key", "## Replace a key"),
        ("price", "# Cost"),
        ("burnt", "## A new machine in place of an old one"),
        ("is my backup good?", "# Proof"),
        ("MariaDB", "## MySQL and MariaDB"),
        ("last tuesday", "### What you type"),
        ("access key", "## Three access keys"),
        ("email", "## Mail only if something is wrong"),
        ("ransomware", "# When an access key is stolen"),
        ("retention", "# Cycles"),
        ("how long are backups kept", "# Cycles"),
        ("wal", "# SQLite"),
        ("forgot passphrase", "## A key or its passphrase is lost"),
        ("I lose my key", "## A key or its passphrase is lost"),
    ],
)
def test_words_of_a_question_show_what_is_about_them(site: Site, question: str, place: str) -> None:
    assert site.run("help", *question.split()).stdout.startswith(f"{place}\n")


def test_words_that_stand_in_many_places_are_listed_with_the_word_that_shows_each(site: Site) -> None:
    said = site.run("help", "folder").stdout.splitlines()
    assert said[0] == "“folder” has no page of its own; the words stand here:"
    shown = [line.split("`")[1] for line in said if line.startswith("- `")]
    assert len(shown) == 12
    assert [line for line in shown if topics.passage(" ".join(shlex.split(line)[2:])) is None] == []
    assert said[-1].startswith("- and ")


def test_where_no_paragraph_has_all_the_words_those_are_named_that_have_some(site: Site) -> None:
    said = site.run("help", "stop", "a", "running", "backup").stdout.splitlines()
    assert said[0] == "Nothing in the manual is about “stop a running backup”. Some of the words stand here:"
    assert "- `s3napback help 'Stopping what is running'` (options)" in said
    assert 3 <= len(said) <= 8


def test_a_message_may_begin_with_the_dashes_of_an_option(site: Site) -> None:
    said = site.run("help", "--at last tuesday: neither an archive's key nor a moment").stdout
    assert said.startswith("A date, a time or a number cannot be understood")


def test_words_that_say_nothing_are_no_question(site: Site) -> None:
    said = site.run("help", "how", "do", "you", expect=2).stderr
    assert said == "the manual has nothing under 'how do you'; “s3napback help” lists its topics\n"
