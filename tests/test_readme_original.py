"""What the manual says of the original: complete, and true of the code where that can be tried."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from s3napback.config.directives import Directives
from s3napback.config.loading import resolve_configuration_path
from s3napback.config.store_settings import LEAST_PART
from s3napback.config.syntax import Directive
from s3napback.rotation import EPOCH, HanoiCycle, SimpleCycle, day_number
from tests import manual
from tests.config.helpers import load, only_job, parse, warnings_of
from tests.config.original_ways import ways

ELSEWHERE = ""
"""Tried by other tests: it takes a whole night, or a restore."""

Check = Callable[[Path], bool]


def inherits(folder: Path) -> bool:
    return only_job(load(folder, "Frequency 3\n<Directory /etc>\n</Directory>\n")).schedule == SimpleCycle(3)


def goes_on_at_new_year(_folder: Path) -> bool:
    cycle = SimpleCycle(fulls=500)
    last = day_number(EPOCH.replace(year=2026, month=12, day=31))
    return cycle.slot(last + 1) == (cycle.slot(last) + 1) % 500


def archives_the_oldest_disc_alone(_folder: Path) -> bool:
    cycle = HanoiCycle(discs=3, archive_oldest_disc=True)
    return {cycle.slot(day) for day in range(16)} == {0, 1, 2, 3, 4, 5}


def begins_a_comment(_folder: Path) -> bool:
    (entry,) = parse("Directory /etc # and no more\n")
    return isinstance(entry, Directive) and entry.values == ("/etc",)


def keeps_two_names(folder: Path) -> bool:
    text = "<Cycle a>\nDirectory /etc\n</Cycle>\n<Cycle b>\nDirectory /etc\n</Cycle>\n"
    return [job.name for job in load(folder, text).jobs] == ["a/etc", "b/etc"]


def has_all_in_keys(folder: Path) -> bool:
    return only_job(load(folder, "MySQL all\n")).name == "MySQL/all"


def goes_in_order(folder: Path) -> bool:
    text = "<MySQL all>\n</MySQL>\n<Directory /b>\n</Directory>\nDirectory /c\n"
    return [job.target for job in load(folder, text).jobs] == ["/c", "all", "/b"]


def warns_of_wildcards(folder: Path) -> bool:
    (warning,) = warnings_of(folder, "<Directory /home/*/mail>\n</Directory>\n")
    return warning.endswith(
        "wildcards are not expanded; name each one, or write Directory /home and Exclude what is not to be in it"
    )


def encrypts_for_both(folder: Path) -> bool:
    text = "GpgRecipient a@example.org\nGpgRecipient b@example.org\n"
    return load(folder, text).encryption.recipients == ("a@example.org", "b@example.org")


def is_no_file_here(folder: Path) -> bool:
    return resolve_configuration_path("s3napback.conf", folder) == folder / "s3napback.conf"


def raises_small_parts(folder: Path) -> bool:
    return load(folder, "ChunkSize 1000\n").store.chunk_size == LEAST_PART == 5 * 1024**2


DIFFERENCES: dict[str, Check | str] = {
    "A slot is replaced in one step": ELSEWHERE,
    "tar's snapshot is remembered after": ELSEWHERE,
    "Every stage of a pipeline counts.": ELSEWHERE,
    "A lock, exit codes, and a strict configuration": ELSEWHERE,
    "Days are counted without a break.": goes_on_at_new_year,
    "Missed nights are made up.": ELSEWHERE,
    "A DIFF becomes a FULL if": ELSEWHERE,
    "`ArchiveOldestDisc` archives the oldest disc alone.": archives_the_oldest_disc_alone,
    "`-f` loses nothing.": ELSEWHERE,
    "Slots of other hosts and sources are refused.": ELSEWHERE,
    "A part has at least 5 MiB": raises_small_parts,
    "`all` is part of the keys": has_all_in_keys,
    "A source in two Cycles": keeps_two_names,
    "SubversionDir passes over": ELSEWHERE,
    "`GpgRecipient` is a fingerprint": ELSEWHERE,
    "`GpgKeyring` is imported": ELSEWHERE,
    "`logging.ini` in Python's format.": ELSEWHERE,
    "`-c s3napback.conf` is `/etc/s3napback/s3napback.conf`": is_no_file_here,
    "Configurations, keys and state that others can change": ELSEWHERE,
    "A block inherits from the file.": inherits,
    "`Diffs` left out means 0": lambda _folder: Directives.DIFFS.value == 0,
    "` #` begins a comment": begins_a_comment,
    "Sources are done in the order of the file": goes_in_order,
    "HanoiCycle goes by the local day.": ELSEWHERE,
    "Wildcards in `Directory /home/*`": warns_of_wildcards,
    "A `Directory` that is a symbolic link": ELSEWHERE,
    "A MySQL dump is as of one moment": ELSEWHERE,
    "A second `GpgRecipient` is encrypted for": encrypts_for_both,
    "Log lines go to standard error": ELSEWHERE,
    "`-t` touches nothing.": ELSEWHERE,
    "An archive is one object": ELSEWHERE,
}
"""The rows of the manual's table by how they begin, and what shows that the code does so."""


