"""Numbers and names as people read them."""

from __future__ import annotations

from datetime import timedelta

_UNITS = ("kB", "MB", "GB", "TB", "PB")


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
    return f"{seconds:.1f} s" if seconds < 60 else str(timedelta(seconds=round(seconds)))


def counted(count: int, noun: str) -> str:
    """A number with its noun: ``1 source``, ``3 sources``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def printable(text: str) -> str:
    """Text with escapes in place of what a terminal would obey, or cannot show: control characters, bytes not UTF-8."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def shortened(text: str, limit: int = 500) -> str:
    """Text of at most ``limit`` characters and a mark: what is too long loses its middle, since both ends tell most."""
    if len(text) <= limit:
        return text
    end = limit * 2 // 5
    return f"{text[: limit - end]}…{text[-end:]}"
