"""Splits a configuration's text into logical lines, and each line into words.

The rules, which every file of s3napback's follows:

* A comment begins with ``#`` at the start of a line or after white space outside quotes, and ends with its line,
  whatever that line ends in. Any other ``#`` belongs to the value.
* A backslash at the very end of a line continues the directive on the next one. Outside quotes the break counts as
  white space, so that a forgotten blank never joins two paths.
* Words are split as a shell splits them, without expanding anything. Single quotes take everything literally. Outside
  quotes a backslash takes away the meaning of white space, a quote, ``#`` or a backslash; inside double quotes that of
  ``"`` and of a backslash. Before any other character it is an ordinary character: ``C:\\x`` and ``*.o\\~`` stay as
  they are.
* A block's tag has a line of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from enum import Enum

from s3napback.config.problems import Problems
from s3napback.config.settings import Position
from s3napback.formatting import shown
from s3napback.records import dataclass
from s3napback.regexes import regex

_NAME = regex(r"[A-Za-z][A-Za-z0-9]*")
_CONTROL = regex(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_BLANKS = "\u00a0\u1680\u2000-\u200b\u2028\u2029\u202f\u205f\u2060\ufeff"
"""Blanks that no keyboard gives by itself, some without a width: they are pasted along unseen."""
_UNUSUAL_BLANK = regex(f"[{_BLANKS}]")
_LOOK_LIKE_QUOTES = "\u201c\u201d\u201e\u2018\u2019\u201a\u00ab"
_COMMENT = regex(r"[^\n]*")
_ANY_TAG = regex(r"[ \t]*<(?P<slash>/?)(?P<name>[A-Za-z][A-Za-z0-9]*)(?P<rest>[^\n]*)")
_PHYSICAL_LINES = regex(r"(?:\\\n|[^\n])*\n?")
_PIECE = regex(
    r"""
      (?P<newline> \n )
    | (?P<continuation> \\(?:\n|\Z) )
    | (?P<loose> \\[ \t]+(?=\n|\Z) )
    | (?P<blank> [ \t]+ )
    | (?P<escaped> \\[ \t"'\#\\] )
    | (?P<double> "(?: \\[\n"\\] | \\(?![\n"\\]) | [^"\\\n] )*" )
    | (?P<single> '[^'\n]*' )
    | (?P<unbalanced> ["'] )
    | (?P<plain> (?: [^ \t\n"'\\] | \\(?![ \t\n"'\#\\]|\Z) )+ )
    """,
    re.VERBOSE,
)
_PLAIN = rf"""[^\x00-\x20\x7f-\x9f"'\\#{_BLANKS}]"""
_ORDINARY = regex(
    rf"[ \t]*(?P<name>{_NAME.pattern})(?P<values>(?:[ \t]+(?![={_LOOK_LIKE_QUOTES}]){_PLAIN}+)*)[ \t]*(?:\n|\Z)"
)
"""A directive in which no sign has a meaning: in a long list nearly every line is one."""
_DOUBLE_QUOTED_ESCAPE = regex(r'\\([\n"\\])')


BROKEN_WORD = (
    "a word reaches up to the backslash at the end of the line, and ends there: what follows is another value (the "
    "original joined them); write a blank before the backslash, or the whole word on one line"
)


class Shape(Enum):
    """What a logical line is."""

    DIRECTIVE = "directive"
    OPENING = "opening tag"
    CLOSING = "closing tag"


@dataclass(frozen=True)
class Line:
    """One logical line.

    Attributes:
        shape: what it is.
        name: of the directive or block, as written.
        values: the words after the name, without quotes.
        position: where it begins.
        last: number of the last line of the file that belongs to it.
    """

    shape: Shape
    name: str
    values: tuple[str, ...]
    position: Position
    last: int = 0


@dataclass
class _Word:
    starts_plain: bool
    ends_plain: bool = False
    text: str = ""

    def add(self, kind: str, piece: str) -> None:
        self.ends_plain = kind == "plain"
        if kind == "double":
            self.text += _DOUBLE_QUOTED_ESCAPE.sub(lambda match: match[1].strip("\n"), piece[1:-1])
        elif kind == "single":
            self.text += piece[1:-1]
        elif kind == "escaped":
            self.text += piece[1:]
        else:
            self.text += piece


class _BadLineError(Exception):
    """The line cannot be split; the message says why."""


def split_lines(text: str, file: str, problems: Problems) -> list[Line]:
    """Split ``text`` into directives and tags; lines that cannot be are reported and left out.

    Args:
        text: the whole file, lines ending in ``\\n``.
        file: its name, for positions.
        problems: takes what is wrong.
    """
    lines = []
    offset, number = 0, 1
    while offset < len(text):
        position = Position(file, number)
        if ordinary := _ORDINARY.match(text, offset):
            values = tuple(filter(None, ordinary["values"].replace("\t", " ").split(" ")))
            lines.append(Line(Shape.DIRECTIVE, ordinary["name"], values, position, number))
            offset = ordinary.end()
            number += 1
            continue
        end = offset
        try:
            words, end = _split_words(text, offset)
            line = _classify(words, position) if words else None
            if is_broken_word(text[offset:end]):
                problems.warning(position, BROKEN_WORD)
        except _BadLineError as error:
            problems.error(position, str(error))
            end = end if end > offset else _end_of_line(text, offset)
            line = _salvaged_tag(text[offset:end], position)
        following = number + text.count("\n", offset, end)
        if line is not None:
            lines.append(replace(line, last=following - text.endswith("\n", offset, end)))
        number = following
        offset = end
    return lines


def is_broken_word(text: str) -> bool:
    """Whether a word of a logical line reaches up to the backslash that continues it, and another word follows."""
    before, is_open = "blank", False
    for kind, _piece, _end in _pieces(text, 0):
        if kind == "continuation":
            is_open = is_open or before not in ("blank", "continuation")
        elif kind == "newline":
            return False
        elif kind != "blank" and is_open:
            return True
        before = kind
    return False


def has_comment(text: str) -> bool:
    """Whether the text of a logical line, which can be split, holds a comment behind its words."""
    return sum(len(piece) for _kind, piece, _end in _pieces(text, 0)) < len(text)


_BARE = regex(rf"(?![=<{_LOOK_LIKE_QUOTES}]){_PLAIN}+")


def quoted(value: str) -> str:
    """A value as it is written so that it is read as it was: in quotes, unless it needs none.

    Args:
        value: without characters that control a terminal.
    """
    return value if _BARE.fullmatch(value) else '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _split_words(text: str, offset: int) -> tuple[list[_Word], int]:
    """The words of the logical line that begins at ``offset``, and where the next line begins."""
    words: list[_Word] = []
    word: _Word | None = None
    for kind, piece, end in _pieces(text, offset):
        if kind == "newline":
            return words, end
        if kind in ("blank", "continuation"):
            word = None
            continue
        if kind == "unbalanced":
            raise _BadLineError(f"a quote {piece} is opened and not closed on this line")
        if kind == "loose":
            raise _BadLineError(
                "white space follows the backslash at the end of the line; remove it, or quote the value"
            )
        if _CONTROL.search(piece):
            raise _BadLineError(f"the line holds a control character: {shown(piece)}")
        if word is None:
            word = _Word(starts_plain=kind == "plain")
            words.append(word)
        if kind == "plain" and len(words) > 1 and (odd := _UNUSUAL_BLANK.search(piece)):
            raise _BadLineError(
                f"a value holds an unusual blank (U+{ord(odd[0]):04X}): {shown(piece)}; replace it with an ordinary "
                "one, or put the value in quotes if it belongs there"
            )
        word.add(kind, piece)
    return words, len(text)


def _pieces(text: str, offset: int) -> Iterator[tuple[str, str, int]]:
    """The pieces of a line: kind, text, and the offset behind it; comments are passed over."""
    between_words = True
    while offset < len(text):
        if between_words and text[offset] == "#":
            offset = _end_of_comment(text, offset)
            continue
        match = _PIECE.match(text, offset)
        if match is None or match.lastgroup is None:
            raise AssertionError("every character begins some piece")
        offset = match.end()
        between_words = match.lastgroup in ("blank", "continuation")
        yield match.lastgroup, match[0], offset


def _end_of_comment(text: str, offset: int) -> int:
    match = _COMMENT.match(text, offset)
    return len(text) if match is None else match.end()


def _end_of_line(text: str, offset: int) -> int:
    """Behind the next newline that no backslash precedes: where to go on after a line that cannot be split."""
    match = _PHYSICAL_LINES.match(text, offset)
    return len(text) if match is None else match.end()


def _salvaged_tag(line: str, position: Position) -> Line | None:
    """A tag that was reported as wrong, so that the block's other end is not reported as well."""
    match = _ANY_TAG.match(line)
    if match is None or "</" in match["rest"]:
        return None
    shape = Shape.CLOSING if match["slash"] else Shape.OPENING
    return Line(shape, match["name"], () if match["slash"] else (match["rest"].strip(" \t>\"'"),), position)


def _classify(words: list[_Word], position: Position) -> Line:
    if words[0].text.startswith("<"):
        return _tag(words, position)
    name = words[0].text
    if not _NAME.fullmatch(name):
        raise _BadLineError(_not_a_name(name))
    values = tuple(word.text for word in words[1:])
    if values and values[0].startswith("=") and words[1].starts_plain:
        raise _BadLineError(f"write “{name} VALUE” without “=” (a value that begins with it goes in quotes)")
    if odd := next(
        (word.text[0] for word in words[1:] if word.starts_plain and word.text.startswith(tuple(_LOOK_LIKE_QUOTES))), ""
    ):
        raise _BadLineError(
            f'{odd} (U+{ord(odd):04X}), as text processors write it, is no quote here: write " before and behind the '
            f"value; one that really begins with {odd} goes in quotes"
        )
    return Line(Shape.DIRECTIVE, name, values, position)


def _not_a_name(name: str) -> str:
    directive, equals, _ = name.partition("=")
    if equals and _NAME.fullmatch(directive):
        return f"write “{directive} VALUE” without “=”"
    if name.endswith(":") and _NAME.fullmatch(name[:-1]):
        return f"write “{name[:-1]} VALUE” without “:”"
    odd = next((character for character in name if character.isspace()), "")
    if odd:
        return f"the directive's name holds an unusual blank (U+{ord(odd):04X}); replace it with an ordinary one"
    return "this line begins with no directive's name; is a backslash missing at the end of the line before?"


def _tag(words: list[_Word], position: Position) -> Line:
    if not (words[-1].text.endswith(">") and words[-1].ends_plain):
        raise _BadLineError("a tag ends with “>”, and nothing but a comment may follow it on its line")
    if any(word.ends_plain and word.text.endswith(">") for word in words[:-1]):
        raise _BadLineError("each tag needs a line of its own")
    texts = [word.text for word in words]
    texts[-1] = texts[-1][:-1]
    if not texts[-1] and len(texts) > 1 and words[-1].text == ">":
        texts.pop()
    closing = texts[0].startswith("</")
    name = texts[0][2 if closing else 1 :]
    if not _NAME.fullmatch(name):
        raise _BadLineError(f"“{shown(words[0].text)}” is not a block's tag; write <Name VALUE> or </Name>")
    return Line(Shape.CLOSING if closing else Shape.OPENING, name, tuple(texts[1:]), position)
