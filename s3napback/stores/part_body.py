"""What one request sends: the filled piece of a part's buffer, as fast as it may go out."""

from __future__ import annotations

import threading
from concurrent.futures import CancelledError

from s3napback.stores.throttle import Throttle

_SLICE = 256 * 1024
"""Bytes handed to a socket at a time. A socket's timeout counts for one hand-over: a part as a whole would have to
be gone within seconds, slices of this size only have to move."""


class PartBody:
    """A file as botocore sees one: the filled piece of a buffer, given out in slices without copying.

    ``read`` does not mind how many bytes it is asked for: urllib3 asks for 16 KiB at a time, and sends what it gets.
    After cancellation it raises, so that neither this attempt goes on nor another begins.
    """

    def __init__(self, buffer: bytearray, length: int, cancelled: threading.Event, throttle: Throttle) -> None:
        self._view = memoryview(buffer)[:length]
        self._position = 0
        self._cancelled = cancelled
        self._throttle = throttle
        self._is_given_up = False
        self._goes_out = False

    def __len__(self) -> int:
        return len(self._view)

    def tell(self) -> int:
        """The position in bytes."""
        return self._position

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move; ``whence`` as for files."""
        self._position = offset + (0, self._position, len(self._view))[whence]
        return self._position

    def begin_sending(self) -> None:
        """From now on what is read goes out to the store. Over plain HTTP a signature reads all of it before."""
        self._goes_out = True

    def give_up(self) -> None:
        """Let the request that is sending it fail."""
        self._is_given_up = True

    def read(self, _size: int = -1) -> memoryview:
        """The next slice; empty at the end."""
        size = self._throttle.piece(_SLICE) if self._goes_out else _SLICE
        piece = self._view[self._position : self._position + size]
        if self._goes_out:
            self._throttle.take(len(piece), self._is_wanted)
        if not self._is_wanted():
            raise CancelledError("the upload was given up")
        self._position += len(piece)
        return piece

    def _is_wanted(self) -> bool:
        return not (self._is_given_up or self._cancelled.is_set())
