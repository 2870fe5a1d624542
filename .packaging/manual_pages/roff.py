"""A page as man(7) has it: written by docutils, then put right where a checker of man pages finds fault."""

from __future__ import annotations

import re
from dataclasses import dataclass

from docutils import nodes
from docutils.core import publish_from_doctree
from docutils.utils import new_document

_LONGEST = 80
"""Bytes of a line of text, with more of which mandoc finds fault."""
_ESCAPED = 8
"""What a character counts that is none of ASCII's: mandoc writes it as an escape first."""
_TITLE = re.compile(r"^\.TH .*\n(?:\.SH Name\n.*\\- *\n)?", re.MULTILINE)
_SPACE_BELOW_A_HEADING = re.compile(r"^(\.S[HS] .*\n(?:\.INDENT .*\n)*)(?:\.sp\n)+", re.MULTILINE)
_MACRO = re.compile(r"[.']")
_WORD_ENDS = re.compile(r"(?<!\\) +")


@dataclass(frozen=True)
class Page:
    """One man page.

    Attributes:
        name: what man is asked for, in lower case.
        number: of its section of the manual.
        purpose: one line, without a full stop.
        content: sections, and what stands in them.
    """

    name: str
    number: int
    purpose: str
    content: tuple[nodes.Node, ...]

    @property
    def file(self) -> str:
        """Its path below a folder of man pages."""
        return f"man{self.number}/{self.name}.{self.number}"


def written(page: Page, day: str, source: str) -> str:
    """The text of a page.

    Args:
        day: the date of the version that it speaks of, as 2026-11-26.
        source: the program, and its version.
    """
    document = new_document(page.name)
    document.append(nodes.section("", nodes.title("", "NAME"), nodes.paragraph("", f"{page.name} - {page.purpose}")))
    document.extend(page.content)
    settings = {"output_encoding": "unicode", "report_level": 2, "halt_level": 2, "language_code": "en"}
    made = str(publish_from_doctree(document, writer="manpage", settings_overrides=settings))
    heading = (
        f'.nr HY 0\n.TH "{page.name.upper()}" "{page.number}" "{day}" "{source}" "Manual of s3napback"\n.nh\n.ad l\n'
    )
    # docutils would have the document's title as that of the page, and as the name, in the case in which it is written
    made, number = _TITLE.subn(lambda _found: heading, made, count=1)
    if number != 1:
        raise ValueError(f"docutils has written no title for {page.name}: {made[:2000]}")
    return "".join(_wrapped(_SPACE_BELOW_A_HEADING.sub(r"\1", made)))


def _wrapped(text: str) -> list[str]:
    """The lines, those of running text broken between words."""
    lines: list[str] = []
    literal = False
    for line in text.splitlines():
        if line in (".EX", ".EE"):
            literal = line == ".EX"
        if literal or _MACRO.match(line):
            lines.append(line + "\n")
            continue
        lines += _broken(line)
    return lines


def _broken(line: str) -> list[str]:
    lines = [""]
    for word in _WORD_ENDS.split(line.strip()):
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        if lines[-1] and _length(longer) > _LONGEST:
            lines.append("\\&" + word if _MACRO.match(word) else word)
        else:
            lines[-1] = longer
    return [f"{each}\n" for each in lines]


def _length(line: str) -> int:
    return sum(1 if character.isascii() else _ESCAPED for character in line)
