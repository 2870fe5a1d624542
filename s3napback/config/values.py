"""Converts a directive's words to the value that the table says it takes."""

from __future__ import annotations

from pathlib import Path

from s3napback.config.descriptions import DirectiveDescription, Enumeration, Integer, Tolerance, Type
from s3napback.formatting import shown
from s3napback.regexes import regex
from s3napback.targets import InvalidNameError, normalised_path

Value = str | int | bool | Path | tuple[str, ...]

_SWITCHES = {
    **dict.fromkeys(("on", "true", "yes", "1"), True),
    **dict.fromkeys(("off", "false", "no", "0"), False),
}
_INTEGER = regex(r"-?[0-9]{1,18}")


class InvalidValueError(ValueError):
    """The words are not what the directive takes; the message says what it takes."""


def convert(description: DirectiveDescription, words: tuple[str, ...]) -> Value:
    """The value that ``words`` mean.

    Raises:
        InvalidValueError: they mean none.
    """
    name = description.name
    if not words:
        raise InvalidValueError(f"{name} needs a value: {description.takes}")
    if description.type is Type.WORDS:
        return _words(name, words)
    if isinstance(description, Tolerance):
        return _tolerance(description, words)
    if len(words) > 1:
        advice = "put a value with blanks in quotes, and each directive on a line of its own"
        raise InvalidValueError(f"{name} takes one value and got {len(words)}; {advice}")
    return _single(description, words[0])


def _single(description: DirectiveDescription, word: str) -> Value:
    name = description.name
    if isinstance(description, Integer):
        return _integer(description, word)
    if description.type is Type.SWITCH:
        return _switch(name, word)
    if isinstance(description, Enumeration):
        return _choice(description, word)
    if description.type is Type.PATH:
        return _path(name, word)
    return _text(name, word)


def _words(name: str, words: tuple[str, ...]) -> tuple[str, ...]:
    if "" in words:
        raise InvalidValueError(f"{name} got an empty value")
    return words


def _integer(description: Integer | Tolerance, word: str) -> int:
    wanted = f"a whole number from {description.minimum:,} to {description.maximum:,}"
    if not _INTEGER.fullmatch(word):
        raise InvalidValueError(f"{description.name} takes {wanted}, not “{shown(word)}”")
    number = int(word)
    if not description.minimum <= number <= description.maximum:
        raise InvalidValueError(f"{description.name} takes {wanted}; {number} is out of range")
    return number


def _switch(name: str, word: str) -> bool:
    if word.lower() not in _SWITCHES:
        raise InvalidValueError(f"{name} takes On or Off, not “{shown(word)}”")
    return _SWITCHES[word.lower()]


def _tolerance(description: Tolerance, words: tuple[str, ...]) -> int:
    word, *more = (word.lower() for word in words)
    if word == "fail" and not more:
        return 0
    if word == "warn" and not more:
        return description.warned
    if word == "warn" and len(more) == 1:
        return _integer(description, more[0])
    raise InvalidValueError(f"{description.name} takes {description.takes}; not “{shown(' '.join(words))}”")


def _choice(description: Enumeration, word: str) -> str:
    for choice in description.choices:
        if choice.lower() == word.lower():
            return choice
    raise InvalidValueError(f"{description.name} takes {description.takes}, not “{shown(word)}”")


def _path(name: str, word: str) -> Path:
    try:
        return Path(normalised_path(word))
    except InvalidNameError as error:
        raise InvalidValueError(f"{name} “{shown(word)}”: {error}") from error


def _text(name: str, word: str) -> str:
    if not word.strip():
        raise InvalidValueError(f"{name} is empty")
    if any(not character.isprintable() for character in word):
        raise InvalidValueError(f"{name} holds characters that cannot be printed")
    return word
