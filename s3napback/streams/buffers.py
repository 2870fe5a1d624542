"""Memory that the blocks of one stream are read into, which whoever needs a block for longer can hold on to.

To copy a block costs as much as to have read it. A holder keeps the memory from being used again until it lets go::

    hold(block)  # true if that can be; otherwise the block has to be copied
    ...
    let_go(block)
"""

from __future__ import annotations

from s3napback.streams.transformations import Block

BUFFER_SIZE = 1 << 19  # bytes
_LEAST, _MOST = 1 << 15, 1 << 18
"""Bytes of a block: what is left of a buffer with less is not used, more does not stay in a processor's cache."""


class _Buffer(bytearray):
    """A piece of memory, and how many need what is in it."""

    holders = 0


class Buffers:
    """The memory of one stream: no more of it than is held at a time, and one buffer besides. All for one thread."""

    def __init__(self) -> None:
        """Begin with one."""
        self._all = [_Buffer(BUFFER_SIZE)]
        self._present = self._all[0]
        self._filled = 0

    def room(self) -> memoryview:
        """Where the next block can be read into. What was read before is gone, unless it is held."""
        if not self._present.holders:
            self._filled = 0
        elif BUFFER_SIZE - self._filled < _LEAST:
            self._present = next((each for each in self._all if not each.holders), None) or self._another()
            self._filled = 0
        return memoryview(self._present)[self._filled : self._filled + _MOST]

    def _another(self) -> _Buffer:
        made = _Buffer(BUFFER_SIZE)
        self._all.append(made)
        return made

    def block(self, length: int) -> memoryview:
        """What was read into ``room``: so many bytes."""
        start = self._filled
        self._filled += length
        return memoryview(self._present)[start : self._filled]


def hold(block: Block) -> bool:
    """Keep a block's memory as it is until ``let_go``; false if it is not that of a ``Buffers``."""
    buffer = block.obj if isinstance(block, memoryview) else None
    if not isinstance(buffer, _Buffer):
        return False
    buffer.holders += 1
    return True


def let_go(block: Block) -> None:
    """Let the memory of a block that was held be used again."""
    if isinstance(block, memoryview) and isinstance(block.obj, _Buffer):
        block.obj.holders -= 1
