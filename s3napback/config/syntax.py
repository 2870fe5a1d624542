"""Turns a configuration's text into a tree of directives and blocks, each with its position.

apacheconfig's writable loader builds the tree. Left to itself it cuts values at any ``#``, changes quoted ones, takes
``<<`` for a here-document, knows no line numbers, accepts ``<Cycle x> … </Cicle>`` and overflows the stack on deep
nesting (found with version 0.3.2). So it is handed each logical line on one line of its own, its words percent-encoded,
which it reads faithfully; that it did is proved by comparing its dump of the tree with what it was handed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

from apacheconfig import ApacheConfigError, flavors, make_loader

from s3napback.config.lines import Line, Shape, split_lines
from s3napback.config.problems import Change, Problems
from s3napback.config.settings import Position
from s3napback.formatting import shown

MOST_LINES = 20_000
_DEEPEST = 16
_OPTIONS = {**flavors.NATIVE_APACHE, "multilinehashcomments": False, "ccomments": False}
_EMPTY_WORD = "%00"


@dataclass(frozen=True)
class Directive:
    """A name and its values, without quotes."""

    name: str
    values: tuple[str, ...]
    position: Position


@dataclass(frozen=True)
class Block:
    """A tag's name and values, and what stands between it and its closing tag."""

    name: str
    values: tuple[str, ...]
    position: Position
    entries: tuple[Entry, ...]

    @property
    def tag(self) -> str:
        """The opening tag as messages show it."""
        return _shown_tag(self.name, self.values)


Entry = Directive | Block


def parse_text(text: str, file: str, problems: Problems) -> tuple[Entry, ...]:
    """Parse one file's text.

    Everything that is wrong is reported, and what remains is parsed all the same, so that its errors are found as well.

    Args:
        text: the whole file; lines end in LF, CRLF or CR, the last one perhaps in nothing.
        file: its name, for positions.
        problems: takes what is wrong.
    """
    lines = split_lines(text.replace("\r\n", "\n").replace("\r", "\n"), file, problems)
    if len(lines) > MOST_LINES:
        problems.error(lines[MOST_LINES].position, f"more than {MOST_LINES:,} directives in one file")
        return ()
    balanced = _balanced(lines, problems)
    return _tree(balanced, problems) if balanced else ()


def _balanced(lines: Sequence[Line], problems: Problems) -> list[Line]:
    """The lines with every block closed once and in order; what had to be changed for that is reported."""
    balanced: list[Line] = []
    opened: list[Line] = []
    for line in lines:
        if line.shape is Shape.OPENING:
            if len(opened) == _DEEPEST:
                problems.error(line.position, f"blocks are nested more than {_DEEPEST} deep")
                return []
            opened.append(line)
        elif line.shape is Shape.CLOSING:
            balanced.extend(_closing(line, opened, problems))
            continue
        balanced.append(line)
    for unclosed in reversed(opened):
        closing = f"</{unclosed.name}>"
        message = f"{_tag_of(unclosed)} is never closed, and so ends with the file; write {closing} where it is to end"
        problems.outdated(Change(unclosed.position, message, closing, is_at_end=True))
        balanced.append(_closing_tag_of(unclosed))
    return balanced


def _closing(line: Line, opened: list[Line], problems: Problems) -> Iterator[Line]:
    """What a closing tag closes: normally the block opened last, which is then taken from ``opened``."""
    if line.values:
        problems.error(line.position, f"a closing tag has no value; write </{line.name}>")
    if not opened:
        problems.error(line.position, f"</{line.name}> closes nothing: no block is open here")
        return
    if not any(_same_name(line, block) for block in opened):
        block = opened.pop()
        problems.error(
            line.position,
            f"</{line.name}> does not close {_tag_of(block)}, opened in line {block.position.line}; "
            f"write </{block.name}>",
        )
        yield _closing_tag_of(block)
        return
    while not _same_name(line, opened[-1]):
        block = opened.pop()
        problems.error(
            block.position, f"{_tag_of(block)} is not closed before the </{line.name}> in line {line.position.line}"
        )
        yield _closing_tag_of(block)
    yield _closing_tag_of(opened.pop())


def _same_name(one: Line, other: Line) -> bool:
    return one.name.lower() == other.name.lower()


def _closing_tag_of(line: Line) -> Line:
    return Line(Shape.CLOSING, line.name, (), line.position)


def _tag_of(line: Line) -> str:
    return _shown_tag(line.name, line.values)


def _shown_tag(name: str, values: Iterable[str]) -> str:
    return f"<{shown(' '.join([name, *values]))}>"


def _tree(lines: Sequence[Line], problems: Problems) -> tuple[Entry, ...]:
    """Let the loader build the tree of ``lines``, of which there is at least one."""
    prepared = "".join(f"{_prepared(line)}\n" for line in lines)
    try:
        with make_loader(writable=True, **_OPTIONS) as loader:
            root = loader.loads(prepared)
            dump = root.dump()
    except (ApacheConfigError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        problems.error(lines[0].position, f"the file cannot be read as Apache-style configuration: {shown(str(error))}")
        return ()
    if dump != prepared:
        pairs = enumerate(zip(prepared.split("\n"), dump.split("\n"), strict=False))
        lost = next((index for index, (handed, dumped) in pairs if handed != dumped), 0)
        position = lines[min(lost, len(lines) - 1)].position
        problems.error(position, "this line cannot be read as Apache-style configuration")
        return ()
    return _Converter(lines).entries(root)


def _prepared(line: Line) -> str:
    words = " ".join([line.name, *(quote(value, safe="/*?") or _EMPTY_WORD for value in line.values)])
    if line.shape is Shape.DIRECTIVE:
        return words
    return f"</{words}>" if line.shape is Shape.CLOSING else f"<{words}>"


class _Converter:
    """Walks the loader's nodes in the order of the text, counting lines on the way."""

    def __init__(self, lines: Sequence[Line]) -> None:
        self._lines = lines
        self._index = 0

    def entries(self, node: Any) -> tuple[Entry, ...]:
        """The contents of a list or block node."""
        found = tuple(self._entry(child) for child in node)
        self._index += node.trailing_whitespace.count("\n")
        return found

    def _entry(self, node: Any) -> Entry:
        self._index += node.whitespace.count("\n")
        position = self._lines[self._index].position
        if node.typestring == "block":
            values = _values(node.arguments)
            return Block(node.tag, values, position, self.entries(node))
        return Directive(node.name, _values(node.value), position)


def _values(prepared: str | None) -> tuple[str, ...]:
    if prepared is None:
        return ()
    return tuple("" if word == _EMPTY_WORD else unquote(word) for word in prepared.split(" "))
