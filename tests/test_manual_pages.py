"""The man pages are made of what commands, directives and topics say, all of it, and checkers find no fault."""

from __future__ import annotations

import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import click
import pytest

from s3napback import __version__
from s3napback.cli import EXIT_CODES, command_line
from s3napback.config.naming import all_blocks, all_directives
from tests.manual import CHECKOUT

GENERATOR = CHECKOUT / ".packaging" / "manual_pages"
TOPICS = sorted((CHECKOUT / "s3napback" / "manual").glob("*.md"))
OF_THE_CONFIGURATION = {"configuration", "directives"}


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of all of them, made as the wheel's are."""
    folder = tmp_path_factory.mktemp("man")
    subprocess.run([sys.executable, "-B", GENERATOR, folder], check=True, cwd="/")
    return folder


def checked(*command: str | Path) -> str:
    """What a checker says of pages: both its streams, whatever its exit status."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return done.stdout + done.stderr


@cache
def plain(page: Path) -> str:
    """A page's words as a terminal shows them, without fonts and line ends."""
    shown = subprocess.run(
        ["mandoc", "-T", "utf8", "-O", "width=78", page], capture_output=True, text=True, check=True
    ).stdout
    return squeezed(re.sub(".\b", "", shown))


def squeezed(text: str) -> str:
    return " ".join(text.replace("`", "").split())


def test_every_command_and_topic_has_a_page_and_nothing_else_has(pages: Path) -> None:
    made = {str(path.relative_to(pages)) for path in pages.rglob("*") if path.is_file()}
    commands = {f"man1/s3napback-{name}.1" for name in command_line.every()}
    topics = {f"man7/s3napback-{path.stem}.7" for path in TOPICS if path.stem not in OF_THE_CONFIGURATION}
    assert made == {"man1/s3napback.1", "man5/s3napback.conf.5", *commands, *topics}


def test_mandoc_finds_nothing_to_complain_of(pages: Path) -> None:
    assert checked("mandoc", "-T", "lint", *sorted(pages.glob("man?/*"))) == ""


def test_the_index_of_man_pages_takes_each_by_its_name(pages: Path) -> None:
    found = sorted(pages.glob("man?/*"))
    assert len(found) > 1
    for path in found:
        name = path.name.rpartition(".")[0]
        assert re.fullmatch(rf'{re.escape(str(path))}: "{re.escape(name)} - \S.+"\n', checked("lexgrog", path))


@pytest.mark.parametrize("name", ["", *sorted(command_line.every())])
def test_every_option_stands_in_its_page_with_its_help(pages: Path, name: str) -> None:
    command = command_line.every()[name] if name else command_line
    shown = plain(pages / "man1" / f"{'-'.join(filter(None, ('s3napback', name)))}.1")
    context = click.Context(command, info_name=name)
    options = [option for option in command.params if isinstance(option, click.Option)]
    for option in options:
        record = option.get_help_record(context)
        assert record is not None
        metavar = "" if option.is_flag else f" {option.make_metavar(context)}"
        spellings = ", ".join(sorted(option.opts, key=lambda each: each.startswith("--")))
        assert f" {spellings}{metavar} {squeezed(record[1])}" in shown
    assert squeezed(command.help or "") in shown
    assert " -h, --help " in shown


def test_every_command_and_exit_code_stands_in_the_program_s_page(pages: Path) -> None:
    shown = plain(pages / "man1" / "s3napback.1")
    for name, command in command_line.every().items():
        assert f" {name} {squeezed(command.help or '')}" in shown
    for page in (shown, plain(pages / "man1" / "s3napback-list.1")):
        assert squeezed(EXIT_CODES.partition("Exit codes:\n")[2]) in page


@pytest.mark.parametrize("directive", all_directives(), ids=lambda directive: directive.name)
def test_every_directive_stands_in_the_page_of_the_configuration(pages: Path, directive: object) -> None:
    (found,) = [each for each in all_directives() if each is directive or each == directive]
    default = f" Default: {found.default}." if found.default else ""
    shown = plain(pages / "man5" / "s3napback.conf.5")
    assert f" {found.name} {squeezed(found.help)} Takes {found.takes}.{default} Stands " in shown


def test_every_block_stands_there_as_well(pages: Path) -> None:
    shown = plain(pages / "man5" / "s3napback.conf.5")
    for block in all_blocks():
        assert f" <{block.name} {block.value}> {squeezed(block.help)} Stands " in shown


def test_a_terminal_of_80_columns_shows_them_whole(pages: Path) -> None:
    """But for blocks of code, which cannot be broken."""
    for name in ("man1/s3napback-restore.1", "man5/s3napback.conf.5"):
        shown = subprocess.run(
            ["man", "--warnings", "--local-file", pages / name],
            env={"PATH": "/usr/bin:/bin", "MANWIDTH": "80", "LC_ALL": "C.UTF-8", "MANROFFOPT": "-c"},
            capture_output=True,
            text=True,
            check=True,
        )
        assert shown.stderr == ""
        lines = re.sub(".\b", "", shown.stdout).splitlines()
        assert [line for line in lines if len(line) > 80 and not line.startswith(" " * 10)] == []
        assert not any(line.endswith("‐") for line in lines), "a name cannot be copied that is broken"
        assert len(lines) > 60


def test_pages_name_the_version_and_its_day(pages: Path) -> None:
    changes = (CHECKOUT / ".github" / "CHANGELOG.md").read_text(encoding="utf-8")
    day = re.search(rf"^## {re.escape(__version__)} \((\d{{4}}-\d\d-\d\d)\)$", changes, re.MULTILINE)
    assert day
    for path in pages.glob("man?/*"):
        assert f'"{day[1]}" "s3napback {__version__}"' in path.read_text(encoding="utf-8")
