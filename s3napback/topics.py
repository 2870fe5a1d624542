"""The manual as it is installed: its topics, and what of them a word means."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from s3napback.records import dataclass
from s3napback.regexes import regex

FOLDER = Path(__file__).parent / "manual"
MESSAGES = "messages"
"""The topic with a row for each family of messages."""
MOST_ROWS = 3
"""Rows that are shown for the words of one message."""

_FENCE = regex(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)
_HEADING = regex(r"^(#+) (.+)$", re.MULTILINE)
_LINK = regex(r"\[([^\]]+)\]\(([^)\s]+)\)")
_MARK = regex(r"^<!-- .* -->\n", re.MULTILINE)
_ROW = regex(r"^\| (“.*”) \| (.*) \| (.*) \|$", re.MULTILINE)
_PHRASE = regex(r"“((?:[^“”]|“[^“”]*”)*)”")
_WORD = regex(r"[a-z0-9]{2,}")
_ENDINGS = regex(r"(?<=[a-z0-9]{4})(?:ing|es|ed|e|s)$")
_SAY_NOTHING = regex(
    r"a|all|am|an|and|any|are|as|at|be|but|by|can|do|does|for|from|get|give|has|have|how|i|if|in|is|it|its|many|may|"
    r"me|much|must|my|non|not|of|on|only|or|out|s3napback|should|so|that|the|them|there|they|this|to|up|use|was|we|"
    r"what|when|where|which|who|why|will|with|you|your"
)
"""Words of a question that do not tell what it is about."""
_OTHERWISE = {
    "email": "mail",
    "forget": "lost",
    "forgot": "lost",
    "forgotten": "lost",
    "hacked": "stolen",
    "lose": "lost",
    "private": "secret",
    "ransomware": "stolen",
    "retention": "kept",
}
"""Words that people bring along, and the manual's."""
_SHORT = 3
"""Letters of a word that stands for no longer one: ``wal`` is not ``wall``."""
_DIRECTIVE = regex(r"^\| `(\w+)` \| (.*) \| (.*) \| (.*) \| (.*) \|$", re.MULTILINE)


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


@dataclass(frozen=True)
class Spot:
    """Where the manual speaks of something.

    Attributes:
        topic: its name.
        heading: of the section; empty for what a topic begins with.
        is_about: the heading itself, or the sentence that says what the topic is about, has all the words.
        is_close: all the words stand in one paragraph.
    """

    topic: str
    heading: str
    is_about: bool
    is_close: bool

    @property
    def word(self) -> str:
        """What is asked for to see it."""
        return self.heading if self.heading and not self.heading.startswith("-") else self.topic


@dataclass(frozen=True)
class MessageFamily:
    """A row for messages that mean the same, and are mended in the same way.

    Attributes:
        phrases: words of these messages; ``…`` stands for any others.
        meaning: CommonMark.
        remedy: CommonMark.
    """

    phrases: tuple[str, ...]
    meaning: str
    remedy: str

    def phrase_in(self, message: str) -> str:
        """The longest of the phrases that occur in a message; empty for none."""
        return max((each for each in self.phrases if _pattern(each).search(message)), key=_length, default="")

    def words_in(self, message: str) -> int:
        """How many characters of a message are those of the longest phrase; 0 for none."""
        return _length(self.phrase_in(message))


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
    """What the manual has under a word, made readable.

    Args:
        word: a topic, a section by its heading or its command, a directive, or words of a message.
    """
    wanted = word.casefold()
    if wanted in topics():
        return readable(topics()[wanted].text)
    parts = [*_rows_of_directives(wanted), *_sections_of(wanted)]
    if word == wanted:  # “drill” is the command, and “Drill” the directive
        parts.reverse()
    if parts:
        return readable("\n".join(parts))
    advice = _advice(word)
    return readable(advice) if advice else None


def _rows_of_directives(wanted: str) -> Iterator[str]:
    for topic in topics().values():
        for found in _DIRECTIVE.finditer(topic.text):
            if found[1].casefold() == wanted:
                yield _told(found, topic.name)


def _sections_of(wanted: str) -> Iterator[str]:
    for topic in topics().values():
        for section in _sections(topic.text):
            if wanted in (section.command.casefold(), section.heading.casefold()):
                yield f"{section.text.rstrip()}\n\nThe whole topic: `s3napback help {topic.name}`\n"


def places_of(question: str) -> list[Spot]:
    """Where the manual has all words of a question, where it is about them first; ``upgrade`` is ``upgrading``, too.

    The rows on messages are not looked through: they are found by the words of a message.
    """
    wanted = _wanted(question)
    found: list[tuple[bool, bool, int, Spot]] = []
    for topic, heading, about, text in _searched() if wanted else ():
        numbers = [len(each.findall(text)) for each in wanted]
        if all(numbers):
            is_about = all(each.search(about) for each in wanted)
            is_close = any(all(each.search(paragraph) for each in wanted) for paragraph in text.split("\n\n"))
            found.append((is_about, is_close, min(numbers), Spot(topic, heading, is_about, is_close)))
    return [place for *_, place in sorted(found, key=lambda each: each[:3], reverse=True)]


