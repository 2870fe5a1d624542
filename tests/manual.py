"""The manual taken apart: README.md and its topics; their sections, blocks of code, tables and links.

``python -m tests.manual`` writes the tables that the code has for it anew.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from s3napback.config.descriptions import DirectiveContext, DirectiveDescription
from s3napback.config.naming import all_blocks, all_directives

CHECKOUT = Path(__file__).parent.parent
README = CHECKOUT / "README.md"
TOPICS = CHECKOUT / "s3napback" / "manual"

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


@dataclass(frozen=True)
class Page:
    """README, or one topic."""

    path: Path

    @property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @property
    def prose(self) -> str:
        """Without its blocks of code."""
        return _FENCE.sub("", self.text)

    @property
    def headings(self) -> list[str]:
        """Without the marks in front."""
        return [found[2] for found in _HEADING.finditer(self.prose)]

    @property
    def anchors(self) -> set[str]:
        return {anchor(heading) for heading in self.headings}


def topics() -> list[Page]:
    return [Page(path) for path in sorted(TOPICS.glob("*.md"))]


def pages() -> list[Page]:
    """README, then the topics by name."""
    return [Page(README), *topics()]


def readme() -> str:
    return Page(README).text


def topic(name: str) -> str:
    return Page(TOPICS / f"{name}.md").text


def whole() -> str:
    """README and all topics."""
    return "\n\n".join(page.text for page in pages())


def blocks() -> list[Code]:
    """All fenced blocks, in order."""
    return [
        Code(found["language"], found["text"], found["mark"] or "")
        for page in pages()
        for found in _FENCE.finditer(page.text)
    ]


def marked(mark: str) -> str:
    """The text of the one block that bears a mark."""
    (found,) = (block.text for block in blocks() if block.mark == mark)
    return found


def prose() -> str:
    """The manual without its blocks of code."""
    return "\n\n".join(page.prose for page in pages())


def headings() -> list[str]:
    return [heading for page in pages() for heading in page.headings]


def section(heading: str) -> str:
    """What stands below the one heading of these words, up to the next one of its level or above, or the page's end.

    Blocks of code are left out.
    """
    ((text, start),) = (
        (page.prose, found) for page in pages() for found in _HEADING.finditer(page.prose) if found[2] == heading
    )
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


def list_of_topics() -> str:
    """The list in README: each topic with the sentence that stands below its title."""
    return "\n".join(
        f"- [{page.path.stem}]({os.path.relpath(page.path, CHECKOUT)}): {page.text.split(chr(10))[2]}"
        for page in topics()
    )


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


def write_tables() -> None:
    """Put the tables of the code in the place of those in the manual."""
    for path in (README, TOPICS / "directives.md", TOPICS / "configuration.md"):
        text = path.read_text(encoding="utf-8")
        for table in (directive_table(), block_table()):
            found = re.search(rf"^{re.escape(table.splitlines()[0])}\n(?:\|.*\n)+", text, re.MULTILINE)
            text = text.replace(found[0], f"{table}\n") if found else text
        path.write_text(text, encoding="utf-8")
    text = re.sub(r"(?:^- \[\w+\]\(s3napback/manual/.*\n)+", lambda _: f"{list_of_topics()}\n", readme(), flags=re.M)
    README.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write_tables()
