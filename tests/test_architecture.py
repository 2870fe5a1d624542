"""What the page on the architecture names is there, under that name."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import s3napback

PACKAGE = Path(s3napback.__file__).parent
PAGE = (Path(__file__).parent.parent / ".github" / "ARCHITECTURE.md").read_text()
NAMED = sorted(set(re.findall(r"`((?:[a-z_0-9]+/)*[a-z_0-9]+\.py)(?:: ([A-Za-z_]+))?`", PAGE)))


def found(name: str) -> list[Path]:
    """The files that a path on the page can mean: it may leave out the folder that the text speaks of."""
    return [path for path in PACKAGE.rglob(Path(name).name) if path.as_posix().endswith(f"/{name}")]


def defined_in(path: Path) -> set[str]:
    nodes = ast.walk(ast.parse(path.read_text()))
    return {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)}


def test_files_and_what_is_in_them_are_named() -> None:
    assert len([name for name, inner in NAMED if inner]) > 5


@pytest.mark.parametrize(("name", "inner"), NAMED)
def test_what_is_named_is_there(name: str, inner: str) -> None:
    if name.startswith("tests/"):
        assert (PACKAGE.parent / name).exists() or (Path(__file__).parent.parent / name).exists()
    else:
        assert any(not inner or inner in defined_in(path) for path in found(name))


def test_a_question_is_answered_by_few_files() -> None:
    """A part's way through five, and a FULL's reason in three."""
    way = PAGE.partition("### The way of a part\n\n")[2].partition("\n\n")[0]
    assert len(set(re.findall(r"`(stores/[a-z_0-9]+\.py)", way))) == 5
    (reason,) = (line for line in PAGE.splitlines() if line.startswith("| Why did a DIFF become a FULL?"))
    assert len(re.findall(r"`[a-z/_]+\.py|`sources/`", reason)) == 3
