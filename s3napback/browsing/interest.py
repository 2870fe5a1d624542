"""Which names of a tree are of interest: all, those below a path, or those that a pattern fits. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import field, replace

from s3napback.browsing.nodes import joined, lies_within, split
from s3napback.records import dataclass
from s3napback.regexes import regex

_CLASS = regex(r"\[(!|\^)?(\]?(?:\\.|[^\]\\])*)\]", re.DOTALL)
_IN_CLASS = regex(r"\\.|.", re.DOTALL)


@dataclass(frozen=True)
class Pattern:
    """What a person looks for.

    Attributes:
        text: as it was written.
        expression: that fits whole names as text, or whole paths if there is a slash in the pattern.
        literal: bytes that each name which it fits holds; empty if there are none.
    """

    text: bytes
    expression: re.Pattern[str]
    literal: bytes

    @property
    def is_of_paths(self) -> bool:
        """Whether it speaks of whole paths, absolute ones."""
        return b"/" in self.text

    def fits(self, name: bytes) -> bool:
        """Whether it fits all of a name, or of a path; a byte that is no character counts as one."""
        return self.expression.fullmatch(name.decode("utf-8", "surrogateescape")) is not None


def read_pattern(text: bytes) -> Pattern:
    """Read a pattern as shells have it: ``*``, ``?``, ``[a-z]``, ``[!a-z]``, and a backslash in front of these.

    ``*`` fits slashes as well, in a path.
    """
    written = text.decode("utf-8", "surrogateescape")
    parts = [_part(sign) for sign in _signs(written)]
    literals = [b"".join(run) for run in _runs(parts)]
    expression = "".join(each for each, _literal in parts)
    return Pattern(text, re.compile(expression, re.DOTALL), max(literals, key=len, default=b""))


def _signs(text: str) -> Iterator[str]:
    position = 0
    while position < len(text):
        letter = text[position]
        length = 1
        if letter == "\\" and position + 1 < len(text):
            length = 2
        elif letter == "[" and (found := _CLASS.match(text, position)) and found[2]:
            length = len(found[0])
        yield text[position : position + length]
        position += length


def _part(sign: str) -> tuple[str, bytes]:
    """The expression for a sign, and the bytes for which it stands if it is literal."""
    if sign == "*":
        return ".*", b""
    if sign == "?":
        return ".", b""
    if len(sign) > 1 and sign[0] == "[":
        return _class(sign), b""
    return re.escape(sign[-1]), sign[-1].encode("utf-8", "surrogateescape")


def _class(sign: str) -> str:
    found = _CLASS.fullmatch(sign)
    inner = _IN_CLASS.findall(found[2] if found else sign[1:-1])
    fitting, position = "", 0
    while position < len(inner):
        is_range = position + 2 < len(inner) and inner[position + 1] == "-"
        first, last = ord(inner[position][-1]), ord(inner[position + 2 * is_range][-1])
        if first <= last:
            fitting += rf"\U{first:08x}-\U{last:08x}"
        position += 3 if is_range else 1
    if found and found[1]:
        return f"[^{fitting}]" if fitting else "."
    return f"[{fitting}]" if fitting else "(?!)"


def _runs(parts: list[tuple[str, bytes]]) -> Iterator[list[bytes]]:
    run: list[bytes] = []
    for _expression, literal in parts:
        if literal:
            run.append(literal)
        else:
            yield run
            run = []
    yield run


@dataclass(frozen=True)
class Interest:
    """The names that are of interest.

    Attributes:
        path: nothing outside of it.
        is_deep: all below it; else only itself and what lies in it directly.
        is_alone: only itself.
        pattern: of these only what it fits; None is all.
        top: absolute path of the source, for patterns of paths.
        also: other paths, of which something has to be known.
        is_all_known: something has to be known of all others.
    """

    path: bytes = b""
    is_deep: bool = True
    is_alone: bool = False
    pattern: Pattern | None = None
    top: bytes = b"/"
    also: frozenset[bytes] = frozenset()
    is_all_known: bool = False
    _places: frozenset[bytes] = field(default=frozenset(), repr=False)

    def and_also(self, paths: frozenset[bytes]) -> Interest:
        """The same, and other paths."""
        return replace(self, also=self.also | paths, _places=frozenset(split(path)[0] for path in self.also | paths))

    def knowing_all(self) -> Interest:
        """The same, and something is known of all others."""
        return replace(self, is_all_known=True)

    def concerns(self, folder: bytes) -> bool:
        """Whether a name that lies in a folder can be of interest."""
        if self.is_all_known or folder in self._places or (self.path and folder == split(self.path)[0]):
            return True
        return not self.is_alone and self._reaches(folder)

    def _reaches(self, folder: bytes) -> bool:
        return lies_within(folder, self.path) if self.is_deep else folder == self.path

    def needs(self, folder: bytes) -> bool:
        """Whether something has to be known of a folder itself: it, what lies in it, or what it lies in, matters."""
        return (
            self.concerns(folder)
            or lies_within(self.path, folder)
            or self.concerns(split(folder)[0])
            or any(lies_within(path, folder) for path in self.also)
        )

    def shows(self, folder: bytes, name: bytes) -> bool:
        """Whether a name is of interest, be it a folder's or not."""
        path = joined(folder, name)
        if path != self.path and (self.is_alone or not self._reaches(folder)):
            return False
        if self.pattern is None:
            return True
        if self.pattern.is_of_paths:
            return self.pattern.fits(self.absolute(path))
        return self.pattern.fits(name or posixpath.basename(self.top))

    def includes(self, folder: bytes, name: bytes) -> bool:
        """Whether something has to be known of a name."""
        return self.is_all_known or self.shows(folder, name) or (bool(self.also) and joined(folder, name) in self.also)

    @property
    def includes_all(self) -> bool:
        """Whether something has to be known of every name."""
        return self.is_all_known or (not self.path and self.is_deep and not self.is_alone and self.pattern is None)

    def absolute(self, path: bytes) -> bytes:
        """A path from the root directory."""
        return joined(self.top.rstrip(b"/"), path) if path and self.top != b"/" else self.top + path

    @property
    def literal(self) -> bytes:
        """Bytes that each name of interest holds, apart from those that are escaped; empty if there are none."""
        if self.also or self.is_all_known or (self.pattern is not None and self.pattern.is_of_paths):
            return b""
        literal = split(self.path)[1] if self.is_alone else self.pattern.literal if self.pattern else b""
        return b"" if re.search(rb"[\\\n\t]", literal) else literal