WAYS = {
    "`NotifyEmail`, `LogFile`, `LogLevel`": "settings that nothing ever read",
    "`<Cycle>` without a name": "a cycle without a name",
    "`Directory`, `MySQL` and so on outside": "sources outside of all blocks",
    "`Fulls`, `Diffs`, `Phase` in a HanoiCycle; `Discs`": "a simple cycle's settings in a Hanoi cycle",
    "`Include` of a folder": "a folder of configurations",
    "`UseTempFile` without a value": "a switch without a value",
    "A directive of one value twice": "a setting that stands there twice",
    "The last block not closed": "a last block without its end",
    "`Frequency 7 days`": "a number with a word behind it",
    "A line that ends in `/a\\`": "a word that reaches up to the end of a continued line",
    "`Exclude \"'*.o'\"`": "quotes that were meant for the shell",
    '`MySQLOptions "': "several options in quotes",
    "`Phase` not less": "a phase beyond the frequency",
    "Relative paths": "paths that a shell or the current folder would complete",
    "`<Cycle two words>`": "a cycle whose name is two words",
    "`<Directory /a /b>`": "two directories in one block",
    "`<Directory/etc>`": "a tag without a blank",
    "A source twice": "a source that is named twice",
    "`MySQL --all-databases`": "the option for all databases as a name",
    "`Bucket`, `GpgRecipient`": "settings of the file in a block, where nobody looked for them",
    "A number left out": "a number that was left out",
    "A blank behind the backslash": "a blank behind the backslash",
    "A file in Latin-1": ELSEWHERE,
    "An unknown directive or block": "a directive that nobody knows",
    "`s3napback nightly weekly`": ELSEWHERE,
}
"""The rows of the manual's table of old configurations by how they begin, and the example that shows it."""


def rows(table: str = "What differs from the original s3napback") -> list[str]:
    text = manual.section(table)
    return [line.removeprefix("| ") for line in text.split("|---|---|\n")[1].split("\n\n")[0].splitlines()]


@pytest.mark.parametrize("start", WAYS)
def test_what_is_told_of_old_configurations_has_an_example(start: str) -> None:
    (row,) = [row for row in rows("Old configurations") if row.startswith(start)]
    if WAYS[start]:
        (way,) = [way for way in ways() if way.name == WAYS[start]]
        assert ("| An error" in row) == bool(way.errors)
        assert ("| A warning" in row) == bool(way.warnings) or "| Accepted" in row


def test_the_table_of_old_configurations_is_complete() -> None:
    assert len(rows("Old configurations")) == len(WAYS)


def test_the_table_of_differences_is_complete() -> None:
    assert len(rows()) == len(DIFFERENCES)
    for row, start in zip(rows(), DIFFERENCES, strict=True):
        assert row.startswith(start)


@pytest.mark.parametrize("start", [start for start, check in DIFFERENCES.items() if callable(check)])
def test_what_the_table_says_is_so(tmp_path: Path, start: str) -> None:
    check = DIFFERENCES[start]
    assert callable(check)
    assert check(tmp_path)


def test_every_row_says_what_was_before_and_none_is_empty() -> None:
    assert rows()
    assert all(len(row.split(" | ")) == 2 and len(row.split(" | ")[1].strip(" |")) > 2 for row in rows())
