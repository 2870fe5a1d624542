"""The manual on the machine: a topic, a section or a directive, or the list of topics."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Callable, Iterator
from textwrap import wrap

from s3napback.errors import S3napbackError
from s3napback.formatting import alike
from s3napback.topics import Spot, passage, places_near, places_of, topics, words

_LEAST_WIDTH = 20
_MOST_PLACES = 12
_MOST_NEAR = 6


def show(word: str, page: Callable[[str], None], say: Callable[..., None]) -> None:
    """Show what the manual has under a word.

    Args:
        word: a topic, a command, a heading, a directive, a message, or words of a question; empty for the list of
            topics.
        page: shows CommonMark.
        say: prints lines.

    Raises:
        S3napbackError: the installation lacks the manual.
        UnknownTopic: there is none of this name.
    """
    try:
        if not topics():
            raise S3napbackError("the manual is not there; install s3napback again")
        text = (passage(word) or found(word)) if word else None
    except OSError as error:
        raise S3napbackError(f"the manual cannot be read: {error}; install s3napback again") from error
    if word and text is None:
        raise UnknownTopic(word, nearest(word))
    if text:
        page(text)
    else:
        say(*overview(shutil.get_terminal_size().columns))


def found(question: str) -> str | None:
    """The section that is about the words of a question, and where else they stand, as CommonMark; None for none.

    Words that are strewn over a long section tell as little as some of them in one paragraph.
    """
    places = places_of(question)
    if not any(place.is_about or place.is_close for place in places):
        near = list(dict.fromkeys([*places, *places_near(question)]))[:_MOST_NEAR]
        lead = f"Nothing in the manual is about “{question}”. Some of the words stand here:"
        return "\n".join([lead, "", *map(_line, near), ""]) if near else None
    titled = [place for place in places if place.is_about]
    about = [place for place in titled if place.heading] or titled
    shown = about[0] if len(about) == 1 else places[0] if len(places) == 1 else None
    lines = [_line(place) for place in places if place is not shown]
    more, text = lines[:_MOST_PLACES], passage(shown.word) if shown else None
    if len(lines) > len(more):
        more.append(f"- and {len(lines) - len(more)} others")
    first = "These words stand here, too:" if text else f"“{question}” has no page of its own; the words stand here:"
    return "\n".join([*([text] if text else []), *([first, "", *more] if more else []), ""])


def _line(place: Spot) -> str:
    return f"- `s3napback help {shlex.quote(place.word)}`" + (f" ({place.topic})" if place.word != place.topic else "")


class UnknownTopic(S3napbackError):
    """The manual has nothing under this word."""

    exit_code = 2

    def __init__(self, word: str, near: list[str]) -> None:
        """Name what is like it."""
        hint = f"; near it are: {', '.join(near)}" if near else ""
        super().__init__(f"the manual has nothing under {word!r}{hint}; “s3napback help” lists its topics")


def nearest(word: str) -> list[str]:
    """Up to five that are written like it, or have it in their names, as they are written."""
    known = {each.casefold(): each for each in reversed(words())}
    wanted = word.casefold()
    within = [each for each in known if wanted in each and len(wanted) > 2]
    near = alike(wanted, known, 5)
    return [known[each] for each in dict.fromkeys([*near, *sorted(within, key=len)])][:5]


def overview(width: int) -> Iterator[str]:
    """The list of topics, each with the sentence that stands at its beginning.

    Args:
        width: columns; a narrow terminal has the sentence below the name.
    """
    width = max(width, _LEAST_WIDTH)
    yield from wrap("The manual. “s3napback help” and one of these words shows more:", width)
    yield ""
    longest = max((len(name) for name in topics()), default=0)
    is_narrow = width < 3 * longest
    for name, topic in topics().items():
        if is_narrow:
            yield f"  {name}"
        indent = " " * (4 if is_narrow else longest + 4)
        first = indent if is_narrow else f"  {name}".ljust(len(indent))
        yield from wrap(topic.sentence, width, initial_indent=first, subsequent_indent=indent)
    yield ""
    others = (
        "a command (help restore), a directive (help Exclude), a message in quotes, words of a question (help mail)"
    )
    yield from wrap(f"Other words: {others}.", width)
