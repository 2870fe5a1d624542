"""Text in the columns of a terminal. Pure."""

from __future__ import annotations

import unicodedata

ELLIPSIS = "…"


def width_of(text: str) -> int:
    """Columns that printable text takes: two for wide characters of East Asia, none for what combines with others."""
    if text.isascii():
        return len(text)
    return sum(map(_width_of, text))


def fitted(text: str, width: int) -> str:
    """Printable text in exactly so many columns; what is too long loses its middle, since both ends tell most."""
    if width_of(text) <= width:
        return text + " " * (width - width_of(text))
    if width < 1:
        return ""
    front = _cut(text, (width - 1) // 2)
    back = _cut(text[::-1], width - 1 - width_of(front))[::-1]
    return fitted(front + ELLIPSIS + back, width)


def _cut(text: str, width: int) -> str:
    taken = 0
    for number, character in enumerate(text):
        taken += _width_of(character)
        if taken > width:
            return text[:number]
    return text


def _width_of(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
