from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path

import pytest

from s3napback.config.descriptions import (
    DirectiveContext,
    DirectiveDescription,
    Enumeration,
    Integer,
    Switch,
    Tolerance,
    Type,
)
from s3napback.config.directives import HANOI_CYCLE, SIMPLE_CYCLE, Directives
from s3napback.config.naming import all_blocks, all_directives, find_block, find_directive, similar_name
from s3napback.config.problems import Problems
from s3napback.config.schedules import job_settings, schedule
from s3napback.config.scopes import Scope, Setting
from s3napback.config.settings import EncryptionSettings, JobSettings, Position, StoreSettings
from s3napback.config.store_settings import encryption_settings, store_settings
from s3napback.config.values import InvalidValueError, Value, convert
from s3napback.kinds import KINDS
from s3napback.rotation import HanoiCycle, SimpleCycle

OF_THE_MANUAL = shlex.split("""DiffDir TempDir Bucket GpgRecipient GpgKeyring S3KeyFile ChunkSize CycleType Frequency
Phase Diffs Fulls Discs ArchiveOldestDisc Directory MySQL PostgreSQL Subversion SubversionDir UseTempFile Exclude""")


@pytest.mark.parametrize("name", OF_THE_MANUAL)
def test_every_directive_of_the_original_is_known_in_any_case(name: str) -> None:
    found = find_directive(name)
    assert found is not None
    assert found == find_directive(name.upper())


@pytest.mark.parametrize("directive", all_directives(), ids=lambda directive: directive.name)
def test_every_directive_is_described(directive: DirectiveDescription) -> None:
    assert re.fullmatch(r"[A-Z0-9].*\.", directive.help) or directive.help.startswith("gpg")
    assert directive.places
    assert directive.takes
    assert bool(directive.default) != (directive.type in (Type.SOURCE, Type.FILES))
    assert set(directive.kinds) <= set(KINDS)


@pytest.mark.parametrize(
    "directive",
    [directive for directive in all_directives() if isinstance(directive, Integer)],
    ids=lambda each: each.name,
)
def test_bounds_of_numbers_hold(directive: Integer) -> None:
    assert convert(directive, (str(directive.minimum),)) == directive.minimum
    assert convert(directive, (str(directive.maximum),)) == directive.maximum
    for number in (directive.minimum - 1, directive.maximum + 1):
        with pytest.raises(InvalidValueError):
            convert(directive, (str(number),))


def test_every_kind_of_source_is_a_directive_and_a_block() -> None:
    for kind, row in KINDS.items():
        directive, block = find_directive(kind), find_block(kind.lower())
        assert (directive is None) == row.needs_block
        assert directive is None or directive.places == {DirectiveContext.FILE, DirectiveContext.CYCLE}
        assert block is not None
        assert block.places == {DirectiveContext.FILE, DirectiveContext.CYCLE}
    assert {block.name for block in all_blocks()} == {"Cycle", *KINDS}


def test_a_misspelt_name_is_recognised_and_a_strange_one_is_not() -> None:
    assert similar_name("excludes") == "Exclude"
    assert similar_name("GPGRecepient") == "GpgRecipient"
    assert similar_name("xyzzy") == ""


def in_force(**written: Value) -> Scope:
    """A file in which some directives are written, by their constants' names."""
    position = Position("x.conf", 1)
    own = {
        getattr(Directives, name).name: Setting(value, position, DirectiveContext.FILE)
        for name, value in written.items()
    }
    return Scope(DirectiveContext.FILE, position, own)


@pytest.mark.parametrize(
    ("words", "value"),
    [(("fail",), 0), (("FAIL",), 0), (("warn",), 1000), (("Warn", "1"), 1), (("warn", "1000000"), 1_000_000)],
)
def test_unreadable_is_fail_or_warn_with_a_number(words: tuple[str, ...], value: int) -> None:
    assert convert(Directives.UNREADABLE, words) == value


@pytest.mark.parametrize(
    "words", [("never",), ("fail", "3"), ("warn", "0"), ("warn", "1000001"), ("warn", "x"), ("warn", "1", "2"), ("7",)]
)
def test_unreadable_is_nothing_else(words: tuple[str, ...]) -> None:
    with pytest.raises(InvalidValueError, match="Unreadable takes"):
        convert(Directives.UNREADABLE, words)


@pytest.mark.parametrize(
    "directive",
    [
        each
        for each in all_directives()
        if isinstance(each, Integer | Switch | Enumeration | Tolerance) and not each.otherwise
    ],
    ids=lambda each: each.name,
)
def test_to_write_a_default_changes_nothing(directive: Integer | Switch | Enumeration | Tolerance) -> None:
    assert convert(directive, (directive.default,)) == directive.value


def test_what_is_left_out_is_the_same_for_a_configuration_and_for_code() -> None:
    problems = Problems()
    assert job_settings(in_force()) == JobSettings()
    assert encryption_settings(in_force(), problems) == EncryptionSettings()
    assert store_settings(in_force(BUCKET="some-bucket"), problems) == StoreSettings(bucket="some-bucket")
    assert schedule(in_force(), problems) == SimpleCycle()
    assert schedule(in_force(CYCLE_TYPE=HANOI_CYCLE), problems) == HanoiCycle()
    assert Directives.CYCLE_TYPE.value == SIMPLE_CYCLE
    problems.raise_errors()


def test_defaults_are_these_since_configurations_rely_on_them() -> None:
    values = {
        each.name: each.value
        for each in all_directives()
        if isinstance(each, Integer | Switch | Enumeration) and each.value
    }
    assert values == {
        "LockDays": 14,
        "ChunkSize": 25_000_000,
        "UploadThreads": 4,
        "Jobs": 1,
        "JobsPerServer": 1,
        "CycleType": "SimpleCycle",
        "Frequency": 1,
        "Fulls": 4,
        "Discs": 5,
        "LeastBytes": 1,
        "StallTimeout": 14_400,
        "Compression": "gzip",
    }


def test_every_setting_in_the_table_is_read_and_no_other() -> None:
    """A row that nothing reads would be accepted, and have no effect."""
    table = {name for name, each in vars(Directives).items() if isinstance(each, DirectiveDescription)}
    folder = Path(schedule.__code__.co_filename).parent
    read = {
        node.attr
        for file in folder.glob("*.py")
        if file.name != "settings.py"
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "Directives"
    }
    assert read == table
