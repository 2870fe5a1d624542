"""README.md taken apart: its sections, blocks of code, tables and links; and the tables that the code has for it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from s3napback.config.descriptions import DirectiveContext, DirectiveDescription
from s3napback.config.naming import all_blocks, all_directives

CHECKOUT = Path(__file__).parent.parent
README = CHECKOUT / "README.md"

_FENCE = re.compile(r"(?:^<!-- tested: (?P<mark>[^\n]+) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.M | re.S)
_HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)
_PLACES = {DirectiveContext.FILE: "file", DirectiveContext.CYCLE: "Cycle", DirectiveContext.SOURCE: "source"}


@dataclass(frozen=True)
class Code:
    """One fenced block.

    Attributes:
        mark: the name by which a test knows it; empty for the others.
    """

    language: str
    text: str
    mark: str


def readme() -> str:
    return README.read_text(encoding="utf-8")


def blocks() -> list[Code]:
    """All fenced blocks, in order."""
    return [Code(found["language"], found["text"], found["mark"] or "") for found in _FENCE.finditer(readme())]


def marked(mark: str) -> str:
    """The text of the one block that bears a mark."""
    (found,) = (block.text for block in blocks() if block.mark == mark)
    return found


def prose() -> str:
    """The manual without its blocks of code."""
    return _FENCE.sub("", readme())


def headings() -> list[str]:
    """Without the marks in front."""
    return [found[2] for found in _HEADING.finditer(prose())]


def section(heading: str) -> str:
    """What stands below a heading, up to the next one of its level or above; its blocks of code left out."""
    text = prose()
    start = next(found for found in _HEADING.finditer(text) if found[2] == heading)
    end = re.compile(rf"^#{{1,{len(start[1])}}} ", re.MULTILINE).search(text, start.end())
    return text[start.end() : end.start() if end else len(text)]


def first_column(text: str, heading: str) -> list[str]:
    """The first cells of the table that begins with a heading."""
    lines = text.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(f"| {heading} |"))
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append(line.split("|")[1].strip())
    return rows


def anchor(heading: str) -> str:
    """The name by which a heading can be linked to, as GitHub and others make it."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def block_table() -> str:
    """The table of the kinds of block."""
    rows = [(f"`<{block.name} …>`", block.value, _where(block.places), block.help) for block in all_blocks()]
    return _table(("Block", "Its value", "Where", "Meaning"), rows)


def directive_table() -> str:
    """The table of the directives."""
    rows = [
        (f"`{each.name}`", each.takes, each.default or "–", _where(each.places), _meaning(each))
        for each in all_directives()
    ]
    return _table(("Directive", "Takes", "Default", "Where", "Meaning"), rows)


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [_line(headings), "|" + "---|" * len(headings), *map(_line, rows)]
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _where(places: frozenset[DirectiveContext]) -> str:
    return ", ".join(name for place, name in _PLACES.items() if place in places)


def _meaning(directive: DirectiveDescription) -> str:
    only = [f"Only {directive.cycle}."] if directive.cycle else []
    only += [f"Only {' and '.join(directive.kinds)}."] if directive.kinds else []
    return " ".join([directive.help, *only])
