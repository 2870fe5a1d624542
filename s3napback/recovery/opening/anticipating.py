"""Ranges of one object that will be asked for soon, fetched several at a time: a request takes long, and one at a time
would leave a fast line idle.

What is asked for need not be what was announced. It is put together of what has come, and of what is fetched for it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from itertools import islice
from typing import NamedTuple

from s3napback.crews import Crew, result_of
from s3napback.encryption.chunks import Fetch

_KEPT_BEHIND = 1 << 19
"""Bytes in front of what is asked for that are looked at again."""


class _Range(NamedTuple):
    start: int
    end: int
    data: Future[bytes]


class Anticipation:
    """The ranges. Used by one thread at a time; memory is that of as many as there are threads, and two more."""

    def __init__(self, fetch: Fetch, threads: int) -> None:
        """Nothing is announced yet. ``fetch`` is called by several threads."""
        self._fetch = fetch
        self._threads = threads
        self._crew: Crew | None = None
        self._announced: Iterator[tuple[int, int]] = iter(())
        self._begun: deque[_Range] = deque()

    def announce(self, ranges: Iterator[tuple[int, int]]) -> None:
        """Begin to fetch these, in order; they do not overlap. What was announced before is not fetched any more."""
        self.close()
        self._crew = Crew(self._threads, "anticipation")
        self._announced = ranges
        self._go_on(0)

    def close(self) -> None:
        """Fetch nothing more than is asked for, and wait for nothing."""
        self._announced = iter(())
        self._begun.clear()
        if self._crew is not None:
            self._crew.close(0)
            self._crew = None

    def read(self, start: int, end: int) -> bytes:
        """The bytes from one place to another; those places grow, from one call to the next."""
        while self._begun and self._begun[0].end + _KEPT_BEHIND <= start:
            self._begun.popleft()
        self._go_on(end)
        parts, place = [], start
        for begun in self._begun:
            if begun.end <= place or begun.start >= end:
                continue
            if begun.start > place:
                parts.append(self._fetch(place, begun.start))
                place = begun.start
            part = result_of(begun.data)[place - begun.start : end - begun.start]
            parts.append(part)
            place += len(part)
        if place < end:
            parts.append(self._fetch(place, end))
        return b"".join(parts)

    def _go_on(self, end: int) -> None:
        """Have as many under way, or waiting, as there are threads, beyond what is asked for now."""
        ahead = sum(begun.start >= end for begun in self._begun)
        if self._crew is not None:
            for start, beyond in islice(self._announced, max(0, self._threads - ahead)):
                self._begun.append(_Range(start, beyond, self._crew.submit(self._fetch, start, beyond)))
