"""Tables that were exchanged while a dump was made, by what MariaDB and MySQL say of their times."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from s3napback.sources.mysql_answers import Answer, question_after, read_answer
from s3napback.sources.mysql_swaps import exchanged, noted

TURNS: dict[tuple[str, ...], tuple[float, float]] = {("shop", "orders"): (1000.0, 1600.0)}
SKEW = 5000  # seconds between the two clocks


def answer(version: str, *made: int) -> Answer:
    lines = [f"s3napback\t{version}\t18446744073709551615"]
    lines += [f"made\tshop\torders\t{each + SKEW}\t{2000 + SKEW}.5" for each in made]
    return read_answer("\n".join(lines))


@pytest.mark.parametrize(
    ("version", "before", "after", "expected"),
    [
        ("10.11-MariaDB", [], 1300, True),
        ("10.11-MariaDB", [], 999, False),
        ("10.11-MariaDB", [], 900, False),
        ("10.11-MariaDB", [], 1700, False),
        ("8.4.0", [500], 500, False),
        ("8.4.0", [500], 900, True),
        ("8.4.0", [500], 1300, True),
        ("8.4.0", [500], 1700, False),
        ("8.4.0", [], 500, False),
    ],
)
def test_what_was_changed_between_the_dumps_beginning_and_a_tables_turn_is_another(
    version: str, before: Sequence[int], after: int, expected: bool
) -> None:
    found = list(exchanged(noted(answer(version, *before)), answer(version, after), 2000.5, TURNS))
    assert found == [("shop", "orders")] * expected
    damaged = read_answer(f"s3napback\t{version}\t9\nmade\tshop\torders\tNULL\t2000.5")
    assert list(exchanged({}, damaged, 2000.5, TURNS)) == []


@pytest.mark.parametrize(
    ("parted", "other", "expected"), [(1300, 1301, True), (1300, 1320, False), (1700, 1700, False), (900, 900, False)]
)
def test_a_part_that_has_become_a_table_before_the_turn_of_its_own_is_missed(
    parted: int, other: int, expected: bool
) -> None:
    lines = [
        "s3napback\t10.11-MariaDB\t9",
        f"made\tshop\tnew\t{other}\t2000.5",
        f"parted\tshop\torders\t{parted}\t2000.5",
    ]
    found = list(exchanged({}, read_answer("\n".join(lines)), 2000.5, TURNS))
    assert found == [("shop", "orders")] * expected


def test_a_table_whose_engine_may_be_away_is_not_opened() -> None:
    answered = read_answer("s3napback\t10.11-MariaDB\t9\nunknown\tit's\tfar\\\\\tSPIDER")
    assert noted(answered) == {("it's", "far\\"): ""}
    question = question_after(noted(answered), of_all=True)
    assert question.count("AND NOT (TABLE_SCHEMA") == 2
    assert question.endswith(r"AND NOT (TABLE_SCHEMA = 'it\'s' AND TABLE_NAME = 'far\\')")
    assert question_after([("far",)], of_all=False).endswith("AND NOT (TABLE_NAME = 'far')")
