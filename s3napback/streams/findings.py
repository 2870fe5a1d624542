"""What is found out about a stream while it passes, handed over when it has ended.

Until then it belongs to the stream's thread alone: it lives in a generator, which returns it. Afterwards it belongs to
whoever asks for it. So nothing is ever shared between the two, and nothing can be read too early.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future
from typing import Generic, TypeVar

from s3napback.streams.transformations import Block, Transformation

Found = TypeVar("Found")

Look = Callable[[Iterator[memoryview]], Generator[Block, None, Found]]
"""Passes a stream on, or another one that it makes of it, and returns at the end what it found."""


class Finding(Generic[Found]):
    """One look at one stream. Used once."""

    def __init__(self, name: str, look: Look[Found]) -> None:
        """Begin nothing yet.

        Args:
            name: as messages call the look.
            look: runs in the stream's thread. What it starts with must not change meanwhile.
        """
        self._name = name
        self._look = look
        self._found: Future[Found] = Future()

    def passed(self, blocks: Iterator[memoryview]) -> Iterator[Block]:
        """Pass the stream on."""
        self._found.set_result((yield from self._look(blocks)))

    @property
    def transformation(self) -> Transformation:
        """The look, as part of a pipeline."""
        return Transformation(self._name, self.passed)

    def result(self) -> Found:
        """What was found. To be asked for when the stream has come to a good end.

        Raises:
            RuntimeError: it has not.
        """
        if not self._found.done():
            raise RuntimeError(f"{self._name} was asked for what it found before the stream has come to its end")
        return self._found.result(timeout=0)
