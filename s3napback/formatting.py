"""Numbers and names as people read them, and the one place where text becomes harmless.

Names, metadata, and the words of tools and servers come from whoever made them. Before a terminal, a log or a mail gets
them, every character that is not printable is shown as an escape: control characters, line ends of every alphabet,
format characters that turn the direction of writing or have no width (Unicode's categories C and Z, the blank apart),
and bytes that are not UTF-8.
"""

from __future__ import annotations

import codecs
import os
import shlex
from collections.abc import Iterable
from datetime import timedelta

LONGEST_LINE = 500
"""Bytes of a tool's line that are shown."""

_UNITS = ("kB", "MB", "GB", "TB", "PB")
_LONGEST_QUOTATION = 60
_MOST_SECONDS = 1e13
"""As many as ``timedelta`` holds."""


def human_bytes(count: int) -> str:
    """A number of bytes with a decimal unit: ``1.2 GB``."""
    if count < 1000:
        return f"{count} bytes"
    value = float(count)
    for unit in _UNITS:
        value /= 1000
        if value < 999.5 or unit == _UNITS[-1]:
            break
    return f"{value:.1f} {unit}" if value < 100 else f"{value:.0f} {unit}"


def human_time(seconds: float) -> str:
    """A length of time: ``2.1 s`` below a minute, ``1:02:03`` above."""
    # Others say how long they took, and may say anything.
    return f"{seconds:.1f} s" if seconds < 60 else str(timedelta(seconds=round(min(seconds, _MOST_SECONDS))))


def counted(count: int, noun: str) -> str:
    """A number with its noun: ``1 source``, ``3 sources``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def printable(text: str) -> str:
    """Text on one line that nothing obeys: ``\\x1b``, ``\\n``, ``\\u202e`` stand for what is not printable.

    A byte of a name that is not UTF-8, which Python holds as a surrogate, is shown as ``\\xff``.
    """
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else _escape(character) for character in text)


def readable(line: bytes, longest: int = LONGEST_LINE) -> str:
    """A tool's line, or a file's name, as ``printable`` text.

    Args:
        line: in UTF-8, or nearly so.
        longest: bytes; what is beyond is left out, with an ellipsis in its place.
    """
    is_whole = len(line) <= longest
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    text = decoder.decode(line[:longest].rstrip(b"\r"), final=is_whole)
    return printable(text) + ("" if is_whole else "…")


def shown(text: str, longest: int = _LONGEST_QUOTATION) -> str:
    """``printable`` text as a message quotes it: not more than ``longest`` characters of it."""
    visible = printable(text)
    return visible if len(visible) <= longest else visible[:longest] + "…"


def shell_word(word: str) -> str:
    """A word quoted for a shell, on one line and printable, so that it can be shown, copied and pasted.

    What is not printable needs the quotes ``$'…'`` of bash, zsh, ksh and POSIX.1-2024.
    """
    if word.isprintable():
        return shlex.quote(word)
    return "$'" + "".join(map(_shell_escape, word)) + "'"


def shell_command(words: Iterable[str]) -> str:
    """A command as a line for a shell, every word quoted by ``shell_word``."""
    return " ".join(map(shell_word, words))


def alike(word: str, known: Iterable[str], most: int, least: float = 0.6) -> list[str]:
    """What somebody may have meant by a word: the most alike first.

    Args:
        most: how many.
        least: how alike it must be, from 0 to 1.
    """
    import difflib  # noqa: PLC0415 - where something is wrong

    return difflib.get_close_matches(word, list(known), most, least)


def twin(path: str, known: Iterable[str]) -> str:
    """Of some paths the first one that looks the same as a path, or as a folder above it, and is not; empty if none is.

    Unicode has an accented letter as one character, and as two, of which macOS makes names.
    """
    from unicodedata import normalize  # noqa: PLC0415 - where something is wrong

    form = normalize("NFC", path)
    for other in known:
        is_alike = other and f"{form}/".startswith(f"{normalize('NFC', other)}/")
        if is_alike and not f"{path}/".startswith(f"{other}/"):
            return other
    return ""


def twin_text(shown: str) -> str:
    """What to say of a twin, as the end of a message."""
    return f"; {shown} was, which looks the same: accented letters are one character or two. Copy it from what ls shows"


def any_form(text: str) -> str:
    """A pattern that fits a text however its accented letters are written; empty if it has none, or nothing else."""
    from unicodedata import normalize  # noqa: PLC0415 - where something is wrong

    letters = normalize("NFC", text)
    others = [letter if normalize("NFD", letter) == letter else "*" for letter in letters]
    is_of_use = others != list(letters) and any(other not in "*/" for other in others)
    return "".join(others) if is_of_use else ""


def forms_text(path: str) -> str:
    """What to say where a path with accented letters is not there, as the end of a message; empty if it has none."""
    return "; its accented letters are one character or two: copy it from what ls shows" if any_form(path) else ""


def _escape(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")


def _shell_escape(character: str) -> str:
    if character in "\\'":
        return f"\\{character}"
    if character.isprintable():
        return character
    return "".join(f"\\{byte:03o}" for byte in os.fsencode(character))


def shortened(text: str, limit: int = 500) -> str:
    """Text of at most ``limit`` characters and a mark: what is too long loses its middle, since both ends tell most."""
    if len(text) <= limit:
        return text
    end = limit * 2 // 5
    return f"{text[: limit - end]}…{text[-end:]}"