def places_near(question: str) -> list[Spot]:
    """Where one paragraph has at least half of the words of a question, that with the rarest words first."""
    wanted = _wanted(question)
    searched = list(_searched()) if len(wanted) > 1 else []
    weights = [1 / max(1, sum(bool(each.search(text)) for *_, text in searched)) for each in wanted]
    found: list[tuple[float, Spot]] = []
    for topic, heading, _about, text in searched:
        for paragraph in text.split("\n\n"):
            there = [weight for each, weight in zip(wanted, weights, strict=True) if each.search(paragraph)]
            if 2 * len(there) >= len(wanted):
                found.append((sum(there), Spot(topic, heading, is_about=False, is_close=False)))
    return list(dict.fromkeys(place for _, place in sorted(found, key=lambda each: each[0], reverse=True)))


def _wanted(question: str) -> list[re.Pattern[str]]:
    """What finds the words of a question that tell what it is about."""
    words = [word for word in _WORD.findall(question.casefold()) if not _SAY_NOTHING.fullmatch(word)]
    return [_begun(_ENDINGS.sub("", _OTHERWISE.get(word, word))) for word in dict.fromkeys(words)]


def _searched() -> Iterator[tuple[str, str, str, str]]:
    """The passages of all topics but the one on messages, each with its topic's name."""
    for topic in topics().values():
        if topic.name != MESSAGES:
            for heading, about, text in _passages(topic):
                yield topic.name, heading, about, text


def _begun(stem: str) -> re.Pattern[str]:
    end = "" if len(stem) > _SHORT else "s?(?![a-z0-9])"
    return re.compile(rf"(?<![a-z0-9]){re.escape(stem)}{end}")


def _passages(topic: Topic) -> Iterator[tuple[str, str, str]]:
    """Of each part of a topic the heading, what it is about, and all of its text up to the next heading, for search."""
    parts = _sections(topic.text)
    start = topic.text.partition("\n## ")[0].casefold()
    yield "", f"{topic.name}\n{topic.sentence}".casefold(), start
    for section in parts:
        own = next((section.text.find(f"\n{inner}") for inner in _inner(section, parts)), len(section.text))
        yield section.heading, section.heading.casefold(), section.text[:own].casefold()


def _inner(section: Section, parts: Sequence[Section]) -> Iterator[str]:
    return (each.text for each in parts if each is not section and f"\n{each.text}" in section.text)


@cache
def families() -> Sequence[MessageFamily]:
    """The rows of the topic on messages, in their order."""
    rows = _ROW.finditer(topics()[MESSAGES].text) if MESSAGES in topics() else ()
    return [MessageFamily(tuple(_PHRASE.findall(row[1])), row[2], row[3]) for row in rows]


def families_of(message: str) -> list[MessageFamily]:
    """The rows that fit a message, the one with the most of its words first.

    Args:
        message: as it was printed, or some words of it.
    """
    found = [(each.words_in(message), each) for each in families()]
    return [each for words, each in sorted(found, key=lambda pair: -pair[0]) if words]


def _advice(message: str) -> str | None:
    """What is told of a message, if it is one."""
    part = message.casefold()
    if " " not in message:
        return None
    rows = families_of(message)
    if not rows and not any(place.is_about for place in places_of(message)):
        rows = [each for each in families() if any(part in phrase.casefold() for phrase in each.phrases)]
    if not rows:
        return None
    phrases = [each.phrase_in(message).strip(" :…") for each in rows]
    own = [each for at, each in enumerate(rows) if not any(phrases[at] and phrases[at] in one for one in phrases[:at])]
    told = (f"{each.meaning}\n\nWhat to do: {each.remedy}\n" for each in own[:MOST_ROWS])
    return "\n---\n\n".join(told).replace(r"\|", "|")


def _length(phrase: str) -> int:
    return len(phrase.replace("…", ""))


@cache
def _pattern(phrase: str) -> re.Pattern[str]:
    return re.compile(".*?".join(map(re.escape, phrase.split("…"))))


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
    others = [
        topic.name
        for topic in topics().values()
        if re.search(rf"\b{name}\b", topic.text) and topic.name not in (home, MESSAGES)
    ]
    more = f"- Also in: {', '.join(f'`help {name}`' for name in others)}\n" if others else ""
    return f"## {name}\n\n{meaning}\n\n- Takes: {takes}\n- Default: {default}\n- Where: {where}\n{more}"


def _without_link(found: re.Match[str]) -> str:
    label, target = found.groups()
    name = target.partition("#")[0].removesuffix(".md")
    if "://" in target:
        return found[0]
    return f"{label} (`help {name}`)" if name in topics() else label
