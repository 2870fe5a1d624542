"""What was written for the original is read, with a warning where something else was meant by it, or refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.config.helpers import load, problems_of, warnings_of
from tests.config.original_ways import Way, plan, ways

WAYS = ways()
ACCEPTED = [way for way in WAYS if not way.errors]


def id_of(way: Way) -> str:
    return way.name


def assert_told(told: list[str], expected: list[str], first_line: int) -> None:
    """Whether just the expected was told, each in its line; ``expected`` may leave off the ends of messages."""
    assert len(told) == len(expected), told
    for line, wanted in zip(told, expected, strict=True):
        number, _, text = wanted.partition(" ")
        assert line.startswith(f"test.conf:{int(number) + first_line}: {text}")


def test_no_two_are_called_the_same() -> None:
    assert len({way.name for way in WAYS}) == len(WAYS) >= 15


@pytest.mark.parametrize("way", ACCEPTED, ids=id_of)
def test_what_the_original_took_is_planned_with_at_most_warnings(tmp_path: Path, way: Way) -> None:
    text = way.placed(tmp_path)
    assert plan(load(tmp_path, text)) == way.jobs
    assert_told(warnings_of(tmp_path, text), way.warnings, 1)


@pytest.mark.parametrize("way", [way for way in WAYS if way.errors], ids=id_of)
def test_what_nobody_can_have_meant_is_refused(tmp_path: Path, way: Way) -> None:
    assert_told(sorted(problems_of(tmp_path, way.placed(tmp_path))), way.errors, 1)


def test_the_first_of_two_buckets_counts(tmp_path: Path) -> None:
    text = "Bucket other\n<Directory /etc>\n</Directory>\n"
    assert load(tmp_path, text).store.bucket == "example"
    assert warnings_of(tmp_path, text) == [
        "test.conf:2: Bucket is set already in line 1, which counts; leave this one out"
    ]


def test_cycles_without_names_are_told_apart(tmp_path: Path) -> None:
    jobs = load(tmp_path, "<Cycle>\nDirectory /etc\n</Cycle>\n<Cycle>\nDirectory /etc\n</Cycle>\n").jobs
    assert [job.name for job in jobs] == ["cycle-1/etc", "cycle-2/etc"]


def test_a_name_by_position_that_is_taken_is_refused(tmp_path: Path) -> None:
    text = "<Cycle cycle-2>\nDirectory /a\n</Cycle>\n<Cycle>\nDirectory /b\n</Cycle>\n"
    assert problems_of(tmp_path, text)[0].startswith("test.conf:5: there is a <Cycle cycle-2> already")


def test_a_source_at_file_level_keeps_its_plain_name(tmp_path: Path) -> None:
    jobs = load(tmp_path, "Directory /etc\n<Cycle a>\nDirectory /etc\n</Cycle>\n").jobs
    assert [(job.name, job.cycle) for job in jobs] == [("etc", ""), ("a/etc", "a")]


def test_settings_of_both_cycles_may_stand_at_file_level(tmp_path: Path) -> None:
    text = "Discs 3\nDiffs 2\nDirectory /a\n<Directory /b>\nCycleType HanoiCycle\n</Directory>\n"
    assert warnings_of(tmp_path, text) == []


def test_a_setting_of_a_cycle_that_a_block_in_it_cannot_use_is_told(tmp_path: Path) -> None:
    text = "<Cycle a>\nDiffs 1\n<Directory /a>\nCycleType HanoiCycle\n</Directory>\n</Cycle>"
    (warning,) = warnings_of(tmp_path, text)
    assert warning.startswith("test.conf:3: Diffs has no effect in a HanoiCycle (CycleType at ")


@pytest.mark.parametrize(
    ("given", "options"),
    [
        ('"-h localhost"', ("-h", "localhost")),
        ('"--host localhost" --quick', ("--host", "localhost", "--quick")),
        ("\"--quick --ssl-ca='/root/my ca.pem'\"", ("--quick", "--ssl-ca=/root/my ca.pem")),
        ('"--ssl-ca=/root/my ca.pem"', ("--ssl-ca=/root/my ca.pem",)),
        ('"--quick"', ("--quick",)),
    ],
)
def test_quoted_options_are_split_as_the_shell_split_them(tmp_path: Path, given: str, options: tuple[str, ...]) -> None:
    (job,) = load(tmp_path, f"<MySQL all>\nMySQLOptions {given}\n</MySQL>\n").jobs
    assert job.settings.mysql_options == options


def test_a_password_among_split_options_is_not_shown(tmp_path: Path) -> None:
    text = '<MySQL all>\nMySQLOptions "--quick -pSEKRIT --password=SEKRIT"\n</MySQL>\n'
    told = " ".join(problems_of(tmp_path, text))
    assert "a password must not appear" in told
    assert "SEKRIT" not in told


def test_options_of_tar_were_never_split(tmp_path: Path) -> None:
    text = '<Directory /etc>\nTarOptions "--exclude=/home/My - Music"\n</Directory>\n'
    assert load(tmp_path, text).jobs[0].settings.tar_options == ("--exclude=/home/My - Music",)


def test_a_folder_to_include_must_be_one_s_own(tmp_path: Path) -> None:
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d").chmod(0o777)
    (problem,) = problems_of(tmp_path, "Include conf.d\n")
    assert "conf.d" in problem
    assert "chmod" in problem
