"""Names and times as they stand in the lines of an index, see ``lines.py``. Pure."""

from __future__ import annotations

import re

from s3napback.index.records import DamagedIndex
from s3napback.regexes import regex

_SPECIAL = regex(rb"[\\\n\t]")
_ESCAPES = {b"\\": b"\\\\", b"\n": b"\\n", b"\t": b"\\t"}
_ESCAPED = regex(rb"\\(.?)", re.DOTALL)
_MEANT = {b"\\": b"\\", b"n": b"\n", b"t": b"\t"}


def escaped(name: bytes) -> bytes:
    """A name as it stands in a line."""
    is_special = b"\\" in name or b"\n" in name or b"\t" in name  # quick, since there are millions
    return _SPECIAL.sub(lambda found: _ESCAPES[found[0]], name) if is_special else name


def unescaped(text: bytes) -> bytes:
    """The name that stands in a line.

    Raises:
        DamagedIndex: it is none.
    """
    if b"\\" not in text:
        return text
    try:
        return _ESCAPED.sub(lambda found: _MEANT[found[1]], text)
    except KeyError:
        raise DamagedIndex(f"a name in it is broken ({text!r:.200})") from None


def moment_text(seconds: int, nanoseconds: int) -> bytes:
    """A time as it stands in a line."""
    return b"%d.%09d" % (seconds, nanoseconds) if nanoseconds else b"%d" % seconds
