"""Finds, in the code, every text that a person may get to read.

A text is any literal of at least two words that is no docstring, wherever it stands: what is said is put together of
clauses that are returned, kept in tables, or given on, and no rule about who prints them would find them all. Of one
word, those count that are given to a logger, an error or the output. Besides, the descriptions of commands, which are
docstrings. What programs read (SQL, regular expressions) is left out.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path

import s3napback

PACKAGE = Path(s3napback.__file__).parent
LISTS = Path(__file__).parent
HARMLESS = LISTS / "harmless.lst"
"""What is said where nothing is wrong: labels, headings, steps, words of other programs and for them."""

_TWO_WORDS = re.compile(r"[\w}>,:;%)”…] +[\w{(<%“×]")
_A_WORD = re.compile(r"[A-Za-z]{2,}")
_FOR_PROGRAMS = re.compile(
    r"%\(complete_func\)s|errno: \d"
    r"|\s*(?:SELECT|INSERT|DELETE|UPDATE|CREATE|ATTACH|PRAGMA|SHOW|SET|SHORT) |\(\?P<|\\d|\[A-Z\]|\(\?:"
)
_SPEAKERS = {"debug", "info", "warning", "error", "critical", "log", "say", "echo", "UsageError", "BadParameter"}
_PLACEHOLDER = "{}"


@cache
def collected() -> dict[str, list[str]]:
    """All texts, sorted, of each room: a folder of the package, or a module that lies in no folder."""
    rooms: dict[str, set[str]] = {}
    for path in PACKAGE.rglob("*.py"):
        room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        rooms.setdefault(room, set()).update(_texts(ast.parse(path.read_text(encoding="utf-8"))))
    return {room: sorted(texts) for room, texts in sorted(rooms.items()) if texts}


def listed() -> dict[str, list[str]]:
    """What the lists hold: the texts that somebody has read."""
    return {path.stem: path.read_text(encoding="utf-8").splitlines() for path in sorted(LISTS.glob("*.txt"))}


@cache
def troubles() -> frozenset[str]:
    """Texts that may be said when something is wrong.

    Those are left out that describe options, that are logged where all is well, and that have less than two words
    besides what is put into them; and the page of ``report``, which has what to do beside everything that is wrong.
    """
    found: set[str] = set()
    for path in PACKAGE.rglob("*.py"):
        if path.parent.name == "page":
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        above = {id(child): node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
        harmless = {id(each) for each in _literals(tree) if _is_harmless(each, above)}
        found |= set(_texts(tree, harmless))
    return frozenset(text for text in found if len(_A_WORD.findall(_bare(text))) > 1)


def _is_harmless(node: ast.AST, above: dict[int, ast.AST]) -> bool:
    while id(node) in above:
        node = above[id(node)]
        if isinstance(node, ast.keyword) and node.arg in ("help", "metavar", "message"):
            return True
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in ("debug", "info"):
            return True
    return False


def _bare(text: str) -> str:
    return re.sub(r"%\(\w+\)\w|%[.\d]*[a-z]|\{[^{}]*\}", " ", text)


def write_lists() -> None:
    """Make the lists anew of the code; of what is harmless only that is taken out which is said no longer."""
    rooms = collected()
    for path in LISTS.glob("*.txt"):
        if path.stem not in rooms:
            path.unlink()
    for room, texts in rooms.items():
        (LISTS / f"{room}.txt").write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    harmless = [text for text in HARMLESS.read_text(encoding="utf-8").splitlines() if text in troubles()]
    HARMLESS.write_text("".join(f"{text}\n" for text in harmless), encoding="utf-8")


def _texts(tree: ast.Module, without: Collection[int] | None = None) -> Iterator[str]:
    descriptions = {id(node) for node in _docstrings(tree)} | set(without or ())
    said = {id(argument) for call in ast.walk(tree) if isinstance(call, ast.Call) for argument in _spoken(call)}
    for node in _literals(tree):
        if id(node) in descriptions:
            continue
        text = _rendered(node)
        is_text = _TWO_WORDS.search(text) or (id(node) in said and _A_WORD.search(text.replace("%s", "")))
        if is_text and not _FOR_PROGRAMS.search(text):
            yield text.replace("\\", "\\\\").replace("\n", "\\n").replace("\x08", "\\b")
    if without is None:
        yield from (" ".join(text.split()) for text in _commands(tree))


def _literals(node: ast.AST) -> Iterator[ast.Constant | ast.JoinedStr]:
    """The strings, and what stands within the placeholders of each."""
    if isinstance(node, ast.Constant):
        if isinstance(node.value, str):
            yield node
        return
    if isinstance(node, ast.JoinedStr):
        yield node
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                yield from _literals(part.value)
        return
    for child in ast.iter_child_nodes(node):
        yield from _literals(child)


def _rendered(node: ast.Constant | ast.JoinedStr) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    return "".join(str(part.value) if isinstance(part, ast.Constant) else _PLACEHOLDER for part in node.values)


def _spoken(call: ast.Call) -> list[ast.expr]:
    """The arguments of a call that prints, or that makes an error."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    is_error = name.endswith(("Error", "Problem")) or name.startswith("Unusable")
    return call.args if name in _SPEAKERS or is_error else []


def _docstrings(tree: ast.Module) -> Iterator[ast.expr]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield from (each.value for each in node.body if isinstance(each, ast.Expr))


def _commands(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            decorators = [ast.unparse(each) for each in node.decorator_list]
            if any(re.match(r"click\.group|\w+\.command\(", each) for each in decorators):
                yield ast.get_docstring(node) or ""
