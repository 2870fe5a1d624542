"""Of the tests that take longest some cases, wherever all tests are run; all of them where files are named.

``costly.lst`` has those tests, each with a number: one of so many cases is tried. It is written from a report of a run
of all tests, on a machine that has nothing else to do:

    .test-venv/bin/pytest --junit-xml=report.xml; python -m tests.sampling report.xml
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree
from zlib import crc32

import pytest

LIST = Path(__file__).with_name("costly.lst")
_CHEAP = 1.5
"""Seconds that all cases of a test may take together without being sampled."""
_MOST = 6

Case = Mapping[str, Hashable]
"""The values of one case, by the names of parameters."""


def costly() -> dict[str, int]:
    """Of each test on the list, by its id without parameters, of how many cases one is tried."""
    lines = LIST.read_text("utf-8").splitlines()
    return {name: int(number) for number, name in (line.split() for line in lines)}


def left_out(items: Sequence[pytest.Item]) -> list[pytest.Item]:
    """The cases that are not tried where all tests are run."""
    numbers = costly()
    by_test: dict[str, list[pytest.Item]] = defaultdict(list)
    for item in items:
        by_test[item.nodeid.partition("[")[0]].append(item)
    found = []
    for name, of_one in by_test.items():
        if name in numbers:
            kept = chosen([_values(item) for item in of_one], numbers[name], name)
            found += [item for place, item in enumerate(of_one) if place not in kept]
    return found


def _values(item: pytest.Item) -> Case:
    call = getattr(item, "callspec", None)
    return dict(call.indices) if call else {}


def chosen(cases: Sequence[Case], number: int, name: str) -> set[int]:
    """Places of the cases that are tried.

    Where a test has several parameters each value of each of them comes at least once; with a single one, which would
    be all cases, as many as there shall be. Which ones differs from test to test, lest all tests try the same store.

    Args:
        number: of so many cases one is tried.
        name: of the test.
    """
    begin = crc32(name.encode()) % len(cases)
    places = [(begin + step) % len(cases) for step in range(len(cases))]
    found = set(places[::number])
    if len(cases[0]) < 2:
        return found
    missing = {value for case in cases for value in case.items()}
    for place in found:
        missing -= cases[place].items()
    while missing:
        best = max(places, key=lambda place: len(missing & cases[place].items()))
        found.add(best)
        missing -= cases[best].items()
    return found


def write_list(report: Path) -> None:
    """Write the list. Of a test that is on it already only some cases were run, and take so much less time.

    Args:
        report: of pytest, as XML.
    """
    seconds, counts, numbers = defaultdict[str, float](float), Counter[str](), costly()
    for case in ElementTree.parse(report).iter("testcase"):
        name = f"{case.attrib['classname'].replace('.', '/')}.py::{case.attrib['name'].partition('[')[0]}"
        seconds[name] += float(case.attrib["time"]) * numbers.get(name, 1)
        counts[name] += numbers.get(name, 1)
    lines = [
        f"{min(_MOST, 1 + int(taken / _CHEAP))} {name}\n"
        for name, taken in sorted(seconds.items())
        if counts[name] > 1 and taken > _CHEAP
    ]
    LIST.write_text("".join(lines), "utf-8")


if __name__ == "__main__":
    write_list(Path(sys.argv[1]))
