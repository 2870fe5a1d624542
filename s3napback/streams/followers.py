"""Small classes that are put into a stream's chain to follow it: they pass everything on, and remember something.

To add one (progress, a limit to the bandwidth, a list of what an archive holds) write a class with a generator that
yields every block it is given, and put it where its bytes pass::

    read = Counter()
    content = composed(Transformation("the count", read.passed), compression)
    Pipeline([dump, content, gpg])

Before the compression pass the bytes that a source gives, behind the encryption those that are stored. ``composed``
runs neighbours in one thread. As an element of its own a follower costs a pipe and a thread, and may wait without
holding up its neighbours' work. What one should know:

- It runs in one of the pipeline's threads, not in the main one. What it raises fails the pipeline; the message bears
  the transformation's name, or that of the last one composed with it.
- A block's memory is used again for the next one: copy what has to be kept.
- What waits should wait for less than ``crews.PATIENCE`` at a time. A pipeline that is left, as on Ctrl-C, gives its
  threads so long to come back. If nothing moves for StallTimeout, the one that waits is to blame.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from s3napback.streams.transformations import Block

HEAD_SIZE = 512  # bytes; the first block of a tar archive
TAIL_SIZE = 1024  # bytes; the two blocks that end it


class Counter:
    """Counts the bytes that pass.

    Attributes:
        count: bytes so far. Only the stream's thread writes it; it may be read by any thread at any time.
    """

    def __init__(self, observe: Callable[[int], object] | None = None) -> None:
        """Begin at 0.

        Args:
            observe: is given the count after each block (256 KiB from a pipe, at most), in the stream's thread; the
                block goes on when it has returned.
        """
        self.count = 0
        self._observe = observe

    def passed(self, blocks: Iterator[memoryview]) -> Iterator[Block]:
        """Pass a stream on."""
        for block in blocks:
            self.count += len(block)
            if self._observe is not None:
                self._observe(self.count)
            yield block


class Ends:
    """Keeps how a stream begins and ends.

    Attributes:
        head: the first bytes, at most ``HEAD_SIZE``.
        tail: the last bytes so far, at most ``TAIL_SIZE``. To be read when the stream has ended.
    """

    def __init__(self) -> None:
        self.head = b""
        self.tail = b""

    def passed(self, blocks: Iterator[memoryview]) -> Iterator[Block]:
        """Pass a stream on."""
        for block in blocks:
            if len(self.head) < HEAD_SIZE:
                self.head += bytes(block[: HEAD_SIZE - len(self.head)])
            self.tail = (self.tail + bytes(block[-TAIL_SIZE:]))[-TAIL_SIZE:]
            yield block
