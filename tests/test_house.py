"""The house is as CONTRIBUTING and ARCHITECTURE show it, and no room of it is larger than a person takes in."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parent.parent
PACKAGE = CHECKOUT / "s3napback"
MODULES = sorted(path for folder in ("s3napback", "tests") for path in (CHECKOUT / folder).rglob("*.py"))
ROOMS = {
    f"{path.name}/" if path.is_dir() else path.name
    for path in PACKAGE.iterdir()
    if (path.suffix == ".py" or (path / "__init__.py").exists()) and not path.name.startswith("__")
}

TESTED_ELSEWHERE = {"overview.py": "commands/test_schedule.py", "restoring.py": "commands/test_dump.py",
                    "looking.py": "browsing/test_commands.py", "exercise.py": "drilling/test_files.py",
                    "beginning.py": "commands/test_init.py", "helping.py": "commands/test_help.py"}  # fmt: skip
"""A command's part of the command line is tried where the command is."""

LINES = 400
"""What a file stays below."""

LINES_OF_A_FUNCTION = 45
"""What a function of the package stays below, its docstring left out."""


def page(name: str) -> str:
    return (CHECKOUT / ".github" / name).read_text(encoding="utf-8")


def layers() -> list[set[str]]:
    """Names of modules from the top to the bottom, as import-linter checks them."""
    text = (CHECKOUT / "pyproject.toml").read_text(encoding="utf-8")
    block = text.partition('name = "Imports only go down"')[2].partition("\n]")[0].partition("layers = [")[2]
    return [set(re.findall(r"\w+", line)) for line in re.findall(r'"([^"]+)"', block)]


def listed() -> list[str]:
    """What CONTRIBUTING's list of the house has in the package, in its order."""
    block = page("CONTRIBUTING.md").partition("    s3napback/\n")[2].partition("\n    tests/")[0]
    return re.findall(r"^ {6}(\S+)", block, re.MULTILINE)


def test_every_file_can_be_read_in_one_go() -> None:
    assert len(MODULES) > 300
    lengths = {str(path.relative_to(CHECKOUT)): len(path.read_bytes().splitlines()) for path in MODULES}
    assert {name: length for name, length in lengths.items() if length >= LINES} == {}


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Name and number of lines of each function, without those of its docstring."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef):
            first = node.body[0]
            described = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
            docstring = (first.end_lineno or 0) - first.lineno + 1 if described else 0
            yield f"{path.relative_to(CHECKOUT)}: {node.name}", (node.end_lineno or 0) - node.lineno + 1 - docstring


def test_every_function_fits_in_one_look() -> None:
    long = [
        name
        for path in MODULES
        if PACKAGE in path.parents
        for name, length in functions(path)
        if length >= LINES_OF_A_FUNCTION
    ]
    assert long == []


def test_a_name_stands_for_one_class() -> None:
    """A protocol may bear the name of what fulfils it."""
    found: dict[str, list[str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        for name in re.findall(r"^class ([A-Z]\w*)(?!\w|\(Protocol\))", text, re.MULTILINE):
            found.setdefault(name, []).append(str(path.relative_to(PACKAGE)))
    assert len(found) > 300
    assert {name: places for name, places in found.items() if len(places) > 1} == {}


def test_the_list_of_the_house_is_whole() -> None:
    assert sorted(listed()) == sorted(ROOMS)


def test_the_list_of_the_house_has_the_order_in_which_imports_go_down() -> None:
    floors = [next(floor for floor, names in enumerate(layers()) if room.strip("/").removesuffix(".py") in names)
              for room in listed()]  # fmt: skip
    assert floors == sorted(floors)


def test_the_picture_of_the_architecture_has_every_room() -> None:
    picture = page("ARCHITECTURE.md").partition("```\n")[2].partition("```")[0]
    assert ROOMS - set(re.findall(r"[\w]+(?:/|\.py)", picture)) == set()


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_the_tests_are_laid_out_like_the_package(room: str) -> None:
    if room in TESTED_ELSEWHERE:
        assert (CHECKOUT / "tests" / TESTED_ELSEWHERE[room]).exists()
    elif room.endswith("/"):
        assert list((CHECKOUT / "tests" / room).glob("test_*.py"))
    else:
        assert list((CHECKOUT / "tests").glob(f"test_{room.removesuffix('.py')}*.py"))
