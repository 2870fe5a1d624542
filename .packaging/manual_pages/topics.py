"""The topics of the manual, each a file of Markdown: a heading, a paragraph that says what it is for, then the rest."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

OF_THE_CONFIGURATION = ("configuration", "directives")
"""The topics that are parts of ``s3napback.conf(5)``, and no pages: how it is written, and words on directives."""
_HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)
_CODE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_DIRECTIVES = re.compile(r"^\| Directive \|.*\n(?:\|.*\n)+", re.MULTILINE)
_OPTIONS = re.compile(r"^\| Option \|.*\n(?:\|.*\n)+", re.MULTILINE)


def page_of(topic: str) -> str:
    """The man page in which a topic stands."""
    return "s3napback.conf(5)" if topic in OF_THE_CONFIGURATION else f"s3napback-{topic}(7)"


@dataclass(frozen=True)
class Topic:
    """One topic.

    Attributes:
        name: of its file, without its ending.
        text: all of it.
    """

    name: str
    text: str

    @property
    def _body(self) -> str:
        return self.text.partition("\n")[2]

    @property
    def introduction(self) -> str:
        """What stands between its heading and the next one."""
        found = _HEADING.search(_without_code(self._body))
        return self._body[: found.start()] if found else self._body

    @property
    def further(self) -> str:
        """What comes behind that."""
        return self._body[len(self.introduction) :]

    @property
    def without_directives(self) -> str:
        """All behind its first paragraph, but for the table of directives."""
        return _DIRECTIVES.sub("", self._body.strip().partition("\n\n")[2])

    @property
    def purpose(self) -> str:
        """Its first paragraph, on one line."""
        return " ".join(self.introduction.strip().partition("\n\n")[0].split()).rstrip(".")

    def about(self, command: str) -> str:
        """The section on a command, without its heading and its table of options; empty if it has none."""
        shown = _without_code(self.text)
        for found in _HEADING.finditer(shown):
            if found[2] == command or found[2].endswith(f": {command}"):
                end = re.compile(rf"^#{{1,{len(found[1])}}} ", re.MULTILINE).search(shown, found.end())
                return _OPTIONS.sub("", self.text[found.end() : end.start() if end else None])
        return ""


def read_topics(folder: Path) -> tuple[Topic, ...]:
    """The topics of the manual, by their names."""
    return tuple(Topic(path.stem, path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.md")))


def _without_code(text: str) -> str:
    """The same, of the same length, with nothing in blocks of code that looks like a heading."""
    return _CODE.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), text)
