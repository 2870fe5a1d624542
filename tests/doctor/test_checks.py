"""Rows of findings."""

from __future__ import annotations

import json

from s3napback.doctor.checks import bad, exit_code, good, json_document, table, unknown

ROWS = [good("keys", "gpg", "is there"), bad("store", "versions", "word " * 40), unknown("store", "locks", "\x1b[2J")]


def test_a_part_stands_above_its_rows_and_long_ones_are_wrapped() -> None:
    lines = table(ROWS)
    assert lines[:2] == ["keys", "  ok  gpg: is there"]
    assert lines[3] == "store"
    assert lines[4].startswith("  NO  versions: word word")
    assert lines[5].startswith("      word")
    assert max(map(len, lines)) <= 100
    assert lines[-1] == "1 good, 1 to be mended, 1 not known"


def test_lines_are_those_of_the_terminal_but_not_too_long_to_be_read() -> None:
    assert max(map(len, table(ROWS, 60))) <= 60
    assert table(ROWS, 300) == table(ROWS)
    assert table(ROWS, 1)


def test_nothing_that_a_terminal_obeys_is_shown() -> None:
    assert "  ?   locks: \\x1b[2J" in table(ROWS)


def test_what_is_alike_of_many_things_is_said_once_and_counted_each() -> None:
    many = [bad("sources", f"Directory /{number}", "does not exist") for number in range(500)]
    lines = table([*many, bad("sources", "SQLite /x", "is empty"), *ROWS[:1]])
    assert lines[1] == "  NO  500, such as Directory /0, Directory /1, Directory /2: does not exist"
    assert lines[2] == "  NO  SQLite /x: is empty"
    assert lines[-1] == "1 good, 501 to be mended, 0 not known"
    assert len(table(many[:3])) == 6
    assert len(json.loads(json_document("x.conf", many))["checks"]) == 500


def test_only_what_is_to_be_done_decides_on_the_exit_code() -> None:
    assert exit_code(ROWS) == 1
    assert exit_code([ROWS[0], ROWS[2]]) == 0
    assert exit_code([]) == 0


def test_programs_get_all_fields() -> None:
    found = json.loads(json_document("x.conf", ROWS[:1]))
    rows = [{"part": "keys", "subject": "gpg", "outcome": "good", "found": "is there"}]
    assert found == {"format": 1, "configuration": "x.conf", "checks": rows}
