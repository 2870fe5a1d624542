"""What of the original lies in a store: its archives, put together from a listing of their chunks."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import field, replace
from datetime import datetime

from s3napback.original.chains import OriginalArchive, newest_first
from s3napback.original.keys import OriginalName, parse_base, split_chunk_key
from s3napback.records import dataclass
from s3napback.stores import COLD_CLASSES, StoredObject

_LARGEST = (1 << 63) - 1


@dataclass
class _Chunks:
    """What is remembered of the chunks of one archive, of which there may be tens of thousands."""

    modified: datetime
    numbers: array[int] = field(default_factory=lambda: array("Q"))
    size: int = 0
    first_size: int = 0
    last: tuple[int, int] = (-1, 0)
    storage_class: str = ""

    def add(self, number: int, chunk: StoredObject) -> None:
        number = min(number, _LARGEST)
        self.numbers.append(number)
        self.size += chunk.size
        self.modified = max(self.modified, chunk.modified)
        if number == 0:
            self.first_size = chunk.size
        self.last = max(self.last, (number, chunk.size))
        if not self.storage_class or chunk.storage_class in COLD_CLASSES:
            self.storage_class = chunk.storage_class

    @property
    def problem(self) -> str:
        numbers = sorted(self.numbers)
        for expected, number in enumerate(numbers):
            if number < expected:
                return f"chunk {number} is there twice"
            if number > expected:
                return f"chunk {expected} is missing"
        if not self.size:
            return "it is empty: that night nothing was dumped"
        # js3tream fills its chunks, and puts an empty one behind a full one that is the last.
        if len(numbers) > 1 and self.last[1] >= self.first_size:
            return f"chunk {len(numbers)} is missing"
        return ""


def original_archives(listing: Iterable[StoredObject], prefix: str = "") -> list[OriginalArchive]:
    """The original's archives among the objects of a store, newest first.

    Args:
        listing: of a store, in any order. Whatever the original did not write is passed over.
        prefix: that of the configuration, below which somebody may have copied them; the original had none.
    """
    names: dict[str, OriginalName | None] = {}
    found: dict[str, _Chunks] = {}
    for chunk in listing:
        parts = split_chunk_key(chunk.key)
        if parts is None:
            continue
        base, number = parts
        if base not in names:
            names[base] = _name(base, prefix)
        if names[base] is not None:
            found.setdefault(base, _Chunks(chunk.modified)).add(number, chunk)
    return newest_first(_archive(name, found[base]) for base, name in names.items() if name is not None)


def chunks_of(base: str, listing: Iterable[StoredObject]) -> list[StoredObject]:
    """The chunks of one archive among the objects of a listing, in order."""
    numbered = [(parts[1], found) for found in listing if (parts := split_chunk_key(found.key)) and parts[0] == base]
    return [found for _number, found in sorted(numbered, key=lambda pair: pair[0])]


def is_original_chunk(key: str, prefix: str = "") -> bool:
    """Whether a key is one of a chunk of the original's."""
    parts = split_chunk_key(key)
    return parts is not None and _name(parts[0], prefix) is not None


def _name(base: str, prefix: str) -> OriginalName | None:
    start = f"{prefix}/" if prefix and base.startswith(f"{prefix}/") else ""
    name = parse_base(base.removeprefix(start))
    return name and replace(name, base=base, series=f"{start}{name.series}")


def _archive(name: OriginalName, chunks: _Chunks) -> OriginalArchive:
    count, storage = len(chunks.numbers), chunks.storage_class
    return OriginalArchive(name, count, chunks.size, chunks.modified, chunks.problem, storage)
