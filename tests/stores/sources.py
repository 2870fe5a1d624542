"""Sources for tests of stores, good ones and ones named for their fault."""

from __future__ import annotations

import time

from s3napback.errors import PipelineError


class BytesSource:
    """Gives bytes, in pieces of at most ``piece``."""

    def __init__(self, data: bytes, piece: int = 1 << 20) -> None:
        self._data = memoryview(data)
        self._piece = piece
        self.position = 0

    def readinto(self, buffer: memoryview, /) -> int:
        count = min(len(buffer), self._piece, len(self._data) - self.position)
        buffer[:count] = self._data[self.position : self.position + count]
        self.position += count
        return count


class SourceThatFails(BytesSource):
    """Gives all of its bytes, and raises where the end should be, after a wait of some seconds if asked for."""

    def __init__(self, data: bytes, error: BaseException | None = None, wait: float = 0) -> None:
        super().__init__(data)
        self._wait = wait
        self._error = error or PipelineError("tar was killed")

    def readinto(self, buffer: memoryview, /) -> int:
        count = super().readinto(buffer)
        if count == 0:
            time.sleep(self._wait)
            raise self._error
        return count


class EndlessSource:
    """Gives ``size`` bytes, of 256 values in turn, without holding them in memory."""

    def __init__(self, size: int) -> None:
        self._left = size
        self._next = 0
        self._block = bytes(range(256)) * 257

    def readinto(self, buffer: memoryview, /) -> int:
        count = min(len(buffer), len(self._block) - 256, self._left)
        buffer[:count] = self._block[self._next : self._next + count]
        self._next = (self._next + count) % 256
        self._left -= count
        return count
