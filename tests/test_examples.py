"""The examples are true: the configuration loads, the others name what exists."""

from __future__ import annotations

import configparser
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from s3napback.cli import command_line
from s3napback.config.descriptions import Type
from s3napback.config.loading import load_configuration
from s3napback.config.naming import all_blocks, all_directives, find_directive
from s3napback.config.settings import Configuration
from s3napback.rotation import HanoiCycle
from tests.manual import CHECKOUT

EXAMPLES = CHECKOUT / "examples"
COMMENTED_OUT = re.compile(r"^( *)#(?=[A-Z][A-Za-z0-9]* )", re.MULTILINE)
ANOTHER_BUCKET = "#Bucket file:///srv/vault\n"
SIGN_KEY = "#GpgSignKey atlas@example.org\n"
"""Goes with GpgHome, but not with GpgKeyring."""


def example() -> str:
    return (EXAMPLES / "s3napback.conf").read_text(encoding="utf-8")


def commented_out() -> Iterator[list[str]]:
    """The settings that the example shows without using them, as words."""
    for line in example().splitlines():
        if COMMENTED_OUT.match(line):
            yield shlex.split(line.strip()[1:])


def load(folder: Path, text: str) -> Configuration:
    """The example with folders and files that are here."""
    home = folder / "s3napback"
    for each in (home, home / "gnupg", folder / "diffs"):
        each.mkdir()
    for name, content in (("key.txt", "key=a\nsecret=b\n"), ("pubring.gpg", "")):
        (home / name).write_text(content)
        (home / name).chmod(0o600)
    path = home / "s3napback.conf"
    # TempDir and Exclude name folders below /var, which stay
    path.write_text(
        text.replace("/etc/s3napback/", f"{home}/").replace("DiffDir /var/lib/s3napback", f"DiffDir {folder}/diffs")
    )
    return load_configuration(path)


# --- the configuration ---


def test_the_configuration_loads_without_a_warning(tmp_path: Path) -> None:
    configuration = load(tmp_path, example())
    assert configuration.warnings == ()
    names = {job.name for job in configuration.jobs}
    assert {"two-weeks/etc", "growing-old/etc", "MySQL/all", "PostgreSQL/ledger", ""} <= names


def test_it_shows_every_kind_of_block_and_both_cycles(tmp_path: Path) -> None:
    for block in all_blocks():
        assert re.search(rf"^<{block.name} .+>$", example(), re.MULTILINE), block.name
    cycles = {isinstance(job.schedule, HanoiCycle) for job in load(tmp_path, example()).jobs}
    assert cycles == {True, False}


@pytest.mark.parametrize("name", [directive.name for directive in all_directives()])
def test_it_names_every_directive(name: str) -> None:
    kinds = "|<" if name in {block.name for block in all_blocks()} else ""
    assert re.search(rf"^ *(#{kinds})?{name} ", example(), re.MULTILINE)


def test_what_is_commented_out_can_be_used(tmp_path: Path) -> None:
    text = COMMENTED_OUT.sub(r"\1", example().replace(ANOTHER_BUCKET, "").replace(SIGN_KEY, ""))
    configuration = load(tmp_path, text)
    assert configuration.store.endpoint
    assert configuration.encryption.home


def test_the_sign_key_takes_the_place_of_the_keyring(tmp_path: Path) -> None:
    text = example().replace(ANOTHER_BUCKET, "").replace(SIGN_KEY, SIGN_KEY[1:])
    assert load(tmp_path, text).encryption.sign_key == "atlas@example.org"


def test_a_directory_store_can_take_the_bucket_s_place(tmp_path: Path) -> None:
    text = example().replace(ANOTHER_BUCKET, "").replace("Bucket my-backups", ANOTHER_BUCKET[1:])
    assert load(tmp_path, text).store.folder == Path("/srv/vault")


def test_what_is_commented_out_shows_the_default_where_there_is_one() -> None:
    compared = set()
    for name, *values in commented_out():
        directive = find_directive(name)
        assert directive is not None, name
        literal = directive.default.isdecimal() or directive.type in (Type.SWITCH, Type.CHOICE)
        if literal and not directive.default.startswith("the "):
            assert values == [directive.default], name
            compared.add(name)
    assert {"UploadThreads", "Compression", "Phase", "ArchiveOldestDisc"} <= compared


# --- cron and systemd ---


def assert_understood(words: list[str]) -> None:
    """Whether these are arguments of s3napback."""
    command_line.make_context("s3napback", words).close()


def test_the_crontab_calls_s3napback_with_options_that_exist() -> None:
    lines = [line for line in (EXAMPLES / "s3napback.cron").read_text().splitlines() if not re.match("#|$", line)]
    assert {line.partition("=")[0] for line in lines[:-1]} == {"SHELL", "PATH", "HOME", "MAILTO"}
    match = re.fullmatch(r"\d+ \d+ \* \* \* root (.+)", lines[-1])
    assert match
    words = shlex.split(match[1])
    assert_understood(words[words.index("s3napback") + 1 :])


def unit(name: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(EXAMPLES / name)
    return parser


def test_the_service_calls_s3napback_with_options_that_exist() -> None:
    program, *arguments = shlex.split(unit("s3napback.service")["Service"]["ExecStart"])
    assert program == "/usr/local/bin/s3napback"
    assert_understood(arguments)


def test_the_service_has_its_state_where_s3napback_looks_for_it() -> None:
    service = unit("s3napback.service")["Service"]
    assert service["StateDirectory"] == "s3napback"
    assert "DiffDir /var/lib/s3napback\n" in example()
    assert f"/var/log/{service['LogsDirectory']}/" in (CHECKOUT / "logging.ini").read_text()


def test_the_timer_makes_up_for_missed_nights_and_is_installed() -> None:
    timer = unit("s3napback.timer")
    assert timer["Timer"]["Persistent"] == "true"
    assert timer["Timer"]["OnCalendar"]
    assert timer["Install"]["WantedBy"] == "timers.target"
