"""Regular expressions are what ``re.compile`` makes of them, but later."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from s3napback.regexes import regex

PACKAGE = Path(__file__).parent.parent / "s3napback"


def test_they_behave_as_the_librarys() -> None:
    late, meant = regex(r"(?P<word>\w+)-(\d)", re.IGNORECASE), re.compile(r"(?P<word>\w+)-(\d)", re.IGNORECASE)
    for text in ("Ab-1", "x ab-1 c-2", ""):
        for method in ("match", "search", "fullmatch"):
            found, other = getattr(late, method)(text), getattr(meant, method)(text)
            assert (found and found.groupdict()) == (other and other.groupdict())
        assert late.findall(text) == meant.findall(text)
        assert late.sub(r"\2", text) == meant.sub(r"\2", text)
        assert late.split(text) == meant.split(text)
    assert (late.pattern, late.flags, late.groups) == (meant.pattern, meant.flags, meant.groups)
    assert regex(rb"\d").findall(b"a1") == [b"1"]


def test_nothing_is_compiled_before_it_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    library = re.compile

    def noting(pattern: str, flags: int = 0) -> re.Pattern[str]:
        asked.append(pattern)
        return library(pattern, flags)

    monkeypatch.setattr("s3napback.regexes.re.compile", noting)
    late = regex("a+")
    assert asked == []
    assert [late.match("aa"), late.match("b")][1] is None
    assert late.search("ba")
    assert set(asked) == {"a+"}


def test_all_of_the_package_are_such_and_can_be_compiled() -> None:
    """Or else commands begin as slowly as before, and what is wrong with one is found by whoever needs it."""
    early, tried = [], 0
    for path in sorted(PACKAGE.rglob("*.py")):
        for call in called_while_loading(ast.parse(path.read_text(encoding="utf-8"))):
            name = ast.unparse(call.func)
            if name == "re.compile":
                early.append(f"{path.relative_to(PACKAGE)}:{call.lineno}")
            elif name == "regex" and isinstance(call.args[0], ast.Constant):
                flags = ast.unparse(call.args[1]).split(" | ") if call.args[1:] else []
                text = call.args[0].value
                assert isinstance(text, str | bytes)
                re.compile(text, sum(getattr(re, flag.removeprefix("re.")) for flag in flags))
                tried += 1
    assert early == []
    assert tried > 120


def called_while_loading(node: ast.AST) -> list[ast.Call]:
    """The calls that importing a module makes."""
    found = []
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, (ast.FunctionDef, ast.Lambda)):
            found += [child] if isinstance(child, ast.Call) else []
            found += called_while_loading(child)
    return found
