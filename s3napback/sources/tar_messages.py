"""What one line means that GNU tar says while it archives. Pure.

tar writes ``tar: NAME: TEXT``, or ``tar: NAME: TEXT: REASON`` (``src/create.c``, ``src/incremen.c``, ``src/misc.c`` and
``lib/paxerror.c`` of 1.34 and 1.35). With ``--quoting-style=escape`` NAME holds neither a line break nor a colon that
is not escaped, and REASON is one of the C library's texts. So whoever chooses the names of files can neither add a line
nor move the border between NAME and TEXT. What is not known here is serious.
"""

from __future__ import annotations

import posixpath
import re
from enum import Enum

from s3napback.records import dataclass
from s3napback.regexes import regex


class Meaning(Enum):
    """What a line is about."""

    LEFT_OUT = "one file or directory could not be read"
    CUT = "a file's beginning was read, and zeros stand for the rest"
    SHRANK = "a file ended before the size that it had when it was opened, and zeros stand for the rest"
    REMOVED = "a file was gone before it was read"
    BARE = "the list of access rights or the extended attributes of something could not be read"
    TOUCHED = "the time when something was last read could not be set back"
    REMARK = "nothing that spoils the archive"
    SERIOUS = "anything else"


@dataclass(frozen=True)
class Said:
    """A line that was understood.

    Attributes:
        path: what it is about, normalised, as in the archive; empty if it is about nothing.
        call: what could not be done: ``open``, ``stat`` …; may be empty.
        reason: the C library's text, in English; may be empty.
        lacking: bytes for which zeros stand, of what ended too early.
    """

    meaning: Meaning
    path: bytes = b""
    call: bytes = b""
    reason: bytes = b""
    lacking: int = 0


LINE = regex(rb"[^:]*tar: (?P<name>(?:[^:\\]|\\.)+): (?P<text>.+)", re.DOTALL)
"""A line about something that has a name."""

REASON = rb": (?P<reason>[^:\\]+)"
"""How such a line ends where the C library gave the reason."""

_TEXTS = (
    (Meaning.LEFT_OUT, rb"(?:Warning: )?Cannot (?P<call>open|stat|read|savedir|readlink|close|seek to \d+)" + REASON),
    (Meaning.LEFT_OUT, rb"(?P<reason>Unknown file type); file ignored"),
    (Meaning.CUT, rb"(?:Warning: )?Read error at byte \d+, while reading \d+ bytes?" + REASON),
    (Meaning.REMOVED, rb"File removed before we read it"),
    (Meaning.BARE, rb"Warning: Cannot (?P<call>\w*(?:acl|xattr)\w*)" + REASON),
    (Meaning.TOUCHED, rb"Cannot (?P<call>utime)" + REASON),
    (Meaning.REMARK, rb"file changed as we read it"),
    (Meaning.SHRANK, rb"File shrank by (?P<lacking>\d+) bytes?; padding with zeros"),
    (Meaning.REMARK, rb"(?:socket|door) ignored"),
    (Meaning.REMARK, rb"file is the archive; not dumped"),
    (Meaning.REMARK, rb"(?:directory|file) is on a different filesystem; not dumped"),
    (Meaning.REMARK, rb"Directory is new"),
    (Meaning.REMARK, rb"Directory has been renamed.*"),
    (Meaning.REMARK, rb"contains a cache directory tag .*"),
    (Meaning.REMARK, rb"Warning: .*"),
)
_MEANINGS = tuple((meaning, regex(pattern, re.DOTALL)) for meaning, pattern in _TEXTS)
_ABOUT_NOTHING = regex(
    rb"""[^:]*tar:\ (?:Exiting\ with\ failure\ status\ due\ to\ previous\ errors | Missing\ links\ to\ '.*'\.)
    | Total\ bytes\ written:\ \d+\ \([^:]*\)""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = regex(rb"\\([0-7]{3}|.)", re.DOTALL)
_ESCAPED = dict(zip(b"abfnrtv", b"\a\b\f\n\r\t\v", strict=True))


def understood(line: bytes) -> Said:
    """What a line says; ``Meaning.SERIOUS`` if it is none of those that are known to be harmless.

    Args:
        line: whole, without the line break.
    """
    if _ABOUT_NOTHING.fullmatch(line):
        return Said(Meaning.REMARK)
    found = LINE.fullmatch(line)
    if found is None:
        return Said(Meaning.SERIOUS)
    for meaning, pattern in _MEANINGS:
        if text := pattern.fullmatch(found["text"]):
            words = text.groupdict(b"")
            path = posixpath.normpath(unquoted(found["name"]))
            lacking = int(words.get("lacking", 0))
            return Said(meaning, path, words.get("call", b""), words.get("reason", b""), lacking)
    return Said(Meaning.SERIOUS)


def unquoted(name: bytes) -> bytes:
    """A name as it is, of one as tar writes it with ``--quoting-style=escape``."""
    return _ESCAPE.sub(_original, name)


def _original(escape: re.Match[bytes]) -> bytes:
    code = escape[1]
    if len(code) == 3:
        return bytes([int(code, 8) & 0xFF])
    return bytes([_ESCAPED.get(code[0], code[0])])
