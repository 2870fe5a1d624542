"""Of the tests that take longest no value of a parameter is left out where there are several parameters."""

from __future__ import annotations

import ast
from itertools import product
from math import ceil
from pathlib import Path

import pytest

from tests import sampling
from tests.sampling import chosen, costly, write_list

CHECKOUT = Path(__file__).parent.parent
NAMES = [f"tests/test_one.py::test_{number}" for number in range(40)]


@pytest.mark.parametrize("number", [2, 3, 6])
def test_each_value_of_each_of_several_parameters_comes(number: int) -> None:
    cases = [{"store": store, "kind": kind, "fault": fault} for store, kind, fault in product(range(3), "ab", range(7))]
    for name in NAMES:
        found = chosen(cases, number, name)
        assert {value for place in found for value in cases[place].items()} == {
            value for case in cases for value in case.items()
        }
        assert ceil(len(cases) / number) <= len(found) <= ceil(len(cases) / number) + 7


def test_with_a_single_one_a_part_comes_and_not_the_same_of_each_test() -> None:
    found = [chosen([{"store": number} for number in range(2)], 2, name) for name in NAMES]
    assert {len(each) for each in found} == {1}
    assert {place for each in found for place in each} == {0, 1}
    assert chosen([{}], 4, "tests/test_one.py::test_one") == {0}


LISTED = {"tests/a/test_b.py::test_listed": 3}


def test_a_report_tells_what_takes_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "LIST", tmp_path / "costly.lst")
    sampling.LIST.write_text("2 tests/a/test_b.py::test_listed\n3 tests/a/test_b.py::test_quick_by_now\n")
    report = tmp_path / "report.xml"
    times = {"test_long[a]": 1, "test_long[b]": 2, "test_longer[a]": 20, "test_longer[b]": 0, "test_short[a]": 1,
             "test_short[b]": 0, "test_alone": 50, "test_listed[b]": 2, "test_quick_by_now[c]": 0.3}  # fmt: skip
    cases = "".join(
        f'<testcase classname="tests.a.test_b" name="{name}" time="{time}"/>' for name, time in times.items()
    )
    report.write_text(f"<testsuites><testsuite>{cases}</testsuite></testsuites>")
    write_list(report)
    assert costly() == {"tests/a/test_b.py::test_long": 3, "tests/a/test_b.py::test_longer": 6, **LISTED}


def test_no_list_holds_a_test_that_is_no_more() -> None:
    missing = []
    for name in costly():
        file, _, test = name.partition("::")
        tree = ast.parse((CHECKOUT / file).read_text("utf-8"))
        functions = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        missing += [] if test in functions else [name]
    assert missing == []
