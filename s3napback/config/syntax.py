"""Turns a configuration's text into a tree of directives and blocks, each with its position.

apacheconfig's writable loader builds the tree. Left to itself it cuts values at any ``#``, changes quoted ones, takes
``<<`` for a here-document, knows no line numbers, accepts ``<Cycle x> … </Cicle>`` and overflows the stack on deep
nesting (found with version 0.3.2). So it is handed each logical line on one line of its own, its words percent-encoded,
which it reads faithfully; that it did is proved by comparing its dump of the tree with what it was handed. Lines of one
directive that follow each other are handed over as one, and their words dealt out again: it takes its time for each.
One is not longer than it needs to be for that: the loader takes hundreds of bytes of memory for each character of it.
And its grammar is worked out once in a process, where it would be twice for each text: that takes longer than the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import accumulate, groupby
from typing import Any
from urllib.parse import quote, unquote

from apacheconfig import ApacheConfigError, flavors, make_lexer, make_parser
from apacheconfig.wloader import ApacheConfigWritableLoader

from s3napback.config.lines import Line, Shape, split_lines
from s3napback.config.problems import Change, Problems
from s3napback.config.settings import Position
from s3napback.formatting import shown
from s3napback.records import dataclass

MOST_LINES = 100_000
_DEEPEST = 16
_OPTIONS = {**flavors.NATIVE_APACHE, "multilinehashcomments": False, "ccomments": False}
_EMPTY_WORD = "%00"
_LONGEST_RUN = 4_000
"""Characters of values after which another line is begun for the loader."""


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
    runs = [tuple(run) for _, run in groupby(_parts(lines), _Run())]
    prepared = "".join(f"{_prepared(run)}\n" for run in runs)
    try:
        root = loader().loads(prepared)
        dump = root.dump()
    except (ApacheConfigError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        loader.cache_clear()  # it may have stopped within a word
        problems.error(lines[0].position, f"the file cannot be read as Apache-style configuration: {shown(str(error))}")
        return ()
    if dump != prepared:
        pairs = enumerate(zip(prepared.split("\n"), dump.split("\n"), strict=False))
        lost = next((index for index, (handed, dumped) in pairs if handed != dumped), 0)
        position = runs[min(lost, len(runs) - 1)][0].position
        problems.error(position, "this line cannot be read as Apache-style configuration")
        return ()
    return _Converter(runs).entries(root)


@cache
def loader() -> ApacheConfigWritableLoader:
    """The loader; its parser keeps the grammar that it has worked out."""
    lexer, parser = make_lexer(**_OPTIONS), make_parser(**_OPTIONS)

    class Parser(parser):  # type: ignore[misc, valid-type] # a class made of others at run time
        def reset(self) -> None:
            if self.engine is None:
                super().reset()

    return ApacheConfigWritableLoader(Parser(lexer(), start="contents"), **_OPTIONS)


def _parts(lines: Iterable[Line]) -> Iterator[Line]:
    """The lines, and in place of each very long one several of its directive, which ``_whole`` joins again."""
    for line in lines:
        if line.shape is not Shape.DIRECTIVE or len(line.values) < 2:
            yield line
            continue
        ends = accumulate(map(len, line.values))
        for _, part in groupby(zip(line.values, ends, strict=True), lambda each: each[1] // _LONGEST_RUN):
            yield Line(line.shape, line.name, tuple(value for value, _ in part), line.position)


def _whole(entries: Iterable[Entry]) -> Iterator[Entry]:
    for _, same in groupby(entries, lambda entry: id(entry.position)):
        first, *others = same
        if others and isinstance(first, Directive):
            values = (value for each in (first, *others) for value in each.values)
            yield Directive(first.name, tuple(values), first.position)
        else:
            yield first


class _Run:
    """Numbers what is handed to the loader on one line: a tag, or lines of one directive that follow each other."""

    def __init__(self) -> None:
        self._number = 0
        self._name = ""
        self._length = 0

    def __call__(self, line: Line) -> int:
        name = line.name if line.shape is Shape.DIRECTIVE and line.values else ""
        if name != self._name or not name or self._length > _LONGEST_RUN:
            self._number += 1
            self._length = 0
        self._name = name
        self._length += sum(map(len, line.values))
        return self._number


def _prepared(run: Sequence[Line]) -> str:
    line = run[0]
    # No word holds a line break, so that all are encoded at once.
    encoded = quote("\n".join(value for each in run for value in each.values), safe="/*?").split("%0A")
    words = " ".join([line.name, *(word or _EMPTY_WORD for word in encoded if line.values)])
    if line.shape is Shape.DIRECTIVE:
        return words
    return f"</{words}>" if line.shape is Shape.CLOSING else f"<{words}>"


class _Converter:
    """Walks the loader's nodes in the order of the text, counting on the way what it was handed."""

    def __init__(self, runs: Sequence[Sequence[Line]]) -> None:
        self._runs = runs
        self._index = 0

    def entries(self, node: Any) -> tuple[Entry, ...]:
        """The contents of a list or block node."""
        found = tuple(_whole(entry for child in node for entry in self._entries_of(child)))
        self._index += node.trailing_whitespace.count("\n")
        return found

    def _entries_of(self, node: Any) -> Iterator[Entry]:
        self._index += node.whitespace.count("\n")
        run = self._runs[self._index]
        if node.typestring == "block":
            values = _values(node.arguments)
            yield Block(node.tag, values, run[0].position, self.entries(node))
            return
        words, begin = _values(node.value), 0
        for line in run:
            end = begin + len(line.values)
            yield Directive(node.name, words[begin:end], line.position)
            begin = end


def _values(prepared: str | None) -> tuple[str, ...]:
    if prepared is None:
        return ()
    return tuple("" if word == _EMPTY_WORD else unquote(word) for word in prepared.split(" "))
