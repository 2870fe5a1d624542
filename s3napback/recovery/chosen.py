"""Members of one archive that were chosen by its index; few bytes of each, since there may be hundreds of thousands."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from s3napback.index.headers import Headers, UnknownForm
from s3napback.index.lines import FILE, FOLDER, LINK, SYMLINK, Entry
from s3napback.recovery.opening.decoder import Portion
from s3napback.streams.tar_headers import BLOCK_SIZE, DIRECTORY, HARD_LINK, REGULAR, SYMBOLIC_LINK, plain_name

_SIZE = 16  # bytes of a mark: two names have the same one once in 2 ** 64 times at most
_TYPES = {REGULAR: FILE, DIRECTORY: FOLDER, HARD_LINK: LINK, SYMBOLIC_LINK: SYMLINK}
_LEADING = (LINK, SYMLINK)
_NO_FILE = bytes(_SIZE)


class MemberPlace(NamedTuple):
    """Where one member stands, in bytes of the archive's stream.

    Attributes:
        start: of its headers.
        content: where they end, and what they describe begins.
        end: where the next member begins.
        mark: of what its headers say of it.
    """

    start: int
    content: int
    end: int
    mark: bytes

    def is_of(self, raw: bytes) -> bool:
        """Whether headers are those of the member that the index told of."""
        try:
            headers = Headers(raw)
            kind = _TYPES.get(headers.type, b"")
            path, more = headers.path.rstrip(b"/"), headers.link if kind in _LEADING else b""
            padded = headers.stored_size + -headers.stored_size % BLOCK_SIZE
        except (UnknownForm, ValueError, IndexError):
            return False
        return _mark(path, kind, more) == self.mark and (kind == FOLDER or padded == self.end - self.content)


class ChosenMembers:
    """Some members of an archive, in order, 57 bytes of each.

    Attributes:
        targets: what the hard links among them lead to, normalised.
    """

    def __init__(self, includes: Callable[[str], bool]) -> None:
        """None yet.

        Args:
            includes: whether a name is wanted for its own sake.
        """
        self.targets: set[str] = set()
        self._includes = includes
        self._late: set[bytes] = set()
        self._wanted = bytearray()
        self._places = array("q")
        self._marks = bytearray()
        self._files = bytearray()

    @property
    def needs_two(self) -> bool:
        """Whether two readings are needed: a hard link leads to what is not wanted for its own sake."""
        return bool(self._late)

    def add(self, entry: Entry) -> None:
        """One more, which lies behind the others."""
        text = text_of(entry.path)
        if entry.type == LINK:
            target = text_of(entry.more)
            self.targets.add(target)
            if not self._includes(target):
                self._late.add(name_mark(text))
        kind = entry.type if entry.type in _TYPES.values() else b""
        mark = _mark(entry.path, kind, entry.more if kind in _LEADING else b"")
        name = name_mark(text) if kind == FILE else _NO_FILE
        self._append(MemberPlace(entry.start, entry.content, entry.end, mark), name, self._includes(text))

    def _append(self, place: MemberPlace, name: bytes, is_wanted: int) -> None:
        self._places.extend(place[:3])
        self._marks += place.mark
        self._files += name
        self._wanted.append(is_wanted)

    def __len__(self) -> int:
        return len(self._marks) // _SIZE

    def __iter__(self) -> Iterator[MemberPlace]:
        for number in range(len(self)):
            start, content, end = self._places[3 * number : 3 * number + 3]
            yield MemberPlace(start, content, end, bytes(self._marks[_SIZE * number : _SIZE * (number + 1)]))

    def _names(self) -> Iterator[bytes]:
        return (bytes(self._files[_SIZE * number : _SIZE * (number + 1)]) for number in range(len(self)))

    def files(self) -> Iterator[bytes]:
        """The marks of the names of all regular files among them; see ``name_mark``."""
        return (name for name in self._names() if name != _NO_FILE)

    def part(self, part: Portion) -> Iterator[MemberPlace]:
        """Those that matter to one reading."""
        for place, name, is_wanted in zip(self, self._names(), self._wanted, strict=True):
            is_first = name == _NO_FILE or is_wanted
            is_linked = name == _NO_FILE or not is_wanted or name in self._late
            if part is Portion.ALL or (is_first if part is Portion.FIRST else is_linked):
                yield place

    def without(self, files: AbstractSet[bytes]) -> ChosenMembers:
        """The same without some regular files, told by the marks of their names."""
        left = ChosenMembers(self._includes)
        left.targets, left._late = self.targets, self._late
        for place, name, is_wanted in zip(self, self._names(), self._wanted, strict=True):
            if name not in files:
                left._append(place, name, is_wanted)
        return left


def _mark(path: bytes, kind: bytes, more: bytes) -> bytes:
    return hashlib.blake2b(b"%s\0%s\0%s" % (kind, path, more), digest_size=_SIZE).digest()


def name_mark(name: str) -> bytes:
    """What stands for a name, normalised."""
    return hashlib.blake2b(name.encode("utf-8", "surrogateescape"), digest_size=_SIZE).digest()


def text_of(path: bytes) -> str:
    """A name as it stands in an archive, normalised."""
    return plain_name(path.decode("utf-8", "surrogateescape"))
