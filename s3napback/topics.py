"""The manual as it is installed: its topics, and what of them a word means."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "manual"

_FENCE = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)
_LINK = re.compile(r"\[([^\]]+)\]\(([^)\s]+)\)")
_MARK = re.compile(r"^<!-- .* -->\n", re.MULTILINE)
_DIRECTIVE = re.compile(r"^\| `(\w+)` \| (.*) \| (.*) \| (.*) \| (.*) \|$", re.MULTILINE)


@dataclass(frozen=True)
class Topic:
    """One file of the manual.

    Attributes:
        name: one word, in small letters.
        text: CommonMark, UTF-8, with a title, a sentence that says what it is about, and sections.
    """

    name: str
    text: str

    @property
    def sentence(self) -> str:
        """What it is about."""
        return self.text.split("\n", 3)[2]


@dataclass(frozen=True)
class Section:
    """A heading, and what stands below it up to the next one of its level or above."""

    heading: str
    text: str

    @property
    def command(self) -> str:
        """The last word of a heading like ``Recovery: restore``, which is a command's; else the heading."""
        return self.heading.rpartition(": ")[2]


@cache
def topics() -> dict[str, Topic]:
    """All of them, by their names.

    Raises:
        OSError: they cannot be read, so the package is not whole.
    """
    found = (Topic(path.stem, path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.md")))
    return {topic.name: topic for topic in found}


def words() -> list[str]:
    """All that can be asked for: topics, sections, directives."""
    sections = [section.command for topic in topics().values() for section in _sections(topic.text)]
    directives = [found[1] for topic in topics().values() for found in _DIRECTIVE.finditer(topic.text)]
    return [*topics(), *sections, *directives]


def passage(word: str) -> str | None:
    """What the manual has under a word, made readable: a topic, a section by its heading or command, a directive."""
    wanted = word.casefold()
    if wanted in topics():
        return readable(topics()[wanted].text)
    for topic in topics().values():
        for section in _sections(topic.text):
            if wanted in (section.command.casefold(), section.heading.casefold()):
                return readable(f"{section.text.rstrip()}\n\nThe whole topic: `s3napback help {topic.name}`\n")
    for topic in topics().values():
        for found in _DIRECTIVE.finditer(topic.text):
            if found[1].casefold() == wanted:
                return readable(_told(found, topic.name))
    return None


def readable(text: str) -> str:
    """Without the marks of tests, and with names of topics in the place of links, which nobody can click on."""
    parts = _FENCE.split(_MARK.sub("", text))
    return "".join(part if part.startswith("```") else _LINK.sub(_without_link, part) for part in parts)


@cache
def _sections(text: str) -> Sequence[Section]:
    return tuple(_found_sections(text))


def _found_sections(text: str) -> Iterator[Section]:
    prose = _FENCE.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), text)
    headings = [found for found in _HEADING.finditer(prose) if len(found[1]) > 1]
    for number, found in enumerate(headings):
        after = (other.start() for other in headings[number + 1 :] if len(other[1]) <= len(found[1]))
        yield Section(found[2], text[found.start() : next(after, len(text))])


def _told(row: re.Match[str], home: str) -> str:
    name, takes, default, where, meaning = row.groups()
    others = [topic.name for topic in topics().values() if re.search(rf"\b{name}\b", topic.text) and topic.name != home]
    more = f"- Also in: {', '.join(f'`help {name}`' for name in others)}\n" if others else ""
    return f"## {name}\n\n{meaning}\n\n- Takes: {takes}\n- Default: {default}\n- Where: {where}\n{more}"


def _without_link(found: re.Match[str]) -> str:
    label, target = found.groups()
    name = target.partition("#")[0].removesuffix(".md")
    if "://" in target:
        return found[0]
    return f"{label} (`help {name}`)" if name in topics() else label
